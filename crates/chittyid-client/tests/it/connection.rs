//! The watched connection, as seed 000 has it; the link's own tests hold the rest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chittyid_client::{Client, ClientConfig, EntityType, Error, Verdict, WatchConfig};
use mainstay::link::StateName;
use mainstay_fault::{Admission, Fault, FaultProxy};
use serde_json::{Value, json};

use crate::world::{MS, World, config, minted, until};

/// A client whose connection is watched.
fn watched(world: &World) -> Client {
    Client::new(ClientConfig { watch: patient(), ..world.config() }).unwrap()
}

/// Short waits, and health checks that a loaded machine answers in time; none comes by itself.
fn patient() -> WatchConfig {
    let interval = Duration::from_secs(3_600);
    WatchConfig { interval, first_wait: 10 * MS, ..WatchConfig::default() }
}

fn state(client: &Client) -> &'static str {
    client.connection_status().state
}

#[tokio::test]
async fn nothing_is_connected_before_it_is_needed() {
    let world = World::new().await;
    let client = watched(&world);
    assert!(chittyid::validate_format("CT-A-CHI-1234-I-24-A-0"));
    client.validate("not an id").await;
    drop((client.get_service_health(), client.cache_stats()));
    let status = serde_json::to_value(client.connection_status()).unwrap();
    assert_eq!(status, json!({ "initialized": false, "state": "NOT_INITIALIZED" }));
    client.disconnect().await;
    assert_eq!(state(&client), "NOT_INITIALIZED");
    assert_eq!(world.seen.checks.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_first_request_starts_the_watch_by_itself() {
    let world = World::new().await;
    let client = watched(&world);
    minted(&client).await;
    assert!(client.connection_status().initialized);
    until("it is connected", || state(&client) == "CONNECTED").await;
    let details = client.connection_status().details.unwrap();
    assert!(details.is_healthy && details.stats.is_connected);
    assert!(details.last_successful_connection.unwrap() > 1_600_000_000_000);
}

#[tokio::test]
async fn a_watch_that_is_off_stays_off_until_somebody_connects() {
    let world = World::new().await;
    let client = world.client();
    minted(&client).await;
    assert_eq!(state(&client), "NOT_INITIALIZED");
    client.connect().await.unwrap();
    assert_eq!(state(&client), "CONNECTED");
}

#[tokio::test]
async fn many_who_connect_at_once_share_one_result() {
    let world = World::new().await;
    let client = watched(&world);
    let (a, b, c) = tokio::join!(client.connect(), client.connect(), client.connect());
    assert_eq!((a, b, c), (Ok(()), Ok(()), Ok(())));
    assert_eq!(world.seen.checks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_service_that_is_not_well_is_noticed_and_connected_to_again() {
    let world = World::new().await;
    let client = watched(&world);
    client.connect().await.unwrap();
    world.set_health(503);
    assert!(!client.connection().check_now().await);
    until("it reconnects", || state(&client) == "RECONNECTING").await;
    assert_eq!(client.connection_status().details.unwrap().uptime, 0);
    world.set_health(0);
    until("it is back", || state(&client) == "CONNECTED").await;
    let stats = client.connection_status().details.unwrap().stats;
    assert_eq!((stats.total_connections, stats.total_reconnections), (2, 1));
}

#[tokio::test]
async fn a_call_that_finds_nobody_tells_the_watch_before_the_next_check() {
    let world = World::new().await;
    let proxy = FaultProxy::start(world.address).await.unwrap();
    let config = config(&format!("http://{}", proxy.address()));
    let client = Client::new(ClientConfig { watch: patient(), ..config }).unwrap();
    client.connect().await.unwrap();
    proxy.set(Fault { admission: Admission::Refuse, ..Fault::default() });
    proxy.cut_all();
    until("a call fails", || {
        state(&client) != "CONNECTED" || {
            let client = client.clone();
            tokio::spawn(async move { drop(client.validate("CT-A-CHI-1234-I-24-A-0").await) });
            false
        }
    })
    .await;
    proxy.set(Fault::NONE);
    until("it is back", || state(&client) == "CONNECTED").await;
}

#[tokio::test]
async fn a_service_that_answers_only_that_it_fails_is_not_kept_for_well() {
    let world = World::new().await;
    let watch = WatchConfig { unhealthy_threshold: 2, ..patient() };
    let client = Client::new(ClientConfig { watch, ..world.config() }).unwrap();
    client.connect().await.unwrap();
    world.set_health(503);
    world.fail(500, usize::MAX);
    assert!(!client.connection().check_now().await);
    assert_eq!(state(&client), "CONNECTED");
    client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    assert!(!client.connection().check_now().await);
    assert_eq!(state(&client), "RECONNECTING");
}

#[tokio::test]
async fn health_checks_go_on_while_it_is_connected_and_end_with_it() {
    let world = World::new().await;
    let mut watch = patient();
    watch.interval = 20 * MS;
    watch.timeout = 20 * MS;
    // A loaded machine may be late: one late answer is no end.
    watch.unhealthy_threshold = 1_000;
    let client = Client::new(ClientConfig { watch, ..world.config() }).unwrap();
    // The first one, too, may be late.
    drop(client.connect().await);
    until("it is connected", || state(&client) == "CONNECTED").await;
    let checks = || world.seen.checks.load(Ordering::SeqCst);
    let before = checks();
    until("there are more checks", || checks() >= before + 3).await;
    client.disconnect().await;
    assert_eq!(state(&client), "DISCONNECTED");
    let after = checks();
    tokio::time::sleep(200 * MS).await;
    assert!(checks() <= after + 1, "one may have been on its way");
}

#[tokio::test]
async fn events_have_the_seeds_names_and_listeners_can_be_removed() {
    let world = World::new().await;
    let client = watched(&world);
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let mut listeners = Vec::new();
    for name in ["connected", "disconnected", "stateChange", "unhealthy", "reconnecting"] {
        let heard = heard.clone();
        let add = move |_: &mainstay::link::LinkEvent| heard.lock().unwrap().push(name.to_owned());
        listeners.push(client.connection().on(name, add).unwrap());
    }
    assert_eq!(state(&client), "DISCONNECTED", "listening connects nothing");
    client.connect().await.unwrap();
    client.disconnect().await;
    let all = || heard.lock().unwrap().join(" ");
    let expected = "stateChange stateChange connected stateChange stateChange disconnected";
    until("all was told", || all().split(' ').count() >= 6).await;
    assert_eq!(all(), expected);
    for listener in listeners {
        listener.remove();
    }
    client.connect().await.unwrap();
    client.disconnect().await;
    assert_eq!(all(), expected);
}

#[tokio::test]
async fn a_listener_that_panics_disturbs_no_other() {
    let world = World::new().await;
    let client = watched(&world);
    let heard = Arc::<AtomicUsize>::default();
    let counted = heard.clone();
    let link = client.connection();
    let bad = link.on("connected", |_| panic!("on purpose")).unwrap();
    let good = link.on("connected", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    client.connect().await.unwrap();
    until("it was told", || heard.load(Ordering::SeqCst) == 1).await;
    drop((bad, good));
}

#[tokio::test]
async fn attempts_end_at_their_number_and_it_is_failed_then() {
    let world = World::new().await;
    world.set_health(500);
    let watch = WatchConfig { attempts: Some(3), ..patient() };
    let client = Client::new(ClientConfig { watch, ..world.config() }).unwrap();
    let exhausted = Arc::<AtomicUsize>::default();
    let counted = exhausted.clone();
    let listener = client.connection().on("maxReconnectAttemptsReached", move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    client.connect().await.unwrap_err();
    until("it gives up", || state(&client) == "FAILED").await;
    until("it tells", || exhausted.load(Ordering::SeqCst) == 1).await;
    assert_eq!(world.seen.checks.load(Ordering::SeqCst), 4, "the first is not counted");
    drop(listener);
}

#[tokio::test]
async fn a_connection_that_failed_gates_calls_only_where_that_was_asked_for() {
    let world = World::new().await;
    world.set_health(401);
    for fails_fast in [false, true] {
        let config = ClientConfig {
            watch: patient(),
            fail_fast_when_disconnected: fails_fast,
            ..world.config()
        };
        let client = Client::new(config).unwrap();
        client.connect().await.unwrap_err();
        until("it gives up", || state(&client) == "FAILED").await;
        let before = world.requests();
        let result = client.mint(EntityType::Information, Value::Null).await;
        if fails_fast {
            assert!(matches!(result, Err(Error::Disconnected)), "{result:?}");
            let verdict = client.validate("CT-A-CHI-1234-I-24-A-0").await;
            assert!(matches!(verdict, Verdict::Unverified { .. }), "{verdict:?}");
            assert_eq!(world.requests(), before);
        } else {
            result.unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_down_for_a_while_gates_nothing() {
    let world = World::new().await;
    world.set_health(503);
    let config =
        ClientConfig { watch: patient(), fail_fast_when_disconnected: true, ..world.config() };
    let client = Client::new(config).unwrap();
    client.connect().await.unwrap_err();
    assert_ne!(client.connection().view().state, StateName::Failed);
    minted(&client).await;
}

#[tokio::test]
async fn a_reset_forgets_what_was_counted() {
    let world = World::new().await;
    let client = watched(&world);
    client.connect().await.unwrap();
    assert!(client.connection().check_now().await);
    client.connection().reset();
    until("it is reset", || {
        let details = client.connection_status().details.unwrap();
        details.stats.total_connections == 0 && details.last_health_check.is_none()
    })
    .await;
}

#[tokio::test]
async fn clones_share_one_connection_and_it_is_closed_with_the_last() {
    let world = World::new().await;
    let client = watched(&world);
    let clone = client.clone();
    clone.connect().await.unwrap();
    assert_eq!(state(&client), "CONNECTED");
    let mut view = client.connection().watch();
    drop(client);
    assert_eq!(state(&clone), "CONNECTED");
    drop(clone);
    let ended = view.wait_for(|view| view.state == StateName::Disconnected).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn health_is_asked_for_on_the_origin_whatever_the_prefix() {
    let world = World::new().await;
    let url = format!("http://{}/api/v1", world.address);
    let client = Client::new(ClientConfig { watch: patient(), ..config(&url) }).unwrap();
    client.connect().await.unwrap();
    assert_eq!(client.connection().target().as_ref(), format!("http://{}", world.address));
}
