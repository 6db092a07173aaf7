//! The peers, made ready to be measured.

use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tower::{Layer, Service};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerConfigBuilder, CircuitBreakerLayer, DefaultClassifier,
};

/// Whether call `n` fails, one in ten, spread evenly.
#[inline]
pub fn fails_one_in_ten(n: u64) -> bool {
    (n as u32).wrapping_mul(2_654_435_769) < 429_496_730
}

#[inline]
pub fn never_fails(_: u64) -> bool {
    false
}

/// A service that answers what it is asked.
#[derive(Clone, Debug)]
pub struct Echo;

impl Service<Result<(), ()>> for Echo {
    type Response = ();
    type Error = ();
    type Future = Ready<Result<(), ()>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, answer: Result<(), ()>) -> Self::Future {
        ready(answer)
    }
}

pub type TowerResilience = CircuitBreaker<Echo, DefaultClassifier>;

pub fn tower_resilience(
    set: impl FnOnce(
        CircuitBreakerConfigBuilder<DefaultClassifier>,
    ) -> CircuitBreakerConfigBuilder<DefaultClassifier>,
) -> TowerResilience {
    let builder = set(CircuitBreakerLayer::builder());
    builder.build().expect("the config is sound").layer(Echo)
}

/// One call through a tower-resilience breaker, and whether it passed.
pub fn call_tower_resilience(service: &mut TowerResilience, answer: Result<(), ()>) -> bool {
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(ready.is_ready(), "the echo is always ready");
    block_on(service.call(answer)).is_ok()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives a future to its end; without an allocation when it is ready at once.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
