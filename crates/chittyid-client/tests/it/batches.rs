//! Many ids in one request.

use std::collections::HashSet;
use std::time::Duration;

use chittyid_client::{ApiKey, Client, ClientConfig, Credentials, EntityType, Error, Request};
use serde_json::json;

use crate::odd::{Odd, json as answer};
use crate::world::{MS, OTHER_KEY, World, minted};

#[tokio::test]
async fn a_batch_brings_an_id_for_each_request_in_their_order() {
    let world = World::new().await;
    let client = world.client();
    let requests = EntityType::ALL.map(Request::new);
    let minted = client.mint_batch(&requests).await.unwrap();
    let entities: Vec<EntityType> = minted.iter().map(|one| one.entity).collect();
    assert_eq!(entities, EntityType::ALL);
    let letters = EntityType::ALL.map(|entity| entity.letter(chittyid::Profile::ClientV1));
    let found: Vec<_> = minted.iter().map(|one| one.id.entity_letter()).collect();
    assert_eq!(found, letters);
    assert_eq!(world.requests(), 1);
    assert_eq!(client.mint_batch(&[]).await.unwrap(), []);
    assert_eq!(world.requests(), 1);
}

#[tokio::test]
async fn a_batch_is_refused_here_when_it_is_too_large_or_under_several_keys() {
    let world = World::new().await;
    let client = world.client();
    let many = vec![Request::new(EntityType::Fact); 101];
    let other = Credentials::Key(ApiKey::new(OTHER_KEY).unwrap());
    let mixed = Request { credentials: other, ..Request::new(EntityType::Fact) };
    for requests in [many, vec![Request::new(EntityType::Fact), mixed]] {
        let error = client.mint_batch(&requests).await.unwrap_err();
        assert!(matches!(error, Error::Unsendable { .. }), "{error}");
    }
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn a_batch_is_read_however_services_write_it() {
    let two = vec![Request::new(EntityType::Fact), Request::new(EntityType::Fact)];
    let (a, b) = ("CT-A-CHI-0001-F-26-A-0", "CT-A-CHI-0002-F-26-A-0");
    for body in [
        json!({ "chittyIds": [a, b] }),
        json!({ "results": [{ "chittyId": a }, { "chitty_id": b }] }),
        json!({ "chittyIds": [a, b], "results": [] }),
    ] {
        let server = Odd::new(vec![answer(&body.to_string())]).await;
        let minted = server.client().mint_batch(&two).await.unwrap();
        let ids: Vec<&str> = minted.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, [a, b], "{body}");
    }
    for body in [json!({}), json!({ "chittyIds": [a] }), json!({ "chittyIds": [a, 7] })] {
        let server = Odd::new(vec![answer(&body.to_string())]).await;
        let error = server.client().mint_batch(&two).await.unwrap_err();
        assert!(matches!(error, Error::NoId | Error::Malformed { .. }), "{body}: {error}");
    }
}

/// A client whose mints wait for others.
fn waiting(world: &World, within: Duration, batch_max: usize) -> Client {
    let config = ClientConfig { batch_within: Some(within), batch_max, ..world.config() };
    Client::new(config).unwrap()
}

#[tokio::test]
async fn mints_at_the_same_time_go_in_one_request_where_that_is_asked_for() {
    let world = World::new().await;
    // Full lots go at once; the window would be over too late.
    let client = waiting(&world, Duration::from_secs(30), 10);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let client = client.clone();
        tasks.spawn(async move { minted(&client).await });
    }
    let ids: HashSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!((ids.len(), world.requests()), (30, 3));
}

#[tokio::test]
async fn a_mint_that_is_alone_goes_when_its_time_is_over() {
    let world = World::new().await;
    let client = waiting(&world, 5 * MS, 100);
    assert!(chittyid::is_chittyid(&minted(&client).await));
    assert!(chittyid::is_chittyid(&minted(&client).await));
    assert_eq!(world.requests(), 2);
}

#[tokio::test]
async fn one_request_that_is_refused_costs_no_other_its_id() {
    let world = World::new().await;
    let client = waiting(&world, Duration::from_secs(30), 3);
    let bad = client.mint(EntityType::Fact, json!([]));
    let (bad, one, two) = tokio::join!(bad, minted(&client), minted(&client));
    assert!(matches!(bad, Err(Error::Refused(_))), "{bad:?}");
    assert_ne!(one, two);
}

#[tokio::test]
async fn one_who_goes_away_takes_no_other_along() {
    let world = World::new().await;
    let client = waiting(&world, 300 * MS, 100);
    let first = tokio::spawn({
        let client = client.clone();
        async move { minted(&client).await }
    });
    tokio::task::yield_now().await;
    let second = tokio::spawn({
        let client = client.clone();
        async move { minted(&client).await }
    });
    tokio::task::yield_now().await;
    first.abort();
    assert!(chittyid::is_chittyid(&second.await.unwrap()));
}
