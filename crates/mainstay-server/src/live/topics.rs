//! What there is to tell.

use super::ring::{Gathered, Rows};
use crate::api;
use crate::state::Shared;

/// A topic with the function that gathers its rows.
type Topic = (&'static str, &'static [&'static str], fn(&Shared) -> Rows);

/// Every topic: its name, the fields in it that only count the time, its rows.
const TOPICS: [Topic; 5] = [
    ("summary", &["at", "at_ms"], api::summary_rows),
    ("alerts", &[], api::alert_rows),
    ("links", &["uptime_ms", "next_retry_ms", "remaining_ms", "ejected_ms"], api::link_rows),
    ("gates", &["held_ms", "retry_after_ms", "remaining_ms"], api::gate_rows),
    ("worst", &[], worst),
];

/// The rows of all topics.
pub(super) fn gather(shared: &Shared) -> Vec<Gathered> {
    let gather = |(topic, clocks, rows): Topic| Gathered { topic, clocks, rows: rows(shared) };
    TOPICS.into_iter().map(gather).collect()
}

/// The sessions that are worst off.
fn worst(shared: &Shared) -> Rows {
    let hub = &shared.hub;
    let records = shared.live.worst().find(
        &hub.counts(),
        |id| hub.record(id),
        |query, cursor| hub.find(query, cursor, super::worst::MOST),
    );
    api::session_rows(records)
}
