//! What is said about ids.

use chittyid_server::{AuthorityConfig, IssuedProfile, Verdict};
use mainstay_store::{Area, Change, StoreError};
use serde_json::json;

use crate::served::{ANN, Served, config};

fn served(profile: IssuedProfile) -> impl Future<Output = Served> {
    Served::new(AuthorityConfig { profile, ..config() })
}

#[tokio::test]
async fn an_id_is_valid_where_it_was_given_and_anybody_may_ask() {
    let served = served(IssuedProfile::ClientV1).await;
    let id = served.mint("CONTEXT").await;
    let answer = served.get(&format!("/v1/validate/{id}")).await;
    let time = answer.body["timestamp"].clone();
    let wanted = json!({
        "valid": true, "chittyId": id, "entity": "CONTEXT", "profile": "client-v1",
        "checksum": "not_defined", "issuedAt": "2026-11-21T00:00:00Z", "timestamp": time,
    });
    assert_eq!((answer.status, answer.body), (200, wanted.clone()));
    for field in ["id", "chittyId", "chitty_id"] {
        let body = json!({ field: id }).to_string();
        let mut posted = served.ask("POST /v1/validate", None, &[], &body).await;
        posted.body["timestamp"] = time.clone();
        assert_eq!((posted.status, posted.body), (200, wanted.clone()));
    }
    // What was said about it is not for strangers.
    assert!(!served.get(&format!("/v1/validate/{id}")).await.body.to_string().contains("metadata"));
}

#[tokio::test]
async fn an_id_that_was_not_given_is_not_valid_and_that_is_an_answer() {
    let served = served(IssuedProfile::Canonical03).await;
    let id = served.mint("EVNT").await;
    let right = &id[id.len() - 2..];
    let wrong = if right == "00" { "01" } else { "00" };
    let mistyped = format!("{}{wrong}", &id[..id.len() - 2]);
    let cases = [
        ("CT-A-CHI-0001-P-26-A-0", "has not issued it"),
        ("03-1-USA-5537-P-2602-0-38", "has not issued it"),
        (&mistyped, &format!("check digits are {wrong}, and must be {right}")),
        ("01-C-INF-0177-I-2510-7-23", "its profile is service-v1"),
        ("ct-a-chi-0001-p-26-a-0", "capital letters"),
        ("NONSENSE", "the version of a client-v1 id"),
        ("03-1-USA-5537-P-2602-0-38%20", "whitespace"),
        ("%3Cscript%3E", ""),
        (&"9".repeat(500), "500 bytes are too long"),
    ];
    for (id, error) in cases {
        let answer = served.get(&format!("/v1/validate/{id}")).await;
        assert_eq!((answer.status, &answer.body["valid"]), (200, &json!(false)), "{answer:?}");
        assert!(answer.body["error"].as_str().unwrap().contains(error), "{error}: {answer:?}");
        assert!(answer.body["chittyId"].as_str().unwrap().len() <= chittyid::MAX_LEN);
    }
    for body in ["{}", "{\"id\":7}", "", "[]"] {
        let answer = served.ask("POST /v1/validate", None, &[], body).await;
        answer.refuses(400, "INVALID_REQUEST", "");
    }
}

#[tokio::test]
async fn what_was_said_about_an_id_is_told_to_those_with_a_key() {
    let served = served(IssuedProfile::Canonical03).await;
    let order = json!({ "entity": "FACT", "name": "exhibit", "metadata": { "case": 7 } });
    let minted = served.post("/v1/mint", ANN, &order).await.body;
    let id = minted["chittyId"].as_str().unwrap();
    let path = format!("GET /v1/{id}/info");
    let stranger = served.ask(&path, None, &[], "").await;
    assert_eq!(stranger.status, 200);
    assert_eq!(stranger.body["entity"], "FACT");
    assert_eq!(stranger.body["description"], "Fact/Evidence");
    assert_eq!(stranger.body["components"]["type"], "T", "the letter alone does not tell");
    assert_eq!(stranger.body["components"]["entity"], "FACT");
    assert_eq!(stranger.body["components"]["sequence"], 1);
    assert_eq!(stranger.body["components"]["yearMonth"], "2611");
    assert!(!stranger.body.to_string().contains("exhibit"));
    let known = served.ask(&path, Some(ANN), &[], "").await;
    assert_eq!(
        (&known.body["name"], &known.body["metadata"]),
        (&json!("exhibit"), &json!({ "case": 7 }))
    );
    served.get("/v1/03-1-USA-5537-P-2602-0-38/info").await.refuses(404, "NOT_FOUND", "not issued");
    served.get("/v1/03-1-USA-5537-P-2602-0-39/info").await.refuses(400, "INVALID_ID", "must be 38");
    served.get("/v1/nonsense/info").await.refuses(400, "INVALID_ID", "");
}

#[tokio::test]
async fn an_authority_knows_what_it_gave_under_another_profile() {
    let old = served(IssuedProfile::ClientV1).await;
    let id = old.mint("PEO").await;
    let canonical = AuthorityConfig { profile: IssuedProfile::Canonical03, ..config() };
    let new = old.kept.authority(canonical, &old.clock);
    let verdict = new.verdict(&id).unwrap();
    let Verdict::Issued(minted) = verdict else { panic!("{verdict:?}") };
    assert_eq!((minted.id.as_str(), minted.by.as_str()), (id.as_str(), "ann"));
    assert!(matches!(new.verdict("CT-A-CHI-0002-P-26-A-0"), Ok(Verdict::NotIssued(_))));
    assert!(matches!(new.verdict("03-1-USA-5537-P-2602-0-39"), Ok(Verdict::Mismatch(_))));
    assert!(matches!(new.verdict("01-C-INF-0177-I-2510-7-23"), Ok(Verdict::Malformed(_))));
}

#[tokio::test]
async fn an_id_whose_row_is_damaged_is_not_called_unknown() {
    let served = served(IssuedProfile::ClientV1).await;
    let id = served.mint("PEO").await;
    let garbage = Change::put_value(Area::new("chittyid.ids"), id.as_bytes(), b"{");
    served.kept.store.commit(&[garbage]).unwrap();
    assert!(matches!(served.authority.verdict(&id), Err(StoreError::Damaged { .. })));
    let answer = served.get(&format!("/v1/validate/{id}")).await;
    answer.refuses(503, "SERVICE_UNAVAILABLE", "cannot be read");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn health_says_what_it_gives() {
    for (profile, name, form) in [
        (IssuedProfile::ClientV1, "client-v1", "VV-G-LLL-SSSS-T-YM-C-X"),
        (IssuedProfile::Canonical03, "canonical-03", "03-G-LLL-SSSS-T-YYMM-C-XX"),
    ] {
        let served = served(profile).await;
        let answer = served.get("/v1/health").await;
        let wanted = json!({
            "status": "healthy", "service": "ChittyID", "version": env!("CARGO_PKG_VERSION"),
            "authority": "mainstay", "profile": name, "format": form, "runningOut": [],
            "timestamp": answer.body["timestamp"],
            "entityTypes": [
                "PEO", "PLACE", "PROP", "EVNT", "AUTH", "INFO", "FACT", "CONTEXT", "ACTOR"
            ],
        });
        assert_eq!((answer.status, answer.body), (200, wanted));
    }
}
