use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::backoff::{BackoffUnderTest, Plan};
use crate::report::Built;

pub struct Backoff(ExponentialBuilder);

impl BackoffUnderTest for Backoff {
    fn build(plan: &Plan) -> Built<Self> {
        let builder = ExponentialBuilder::new()
            .with_min_delay(plan.base)
            .with_max_delay(plan.cap)
            .with_factor(plan.factor as f32)
            .without_max_times();
        Built::Ready(Self(if plan.jittered { builder.with_jitter() } else { builder }))
    }

    fn session(&mut self, attempts: usize) -> Vec<Duration> {
        self.0.build().take(attempts).collect()
    }
}
