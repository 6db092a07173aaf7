//! What all clients of a process count, and how it is told and added up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay::core::config::Ratio;
use mainstay::core::measure::histogram::Histogram;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::book::Account;

/// Examples of what went wrong that are told.
const EXAMPLES: usize = 10;

/// Counts of one process.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) begun: AtomicU64,
    pub(super) open: AtomicI64,
    /// Whether the server sends messages back.
    pub(super) echoes: AtomicBool,
    counts: Mutex<Snapshot>,
    connect: Mutex<Histogram>,
    round_trip: Mutex<Histogram>,
    over_break: Mutex<Histogram>,
}

/// Counts at a moment, of one process or of all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Snapshot {
    /// Clients that have begun.
    pub(super) begun: u64,
    /// Clients with a welcome at the moment.
    pub(super) open: i64,
    /// Welcomes to a session that is new to the client.
    pub(super) sessions: u64,
    /// Welcomes back whose messages went on where they stopped.
    pub(super) replayed: u64,
    /// Welcomes back after which messages began anew.
    pub(super) restarted: u64,
    /// Connections that clients dropped on purpose.
    pub(super) dropped: u64,
    /// Connections that ended by themselves.
    pub(super) lost: u64,
    /// Clients that never got a welcome, or gave up.
    pub(super) failed: u64,
    /// Messages said by clients, and what became of them.
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    pub(super) unknown: u64,
    pub(super) echoed: u64,
    pub(super) echo_unknown: u64,
    pub(super) duplicates: u64,
    /// Not acknowledged in the end, or not back in the end.
    pub(super) unacknowledged: u64,
    pub(super) missing: u64,
    /// What a server must never do.
    pub(super) wrong: u64,
    pub(super) examples: Vec<String>,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) connect: Latencies,
    pub(super) round_trip: Latencies,
    pub(super) over_break: Latencies,
    /// Whether all clients have ended.
    pub(super) done: bool,
}

/// A distribution as it is passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latencies {
    /// Counts by the longest time that falls into a bucket, in nanoseconds.
    buckets: BTreeMap<u64, u64>,
    longest_ns: u64,
}

impl Tally {
    /// Changes the counts.
    pub(super) fn count(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut lock(&self.counts));
    }

    /// Something went wrong that may heal.
    pub(super) fn error(&self, what: &str) {
        let mut counts = lock(&self.counts);
        match counts.errors.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(counts.errors.insert(what.to_owned(), 1)),
        }
    }

    /// A server did what it must never do.
    pub(super) fn wrong(&self, example: String) {
        let mut counts = lock(&self.counts);
        counts.wrong += 1;
        if counts.examples.len() < EXAMPLES {
            counts.examples.push(example);
        }
    }

    /// From the dial to the welcome.
    pub(super) fn connected(&self, took: Duration) {
        lock(&self.connect).record(took);
    }

    /// From when it was due until it was back.
    pub(super) fn echoed(&self, took: Duration, on_one: bool) {
        lock(if on_one { &self.round_trip } else { &self.over_break }).record(took);
    }

    /// Adds what changed in a client's account since it was last told.
    pub(super) fn account(&self, before: Account, now: Account) {
        if before == now {
            return;
        }
        let mut counts = lock(&self.counts);
        counts.sent += now.sent - before.sent;
        counts.acknowledged += now.acknowledged - before.acknowledged;
        counts.unknown += now.unknown - before.unknown;
        counts.echoed += now.echoed - before.echoed;
        counts.echo_unknown += now.echo_unknown - before.echo_unknown;
        counts.duplicates += now.duplicates - before.duplicates;
    }

    /// What it is now.
    pub(super) fn snapshot(&self, done: bool) -> Snapshot {
        Snapshot {
            begun: self.begun.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            connect: Latencies::of(&lock(&self.connect)),
            round_trip: Latencies::of(&lock(&self.round_trip)),
            over_break: Latencies::of(&lock(&self.over_break)),
            done,
            ..lock(&self.counts).clone()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Snapshot {
    /// Adds another process's counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.begun += other.begun;
        self.open += other.open;
        self.sessions += other.sessions;
        self.replayed += other.replayed;
        self.restarted += other.restarted;
        self.dropped += other.dropped;
        self.lost += other.lost;
        self.failed += other.failed;
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.echoed += other.echoed;
        self.echo_unknown += other.echo_unknown;
        self.duplicates += other.duplicates;
        self.unacknowledged += other.unacknowledged;
        self.missing += other.missing;
        self.wrong += other.wrong;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
        for (what, count) in &other.errors {
            *self.errors.entry(what.clone()).or_default() += count;
        }
        self.connect.add(&other.connect);
        self.round_trip.add(&other.round_trip);
        self.over_break.add(&other.over_break);
    }

    /// Whether the server sends messages back.
    pub(super) const fn echoes(&self) -> bool {
        self.echoed > 0
    }

    /// Whether every message had the fate it must have, once all have ended.
    pub(super) const fn is_exact(&self) -> bool {
        self.wrong == 0
            && self.unacknowledged == 0
            && self.sent == self.acknowledged + self.unknown
            && (!self.echoes()
                || (self.missing == 0 && self.sent == self.echoed + self.echo_unknown))
    }
}

impl Latencies {
    fn of(histogram: &Histogram) -> Self {
        let buckets = histogram.buckets();
        let buckets = buckets.map(|bucket| (nanos(bucket.upper), u64::from(bucket.count)));
        Self { buckets: buckets.collect(), longest_ns: nanos(histogram.max()) }
    }

    fn add(&mut self, other: &Self) {
        for (upper, count) in &other.buckets {
            *self.buckets.entry(*upper).or_default() += count;
        }
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }

    /// What came since `before`, an earlier state of the same.
    pub(super) fn since(&self, before: &Self) -> Self {
        let left = self.buckets.iter().filter_map(|(upper, count)| {
            let more = count.saturating_sub(before.buckets.get(upper).copied().unwrap_or(0));
            (more > 0).then_some((*upper, more))
        });
        Self { buckets: left.collect(), longest_ns: self.longest_ns }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// The least duration that this share of all does not exceed, within 1/32; none when empty.
    pub(super) fn quantile(&self, share: Ratio) -> Option<Duration> {
        let rank = (u128::from(self.count()) * u128::from(share.ppm())).div_ceil(1_000_000).max(1);
        let mut seen = 0_u128;
        for (upper, count) in &self.buckets {
            seen += u128::from(*count);
            if seen >= rank {
                return Some(Duration::from_nanos(*upper.min(&self.longest_ns)));
            }
        }
        None
    }

    /// The longest.
    pub(super) fn max(&self) -> Option<Duration> {
        self.quantile(Ratio::ONE)
    }

    /// The percentiles that are told.
    pub(super) fn percentiles(&self) -> [Option<Duration>; 4] {
        [500_000, 900_000, 990_000, 999_000].map(|ppm| self.quantile(Ratio::from_ppm(ppm)))
    }

    /// As JSON, in microseconds.
    pub(super) fn json(&self) -> Value {
        let us = |value: Option<Duration>| value.map(|value| value.as_secs_f64() * 1e6);
        let [half, nine, most, nearly] = self.percentiles();
        json!({
            "count": self.count(), "p50_us": us(half), "p90_us": us(nine), "p99_us": us(most),
            "p999_us": us(nearly), "max_us": us(self.max()),
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(millis: impl IntoIterator<Item = u64>) -> Tally {
        let tally = Tally::default();
        millis.into_iter().for_each(|ms| tally.echoed(Duration::from_millis(ms), true));
        tally
    }

    #[test]
    fn percentiles_of_several_processes_are_those_of_all_samples() {
        let (one, two) = (tally(1..=500), tally(501..=1_000));
        let mut all = one.snapshot(true);
        all.add(&two.snapshot(true));
        let direct = tally(1..=1_000).snapshot(true);
        assert_eq!(all.round_trip.count(), 1_000);
        for (merged, direct) in
            all.round_trip.percentiles().iter().zip(direct.round_trip.percentiles())
        {
            let (merged, direct) = (merged.unwrap(), direct.unwrap());
            let apart = merged.abs_diff(direct);
            assert!(apart <= direct / 32, "{merged:?} {direct:?}");
        }
        assert_eq!(all.round_trip.max(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_came_since_is_what_was_not_there_before() {
        let tally = tally(1..=100);
        let before = tally.snapshot(false).round_trip;
        tally.echoed(Duration::from_secs(2), true);
        let since = tally.snapshot(false).round_trip.since(&before);
        assert_eq!((since.count(), since.max()), (1, Some(Duration::from_secs(2))));
        assert_eq!(Latencies::default().quantile(Ratio::ONE), None);
    }

    #[test]
    fn a_snapshot_is_passed_on_whole() {
        let tally = tally([3]);
        tally.error("reset");
        tally.wrong("client 1: a gap".into());
        let text = serde_json::to_string(&tally.snapshot(true)).unwrap();
        let read: Snapshot = serde_json::from_str(&text).unwrap();
        assert_eq!((read.errors["reset"], read.wrong, read.done), (1, 1, true));
        assert_eq!(read.round_trip, tally.snapshot(true).round_trip);
        assert!(!read.is_exact());
    }

    #[test]
    fn every_message_has_one_fate() {
        let good = Snapshot { sent: 5, acknowledged: 4, unknown: 1, ..Snapshot::default() };
        assert!(good.is_exact(), "nothing comes back there");
        let back = |echoed, echo_unknown| Snapshot { echoed, echo_unknown, ..good.clone() };
        assert!(back(4, 1).is_exact() && !back(4, 0).is_exact() && !back(5, 1).is_exact());
        assert!(!Snapshot { acknowledged: 5, ..good.clone() }.is_exact());
        assert!(!Snapshot { missing: 1, ..back(5, 0) }.is_exact());
    }
}
