//! The life of a session, as one table.
//!
//! ```text
//! Registering ─committed─> Connected ─lost, silent, rest─> Suspended ─grace over─> Disconnected
//!      │                     ▲  │ ▲                         │  ▲  │
//!      │ rolled back         │  │ └───────resume, beat──────┘  │  │ expected
//!      ▼                     │  └────expected────┐         rest│  ▼
//!    (free)                  └────resume, beat── Reconnecting ─┴─window over, no attempt left─> Failed
//! ```
//!
//! From every state that is to be seen, `ended` leads to `Disconnected`. What does not fit changes
//! nothing.

use crate::table::Phase;

/// What happens to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The store has it.
    Committed,
    /// The store does not have it.
    RolledBack,
    /// A new connection shows its generation.
    Resumed,
    /// It beat by itself.
    Beat,
    /// It has no connection any more.
    Lost,
    /// It, or an operator, asks for a rest.
    Rested,
    /// It is expected back, and has attempts left.
    Expected,
    /// It is expected back, and has no attempt left.
    Exhausted,
    /// Its grace, or what is kept of it after its end, is over.
    TimeOver,
    /// Somebody ended it.
    Ended,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing.
    Stay,
    /// It becomes visible.
    Open,
    /// It leaves no trace.
    Vanish,
    /// It ends as soon as the store has it.
    Doom,
    /// It has a connection again.
    Return,
    /// The old connection gives way to the new one.
    TakeOver,
    /// Its grace begins.
    Suspend,
    /// It goes on resting, until another time.
    Prolong,
    /// A window is reserved for it.
    Await,
    /// It is over, because its grace was.
    Expire,
    /// It is over.
    End,
    /// It is over, because its attempts were used up.
    Fail,
    /// Its record is removed.
    Forget,
}

impl Input {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 10] = [
        Self::Committed,
        Self::RolledBack,
        Self::Resumed,
        Self::Beat,
        Self::Lost,
        Self::Rested,
        Self::Expected,
        Self::Exhausted,
        Self::TimeOver,
        Self::Ended,
    ];
}

pub(crate) const fn turn(phase: Phase, input: Input) -> Turn {
    use Phase::{Connected, Disconnected, Failed, Free, Reconnecting, Registering, Suspended};
    match (phase, input) {
        (Registering, Input::Committed) => Turn::Open,
        (Registering, Input::RolledBack) => Turn::Vanish,
        (Registering, Input::Ended) => Turn::Doom,
        (Connected, Input::Resumed) => Turn::TakeOver,
        (Suspended | Reconnecting, Input::Resumed | Input::Beat) => Turn::Return,
        (Connected, Input::Lost | Input::Rested) => Turn::Suspend,
        (Reconnecting, Input::Rested) => Turn::Suspend,
        (Suspended, Input::Rested) => Turn::Prolong,
        (Connected | Suspended | Reconnecting, Input::Expected) => Turn::Await,
        (Connected | Suspended | Reconnecting, Input::Exhausted) => Turn::Fail,
        (Suspended, Input::TimeOver) => Turn::Expire,
        (Connected | Suspended | Reconnecting, Input::Ended) => Turn::End,
        (Disconnected | Failed, Input::TimeOver) => Turn::Forget,
        (
            Free,
            Input::Committed
            | Input::RolledBack
            | Input::Resumed
            | Input::Beat
            | Input::Lost
            | Input::Rested
            | Input::Expected
            | Input::Exhausted
            | Input::TimeOver
            | Input::Ended,
        )
        | (
            Registering,
            Input::Resumed
            | Input::Beat
            | Input::Lost
            | Input::Rested
            | Input::Expected
            | Input::Exhausted
            | Input::TimeOver,
        )
        | (Connected, Input::Beat | Input::TimeOver)
        | (Suspended | Reconnecting, Input::Lost)
        | (Reconnecting, Input::TimeOver)
        | (Connected | Suspended | Reconnecting, Input::Committed | Input::RolledBack)
        | (
            Disconnected | Failed,
            Input::Committed
            | Input::RolledBack
            | Input::Resumed
            | Input::Beat
            | Input::Lost
            | Input::Rested
            | Input::Expected
            | Input::Exhausted
            | Input::Ended,
        ) => Turn::Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row for each phase, a column for each input in the order of [`Input::ALL`].
    #[test]
    fn every_phase_answers_every_input_as_the_table_says() {
        use Turn::{
            Await, Doom, End, Expire, Fail, Forget, Open, Prolong, Return, Stay, Suspend, TakeOver,
            Vanish,
        };
        let table: [[Turn; 10]; 7] = [
            [Stay; 10],
            [Open, Vanish, Stay, Stay, Stay, Stay, Stay, Stay, Stay, Doom],
            [Stay, Stay, TakeOver, Stay, Suspend, Suspend, Await, Fail, Stay, End],
            [Stay, Stay, Return, Return, Stay, Prolong, Await, Fail, Expire, End],
            [Stay, Stay, Return, Return, Stay, Suspend, Await, Fail, Stay, End],
            [Stay, Stay, Stay, Stay, Stay, Stay, Stay, Stay, Forget, Stay],
            [Stay, Stay, Stay, Stay, Stay, Stay, Stay, Stay, Forget, Stay],
        ];
        for (phase, row) in Phase::ALL.into_iter().zip(table) {
            for (input, expected) in Input::ALL.into_iter().zip(row) {
                assert_eq!(turn(phase, input), expected, "{phase:?} {input:?}");
            }
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        for phase in [Phase::Disconnected, Phase::Failed] {
            for input in Input::ALL {
                assert!(matches!(turn(phase, input), Turn::Stay | Turn::Forget), "{input:?}");
            }
        }
    }
}
