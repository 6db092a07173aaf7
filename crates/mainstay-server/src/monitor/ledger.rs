//! Alerts and what happened to them, in the store.

use std::collections::{BTreeMap, VecDeque};

use mainstay::clock;
use mainstay::monitor::engine::alert::Severity;
use mainstay::monitor::engine::board::Board;
use mainstay::monitor::engine::engine::{Happening, Kept, KeptBurn};
use mainstay::monitor::engine::notify::Standing as Notice;
use mainstay_store::{Area, Change, Store, StoreError, Writer};
use serde::{Deserialize, Serialize};

use super::telling::orphan;
use crate::session::unix_ms;

/// Alerts by fingerprint.
const ALERTS: Area = Area::new("alerts");
/// Minutes of objectives by name.
const BURNS: Area = Area::new("slo_minutes");
/// Happenings: when, in milliseconds since 1970, and which of that millisecond.
const EVENTS: Area = Area::new("alert_events");
/// Cycles after which the minutes of objectives are kept.
const BURNS_EVERY: u64 = 30;
/// Changes that wait because the writer's queue is full; the oldest give way.
const WAITING_MAX: usize = 10_000;
/// Rows that are read at a time.
const ROWS: usize = 1_000;

/// Something that happened to an alert, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlertEvent {
    pub(crate) alert: String,
    pub(crate) at_ms: u64,
    pub(crate) rule: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) what: String,
    pub(crate) incident: u64,
    #[serde(default)]
    pub(crate) severity: Option<Severity>,
    #[serde(default)]
    pub(crate) from: Option<Severity>,
    #[serde(default)]
    pub(crate) lasted_ms: Option<u64>,
    #[serde(default)]
    pub(crate) who: Option<String>,
    #[serde(default)]
    pub(crate) note: Option<String>,
    #[serde(default)]
    pub(crate) ended: Option<String>,
    #[serde(default)]
    pub(crate) value: Option<f64>,
    pub(crate) summary: String,
}

impl From<&Happening> for AlertEvent {
    fn from(one: &Happening) -> Self {
        let millis =
            |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            alert: format!("{:016x}", one.id),
            at_ms: one.at_ms,
            rule: one.rule.to_string(),
            labels: BTreeMap::clone(&one.labels),
            what: one.what.to_owned(),
            incident: one.incident,
            severity: one.severity,
            from: one.from,
            lasted_ms: one.lasted.map(millis),
            who: one.who.clone(),
            note: one.note.clone(),
            ended: one.ended.map(str::to_owned),
            value: one.value.filter(|value| value.is_finite()),
            summary: one.summary.to_string(),
        }
    }
}

/// What is kept of alerts.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Keys of the happenings that are kept, the oldest first.
    events: VecDeque<[u8; 12]>,
    events_max: usize,
    last: (u64, u32),
    waiting: Vec<Change>,
    cycles: u64,
    /// What was told before the restart and is gone since.
    pub(super) orphans: Vec<Notice>,
}

impl Ledger {
    /// Gives the board back what was kept.
    pub(super) fn open(
        store: &dyn Store,
        board: &mut Board,
        events_max: usize,
    ) -> Result<Self, StoreError> {
        let (now, at) = (clock::now_blocking(), unix_ms());
        let (mut waiting, mut orphans) = (Vec::new(), Vec::new());
        each(store, ALERTS, |key, bytes| {
            let kept = serde_json::from_slice::<Kept>(&bytes).ok();
            let orphan = kept.as_ref().map(orphan).unwrap_or_default();
            // Of a rule that is gone, or damaged: nobody asks for it any more.
            if !kept.is_some_and(|kept| board.engine_mut().restore(now, at, kept)) {
                orphans.extend(orphan);
                waiting.push(Change::RemoveValue { area: ALERTS, key: key.into() });
            }
        })?;
        each(store, BURNS, |key, bytes| {
            let name = String::from_utf8(key).ok();
            let kept = serde_json::from_slice::<KeptBurn>(&bytes).ok();
            if let (Some(name), Some(kept)) = (name, kept) {
                board.engine_mut().restore_burn(&name, &kept);
            }
        })?;
        let mut events = VecDeque::new();
        each(store, EVENTS, |key, _| events.extend(<[u8; 12]>::try_from(key).ok()))?;
        let last = events.back().map_or((0, 0), parts);
        Ok(Self { events, events_max, last, waiting, cycles: 0, orphans })
    }

    /// How many happenings are kept.
    pub(super) const fn keep(&mut self, events_max: usize) {
        self.events_max = events_max;
    }

    /// Keeps what has changed and what happened. What there is no room for now is kept next time.
    pub(super) fn write(&mut self, board: &mut Board, told: &[Happening], writer: &Writer) {
        let (now, at) = (clock::now(), unix_ms());
        for (id, kept) in board.engine_mut().changed(now, at) {
            let key = id.to_be_bytes();
            let json = kept.and_then(|kept| serde_json::to_vec(&kept).ok());
            self.waiting.push(match json {
                Some(json) => Change::put_value(ALERTS, &key, &json),
                None => Change::RemoveValue { area: ALERTS, key: key.to_vec().into() },
            });
        }
        for happening in told {
            self.append(happening);
        }
        while self.events.len() > self.events_max {
            let Some(key) = self.events.pop_front() else { break };
            self.waiting.push(Change::RemoveValue { area: EVENTS, key: key.to_vec().into() });
        }
        self.flush(writer);
    }

    /// One cycle is over: from time to time the minutes of objectives are kept.
    pub(super) fn cycle(&mut self, board: &Board, writer: &Writer) {
        self.cycles += 1;
        if self.cycles.is_multiple_of(BURNS_EVERY) {
            self.keep_burns(board, writer);
        }
    }

    /// Keeps the minutes of objectives.
    pub(super) fn keep_burns(&mut self, board: &Board, writer: &Writer) {
        for (name, burn) in board.engine().burns() {
            if let Ok(json) = serde_json::to_vec(&burn) {
                self.waiting.push(Change::put_value(BURNS, name.as_bytes(), &json));
            }
        }
        self.flush(writer);
    }

    fn append(&mut self, happening: &Happening) {
        // Keys go on also when the clock goes back.
        let (at, nr) = self.last;
        self.last = if happening.at_ms > at { (happening.at_ms, 0) } else { (at, nr + 1) };
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.last.0.to_be_bytes());
        key[8..].copy_from_slice(&self.last.1.to_be_bytes());
        if let Ok(json) = serde_json::to_vec(&AlertEvent::from(happening)) {
            self.waiting.push(Change::put_value(EVENTS, &key, &json));
            self.events.push_back(key);
        }
    }

    fn flush(&mut self, writer: &Writer) {
        if self.waiting.is_empty() {
            return;
        }
        let over = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..over);
        if over > 0 {
            tracing::error!(over, "what happened to alerts was not kept: the store takes nothing");
        }
        // Should it fail, the store says so; the next change of an alert is kept whole again.
        if writer.try_submit(self.waiting.clone()).is_ok() {
            self.waiting.clear();
        }
    }
}

fn parts(key: &[u8; 12]) -> (u64, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *key;
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u32::from_be_bytes([i, j, k, l]))
}

/// Gives every row of an area to `take`, in the order of keys.
fn each(
    store: &dyn Store,
    area: Area,
    mut take: impl FnMut(Vec<u8>, Vec<u8>),
) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.values(area, after.as_deref(), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = Some(last.clone());
        rows.into_iter().for_each(|(key, bytes)| take(key, bytes));
    }
}

/// A page of happenings.
#[derive(Debug)]
pub(crate) struct Page {
    /// With the place of each.
    pub(crate) events: Vec<(String, AlertEvent)>,
    /// Where the next page begins; none: this was the last.
    pub(crate) next: Option<String>,
}

/// What happened from `from` to before `to`, of one rule or of all, after a place.
pub(crate) fn page(
    store: &dyn Store,
    (from, to): (u64, u64),
    rule: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<Page, StoreError> {
    // Behind everything before `from`.
    let start = || {
        let before = from.checked_sub(1)?;
        Some([&before.to_be_bytes()[..], &[0xFF; 4]].concat())
    };
    let mut at = after.and_then(place).or_else(start);
    let mut events: Vec<(String, AlertEvent)> = Vec::new();
    loop {
        let rows = store.values(EVENTS, at.as_deref(), ROWS)?;
        if rows.is_empty() {
            return Ok(Page { events, next: None });
        }
        for (key, bytes) in rows {
            at = Some(key.clone());
            let Ok(event) = serde_json::from_slice::<AlertEvent>(&bytes) else { continue };
            if event.at_ms >= to {
                return Ok(Page { events, next: None });
            }
            if event.at_ms < from || rule.is_some_and(|rule| rule != event.rule) {
                continue;
            }
            if events.len() == limit {
                let next = events.last().map(|(place, _)| place.clone());
                return Ok(Page { events, next });
            }
            events.push((written(&key), event));
        }
    }
}

fn written(key: &[u8]) -> String {
    use std::fmt::Write as _;
    key.iter().fold(String::with_capacity(24), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn place(text: &str) -> Option<Vec<u8>> {
    if text.len() != 24 || !text.is_ascii() {
        return None;
    }
    (0..12).map(|nr| u8::from_str_radix(text.get(2 * nr..2 * nr + 2)?, 16).ok()).collect()
}

/// Whether a text is the place of a happening.
pub(crate) fn is_place(text: &str) -> bool {
    place(text).is_some()
}
