use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::limiter::LimiterUnderTest;
use crate::report::Built;

type Instant = <FakeRelativeClock as governor::clock::Clock>::Instant;

pub struct Limiter {
    limiter: RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Instant>>,
    clock: FakeRelativeClock,
}

impl LimiterUnderTest for Limiter {
    fn build(per_second: u32) -> Built<Self> {
        let (Some(quota), Some(one)) = (NonZeroU32::new(per_second), NonZeroU32::new(1)) else {
            return Built::NotExpressible;
        };
        let clock = FakeRelativeClock::default();
        let quota = Quota::per_second(quota).allow_burst(one);
        Built::Ready(Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock })
    }

    fn admit(&mut self) -> bool {
        self.limiter.check().is_ok()
    }

    fn leap(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    fn refuses_for_ever(&mut self, n: u32) -> Option<bool> {
        NonZeroU32::new(n).map(|n| self.limiter.check_n(n).is_err())
    }
}
