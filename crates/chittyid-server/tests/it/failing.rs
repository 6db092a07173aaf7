//! A disk that is full: the kernel's own limit to the size of files stands for it.
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::child;
use crate::served::{ANN, Answer, Hand, Kept, Served, config};

#[test]
fn a_full_disk_is_told_and_no_number_is_lost_or_doubled_by_it() {
    if let Some(folder) = child::folder() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(fill(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "failing::a_full_disk_is_told_and_no_number_is_lost_or_doubled_by_it";
    // Without the signal, a write past the limit is an error; the limit is 4 or 8 MiB.
    let limit = "trap '' XFSZ; ulimit -S -f 8192;";
    let done = child::command(test, folder.path(), limit).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(std::fs::metadata(folder.path().join("was-full")).is_ok(), "it was never full: {said}");
}

async fn fill(folder: &Path) {
    let kept = Kept::in_folder(folder);
    let served = Served::on(config(), kept, Hand::usual()).await;
    // So large that a few hundred of them fill the file, whatever was free in it.
    let large = json!({ "entity": "PEO", "metadata": { "a": "x".repeat(9_900) } });
    let body = json!({ "requests": vec![large.clone(); 20] });
    let mut ids = HashSet::new();
    let mut full = None;
    for nr in 0..1_000 {
        let line = format!("Idempotency-Key: k{nr}");
        let order = "POST /v1/mint/batch";
        let answer = served.ask(order, Some(ANN), &[&line], &body.to_string()).await;
        if answer.status == 200 {
            take(&mut ids, &answer);
        } else {
            full = Some((nr, answer));
            break;
        }
    }
    let (at, answer) = full.expect("a file cannot grow past the limit");
    answer.refuses(503, "STORAGE", "cannot be stored now");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(!answer.body.to_string().contains(&folder.display().to_string()), "{answer:?}");
    // Where a batch does not fit, one id may. Once none does, health says so.
    let mut unwell = None;
    for _ in 0..5_000 {
        let one = served.post("/v1/mint", ANN, &large).await;
        if one.status == 200 {
            assert!(ids.insert(one.body["chittyId"].as_str().unwrap().to_owned()));
            continue;
        }
        one.refuses(503, "STORAGE", "cannot be stored now");
        let health = served.get("/v1/health").await;
        if health.status == 503 {
            unwell = Some(health);
            break;
        }
    }
    let health = unwell.expect("in the end nothing fits");
    assert_eq!(health.body["status"], json!("unhealthy"));
    // What is there can be read.
    let known = served.get("/v1/validate/CT-A-CHI-0001-P-26-A-0").await;
    assert_eq!(known.body["valid"], true);
    // The store finds free pages when it opens its file anew: then a batch is given, and whole.
    for _ in 0..3 {
        let batch = served.post("/v1/mint/batch", ANN, &body).await;
        if batch.status == 200 {
            assert_eq!(batch.body["chittyIds"].as_array().map(Vec::len), Some(20));
            take(&mut ids, &batch);
        } else {
            batch.refuses(503, "STORAGE", "cannot be stored now");
        }
    }

    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    // Nobody mints where health is bad: it finds out by itself.
    for round in 0.. {
        if served.get("/v1/health").await.status == 200 {
            break;
        }
        assert!(round < 1_000, "it stays unhealthy");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let line = format!("Idempotency-Key: k{at}");
    let again = served.ask("POST /v1/mint/batch", Some(ANN), &[&line], &body.to_string()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, None), "{again:?}");
    let count = take(&mut ids, &again);
    // All numbers that were given follow each other.
    let last = served.mint("PEO").await;
    assert_eq!(last, format!("CT-A-CHI-{:04}-P-26-A-0", count + 1));
    std::fs::write(folder.join("was-full"), "").unwrap();
}

/// The ids of a batch, none of which was there before; answers how many there are now.
fn take(ids: &mut HashSet<String>, answer: &Answer) -> usize {
    for id in answer.body["chittyIds"].as_array().unwrap() {
        assert!(ids.insert(id.as_str().unwrap().to_owned()), "{id} twice");
    }
    ids.len()
}
