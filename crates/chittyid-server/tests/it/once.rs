//! A key that is shown again is answered as the first time.

use std::collections::HashSet;
use std::time::Duration;

use chittyid_server::{AuthorityConfig, IssuedProfile, MintError, Request};
use serde_json::json;

use crate::served::{ANN, Answer, BOB, Hand, Kept, Served, caller, config};

async fn with_key(served: &Served, who: &str, key: &str, entity: &str) -> Answer {
    let line = format!("Idempotency-Key: {key}");
    let body = json!({ "entity": entity, "metadata": { "n": 1, "m": { "b": 1, "a": 2 } } });
    served.ask("POST /v1/mint", Some(who), &[&line], &body.to_string()).await
}

#[tokio::test]
async fn the_same_key_with_the_same_request_has_one_id_and_the_same_answer() {
    let served = Served::new(config()).await;
    let first = with_key(&served, ANN, "k1", "PEO").await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None));
    served.clock.pass(Duration::from_secs(3600));
    let again = with_key(&served, ANN, "k1", "PEO").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(again.body, first.body);
    // The same said otherwise is the same.
    let said = "{ \"entityType\": \"peo\", \"metadata\": { \"m\": {\"a\":2,\"b\":1}, \"n\": 1 } }";
    let other = ["Idempotency-Key: k1"];
    let other = served.ask("POST /v1/mint", Some(ANN), &other, said).await;
    assert_eq!(other.body, first.body);
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0002-P-26-A-0", "one number was taken");
}

#[tokio::test]
async fn the_same_key_for_something_else_is_refused_and_another_callers_is_another() {
    let served = Served::new(config()).await;
    let first = with_key(&served, ANN, "k1", "PEO").await;
    let other = with_key(&served, ANN, "k1", "FACT").await;
    other.refuses(409, "IDEMPOTENCY_KEY_REUSED", "take a new one");
    let bob = with_key(&served, BOB, "k1", "PEO").await;
    assert_eq!((bob.status, bob.header("idempotency-replayed")), (200, None));
    assert_ne!(bob.body["chittyId"], first.body["chittyId"]);
    assert_eq!(with_key(&served, ANN, "k1", "PEO").await.body, first.body);
}

#[tokio::test]
async fn a_batch_is_answered_again_as_a_whole() {
    let served = Served::new(config()).await;
    let body = json!({ "requests": [{ "entity": "PEO" }, { "entity": "FACT", "name": "x" }] });
    let ask = || served.ask("POST /v1/mint/batch", Some(ANN), &["Idempotency-Key: b"], "");
    ask().await.refuses(400, "INVALID_REQUEST", "");
    let text = body.to_string();
    let order = "POST /v1/mint/batch";
    let first = served.ask(order, Some(ANN), &["Idempotency-Key: b"], &text).await;
    let again = served.ask(order, Some(ANN), &["Idempotency-Key: b"], &text).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_the_same_moment_under_one_key_have_one_id() {
    let served = Served::new(config()).await;
    for round in 0..20 {
        let key = format!("round-{round}");
        let asked = (0..16).map(|nr| {
            // Some ask for something else under the key: they get nothing, or the others do.
            let entity = if nr == 15 { "FACT" } else { "PEO" };
            with_key(&served, ANN, &key, entity)
        });
        let answers = futures(asked).await;
        let ids: HashSet<String> = answers
            .iter()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.body["chittyId"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let first = answers.iter().filter(|answer| {
            answer.status == 200 && answer.header("idempotency-replayed").is_none()
        });
        assert_eq!(first.count(), 1);
        let refused = answers.iter().filter(|answer| answer.status == 409).count();
        assert!(refused == 1 || refused == 15, "{refused}");
    }
}

/// All of them, begun before any is waited for.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn a_key_holds_over_a_restart_and_ends_when_it_is_too_old() {
    let folder = tempfile::tempdir().unwrap();
    let kept_for = Duration::from_secs(600);
    let config = AuthorityConfig { idempotency_for: kept_for, ..config() };
    let clock = Hand::usual();
    let serve = || Served::on(config.clone(), Kept::in_folder(folder.path()), clock.clone());
    let served = serve().await;
    let first = with_key(&served, ANN, "k1", "PEO").await;
    stop(served).await;

    let served = serve().await;
    clock.pass(kept_for);
    assert_eq!(with_key(&served, ANN, "k1", "PEO").await.body, first.body);
    with_key(&served, ANN, "k1", "FACT").await.refuses(409, "IDEMPOTENCY_KEY_REUSED", "");
    clock.pass(Duration::from_secs(1));
    let new = with_key(&served, ANN, "k1", "FACT").await;
    assert_eq!((new.status, new.header("idempotency-replayed")), (200, None));
    // From now on the new one counts.
    stop(served).await;
    let served = serve().await;
    assert_eq!(with_key(&served, ANN, "k1", "FACT").await.body, new.body);
    with_key(&served, ANN, "k1", "PEO").await.refuses(409, "IDEMPOTENCY_KEY_REUSED", "");
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0002-P-26-A-0");
}

/// Ends it so that its folder can be opened.
async fn stop(served: Served) {
    let (authority, kept) = (served.authority.clone(), served.kept.clone());
    drop(served);
    kept.writer.close();
    drop(kept);
    // Its connections hold it until they have ended.
    let mut authority = Some(authority);
    for _ in 0..6_000 {
        match std::sync::Arc::try_unwrap(authority.take().unwrap()) {
            Ok(alone) => return drop(alone),
            Err(shared) => authority = Some(shared),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("somebody holds the authority");
}

#[tokio::test]
async fn what_was_answered_under_another_profile_is_answered_the_same() {
    let kept = Kept::in_memory();
    let clock = Hand::usual();
    let order = || vec![Request { entity: "PEO".into(), ..Request::default() }];
    let ann = caller("ann");
    let old = kept.authority(config(), &clock);
    let first = old.mint(order(), false, &ann, Some("k")).await.unwrap();
    drop(old);
    let canonical = AuthorityConfig { profile: IssuedProfile::Canonical03, ..config() };
    let new = kept.authority(canonical, &clock);
    let again = new.mint(order(), false, &ann, Some("k")).await.unwrap();
    assert_eq!((&again.minted, again.repeated), (&first.minted, true));
}

#[tokio::test]
async fn whoever_shows_another_token_is_the_same_caller() {
    let kept = Kept::in_memory();
    let authority = kept.authority(config(), &Hand::usual());
    let order = || vec![Request { entity: "PEO".into(), ..Request::default() }];
    let ann = caller("ann");
    let renewed = chittyid_server::Caller { key: Some("0123456789abcdef".into()), ..ann.clone() };
    let first = authority.mint(order(), false, &ann, Some("k")).await.unwrap();
    let again = authority.mint(order(), false, &renewed, Some("k")).await.unwrap();
    assert_eq!(again.minted, first.minted);
    let other = authority.mint(order(), false, &caller("bob"), Some("k")).await.unwrap();
    assert_ne!(other.minted, first.minted);
}

#[tokio::test]
async fn an_answer_that_is_damaged_is_an_error_and_mints_nothing() {
    let kept = Kept::in_memory();
    let authority = kept.authority(config(), &Hand::usual());
    let order = || vec![Request { entity: "PEO".into(), ..Request::default() }];
    let ann = caller("ann");
    authority.mint(order(), false, &ann, Some("k")).await.unwrap();
    let area = mainstay_store::Area::new("chittyid.answers");
    let (key, _) = kept.store.values(area, None, 1).unwrap().remove(0);
    kept.store.commit(&[mainstay_store::Change::put_value(area, &key, b"{")]).unwrap();
    let error = authority.mint(order(), false, &ann, Some("k")).await.unwrap_err();
    assert!(
        matches!(error, MintError::Store(mainstay_store::StoreError::Damaged { .. })),
        "{error:?}"
    );
    let next = authority.mint(order(), false, &ann, None).await.unwrap();
    assert_eq!(next.minted[0].id, "CT-A-CHI-0002-P-26-A-0");
}
