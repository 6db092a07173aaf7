//! Who did what, and for how long that is known.

use std::time::Duration;

use chittyid_server::{Audited, AuthorityConfig, Entry, Request, key_hash};
use mainstay_store::{Area, Change};
use serde_json::json;

use crate::served::{ANN, BOB, Hand, Kept, ROOT, Served, caller, config};

fn entries(served: &Served) -> Vec<Entry> {
    served.authority.audit(None, 10_000).unwrap().entries
}

#[tokio::test]
async fn every_mint_is_in_the_log_once_with_the_hash_of_its_key() {
    let served = Served::new(config()).await;
    let order = json!({ "requests": [{ "entity": "PEO" }, { "entity": "FACT" }] });
    let text = order.to_string();
    for _ in 0..3 {
        let ask = served.ask("POST /v1/mint/batch", Some(ANN), &["Idempotency-Key: a"], &text);
        assert_eq!(ask.await.status, 200);
    }
    served.clock.pass(Duration::from_secs(1));
    assert_eq!(served.post("/v1/mint", BOB, &json!({ "entity": "PEO" })).await.status, 200);
    served.post("/v1/mint", BOB, &json!({ "entity": "no" })).await.refuses(
        400,
        "INVALID_ENTITY",
        "",
    );
    let found = entries(&served);
    let wanted = [
        ("ann", ANN, vec!["CT-A-CHI-0001-P-26-A-0", "CT-A-CHI-0001-F-26-A-0"], 0),
        ("bob", BOB, vec!["CT-A-CHI-0002-P-26-A-0"], 1_000),
    ];
    let wanted = wanted.map(|(by, key, ids, after)| Entry {
        at: 1_795_219_200_000 + after,
        what: "mint".into(),
        ids: ids.into_iter().map(String::from).collect(),
        by: by.into(),
        key: Some(key_hash(key)),
        address: Some("127.0.0.1".into()),
        outcome: "minted".into(),
    });
    assert_eq!(found, wanted);
    // No key, neither in the log nor anywhere in the store.
    let read = served.ask("GET /v1/audit", Some(ROOT), &[], "").await;
    assert_eq!(read.body["entries"].as_array().unwrap().len(), 2);
    for area in ["chittyid.ids", "chittyid.answers", "chittyid.audit"] {
        // Each area's name must live as long as the program.
        let area = Area::new(area);
        for (name, row) in served.kept.store.values(area, None, 1_000).unwrap() {
            for key in [ANN, BOB, ROOT] {
                let is_in = |bytes: &[u8]| bytes.windows(key.len()).any(|at| at == key.as_bytes());
                assert!(!is_in(&name) && !is_in(&row), "{key} stands in the store");
            }
        }
    }
    assert!(!read.body.to_string().contains(ANN));
}

#[tokio::test]
async fn validations_are_in_the_log_where_that_is_wanted() {
    for (audit, wanted) in [(Audited::Mints, 1), (Audited::All, 6)] {
        let served = Served::new(AuthorityConfig { audit, ..config() }).await;
        let id = served.mint("PEO").await;
        served.get(&format!("/v1/validate/{id}")).await;
        served.get("/v1/validate/CT-A-CHI-0002-P-26-A-0").await;
        served.get(&format!("/v1/validate/{}", "x".repeat(300))).await;
        served.ask(&format!("GET /v1/{id}/info"), Some(BOB), &[], "").await;
        served.get("/v1/nonsense/info").await;
        served.kept.writer.flush().await.unwrap();
        let mut found = entries(&served);
        assert_eq!(found.len(), wanted, "{found:?}");
        if audit == Audited::All {
            found.sort_by_key(|entry| (entry.what.clone(), entry.outcome.clone()));
            let said: Vec<_> = found
                .iter()
                .map(|entry| (entry.what.as_str(), entry.outcome.as_str(), entry.by.as_str()))
                .collect();
            let wanted = [
                ("info", "invalid", "anonymous"),
                ("info", "valid", "bob"),
                ("mint", "minted", "ann"),
                ("validate", "invalid", "anonymous"),
                ("validate", "unknown", "anonymous"),
                ("validate", "valid", "anonymous"),
            ];
            assert_eq!(said, wanted);
            assert!(found.iter().all(|entry| entry.ids[0].len() <= chittyid::MAX_LEN));
        }
    }
}

#[tokio::test]
async fn the_log_is_read_page_by_page_and_a_damaged_entry_hides_no_other() {
    let served = Served::new(config()).await;
    for _ in 0..10 {
        served.clock.pass(Duration::from_secs(1));
        served.mint("PEO").await;
    }
    let area = Area::new("chittyid.audit");
    let rows = served.kept.store.values(area, None, 100).unwrap();
    served.kept.store.commit(&[Change::put_value(area, &rows[4].0, b"{")]).unwrap();
    let (mut after, mut read, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let order = format!("GET /v1/audit?limit=3{after}");
        let page = served.ask(&order, Some(ROOT), &[], "").await;
        assert_eq!(page.status, 200, "{page:?}");
        pages += 1;
        let entries = page.body["entries"].as_array().unwrap();
        read.extend(entries.iter().map(|entry| entry["ids"][0].as_str().unwrap().to_owned()));
        let Some(next) = page.body["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!((pages, read.len()), (4, 9), "{read:?}");
    assert!(read.is_sorted(), "the oldest come first: {read:?}");
    for wrong in ["limit=0", "limit=1001", "limit=x", "after=x%20"] {
        let order = format!("GET /v1/audit?{wrong}");
        served.ask(&order, Some(ROOT), &[], "").await.refuses(400, "INVALID_REQUEST", "");
    }
}

#[tokio::test]
async fn answers_and_entries_are_dropped_when_they_are_too_old_and_not_before() {
    let kept = Kept::in_memory();
    let clock = Hand::usual();
    let day = Duration::from_secs(86_400);
    let config = AuthorityConfig { idempotency_for: day, audit_for: 10 * day, ..config() };
    let authority = kept.authority(config, &clock);
    let ann = caller("ann");
    let mint = |key: String| {
        let order = vec![Request { entity: "INFO".into(), ..Request::default() }];
        let (authority, ann) = (&authority, &ann);
        async move { authority.mint(order, false, ann, Some(&key)).await.unwrap() }
    };
    let count = |area: &'static str| kept.store.values(Area::new(area), None, 9_999).unwrap().len();
    // More than are read at once.
    for nr in 0..600 {
        mint(format!("old-{nr}")).await;
    }
    clock.pass(day);
    mint("young".into()).await;
    assert_eq!(authority.prune().unwrap(), 0, "nothing is too old yet");
    clock.pass(Duration::from_secs(1));
    // One that was too old is asked for anew: its new answer stays.
    assert!(!mint("old-7".into()).await.repeated);
    assert_eq!(authority.prune().unwrap(), 599);
    assert_eq!((count("chittyid.answers"), count("chittyid.audit")), (2, 602));
    assert!(mint("young".into()).await.repeated && mint("old-7".into()).await.repeated);
    clock.pass(9 * day);
    assert_eq!(authority.prune().unwrap(), 2 + 600);
    assert_eq!((count("chittyid.answers"), count("chittyid.audit")), (0, 2));
    assert_eq!(count("chittyid.ids"), 602, "ids stay for ever");
    assert_eq!(authority.prune().unwrap(), 0);
}
