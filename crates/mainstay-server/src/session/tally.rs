use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay::core::session::status::{EndReason, LossReason};
use mainstay_registry::EventKind;
use mainstay_wire::CloseCode;

use crate::metrics::buckets::{Buckets, Spread};

/// How often what has happened to sessions since the server was started.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    registered: AtomicU64,
    resumed: AtomicU64,
    replayed: AtomicU64,
    taken_over: AtomicU64,
    suspected: AtomicU64,
    reconnecting: AtomicU64,
    messages: AtomicU64,
    /// Round trips, in seconds.
    rtt: Buckets,
    /// By [`END_REASONS`].
    gone: [AtomicU64; END_REASONS.len()],
    /// By [`LOSS_REASONS`].
    suspended: [AtomicU64; LOSS_REASONS.len()],
    /// By the close codes of the protocol; the last for all others.
    refused: [AtomicU64; CODES.len() + 1],
}

const END_REASONS: [(EndReason, &str); 6] = [
    (EndReason::Bye, "bye"),
    (EndReason::Expired, "expired"),
    (EndReason::Kicked, "kicked"),
    (EndReason::Superseded, "superseded"),
    (EndReason::Unauthorised, "unauthorised"),
    (EndReason::Exhausted, "exhausted"),
];

const LOSS_REASONS: [(LossReason, &str); 7] = [
    (LossReason::Lost, "lost"),
    (LossReason::Silent, "silent"),
    (LossReason::Asked, "asked"),
    (LossReason::Operator, "operator"),
    (LossReason::SlowConsumer, "slow_consumer"),
    (LossReason::Misbehaved, "misbehaved"),
    (LossReason::Restarted, "restarted"),
];

/// What a `hello` is turned away with.
const CODES: [CloseCode; 8] = [
    CloseCode::SHUTTING_DOWN,
    CloseCode::OVERLOADED,
    CloseCode::NO_PONG,
    CloseCode::RESUME_IMPOSSIBLE,
    CloseCode::UNAUTHORISED,
    CloseCode::SUPERSEDED,
    CloseCode::BAD_FRAME,
    CloseCode::CONNECTION_LIMIT,
];

/// What happens to connections of sessions, in sums that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Sessions that began.
    pub(crate) began: u64,
    /// Sessions that went on over another connection.
    pub(crate) returned: u64,
    /// Connections that ended though nobody asked for it.
    pub(crate) broke: u64,
    /// Sessions that are over because their client did not come back.
    pub(crate) gave_up: u64,
}

/// A count with the reason it is kept by, if it is.
pub(crate) type Count = (Option<&'static str>, u64);

impl Tally {
    /// Something happened to a session.
    pub(super) fn happened(&self, kind: &EventKind) {
        match kind {
            EventKind::Registered => add(&self.registered),
            EventKind::Resumed { replay } => {
                add(&self.resumed);
                if *replay {
                    add(&self.replayed);
                }
            }
            EventKind::TakenOver => add(&self.taken_over),
            EventKind::Suspected => add(&self.suspected),
            EventKind::Reconnecting { .. } => add(&self.reconnecting),
            EventKind::Gone { reason } => {
                by(&self.gone, END_REASONS.iter().position(|(known, _)| known == reason));
            }
            EventKind::Suspended { reason } => {
                by(&self.suspended, LOSS_REASONS.iter().position(|(known, _)| known == reason));
            }
            EventKind::Recovered
            | EventKind::QualityChanged { .. }
            | EventKind::MetadataChanged => {}
        }
    }

    /// A client said something.
    pub(super) fn message(&self) {
        add(&self.messages);
    }

    /// A round trip was measured.
    pub(super) fn round_trip(&self, rtt: Duration) {
        self.rtt.observe(rtt.as_secs_f64());
    }

    /// All of them.
    pub(crate) fn round_trips(&self) -> Spread {
        self.rtt.spread()
    }

    /// A client was turned away.
    pub(crate) fn refused(&self, code: u16) {
        let place = CODES.iter().position(|known| known.code == code);
        by(&self.refused, Some(place.unwrap_or(CODES.len())));
    }

    /// What happens to connections.
    pub(crate) fn flow(&self) -> Flow {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let broke =
            LOSS_REASONS.iter().zip(&self.suspended).filter(|((reason, _), _)| match reason {
                LossReason::Lost
                | LossReason::Silent
                | LossReason::SlowConsumer
                | LossReason::Misbehaved => true,
                LossReason::Asked | LossReason::Operator | LossReason::Restarted => false,
            });
        let over = END_REASONS.iter().zip(&self.gone).filter(|((reason, _), _)| match reason {
            EndReason::Expired | EndReason::Exhausted => true,
            EndReason::Bye
            | EndReason::Kicked
            | EndReason::Superseded
            | EndReason::Unauthorised => false,
        });
        Flow {
            began: read(&self.registered),
            returned: read(&self.resumed),
            broke: broke.map(|(_, count)| read(count)).sum(),
            gave_up: over.map(|(_, count)| read(count)).sum(),
        }
    }

    /// Every count, by the name of its metric and with what it says.
    pub(crate) fn counts(&self) -> Vec<(&'static str, &'static str, Vec<Count>)> {
        let one = |count: &AtomicU64| vec![(None, count.load(Ordering::Relaxed))];
        let codes = CODES.iter().map(|code| code.name).chain(["other"]);
        let ends = END_REASONS.iter().map(|(_, name)| *name);
        let losses = LOSS_REASONS.iter().map(|(_, name)| *name);
        vec![
            ("registered", "Sessions that began.", one(&self.registered)),
            ("resumed", "Sessions that went on over another connection.", one(&self.resumed)),
            ("replayed", "Of those, sessions whose messages went on.", one(&self.replayed)),
            ("taken_over", "Connections in the place of one still there.", one(&self.taken_over)),
            ("suspected", "Times that a session was late.", one(&self.suspected)),
            ("expected_back", "Windows reserved for sessions.", one(&self.reconnecting)),
            ("messages_received", "Messages of clients.", one(&self.messages)),
            ("gone", "Sessions that are over.", each(&self.gone, ends)),
            ("lost", "Connections of sessions that ended.", each(&self.suspended, losses)),
            ("refused", "Clients that were turned away.", each(&self.refused, codes)),
        ]
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn by(counts: &[AtomicU64], place: Option<usize>) {
    if let Some(count) = place.and_then(|place| counts.get(place)) {
        add(count);
    }
}

fn each(counts: &[AtomicU64], names: impl Iterator<Item = &'static str>) -> Vec<Count> {
    names.zip(counts).map(|(name, count)| (Some(name), count.load(Ordering::Relaxed))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_happens_is_counted_under_its_reason() {
        let tally = Tally::default();
        for (reason, _) in END_REASONS {
            tally.happened(&EventKind::Gone { reason });
        }
        for (reason, _) in LOSS_REASONS {
            tally.happened(&EventKind::Suspended { reason });
        }
        tally.happened(&EventKind::Resumed { replay: true });
        tally.happened(&EventKind::Resumed { replay: false });
        for code in [4201, 4201, 4999] {
            tally.refused(code);
        }
        let counts = tally.counts();
        let of = |name: &str| {
            let found = counts.iter().find(|(found, ..)| *found == name).unwrap();
            found.2.clone()
        };
        assert!(of("gone").iter().chain(&of("lost")).all(|(_, count)| *count == 1));
        assert_eq!((of("gone").len(), of("lost").len()), (6, 7));
        assert_eq!((of("resumed"), of("replayed")), (vec![(None, 2)], vec![(None, 1)]));
        let flow = Flow { began: 0, returned: 2, broke: 4, gave_up: 2 };
        assert_eq!(tally.flow(), flow, "what was asked for is no error");
        assert!(of("refused").contains(&(Some("unauthorised"), 2)));
        assert!(of("refused").contains(&(Some("other"), 1)));
    }
}
