use std::collections::VecDeque;
use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_core::measure::histogram::Histogram;
use mainstay_core::time::Instant;

use super::Value;
use crate::alert::Observation;
use crate::rules::{Statistic, WINDOW_MAX};

/// The most ticks that are remembered of one thing.
const TICKS_MAX: usize = 4_096;
/// How many times what is usual makes a storm.
const STORM: f64 = 3.0;
/// Ticks outside the window that say what is usual; fewer say nothing.
const USUAL_MIN: usize = 6;

/// The latest readings of one thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    ticks: VecDeque<(Instant, Value)>,
    /// At which tick it was last read.
    pub(super) seen: u64,
}

impl Window {
    /// Takes a reading; forgets what no rule of `longest` looks back at.
    pub(super) fn push(&mut self, now: Instant, value: Value, longest: Duration) {
        while let Some((at, _)) = self.ticks.front()
            && (now.since(*at) >= longest || *at > now || self.ticks.len() >= TICKS_MAX)
        {
            self.ticks.pop_front();
        }
        self.ticks.push_back((now, value));
    }

    /// What a rule sees.
    pub(super) fn observe(
        &self,
        now: Instant,
        statistic: Statistic,
        window: Duration,
    ) -> Observation {
        match statistic {
            Statistic::Value => match self.ticks.back() {
                Some((_, Value::Gauge(value))) => Observation::Gauge(*value),
                _ => Observation::Nothing,
            },
            Statistic::P50 => self.quantile(now, window, Ratio::percent(50)),
            Statistic::P95 => self.quantile(now, window, Ratio::percent(95)),
            Statistic::P99 => self.quantile(now, window, Ratio::percent(99)),
            Statistic::Mean => self.mean(now, window),
            Statistic::Share => {
                if let Some((_, Value::Standing { part, whole })) = self.ticks.back() {
                    return share(*part, *whole);
                }
                let (part, whole) = self.events(now, window);
                share(part, whole)
            }
            Statistic::PerMinute => {
                self.per_minute(now, window).map_or(Observation::Nothing, |(value, samples)| {
                    Observation::Sampled { value, samples }
                })
            }
            Statistic::Storm => self.storm(now, window),
        }
    }

    fn within(&self, now: Instant, window: Duration) -> impl Iterator<Item = &Value> {
        let recent = self.ticks.iter().rev().take_while(move |(at, _)| now.since(*at) < window);
        recent.map(|(_, value)| value)
    }

    fn histogram(&self, now: Instant, window: Duration) -> (Histogram, Duration) {
        let (mut histogram, mut together) = (Histogram::new(), Duration::ZERO);
        for value in self.within(now, window) {
            if let Value::Latency { latencies, sum } = value {
                latencies.add_to(&mut histogram);
                together = together.saturating_add(*sum);
            }
        }
        (histogram, together)
    }

    fn quantile(&self, now: Instant, window: Duration, q: Ratio) -> Observation {
        let (histogram, _) = self.histogram(now, window);
        let samples = histogram.count();
        histogram.quantile(q).map_or(Observation::Nothing, |value| Observation::Sampled {
            value: millis(value),
            samples,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "samples of an hour are far below 2⁵³")]
    fn mean(&self, now: Instant, window: Duration) -> Observation {
        let (histogram, sum) = self.histogram(now, window);
        match histogram.count() {
            0 => Observation::Nothing,
            samples => Observation::Sampled { value: millis(sum) / samples as f64, samples },
        }
    }

    fn events(&self, now: Instant, window: Duration) -> (u64, u64) {
        self.within(now, window).fold((0, 0), |(part, whole), value| match value {
            Value::Share { part: more, whole: all } => {
                (part.saturating_add(*more), whole.saturating_add(*all))
            }
            Value::Latency { .. } | Value::Standing { .. } | Value::Gauge(_) | Value::Nothing => {
                (part, whole)
            }
        })
    }

    /// The share a minute: events of the window by what there is now; and how many that are.
    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2⁵³ need no exact share")]
    fn per_minute(&self, now: Instant, window: Duration) -> Option<(f64, u64)> {
        let (_, Value::Share { whole, .. }) = self.ticks.back()? else { return None };
        let (part, _) = self.events(now, window);
        let minutes = window.as_secs_f64() / 60.0;
        (*whole > 0).then(|| (part as f64 / *whole as f64 / minutes, *whole))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts beyond 2⁵³ need no exact share")]
    fn storm(&self, now: Instant, window: Duration) -> Observation {
        let Some((rate, samples)) = self.per_minute(now, window) else {
            return Observation::Nothing;
        };
        let before = self.ticks.iter().filter(|(at, _)| {
            let age = now.since(*at);
            age >= window && age < WINDOW_MAX
        });
        let mut usual: Vec<f64> = before
            .filter_map(|(_, value)| match value {
                Value::Share { part, whole } if *whole > 0 => Some(*part as f64 / *whole as f64),
                Value::Latency { .. }
                | Value::Share { .. }
                | Value::Standing { .. }
                | Value::Gauge(_)
                | Value::Nothing => None,
            })
            .collect();
        // After a start all come back: that is no storm.
        if usual.len() < USUAL_MIN {
            return Observation::Nothing;
        }
        // Of ticks, as many as there are in a minute.
        let ticks = self.within(now, window).count().max(1) as f64;
        let a_minute = ticks / (window.as_secs_f64() / 60.0);
        let middle = crate::trend::median(&mut usual) * a_minute;
        let value = if rate > STORM * middle { rate } else { 0.0 };
        Observation::Sampled { value, samples }
    }
}

fn share(part: u64, whole: u64) -> Observation {
    if whole == 0 { Observation::Nothing } else { Observation::Share { part, whole } }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
