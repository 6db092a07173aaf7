//! A naive breaker that keeps every outcome in a list, and random scripts that hold the real one
//! against it.

use super::super::{
    Breaker, BreakerConfig, HalfOpenConfig, Permit, RejectionReason, SlowConfig, State, Window,
};
use super::plain;
use crate::config::Ratio;
use crate::policy::outcome::Sample;
use crate::time::{Instant, Moment, nanos};
use core::time::Duration;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;

#[derive(Clone, Copy, Debug)]
struct Ticket {
    generation: u64,
    probe: Option<u64>,
    counted_slow: bool,
}

#[derive(Debug)]
enum Naive {
    Closed,
    Open { until: u64 },
    HalfOpen { since: u64, leases: Vec<(u64, u64)>, good: u32, bad: u32 },
    Forced { by_hand: bool, disabled: bool, isolations: u32 },
    Disabled,
}

struct Model {
    config: BreakerConfig,
    state: Naive,
    generation: u64,
    row: u32,
    last: VecDeque<(bool, bool)>,
    timed: Vec<(u64, bool, bool)>,
    latest: u64,
    openings: u32,
    closed_since: u64,
    next_probe: u64,
}

impl Model {
    fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: Naive::Closed,
            generation: 0,
            row: 0,
            last: VecDeque::new(),
            timed: Vec::new(),
            latest: 0,
            openings: 0,
            closed_since: 0,
            next_probe: 0,
        }
    }

    fn enter(&mut self, state: Naive) {
        self.state = state;
        self.generation += 1;
        self.row = 0;
        self.last.clear();
        self.timed.clear();
    }

    fn needed(&self) -> u32 {
        let half = self.config.half_open;
        (1..=half.probes).find(|n| half.success_rate.reached_by(*n, half.probes)).unwrap()
    }

    fn open(&mut self, now: u64, decayed: u32) {
        let open = self.config.open;
        let doubled = nanos(open.base) << decayed.min(20);
        let until = now + doubled.min(nanos(open.cap));
        self.openings = (decayed + 1).min(255);
        self.closed_since = now >> 8 << 8;
        self.enter(Naive::Open { until: until.div_ceil(1 << 20) << 20 });
    }

    fn trip(&mut self, now: u64) {
        let steps = now.saturating_sub(self.closed_since) / nanos(self.config.open.decay);
        self.open(now, self.openings.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX)));
    }

    fn admit(&mut self, now: u64) -> Result<Ticket, RejectionReason> {
        let plain = Ticket { generation: self.generation, probe: None, counted_slow: false };
        let lease = now + nanos(self.config.half_open.lease.unwrap_or(self.config.open.base));
        let lease = lease.div_ceil(1 << 16) << 16;
        match &mut self.state {
            Naive::Closed | Naive::Disabled => Ok(plain),
            Naive::Forced { .. } => Err(RejectionReason::ForcedOpen),
            Naive::Open { until } => {
                let longest = nanos(self.config.open.cap) + 2_000_000;
                if until.saturating_sub(now) > longest {
                    *until = (now + nanos(self.config.open.cap)).div_ceil(1 << 20) << 20;
                }
                if *until > now {
                    return Err(RejectionReason::Open);
                }
                self.enter(Naive::HalfOpen {
                    since: now,
                    leases: Vec::from([(self.next_probe, lease)]),
                    good: 0,
                    bad: 0,
                });
                self.next_probe += 1;
                let probe = Some(self.next_probe - 1);
                Ok(Ticket { generation: self.generation, probe, counted_slow: false })
            }
            Naive::HalfOpen { since, leases, good, bad } => {
                let before = leases.len();
                leases.retain(|(_, end)| *end > now);
                *bad += u32::try_from(before - leases.len()).unwrap();
                let (since, good, bad, busy) = (*since, *good, *bad, leases.len());
                let half = self.config.half_open;
                if bad > half.probes - self.needed()
                    || half.dwell.is_some_and(|d| now.saturating_sub(since) >= nanos(d))
                {
                    self.open(now, self.openings);
                    return Err(RejectionReason::Open);
                }
                if good + bad + u32::try_from(busy).unwrap() >= half.probes {
                    return Err(RejectionReason::ProbesBusy);
                }
                let id = self.next_probe;
                self.next_probe += 1;
                if let Naive::HalfOpen { leases, .. } = &mut self.state {
                    leases.push((id, lease));
                }
                Ok(Ticket { generation: self.generation, probe: Some(id), counted_slow: false })
            }
        }
    }

    fn record(&mut self, ticket: Ticket, sample: Sample, slow: bool, now: u64) {
        if ticket.generation != self.generation {
            return;
        }
        match (&mut self.state, ticket.probe) {
            (Naive::Closed, _) => self.count(ticket, sample, slow, now),
            (Naive::HalfOpen { leases, good, bad, .. }, Some(id)) => {
                let Some(index) = leases.iter().position(|(other, _)| *other == id) else {
                    return;
                };
                let (_, end) = leases.remove(index);
                match sample {
                    _ if end <= now => *bad += 1,
                    Sample::Success if !slow => *good += 1,
                    Sample::Neutral => {}
                    Sample::Success | Sample::Failure | Sample::Throttled => *bad += 1,
                }
                let (good, bad) = (*good, *bad);
                if good >= self.needed() {
                    self.closed_since = now >> 8 << 8;
                    self.enter(Naive::Closed);
                } else if bad > self.config.half_open.probes - self.needed() {
                    self.open(now, self.openings);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, ticket: Ticket, sample: Sample, slow: bool, now: u64) {
        let failed = matches!(sample, Sample::Failure | Sample::Throttled);
        match sample {
            Sample::Success => self.row = 0,
            Sample::Failure => self.row = (self.row + 1).min(255),
            Sample::Throttled => {}
            Sample::Neutral => return,
        }
        let threshold = self.config.consecutive_failures;
        if sample == Sample::Failure && threshold > 0 && self.row >= threshold {
            return self.trip(now);
        }
        if !ticket.counted_slow || failed {
            self.window(failed, slow && !ticket.counted_slow, now);
        }
    }

    fn window(&mut self, failed: bool, slow: bool, now: u64) {
        let tells_slow = self.config.slow.is_some();
        let (calls, bad, sluggish) = match self.config.window {
            Window::Off => return,
            Window::Count(size) => {
                self.last.push_back((failed, slow));
                if self.last.len() > size as usize {
                    self.last.pop_front();
                }
                let count =
                    |f: fn(&(bool, bool)) -> bool| self.last.iter().filter(|x| f(x)).count();
                (self.last.len(), count(|x| x.0), count(|x| x.1))
            }
            Window::Time(_) => {
                let tick = self.tick(now);
                self.timed.push((tick, failed, slow));
                self.timed_sums(tick)
            }
        };
        let bad_outcome = failed || (slow && tells_slow);
        let enough = self.config.failures_in_window as usize;
        if bad_outcome && enough > 0 && bad >= enough {
            return self.trip(now);
        }
        let minimum = self.config.minimum_calls as usize;
        if !(bad_outcome || calls == minimum) || calls < minimum {
            return;
        }
        let reached = |rate: Ratio, part: usize| {
            rate.reached_by(u32::try_from(part).unwrap(), u32::try_from(calls).unwrap())
        };
        let too_slow = self.config.slow.is_some_and(|slow| reached(slow.rate, sluggish));
        if reached(self.config.failure_rate, bad) || too_slow {
            self.trip(now);
        }
    }

    fn tick(&mut self, now: u64) -> u64 {
        let Window::Time(length) = self.config.window else { return 0 };
        let tick = now / (nanos(length) / 10);
        if tick > self.latest {
            self.latest = tick;
        } else if self.latest - tick >= 10 {
            self.timed.clear();
            self.latest = tick;
        }
        self.latest
    }

    fn timed_sums(&self, tick: u64) -> (usize, usize, usize) {
        let within: Vec<_> =
            self.timed.iter().filter(|(other, ..)| *other <= tick && tick - other < 10).collect();
        let failed = within.iter().filter(|x| x.1).count();
        let slow = within.iter().filter(|x| x.2).count();
        (within.len(), failed, slow)
    }

    fn slow_in_flight(&mut self, ticket: &mut Ticket, now: u64) {
        if ticket.generation != self.generation || ticket.counted_slow {
            return;
        }
        ticket.counted_slow = true;
        match self.state {
            Naive::Closed => self.window(false, true, now),
            Naive::HalfOpen { .. } => self.record(*ticket, Sample::Failure, true, now),
            Naive::Open { .. } | Naive::Forced { .. } | Naive::Disabled => {}
        }
    }

    fn by_hand(&mut self, step: &Step) {
        let (mut by_hand, mut disabled, mut isolations) = match self.state {
            Naive::Forced { by_hand, disabled, isolations } => (by_hand, disabled, isolations),
            Naive::Disabled => (false, true, 0),
            Naive::Closed | Naive::Open { .. } | Naive::HalfOpen { .. } => (false, false, 0),
        };
        let was = (by_hand, disabled, isolations);
        match step {
            Step::ForceOpen => by_hand = true,
            Step::Isolate => isolations += 1,
            Step::Release if isolations == 0 => return,
            Step::Release => isolations -= 1,
            Step::Disable => (by_hand, disabled) = (false, true),
            Step::Enable if !disabled => return,
            Step::Enable => disabled = false,
            Step::Reset => {
                (by_hand, disabled) = (false, false);
                (self.openings, self.closed_since) = (0, 0);
            }
            Step::Admit
            | Step::Record(..)
            | Step::Abandon(_)
            | Step::SlowInFlight(_)
            | Step::Advance(_)
            | Step::StepBack(_) => return,
        }
        let forced = by_hand || isolations > 0;
        let state = if forced {
            Naive::Forced { by_hand, disabled, isolations }
        } else if disabled {
            Naive::Disabled
        } else {
            Naive::Closed
        };
        if matches!(step, Step::Disable) && was == (by_hand, disabled, isolations) {
            return;
        }
        if forced && matches!(self.state, Naive::Forced { .. }) {
            self.state = state;
        } else {
            self.enter(state);
        }
    }

    fn public(&self) -> State {
        match self.state {
            Naive::Closed => State::Closed,
            Naive::Open { .. } => State::Open,
            Naive::HalfOpen { .. } => State::HalfOpen,
            Naive::Forced { .. } => State::ForcedOpen,
            Naive::Disabled => State::Disabled,
        }
    }
}

#[derive(Clone, Debug)]
#[expect(clippy::enum_variant_names, reason = "a step back is a step of the clock")]
enum Step {
    Admit,
    Record(usize, Sample, bool),
    Abandon(usize),
    SlowInFlight(usize),
    Advance(u64),
    StepBack(u64),
    ForceOpen,
    Isolate,
    Release,
    Disable,
    Enable,
    Reset,
}

fn sample() -> impl Strategy<Value = Sample> {
    prop_oneof![
        4 => Just(Sample::Success),
        5 => Just(Sample::Failure),
        1 => Just(Sample::Throttled),
        1 => Just(Sample::Neutral),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0..8_usize;
    prop_oneof![
        20 => Just(Step::Admit),
        20 => (any.clone(), sample(), proptest::bool::weighted(0.2))
            .prop_map(|(i, s, slow)| Step::Record(i, s, slow)),
        2 => any.clone().prop_map(Step::Abandon),
        2 => any.prop_map(Step::SlowInFlight),
        6 => (0..3_000_u64).prop_map(Step::Advance),
        1 => prop_oneof![(3_000..120_000_u64), Just(1_u64 << 33)].prop_map(Step::Advance),
        1 => prop_oneof![(0..500_u64), Just(1_u64 << 33)].prop_map(Step::StepBack),
        1 => prop_oneof![
            Just(Step::ForceOpen), Just(Step::Isolate), Just(Step::Release),
            Just(Step::Release), Just(Step::Disable), Just(Step::Enable), Just(Step::Reset),
        ],
    ]
}

fn config() -> impl Strategy<Value = BreakerConfig> {
    let window = prop_oneof![
        Just(Window::Off),
        (1..70_u32).prop_map(Window::Count),
        Just(Window::Time(Duration::from_secs(2))),
    ];
    let slow = proptest::option::of((10..90_u32).prop_map(|percent| SlowConfig {
        threshold: Duration::from_millis(100),
        rate: Ratio::percent(percent),
    }));
    let dwell = proptest::option::of(Just(Duration::from_secs(3)));
    let row = (0..5_u32, 0..9_u32);
    (window, row, 1..20_u32, 1..=100_u32, slow, 1..=5_u32, 1..=100_u32, dwell).prop_map(
        |(window, (row, failures), minimum, percent, slow, probes, close, dwell)| BreakerConfig {
            failures_in_window: match window {
                Window::Off => 0,
                Window::Count(size) => failures.min(size),
                Window::Time(_) => failures,
            },
            consecutive_failures: if window == Window::Off { row.max(1) } else { row },
            window,
            minimum_calls: if let Window::Count(size) = window {
                minimum.min(size)
            } else {
                minimum
            },
            failure_rate: Ratio::percent(percent),
            slow,
            half_open: HalfOpenConfig {
                probes,
                success_rate: Ratio::percent(close),
                lease: Some(Duration::from_millis(700)),
                dwell,
            },
            ..plain()
        },
    )
}

/// Plays `steps` on both and compares them after every one.
fn play(config: BreakerConfig, steps: &[Step]) -> Result<(), TestCaseError> {
    let real = Breaker::new(&config).unwrap();
    let mut model = Model::new(config);
    let mut now = 1_000_000_000_u64;
    let mut flying: Vec<(Permit, Ticket)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let at = Moment { now: Instant::from_nanos(now), bits: 0 };
        match step {
            Step::Admit => {
                let (mine, naive) = (real.admit(at).verdict, model.admit(now));
                let reasons =
                    (mine.as_ref().err().map(|r| r.reason), naive.as_ref().err().copied());
                prop_assert_eq!(reasons.0, reasons.1, "step {}", index);
                if let (Ok(permit), Ok(ticket)) = (mine, naive) {
                    flying.push((permit, ticket));
                }
            }
            Step::Record(pick, ..) | Step::Abandon(pick) if *pick < flying.len() => {
                let (permit, ticket) = flying.swap_remove(*pick);
                let (sample, slow) = if let Step::Record(_, sample, slow) = step {
                    (*sample, *slow)
                } else {
                    (Sample::Neutral, false)
                };
                let elapsed = Duration::from_millis(if slow { 100 } else { 99 });
                let _seen = real.record(permit, sample, elapsed, || at);
                model.record(ticket, sample, slow && config.slow.is_some(), now);
            }
            Step::SlowInFlight(pick) if *pick < flying.len() && config.slow.is_some() => {
                let (permit, ticket) = &mut flying[*pick];
                let _seen = real.slow_in_flight(permit, || at);
                model.slow_in_flight(ticket, now);
            }
            Step::Record(..) | Step::Abandon(_) | Step::SlowInFlight(_) => {}
            Step::Advance(ms) => now = now.saturating_add(ms * 1_000_000),
            Step::StepBack(ms) => now = now.saturating_sub(ms * 1_000_000),
            Step::ForceOpen => (real.force_open(), model.by_hand(step)).1,
            Step::Isolate => (real.isolate(), model.by_hand(step)).1,
            Step::Release => (real.release(), model.by_hand(step)).1,
            Step::Disable => (real.disable(), model.by_hand(step)).1,
            Step::Enable => (real.enable(), model.by_hand(step)).1,
            Step::Reset => (real.reset(), model.by_hand(step)).1,
        }
        compare(&real, &mut model, now, index, step)?;
    }
    Ok(())
}

fn compare(
    real: &Breaker,
    model: &mut Model,
    now: u64,
    index: usize,
    step: &Step,
) -> Result<(), TestCaseError> {
    let view = real.view(Instant::from_nanos(now));
    prop_assert_eq!(view.state, model.public(), "state after step {} {:?}", index, step);
    prop_assert_eq!(u64::from(view.generation), model.generation);
    if let Naive::Closed = model.state {
        prop_assert_eq!(view.consecutive_failures, model.row, "row after {} {:?}", index, step);
        let sums = match model.config.window {
            Window::Off => (0, 0, 0),
            Window::Count(_) => {
                let failed = model.last.iter().filter(|x| x.0).count();
                (model.last.len(), failed, model.last.iter().filter(|x| x.1).count())
            }
            Window::Time(_) => {
                let tick = model.tick(now);
                model.timed_sums(tick)
            }
        };
        let slow = if model.config.slow.is_some() { sums.2 } else { 0 };
        let seen = (view.calls as usize, view.failed as usize, view.slow as usize);
        prop_assert_eq!(seen, (sums.0, sums.1, slow), "window after {} {:?}", index, step);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    // B01 B03 B04 B05 B06 B09 B10 B11 B12 B15 B16 B18 B19 B21 B22 B27: all of them at once.
    #[test]
    fn random_scripts_leave_the_breaker_where_the_naive_model_is(
        config in config(), steps in proptest::collection::vec(step(), 1..1_000),
    ) {
        play(config, &steps)?;
    }
}
