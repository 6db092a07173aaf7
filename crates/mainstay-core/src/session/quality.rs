//! How good a connection is, in one word, and why.

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
