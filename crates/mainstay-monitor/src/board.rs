//! All of the monitor in one value: alerts, trends, overload, and the summary of them.
//!
//! A driver calls [`Board::cycle`] every ten seconds with what it found, and keeps and tells what
//! comes back. A cycle costs what there are of links, gates and rules; sessions come as sums.

use std::collections::VecDeque;
use std::time::Duration;

use mainstay_core::config::{ConfigError, Ratio};
use mainstay_core::measure::histogram::Histogram;
use mainstay_core::time::Instant;

use crate::alert::Severity;
use crate::engine::{Engine, Happening, Reading, Value};
use crate::overload::{Overload, Sample};
use crate::rules::{RuleSet, Signal};
use crate::series::Latencies;
use crate::summary::{
    Alerts, Gates, Grades, LatencyMs, Links, Sessions, Status, Summary, System, Trends,
};
use crate::trend::{Change, Minute, Trend};

/// How often a cycle is to be run.
pub const CYCLE: Duration = Duration::from_secs(10);
/// What latencies and reconnections of the summary are of.
const RECENT: Duration = Duration::from_secs(300);
/// What rates of the summary are of.
const LONGER: Duration = Duration::from_secs(600);
/// Minutes that the clock may go back without anything being begun anew.
const AHEAD: u64 = 5;
/// Where latency counts as high for the prediction, unless a rule says otherwise.
const HIGH: Duration = Duration::from_secs(1);

/// What happened since the last cycle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Since {
    /// Round trips.
    pub latencies: Latencies,
    /// All of them together.
    pub sum: Duration,
    /// What failed: connections, calls, operations.
    pub failed: u64,
    /// What failed and what did not.
    pub all: u64,
    /// Reconnections.
    pub reconnections: u64,
    /// Health checks that went well.
    pub checks_ok: u64,
    /// All health checks.
    pub checks: u64,
}

/// What a driver found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// For the rules.
    pub readings: Vec<Reading>,
    /// Sessions now.
    pub sessions: Sessions,
    /// Sessions by grade now.
    pub quality: Grades,
    /// Share of sessions that needed attempts.
    pub attempts: Option<f64>,
    /// Links now.
    pub links: Links,
    /// Breakers now.
    pub gates: Gates,
    /// What happened.
    pub since: Since,
    /// What was measured of the machine.
    pub sample: Sample,
    /// The rest of what is known of it; level, stress and reasons are the board's to say.
    pub system: System,
}

/// The monitor as a value.
#[derive(Debug)]
pub struct Board {
    engine: Engine,
    overload: Overload,
    latency: Trend,
    connections: Trend,
    errors: Trend,
    /// The number of the minute that is being gathered, and what it has so far.
    minute: Option<(u64, Since)>,
    recent: VecDeque<(Instant, Since)>,
    summary: Summary,
}

impl Board {
    /// A board under these rules.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming rule and field.
    pub fn new(rules: RuleSet) -> Result<Self, ConfigError> {
        use crate::trend::Signal::{Connections, Errors, Latency};
        Ok(Self {
            engine: Engine::new(rules)?,
            overload: Overload::default(),
            latency: Trend::new(Latency),
            connections: Trend::new(Connections),
            errors: Trend::new(Errors),
            minute: None,
            recent: VecDeque::new(),
            summary: Summary::default(),
        })
    }

    /// Its alerts.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its alerts, to act on them.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// How far the machine is overloaded.
    #[must_use]
    pub const fn overload(&self) -> &Overload {
        &self.overload
    }

    /// Everything at a glance, as of the last cycle; alerts as they are now.
    #[must_use]
    pub fn summary(&self, now: Instant, unix_ms: u64) -> Summary {
        let mut summary = self.summary.clone();
        summary.alerts = Alerts::default();
        summary.status = Status::Healthy;
        for standing in self.engine.standings(now, unix_ms) {
            if standing.state == crate::alert::State::Pending {
                summary.alerts.pending += 1;
            }
            let (true, Some(severity)) = (standing.is_firing(), standing.severity) else {
                continue;
            };
            summary.alerts.firing += 1;
            summary.alerts.by_severity.add(severity);
            if standing.is_muted() {
                continue;
            }
            summary.alerts.unacknowledged += 1;
            let status = match severity {
                Severity::Low => Status::Healthy,
                Severity::Medium | Severity::High => Status::Warning,
                Severity::Critical => Status::Critical,
            };
            if status as u8 > summary.status as u8 {
                summary.status = status;
            }
        }
        summary.say();
        summary
    }

    /// Takes what was found since the last cycle, and answers what happened to alerts.
    #[must_use = "each happening is given out once"]
    pub fn cycle(&mut self, now: Instant, unix_ms: u64, mut found: Findings) -> Vec<Happening> {
        let _level = self.overload.observe(now, &found.sample);
        let number = self.overload.number(now);
        found.readings.push(Reading::new(Signal::SystemOverload, Value::Gauge(number)));
        let told = self.engine.tick(now, unix_ms, &found.readings);
        self.gather(unix_ms, &found);
        self.remember(now, &found.since);
        self.summary = self.put_together(now, unix_ms, found);
        told
    }

    /// Puts what happened to the minute it belongs to; evaluates the trends of those that are over.
    fn gather(&mut self, unix_ms: u64, found: &Findings) {
        let minute = unix_ms / 60_000;
        // A clock that had leapt ahead is back: time goes on from here.
        let leapt = |number: u64| number.saturating_sub(minute) > AHEAD;
        let gathered = self.minute.take().filter(|(number, _)| !leapt(*number));
        let (number, mut so_far) = gathered.unwrap_or_else(|| (minute, Since::default()));
        if minute > number {
            self.judge(&so_far, found);
            // Minutes in which nobody looked: the machine slept, or the clock leapt.
            for _ in 0..(minute - number - 1).min(crate::trend::MINUTES as u64) {
                for trend in [&mut self.latency, &mut self.connections, &mut self.errors] {
                    let _change: Option<Change> = trend.minute(Minute::Nothing);
                }
            }
            so_far = Since::default();
        }
        so_far.add(&found.since);
        self.minute = Some((minute.max(number), so_far));
    }

    fn judge(&mut self, over: &Since, found: &Findings) {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let p95 = over.latencies.quantile(Ratio::percent(95));
        let latency = p95.map_or(Minute::Nothing, |value| Minute::Latency {
            value,
            samples: small(over.latencies.count()),
        });
        let connected = found.sessions.connected + found.links.connected;
        let errors = Minute::Errors { failed: small(over.failed), calls: small(over.all) };
        for (trend, minute) in [
            (&mut self.latency, latency),
            (&mut self.connections, Minute::Connections(small(connected))),
            (&mut self.errors, errors),
        ] {
            // The summary says what a series is; nobody is told when that changes.
            let _change: Option<Change> = trend.minute(minute);
        }
    }

    fn remember(&mut self, now: Instant, since: &Since) {
        while let Some((at, _)) = self.recent.front()
            && (now.since(*at) >= LONGER || *at > now)
        {
            self.recent.pop_front();
        }
        self.recent.push_back((now, since.clone()));
    }

    fn put_together(&self, now: Instant, unix_ms: u64, found: Findings) -> Summary {
        let (mut short, mut long) = (Since::default(), Since::default());
        for (at, since) in &self.recent {
            if now.since(*at) < RECENT {
                short.add(since);
            }
            long.add(&Since { latencies: Latencies::default(), ..since.clone() });
        }
        use crate::trend::Signal::{Connections, Errors, Latency};
        let (latency, connections, errors) =
            (self.latency.class(), self.connections.class(), self.errors.class());
        let mut summary = Summary {
            sessions: found.sessions,
            quality: found.quality,
            links: found.links,
            gates: found.gates,
            latency_ms: short.latency(),
            error_rate: share(long.failed, long.all),
            reconnection_rate: found.attempts,
            reconnections_per_minute: per_minute(short.reconnections),
            health_check_success_rate: share(long.checks_ok, long.checks),
            trends: Trends {
                latency: latency.name(Latency),
                connections: connections.name(Connections),
                errors: errors.name(Errors),
            },
            system: System {
                level: self.overload.level(),
                stress: self.overload.stress(),
                reasons: self.overload.reasons(),
                lag_p99_ms: millis(found.sample.lag),
                ..found.system
            },
            at_ms: unix_ms,
            ..Summary::default()
        };
        summary.prediction.latency_minutes_to_threshold = self.latency.minutes_to(self.high());
        summary
    }

    /// Where latency is high, in seconds.
    fn high(&self) -> f64 {
        let mut rules = self.engine.rules();
        let rule = rules.find(|rule| rule.signal == Signal::SessionLatency && rule.high.is_some());
        let edge = rule.and_then(|rule| rule.high).map(|edge| edge.enter / 1_000.0);
        edge.filter(|edge| *edge > 0.0).unwrap_or(HIGH.as_secs_f64())
    }
}

impl Since {
    /// Adds what happened at another time.
    pub fn add(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.sum = self.sum.saturating_add(other.sum);
        for (sum, more) in [
            (&mut self.failed, other.failed),
            (&mut self.all, other.all),
            (&mut self.reconnections, other.reconnections),
            (&mut self.checks_ok, other.checks_ok),
            (&mut self.checks, other.checks),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "samples of minutes are far below 2⁵³")]
    fn latency(&self) -> LatencyMs {
        let mut histogram = Histogram::new();
        self.latencies.add_to(&mut histogram);
        let samples = histogram.count();
        let of = |percent| histogram.quantile(Ratio::percent(percent)).map(millis);
        LatencyMs {
            mean: (samples > 0).then(|| millis(self.sum) / samples as f64),
            p50: of(50),
            p95: of(95),
            p99: of(99),
            samples,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2⁵³ need no exact share")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "counts of minutes are far below 2⁵³")]
fn per_minute(count: u64) -> f64 {
    count as f64 / (RECENT.as_secs_f64() / 60.0)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
