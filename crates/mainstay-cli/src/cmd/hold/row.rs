//! What is shown of one link, as text.

use std::time::Duration;

use mainstay::clock;
use mainstay::link::{FailReason, Link, LinkStats, LinkView, StateName, SuspendReason, What};

/// A link at one moment.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) state: StateName,
    pub(super) health: String,
    pub(super) rtt: String,
    pub(super) attempt: String,
    pub(super) next: String,
    pub(super) uptime: String,
    pub(super) why: &'static str,
}

impl Row {
    pub(super) fn new(link: &Link) -> Self {
        let (view, stats) = (link.view(), link.stats());
        let next = view.next_at.map(|at| short(at.since(clock::now())));
        Self {
            name: link.name().to_string(),
            state: view.state,
            health: if stats.total_health_checks == 0 { "-".into() } else { stats.success_text() },
            rtt: stats.rtt.smoothed().map_or_else(|| "-".into(), short),
            attempt: if view.attempt == 0 { "-".into() } else { view.attempt.to_string() },
            next: next.unwrap_or_else(|| "-".into()),
            uptime: if stats.is_connected { short(stats.uptime) } else { "-".into() },
            why: why(&view),
        }
    }
}

/// Why a link is held back or has given up.
pub(super) const fn why(view: &LinkView) -> &'static str {
    match (view.suspended, view.failed) {
        (Some(SuspendReason::BreakerOpen), _) => "breaker open",
        (Some(SuspendReason::LongOutage), _) => "long outage",
        (Some(SuspendReason::Paused), _) => "paused",
        (None, Some(FailReason::AttemptsExhausted)) => "attempts exhausted",
        (None, Some(FailReason::RefusedPermanently)) => "refused for good",
        (None, Some(FailReason::CredentialsRefused)) => "credentials refused twice",
        (None, Some(FailReason::ProtocolBroken)) => "protocol broken",
        (None, None) => "",
    }
}

/// An event in words; none for those that others say already.
pub(super) fn words(what: &What) -> Option<String> {
    Some(match what {
        What::Connected => "connected".into(),
        What::Reconnected { attempts } => format!("reconnected after {}", times(*attempts)),
        What::Disconnected => "disconnected".into(),
        What::Reconnecting { attempt, delay, .. } => {
            format!("reconnecting: attempt {attempt} in {}", short(*delay))
        }
        What::ReconnectAttempt { attempt } => format!("attempt {attempt} begins"),
        What::Suspect => "suspect: a health check failed".into(),
        What::Restored => "restored: health checks are good again".into(),
        What::Unhealthy { failures } => format!("down: {failures} health checks failed"),
        What::Error { terminal: true, .. } => "failed for good".into(),
        What::Error { .. } => "error".into(),
        What::AttemptsExhausted { attempts } => format!("given up after {}", times(*attempts)),
        What::Suspended { reason, .. } => match reason {
            SuspendReason::BreakerOpen => "suspended: breaker open".into(),
            SuspendReason::LongOutage => "suspended: it has been down for long".into(),
            SuspendReason::Paused => "suspended: paused".into(),
        },
        What::BreakerOpened { .. } => "breaker opened".into(),
        What::BreakerHalfOpen => "breaker half open".into(),
        What::BreakerClosed => "breaker closed".into(),
        What::Woke => "woke from sleep".into(),
        What::Migrated => "moved to another connection".into(),
        What::MigrationFailed { .. } => "no other connection could be made".into(),
        What::StateChanged { .. } | What::Stable => return None,
    })
}

fn times(attempts: u32) -> String {
    if attempts == 1 { "1 attempt".into() } else { format!("{attempts} attempts") }
}

/// A duration in three figures or so.
pub(super) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration < Duration::from_millis(1) => {
            format!("{} us", duration.as_micros())
        }
        0 if duration < Duration::from_millis(10) => {
            format!("{:.1} ms", duration.as_secs_f64() * 1e3)
        }
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What a link has been through, in a line.
pub(super) fn account(stats: &LinkStats) -> String {
    format!(
        "{} connections, {} reconnections, {} of {} health checks good ({})",
        stats.total_connections,
        stats.total_reconnections,
        stats.successful_health_checks,
        stats.total_health_checks,
        stats.success_text(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let cases = [
            (0, "0 us"),
            (450, "450 us"),
            (1_450, "1.4 ms"),
            (14_500, "14 ms"),
            (1_450_000, "1.4 s"),
            (61_000_000, "1m01s"),
            (3_660_000_000, "1h01m"),
        ];
        for (micros, text) in cases {
            assert_eq!(short(Duration::from_micros(micros)), text);
        }
    }
}
