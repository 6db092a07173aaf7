//! Whether an id is valid is for the service to say, and is believed for a while.

use std::time::Duration;

use chittyid::Profile;
use chittyid_client::{
    ApiKey, CacheConfig, Client, ClientConfig, Credentials, EntityType, Error, Verdict,
};

use crate::odd::{Odd, Reply, json, reply};
use crate::world::{MS, World, minted, until};

const ID: &str = "CT-A-CHI-1234-I-24-A-0";

#[tokio::test]
async fn an_id_that_was_not_given_is_not_valid_however_well_it_is_formed() {
    let world = World::new().await;
    let verdict = world.client().validate(ID).await;
    let Verdict::Invalid { why } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(&**why, "this authority has not issued it");
    assert!(verdict.is_verified() && !verdict.is_valid());
}

#[tokio::test]
async fn what_no_id_can_look_like_is_not_valid_without_asking() {
    let world = World::new().await;
    let client = world.client();
    let long = "A".repeat(39);
    let odd = ["", " ", "..", "a/b", "CT-A-CHI-1234-I-24-A-0\n", "%2e%2e", "ä", "a?b", &long];
    for text in odd {
        let verdict = client.validate(text).await;
        assert!(matches!(verdict, Verdict::Invalid { .. }), "{text}: {verdict:?}");
    }
    assert_eq!((world.requests(), client.cache_stats().total_requests), (0, 0));
}

#[tokio::test]
async fn malformed_ids_that_could_be_somebodys_are_for_the_service_to_judge() {
    let world = World::new().await;
    let client = world.client();
    for id in ["chitty_1234", "CHITTY-PEO-00001-A1B2C3", "CT-A-CHI-1234-I-24-A", "01-C-INF"] {
        let verdict = client.validate(id).await;
        assert!(matches!(verdict, Verdict::Invalid { .. }), "{id}: {verdict:?}");
    }
    assert_eq!(world.requests(), 4);
}

#[tokio::test]
async fn when_the_service_cannot_be_asked_nothing_is_called_valid() {
    let world = World::new().await;
    let client = world.client();
    world.fail(500, usize::MAX);
    let verdict = client.validate(ID).await;
    let Verdict::Unverified { format, why } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(format.unwrap().profile(), Profile::ClientV1);
    assert!(matches!(**why, Error::Service(_)), "{why}");
    let verdict = client.validate("chitty_1234").await;
    assert!(matches!(verdict, Verdict::Unverified { format: Err(_), .. }), "{verdict:?}");
    assert_eq!(client.cache_stats().size, 0, "and errors are not kept");
    world.fail(500, 0);
    assert!(client.validate(ID).await.is_verified());
}

#[tokio::test]
async fn verdicts_are_read_however_services_write_them() {
    let body = |text: &str| json(text);
    let bad = |status: &str, text: &str| reply(status, "", text);
    let cases: [(Reply, Option<bool>); 12] = [
        (body(r#"{"valid":true}"#), Some(true)),
        (body(r#"{"valid":true,"chittyId":"CT-A-CHI-1234-I-24-A-0"}"#), Some(true)),
        (body(r#"{"valid":true,"chittyId":"CT-A-CHI-9999-I-24-A-0"}"#), None),
        (body(r#"{"valid":false,"error":"unknown"}"#), Some(false)),
        (body(r#"{"valid":"true"}"#), None),
        (body("{}"), None),
        (body("<html>valid</html>"), None),
        (bad("404 x", r#"{"valid":false}"#), Some(false)),
        (bad("400 x", r#"{"valid":true}"#), None),
        (bad("404 x", r#"{"error":"no such route"}"#), None),
        (bad("401 x", r#"{"valid":true}"#), None),
        (bad("404 x", "<html>404</html>"), None),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let server = Odd::new(vec![answer]).await;
        let verdict = server.client().validate(ID).await;
        let found = verdict.is_verified().then_some(verdict.is_valid());
        assert_eq!(found, expected, "{shown}: {verdict:?}");
    }
}

#[tokio::test]
async fn the_entity_and_the_time_are_told_where_the_service_tells_them() {
    let text = r#"{"valid":true,"entityType":"peo","issuedAt":"2026-01-01T00:00:00Z"}"#;
    let server = Odd::new(vec![json(text)]).await;
    let verdict = server.client().validate(ID).await;
    let Verdict::Valid { entity, issued_at, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(entity, Some(EntityType::Person));
    assert_eq!(issued_at.as_deref(), Some("2026-01-01T00:00:00Z"));
}

#[tokio::test]
async fn a_verdict_is_asked_for_once_and_counted_as_the_seeds_count() {
    let world = World::new().await;
    let client = world.client();
    let id = minted(&client).await;
    for _ in 0..4 {
        assert!(client.validate(&id).await.is_valid());
    }
    let stats = client.cache_stats();
    assert_eq!(world.requests(), 2, "one mint, one question");
    let counts = (stats.hits, stats.misses, stats.sets, stats.evictions, stats.size);
    assert_eq!(counts, (3, 1, 1, 0, 1));
    assert_eq!((stats.hit_rate.as_str(), stats.total_requests), ("75.00%", 4));
    assert!((stats.hit_ratio - 0.75).abs() < 1e-9);
    client.forget(&id);
    assert!(client.validate(&id).await.is_valid());
    assert_eq!(world.requests(), 3);
    client.clear_cache();
    let stats = client.cache_stats();
    assert_eq!((stats.size, stats.total_requests, stats.hit_rate.as_str()), (0, 0, "0%"));
    assert_eq!((stats.max_size, stats.ttl_ms), (10_000, 300_000));
}

#[tokio::test]
async fn the_oldest_verdict_goes_when_the_cache_is_full() {
    let world = World::new().await;
    let cache = CacheConfig { max_size: 3, ..CacheConfig::default() };
    let client = Client::new(ClientConfig { cache, ..world.config() }).unwrap();
    let ids: Vec<String> = (1..=4).map(|n| format!("CT-A-CHI-000{n}-I-99-A-0")).collect();
    for id in &ids {
        client.validate(id).await;
    }
    let stats = client.cache_stats();
    assert_eq!((stats.size, stats.evictions), (3, 1));
    for id in &ids[1..] {
        client.validate(id).await;
    }
    assert_eq!(world.requests(), 4, "the last three are there");
    client.validate(&ids[0]).await;
    assert_eq!(world.requests(), 5, "the first is not");
}

#[tokio::test]
async fn not_valid_is_believed_for_a_shorter_time() {
    let answers = vec![json(r#"{"valid":false}"#), json(r#"{"valid":true}"#)];
    let server = Odd::new(answers).await;
    let cache = CacheConfig {
        negative_ttl: 50 * MS,
        ttl: Duration::from_secs(3_600),
        ..CacheConfig::default()
    };
    let client = Client::new(ClientConfig { cache, ..server.config() }).unwrap();
    assert!(!client.validate(ID).await.is_valid());
    let begun = std::time::Instant::now();
    while !client.validate(ID).await.is_valid() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is believed for ever");
        tokio::time::sleep(5 * MS).await;
    }
    assert_eq!((server.requests(), client.cache_stats().size), (2, 1));
}

#[tokio::test]
async fn many_who_ask_for_one_id_at_once_share_one_request() {
    let world = World::new().await;
    let client = world.client();
    let id = minted(&client).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (client, id) = (client.clone(), id.clone());
        tasks.spawn(async move { client.validate(&id).await.is_valid() });
    }
    assert!(tasks.join_all().await.into_iter().all(|valid| valid));
    assert_eq!(world.requests(), 2);
    let stats = client.cache_stats();
    assert_eq!((stats.sets, stats.total_requests), (1, 50));
}

#[tokio::test]
async fn one_who_goes_away_takes_no_other_along() {
    let server = Odd::new(vec![Reply::Hang, json(r#"{"valid":true}"#)]).await;
    let client = server.client();
    let ask = |client: Client| tokio::spawn(async move { client.validate(ID).await.is_valid() });
    let first = ask(client.clone());
    until("the first asks", || server.requests() == 1).await;
    let others = [ask(client.clone()), ask(client.clone())];
    until("the others wait", || client.cache_stats().misses == 3).await;
    first.abort();
    for other in others {
        assert!(other.await.unwrap());
    }
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn verdicts_are_public_and_keys_are_not_mixed_while_they_are_asked_for() {
    let world = World::new().await;
    let client = world.client();
    let id = minted(&client).await;
    let stranger = client.with_credentials(Credentials::Anonymous);
    assert!(stranger.validate(&id).await.is_valid());
    assert!(client.validate(&id).await.is_valid());
    assert_eq!(world.authorizations().len(), 2, "what one was told, the other believes");
    assert_eq!(world.authorizations()[1], "", "and no key went with a stranger's question");
}

#[tokio::test]
async fn callers_with_different_keys_share_a_verdict_and_not_a_refusal() {
    let slow = |body: &str, status: &str| Reply::Late(200 * MS, Box::new(reply(status, "", body)));
    let server = Odd::new(vec![slow("{}", "401 x"), slow(r#"{"valid":true}"#, "200 OK")]).await;
    let client = server.client();
    let key = |key: &str| Credentials::Key(ApiKey::new(key).unwrap());
    let ask = |client: Client| tokio::spawn(async move { client.validate(ID).await });
    let bad = ask(client.with_credentials(key("bad")));
    until("the first asks", || server.requests() == 1).await;
    let good = ["one", "two", "three"].map(|name| ask(client.with_credentials(key(name))));
    assert!(matches!(bad.await.unwrap(), Verdict::Unverified { .. }));
    for verdict in good {
        let verdict = verdict.await.unwrap();
        assert!(verdict.is_valid(), "{verdict:?}");
    }
    assert_eq!(server.requests(), 2, "one for the first, one for the three others");
}

#[tokio::test]
async fn a_crowd_with_bad_keys_makes_nobody_wait_for_each_of_them() {
    let refused = || reply("401 x", "", "{}");
    let late = |reply| Reply::Late(100 * MS, Box::new(reply));
    // The first three are answered; whoever asks then would wait for ever.
    let server = Odd::new(vec![late(refused()), late(refused()), Reply::Hang]).await;
    let client = server.client();
    let ask = |client: Client| tokio::spawn(async move { client.validate(ID).await });
    let crowd: Vec<_> = (0..20)
        .map(|number| {
            let key = ApiKey::new(&format!("bad-{number}")).unwrap();
            ask(client.with_credentials(Credentials::Key(key)))
        })
        .collect();
    until("all but those who were answered ask for themselves", || server.requests() >= 3 + 15)
        .await;
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
}
