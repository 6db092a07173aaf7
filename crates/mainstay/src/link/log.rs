//! One log line for each event of a link, at the level of what an operator should do about it.

use super::event::LinkEvent;
use mainstay_core::link::Event as What;

/// Errors need somebody; warnings are worth a look; the rest is the story.
pub(super) fn write(event: &LinkEvent) {
    let (link, name) = (&*event.link, event.name());
    let error = event.error.as_deref();
    let wait_ms = event.wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    match event.what {
        What::Error { terminal: true, .. } => {
            tracing::error!(
                link,
                event = name,
                error,
                "the link gives up until it is connected again"
            );
        }
        What::AttemptsExhausted { attempts } => {
            tracing::error!(link, event = name, attempts, "the link has no attempts left");
        }
        What::Unhealthy { failures } => {
            tracing::warn!(link, event = name, failures, error, "the peer is down");
        }
        What::Suspended { reason, .. } => {
            tracing::warn!(link, event = name, ?reason, wait_ms, "the link is held back");
        }
        What::BreakerOpened { .. } => {
            tracing::warn!(link, event = name, wait_ms, "the breaker over the link is open");
        }
        What::Error { terminal: false, .. } => {
            tracing::info!(link, event = name, error, "a connection failed");
        }
        What::MigrationFailed { .. } => {
            tracing::info!(link, event = name, error, "no other connection could be made");
        }
        What::Reconnecting { attempt, .. } => {
            tracing::info!(link, event = name, attempt, wait_ms, "reconnecting");
        }
        What::Reconnected { attempts } => {
            tracing::info!(link, event = name, attempts, "reconnected");
        }
        What::Connected
        | What::Disconnected
        | What::Restored
        | What::BreakerClosed
        | What::Woke
        | What::Migrated => {
            tracing::info!(link, event = name);
        }
        What::StateChanged { from, to } => {
            tracing::debug!(link, event = name, from = from.as_str(), to = to.as_str());
        }
        What::Stable | What::Suspect | What::ReconnectAttempt { .. } | What::BreakerHalfOpen => {
            tracing::debug!(link, event = name, error);
        }
    }
}
