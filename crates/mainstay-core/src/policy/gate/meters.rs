use core::time::Duration;

use super::{Ended, GateConfig};
use crate::config::{ConfigError, Ratio, duration_from};
use crate::measure::ewma::Rtt;
use crate::measure::window::Window;
use crate::policy::adaptive_limit::{AdaptiveLimit, Completion, Finished};
use crate::policy::hedge::Hedging;
use crate::policy::outcome::Sample;
use crate::policy::pressure::{Pressure, Sources};
use crate::policy::throttle::Throttle;
use crate::time::{Instant, nanos};

/// Failures and calls of the last so long make the failure share of the pressure.
const PRESSURE_WINDOW: Duration = Duration::from_secs(10);
const PRESSURE_BUCKETS: u32 = 10;
/// Calls in that window below which a failure says little.
const PRESSURE_CALLS_MIN: u64 = 5;
/// The baseline follows a slower peer by one part in so many per call …
const BASELINE_RISE: u64 = 1_000;
/// … and a faster one by one part in so many: a single lucky answer does not make all others slow.
const BASELINE_FALL: u64 = 8;
/// How long a reported lag counts.
const LAG_AGE_MAX: Duration = Duration::from_secs(2);

/// What a gate measures and must not measure twice at a time: lend it under a lock.
#[derive(Clone, Debug)]
pub struct Meters {
    throttle: Option<Throttle>,
    limit: Option<(AdaptiveLimit, u32)>,
    hedging: Option<Hedging>,
    calls: Window<2>,
    rtt: Rtt,
    baseline: u64,
    /// The lag last reported, and when.
    lag: (Duration, Instant),
}

impl Meters {
    pub(super) fn new(config: &GateConfig) -> Result<Self, ConfigError> {
        duration_from("hold_cap", config.hold_cap, Duration::ZERO)?;
        let throttle = config.throttle.as_ref().map(Throttle::new).transpose();
        let limit = config.adaptive_limit.as_ref().map(AdaptiveLimit::new).transpose();
        let hedging = config.hedge.as_ref().map(Hedging::new).transpose();
        let most = config.bulkhead.map_or(u32::MAX, |bulkhead| bulkhead.max);
        Ok(Self {
            throttle: throttle.map_err(|error| error.within("throttle"))?,
            limit: limit.map_err(|error| error.within("adaptive_limit"))?.map(|l| (l, most)),
            hedging: hedging.map_err(|error| error.within("hedge"))?,
            calls: Window::new(PRESSURE_WINDOW, PRESSURE_BUCKETS)?,
            rtt: Rtt::default(),
            baseline: 0,
            lag: (Duration::ZERO, Instant::from_nanos(0)),
        })
    }

    /// The adaptive limit now, held at the bulkhead's.
    pub(super) fn limit(&self) -> Option<u32> {
        self.limit.as_ref().map(|(limit, most)| limit.limit().min(*most))
    }

    pub(super) const fn throttle(&mut self) -> Option<&mut Throttle> {
        self.throttle.as_mut()
    }

    /// When and how often to hedge, if hedging is on.
    #[must_use]
    pub const fn hedging(&mut self) -> Option<&mut Hedging> {
        self.hedging.as_mut()
    }

    /// Tells how late the driver's own timers fire: our own load is a source of pressure too. What
    /// was told more than 2 s ago no longer counts.
    pub const fn report_lag(&mut self, now: Instant, lag: Duration) {
        self.lag = (lag, now);
    }

    /// Takes a call into account; answers the adaptive limit that holds from now on.
    pub(super) fn record(&mut self, now: Instant, ended: Ended, in_flight: u32) -> Option<u32> {
        let sample = ended.outcome.sample();
        if let Some(throttle) = &mut self.throttle {
            throttle.record(now, sample);
        }
        match sample {
            Sample::Success => {
                self.calls.add(now, [1, 0]);
                self.answered(now, ended.elapsed);
            }
            Sample::Failure | Sample::Throttled => self.calls.add(now, [1, 1]),
            Sample::Neutral => {}
        }
        let completion = Completion::of(ended.outcome, ended.timed_out);
        let finished = Finished { completion, round_trip: ended.elapsed, in_flight };
        let (limit, most) = self.limit.as_mut()?;
        Some(limit.record(now, finished).min(*most))
    }

    fn answered(&mut self, now: Instant, elapsed: Duration) {
        let sample = nanos(elapsed);
        self.rtt.record(elapsed);
        self.baseline = if self.baseline == 0 {
            sample
        } else if sample < self.baseline {
            self.baseline - (self.baseline - sample) / BASELINE_FALL
        } else {
            self.baseline.saturating_add(self.baseline / BASELINE_RISE).min(sample)
        };
        if let Some(hedging) = &mut self.hedging {
            hedging.answered(now, elapsed);
        }
    }

    /// How much trouble the endpoint is known to be in. `held` is what is left of a server's pause,
    /// `cap` the longest wait of the backoff that asks.
    #[must_use]
    pub fn pressure(&self, now: Instant, held: Option<Duration>, cap: Duration) -> Pressure {
        let [calls, failed] = self.calls.sums(now);
        let failures =
            if calls < PRESSURE_CALLS_MIN { Ratio::ZERO } else { Ratio::of(failed, calls) };
        Pressure::from_sources(&Sources {
            failures,
            latency: self.rtt.smoothed().unwrap_or_default(),
            baseline: Duration::from_nanos(self.baseline),
            hint: held.unwrap_or_default(),
            cap,
            lag: if now.since(self.lag.1) <= LAG_AGE_MAX { self.lag.0 } else { Duration::ZERO },
        })
    }
}
