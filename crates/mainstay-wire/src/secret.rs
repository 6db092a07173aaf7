use core::fmt;

/// Text that no log and no error shows: a token or a key.
///
/// ```
/// let secret = mainstay_wire::Secret::new("s3cr3t");
/// assert_eq!(format!("{secret:?}"), "Secret(6 bytes)");
/// assert_eq!(secret.expose(), "s3cr3t");
/// ```
///
/// Equality takes longer the more is equal. To compare a token with the one that is right, use a
/// comparison whose time does not depend on it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever checks it or sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}
