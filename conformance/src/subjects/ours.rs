use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};

use mainstay_core::bits::bits;
use mainstay_core::config::Ratio;
use mainstay_core::policy::breaker::{
    Breaker as Machine, BreakerConfig, HalfOpenConfig, OpenConfig, Permit, Window,
};
use mainstay_core::policy::outcome::Sample;
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::policy::{backoff, budget, rate};
use mainstay_core::time::{Instant, Moment};

use crate::breaker::{Answer, BreakerUnderTest, Plan, Signal};
use crate::report::Built;
use crate::{backoff as ask_backoff, budget as ask_budget, limiter as ask_limiter};

fn made<T, E>(result: Result<T, E>) -> Built<T> {
    result.map_or(Built::Refused, Built::Ready)
}

/// The core's breaker, with the clock and the bits that a driver would give it.
pub struct Breaker {
    machine: Machine,
    origin: Clock,
    leapt: Cell<Duration>,
    draws: Cell<u64>,
}

impl Breaker {
    fn at(&self) -> Moment {
        self.draws.set(self.draws.get() + 1);
        let address = std::ptr::from_ref(self).addr() as u64;
        let elapsed = self.origin.elapsed() + self.leapt.get();
        let now = Instant::default().after(elapsed);
        let entropy = u64::from(self.origin.elapsed().subsec_nanos());
        Moment { now, bits: bits(entropy, address, self.draws.get()) }
    }
}

impl BreakerUnderTest for Breaker {
    type Call = Permit;

    fn build(plan: &Plan) -> Built<Self> {
        let defaults = BreakerConfig::default();
        let (signal, rate) = match plan.signal {
            Signal::Any => (BreakerConfig { consecutive_failures: 3, ..defaults }, 0.5),
            Signal::Count { size, rate } => {
                let window = Window::Count(size);
                let minimum_calls = size;
                (BreakerConfig { consecutive_failures: 0, window, minimum_calls, ..defaults }, rate)
            }
            Signal::Time { length, minimum, rate } => {
                let window = Window::Time(length);
                let minimum_calls = minimum;
                (BreakerConfig { consecutive_failures: 0, window, minimum_calls, ..defaults }, rate)
            }
        };
        let Ok(failure_rate) = Ratio::try_from(rate) else { return Built::Refused };
        // Exactly `open_for`, each time, unless asked for the defaults.
        let (factor, jitter) = if plan.jittered {
            (defaults.open.factor, defaults.open.jitter)
        } else {
            (Ratio::ONE, Ratio::ZERO)
        };
        let config = BreakerConfig {
            failure_rate,
            open: OpenConfig { base: plan.open_for, factor, jitter, ..defaults.open },
            half_open: HalfOpenConfig { probes: plan.probes, ..defaults.half_open },
            ..signal
        };
        let (leapt, draws) = (Cell::default(), Cell::default());
        let new = |machine| Self { machine, origin: Clock::now(), leapt, draws };
        made(Machine::new(&config).map(new))
    }

    fn begin(&self) -> Option<Permit> {
        self.machine.admit(self.at()).verdict.ok()
    }

    fn end(&self, call: Permit, answer: Answer) {
        let sample = if answer == Answer::Success { Sample::Success } else { Sample::Failure };
        let _transition = self.machine.record(call, sample, Duration::ZERO, || self.at());
    }

    fn give_up(&self, call: Permit) {
        let _transition = self.machine.abandon(call, || self.at());
    }

    fn leap(&self, by: Duration) -> bool {
        self.leapt.set(self.leapt.get() + by);
        true
    }
}

/// Operations so far: the stream that a driver would draw from.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

pub struct Backoff(backoff::Backoff);

impl ask_backoff::BackoffUnderTest for Backoff {
    fn build(plan: &ask_backoff::Plan) -> Built<Self> {
        let Ok(factor) = Ratio::try_from(plan.factor) else { return Built::Refused };
        let jitter = if plan.jittered { backoff::Jitter::Full } else { backoff::Jitter::None };
        let (base, cap) = (plan.base, plan.cap);
        let config = backoff::BackoffConfig { base, cap, factor, jitter, ..Default::default() };
        made(backoff::Backoff::new(&config).map(Self))
    }

    fn session(&mut self, attempts: usize) -> Vec<Duration> {
        let operation = OPERATIONS.fetch_add(1, Ordering::Relaxed);
        let mut previous = Duration::ZERO;
        let mut waits = Vec::new();
        for (attempt, counter) in (1..).zip(0..attempts as u64) {
            let drawn = bits(7, operation, counter);
            previous = self.0.delay(attempt, previous, Pressure::NONE, drawn);
            waits.push(previous);
        }
        waits
    }

    fn at(&mut self, attempt: u32) -> Option<Duration> {
        Some(self.0.delay(attempt, Duration::ZERO, Pressure::NONE, 0))
    }
}

pub struct Budget {
    machine: budget::Budget,
    now: Mutex<Instant>,
}

impl Budget {
    fn now(&self) -> Instant {
        *self.now.lock().expect("nobody panics with it")
    }
}

impl ask_budget::BudgetUnderTest for Budget {
    fn build(plan: &ask_budget::Plan) -> Built<Self> {
        let Ok(ratio) = Ratio::try_from(plan.ratio) else { return Built::Refused };
        let reserve_per_sec = plan.reserve_per_sec;
        let tokens = budget::TokenBudgetConfig { ratio, reserve_per_sec, ..Default::default() };
        let machine = budget::Budget::new(&budget::BudgetConfig::Tokens(tokens));
        made(machine.map(|machine| Self { machine, now: Mutex::default() }))
    }

    fn deposit(&self) {
        self.machine.close(self.machine.deposit(self.now()));
    }

    fn withdraw(&self) -> bool {
        self.machine.withdraw(self.now()).map(|charge| self.machine.spend(charge)).is_ok()
    }

    fn leap(&self, by: Duration) -> bool {
        let mut now = self.now.lock().expect("nobody panics with it");
        *now = now.after(by);
        true
    }
}

pub struct Limiter {
    machine: rate::RateLimit,
    now: Instant,
}

impl ask_limiter::LimiterUnderTest for Limiter {
    fn build(per_second: u32) -> Built<Self> {
        let config = rate::RateConfig { limit: per_second, burst: 1, ..Default::default() };
        made(rate::RateLimit::new(&config).map(|machine| Self { machine, now: Instant::default() }))
    }

    fn admit(&mut self) -> bool {
        self.machine.admit(self.now, 1).is_ok()
    }

    fn leap(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }

    fn refuses_for_ever(&mut self, n: u32) -> Option<bool> {
        let refusal = self.machine.admit(self.now, n);
        Some(matches!(refusal, Err(rate::NotAdmitted::TooLarge { .. })))
    }
}
