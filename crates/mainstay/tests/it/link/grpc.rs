//! The standard health check of gRPC, against tonic's own server.

use std::time::Duration;

use mainstay::link::{HttpConfig, HttpProbe, HttpTransport, Link, LinkConfig, LinkOptions};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

fn open(url: &str, service: &str) -> Link {
    let mut config = HttpConfig { system_proxy: false, ..HttpConfig::new(url) };
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
