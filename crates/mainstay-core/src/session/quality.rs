//! How good a connection is, in one word, and why.
//!
//! Every beat, answered or missed, gives a raw score from 0 to 100:
//!
//! ```text
//! E     = smoothed round trip + 2 × jitter + 10 ms
//! delay = E / 40 ms        below 160 ms        (each penalty in points)
//!         (E − 120 ms)/10 ms    from there on
//! raw   = 100 − delay − 2.5 × loss in % − 10 × (reconnects in 10 minutes − 1)
//! ```
//!
//! The score follows it, by half the way down and by a fifth of the way up. The grade follows the
//! score with margins, so that a connection on an edge does not flip:
//!
//! | from | 80 | 60 | 30 | below |
//! |---|---|---|---|---|
//! | grade | `EXCELLENT` | `GOOD` | `POOR` | `CRITICAL` |
//!
//! * down: more than 5 points below the edge on 2 beats running; at once when more than 20 below;
//! * up: at least 5 points above the edge on 6 beats running, with no miss among them;
//! * 2 misses in a row: `POOR` at best. 3: `CRITICAL`;
//! * `UNKNOWN` until there were 3 beats.
//!
//! The shape of the delay is the E-model's, as LiveKit uses it for media. The profile `axon` is seed
//! 004's grade instead: cut-offs at 500, 1000 and 3000 ms and by misses in a row, down at once, up
//! after 2 better beats.

mod config;
mod grade;

pub use config::{Grader, Profile, QualityConfig};
pub use grade::{Grade, Reconnects, Sample};

/// How good a connection is.
///
/// The text forms are seed 004's: `EXCELLENT`, `GOOD`, `POOR`, `CRITICAL`; and `UNKNOWN` until
/// enough was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum Quality {
    /// Too little was measured to say.
    #[default]
    Unknown,
    /// Hardly usable.
    Critical,
    /// Bad enough that a user notices.
    Poor,
    /// Usable, with something to wish for.
    Good,
    /// Nothing to wish for.
    Excellent,
}

/// What weighs most in a grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Factor {
    /// Nothing stands out.
    #[default]
    None,
    /// Round trips take long.
    Rtt,
    /// Round trips differ.
    Jitter,
    /// Pings are lost.
    Loss,
    /// It reconnects often.
    Flapping,
    /// Nothing was heard of it for too long.
    Silence,
}

#[cfg(test)]
mod tests;
