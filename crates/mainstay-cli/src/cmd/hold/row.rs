//! What is shown of one link, as text.

use mainstay::clock;
use mainstay::link::{Link, LinkStats, StateName};

use crate::cmd::words::{short, why};

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
