//! From how alerts stand to whom that is told.

use std::collections::{HashMap, HashSet};

use mainstay::monitor::engine::alert::{Severity, State};
use mainstay::monitor::engine::engine::{Kept, Standing};
use mainstay::monitor::engine::notify::{Standing as Notice, Status};

use crate::notify::Notifier;

/// What was last told of alerts.
#[derive(Debug, Default)]
pub(super) struct Telling {
    told: HashMap<u64, Told>,
}

#[derive(Debug)]
struct Told {
    key: Key,
    /// As it was told, for when nothing is known of it any more.
    notice: Notice,
    no_data: bool,
}

/// What is worth telling when it changes. That of what was measured is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    firing: bool,
    no_data: bool,
    severity: Severity,
    incident: u64,
    muted: bool,
    flapping: bool,
}

impl Telling {
    /// Tells what has changed since the last time.
    pub(super) fn tell(&mut self, standings: &[Standing], notifier: &Notifier) {
        for standing in standings {
            let severity = standing.severity.unwrap_or(Severity::Low);
            let key = Key {
                firing: standing.is_firing(),
                no_data: standing.no_data,
                severity,
                incident: standing.incident,
                muted: standing.is_muted(),
                flapping: standing.flapping,
            };
            let before = self.told.get(&standing.id);
            if before.is_some_and(|told| told.key == key) {
                continue;
            }
            // At a start: it may have ended when nobody could be told any more. Whoever was never
            // told that it began is not told that it ended.
            let (was_firing, had_none) =
                before.map_or((true, false), |told| (told.key.firing, told.no_data));
            let is_over = standing.state == State::Resolved;
            let notice = notice(standing, severity, Status::Firing);
            if key.firing || (was_firing && (is_over || before.is_some())) {
                let status = if key.firing { Status::Firing } else { Status::Resolved };
                notifier.tell(Notice { status, ..notice.clone() });
            }
            if key.no_data || had_none {
                let status = if key.no_data { Status::NoData } else { Status::NoDataEnded };
                notifier.tell(Notice { status, ..notice.clone() });
            }
            let no_data = key.no_data;
            self.told.insert(standing.id, Told { key, notice, no_data });
        }
        let known: HashSet<u64> = standings.iter().map(|standing| standing.id).collect();
        self.told.retain(|id, told| {
            if known.contains(id) {
                return true;
            }
            // What it was about is gone, or its rule.
            if told.key.firing {
                notifier.tell(Notice { status: Status::Resolved, ..told.notice.clone() });
            }
            if told.no_data {
                notifier.tell(Notice { status: Status::NoDataEnded, ..told.notice.clone() });
            }
            false
        });
    }
}

fn notice(standing: &Standing, severity: Severity, status: Status) -> Notice {
    Notice {
        id: standing.id,
        rule: standing.rule.clone(),
        labels: standing.labels.clone(),
        incident: standing.incident,
        severity,
        status,
        muted: standing.is_muted(),
        flapping: standing.flapping,
        since_unix_ms: standing.since_ms.unwrap_or_default(),
        summary: standing.summary.clone(),
        value: standing.value,
        threshold: standing.threshold,
        runbook: standing.runbook.clone(),
    }
}

/// What to tell of an alert that was told before a restart and whose rule is gone since.
pub(super) fn orphan(kept: &Kept) -> Vec<Notice> {
    let (severity, incident) = kept.firing().unwrap_or((Severity::Low, 0));
    let notice = |status| Notice {
        id: kept.id(),
        rule: kept.rule().into(),
        labels: kept.labels(),
        incident,
        severity,
        status,
        muted: false,
        flapping: false,
        since_unix_ms: 0,
        summary: "its rule is gone".into(),
        value: None,
        threshold: None,
        runbook: None,
    };
    let over = kept.firing().map(|_| notice(Status::Resolved));
    let heard = kept.has_no_data().then(|| notice(Status::NoDataEnded));
    over.into_iter().chain(heard).collect()
}
