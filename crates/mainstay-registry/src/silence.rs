use std::time::Duration;

/// How long a session with a connection has been silent, and when that has consequences.
///
/// Times are milliseconds since 1970, to the sweep that notices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Silence {
    /// Since it was last heard, without what this process slept.
    pub silent: Duration,
    /// How long apart its beats are expected.
    pub interval: Duration,
    /// When it is suspected, unless it is heard; in the past when it is.
    pub suspect_at: u64,
    /// When it is given up, unless it is heard.
    pub dead_at: u64,
    /// When it is asked next whether it is there; none for one that beats by itself.
    pub asked_at: Option<u64>,
    /// Whether it is suspected.
    pub suspected: bool,
    /// Whether nobody is given up now, because many fell silent at once or this process slept:
    /// `dead_at` is not before that is over.
    pub held: bool,
    /// How surprising the silence is. It is shown, and decides nothing.
    pub phi: f64,
    /// What that will be at `suspect_at`.
    pub phi_suspect: f64,
    /// What that will be when its time is up, held or not.
    pub phi_dead: f64,
}
