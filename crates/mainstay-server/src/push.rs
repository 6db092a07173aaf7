//! Jobs that report in by themselves, and what it means when one does not.
//!
//! A job asks an address with a token of its own before its time is up. What was reported is kept
//! before it is answered, so a restart forgets nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay::clock;
use mainstay::monitor::engine::engine::{Reading, Value};
use mainstay::monitor::engine::rules::Signal;
use mainstay::rates::Rates;
use mainstay_store::{Area, Change, Store, StoreError, Writer};
use serde::{Deserialize, Serialize};

use crate::config::Secret;
use crate::session::unix_ms;

/// Reports by name.
const AREA: Area = Area::new("pushes");
/// Reports of one job in a minute, and at once after a rest.
const REPORTS_A_MINUTE: u32 = 60;
const REPORTS_AT_ONCE: u32 = 10;
/// The most characters of a message that are kept.
pub(crate) const MESSAGE_MAX: usize = 500;

/// A job that must report in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushSpec {
    /// Its name.
    pub name: String,
    /// How often it reports.
    pub every: Duration,
    /// How much later it may come. Default 5 min.
    pub grace: Duration,
    /// What it must show.
    pub token: Secret,
}

/// The jobs of a configuration and what they have reported.
pub(crate) struct Pushes {
    book: Mutex<Book>,
    rates: Rates<String>,
    writer: Arc<Writer>,
    /// When this process began to listen, in milliseconds since 1970.
    started_ms: u64,
}

#[derive(Default)]
struct Book {
    specs: BTreeMap<String, PushSpec>,
    known: BTreeMap<String, Known>,
}

/// What a job has reported, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// Since when it is expected.
    since_ms: u64,
    #[serde(default)]
    last_ms: Option<u64>,
    /// Whether the last report was a good one.
    #[serde(default = "yes")]
    ok: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    reports: u64,
    #[serde(default)]
    failures: u64,
    /// Whether it was late when that was last looked at.
    #[serde(default)]
    late: bool,
}

const fn yes() -> bool {
    true
}

/// How a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PushView {
    pub(crate) name: String,
    pub(crate) every: Duration,
    pub(crate) grace: Duration,
    pub(crate) last_ms: Option<u64>,
    pub(crate) ok: bool,
    pub(crate) message: Option<String>,
    pub(crate) reports: u64,
    pub(crate) failures: u64,
    /// When it must have reported, at the latest.
    pub(crate) due_ms: u64,
    /// How long it is too late, or has failed.
    pub(crate) late: Duration,
}

/// Why a report is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushRefused {
    /// There is no such job, or the token is another one.
    Unknown,
    /// It reports too often; in so many seconds it may again.
    TooMany(u32),
}

impl Pushes {
    /// The jobs of `specs`, with what was kept of them.
    pub(crate) fn open(
        specs: &[PushSpec],
        store: &dyn Store,
        writer: Arc<Writer>,
    ) -> Result<Self, StoreError> {
        let mut book = Book::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = store.values(AREA, after.as_deref(), 1_000)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            for (key, bytes) in rows {
                // What is damaged begins anew.
                let known = serde_json::from_slice(&bytes).ok();
                book.known.extend(String::from_utf8(key).ok().zip(known));
            }
        }
        let minute = Duration::from_secs(60);
        let rates = Rates::new(REPORTS_A_MINUTE, minute, REPORTS_AT_ONCE);
        let rates = rates.expect("a limit that makes sense");
        let pushes = Self { book: Mutex::new(book), rates, writer, started_ms: unix_ms() };
        pushes.apply(specs);
        Ok(pushes)
    }

    /// Goes on with other jobs. What is known of those that are gone is forgotten.
    pub(crate) fn apply(&self, specs: &[PushSpec]) {
        let now = unix_ms();
        let mut book = self.book();
        book.specs = specs.iter().map(|spec| (spec.name.clone(), spec.clone())).collect();
        let Book { specs, known } = &mut *book;
        let mut changes = Vec::new();
        known.retain(|name, _| {
            let stays = specs.contains_key(name);
            if !stays {
                changes.push(Change::RemoveValue { area: AREA, key: name.as_bytes().into() });
            }
            stays
        });
        for name in specs.keys() {
            known.entry(name.clone()).or_insert_with(|| {
                let known = Known::new(now);
                changes.extend(known.change(name));
                known
            });
        }
        drop(book);
        // Where there is no room, it is expected since the next start.
        drop(self.writer.try_submit(changes));
    }

    /// Takes a report, and says how to keep it: it counts once that is done.
    pub(crate) fn report(
        &self,
        name: &str,
        token: &str,
        ok: bool,
        message: Option<&str>,
    ) -> Result<Vec<Change>, PushRefused> {
        let mut book = self.book();
        // Whoever guesses names learns nothing: both are refused alike, after the same comparison.
        let nobody = Secret::new("");
        let expected = book.specs.get(name).map_or(&nobody, |spec| &spec.token);
        if !expected.is(token.as_bytes()) || expected == &nobody {
            return Err(PushRefused::Unknown);
        }
        self.rates.admit(clock::now(), name.to_owned()).map_err(PushRefused::TooMany)?;
        let now = unix_ms();
        let known = book.known.entry(name.to_owned()).or_insert_with(|| Known::new(now));
        known.last_ms = Some(now);
        known.ok = ok;
        known.message = message.map(shortened).filter(|text| !text.is_empty());
        known.reports += 1;
        known.failures += u64::from(!ok);
        known.late = false;
        Ok(known.change(name).into_iter().collect())
    }

    /// How every job is.
    pub(crate) fn views(&self) -> Vec<PushView> {
        let (now, book) = (unix_ms(), self.book());
        let known = book.known.iter();
        known
            .filter_map(|(name, known)| {
                book.specs.get(name).map(|spec| known.view(spec, self.started_ms, now))
            })
            .collect()
    }

    /// How late every job is, for the monitor.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        let views = self.views();
        let mut book = self.book();
        let mut changes = Vec::new();
        for view in &views {
            let late = !view.late.is_zero() && view.ok;
            if let Some(known) = book.known.get_mut(&view.name).filter(|known| known.late != late) {
                known.late = late;
                changes.extend(known.change(&view.name));
            }
        }
        drop(book);
        if !changes.is_empty() {
            drop(self.writer.try_submit(changes));
        }
        let reading = |view: &PushView| {
            Reading::of(Signal::PushLate, &view.name, Value::Gauge(view.late.as_secs_f64()))
        };
        views.iter().map(reading).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    const fn new(since_ms: u64) -> Self {
        Self {
            since_ms,
            last_ms: None,
            ok: true,
            message: None,
            reports: 0,
            failures: 0,
            late: false,
        }
    }

    fn change(&self, name: &str) -> Option<Change> {
        let json = serde_json::to_vec(self).ok()?;
        Some(Change::put_value(AREA, name.as_bytes(), &json))
    }

    fn view(&self, spec: &PushSpec, started_ms: u64, now_ms: u64) -> PushView {
        let allowed = millis(spec.every.saturating_add(spec.grace));
        let due_ms = self.last_ms.unwrap_or(self.since_ms).saturating_add(allowed);
        // Whose time was up while nobody listened may have called in vain: it is expected anew. One
        // who was late before that still is.
        let unheard = due_ms < started_ms && !self.late;
        let due_ms = if unheard { started_ms.saturating_add(allowed) } else { due_ms };
        let late_ms = match self.last_ms {
            // A failure is one at once, however short ago it was reported.
            Some(last) if !self.ok => now_ms.saturating_sub(last).max(1_000),
            Some(_) | None => now_ms.saturating_sub(due_ms),
        };
        PushView {
            name: spec.name.clone(),
            every: spec.every,
            grace: spec.grace,
            last_ms: self.last_ms,
            ok: self.ok,
            message: self.message.clone(),
            reports: self.reports,
            failures: self.failures,
            due_ms,
            late: Duration::from_millis(late_ms),
        }
    }
}

/// One line of at most that many characters.
fn shortened(text: &str) -> String {
    let one_line = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.trim().chars().take(MESSAGE_MAX).map(one_line).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> PushSpec {
        PushSpec {
            name: "backup".into(),
            every: Duration::from_millis(100),
            grace: Duration::from_millis(10),
            token: Secret::new("0123456789abcdef"),
        }
    }

    #[test]
    fn a_job_is_late_from_its_time_on_and_one_that_failed_at_once() {
        let known = |last_ms, ok| Known { last_ms, ok, ..Known::new(1_000) };
        let late = |known: &Known, now| known.view(&spec(), 1_000, now).late.as_millis();
        assert_eq!(late(&known(None, true), 1_110), 0);
        assert_eq!(late(&known(None, true), 1_111), 1);
        assert_eq!(late(&known(Some(2_000), true), 2_110), 0);
        assert_eq!(late(&known(Some(2_000), true), 2_210), 100);
        assert_eq!(late(&known(Some(2_000), true), 500), 0, "a clock that was set back");
        assert_eq!(late(&known(Some(2_000), false), 2_000), 1_000);
        assert_eq!(late(&known(Some(2_000), false), 5_000), 3_000);
    }

    #[test]
    fn a_job_that_could_not_be_heard_is_expected_anew_unless_it_was_late_before() {
        let mut known = Known { last_ms: Some(1_000), ..Known::new(0) };
        let view = known.view(&spec(), 9_000, 9_050);
        assert_eq!((view.due_ms, view.late), (9_110, Duration::ZERO));
        assert_eq!(known.view(&spec(), 9_000, 9_150).late, Duration::from_millis(40));
        known.late = true;
        assert_eq!(known.view(&spec(), 9_000, 9_050).late, Duration::from_millis(7_940));
    }

    #[test]
    fn messages_are_one_short_line() {
        assert_eq!(shortened(" a\nb\u{1b}[31m "), "a b [31m");
        assert_eq!(shortened(&"x".repeat(900)).len(), MESSAGE_MAX);
    }
}
