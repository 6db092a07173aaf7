//! Retries and breaker: the twelve cases of the seeds, and what they left out.

use std::time::Duration;

use chittyid_client::{
    ApiKey, BreakerConfig, Client, ClientConfig, Credentials, EntityType, Error, LimitedBy,
    RetryConfig, Who,
};
use mainstay_fault::{Admission, Fault, FaultProxy};
use serde_json::Value;

use crate::world::{KEY, MS, World, config, minted};

/// A client whose breaker opens after two failed calls, for as long as `open`.
fn touchy(world: &World, open: Duration) -> Client {
    let breaker = BreakerConfig { failures: 2, open, ..BreakerConfig::default() };
    Client::new(ClientConfig { breaker, ..world.config() }).unwrap()
}

async fn failed(client: &Client) -> Error {
    client.mint(EntityType::Information, Value::Null).await.unwrap_err()
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let world = World::new().await;
    let client = world.client();
    world.fail(503, 2);
    minted(&client).await;
    assert_eq!(world.requests(), 3);
    world.fail(403, 1);
    failed(&client).await;
    assert_eq!(world.requests(), 4);
}

#[tokio::test]
async fn attempts_end_at_their_number() {
    let world = World::new().await;
    world.fail(500, usize::MAX);
    for attempts in [1, 2, 5] {
        let retry = RetryConfig { attempts, ..world.config().retry };
        let client = Client::new(ClientConfig { retry, ..world.config() }).unwrap();
        let before = world.requests();
        assert!(matches!(failed(&client).await, Error::Service(_)));
        assert_eq!(world.requests() - before, attempts as usize);
    }
}

#[tokio::test]
async fn connections_that_are_refused_reset_or_hang_are_tried_again() {
    let world = World::new().await;
    let proxy = FaultProxy::start(world.address).await.unwrap();
    let config =
        ClientConfig { timeout: 600 * MS, ..config(&format!("http://{}", proxy.address())) };
    for admission in [Admission::Refuse, Admission::Reset, Admission::Hang] {
        let client = Client::new(config.clone()).unwrap();
        proxy.set(Fault { admission, ..Fault::default() });
        let error = failed(&client).await;
        let (Error::Unreachable { attempts, .. } | Error::Timeout { attempts, .. }) = error else {
            panic!("{admission:?}: {error:?}")
        };
        assert_eq!(attempts, 3, "{admission:?}");
        proxy.set(Fault::NONE);
        minted(&client).await;
    }
}

#[tokio::test]
async fn more_than_nine_of_ten_calls_work_where_one_of_three_requests_fails() {
    let world = World::new().await;
    let client = world.client();
    let mut worked = 0;
    for call in 0..60 {
        world.fail(503, usize::from(call % 3 == 0) * (1 + call % 2));
        let result = client.mint(EntityType::Information, Value::Null).await;
        worked += usize::from(result.is_ok());
    }
    assert!(worked > 54, "{worked} of 60");
    assert_eq!(client.circuit_breaker_status().state, "CLOSED");
}

#[tokio::test]
async fn the_breaker_opens_after_five_calls_that_failed_and_refuses_without_asking() {
    let world = World::new().await;
    let client = world.client();
    world.fail(500, usize::MAX);
    for call in 1..=5 {
        assert_eq!(client.circuit_breaker_status().state, "CLOSED");
        assert!(matches!(failed(&client).await, Error::Service(_)), "call {call}");
    }
    let status = client.circuit_breaker_status();
    assert_eq!((status.state, status.failures), ("OPEN", 5));
    assert!(status.last_failure.is_some() && status.retry_after_ms.is_some());
    let before = world.requests();
    let error = failed(&client).await;
    let text = error.to_string();
    let start = "ChittyID service circuit breaker is OPEN - service unavailable. Will retry in ";
    let seconds: u64 =
        text.strip_prefix(start).unwrap().strip_suffix('s').unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{text}");
    assert_eq!((error.who(), world.requests()), (Who::Nobody, before));
    let seeds = client.generate_chitty_id("INFO", Value::Null).await.unwrap_err().to_string();
    assert!(seeds.starts_with("ChittyID generation failed: ChittyID service circuit breaker"));
}

#[tokio::test]
async fn the_breaker_recovers_over_half_open_after_three_successes() {
    let world = World::new().await;
    let client = touchy(&world, 100 * MS);
    world.fail(500, usize::MAX);
    failed(&client).await;
    failed(&client).await;
    let opened = client.circuit_breaker_status();
    assert_eq!(opened.state, "OPEN");
    world.fail(500, 0);
    tokio::time::sleep(150 * MS).await;
    for good in 1..=2 {
        minted(&client).await;
        let status = client.circuit_breaker_status();
        assert_eq!((status.state, status.half_open_successes), ("HALF_OPEN", good));
    }
    minted(&client).await;
    let closed = client.circuit_breaker_status();
    assert_eq!((closed.state, closed.failures, closed.half_open_successes), ("CLOSED", 0, 0));
    assert!(closed.last_state_change >= opened.last_state_change + 100);
    let numbers = closed.config;
    assert_eq!((numbers.failure_threshold, numbers.half_open_attempts), (2, 3));
    assert_eq!((numbers.reset_timeout, numbers.monitor_window), (100, 60_000));
}

#[tokio::test]
async fn a_failure_while_half_open_opens_the_breaker_again() {
    let world = World::new().await;
    let client = touchy(&world, 100 * MS);
    world.fail(500, usize::MAX);
    failed(&client).await;
    failed(&client).await;
    tokio::time::sleep(150 * MS).await;
    assert!(matches!(failed(&client).await, Error::Service(_)), "a probe");
    assert_eq!(client.circuit_breaker_status().state, "OPEN");
}

#[tokio::test]
async fn the_breaker_can_be_reset_by_hand() {
    let world = World::new().await;
    let client = touchy(&world, Duration::from_secs(3_600));
    world.fail(500, usize::MAX);
    failed(&client).await;
    failed(&client).await;
    assert!(matches!(failed(&client).await, Error::CircuitOpen { .. }));
    world.fail(500, 0);
    client.reset_circuit_breaker();
    assert_eq!(client.circuit_breaker_status().state, "CLOSED");
    minted(&client).await;
}

#[tokio::test]
async fn callers_mistakes_do_not_open_the_breaker() {
    let world = World::new().await;
    let client = world.client();
    for status in [400, 401, 403, 404, 409, 422] {
        for _ in 0..3 {
            world.fail(status, 1);
            failed(&client).await;
        }
    }
    let status = client.circuit_breaker_status();
    assert_eq!((status.state, status.failures, status.last_failure), ("CLOSED", 0, None));
}

#[tokio::test]
async fn timeouts_one_after_the_other_open_the_breaker_too() {
    let server = crate::odd::Odd::new(vec![crate::odd::Reply::Hang]).await;
    let retry = RetryConfig { attempts: 1, ..RetryConfig::default() };
    let config = ClientConfig { timeout: 60 * MS, retry, ..server.config() };
    let client = Client::new(config).unwrap();
    for _ in 0..5 {
        assert!(matches!(failed(&client).await, Error::Timeout { .. }));
    }
    let before = server.requests();
    assert!(matches!(failed(&client).await, Error::CircuitOpen { .. }));
    assert_eq!(server.requests(), before);
}

#[tokio::test]
async fn with_resilience_off_each_call_is_one_attempt_that_nobody_counts() {
    let world = World::new().await;
    let client = world.client();
    client.set_resilience_enabled(false);
    assert!(!client.is_resilience_enabled());
    world.fail(500, usize::MAX);
    for _ in 0..10 {
        assert!(matches!(failed(&client).await, Error::Service(_)));
    }
    assert_eq!((world.requests(), client.circuit_breaker_status().failures), (10, 0));
    world.fail(500, 0);
    let id = minted(&client).await;
    let before = world.requests();
    for _ in 0..3 {
        assert!(client.validate(&id).await.is_valid());
    }
    assert_eq!(world.requests() - before, 3);
    assert_eq!(client.cache_stats().total_requests, 0);
    client.set_resilience_enabled(true);
    world.fail(500, 1);
    minted(&client).await;
}

#[tokio::test]
async fn a_service_that_comes_back_is_used_again_through_the_open_breaker() {
    let world = World::new().await;
    let proxy = FaultProxy::start(world.address).await.unwrap();
    let breaker = BreakerConfig { failures: 2, open: 100 * MS, ..BreakerConfig::default() };
    let config = ClientConfig { breaker, ..config(&format!("http://{}", proxy.address())) };
    let client = Client::new(config).unwrap();
    minted(&client).await;
    proxy.set(Fault { admission: Admission::Refuse, ..Fault::default() });
    proxy.cut_all();
    let mut refused = 0;
    while refused < 3 {
        refused += usize::from(matches!(failed(&client).await, Error::CircuitOpen { .. }));
    }
    proxy.set(Fault::NONE);
    let begun = std::time::Instant::now();
    while client.mint(EntityType::Fact, Value::Null).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never comes back");
        tokio::time::sleep(5 * MS).await;
    }
    minted(&client).await;
    minted(&client).await;
    assert_eq!(client.circuit_breaker_status().state, "CLOSED");
}

#[tokio::test]
async fn calls_are_refused_while_an_operator_isolates_the_service() {
    let world = World::new().await;
    let client = world.client();
    client.gate().isolate();
    let error = failed(&client).await;
    assert!(matches!(error, Error::CircuitOpen { state: "FORCED_OPEN", .. }), "{error:?}");
    client.gate().release();
    minted(&client).await;
}

#[tokio::test]
async fn limits_of_the_service_count_against_it_as_the_seeds_count() {
    let world = World::new().await;
    let client = world.client();
    world.fail(429, usize::MAX);
    for _ in 0..5 {
        let error = failed(&client).await;
        assert!(matches!(error, Error::RateLimited { by: LimitedBy::Service, .. }), "{error:?}");
    }
    assert_eq!(client.circuit_breaker_status().state, "OPEN");
}

#[tokio::test]
async fn two_gateways_callers_with_one_key_share_its_limit() {
    let world = World::new().await;
    let config = ClientConfig { mints_per_minute: Some(1), api_key: None, ..world.config() };
    let client = Client::new(config).unwrap();
    let passed = |via: &str| {
        let key = Some(ApiKey::new(KEY).unwrap());
        client.with_credentials(Credentials::Passed { key, via: via.into() })
    };
    minted(&passed("1.1 a")).await;
    let error = failed(&passed("1.1 b")).await;
    assert!(matches!(error, Error::RateLimited { by: LimitedBy::Client, .. }), "{error:?}");
}
