//! What is the matter, in words.

use std::time::Duration;

use super::Active;
use crate::alert::{Edge, Severity, Side};
use crate::rules::{Burn, Kind, Signal, SloSpec, Statistic};

/// The edge that matters most: of the severity, or of the mildest level while it is pending.
pub(super) fn threshold(
    active: &Active,
    severity: Option<Severity>,
    value: Option<f64>,
) -> Option<f64> {
    let config = active.rule.config();
    let edges = [config.low, config.medium, config.high, config.critical];
    let of = |severity: Severity| edges[severity as usize];
    if let Some(edge) = severity.and_then(of) {
        return Some(edge.enter);
    }
    let beyond = |edge: &&Edge| match (value, config.side) {
        (Some(value), Side::Above) => value > edge.enter,
        (Some(value), Side::Below) => value < edge.enter,
        (None, _) => false,
    };
    let passed = edges.iter().flatten().rfind(beyond);
    passed.or_else(|| edges.iter().flatten().next()).map(|edge| edge.enter)
}

/// Such as `p95 of 5m: round trips of sessions, 1203 ms (above 1000 ms)`.
pub(super) fn summary(active: &Active, value: Option<f64>, threshold: Option<f64>) -> String {
    let (spec, info) = (&active.spec, active.spec.signal.info());
    let what = match spec.statistic() {
        Statistic::P50 => "median of ",
        Statistic::P95 => "p95 of ",
        Statistic::P99 => "p99 of ",
        Statistic::Mean => "mean of ",
        Statistic::Share | Statistic::PerMinute | Statistic::Storm | Statistic::Value => "",
    };
    let over = match info.kind {
        Kind::Latency | Kind::Share => format!(" in {}", short(spec.window)),
        Kind::Standing | Kind::Gauge => String::new(),
    };
    let side = match active.rule.config().side {
        Side::Above => "above",
        Side::Below => "below",
    };
    if spec.signal == Signal::SystemOverload {
        return overload(value).to_owned();
    }
    let mut text = format!("{what}{}{over}", info.about);
    // Of what is or is not, the number says nothing.
    if info.unit.is_empty() && info.kind == Kind::Gauge {
        return text;
    }
    if let Some(value) = value {
        text += &format!(": {}", number(value, info.unit));
    }
    // What begins at once has no figure to be beyond.
    let least = if info.unit == "s" { 1.0 } else { f64::MIN_POSITIVE };
    if let Some(threshold) = threshold.filter(|threshold| *threshold >= least) {
        text += &format!(", {side} {}", number(threshold, info.unit));
    }
    text
}

/// What the levels of [`Signal::SystemOverload`] stand for.
fn overload(value: Option<f64>) -> &'static str {
    match value.unwrap_or_default() {
        level if level < 0.75 => "the processors of this machine are busy",
        level if level < 1.5 => "this machine is under pressure",
        level if level < 2.5 => "this machine is overloaded",
        _ => "this machine has been overloaded for five minutes",
    }
}

pub(super) fn burning(spec: &SloSpec, burn: &Burn) -> String {
    let (failed, all) = burn.last(60);
    // All its digits: 99.99 % is not 100 %.
    let goal = format!("{:.7}", spec.objective * 100.0);
    let goal = goal.trim_end_matches('0').trim_end_matches('.');
    format!("the error budget of {goal} % is used up too fast: {failed} of {all} failed in 1 h")
}

fn number(value: f64, unit: &str) -> String {
    match unit {
        "share" => format!("{} %", trimmed(value * 100.0)),
        "s" => short(Duration::from_secs_f64(value.clamp(0.0, 1e9))),
        "" => trimmed(value),
        unit => format!("{} {unit}", trimmed(value)),
    }
}

/// With as many digits as say something.
fn trimmed(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// Such as `90 s`, `5 min`, `2 h`.
fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
