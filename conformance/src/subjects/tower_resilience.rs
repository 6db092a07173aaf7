use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, DefaultClassifier, SlidingWindowType,
};
use tower_resilience_retry::{
    ExponentialBackoff, ExponentialRandomBackoff, IntervalFunction, RetryBudget, RetryBudgetBuilder,
};

use super::{Ended, InFlight, Inner, begin, end};
use crate::breaker::{Answer, BreakerUnderTest, Plan, Signal};
use crate::report::Built;
use crate::{backoff as ask_backoff, budget as ask_budget};

/// A service whose request is the future of its answer.
#[derive(Clone)]
struct Echo;

impl Service<Inner> for Echo {
    type Response = ();
    type Error = ();
    type Future = Inner;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Inner) -> Inner {
        request
    }
}

pub struct Breaker(CircuitBreaker<Echo, DefaultClassifier>);

impl BreakerUnderTest for Breaker {
    type Call = InFlight;

    fn build(plan: &Plan) -> Built<Self> {
        let builder = CircuitBreakerLayer::builder()
            .wait_duration_in_open(plan.open_for)
            .permitted_calls_in_half_open(plan.probes as usize);
        let builder = match plan.signal {
            Signal::Any => builder.consecutive_failures(3),
            Signal::Count { size, rate } => builder
                .sliding_window_size(size as usize)
                .minimum_number_of_calls(size as usize)
                .failure_rate_threshold(rate),
            Signal::Time { length, minimum, rate } => builder
                .sliding_window_type(SlidingWindowType::TimeBased)
                .sliding_window_duration(length)
                .minimum_number_of_calls(minimum as usize)
                .failure_rate_threshold(rate),
        };
        builder.build().map_or(Built::Refused, |layer| Built::Ready(Self(layer.layer(Echo))))
    }

    fn begin(&self) -> Option<InFlight> {
        let mut service = self.0.clone();
        begin(|inner| {
            Box::pin(async move {
                if poll_fn(|cx| service.poll_ready(cx)).await.is_err() {
                    return Ended::Rejected;
                }
                match service.call(inner).await {
                    Err(CircuitBreakerError::OpenCircuit) => Ended::Rejected,
                    Ok(()) | Err(_) => Ended::Answered,
                }
            })
        })
    }

    fn end(&self, call: InFlight, answer: Answer) {
        end(call, answer);
    }

    fn give_up(&self, call: InFlight) {
        drop(call);
    }
}

pub struct Backoff(Box<dyn IntervalFunction>);

impl ask_backoff::BackoffUnderTest for Backoff {
    fn build(plan: &ask_backoff::Plan) -> Built<Self> {
        if plan.jittered {
            let made = ExponentialRandomBackoff::new(plan.base, 0.5)
                .and_then(|backoff| backoff.multiplier(plan.factor));
            made.map_or(Built::Refused, |b| Built::Ready(Self(Box::new(b.max_interval(plan.cap)))))
        } else {
            let made = ExponentialBackoff::new(plan.base).multiplier(plan.factor);
            made.map_or(Built::Refused, |b| Built::Ready(Self(Box::new(b.max_interval(plan.cap)))))
        }
    }

    fn session(&mut self, attempts: usize) -> Vec<Duration> {
        (0..attempts).map(|attempt| self.0.next_interval(attempt)).collect()
    }

    fn at(&mut self, attempt: u32) -> Option<Duration> {
        Some(self.0.next_interval(attempt as usize))
    }
}

pub struct Budget(Arc<dyn RetryBudget>);

impl ask_budget::BudgetUnderTest for Budget {
    fn build(plan: &ask_budget::Plan) -> Built<Self> {
        // Its token bucket takes whole tokens per call: no share but one and zero.
        let most = match plan.ratio {
            0.0 => 0,
            1.0 => 1_000_000,
            _ => return Built::NotExpressible,
        };
        let builder = RetryBudgetBuilder::new().token_bucket().max_tokens(most).initial_tokens(0);
        let made = builder.tokens_per_second(f64::from(plan.reserve_per_sec)).build();
        made.map_or(Built::Refused, |budget| Built::Ready(Self(budget)))
    }

    fn deposit(&self) {
        self.0.deposit();
    }

    fn withdraw(&self) -> bool {
        self.0.try_withdraw()
    }
}
