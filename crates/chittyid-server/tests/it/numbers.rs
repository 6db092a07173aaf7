//! No number twice, and none beyond the last.

use std::collections::HashSet;
use std::sync::Arc;

use chittyid_server::{AuthorityConfig, IssuedProfile, Mint, MintError, Request};
use mainstay_store::{Area, Change};
use serde_json::json;

use crate::served::{ANN, Hand, Kept, Served, caller, config};

const SEQUENCES: Area = Area::new("chittyid.sequences");
const NOVEMBER_END: u64 = 1_796_083_199;
const YEAR_END: u64 = 1_798_761_599;

fn wants(entity: &str, ids: usize) -> Vec<Request> {
    vec![Request { entity: entity.into(), ..Request::default() }; ids]
}

/// Takes every number of the sequence below `next`.
fn use_up(kept: &Kept, sequence: &str, next: u64) {
    let take = |number| {
        let key = sequence.as_bytes().into();
        Change::Take { area: SEQUENCES, key, number, limit: u64::MAX - 1 }
    };
    for start in (1..next).step_by(50_000) {
        let changes: Vec<Change> = (start..next.min(start + 50_000)).map(take).collect();
        kept.store.commit(&changes).unwrap();
    }
}

#[tokio::test]
async fn the_last_number_is_given_and_then_none_while_other_entities_go_on() {
    for (profile, sequence, entities, other, last) in [
        (IssuedProfile::ClientV1, "CT-A-CHI-R-26-A", vec!["PROP"], "PEO", 359_964),
        (
            IssuedProfile::Canonical03,
            "03-1-USA-T-2611-0",
            vec!["PROP", "INFO", "FACT"],
            "PEO",
            9_999,
        ),
    ] {
        let kept = Kept::in_memory();
        use_up(&kept, sequence, last - 1);
        let config = AuthorityConfig { profile, ..config() };
        let served = Served::on(config, kept, Hand::usual()).await;
        // Three are one more than there are: none is given.
        let order = json!({ "requests": vec![json!({ "entity": entities[0] }); 3] });
        let answer = served.post("/v1/mint/batch", ANN, &order).await;
        answer.refuses(409, "SEQUENCE_EXHAUSTED", &format!("sequence {sequence}, only 2 are left"));
        assert_eq!(served.authority.left()[0].left, 2);
        let two = [served.mint(entities[0]).await, served.mint(entities[0]).await];
        assert_ne!(two[0], two[1]);
        let shown = two.map(|id| id.split('-').nth(3).unwrap().to_owned());
        assert_eq!(shown, ["9998", "9999"], "it does not wrap");
        for entity in &entities {
            for _ in 0..3 {
                let answer = served.post("/v1/mint", ANN, &json!({ "entity": entity })).await;
                let message = format!("all {last} ids of the sequence {sequence} are given");
                answer.refuses(409, "SEQUENCE_EXHAUSTED", &message);
            }
        }
        assert!(served.mint(other).await.contains("-0001-"));
        assert_eq!(
            served.kept.store.next_number(SEQUENCES, sequence.as_bytes()).unwrap(),
            last + 1
        );
        let used =
            served.ask("GET /v1/sequences", Some(ANN), &[], "").await.body["sequences"].clone();
        let first = json!({ "sequence": sequence, "limit": last, "left": 0 });
        assert_eq!(
            (&used[0], used.as_array().unwrap().len()),
            (&first, 2),
            "what runs out is first"
        );
        assert_eq!(used[1]["limit"].as_u64().unwrap() - used[1]["left"].as_u64().unwrap(), 1);
        served.get("/v1/sequences").await.refuses(401, "UNAUTHORIZED", "");
        let low = &served.get("/v1/health").await.body["runningOut"];
        assert_eq!(low, &json!([{ "sequence": sequence, "limit": last, "left": 0 }]));
        // A batch that needs both is refused as a whole.
        let order = json!({ "requests": [{ "entity": other }, { "entity": entities[0] }] });
        let answer = served.post("/v1/mint/batch", ANN, &order).await;
        answer.refuses(409, "SEQUENCE_EXHAUSTED", sequence);
        assert!(served.mint(other).await.contains("-0002-"));
    }
}

#[tokio::test]
async fn client_ids_go_on_with_the_next_extension_after_9999() {
    let kept = Kept::in_memory();
    use_up(&kept, "CT-A-CHI-P-26-A", 9_999);
    let served = Served::on(config(), kept, Hand::usual()).await;
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-9999-P-26-A-0");
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0001-P-26-A-1");
}

#[tokio::test]
async fn a_new_month_begins_canonical_numbers_anew_and_a_new_year_those_of_clients() {
    let profile = IssuedProfile::Canonical03;
    let clock = Hand::at(NOVEMBER_END);
    let canonical = AuthorityConfig { profile, ..config() };
    let served = Served::on(canonical, Kept::in_memory(), clock.clone()).await;
    assert!(served.mint("PEO").await.starts_with("03-1-USA-0001-P-2611-0-"));
    assert!(served.mint("ACTOR").await.starts_with("03-1-USA-0002-P-2611-0-"), "they share P");
    clock.set(NOVEMBER_END + 1);
    assert!(served.mint("PEO").await.starts_with("03-1-USA-0001-P-2612-0-"));
    // A clock that is set back goes on where that month was.
    clock.set(NOVEMBER_END);
    assert!(served.mint("PEO").await.starts_with("03-1-USA-0003-P-2611-0-"));
    clock.set(YEAR_END + 1);
    assert!(served.mint("PEO").await.starts_with("03-1-USA-0001-P-2701-0-"));

    let clock = Hand::at(NOVEMBER_END);
    let served = Served::on(config(), Kept::in_memory(), clock.clone()).await;
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0001-P-26-A-0");
    clock.set(YEAR_END);
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0002-P-26-A-0");
    clock.set(YEAR_END + 1);
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0001-P-27-A-0");
}

#[tokio::test]
async fn what_is_left_of_a_month_that_is_over_is_nobodys_trouble() {
    for (profile, sequence, next, end) in [
        (IssuedProfile::Canonical03, "03-1-USA-P-2611-0", 9_999, NOVEMBER_END),
        (IssuedProfile::ClientV1, "CT-A-CHI-P-26-A", 359_964, YEAR_END),
    ] {
        let kept = Kept::in_memory();
        use_up(&kept, sequence, next);
        let clock = Hand::at(end);
        let config = AuthorityConfig { profile, ..config() };
        let served = Served::on(config, kept, clock.clone()).await;
        served.mint("PEO").await;
        assert_eq!(served.authority.left()[0].left, 0);
        assert_eq!(served.get("/v1/health").await.body["runningOut"][0]["sequence"], sequence);
        // Nobody asks for an id in the new month.
        clock.set(end + 1);
        assert_eq!(served.authority.left(), []);
        assert_eq!(served.get("/v1/health").await.body["runningOut"], json!([]));
        served.mint("PEO").await;
        let left = served.authority.left();
        assert_eq!((left.len(), left[0].limit - left[0].left), (1, 1), "{left:?}");
        // A clock that goes back knows of both.
        clock.set(end);
        let refused = served.post("/v1/mint", ANN, &json!({ "entity": "PEO" })).await;
        refused.refuses(409, "SEQUENCE_EXHAUSTED", sequence);
        assert_eq!(served.authority.left().len(), 2);
    }
}

#[tokio::test]
async fn a_clock_that_ids_cannot_show_gives_none() {
    let clock = Hand::at(0);
    let served = Served::on(config(), Kept::in_memory(), clock.clone()).await;
    let answer = served.post("/v1/mint", ANN, &json!({ "entity": "PEO" })).await;
    answer.refuses(500, "MINT_FAILED", "year");
    clock.set(YEAR_END);
    served.mint("PEO").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_authorities_on_one_store_give_each_number_once() {
    let kept = Kept::in_memory();
    let clock = Hand::usual();
    let both = [(); 2].map(|()| Arc::new(kept.authority(config(), &clock)));
    let mut tasks = Vec::new();
    for nr in 0..8_usize {
        let authority = both[nr % 2].clone();
        tasks.push(tokio::spawn(async move {
            let ann = caller("ann");
            let mut ids = Vec::new();
            for round in 0..40 {
                // Each key is shown to both.
                let key = format!("{}-{round}", nr / 2);
                let order = wants("PEO", 1 + round % 3);
                let mint = authority.mint(order, true, &ann, Some(&key)).await.unwrap();
                ids.push((key, mint));
            }
            ids
        }));
    }
    let mut by_key: std::collections::HashMap<String, Vec<Mint>> = Default::default();
    for task in tasks {
        for (key, mint) in task.await.unwrap() {
            by_key.entry(key).or_default().push(mint);
        }
    }
    let mut all = HashSet::new();
    for (key, mints) in &by_key {
        assert_eq!(mints.len(), 2);
        assert_eq!(mints[0].minted, mints[1].minted, "{key} has one answer");
        assert_eq!(mints.iter().filter(|mint| mint.repeated).count(), 1, "{key}");
        for one in &mints[0].minted {
            assert!(all.insert(one.id), "{} twice", one.id);
        }
    }
    let next = kept.store.next_number(SEQUENCES, b"CT-A-CHI-P-26-A").unwrap();
    assert_eq!(next, all.len() as u64 + 1, "no number is lost");
}

#[tokio::test]
async fn whoever_asks_without_http_is_told_what_is_left() {
    let kept = Kept::in_memory();
    use_up(&kept, "CT-A-CHI-P-26-A", 359_964);
    let authority = kept.authority(config(), &Hand::usual());
    let error = authority.mint(wants("PEO", 2), true, &caller("ann"), None).await.unwrap_err();
    let MintError::Exhausted { sequence, limit, left } = error else { panic!("{error:?}") };
    assert_eq!((sequence.as_str(), limit, left), ("CT-A-CHI-P-26-A", 359_964, 1));
}
