use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::link::{
    HealthOverrides, LinkConfig, LinkManager, LinkOverrides, ManageError, ManagerConfig,
    ReconnectOverrides, StateName, TcpTransport,
};
use tokio::net::TcpListener;

fn manager(link: LinkConfig) -> LinkManager {
    LinkManager::new(ManagerConfig { link, links_max: 3, ..ManagerConfig::default() }).unwrap()
}

async fn listener() -> (TcpListener, TcpTransport) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpTransport::new(listener.local_addr().unwrap().to_string());
    (listener, tcp)
}

/// The numbers of seed 003, a hundred times faster.
fn quick() -> LinkConfig {
    let mut config = LinkConfig::streamotter();
    config.reconnect.backoff.base = Duration::from_millis(10);
    if let Some(circuit) = &mut config.reconnect.circuit {
        circuit.cooldown = Duration::from_millis(50);
    }
    config
}

#[tokio::test]
async fn links_are_counted_named_and_listed() {
    let (_listener, tcp) = listener().await;
    let manager = manager(LinkConfig::default());
    let add = |name| manager.add(name, LinkOverrides::default(), tcp.clone());
    for name in ["c", "a", "b"] {
        add(name).unwrap();
    }
    assert_eq!(add("a").unwrap_err(), ManageError::Taken);
    assert_eq!(add("d").unwrap_err(), ManageError::Full { links_max: 3 });
    let names: Vec<_> = manager.links().iter().map(|link| link.name().to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(manager.remove("b").await);
    assert!(!manager.remove("b").await);
    assert!(manager.get("b").is_none());
}

#[tokio::test]
async fn the_four_callbacks_of_seed_003_are_called_in_order() {
    let (listener, tcp) = listener().await;
    let address = listener.local_addr().unwrap();
    let manager = manager(quick());
    let link = manager.add("feed", LinkOverrides::default(), tcp).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    manager
        .on_reconnecting("feed", move |attempt, delay| {
            assert!(delay <= Duration::from_secs(30));
            list.lock().unwrap().push(format!("reconnecting {attempt}"));
        })
        .unwrap();
    let note = |text: &'static str| {
        let list = told.clone();
        move || list.lock().unwrap().push(text.to_owned())
    };
    manager.on_reconnected("feed", note("reconnected")).unwrap();
    manager.on_circuit_breaker_open("feed", note("open")).unwrap();
    manager.on_circuit_breaker_closed("feed", note("closed")).unwrap();
    link.connect().await.unwrap();
    let mut watch = link.watch();
    let (peer, _) = listener.accept().await.unwrap();
    drop((peer, listener));
    watch.wait_for(|view| view.state == StateName::Suspended).await.unwrap();
    let _listener = TcpListener::bind(address).await.unwrap();
    watch.wait_for(|view| view.state == StateName::Connected).await.unwrap();
    link.shutdown().await;
    let told = told.lock().unwrap().clone();
    let wanted =
        ["reconnecting 1", "reconnecting 2", "reconnecting 3", "open", "closed", "reconnected"];
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn a_link_with_overrides_gives_up_sooner() {
    let (listener, tcp) = listener().await;
    drop(listener);
    let manager = manager(quick());
    let mut overrides = LinkOverrides::default();
    overrides.reconnect.attempts = Some(Some(2));
    overrides.reconnect.circuit = Some(None);
    let link = manager.add("feed", overrides, tcp).unwrap();
    let mut watch = link.watch();
    link.connect().await.unwrap_err();
    watch.wait_for(|view| view.state == StateName::Failed).await.unwrap();
    assert_eq!(link.stats().total_reconnect_attempts, 2);
}

#[tokio::test]
async fn reconnection_can_be_disabled_and_enabled_for_one_link() {
    let (listener, tcp) = listener().await;
    drop(listener);
    let manager = manager(LinkConfig::default());
    let link = manager.add("feed", LinkOverrides::default(), tcp).unwrap();
    link.connect().await.unwrap_err();
    assert_eq!(link.view().state, StateName::Reconnecting);
    manager.disable_reconnection("feed").unwrap();
    assert_eq!(link.view().state, StateName::Disconnected);
    let base = Some(Duration::from_millis(500));
    let own = ReconnectOverrides { base, ..ReconnectOverrides::default() };
    manager.enable_reconnection("feed", Some(own)).unwrap();
    link.connect().await.unwrap_err();
    assert_eq!(link.view().state, StateName::Reconnecting);
    assert_eq!(manager.disable_reconnection("other").unwrap_err(), ManageError::Unknown);
}

#[tokio::test]
async fn overrides_given_later_are_put_over_those_of_before_field_by_field() {
    let (listener, tcp) = listener().await;
    let manager = manager(quick());
    let mut overrides = LinkOverrides::default();
    overrides.reconnect.attempts = Some(Some(0));
    overrides.health.enabled = Some(false);
    let link = manager.add("feed", overrides, tcp).unwrap();
    let soon = Some(Duration::from_millis(5));
    let later = ReconnectOverrides { base: soon, ..ReconnectOverrides::default() };
    manager.enable_reconnection("feed", Some(later)).unwrap();
    let health = HealthOverrides { interval: soon, timeout: soon, ..HealthOverrides::default() };
    manager.configure_health_checks("feed", health).unwrap();
    link.connect().await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(link.stats().total_health_checks, 0, "probing is still off");
    link.disconnect().await;
    drop(listener);
    link.connect().await.unwrap_err();
    assert_eq!(link.view().state, StateName::Failed, "no redial is allowed still");
}

#[tokio::test]
async fn common_options_change_for_all_and_overrides_stay() {
    let (_listener, tcp) = listener().await;
    let manager = manager(LinkConfig::default());
    let link = manager.add("feed", LinkOverrides::default(), tcp).unwrap();
    link.connect().await.unwrap();
    let health = HealthOverrides {
        interval: Some(Duration::from_millis(20)),
        timeout: Some(Duration::from_millis(20)),
        ..HealthOverrides::default()
    };
    manager.configure_health_checks("feed", health).unwrap();
    let mut bad = LinkConfig::default();
    bad.health.timeout = Duration::from_secs(31);
    assert!(matches!(manager.configure(bad), Err(ManageError::Config(_))));
    manager.configure(LinkConfig::streamotter()).unwrap();
    let checked = async {
        while link.stats().total_health_checks < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), checked).await.unwrap();
    assert!(link.view().healthy);
}

#[tokio::test]
async fn a_shutdown_closes_every_link_and_tells_each_once() {
    let (_listener, tcp) = listener().await;
    let manager = manager(LinkConfig::default());
    let closed = Arc::new(AtomicUsize::new(0));
    for name in ["a", "b", "c"] {
        let link = manager.add(name, LinkOverrides::default(), tcp.clone()).unwrap();
        let count = closed.clone();
        link.on("disconnected", move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        link.connect().await.unwrap();
    }
    manager.shutdown().await;
    assert_eq!(closed.load(Ordering::SeqCst), 3);
    assert!(manager.links().is_empty());
}
