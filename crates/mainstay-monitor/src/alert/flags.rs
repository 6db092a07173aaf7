//! What people say about an alert: it is being seen to, or it shall not be heard.

use mainstay_core::time::Instant;

/// Characters of [`Acknowledgement::who`] that are kept.
pub const WHO_MAX: usize = 200;

/// Characters of [`Acknowledgement::note`] that are kept.
pub const NOTE_MAX: usize = 2_000;

/// Somebody sees to it. Ends when the alert is resolved, when its severity rises, and in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who. Cut at [`WHO_MAX`] characters.
    pub who: String,
    /// What they say. Cut at [`NOTE_MAX`] characters.
    pub note: String,
    /// Until when; none: without a limit.
    pub until: Option<Instant>,
}

impl Acknowledgement {
    /// The same within the limits.
    pub(super) fn bounded(mut self) -> Self {
        cut(&mut self.who, WHO_MAX);
        cut(&mut self.note, NOTE_MAX);
        self
    }
}

fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
    }
}

/// How long nobody is to be notified. What happens is still evaluated and given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Until then.
    Until(Instant),
    /// Until the alert is next resolved.
    UntilResolved,
    /// Until somebody lifts it.
    UntilLifted,
}
