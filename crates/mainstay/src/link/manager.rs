use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::link::{
    Event as What, HealthOverrides, LinkConfig, LinkOverrides, ReconnectOverrides,
};

use super::event::LinkEvent;
use super::handle::{Link, LinkOptions};
use super::listener::{ListenError, Listener};
use super::transport::Transport;
#[cfg(feature = "websocket")]
use super::websocket::{Incoming, WebSocket, WebSocketConfig};
use crate::event::{Events, Kind};

/// What a [`LinkManager`] is made of.
#[derive(Clone, Debug)]
pub struct ManagerConfig {
    /// What holds for every link that does not override it.
    pub link: LinkConfig,
    /// The most links it takes. Default 4096.
    pub links_max: usize,
    /// Where the events of all links go. Default a channel of its own.
    pub events: Events,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self { link: LinkConfig::default(), links_max: 4096, events: Events::new() }
    }
}

/// Many links under one roof: common options, and overrides for some (seed 003).
///
/// ```no_run
/// use mainstay::link::{LinkConfig, LinkManager, LinkOverrides, ManagerConfig, TcpTransport};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ManagerConfig { link: LinkConfig::streamotter(), ..ManagerConfig::default() };
/// let manager = LinkManager::new(config)?;
/// let mut overrides = LinkOverrides::default();
/// overrides.reconnect.attempts = Some(Some(3));
/// let link = manager.add("feed", overrides, TcpTransport::new("127.0.0.1:9000"))?;
/// manager.on_reconnecting("feed", |attempt, delay| println!("{attempt} in {delay:?}"))?;
/// link.connect().await?;
/// manager.shutdown().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LinkManager {
    book: Mutex<Book>,
    links_max: usize,
    events: Events,
}

#[derive(Debug)]
struct Book {
    link: LinkConfig,
    links: BTreeMap<Arc<str>, Managed>,
}

#[derive(Debug)]
struct Managed {
    link: Link,
    overrides: LinkOverrides,
}

/// Why a manager did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManageError {
    /// It has no link of that name.
    Unknown,
    /// It has a link of that name already.
    Taken,
    /// It is full.
    Full {
        /// How many links it takes.
        links_max: usize,
    },
    /// The configuration makes no sense.
    Config(ConfigError),
    /// The listener was not added.
    Listen(ListenError),
}

impl LinkManager {
    /// A manager without links.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the common options make no sense.
    pub fn new(config: ManagerConfig) -> Result<Self, ConfigError> {
        mainstay_core::link::Link::new(&config.link)?;
        let book = Book { link: config.link, links: BTreeMap::new() };
        let (links_max, events) = (config.links_max, config.events);
        Ok(Self { book: Mutex::new(book), links_max, events })
    }

    /// Opens a link under `name`. It is disconnected at first.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when the name is taken, the manager is full, or the options make no sense.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn add<T: Transport>(
        &self,
        name: &str,
        overrides: LinkOverrides,
        transport: T,
    ) -> Result<Link, ManageError> {
        self.insert(name, overrides, |options| {
            let link = Link::open(options, transport)?;
            Ok((link.clone(), link))
        })
    }

    /// Opens a WebSocket under `name`, and what will come over it. It is disconnected at first.
    ///
    /// The manager's common options hold for it too; [`LinkConfig::websocket`] has those that suit
    /// WebSockets.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when the name is taken, the manager is full, or the options make no sense.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[cfg(feature = "websocket")]
    pub fn add_websocket(
        &self,
        name: &str,
        overrides: LinkOverrides,
        config: WebSocketConfig,
    ) -> Result<(WebSocket, Incoming), ManageError> {
        self.insert(name, overrides, |options| {
            let (socket, incoming) = WebSocket::open(options, config)?;
            Ok((socket.link().clone(), (socket, incoming)))
        })
    }

    fn insert<T>(
        &self,
        name: &str,
        overrides: LinkOverrides,
        open: impl FnOnce(LinkOptions) -> Result<(Link, T), ConfigError>,
    ) -> Result<T, ManageError> {
        let mut book = self.book();
        if book.links.contains_key(name) {
            return Err(ManageError::Taken);
        }
        if book.links.len() >= self.links_max {
            return Err(ManageError::Full { links_max: self.links_max });
        }
        let config = book.link.merged(&overrides);
        let options = LinkOptions::new(name).config(config).events(self.events.clone());
        let (link, opened) = open(options).map_err(ManageError::Config)?;
        book.links.insert(name.into(), Managed { link, overrides });
        Ok(opened)
    }

    /// Takes a link under its roof that exists already: its name is kept, its events go where those
    /// of the others go, and from now on the common options hold for it, with `overrides` over them
    /// (the connection that seed 003 passes to each function).
    ///
    /// # Errors
    ///
    /// [`ManageError`] when the name is taken, the manager is full, or the options make no sense;
    /// the link is as it was then.
    pub fn adopt(&self, link: &Link, overrides: LinkOverrides) -> Result<(), ManageError> {
        let mut book = self.book();
        if book.links.contains_key(link.name()) {
            return Err(ManageError::Taken);
        }
        if book.links.len() >= self.links_max {
            return Err(ManageError::Full { links_max: self.links_max });
        }
        let merged = book.link.merged(&overrides);
        mainstay_core::link::Link::new(&merged).map_err(ManageError::Config)?;
        let events = self.events.clone();
        let told = move |event: &LinkEvent| events.send(|| Kind::Link(event.clone()));
        link.on("*", told).map_err(ManageError::Listen)?;
        link.reconfigure(&merged).map_err(ManageError::Config)?;
        book.links.insert(link.name().clone(), Managed { link: link.clone(), overrides });
        Ok(())
    }

    /// The link of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Link> {
        self.book().links.get(name).map(|managed| managed.link.clone())
    }

    /// All links, by name.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.book().links.values().map(|managed| managed.link.clone()).collect()
    }

    /// The channel with the events of all links.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Shuts a link down and forgets it. Says whether there was one.
    pub async fn remove(&self, name: &str) -> bool {
        let managed = self.book().links.remove(name);
        match managed {
            Some(managed) => {
                managed.link.shutdown().await;
                true
            }
            None => false,
        }
    }

    /// Takes other common options, for the links there are and those to come; overrides stay over
    /// them (`configureReconnection` of seed 003).
    ///
    /// # Errors
    ///
    /// [`ManageError::Config`] when they make no sense, alone or for one of the links; nothing has
    /// changed then.
    pub fn configure(&self, config: LinkConfig) -> Result<(), ManageError> {
        let mut book = self.book();
        mainstay_core::link::Link::new(&config).map_err(ManageError::Config)?;
        for managed in book.links.values() {
            let merged = config.merged(&managed.overrides);
            mainstay_core::link::Link::new(&merged).map_err(ManageError::Config)?;
        }
        book.link = config;
        for managed in book.links.values() {
            let merged = config.merged(&managed.overrides);
            managed.link.reconfigure(&merged).map_err(ManageError::Config)?;
        }
        Ok(())
    }

    /// Lets one link redial, with overrides of its own put over those it has, if any: field by
    /// field, what they leave out stays.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when there is no such link or the options make no sense.
    pub fn enable_reconnection(
        &self,
        name: &str,
        overrides: Option<ReconnectOverrides>,
    ) -> Result<(), ManageError> {
        self.change(name, |own| {
            if let Some(overrides) = overrides {
                own.reconnect = overrides.over(own.reconnect);
            }
            own.reconnect.enabled = Some(true);
        })
    }

    /// Keeps one link from redialling; one that is waiting to is disconnected.
    ///
    /// # Errors
    ///
    /// [`ManageError::Unknown`] when there is no such link.
    pub fn disable_reconnection(&self, name: &str) -> Result<(), ManageError> {
        self.change(name, |own| own.reconnect.enabled = Some(false))
    }

    /// Changes how one link is probed (`configureHealthChecks` of seed 003): field by field, what
    /// `health` leaves out stays.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when there is no such link or the options make no sense.
    pub fn configure_health_checks(
        &self,
        name: &str,
        health: HealthOverrides,
    ) -> Result<(), ManageError> {
        self.change(name, |own| own.health = health.over(own.health))
    }

    /// Calls `call` with the number of the attempt, from 1, and the wait before it, whenever a
    /// redial is planned.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when there is no such link, or it has too many listeners.
    pub fn on_reconnecting(
        &self,
        name: &str,
        call: impl Fn(u32, Duration) + Send + Sync + 'static,
    ) -> Result<Listener, ManageError> {
        self.listen(name, "link.reconnecting", move |event| {
            if let What::Reconnecting { attempt, delay, .. } = event.what {
                call(attempt, delay);
            }
        })
    }

    /// Calls `call` when a connection was made after at least one redial.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when there is no such link, or it has too many listeners.
    pub fn on_reconnected(
        &self,
        name: &str,
        call: impl Fn() + Send + Sync + 'static,
    ) -> Result<Listener, ManageError> {
        self.listen(name, "link.reconnected", move |_| call())
    }

    /// Calls `call` when the breaker over the link's dials opens.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when there is no such link, or it has too many listeners.
    pub fn on_circuit_breaker_open(
        &self,
        name: &str,
        call: impl Fn() + Send + Sync + 'static,
    ) -> Result<Listener, ManageError> {
        self.listen(name, "link.breaker.opened", move |_| call())
    }

    /// Calls `call` when that breaker closes.
    ///
    /// # Errors
    ///
    /// [`ManageError`] when there is no such link, or it has too many listeners.
    pub fn on_circuit_breaker_closed(
        &self,
        name: &str,
        call: impl Fn() + Send + Sync + 'static,
    ) -> Result<Listener, ManageError> {
        self.listen(name, "link.breaker.closed", move |_| call())
    }

    /// Closes all links in good order, at the same time, and forgets them.
    pub async fn shutdown(&self) {
        let links = std::mem::take(&mut self.book().links);
        for managed in links.values() {
            managed.link.stop();
        }
        for managed in links.into_values() {
            managed.link.shutdown().await;
        }
    }

    fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut LinkOverrides),
    ) -> Result<(), ManageError> {
        let mut book = self.book();
        let common = book.link;
        let managed = book.links.get_mut(name).ok_or(ManageError::Unknown)?;
        let mut overrides = managed.overrides;
        change(&mut overrides);
        let merged = common.merged(&overrides);
        managed.link.reconfigure(&merged).map_err(ManageError::Config)?;
        managed.overrides = overrides;
        Ok(())
    }

    fn listen(
        &self,
        name: &str,
        event: &str,
        call: impl Fn(&LinkEvent) + Send + Sync + 'static,
    ) -> Result<Listener, ManageError> {
        let link = self.get(name).ok_or(ManageError::Unknown)?;
        link.on(event, call).map_err(ManageError::Listen)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for ManageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no link of that name"),
            Self::Taken => f.write_str("there is a link of that name already"),
            Self::Full { links_max } => write!(f, "there are {links_max} links already"),
            Self::Config(_) => f.write_str("the configuration makes no sense"),
            Self::Listen(_) => f.write_str("the listener was not added"),
        }
    }
}

impl Error for ManageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unknown | Self::Taken | Self::Full { .. } => None,
            Self::Config(error) => Some(error),
            Self::Listen(error) => Some(error),
        }
    }
}
