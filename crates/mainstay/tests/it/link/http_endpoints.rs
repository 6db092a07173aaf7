//! An HTTP service at several addresses.

use std::time::Duration;

use mainstay::link::{
    EndpointsConfig, FailReason, HttpConfig, HttpTransport, Link, LinkConfig, LinkOptions,
    StateName, Transport,
};

use crate::server::{Mode, OK, Server};

const REFUSED: Mode = Mode::Answer("401 Unauthorized", "");

fn transport(servers: [&Server; 2], return_after: Duration) -> HttpTransport {
    let [first, second] = servers.map(Server::url);
    let mut endpoints = EndpointsConfig { return_after, ..EndpointsConfig::default() };
    endpoints.ejection.base = Duration::from_millis(20);
    endpoints.ejection.cap = Duration::from_millis(100);
    HttpTransport::new(HttpConfig {
        more_urls: vec![second],
        endpoints,
        system_proxy: false,
        ..HttpConfig::new(first)
    })
    .unwrap()
}

fn open(http: &HttpTransport, probing: bool) -> Link {
    let mut config = LinkConfig::default();
    config.reconnect.backoff.base = Duration::from_millis(10);
    config.reconnect.backoff.cap = Duration::from_millis(100);
    config.health.enabled = probing;
    config.health.interval = Duration::from_secs(60);
    config.health.edge_interval = Duration::from_millis(20);
    Link::open(LinkOptions::new("several").config(config), http.clone()).unwrap()
}

fn uses(http: &HttpTransport, server: &Server) -> bool {
    http.base().as_str().trim_end_matches('/') == server.url()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect(what);
}

#[tokio::test]
async fn w41_a_link_goes_to_another_server_and_comes_back_when_its_own_is_well() {
    let mut first = Server::start(OK).await;
    let second = Server::start(OK).await;
    let http = transport([&first, &second], Duration::from_millis(50));
    let link = open(&http, true);
    link.connect().await.unwrap();
    assert!(uses(&http, &first));
    assert_eq!(second.requests(), 0, "the other is left alone");
    first.kill().await;
    assert!(!link.check_now().await);
    assert!(uses(&http, &second));
    assert!(link.check_now().await, "one failed check, and the next one is elsewhere");
    assert_eq!(link.view().state, StateName::Connected);
    let [(_, dead), (_, alive)] = http.endpoints().try_into().unwrap();
    assert!(alive.current && alive.failures == 0 && alive.rtt.is_some());
    assert!(!dead.current && dead.failures >= 1);
    first.revive().await;
    eventually("it comes back", || uses(&http, &first)).await;
    assert!(link.check_now().await);
    assert_eq!(http.endpoints()[0].1.failures, 0);
    assert_eq!(link.stats().total_connections, 1, "the link never went down");
    assert_eq!(http.target(), first.url(), "it is always shown as the first");
}

#[tokio::test]
async fn w41_it_does_not_come_back_to_a_server_that_is_not_well() {
    let (first, second) = (Server::start(OK).await, Server::start(OK).await);
    let http = transport([&first, &second], Duration::from_millis(20));
    // Without probes of its own: the way back does not need them.
    let link = open(&http, false);
    link.connect().await.unwrap();
    first.turn(Mode::Answer("500 Internal Server Error", ""));
    assert!(!link.check_now().await);
    let asked = first.requests();
    eventually("it is asked again", || first.requests() >= asked + 2).await;
    assert!(uses(&http, &second));
    assert!(link.check_now().await);
    first.turn(OK);
    eventually("it comes back", || uses(&http, &first)).await;
    assert_eq!(link.view().state, StateName::Connected);
}

#[tokio::test]
async fn a_refusal_is_for_good_when_every_server_refuses() {
    let (first, second) = (Server::start(REFUSED).await, Server::start(OK).await);
    let http = transport([&first, &second], Duration::from_secs(60));
    let link = open(&http, true);
    drop(link.connect().await);
    eventually("the other takes it", || link.view().healthy).await;
    assert!(uses(&http, &second));
    let (first, second) = (Server::start(REFUSED).await, Server::start(REFUSED).await);
    let http = transport([&first, &second], Duration::from_secs(60));
    let link = open(&http, true);
    drop(link.connect().await);
    eventually("it gives up", || link.view().state == StateName::Failed).await;
    assert_eq!(link.view().failed, Some(FailReason::RefusedPermanently));
    assert_eq!((first.requests(), second.requests()), (1, 1));
}

#[tokio::test]
async fn when_all_are_down_each_is_tried_until_one_is_back() {
    let mut servers = [Server::start(OK).await, Server::start(OK).await];
    let http = transport([&servers[0], &servers[1]], Duration::from_millis(50));
    let link = open(&http, true);
    link.connect().await.unwrap();
    for server in &mut servers {
        server.kill().await;
    }
    while link.check_now().await {}
    eventually("it is noticed", || !link.view().healthy).await;
    servers[1].revive().await;
    eventually("the second is found", || link.view().healthy && uses(&http, &servers[1])).await;
}
