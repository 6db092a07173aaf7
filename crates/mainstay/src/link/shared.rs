use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::handle::{Link, LinkOptions};
use super::transport::Transport;
use mainstay_core::config::ConfigError;
use mainstay_core::link::LinkConfig;

/// A place for one link that a whole program shares: made by whoever asks first, and connected by
/// itself.
///
/// Put it in a `static`. Asking again with the same options gives the same link; asking with others
/// is an error, because somebody would get a link they did not ask for.
///
/// ```no_run
/// use mainstay::link::{LinkOptions, SharedLink, TcpTransport};
///
/// static FEED: SharedLink = SharedLink::new();
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let link = FEED.get(LinkOptions::new("feed"), TcpTransport::new("127.0.0.1:9000"))?;
/// # drop(link);
/// FEED.reset().await;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct SharedLink {
    slot: Mutex<Option<Kept>>,
}

#[derive(Clone, Debug)]
struct Kept {
    link: Link,
    config: LinkConfig,
}

/// Why there is no shared link for those options.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedError {
    /// It exists with other options: use it as it is ([`SharedLink::existing`]), or reset it first.
    Differs {
        /// What differs.
        field: &'static str,
    },
    /// The configuration makes no sense.
    Config(ConfigError),
}

impl SharedLink {
    /// The place that belongs to the whole process (`getSharedConnectionManager` of seed 000).
    #[must_use]
    pub fn process() -> &'static Self {
        static PROCESS: SharedLink = SharedLink::new();
        &PROCESS
    }

    /// An empty place.
    #[must_use]
    pub const fn new() -> Self {
        Self { slot: Mutex::new(None) }
    }

    /// The shared link; the first to ask makes it, and it begins to connect.
    ///
    /// Transports are compared by their [`Transport::target`].
    ///
    /// # Errors
    ///
    /// [`SharedError`] when it exists with other options, or these make no sense.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, when it does not exist yet.
    pub fn get<T: Transport>(
        &self,
        options: LinkOptions,
        transport: T,
    ) -> Result<Link, SharedError> {
        let mut slot = self.slot();
        if let Some(kept) = slot.as_ref().filter(|kept| kept.link.is_running()) {
            let differs = if **kept.link.target() != *transport.target() {
                Some("target")
            } else if kept.link.name() != &options.name {
                Some("name")
            } else if kept.config != options.config {
                Some("config")
            } else {
                None
            };
            let Some(field) = differs else { return Ok(kept.link.clone()) };
            return Err(SharedError::Differs { field });
        }
        let config = options.config;
        let link = Link::open(options, transport).map_err(SharedError::Config)?;
        link.begin();
        *slot = Some(Kept { link: link.clone(), config });
        Ok(link)
    }

    /// The shared link, if somebody has made it and it was not shut down since.
    #[must_use]
    pub fn existing(&self) -> Option<Link> {
        self.slot().as_ref().map(|kept| kept.link.clone()).filter(Link::is_running)
    }

    /// Shuts the shared link down; the next to ask makes another.
    pub async fn reset(&self) {
        let kept = self.slot().take();
        if let Some(kept) = kept {
            kept.link.shutdown().await;
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Kept>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { field } => write!(f, "the shared link exists with another {field}"),
            Self::Config(_) => f.write_str("the configuration makes no sense"),
        }
    }
}

impl Error for SharedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Differs { .. } => None,
            Self::Config(error) => Some(error),
        }
    }
}
