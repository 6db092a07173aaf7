use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::{Instant, advance, pause};
use tower::Service;
use tower::limit::RateLimit;
use tower::limit::rate::Rate;
use tower::retry::backoff::{Backoff as _, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::util::rng::HasherRng;

use crate::report::Built;
use crate::{backoff, budget, limiter};

/// A runtime whose clock only moves when told; tower reads tokio's clock.
fn virtual_time() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime without IO");
    runtime.block_on(async { pause() });
    runtime
}

pub struct Backoff {
    maker: ExponentialBackoffMaker,
    runtime: Runtime,
}

impl backoff::BackoffUnderTest for Backoff {
    fn build(plan: &backoff::Plan) -> Built<Self> {
        if plan.factor != 2.0 {
            return Built::NotExpressible;
        }
        let jitter = if plan.jittered { 0.99 } else { 0.0 };
        let maker = ExponentialBackoffMaker::new(plan.base, plan.cap, jitter, HasherRng::default());
        let new = |maker| Built::Ready(Self { maker, runtime: virtual_time() });
        maker.map_or(Built::Refused, new)
    }

    fn session(&mut self, attempts: usize) -> Vec<Duration> {
        let mut backoff = self.maker.make_backoff();
        self.runtime.block_on(async {
            let now = Instant::now();
            let mut waits = Vec::new();
            for _ in 0..attempts {
                waits.push(backoff.next_backoff().deadline() - now);
            }
            waits
        })
    }
}

pub struct Budget {
    budget: TpsBudget,
    runtime: Runtime,
}

impl budget::BudgetUnderTest for Budget {
    fn build(plan: &budget::Plan) -> Built<Self> {
        let runtime = virtual_time();
        let (ttl, ratio) = (Duration::from_secs(10), plan.ratio as f32);
        let budget = runtime.block_on(async { TpsBudget::new(ttl, plan.reserve_per_sec, ratio) });
        Built::Ready(Self { budget, runtime })
    }

    fn deposit(&self) {
        let _clock = self.runtime.enter();
        self.budget.deposit();
    }

    fn withdraw(&self) -> bool {
        let _clock = self.runtime.enter();
        self.budget.withdraw()
    }

    fn leap(&self, by: Duration) -> bool {
        self.runtime.block_on(advance(by));
        true
    }
}

#[derive(Clone)]
struct Nothing;

impl Service<()> for Nothing {
    type Response = ();
    type Error = ();
    type Future = std::future::Ready<Result<(), ()>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

pub struct Limiter {
    service: RateLimit<Nothing>,
    runtime: Runtime,
}

impl limiter::LimiterUnderTest for Limiter {
    fn build(per_second: u32) -> Built<Self> {
        let runtime = virtual_time();
        let rate = Rate::new(u64::from(per_second), Duration::from_secs(1));
        let service = runtime.block_on(async { RateLimit::new(Nothing, rate) });
        Built::Ready(Self { service, runtime })
    }

    fn admit(&mut self) -> bool {
        let service = &mut self.service;
        self.runtime.block_on(async {
            let ready = service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
            if ready {
                drop(service.call(()));
            }
            ready
        })
    }

    fn leap(&mut self, by: Duration) {
        self.runtime.block_on(advance(by));
    }
}
