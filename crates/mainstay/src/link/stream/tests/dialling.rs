//! Names and addresses. All but one are on 127.0.0.1 and its neighbours, so that they run where
//! there is no IPv6; the order of the families is tested with the race's decision, too.

use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::SockRef;
use tokio::time::timeout;

use super::*;

fn name() -> Authority {
    Authority::new("peer.example", 443).unwrap()
}

fn impatient(change: impl FnOnce(&mut StreamConfig, Duration)) -> StreamConfig {
    let mut config = direct();
    change(&mut config, Duration::from_millis(300));
    config
}

fn peer(stream: &Stream) -> SocketAddr {
    stream.tcp().peer_addr().unwrap()
}

#[tokio::test]
async fn an_address_is_dialled_with_the_options_that_links_need() {
    let address = echoing().await;
    let mut stream = dialer(&direct()).connect(&authority(address), None).await.unwrap();
    says_back(&mut stream).await.unwrap();
    assert!(stream.tcp().nodelay().unwrap());
    let raw = SockRef::from(stream.tcp());
    assert!(!raw.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(raw.tcp_user_timeout().unwrap(), Some(Duration::from_secs(20)));
    let keepalive = Some(Duration::from_secs(7));
    let config = StreamConfig { keepalive, user_timeout: None, ..direct() };
    let stream = dialer(&config).connect(&authority(address), None).await.unwrap();
    let raw = SockRef::from(stream.tcp());
    assert!(raw.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(
        (raw.tcp_user_timeout().unwrap(), raw.tcp_keepalive_time().unwrap()),
        (None, Duration::from_secs(7))
    );
}

#[tokio::test]
async fn the_system_resolves_names() {
    let address = echoing().await;
    let target = Authority::new("localhost", address.port()).unwrap();
    let mut stream = dialer(&direct()).connect(&target, None).await.unwrap();
    says_back(&mut stream).await.unwrap();
    let nowhere = Authority::new("nowhere.invalid", 443).unwrap();
    let error = dialer(&direct()).connect(&nowhere, None).await.unwrap_err();
    assert_eq!(error.outcome, Outcome::TRANSIENT);
    // A machine without a server of names may wait for one.
    let what = error.to_string();
    assert!(what.starts_with("the name nowhere.invalid d"), "{what}");
}

#[tokio::test]
async fn w41_a_silent_address_does_not_hold_up_the_next() {
    let hole = BlackHole::new("127.0.0.1").await;
    let alive = echoing().await;
    let dialer = leading_to(&direct(), vec![hole.address, alive]);
    let mut stream = dialer.connect(&name(), None).await.unwrap();
    assert_eq!(peer(&stream), alive);
    says_back(&mut stream).await.unwrap();
    #[cfg(target_os = "linux")]
    eventually("the loser is closed", || half_open(hole.address) == 0).await;
}

#[tokio::test]
async fn w41_ipv6_goes_first_and_where_there_is_none_ipv4_takes_its_place() {
    let four = echoing().await;
    let six = TcpListener::bind("[::1]:0").await;
    let (wanted, addresses) = match &six {
        Ok(six) => {
            let six = six.local_addr().unwrap();
            (six, vec![four, six])
        }
        // This machine has no IPv6: a dial to it must fail, and cost nothing.
        Err(_) => (four, vec![four, SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9))]),
    };
    let stream = leading_to(&direct(), addresses).connect(&name(), None).await.unwrap();
    assert_eq!(peer(&stream), wanted);
}

#[tokio::test]
async fn w41_a_failed_address_starts_the_next_at_once() {
    let mut addresses = Vec::new();
    for _ in 0..20 {
        addresses.push(deserted().await);
    }
    let alive = echoing().await;
    addresses.push(alive);
    // Had each to wait for the attempt delay, the deadline of the phase would come first.
    let config =
        StreamConfig { attempt_delay: Duration::from_secs(2), tcp_timeout: LONG, ..direct() };
    let stream = leading_to(&config, addresses).connect(&name(), None).await.unwrap();
    assert_eq!(peer(&stream), alive);
}

#[tokio::test]
async fn when_no_address_can_be_reached_the_error_says_so() {
    let (one, two) = (deserted().await, deserted().await);
    let dialer = leading_to(&direct(), vec![one, two]);
    let error = dialer.connect(&name(), None).await.unwrap_err();
    assert_eq!(error.outcome, Outcome::TRANSIENT);
    let wanted = format!("peer.example:443 at {one} and 1 more cannot be reached");
    assert_eq!(error.to_string(), wanted);
    assert!(error.chain().to_lowercase().contains("refused"), "{}", error.chain());
    let error = leading_to(&direct(), Vec::new()).connect(&name(), None).await.unwrap_err();
    assert_eq!(error.to_string(), "the name peer.example has no address");
}

#[tokio::test]
async fn w41_the_name_is_resolved_anew_by_every_dial() {
    let (first, second) = (echoing().await, echoing().await);
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let script = move |_: &str| {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        let found = Ok(vec![[first, second][n]]);
        Box::pin(std::future::ready(found)) as Pin<Box<dyn Future<Output = _> + Send>>
    };
    let dialer = Dialer { resolver: Resolver::Scripted(Arc::new(script)), ..dialer(&direct()) };
    for wanted in [first, second] {
        assert_eq!(peer(&dialer.connect(&name(), None).await.unwrap()), wanted);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn w11_a_name_that_hangs_ends_at_its_own_deadline() {
    let hangs =
        |_: &str| Box::pin(std::future::pending()) as Pin<Box<dyn Future<Output = _> + Send>>;
    let config = impatient(|config, limit| config.name_timeout = limit);
    let dialer = Dialer { resolver: Resolver::Scripted(Arc::new(hangs)), ..dialer(&config) };
    let error = timeout(LONG, dialer.connect(&name(), None)).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the name peer.example did not resolve within 300ms");
    assert_eq!(error.outcome, Outcome::TRANSIENT);
}

#[tokio::test]
async fn w11_a_peer_that_does_not_answer_ends_at_its_own_deadline() {
    let hole = BlackHole::new("127.0.0.1").await;
    let config = impatient(|config, limit| config.tcp_timeout = limit);
    let target = authority(hole.address);
    let error = timeout(LONG, dialer(&config).connect(&target, None)).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), format!("no answer from {target} within 300ms"));
    assert_eq!(error.outcome, Outcome::TRANSIENT);
}

#[tokio::test]
async fn w11_tls_that_hangs_ends_at_its_own_deadline_and_closes() {
    let (address, mut closed) = silent().await;
    let config = impatient(|config, limit| config.tls_timeout = limit);
    let tls = encryption::trusting_nobody_known();
    let dial =
        timeout(LONG, async { dialer(&config).connect(&authority(address), Some(&tls)).await });
    let error = dial.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), format!("no TLS handshake with {address} within 300ms"));
    assert_eq!(error.outcome, Outcome::TRANSIENT);
    timeout(LONG, closed.recv()).await.unwrap().unwrap();
}

/// W36, too: in each phase.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn w12_a_dial_that_is_dropped_closes_every_socket() {
    let holes = [BlackHole::new("127.0.0.1").await, BlackHole::new("127.0.0.2").await];
    let addresses: Vec<SocketAddr> = holes.iter().map(|hole| hole.address).collect();
    let config = StreamConfig { tcp_timeout: LONG * 2, user_timeout: None, ..direct() };
    let dialer = leading_to(&config, addresses.clone());
    let target = name();
    let mut dial = Box::pin(dialer.connect(&target, None));
    let open = || addresses.iter().map(|&address| half_open(address)).sum::<usize>();
    // Two attempts are under way well before the phase ends.
    tokio::select! {
        ended = &mut dial => panic!("it ended: {ended:?}"),
        () = eventually("both have begun", || open() == 2) => {}
    }
    drop(dial);
    eventually("both are closed", || open() == 0).await;
}

#[tokio::test]
async fn w12_a_dial_that_is_dropped_in_the_handshake_closes_its_socket() {
    let (address, mut closed) = silent().await;
    let tls = encryption::trusting_nobody_known();
    let (dialer, target) = (dialer(&direct()), authority(address));
    let mut dial = Box::pin(dialer.connect(&target, Some(&tls)));
    let short = timeout(Duration::from_millis(200), &mut dial).await;
    assert!(short.is_err(), "it ended: {short:?}");
    drop(dial);
    timeout(LONG, closed.recv()).await.unwrap().unwrap();
}

#[test]
fn senseless_durations_name_their_field() {
    let zero = Duration::ZERO;
    type Change = fn(&mut StreamConfig, Duration);
    let cases: [(&str, Change); 6] = [
        ("name_timeout", |config, zero| config.name_timeout = zero),
        ("tcp_timeout", |config, zero| config.tcp_timeout = zero),
        ("proxy_timeout", |config, zero| config.proxy_timeout = zero),
        ("tls_timeout", |config, zero| config.tls_timeout = zero),
        ("user_timeout", |config, zero| config.user_timeout = Some(zero)),
        ("keepalive", |config, zero| config.keepalive = Some(zero)),
    ];
    for (field, change) in cases {
        let mut config = direct();
        change(&mut config, zero);
        assert_eq!(Dialer::new(&config).unwrap_err().field, field);
    }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.expect(what);
}

/// Connections to `address` of this machine that have not been answered.
#[cfg(target_os = "linux")]
fn half_open(address: SocketAddr) -> usize {
    let SocketAddr::V4(address) = address else { panic!("an IPv4 address") };
    let host = u32::from_ne_bytes(address.ip().octets());
    let remote = format!("{host:08X}:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let waits = |line: &&str| {
        let mut columns = line.split_whitespace().skip(2);
        columns.next() == Some(remote.as_str()) && columns.next() == Some("02")
    };
    table.lines().filter(waits).count()
}
