use std::sync::Arc;
use std::time::Duration;

use mainstay_core::time::Instant;

use super::entry::{Entry, Happening, fingerprint};
use super::{ALERTS_MAX, Active, Engine, Labels, Reading, SLO_RULE, Value, text};
use crate::alert::{Effect, Input, Observation, Severity, Side, State};
use crate::rules::{Budget, NoData, Signal, Statistic, WINDOW_MAX};

/// Ticks without a word of it, after which a thing is gone.
const GONE_AFTER: u64 = 2;

impl Engine {
    /// Takes what was measured since the last tick, judges it, and answers what is to be told.
    ///
    /// Each thing that is there must be read in every tick, with [`Value::Nothing`] if need be.
    #[must_use = "each happening is given out once"]
    pub fn tick(&mut self, now: Instant, unix_ms: u64, readings: &[Reading]) -> Vec<Happening> {
        self.ticks += 1;
        let mut told = Vec::new();
        for objective in &mut self.objectives {
            objective.counted = Budget::default();
        }
        for reading in readings {
            self.remember(now, reading);
            let rules = self.by_signal.get(&reading.signal).cloned().unwrap_or_default();
            for nr in rules {
                self.judge(now, unix_ms, nr, reading, &mut told);
            }
            self.count(unix_ms, reading);
        }
        self.burn(now, unix_ms, &mut told);
        self.forget(now, unix_ms, &mut told);
        self.mark();
        told
    }

    fn remember(&mut self, now: Instant, reading: &Reading) {
        let longest = self.longest(reading.signal);
        let key = (reading.signal, reading.labels.clone());
        let window = self.windows.entry(key).or_default();
        window.seen = self.ticks;
        window.push(now, reading.value.clone(), longest);
    }

    fn longest(&self, signal: Signal) -> Duration {
        let rules = self.by_signal.get(&signal).into_iter().flatten();
        let spans = rules.map(|nr| {
            let spec = &self.rules[*nr].spec;
            if spec.statistic() == Statistic::Storm { WINDOW_MAX } else { spec.window }
        });
        spans.max().unwrap_or_default()
    }

    fn judge(
        &mut self,
        now: Instant,
        unix_ms: u64,
        nr: usize,
        reading: &Reading,
        told: &mut Vec<Happening>,
    ) {
        let active = &self.rules[nr];
        if !active.spec.is_about(&reading.labels) {
            return;
        }
        let key = (reading.signal, reading.labels.clone());
        let Some(window) = self.windows.get(&key) else { return };
        let seen = window.observe(now, active.spec.statistic(), active.spec.window);
        let seen = filled(active, seen);
        let waits = seen == Observation::Nothing && active.spec.no_data == NoData::Keep;
        let id = fingerprint(&active.id, &reading.labels);
        if waits {
            let ticks = self.ticks;
            self.entries.entry(id).and_modify(|entry| entry.seen = ticks);
            return;
        }
        if !self.entries.contains_key(&id) {
            if self.entries.len() >= ALERTS_MAX {
                self.left_out += 1;
                return;
            }
            let subject = reading.signal.info().label.and_then(|label| reading.labels.get(label));
            let entry = Entry::new(active, subject.map(String::as_str), &reading.labels);
            self.entries.insert(id, entry);
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        observe(entry, active, id, now, unix_ms, seen, self.ticks, told);
    }

    /// Counts events for the objectives they belong to.
    fn count(&mut self, unix_ms: u64, reading: &Reading) {
        let Value::Share { part, whole } = reading.value else { return };
        let info = reading.signal.info();
        let subject = info.label.and_then(|label| reading.labels.get(label));
        for objective in &mut self.objectives {
            let spec = &objective.spec;
            let fits = |of: &crate::rules::Matcher| subject.is_some_and(|name| of.fits(name));
            if spec.signal == reading.signal && spec.of.as_ref().is_none_or(fits) {
                let failed = if info.good { whole.saturating_sub(part) } else { part };
                objective.burn.count(unix_ms / 60_000, failed, whole);
                objective.counted.add(failed.min(whole), whole);
            }
        }
    }

    fn burn(&mut self, now: Instant, unix_ms: u64, told: &mut Vec<Happening>) {
        for objective in &mut self.objectives {
            objective.burn.count(unix_ms / 60_000, 0, 0);
            let level = match objective.burn.severity(objective.spec.objective) {
                None => 0.0,
                Some(Severity::Low) => 1.0,
                Some(Severity::Medium) => 2.0,
                Some(Severity::High) => 3.0,
                Some(Severity::Critical) => 4.0,
            };
            let name = &objective.spec.name;
            let labels = Labels::from([("slo".to_owned(), name.clone())]);
            let id = fingerprint(SLO_RULE, &labels);
            let entry = self
                .entries
                .entry(id)
                .or_insert_with(|| Entry::new(&self.burning, Some(name), &labels));
            entry.runbook = objective.spec.runbook.as_deref().map(Arc::from);
            entry.summary = text::burning(&objective.spec, &objective.burn).into();
            let seen = Observation::Gauge(level);
            observe(entry, &self.burning, id, now, unix_ms, seen, self.ticks, told);
        }
    }

    /// Ends what is about things that are gone, or of rules that are.
    fn forget(&mut self, now: Instant, unix_ms: u64, told: &mut Vec<Happening>) {
        let tick = self.ticks;
        let over = |seen: u64| tick.saturating_sub(seen) >= GONE_AFTER;
        self.windows.retain(|_, window| !over(window.seen));
        let gone: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.orphaned || over(entry.seen))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            let Some(mut entry) = self.entries.remove(&id) else { continue };
            if let (true, Some(severity)) = (entry.is_firing(), entry.alert.severity()) {
                entry.summary = "what it was about is no longer there".into();
                let lasted = entry.alert.firing_for(now).unwrap_or_default();
                let incident = entry.alert.incident();
                let effect = Effect::Resolved { incident, severity, lasted };
                told.push(entry.happened(id, unix_ms, &effect));
            }
            self.gone.push(id);
        }
    }
}

/// What a rule sees where a window has nothing.
fn filled(active: &Active, seen: Observation) -> Observation {
    if seen != Observation::Nothing || active.spec.no_data != NoData::Ok {
        return seen;
    }
    Observation::Gauge(match active.spec.side() {
        Side::Above => f64::NEG_INFINITY,
        Side::Below => f64::INFINITY,
    })
}

#[expect(clippy::too_many_arguments, reason = "all of one step, of two callers")]
fn observe(
    entry: &mut Entry,
    active: &Active,
    id: u64,
    now: Instant,
    unix_ms: u64,
    seen: Observation,
    tick: u64,
    told: &mut Vec<Happening>,
) {
    entry.seen = tick;
    entry.orphaned = false;
    let value = value_of(seen);
    if value.is_some_and(f64::is_finite) || entry.value.is_some() {
        entry.value = value.filter(|value| value.is_finite());
    }
    let before = entry.alert.state();
    let effects = entry.alert.handle(now, &active.rule, Input::Observed(seen));
    let state = entry.alert.state();
    if state != before {
        entry.changed = true;
        if state == State::Pending {
            (entry.since_ms, entry.resolved_ms) = (Some(unix_ms), None);
        }
        if state == State::Inactive {
            (entry.since_ms, entry.resolved_ms) = (None, None);
        }
    }
    let holds = matches!(state, State::Pending | State::Firing);
    if holds && &*active.id != SLO_RULE {
        entry.threshold = text::threshold(active, entry.alert.severity(), entry.value);
        entry.summary = text::summary(active, entry.value, entry.threshold).into();
    }
    told.extend(effects.iter().map(|effect| entry.happened(id, unix_ms, effect)));
}

#[expect(clippy::cast_precision_loss, reason = "counts beyond 2⁵³ need no exact share")]
fn value_of(seen: Observation) -> Option<f64> {
    match seen {
        Observation::Nothing => None,
        Observation::Share { part, whole } => (whole > 0).then(|| part as f64 / whole as f64),
        Observation::Sampled { value, .. } | Observation::Gauge(value) => Some(value),
    }
}
