//! An alert against a model that keeps all history and reads it back each time.

use std::time::Duration;

use mainstay_monitor::alert::{
    Alert, Effect, Input, Observation, Rule, RuleConfig, Severity, State,
};
use proptest::prelude::*;

use crate::alerts::{at, config};

/// One observation.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Value(u8),
    Few,
    Nothing,
}

#[derive(Default)]
struct Model {
    /// Every decided observation: when, and which level held.
    history: Vec<(u64, Option<Severity>)>,
    firing: Option<Severity>,
    resolved: Option<u64>,
    missing: u32,
}

impl Model {
    /// The level that holds by the latest of history.
    fn level(&self) -> Option<Severity> {
        self.history.last().and_then(|(_, level)| *level)
    }

    /// For how long all of the latest history has been as asked; none when the last is not.
    fn run(&self, now: u64, asked: impl Fn(Option<Severity>) -> bool) -> Option<u64> {
        let run = self.history.iter().rev().take_while(|(_, level)| asked(*level));
        run.last().map(|(since, _)| now - since)
    }

    fn step(&mut self, now: u64, seen: Seen, hold: u64, keep: u64) -> Vec<(char, Severity)> {
        if self.resolved.is_some_and(|then| now >= then + 900) {
            self.resolved = None;
        }
        let had = |wanted| self.level().is_some_and(|level| level >= wanted);
        let level = match seen {
            Seen::Few => {
                self.missing = 0;
                return Vec::new();
            }
            Seen::Nothing => {
                self.missing += 1;
                if self.missing > 2 && self.firing.is_none() && self.level().is_some() {
                    self.history.push((now, None));
                }
                return Vec::new();
            }
            Seen::Value(v) if v > 20 || (v >= 16 && had(Severity::Critical)) => {
                Some(Severity::Critical)
            }
            Seen::Value(v) if v > 10 || (v >= 8 && had(Severity::High)) => Some(Severity::High),
            Seen::Value(_) => None,
        };
        self.missing = 0;
        self.history.push((now, level));
        let long = |severity| {
            self.run(now, |level| level >= Some(severity)).is_some_and(|run| run >= hold)
        };
        let proven = Severity::ALL[2..].iter().rev().copied().find(|severity| long(*severity));
        let Some(level) = level else { return self.clear(now, keep) };
        self.resolved = None;
        let (letter, next) = match (self.firing, proven) {
            (None, None) => return Vec::new(),
            (None, Some(proven)) => ('F', proven),
            (Some(is), proven) => ('S', proven.unwrap_or(is).max(is).min(level)),
        };
        let changed = self.firing.replace(next) != Some(next);
        if changed { vec![(letter, next)] } else { Vec::new() }
    }

    fn clear(&mut self, now: u64, keep: u64) -> Vec<(char, Severity)> {
        let long = self.run(now, |level| level.is_none()).is_some_and(|run| run >= keep);
        let Some(severity) = self.firing.take_if(|_| long) else { return Vec::new() };
        self.resolved = Some(now);
        vec![('R', severity)]
    }

    fn state(&self) -> State {
        match (self.firing, self.level(), self.resolved) {
            (Some(_), Some(_), _) => State::Firing,
            (Some(_), None, _) => State::Keep,
            (None, Some(_), _) => State::Pending,
            (None, None, Some(_)) => State::Resolved,
            (None, None, None) => State::Inactive,
        }
    }
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        8 => prop::sample::select(vec![0_u8, 7, 8, 9, 10, 11, 15, 16, 17, 20, 21, 30])
            .prop_map(Seen::Value),
        1 => Just(Seen::Few),
        2 => Just(Seen::Nothing),
    ]
}

fn told(effects: &[Effect]) -> Vec<(char, Severity)> {
    let letter = |effect: &Effect| match effect {
        Effect::Fired { severity, .. } => Some(('F', *severity)),
        Effect::SeverityChanged { to, .. } => Some(('S', *to)),
        Effect::Resolved { severity, .. } => Some(('R', *severity)),
        Effect::Acknowledged { .. }
        | Effect::AcknowledgementEnded(_)
        | Effect::Silenced(_)
        | Effect::SilenceEnded(_)
        | Effect::FlappingBegan
        | Effect::FlappingEnded
        | Effect::NoDataBegan
        | Effect::NoDataEnded => None,
    };
    effects.iter().filter_map(letter).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_alert_is_what_its_history_says(
        hold in prop::sample::select(vec![0_u64, 20, 60]),
        keep in prop::sample::select(vec![0_u64, 20, 60]),
        steps in prop::collection::vec((prop_oneof![9 => 0_u64..30, 1 => 0_u64..2_000], seen(), any::<bool>()), 0..80),
    ) {
        let rule = Rule::new(&RuleConfig {
            hold_for: Duration::from_secs(hold),
            keep_firing_for: Duration::from_secs(keep),
            grace: Duration::ZERO,
            ..config()
        }).unwrap();
        let (mut alert, mut model, mut now) = (Alert::new(), Model::default(), 0);
        let mut open = 0_i32;
        for (wait, seen, restart) in steps {
            now += wait;
            let input = Input::Observed(match seen {
                Seen::Value(value) => Observation::Gauge(f64::from(value)),
                Seen::Few => Observation::Sampled { value: 99.0, samples: 3 },
                Seen::Nothing => Observation::Nothing,
            });
            let effects = told(&alert.handle(at(now), &rule, input));
            prop_assert_eq!(&effects, &model.step(now, seen, hold, keep), "second {}", now);
            prop_assert_eq!(alert.state(), model.state(), "second {}", now);
            if let Some(severity) = model.firing {
                prop_assert_eq!(alert.severity(), Some(severity));
            }
            // A restart that takes no time and no grace changes nothing, but that it forgets how many
            // evaluations in a row had no data.
            if restart && model.missing == 0 {
                alert = Alert::restore(at(now), &rule, &alert.snapshot(at(now)), Duration::ZERO);
            }
            for (letter, _) in effects {
                open += i32::from(letter == 'F') - i32::from(letter == 'R');
            }
            prop_assert!(open == i32::from(model.firing.is_some()), "told once, and then resolved");
        }
    }
}
