use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay::link::{
    Bearer, ConnectError, FailReason, HttpConfig, HttpTransport, Link, LinkConfig, LinkEvent,
    LinkOptions, StateName, What,
};
use tokio::sync::broadcast::Receiver;

use crate::server::{Mode, OK, Server};

fn quick() -> LinkConfig {
    let dial_timeout = Duration::from_millis(200);
    let mut config = LinkConfig { dial_timeout, ..LinkConfig::default() };
    config.reconnect.backoff.base = Duration::from_millis(10);
    config.reconnect.backoff.cap = Duration::from_millis(100);
    config.health.interval = Duration::from_millis(200);
    config.health.timeout = Duration::from_millis(100);
    config.health.edge_interval = Duration::from_millis(20);
    config
}

fn transport(server: &Server) -> HttpTransport {
    HttpTransport::new(HttpConfig { system_proxy: false, ..HttpConfig::new(server.url()) }).unwrap()
}

fn open(server: &Server, config: LinkConfig) -> (HttpTransport, Link) {
    let http = transport(server);
    let link = Link::open(LinkOptions::new("http").config(config), http.clone()).unwrap();
    (http, link)
}

async fn next(events: &mut Receiver<Arc<LinkEvent>>, name: &str) -> Arc<LinkEvent> {
    let search = async {
        loop {
            let event = events.recv().await.unwrap();
            if event.is_called(name) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect(name)
}

#[tokio::test]
async fn a_server_that_is_killed_and_returns_on_its_port_is_found_again() {
    let mut server = Server::start(OK).await;
    let (_http, link) = open(&server, quick());
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    server.kill().await;
    next(&mut events, "link.suspect").await;
    let event = next(&mut events, "unhealthy").await;
    assert_eq!(event.what, What::Unhealthy { failures: 3 });
    next(&mut events, "link.reconnect.attempt").await;
    server.revive().await;
    next(&mut events, "onReconnected").await;
    assert!(link.view().healthy);
    assert_eq!(link.stats().total_connections, 2);
}

#[tokio::test]
async fn a_server_that_hangs_is_found_out_and_its_pool_dropped() {
    let server = Server::start(OK).await;
    let (http, link) = open(&server, quick());
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    server.turn(Mode::Hang);
    let error = next(&mut events, "unhealthy").await.error.clone().unwrap();
    assert_eq!(&*error, "no answer in time");
    assert!(http.pool().replaced >= 1, "{:?}", http.pool());
    server.turn(OK);
    next(&mut events, "connected").await;
    assert_eq!(server.most(), 1, "requests of one link overlapped");
}

#[tokio::test]
async fn a_pool_is_dropped_too_when_requests_time_out_before_their_probes() {
    let server = Server::start(OK).await;
    let timeout = Duration::from_millis(40);
    let config = HttpConfig { system_proxy: false, timeout, ..HttpConfig::new(server.url()) };
    let http = HttpTransport::new(config).unwrap();
    let link = Link::open(LinkOptions::new("http").config(quick()), http.clone()).unwrap();
    let mut events = link.subscribe();
    link.connect().await.unwrap();
    server.turn(Mode::Hang);
    let error = next(&mut events, "unhealthy").await.error.clone().unwrap();
    assert_eq!(&*error, "no answer in time");
    assert!(http.pool().replaced >= 1, "{:?}", http.pool());
}

#[tokio::test]
async fn a_slow_server_within_the_timeout_is_well() {
    let server = Server::start(Mode::Slow(Duration::from_millis(30))).await;
    let (_http, link) = open(&server, quick());
    link.connect().await.unwrap();
    assert!(link.check_now().await);
    assert!(link.stats().rtt.last().unwrap() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_server_that_resets_is_tried_again() {
    let server = Server::start(Mode::Reset).await;
    let (_http, link) = open(&server, quick());
    let mut events = link.subscribe();
    link.connect().await.unwrap_err();
    next(&mut events, "link.reconnect.attempt").await;
    server.turn(OK);
    next(&mut events, "connected").await;
}

#[tokio::test]
async fn a_retry_after_widens_the_wait() {
    let server = Server::start(Mode::Answer("503 Busy", "retry-after: 7\r\n")).await;
    let (_http, link) = open(&server, quick());
    let mut events = link.subscribe();
    link.connect().await.unwrap_err();
    let What::Reconnecting { delay, .. } = next(&mut events, "reconnecting").await.what else {
        panic!()
    };
    // Others were told the same: up to a quarter more is drawn.
    assert!((Duration::from_secs(7)..=Duration::from_millis(8_750)).contains(&delay), "{delay:?}");
}

#[tokio::test]
async fn a_refused_token_is_for_good() {
    let server = Server::start(Mode::Answer("401 No", "")).await;
    let (_http, link) = open(&server, quick());
    let error = link.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed { terminal: true, .. }));
    assert_eq!(error.to_string(), "the dial failed: the peer answered 401 Unauthorized");
    assert_eq!(link.view().failed, Some(FailReason::RefusedPermanently));
}

#[tokio::test]
async fn the_token_is_asked_for_each_time_and_sent_as_a_bearer() {
    let server = Server::start(OK).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let bearer = Bearer::from_fn(move || {
        let n = count.fetch_add(1, Ordering::SeqCst);
        async move { Some(format!("token-{n}")) }
    });
    let config = HttpConfig {
        system_proxy: false,
        bearer: Some(bearer),
        health_path: "/v1/health".into(),
        ..HttpConfig::new(server.url())
    };
    let http = HttpTransport::new(config).unwrap();
    let link = Link::open(LinkOptions::new("http").config(quick()), http).unwrap();
    link.connect().await.unwrap();
    assert!(server.last().contains("authorization: Bearer token-0\r\n"), "{}", server.last());
    assert!(link.check_now().await);
    assert!(server.last().contains("authorization: Bearer token-1\r\n"), "{}", server.last());
    assert!(server.last().starts_with("GET /v1/health "));
}

#[tokio::test]
async fn connections_are_used_again_and_counted() {
    let server = Server::start(OK).await;
    let mut config = quick();
    config.health.enabled = false;
    let (http, link) = open(&server, config);
    link.connect().await.unwrap();
    for _ in 0..4 {
        assert!(link.check_now().await);
    }
    let pool = http.pool();
    assert_eq!((pool.requests, pool.opened, pool.reused, pool.in_flight), (5, 1, 4, 0));
    assert_eq!(server.connections(), 1);
    let status = http.client().unwrap().get(server.url()).send().await.unwrap().status();
    assert_eq!((status.as_u16(), server.connections()), (200, 1));
    http.replace_client();
    assert!(link.check_now().await);
    assert_eq!((server.connections(), http.pool().replaced), (2, 1));
}

#[tokio::test]
async fn disconnecting_drops_the_pool() {
    let server = Server::start(OK).await;
    let (_http, link) = open(&server, quick());
    link.connect().await.unwrap();
    link.disconnect().await;
    assert_eq!(link.view().state, StateName::Disconnected);
    link.connect().await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_body_that_never_ends_is_read_to_its_limit_only() {
    let server = Server::start(Mode::Endless).await;
    let (_http, link) = open(&server, LinkConfig::default());
    let begun = std::time::Instant::now();
    link.connect().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_refused_for_good() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(acceptor.accept(stream).await);
    });
    let config =
        HttpConfig { system_proxy: false, ..HttpConfig::new(format!("https://localhost:{port}")) };
    let http = HttpTransport::new(config).unwrap();
    let link = Link::open(LinkOptions::new("http"), http).unwrap();
    let error = link.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed { terminal: true, .. }), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn an_https_client_can_be_built_without_another_crypto_library() {
    let config = HttpConfig { system_proxy: false, ..HttpConfig::new("https://127.0.0.1:9") };
    let http = HttpTransport::new(config).unwrap();
    http.client().unwrap();
    let link = Link::open(LinkOptions::new("http").config(quick()), http).unwrap();
    let error = link.connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Failed { terminal: false, .. }), "{error:?}");
}
