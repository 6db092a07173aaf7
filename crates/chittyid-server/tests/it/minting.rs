//! What minting answers.

use chittyid::{ChecksumStatus, EntityType, Profile, Profiles, parse};
use chittyid_server::{AuthorityConfig, IssuedProfile};
use serde_json::json;

use crate::served::{ANN, Served, config};

#[tokio::test]
async fn a_mint_answers_what_the_seeds_clients_read() {
    let served = Served::new(config()).await;
    let order = json!({ "entity": "peo", "name": "Ann", "metadata": { "created_by": "test" } });
    let answer = served.post("/v1/mint", ANN, &order).await;
    assert_eq!(answer.status, 200);
    let wanted = json!({
        "chittyId": "CT-A-CHI-0001-P-26-A-0", "success": true, "entity": "PEO", "name": "Ann",
        "metadata": { "created_by": "test" }, "profile": "client-v1",
        "timestamp": "2026-11-21T00:00:00Z", "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(answer.body, wanted);
    assert_eq!(answer.header("idempotency-replayed"), None);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn every_entity_is_minted_under_each_name_of_the_field() {
    for profile in [IssuedProfile::ClientV1, IssuedProfile::Canonical03] {
        let served = Served::new(AuthorityConfig { profile, ..config() }).await;
        let mut all = std::collections::HashSet::new();
        for entity in EntityType::ALL {
            for field in ["entity", "entityType", "entity_type"] {
                let answer = served.post("/v1/mint", ANN, &json!({ field: entity.name() })).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(answer.body["entity"], entity.name());
                assert_eq!(answer.body["metadata"], json!({}));
                let text = answer.body["chittyId"].as_str().unwrap().to_owned();
                let id = parse(&text, profile.profile().into()).unwrap();
                assert_eq!(id.entity_letter(), entity.letter(profile.profile()), "{id}");
                assert!(all.insert(text), "{id} twice");
            }
        }
    }
}

#[tokio::test]
async fn canonical_ids_carry_the_month_and_check_digits_that_hold() {
    let profile = IssuedProfile::Canonical03;
    let trust = AuthorityConfig { profile, region: 3, trust: 2, ..config() };
    let trust = AuthorityConfig { jurisdiction: "DEU".into(), ..trust };
    let served = Served::new(trust).await;
    for number in 1..=50 {
        let text = served.mint("FACT").await;
        let id = parse(&text, Profiles::from(Profile::Canonical03)).unwrap();
        assert_eq!(id.checksum(), ChecksumStatus::Valid, "{id}");
        let start = format!("03-3-DEU-{number:04}-T-2611-2-");
        assert!(text.starts_with(&start), "{text}");
    }
}

#[tokio::test]
async fn a_batch_answers_one_id_for_each_request_in_their_order() {
    let served = Served::new(config()).await;
    let order = json!({ "requests": [
        { "entity": "PLACE", "name": "here" },
        { "entityType": "EVNT", "metadata": { "n": 1 } },
        { "entity_type": "PLACE" },
    ] });
    let answer = served.post("/v1/mint/batch", ANN, &order).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ids = ["CT-A-CHI-0001-L-26-A-0", "CT-A-CHI-0001-E-26-A-0", "CT-A-CHI-0002-L-26-A-0"];
    assert_eq!(answer.body["chittyIds"], json!(ids));
    let counts = ["total", "successful", "failed"].map(|name| answer.body[name].clone());
    assert_eq!((&answer.body["success"], counts), (&json!(true), [json!(3), json!(3), json!(0)]));
    let results = answer.body["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for (result, id) in results.iter().zip(ids) {
        assert_eq!((&result["chittyId"], &result["success"]), (&json!(id), &json!(true)));
    }
    assert_eq!(results[0]["name"], "here");
    assert_eq!(results[1]["metadata"], json!({ "n": 1 }));
}

#[tokio::test]
async fn a_batch_with_one_that_is_wrong_mints_none_and_says_which() {
    let served = Served::new(config()).await;
    for (wrong, code, message) in [
        (json!({ "entity": "DOG" }), "INVALID_ENTITY", "Unsupported ChittyID entity type: DOG"),
        (json!({ "entity": "PEO", "metadata": 7 }), "INVALID_METADATA", "must be an object"),
        (json!({ "entity": "PEO", "name": "x".repeat(257) }), "INVALID_NAME", "256 bytes"),
    ] {
        let order = json!({ "requests": [{ "entity": "PEO" }, { "entity": "FACT" }, wrong] });
        let answer = served.post("/v1/mint/batch", ANN, &order).await;
        answer.refuses(400, code, message);
        answer.refuses(400, code, "requests[2]: ");
    }
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0001-P-26-A-0");
}
