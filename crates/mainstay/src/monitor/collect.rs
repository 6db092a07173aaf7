use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use mainstay_core::link::{LinkStats, LinkView, SuspendReason};
use mainstay_core::policy::breaker::State as Breaker;
use mainstay_core::time::Instant;
use mainstay_monitor::board::Findings;
use mainstay_monitor::engine::{Reading, Value};
use mainstay_monitor::rules::Signal;
use mainstay_monitor::series::{Cell, Latencies};

use super::sources::{CacheFigures, Sources};
use crate::gate::GateView;
use crate::link::StateName;
use crate::operations::Totals;

/// The group of all links together.
pub const GROUP_LINKS: &str = "links";
/// The group of all operations together.
pub const GROUP_OPERATIONS: &str = "operations";

/// What one collection found.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// For the board.
    pub findings: Findings,
    /// For the history, by group: `links`, `link:NAME`, `gate:NAME`, `cache:NAME`,
    /// `operations`, …
    pub cells: Vec<(String, Cell)>,
}

/// Turns counters that only grow into what happened since the last time.
#[derive(Debug, Default)]
pub struct Collector {
    cycle: u64,
    links: HashMap<String, LinkBefore>,
    gates: HashMap<String, GateBefore>,
    caches: HashMap<String, CacheBefore>,
    all_links: Cell,
}

#[derive(Debug, Default)]
struct LinkBefore {
    cycle: u64,
    ok: u64,
    failed: u64,
    attempts: u64,
    calls: Option<Duration>,
    trying: Option<Instant>,
    given_up: Option<Instant>,
    down: Option<Instant>,
}

#[derive(Debug, Default)]
struct GateBefore {
    cycle: u64,
    succeeded: u64,
    failed: u64,
    open: Option<Instant>,
}

#[derive(Debug, Default)]
struct CacheBefore {
    cycle: u64,
    hits: u64,
    misses: u64,
}

impl Collector {
    /// Begins a collection. Each link and gate is to be shown to it once.
    pub fn begin(&mut self) -> Collected {
        self.cycle += 1;
        self.all_links = Cell::default();
        Collected::default()
    }

    /// Takes what a link says. `required`: others cannot do without it.
    pub fn link(
        &mut self,
        now: Instant,
        name: &str,
        (view, stats): (&LinkView, &LinkStats),
        required: bool,
        into: &mut Collected,
    ) {
        let cycle = self.cycle;
        let before = known(&mut self.links, name);
        let first = before.cycle == 0;
        before.cycle = cycle;
        let mut cell = Cell::default();
        let ok = grown(first, &mut before.ok, stats.successful_health_checks);
        let failed = grown(first, &mut before.failed, stats.failed_health_checks);
        let attempts = grown(first, &mut before.attempts, stats.total_reconnect_attempts);
        (cell.ok, cell.fail) = (ok, failed);
        if let Some(rtt) = stats.rtt.last().filter(|_| ok > 0) {
            cell.took(rtt);
        }
        // The smoothed time of calls moves with each of them.
        let calls = stats.calls.smoothed();
        if calls != before.calls && !first {
            stats.calls.last().into_iter().for_each(|call| cell.took(call));
        }
        before.calls = calls;
        let [reconnecting, given_up, down] = before.standing(now, view);
        let is_connected = view.state.is_healthy();
        cell.stood_at(if is_connected { 1.0 } else { 0.0 });

        let since = &mut into.findings.since;
        since.checks_ok += ok;
        since.checks += ok + failed;
        since.reconnections += attempts;
        count_link(&mut into.findings.links, view.state);
        let gauge =
            |signal, span: Duration| Reading::of(signal, name, Value::Gauge(span.as_secs_f64()));
        let sum = Duration::from_nanos(cell.sum_ns);
        let latencies = cell.latencies.clone();
        let readings = &mut into.findings.readings;
        readings.extend([
            Reading::of(Signal::LinkChecks, name, Value::Share { part: ok, whole: ok + failed }),
            Reading::of(Signal::LinkLatency, name, Value::Latency { latencies, sum }),
            gauge(Signal::LinkReconnecting, reconnecting),
            gauge(Signal::LinkFailed, given_up),
        ]);
        if required {
            readings.push(gauge(Signal::LinkRequiredDown, down));
        }
        self.all_links.merge(&Cell { level_sum: 0.0, levels: 0, ..cell.clone() });
        into.cells.push((format!("link:{name}"), cell));
    }

    /// Takes how many days the certificate that a link's peer shows is still valid; below 0 when it is
    /// not any more; none while nobody knows.
    pub fn certificate(name: &str, days: Option<f64>, into: &mut Collected) {
        let value = days.map_or(Value::Nothing, Value::Gauge);
        let reading = Reading::of(Signal::LinkCertificate, name, value);
        into.findings.readings.push(reading);
    }

    /// Takes what a gate says.
    pub fn gate(&mut self, now: Instant, view: &GateView, into: &mut Collected) {
        let cycle = self.cycle;
        let before = known(&mut self.gates, &view.name);
        let first = before.cycle == 0;
        before.cycle = cycle;
        let ok = grown(first, &mut before.succeeded, view.succeeded);
        let failed = grown(first, &mut before.failed, view.failed);
        let state = view.breaker.map(|breaker| breaker.state);
        let gates = &mut into.findings.gates;
        let (mut is_open, mut is_half_open) = (false, false);
        match state {
            Some(Breaker::Open | Breaker::ForcedOpen) => {
                is_open = true;
                gates.open += 1;
            }
            Some(Breaker::HalfOpen) => {
                is_half_open = true;
                gates.half_open += 1;
            }
            Some(Breaker::Closed | Breaker::Disabled) | None => gates.closed += 1,
        }
        before.open = is_open.then(|| before.open.unwrap_or(now).min(now));
        let open_for = span(now, before.open);
        let since = &mut into.findings.since;
        since.failed += failed;
        since.all += ok + failed;
        let name = &view.name;
        into.findings.readings.extend([
            Reading::of(
                Signal::GateErrors,
                name,
                Value::Share { part: failed, whole: ok + failed },
            ),
            Reading::of(Signal::GateOpen, name, Value::Gauge(open_for.as_secs_f64())),
            Reading::of(
                Signal::GateHalfOpen,
                name,
                Value::Gauge(f64::from(u8::from(is_half_open))),
            ),
        ]);
        let mut cell = Cell { ok, fail: failed, ..Cell::default() };
        cell.stood_at(f64::from(u8::from(is_open)));
        into.cells.push((format!("gate:{name}"), cell));
    }

    /// Takes what a cache has counted.
    #[expect(clippy::cast_precision_loss, reason = "a cache has far fewer than 2⁵³ places")]
    pub fn cache(&mut self, name: &str, figures: &CacheFigures, into: &mut Collected) {
        let cycle = self.cycle;
        let before = known(&mut self.caches, name);
        let first = before.cycle == 0;
        before.cycle = cycle;
        let hits = grown(first, &mut before.hits, figures.hits);
        let misses = grown(first, &mut before.misses, figures.misses);
        let (part, whole) = (figures.taken, figures.places);
        into.findings.readings.extend([
            Reading::of(Signal::CacheHits, name, Value::Share { part: hits, whole: hits + misses }),
            Reading::of(Signal::CacheFill, name, Value::Standing { part, whole }),
        ]);
        let mut cell = Cell { ok: hits, fail: misses, ..Cell::default() };
        cell.stood_at(part as f64 / whole.max(1) as f64);
        into.cells.push((format!("cache:{name}"), cell));
    }

    /// Takes what others have to show.
    pub fn sources(&mut self, now: Instant, sources: &Sources, into: &mut Collected) {
        for (name, link) in sources.links() {
            self.link(now, &name, (&link.view(), &link.stats()), false, into);
        }
        for (name, expiry) in sources.certificates() {
            Self::certificate(&name, Some(days_until(expiry)), into);
        }
        for view in sources.gates() {
            self.gate(now, &view, into);
        }
        for (name, figures) in sources.caches() {
            self.cache(&name, &figures, into);
        }
        into.findings.readings.extend(sources.readings());
    }

    /// Takes the operations that have ended.
    pub fn operations(&mut self, totals: &Totals, into: &mut Collected) {
        let latencies = totals.latencies.as_ref().map(Latencies::from).unwrap_or_default();
        let (ok, failed) = (totals.succeeded, totals.failed);
        let since = &mut into.findings.since;
        since.failed += failed;
        since.all += ok + failed;
        let mut cell = Cell { ok, fail: failed, ..Cell::default() };
        let max = totals.latencies.as_ref().map(|all| all.max()).unwrap_or_default();
        let min = latencies.quantile(mainstay_core::config::Ratio::ZERO).unwrap_or_default();
        cell.measured(&latencies, min, max, totals.sum);
        let value = Value::Latency { latencies, sum: totals.sum };
        into.findings.readings.extend([
            Reading::new(
                Signal::OperationErrors,
                Value::Share { part: failed, whole: ok + failed },
            ),
            Reading::new(Signal::OperationLatency, value),
        ]);
        into.cells.push((GROUP_OPERATIONS.to_owned(), cell));
    }

    /// Ends a collection: what was not shown is forgotten. Latencies of links are those of the
    /// summary where nobody else has any.
    #[expect(clippy::cast_precision_loss, reason = "there are at most a thousand links")]
    pub fn finish(&mut self, into: &mut Collected) {
        let cycle = self.cycle;
        self.links.retain(|_, before| before.cycle == cycle);
        self.gates.retain(|_, before| before.cycle == cycle);
        self.caches.retain(|_, before| before.cycle == cycle);
        let mut cell = std::mem::take(&mut self.all_links);
        let since = &mut into.findings.since;
        if since.latencies.count() == 0 {
            since.latencies = cell.latencies.clone();
            since.sum = Duration::from_nanos(cell.sum_ns);
        }
        cell.stood_at(into.findings.links.connected as f64);
        into.cells.push((GROUP_LINKS.to_owned(), cell));
    }
}

impl LinkBefore {
    /// How long it has been trying to come back, how long it has been given up, and how long one or
    /// the other.
    fn standing(&mut self, now: Instant, view: &LinkView) -> [Duration; 3] {
        let paused = view.suspended == Some(SuspendReason::Paused);
        let is_down = match view.state {
            StateName::Reconnecting | StateName::Connecting => true,
            StateName::Suspended => !paused,
            StateName::Disconnected
            | StateName::Connected
            | StateName::Failed
            | StateName::Closing => false,
        };
        let has_failed = view.state == StateName::Failed;
        let since =
            |known: Option<Instant>, holds: bool| holds.then(|| known.unwrap_or(now).min(now));
        self.trying = since(self.trying, is_down);
        self.given_up = since(self.given_up, has_failed);
        self.down = since(self.down, is_down || has_failed);
        [self.trying, self.given_up, self.down].map(|since| span(now, since))
    }
}

/// How many days are left until then, with fractions; below 0 when it is past.
#[must_use]
pub fn days_until(then: SystemTime) -> f64 {
    const DAY: f64 = 86_400.0;
    match then.duration_since(SystemTime::now()) {
        Ok(left) => left.as_secs_f64() / DAY,
        Err(past) => -(past.duration().as_secs_f64() / DAY),
    }
}

/// Since then; at least a millisecond, since a thing that has just begun has begun.
fn span(now: Instant, since: Option<Instant>) -> Duration {
    let span = since.map(|since| now.since(since).max(Duration::from_millis(2)));
    span.unwrap_or_default()
}

fn count_link(links: &mut mainstay_monitor::summary::Links, state: StateName) {
    links.total += 1;
    match state {
        StateName::Connected => links.connected += 1,
        StateName::Reconnecting | StateName::Connecting => links.reconnecting += 1,
        StateName::Suspended => links.suspended += 1,
        StateName::Failed => links.failed += 1,
        StateName::Disconnected | StateName::Closing => {}
    }
}

/// What came to a counter since the last look. One that was reset counts from 0 again; what was there
/// before the first look is nobody's news.
fn grown(first: bool, before: &mut u64, now: u64) -> u64 {
    let grown = now.checked_sub(*before).unwrap_or(now);
    *before = now;
    if first { 0 } else { grown }
}

fn known<'a, T: Default>(all: &'a mut HashMap<String, T>, name: &str) -> &'a mut T {
    if !all.contains_key(name) {
        all.insert(name.to_owned(), T::default());
    }
    all.entry(name.to_owned()).or_default()
}
