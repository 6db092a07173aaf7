//! What an authority of ids gives a second, each stored before it is answered, and what looking one
//! up takes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant as Wall};

use chittyid_client::{Client, ClientConfig, EntityType};
use chittyid_server::{Authority, AuthorityConfig, Caller, Request, Verdict, authority_routes};
use mainstay_store::{RedbStore, Store, StoreConfig, Writer};
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::durable::synced;
use crate::measure::{Row, measure};
use crate::report::{Measured, Section, Target, times};
use crate::took::Took;

/// How long each row runs.
const ROW: Duration = Duration::from_secs(2);
/// Ids of one batch.
const BATCH: usize = 100;
/// Ids among which one is looked up.
const ISSUED: usize = 100_000;

pub fn sections() -> Vec<Section> {
    let mint = "Ids of an authority on redb, without HTTP: number, row, audit entry, all in one synced \
                commit before the answer; so many callers at the same time, each following the one \
                before, for 2 s. A batch has 100 ids. Beside it a plain file that is written and synced: \
                what the disk allows. Seed 002 claims 182 ms an id.";
    let verdict = "Whether an id was issued, among 100 000, from redb; seed 002 claims 180.5 ms uncached \
                   and 2.3 ms cached. What is no id of ours is refused without a look into the store.";
    let asked = "A client with breaker, retries and its cache of verdicts asks an authority on redb, both \
                 on loopback in this process. Seed 002 claims 182 ms a mint, 180.5 ms a validation \
                 without the cache, 2.3 ms with it, and 54.8 ms where it answers seven of ten.";
    vec![
        Section::measured("ids, minted and stored", mint, minted),
        Section::measured("ids, looked up by their authority", verdict, looked_up),
        Section::measured("ids, over HTTP", asked, over_http),
    ]
}

struct Ground {
    authority: Arc<Authority>,
    caller: Caller,
    _folder: TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = StoreConfig::default();
        let store: Arc<dyn Store> =
            Arc::new(RedbStore::open(folder.path(), &config).expect("a new store"));
        let writer = Arc::new(Writer::start(store.clone(), &config).expect("a thread"));
        let ids = AuthorityConfig {
            mints_per_minute: 1_000_000,
            batch_max: 1_000,
            ..AuthorityConfig::default()
        };
        let authority = Authority::new(ids, store, writer).expect("the config is sound");
        let authority = Arc::new(authority);
        let caller = Caller { name: "bench".into(), key: None, address: None, is_admin: false };
        Self { authority, caller, _folder: folder }
    }

    async fn mint(&self, count: usize) -> Vec<String> {
        let wanted = Request { entity: "INFO".into(), ..Request::default() };
        let mint = self.authority.mint(vec![wanted; count], count > 1, &self.caller, None).await;
        mint.expect("it is minted").minted.iter().map(|one| one.id.to_string()).collect()
    }

    async fn follow(&self, count: usize, end: Wall) -> Vec<Duration> {
        let mut took = Vec::new();
        while Wall::now() < end {
            let begun = Wall::now();
            black_box(self.mint(count).await);
            took.push(begun.elapsed());
        }
        took
    }
}

fn minted() -> Measured {
    let mut text = String::from("| work | a second | p50 ms | p99 ms |\n|---|---|---|---|\n");
    text += &synced().0;
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut single, mut batched) = (0.0_f64, 0.0_f64);
    for (callers, count) in [(1, 1), (16, 1), (256, 1), (1_024, 1), (1, BATCH), (16, BATCH)] {
        let ground = Ground::new();
        let begun = Wall::now();
        let end = begun + ROW;
        let took = runtime.block_on(async {
            let all = (0..callers).map(|_| ground.follow(count, end));
            futures_util::future::join_all(all).await
        });
        let took = Took::new(took.into_iter().flatten().collect(), begun.elapsed());
        let what = if count == 1 { "ids" } else { "batches of 100" };
        text += &took.line(&format!("mainstay, {what}, {callers} at a time"));
        let ids = took.a_second() * count as f64;
        let fastest = if count == 1 { &mut single } else { &mut batched };
        *fastest = fastest.max(ids);
    }
    let targets: Vec<Target> = vec![
        (format!("ids minted and stored ≥ 10 000 a second: {single:.0}"), single >= 10_000.0),
        (
            format!("ids minted in batches and stored ≥ 20 000 a second: {batched:.0}"),
            batched >= 20_000.0,
        ),
    ];
    Measured { text, targets }
}

fn looked_up() -> Measured {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ground = Arc::new(Ground::new());
    let mut ids = Vec::with_capacity(ISSUED);
    while ids.len() < ISSUED {
        ids.extend(runtime.block_on(ground.mint(1_000)));
    }
    let ids = Arc::new(ids);
    let rows = vec![
        Row::new("an id that was issued", {
            let (ground, ids) = (ground.clone(), ids.clone());
            move || {
                let (ground, ids) = (ground.clone(), ids.clone());
                move |n| {
                    let place = usize::try_from(n.wrapping_mul(7_919)).unwrap_or(0) % ids.len();
                    let verdict = ground.authority.verdict(&ids[place]).expect("it can be read");
                    assert!(matches!(verdict, Verdict::Issued(_)));
                }
            }
        }),
        Row::new("an id that was not", {
            let ground = ground.clone();
            move || {
                let ground = ground.clone();
                move |_| {
                    let verdict = ground.authority.verdict("ZZ-A-CHI-0001-I-26-A-0");
                    assert!(matches!(verdict, Ok(Verdict::NotIssued(_))));
                }
            }
        }),
        Row::new("no id at all", move || {
            let ground = ground.clone();
            move |_| {
                let verdict = ground.authority.verdict("chitty_1234");
                assert!(matches!(verdict, Ok(Verdict::Malformed(_))));
            }
        }),
    ];
    let figures = measure(&rows);
    let targets: Vec<Target> = figures
        .first()
        .map(|figure| {
            let what = format!("an issued id is looked up < 100 µs: {:.1} µs", figure.nanos / 1e3);
            (what, figure.nanos < 100_000.0)
        })
        .into_iter()
        .collect();
    Measured { text: times(&figures), targets }
}

/// A client, and an authority that answers it over loopback.
async fn served(ground: Arc<Ground>) -> Client {
    use axum::extract::Request as Asked;
    use axum::middleware::{Next, from_fn};

    let (authority, caller) = (ground.authority.clone(), ground.caller.clone());
    let known = from_fn(move |mut asked: Asked, next: Next| {
        let caller = caller.clone();
        async move {
            asked.extensions_mut().insert(caller);
            next.run(asked).await
        }
    });
    let routes = authority_routes(authority).layer(known);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        // The folder goes when nobody asks any more.
        let _ground = ground;
        axum::serve(listener, routes).await
    });
    let mut config = ClientConfig::new(format!("http://{address}"));
    config.watch.enabled = false;
    Client::new(config).expect("the config is sound")
}

fn over_http() -> Measured {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(asked())
}

async fn asked() -> Measured {
    let client = served(Arc::new(Ground::new())).await;
    let mut text = String::from("| work | a second | p50 ms | p99 ms |\n|---|---|---|---|\n");
    let mut ids = Vec::new();
    for callers in [1, 16] {
        let begun = Wall::now();
        let end = begun + ROW;
        let follow = || async {
            let mut took = Vec::new();
            while Wall::now() < end {
                let begun = Wall::now();
                let minted = client.mint(EntityType::Information, serde_json::Value::Null).await;
                took.push((minted.expect("it is minted").id.to_string(), begun.elapsed()));
            }
            took
        };
        let all = futures_util::future::join_all((0..callers).map(|_| follow())).await;
        let (minted, took): (Vec<String>, Vec<Duration>) = all.into_iter().flatten().unzip();
        ids.extend(minted);
        let took = Took::new(took, begun.elapsed());
        text += &took.line(&format!("minted, {callers} at a time"));
    }
    ids.truncate(100);
    for (name, cached_of_ten) in [("cached", 10), ("70 % cached", 7), ("uncached", 0)] {
        let begun = Wall::now();
        let mut took = Vec::new();
        for (number, id) in ids.iter().cycle().take(20_000).enumerate() {
            if number < ids.len() {
                black_box(client.validate(id).await);
            }
            if (number + number / ids.len()) % 10 >= cached_of_ten {
                client.forget(id);
            }
            let asked = Wall::now();
            assert!(client.validate(id).await.is_valid());
            took.push(asked.elapsed());
            if begun.elapsed() > ROW {
                break;
            }
        }
        let took = Took::new(took, begun.elapsed());
        text += &took.line(&format!("validated, {name}"));
    }
    Measured { text, targets: Vec::new() }
}
