//! The HTTP client against real servers on loopback that misbehave.

use std::time::Duration;

use mainstay::core::policy::backoff::{BackoffConfig, Jitter};
use mainstay::core::policy::breaker::{BreakerConfig, State, Window};
use mainstay::core::policy::call::{CallConfig, Verdict};
use mainstay::core::policy::gate::{GateConfig, RejectedBy};
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::Gates;
use mainstay::http::{Client, RequestError, builder};
use mainstay::link::{
    HealthConfig, HttpConfig, HttpTransport, Link, LinkConfig, LinkOptions, StateName,
};
use mainstay::retry::{CallError, Failure};
use reqwest::{Body, Method, Response};

use crate::server::{Mode, OK, Server};

const MS: Duration = Duration::from_millis(1);

fn policy() -> PolicyConfig {
    let backoff = BackoffConfig { base: 20 * MS, jitter: Jitter::None, ..BackoffConfig::default() };
    let breaker =
        BreakerConfig { consecutive_failures: 50, window: Window::Off, ..BreakerConfig::default() };
    PolicyConfig {
        call: CallConfig {
            backoff,
            attempt_timeout: Some(400 * MS),
            throttled_base: 20 * MS,
            ..CallConfig::default()
        },
        gate: GateConfig { breaker: Some(breaker), ..GateConfig::default() },
        ..PolicyConfig::default()
    }
}

fn client(policy: &PolicyConfig) -> Client {
    Client::over(builder().no_proxy().build().unwrap(), policy, Gates::default()).unwrap()
}

async fn send(client: &Client, method: Method, url: &str) -> Result<Response, RequestError> {
    client.execute(client.inner().request(method, url).build().unwrap()).await
}

fn failed(answer: Result<Response, RequestError>) -> CallError<reqwest::Error> {
    let error = answer.unwrap_err();
    let RequestError::Failed(error) = error else { panic!("{error}") };
    error
}

#[tokio::test]
async fn a_server_that_is_killed_fails_fast_and_is_used_again_on_its_return() {
    let mut server = Server::start(OK).await;
    let breaker =
        BreakerConfig { consecutive_failures: 3, window: Window::Off, ..BreakerConfig::default() };
    let breaker = BreakerConfig {
        open: mainstay::core::policy::breaker::OpenConfig { base: 200 * MS, ..breaker.open },
        ..breaker
    };
    let gate = GateConfig { breaker: Some(breaker), ..GateConfig::default() };
    let client = client(&PolicyConfig { gate, ..policy() });
    assert_eq!(send(&client, Method::GET, &server.url()).await.unwrap().status(), 200);
    server.kill().await;
    let error = failed(send(&client, Method::GET, &server.url()).await);
    assert!(error.error().unwrap().is_connect(), "the original error comes back");
    let error = failed(send(&client, Method::GET, &server.url()).await);
    let Failure::Rejected(rejection) = error.last.failure else { panic!("{error}") };
    assert!(matches!(rejection.by, RejectedBy::Breaker(_)));
    server.revive().await;
    let gate = client.gates().list().remove(0);
    // The open time is 200 ms ± 20 %; calls find out by asking.
    let mut calls = 0;
    while gate.state() != State::Closed {
        calls += 1;
        assert!(calls < 1_000, "it never closed");
        drop(send(&client, Method::GET, &server.url()).await);
        tokio::time::sleep(5 * MS).await;
    }
    assert_eq!(send(&client, Method::GET, &server.url()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_that_hangs_costs_each_attempt_its_timeout() {
    let server = Server::start(Mode::Hang).await;
    let error = failed(send(&client(&policy()), Method::GET, &server.url()).await);
    assert!(matches!(error.last.failure, Failure::TimedOut));
    assert_eq!((error.attempts(), server.requests()), (3, 3));
}

#[tokio::test]
async fn a_server_that_resets_is_tried_again_and_recovers() {
    let server = Server::start(Mode::Reset).await;
    let client = client(&policy());
    let error = failed(send(&client, Method::GET, &server.url()).await);
    assert_eq!((error.verdict, server.requests()), (Verdict::AttemptsExhausted, 3));
    server.turn(OK);
    assert_eq!(send(&client, Method::GET, &server.url()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_slow_server_within_the_timeout_is_waited_for() {
    let server = Server::start(Mode::Slow(100 * MS)).await;
    let answer = send(&client(&policy()), Method::GET, &server.url()).await;
    assert_eq!((answer.unwrap().status().as_u16(), server.requests()), (200, 1));
}

#[tokio::test]
async fn a_bad_answer_comes_back_as_it_is_when_attempts_run_out() {
    let server = Server::start(Mode::Answer("500 Internal Server Error", "")).await;
    let answer = send(&client(&policy()), Method::GET, &server.url()).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.requests()), (500, 3));
    assert_eq!(answer.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn what_the_peer_would_say_again_is_not_asked_again() {
    let server = Server::start(Mode::Answer("404 Not Found", "")).await;
    let client = client(&policy());
    assert_eq!(send(&client, Method::GET, &server.url()).await.unwrap().status(), 404);
    assert_eq!(server.requests(), 1);
    assert_eq!(client.gates().views()[0].failed, 0, "and is no failure of the peer");
}

#[tokio::test]
async fn r12_a_retry_after_holds_every_caller_of_the_origin() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let server = Server::start(Mode::Answer(status, "retry-after: 30\r\n")).await;
        let policy = PolicyConfig {
            call: CallConfig { deadline: Some(5_000 * MS), ..policy().call },
            ..policy()
        };
        let client = client(&policy);
        let answer = send(&client, Method::GET, &server.url()).await.unwrap();
        assert!(answer.status().as_u16() >= 429, "the wish is beyond the deadline");
        let error = failed(send(&client, Method::GET, &server.url()).await);
        let Failure::Rejected(rejection) = error.last.failure else { panic!("{error}") };
        assert_eq!(rejection.by, RejectedBy::Hold);
        assert!(rejection.retry_after.unwrap() > Duration::from_secs(25));
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn r11_a_short_retry_after_is_waited_for() {
    let server =
        Server::start(Mode::Answer("503 Service Unavailable", "retry-after-ms: 50\r\n")).await;
    let begun = std::time::Instant::now();
    let answer = send(&client(&policy()), Method::GET, &server.url()).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.requests()), (503, 3));
    assert!(begun.elapsed() >= 100 * MS, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn r18_a_post_is_repeated_only_with_a_key_or_when_it_was_never_sent() {
    let mut server = Server::start(Mode::Answer("503 Service Unavailable", "")).await;
    let client = client(&policy());
    let answer = send(&client, Method::POST, &server.url()).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.requests()), (503, 1));
    let keyed = client.inner().post(server.url()).header("idempotency-key", "7").build().unwrap();
    assert_eq!(client.execute(keyed).await.unwrap().status(), 503);
    assert_eq!(server.requests(), 4);
    server.turn(Mode::Reset);
    let error = failed(send(&client, Method::POST, &server.url()).await);
    assert_eq!((error.attempts(), server.requests()), (1, 5), "it may have been carried out");
    server.turn(Mode::Hang);
    let error = failed(send(&client, Method::POST, &server.url()).await);
    assert_eq!((error.attempts(), server.requests()), (1, 6));
    server.kill().await;
    let error = failed(send(&client, Method::POST, &server.url()).await);
    assert_eq!(error.attempts(), 3, "no connection, so it was never sent");
}

#[tokio::test]
async fn r19_a_body_that_cannot_be_read_twice_is_sent_once() {
    let server = Server::start(Mode::Answer("503 Service Unavailable", "")).await;
    let client = client(&policy());
    let once = Body::wrap_stream(tokio_stream());
    let request = client.inner().put(server.url()).body(once).build().unwrap();
    assert_eq!(client.execute(request).await.unwrap().status(), 503);
    assert_eq!(server.requests(), 1);
    let twice = client.inner().put(server.url()).body("small").build().unwrap();
    assert_eq!(client.execute(twice).await.unwrap().status(), 503);
    assert_eq!(server.requests(), 4);
}

/// A stream of one piece.
fn tokio_stream() -> impl futures_core::Stream<Item = Result<Vec<u8>, std::io::Error>> {
    struct Once(Option<Vec<u8>>);
    impl futures_core::Stream for Once {
        type Item = Result<Vec<u8>, std::io::Error>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(self.0.take().map(Ok))
        }
    }
    Once(Some(b"streamed".to_vec()))
}

#[tokio::test]
async fn r17_a_server_can_be_told_which_attempt_it_is() {
    let server = Server::start(Mode::Answer("500 Internal Server Error", "")).await;
    let header = reqwest::header::HeaderName::from_static("x-attempt");
    let client = client(&policy()).with_attempt_header(header);
    drop(send(&client, Method::GET, &server.url()).await);
    assert!(server.last().contains("x-attempt: 3"), "{}", server.last());
}

#[tokio::test]
async fn an_address_with_a_secret_is_not_shown_in_errors() {
    let mut server = Server::start(OK).await;
    server.kill().await;
    let url = format!("{}/?token=hush", server.url());
    let error = failed(send(&client(&policy()), Method::GET, &url).await);
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        shown += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    assert!(!shown.contains("hush"), "{shown}");
}

/// A link to `server` that is probed once an hour, and a client through it: whatever the link
/// learns, it learns from the calls.
async fn unprobed(server: &Server, policy: &PolicyConfig) -> (Link, Client) {
    let mut config = HttpConfig::new(server.url());
    config.system_proxy = false;
    let transport = HttpTransport::new(config).unwrap();
    let hour = Duration::from_secs(3600);
    let health = HealthConfig { interval: hour, edge_interval: hour, ..HealthConfig::default() };
    let options = LinkOptions::new("peer").config(LinkConfig { health, ..LinkConfig::default() });
    let link = Link::open(options, transport.clone()).unwrap();
    link.connect().await.unwrap();
    let through = Client::through_link(link.clone(), transport, policy, Gates::default());
    (link, through.unwrap())
}

async fn leaves_connected(link: &Link) {
    let mut seen = link.watch();
    let noticed = seen.wait_for(|view| view.state != StateName::Connected);
    tokio::time::timeout(Duration::from_secs(5), noticed).await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_through_a_link_feed_its_health() {
    let mut server = Server::start(OK).await;
    let (link, client) = unprobed(&server, &policy()).await;
    assert_eq!(send(&client, Method::GET, &server.url()).await.unwrap().status(), 200);
    assert_eq!(server.connections(), 1, "over the link's own connection");
    server.kill().await;
    assert!(send(&client, Method::GET, &server.url()).await.is_err());
    leaves_connected(&link).await;
}

#[tokio::test]
async fn calls_through_a_link_that_are_never_answered_feed_its_health_too() {
    let server = Server::start(OK).await;
    let (link, client) = unprobed(&server, &policy()).await;
    server.turn(Mode::Hang);
    assert!(send(&client, Method::GET, &server.url()).await.is_err());
    leaves_connected(&link).await;
}

#[tokio::test]
async fn a_call_that_its_caller_drops_says_nothing_about_the_link() {
    let server = Server::start(OK).await;
    let (link, client) = unprobed(&server, &policy()).await;
    server.turn(Mode::Hang);
    let url = server.url();
    for _ in 0..5 {
        let call = send(&client, Method::GET, &url);
        assert!(tokio::time::timeout(50 * MS, call).await.is_err());
    }
    assert!(link.view().healthy);
}
