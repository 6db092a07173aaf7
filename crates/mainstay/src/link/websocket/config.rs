use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use mainstay_core::config::{ConfigError, duration_from, in_range};
use mainstay_core::link::{EndpointsConfig, OutboxConfig, Reaction, close_code, refused_upgrade};
use mainstay_core::policy::gate::GateConfig;

use super::limiter::HandshakeLimiter;
use super::opening::Handshake;
use super::provide::Provider;
use super::subscriptions::Subscriptions;
use super::transport::WebSocketTransport;
use crate::gate::{Gate, Gates, RegistryError};
use crate::link::stream::{StreamConfig, Tls, TlsConfig};

const MILLISECOND: Duration = Duration::from_millis(1);

/// What a [`super::WebSocket`] is made of.
#[derive(Clone, Debug)]
pub struct WebSocketConfig {
    /// Where the peer is, such as `wss://example.org/feed`.
    pub url: String,
    /// Other addresses of the same peer: replicas, other regions. At most 63. Default none.
    pub more_urls: Vec<String>,
    /// Which address is dialled, where there are several.
    pub endpoints: EndpointsConfig,
    /// How a stream is made: deadlines of its phases, proxy, options of TCP.
    pub stream: StreamConfig,
    /// How TLS is spoken.
    pub tls: TlsConfig,
    /// Breakers over the dials of each endpoint, shared with other links. Default none.
    pub guard: Option<Guard>,
    /// Headers of the upgrade. A value that is a secret should be marked as sensitive.
    pub headers: HeaderMap,
    /// Subprotocols in order of preference. Default none.
    pub subprotocols: Vec<String>,
    /// Asked before every attempt for the address, headers and token of that attempt. Default
    /// nobody.
    pub provider: Option<Provider>,
    /// Longest time the provider may take. Default 10 s.
    pub provider_timeout: Duration,
    /// Longest time of the upgrade. Default 5 s.
    pub upgrade_timeout: Duration,
    /// The application's own handshake, before anything else is sent. Default none.
    pub handshake: Option<Handshake>,
    /// Longest time of that handshake, and of sending the subscriptions. Default 10 s.
    pub handshake_timeout: Duration,
    /// What is to be subscribed on every connection. Default nothing.
    pub subscriptions: Subscriptions,
    /// Largest message taken from the peer, in bytes. Default 16 MiB.
    pub message_max: usize,
    /// Messages that wait for the application.
    pub incoming: IncomingConfig,
    /// Messages that wait for a connection: 1 000, 1 MiB and 60 s by default.
    pub outbox: OutboxConfig,
    /// How long no message may come before the connection is given up; pings and pongs do not
    /// count. Default no limit: a ping is answered by a peer that is well.
    pub data_idle: Option<Duration>,
    /// Age at which a connection is replaced at the latest, make before break; up to a tenth less is
    /// drawn, so that not all move at once. Default never.
    pub max_age: Option<Duration>,
    /// Whether `ws://` to another machine is allowed: what is sent can then be read and changed by
    /// anyone on the way. Default no.
    pub allow_plain: bool,
    /// Redirects of an upgrade that are followed, never from `wss` to `ws`. Default 0.
    pub redirects: u8,
    /// What an end means, in place of [`Ending::reaction`]. Default that.
    pub classify: Option<Classify>,
    /// Who may connect when. Default the process's own: 500 handshakes a second, 256 at a time.
    pub limiter: HandshakeLimiter,
}

/// Messages that wait for the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncomingConfig {
    /// How many. Default 1 024.
    pub messages: usize,
    /// How many bytes; one message is always held. Default 16 MiB.
    pub bytes: usize,
    /// What happens when the application is too slow. Default the oldest go, and it is told.
    pub slow: Slow,
}

/// What happens when an application does not take its messages in time.
///
/// The connection is read on in any case: pings are answered, and the peer is not held up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// The oldest messages go; the reader is told how many.
    #[default]
    DropOldest,
    /// New messages go until there is room; the reader is told how many.
    DropNewest,
    /// The connection is closed with code 1008 and made anew.
    Disconnect,
}

/// How a connection, or an attempt to make one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending<'a> {
    /// With a close code: the peer's; 1005 if it gave none, 1006 if it said nothing, and 1002, 1007
    /// or 1009 if it broke the protocol.
    Closed {
        /// The code.
        code: u16,
        /// The peer's reason.
        reason: &'a str,
    },
    /// The upgrade was refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The wish of its `Retry-After`.
        retry_after: Option<Duration>,
    },
}

impl Ending<'_> {
    /// What to do about it, by the table of [`mainstay_core::link::close_code`] and
    /// [`mainstay_core::link::refused_upgrade`]. A reason that speaks of `too_many_pings`, as gRPC's
    /// does, asks for fewer of them.
    #[must_use]
    pub fn reaction(&self) -> Reaction {
        match self {
            Self::Closed { reason, .. } if reason.contains("too_many_pings") => Reaction::PingLess,
            Self::Closed { code, .. } => close_code(*code),
            Self::Refused { status, retry_after } => refused_upgrade(*status, *retry_after),
        }
    }
}

/// Breakers over dials: one gate for each endpoint, whoever dials it.
///
/// A dial that a gate rejects opens no socket and uses up no attempt; a half-open breaker lets one
/// dial through, of all links that share it.
#[derive(Clone, Debug)]
pub struct Guard(Arc<(Gates, GateConfig)>);

impl Guard {
    /// Over the gates of `gates`, which are named after their endpoint, such as
    /// `wss://example.org:443`, and made under `config` when they are first needed.
    #[must_use]
    pub fn new(gates: Gates, config: GateConfig) -> Self {
        Self(Arc::new((gates, config)))
    }

    pub(super) fn gate(&self, origin: &str) -> Result<Gate, RegistryError> {
        let (gates, config) = &*self.0;
        gates.get_or_create(origin, config)
    }
}

/// Says what an [`Ending`] means.
#[derive(Clone)]
pub struct Classify(Arc<dyn Fn(&Ending<'_>) -> Reaction + Send + Sync>);

impl Classify {
    /// By a function; it can fall back on [`Ending::reaction`], which also holds if it panics.
    #[must_use]
    pub fn by(decide: impl Fn(&Ending<'_>) -> Reaction + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }
}

impl fmt::Debug for Classify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Classify(…)")
    }
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            more_urls: Vec::new(),
            endpoints: EndpointsConfig::default(),
            stream: StreamConfig::process().clone(),
            tls: TlsConfig::default(),
            guard: None,
            headers: HeaderMap::new(),
            subprotocols: Vec::new(),
            provider: None,
            provider_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(5),
            handshake: None,
            handshake_timeout: Duration::from_secs(10),
            subscriptions: Subscriptions::default(),
            message_max: 16 << 20,
            incoming: IncomingConfig::default(),
            outbox: OutboxConfig::default(),
            data_idle: None,
            max_age: None,
            allow_plain: false,
            redirects: 0,
            classify: None,
            limiter: HandshakeLimiter::process().clone(),
        }
    }
}

impl Default for IncomingConfig {
    fn default() -> Self {
        Self { messages: 1_024, bytes: 16 << 20, slow: Slow::DropOldest }
    }
}

impl WebSocketConfig {
    /// The defaults, for the peer at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Checks everything that can be checked without connecting, as [`super::WebSocket::open`] does.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        WebSocketTransport::new(self.clone(), None).map(drop)
    }

    /// Checks what stands for itself.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        duration_from("provider_timeout", self.provider_timeout, MILLISECOND)?;
        duration_from("upgrade_timeout", self.upgrade_timeout, MILLISECOND)?;
        duration_from("handshake_timeout", self.handshake_timeout, MILLISECOND)?;
        for (field, limit) in [("data_idle", self.data_idle), ("max_age", self.max_age)] {
            limit.map(|limit| duration_from(field, limit, MILLISECOND)).transpose()?;
        }
        in_range("message_max", self.message_max, 125, 1 << 30)?;
        in_range("incoming.messages", self.incoming.messages, 1, 1 << 20)?;
        in_range("incoming.bytes", self.incoming.bytes, 1, 1 << 30)?;
        in_range("redirects", self.redirects, 0, 10)?;
        for name in &self.subprotocols {
            let token =
                |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) {
                let allowed = "a token such as graphql-transport-ws";
                return Err(ConfigError::new("subprotocols", name.as_str(), allowed));
            }
        }
        Ok(())
    }

    /// What is needed while the link lives; the rest is in other hands by then.
    pub(super) fn rules(self) -> Rules {
        let tls = (self.tls != TlsConfig::default()).then(|| Box::new(self.tls));
        Rules {
            headers: (!self.headers.is_empty()).then(|| Box::new(self.headers)),
            subprotocols: self.subprotocols.join(", ").into(),
            provider: self.provider,
            provider_timeout: self.provider_timeout,
            upgrade_timeout: self.upgrade_timeout,
            handshake: self.handshake,
            handshake_timeout: self.handshake_timeout,
            subscriptions: self.subscriptions,
            message_max: self.message_max,
            data_idle: self.data_idle,
            max_age: self.max_age,
            allow_plain: self.allow_plain,
            redirects: self.redirects,
            classify: self.classify,
            limiter: self.limiter,
            guard: self.guard,
            tls,
        }
    }
}

/// A checked [`WebSocketConfig`], as small as it gets: every idle link holds one.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) headers: Option<Box<HeaderMap>>,
    pub(super) subprotocols: Box<str>,
    pub(super) provider: Option<Provider>,
    pub(super) provider_timeout: Duration,
    pub(super) upgrade_timeout: Duration,
    pub(super) handshake: Option<Handshake>,
    pub(super) handshake_timeout: Duration,
    pub(super) subscriptions: Subscriptions,
    pub(super) message_max: usize,
    pub(super) data_idle: Option<Duration>,
    pub(super) max_age: Option<Duration>,
    pub(super) allow_plain: bool,
    pub(super) redirects: u8,
    pub(super) limiter: HandshakeLimiter,
    pub(super) guard: Option<Guard>,
    classify: Option<Classify>,
    /// None: the default.
    tls: Option<Box<TlsConfig>>,
}

impl Rules {
    /// What TLS is spoken with.
    pub(super) fn tls(&self) -> Result<Tls, ConfigError> {
        let made = match &self.tls {
            Some(config) => Tls::new(config),
            None => Tls::of(&TlsConfig::default()),
        };
        made.map_err(|error| error.within("tls"))
    }

    /// What an ending means here.
    pub(super) fn reaction(&self, ending: &Ending<'_>) -> Reaction {
        match &self.classify {
            Some(Classify(decide)) => {
                let decided = catch_unwind(AssertUnwindSafe(|| decide(ending)));
                decided.unwrap_or_else(|_| ending.reaction())
            }
            None => ending.reaction(),
        }
    }
}
