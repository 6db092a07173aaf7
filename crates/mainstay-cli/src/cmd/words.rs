//! What happens to a link, in words.

use std::time::Duration;

use jiff::{Timestamp, Unit};
use mainstay::event::Event;
use mainstay::link::{FailReason, LinkView, SuspendReason, What};

/// Why a link is held back or has given up.
pub(crate) const fn why(view: &LinkView) -> &'static str {
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
pub(crate) fn words(what: &What) -> Option<String> {
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
pub(crate) fn short(duration: Duration) -> String {
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

/// When it happened, as RFC 3339 in UTC.
pub(crate) fn time(event: &Event) -> String {
    let stamp = Timestamp::try_from(event.at).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{:.3}", stamp.round(Unit::Millisecond).unwrap_or(stamp))
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
