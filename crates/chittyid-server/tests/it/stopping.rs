//! The end: what was ordered is answered, and nothing is half-done.

use std::sync::Arc;

use chittyid_server::{Authority, AuthorityConfig, MintError, Request};
use mainstay_store::{Area, Durability, MemoryStore, Store, StoreConfig, Writer};
use serde_json::json;

use crate::served::{ANN, Hand, Kept, Served, caller, config};

fn one() -> Vec<Request> {
    vec![Request { entity: "PEO".into(), ..Request::default() }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_wait_while_the_store_is_closed_are_kept_whole_or_told_that_it_stops() {
    let kept = Kept::in_memory();
    let authority = Arc::new(kept.authority(config(), &Hand::usual()));
    let mut tasks = Vec::new();
    for nr in 0..200 {
        let authority = authority.clone();
        tasks.push(tokio::spawn(async move {
            let order = [one(), one(), one()].concat();
            authority.mint(order, true, &caller("ann"), Some(&nr.to_string())).await
        }));
    }
    tokio::task::yield_now().await;
    let writer = kept.writer.clone();
    tokio::task::spawn_blocking(move || writer.close()).await.unwrap();
    let mut minted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(mint) => minted += mint.minted.len(),
            Err(MintError::Stopping) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let count = |area: &'static str| kept.store.values(Area::new(area), None, 9_999).unwrap().len();
    assert_eq!(count("chittyid.ids"), minted, "what is kept was answered");
    assert_eq!((count("chittyid.audit"), count("chittyid.answers")), (minted / 3, minted / 3));
    let next = kept.store.next_number(Area::new("chittyid.sequences"), b"CT-A-CHI-P-26-A").unwrap();
    assert_eq!(next, minted as u64 + 1);
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_when_to_come_again() {
    let served = Served::new(config()).await;
    served.mint("PEO").await;
    served.kept.writer.close();
    let answer = served.post("/v1/mint", ANN, &json!({ "entity": "PEO" })).await;
    answer.refuses(503, "SERVICE_UNAVAILABLE", "the server stops");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn an_authority_that_is_dropped_has_let_go_of_its_store() {
    for _ in 0..50 {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let writer = Arc::new(Writer::start(store.clone(), &StoreConfig::default()).unwrap());
        let authority = Authority::new(config(), store.clone(), writer.clone()).unwrap();
        authority.mint(one(), false, &caller("ann"), None).await.unwrap();
        drop(authority);
        assert_eq!(Arc::strong_count(&writer), 1);
        drop(writer);
        assert_eq!(Arc::strong_count(&store), 1);
    }
}

#[test]
fn a_writer_that_promises_too_early_is_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let durability = StoreConfig { durability: Durability::None, ..StoreConfig::default() };
    let writer = Arc::new(Writer::start(store.clone(), &durability).unwrap());
    let error = Authority::new(AuthorityConfig::default(), store, writer).unwrap_err();
    assert_eq!(error.field, "store.durability");
}
