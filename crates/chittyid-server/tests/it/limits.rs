//! How much one caller may mint, and how large a request may be.

use chittyid_server::AuthorityConfig;
use serde_json::json;

use crate::served::{ANN, BOB, Served, config};

#[tokio::test]
async fn a_key_mints_100_a_minute_and_is_told_when_to_come_again() {
    let served = Served::new(AuthorityConfig::default()).await;
    let batch = |ids: usize| json!({ "requests": vec![json!({ "entity": "INFO" }); ids] });
    assert_eq!(served.post("/v1/mint/batch", ANN, &batch(98)).await.status, 200);
    served.mint("PEO").await;
    let answer = served.post("/v1/mint/batch", ANN, &batch(50)).await;
    answer.refuses(429, "RATE_LIMIT_EXCEEDED", "rate limit");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "50 ids are half a minute: {seconds}");
    assert!(answer.body["message"].as_str().unwrap().contains(&format!("again in {seconds} s")));
    // All or none: what there was is still there.
    served.mint("PEO").await;
    // Another caller has a limit of its own.
    assert_eq!(served.post("/v1/mint/batch", BOB, &batch(100)).await.status, 200);
    served.post("/v1/mint", BOB, &json!({ "entity": "PEO" })).await.refuses(
        429,
        "RATE_LIMIT_EXCEEDED",
        "rate limit",
    );
    // What is refused for what it says is not counted, and validating has no limit here.
    served.post("/v1/mint", BOB, &json!({ "entity": "X" })).await.refuses(
        400,
        "INVALID_ENTITY",
        "X",
    );
    assert_eq!(served.get("/v1/validate/CT-A-CHI-0001-P-26-A-0").await.body["valid"], true);
}

#[tokio::test]
async fn what_was_answered_before_is_answered_again_beyond_the_limit() {
    let limits =
        AuthorityConfig { mints_per_minute: 2, batch_max: 1, ..AuthorityConfig::default() };
    let served = Served::new(limits).await;
    let body = json!({ "entity": "FACT" }).to_string();
    let mint = async |key: &str| {
        let line = format!("Idempotency-Key: {key}");
        served.ask("POST /v1/mint", Some(ANN), &[&line], &body).await
    };
    let first = mint("one").await;
    for _ in 0..5 {
        let again = mint("one").await;
        assert_eq!((again.status, &again.body), (200, &first.body));
    }
    assert_eq!(mint("two").await.status, 200, "what was repeated was not counted");
    mint("three").await.refuses(429, "RATE_LIMIT_EXCEEDED", "rate limit");
    assert_eq!(mint("two").await.header("idempotency-replayed"), Some("true"));
}

#[tokio::test]
async fn a_batch_has_as_many_ids_as_may_be_and_no_more() {
    let served = Served::new(AuthorityConfig { batch_max: 7, ..config() }).await;
    let batch = |ids: usize| json!({ "requests": vec![json!({ "entity": "INFO" }); ids] });
    assert_eq!(served.post("/v1/mint/batch", ANN, &batch(7)).await.status, 200);
    for (ids, found) in [(0, "0 entries"), (8, "8 entries")] {
        let answer = served.post("/v1/mint/batch", ANN, &batch(ids)).await;
        answer.refuses(400, "INVALID_BATCH", found);
        answer.refuses(400, "INVALID_BATCH", "allowed: 1 to 7");
    }
    served.post("/v1/mint/batch", ANN, &json!({})).await.refuses(
        400,
        "INVALID_REQUEST",
        "requests",
    );
}

#[tokio::test]
async fn the_largest_batch_with_all_its_metadata_has_room() {
    let served = Served::new(AuthorityConfig { batch_max: 1_000, ..config() }).await;
    let one = json!({ "entity": "INFO", "metadata": { "a": "x".repeat(9_992) } });
    let answer = served.post("/v1/mint/batch", ANN, &json!({ "requests": vec![one; 1_000] })).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["total"], 1_000);
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused() {
    let served = Served::new(config()).await;
    let pad = |bytes: usize| json!({ "entity": "PEO", "pad": "x".repeat(bytes) }).to_string();
    let order = "POST /v1/mint";
    assert_eq!(served.ask(order, Some(ANN), &[], &pad(60_000)).await.status, 200);
    served.ask(order, Some(ANN), &[], &pad(66_000)).await.refuses(413, "TOO_LARGE", "");
    served.ask("POST /v1/validate", None, &[], &pad(66_000)).await.refuses(413, "TOO_LARGE", "");
    let batch = format!("{{\"requests\":[{}]}}", pad(2_200_000));
    let order = "POST /v1/mint/batch";
    served.ask(order, Some(ANN), &[], &batch).await.refuses(413, "TOO_LARGE", "");
}
