//! The standard health check of gRPC, against tonic's own server.

use std::sync::Arc;
use std::time::Duration;

use mainstay::link::{HttpConfig, HttpProbe, HttpTransport, Link, LinkConfig, LinkOptions};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use super::certificates::certified;

fn open(url: &str, service: &str) -> Link {
    with(HttpConfig { system_proxy: false, ..HttpConfig::new(url) }, service)
}

fn with(mut config: HttpConfig, service: &str) -> Link {
    config.probe = HttpProbe::Grpc { service: service.into() };
    let mut link = LinkConfig::default();
    link.reconnect.backoff.base = Duration::from_millis(20);
    link.reconnect.backoff.cap = Duration::from_millis(50);
    let http = HttpTransport::new(config).unwrap();
    Link::open(LinkOptions::new("grpc").config(link), http).unwrap()
}

/// The first error that the link tells of once it is begun.
async fn error(url: &str, service: &str) -> String {
    let link = open(url, service);
    let mut events = link.subscribe();
    link.begin();
    let told = async {
        loop {
            if let Some(error) = &events.recv().await.unwrap().error {
                return error.to_string();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.unwrap()
}

#[tokio::test]
async fn a_service_is_up_when_its_health_check_says_serving() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("pay", ServingStatus::Serving).await;
    reporter.set_service_status("ship", ServingStatus::NotServing).await;
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    for name in ["", "pay"] {
        let link = open(&url, name);
        link.connect().await.unwrap();
        assert_eq!(**link.target(), url);
        assert!(link.check_now().await, "over the connection that is there");
    }
    assert_eq!(error(&url, "ship").await, "the peer says NOT_SERVING, expected SERVING");
    let unknown = error(&url, "nobody").await;
    assert!(unknown.contains("gRPC status 5 (NOT_FOUND"), "{unknown}");

    let link = open(&url, "ship");
    link.begin();
    reporter.set_service_status("ship", ServingStatus::Serving).await;
    link.connect().await.unwrap();
}

#[tokio::test]
async fn a_service_without_health_checks_and_one_without_grpc_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    let (_, service) = tonic_health::server::health_reporter();
    let other = tonic::service::Routes::builder().routes();
    let server = Server::builder().add_routes(other);
    drop(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let unimplemented = error(&url, "").await;
    assert!(unimplemented.contains("gRPC status 12 (UNIMPLEMENTED"), "{unimplemented}");

    let plain = crate::server::Server::start(crate::server::OK).await;
    let url = plain.url().replacen("http", "grpc", 1);
    let failed = error(&url, "").await;
    assert!(failed.contains("the request failed") || failed.contains("broke off"), "{failed}");
}

/// What comes over TLS is passed on to that address without it.
async fn secured(plain: std::net::SocketAddr) -> (u16, String) {
    let (mut config, roots) = certified();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                let Ok(mut outside) = TcpStream::connect(plain).await else { return };
                drop(tokio::io::copy_bidirectional(&mut inside, &mut outside).await);
            });
        }
    });
    (port, roots)
}

#[tokio::test]
async fn over_tls_a_service_is_asked_as_well_and_a_stranger_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("pay", ServingStatus::Serving).await;
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let (port, roots) = secured(plain).await;
    let url = format!("grpcs://localhost:{port}");
    let trusting =
        HttpConfig { roots: Some(roots), system_proxy: false, ..HttpConfig::new(url.clone()) };
    let link = with(trusting, "pay");
    link.connect().await.unwrap();
    assert!(link.check_now().await);
    let stranger = error(&url, "pay").await;
    assert!(stranger.contains("certificate"), "{stranger}");
}
