//! An engine with its clocks.

use std::time::Duration;

use mainstay_core::time::Instant;
use mainstay_monitor::engine::{Act, ActError, Engine, Happening, Reading, Standing, Value};
use mainstay_monitor::rules::{RuleSet, RuleSpec, Signal};
use mainstay_monitor::series::Latencies;

const TICK: Duration = Duration::from_secs(10);

/// An engine with its clocks.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) unix_ms: u64,
}

impl World {
    pub(crate) fn new(set: RuleSet) -> Self {
        let now = Instant::default().after(Duration::from_secs(1_000));
        Self { engine: Engine::new(set).unwrap(), now, unix_ms: 1_700_000_000_000 }
    }

    pub(crate) fn usual() -> Self {
        Self::new(RuleSet::usual())
    }

    pub(crate) fn of(rules: Vec<RuleSpec>) -> Self {
        Self::new(RuleSet { rules, slos: Vec::new() })
    }

    pub(crate) fn tick(&mut self, readings: &[Reading]) -> Vec<Happening> {
        self.now = self.now.after(TICK);
        self.unix_ms += 10_000;
        self.engine.tick(self.now, self.unix_ms, readings)
    }

    /// The same reading as often, and all that was told.
    pub(crate) fn ticks(&mut self, times: usize, readings: &[Reading]) -> Vec<Happening> {
        (0..times).flat_map(|_| self.tick(readings)).collect()
    }

    pub(crate) fn standings(&self) -> Vec<Standing> {
        self.engine.standings(self.now, self.unix_ms)
    }

    pub(crate) fn standing(&self, rule: &str) -> Standing {
        self.standings().into_iter().find(|one| &*one.rule == rule).unwrap()
    }

    pub(crate) fn act(&mut self, id: u64, act: Act) -> Result<Vec<Happening>, ActError> {
        self.engine.act(self.now, self.unix_ms, id, act)
    }

    /// What a process that begins now would know, `outage` later.
    pub(crate) fn restarted(&mut self, set: RuleSet, outage: Duration) -> Self {
        let rows = self.engine.changed(self.now, self.unix_ms);
        let mut next = Self::new(set);
        next.unix_ms = self.unix_ms + u64::try_from(outage.as_millis()).unwrap();
        for (id, kept) in rows {
            let kept = kept.unwrap();
            assert_eq!(kept.id(), id);
            // As it is stored.
            let text = serde_json::to_string(&kept).unwrap();
            assert!(next.engine.restore(
                next.now,
                next.unix_ms,
                serde_json::from_str(&text).unwrap()
            ));
        }
        next
    }
}

pub(crate) fn whats(told: &[Happening]) -> Vec<(&str, &str)> {
    told.iter().map(|one| (&*one.rule, one.what)).collect()
}

pub(crate) fn latency(millis: u64, samples: u32) -> Reading {
    let mut latencies = Latencies::default();
    (0..samples).for_each(|_| latencies.record(Duration::from_millis(millis)));
    let sum = Duration::from_millis(millis) * samples;
    Reading::new(Signal::SessionLatency, Value::Latency { latencies, sum })
}

pub(crate) fn failed(link: &str, seconds: f64) -> Reading {
    Reading::of(Signal::LinkFailed, link, Value::Gauge(seconds))
}
