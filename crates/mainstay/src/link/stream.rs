//! How a link reaches its peer: names, addresses, proxies and TLS.
//!
//! A dial has four phases, each with a deadline of its own, so that an error says where it ended:
//! the *name* is resolved (anew at every dial), its addresses race for a *TCP* connection, a *proxy*
//! is asked for a tunnel, and *TLS* is spoken to the peer. Dropping the dial closes every socket.

mod address;
mod authority;
mod proxy;
mod tls;

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay_core::config::duration::text;
use mainstay_core::config::{ConfigError, duration_from};
use mainstay_core::policy::outcome::Outcome;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::transport::DialError;
use address::Resolver;
pub(crate) use authority::Authority;
pub use proxy::Proxy;
pub(crate) use tls::Tls;
pub use tls::{Alpn, Identity, Roots, TlsConfig};

/// How a link makes its stream, up to TLS.
///
/// ```
/// use std::time::Duration;
/// use mainstay::link::{Proxy, StreamConfig};
///
/// let mut config = StreamConfig::default();
/// config.tls_timeout = Duration::from_secs(10);
/// config.proxy = Proxy::parse("socks5://me:secret@proxy.example.org")?;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), mainstay::core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Longest time to resolve a name. At least 1 ms. Default 5 s, as the three others: RFC 8305
    /// leaves them open, and a whole dial has 10 s.
    pub name_timeout: Duration,
    /// Longest time until one of the addresses has connected. At least 1 ms. Default 5 s.
    pub tcp_timeout: Duration,
    /// Longest time until a proxy has made the tunnel. At least 1 ms. Default 5 s.
    pub proxy_timeout: Duration,
    /// Longest time of the TLS handshake. At least 1 ms. Default 5 s.
    pub tls_timeout: Duration,
    /// How long an address may take before the next one is dialled beside it. Held between 100 ms
    /// and 2 s. Default 250 ms (RFC 8305).
    pub attempt_delay: Duration,
    /// How long sent bytes may stay unacknowledged before the system gives the connection up
    /// (`TCP_USER_TIMEOUT`; on Linux and Android, elsewhere it is not set). At least 1 ms. Default
    /// 20 s (gRPC's A18: as long as its keepalive's timeout); none leaves it to the system, which
    /// may take a quarter of an hour.
    pub user_timeout: Option<Duration>,
    /// Idle time after which the system asks whether the peer is there, and between two such
    /// questions. At least 1 s. Default none: the probes of a link see more.
    pub keepalive: Option<Duration>,
    /// Which proxy is used. Default that of the environment.
    pub proxy: Proxy,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            name_timeout: Duration::from_secs(5),
            tcp_timeout: Duration::from_secs(5),
            proxy_timeout: Duration::from_secs(5),
            tls_timeout: Duration::from_secs(5),
            attempt_delay: Duration::from_millis(250),
            user_timeout: Some(Duration::from_secs(20)),
            keepalive: None,
            proxy: Proxy::from_env(),
        }
    }
}

/// A checked [`StreamConfig`].
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    config: StreamConfig,
    resolver: Resolver,
}

/// A connection to a peer, ready for its protocol.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP, to the peer or through a tunnel.
    Plain(TcpStream),
    /// TLS over it. It is large: hence the box.
    Tls(Box<TlsStream<TcpStream>>),
}

impl StreamConfig {
    /// The defaults with the environment as it was when the process first asked: reading it for
    /// every link would cost time and memory.
    pub(crate) fn process() -> &'static Self {
        static PROCESS: LazyLock<StreamConfig> = LazyLock::new(StreamConfig::default);
        &PROCESS
    }

    fn is_same(&self, other: &Self) -> bool {
        let times = |config: &Self| {
            let phases = [config.name_timeout, config.tcp_timeout, config.proxy_timeout];
            let rest = (config.tls_timeout, config.attempt_delay);
            (phases, rest, config.user_timeout, config.keepalive)
        };
        times(self) == times(other) && self.proxy.is_same(&other.proxy)
    }
}

impl Dialer {
    /// The same as [`Dialer::new`]; all with the defaults share one.
    pub(crate) fn of(config: &StreamConfig) -> Result<Arc<Self>, ConfigError> {
        static PROCESS: OnceLock<Arc<Dialer>> = OnceLock::new();
        if !config.is_same(StreamConfig::process()) {
            return Ok(Arc::new(Self::new(config)?));
        }
        if let Some(dialer) = PROCESS.get() {
            return Ok(dialer.clone());
        }
        let dialer = Arc::new(Self::new(config)?);
        Ok(PROCESS.get_or_init(|| dialer).clone())
    }

    /// Checks `config`; dials nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a duration makes no sense.
    pub(crate) fn new(config: &StreamConfig) -> Result<Self, ConfigError> {
        let least = Duration::from_millis(1);
        duration_from("name_timeout", config.name_timeout, least)?;
        duration_from("tcp_timeout", config.tcp_timeout, least)?;
        duration_from("proxy_timeout", config.proxy_timeout, least)?;
        duration_from("tls_timeout", config.tls_timeout, least)?;
        duration_from("user_timeout", config.user_timeout.unwrap_or(least), least)?;
        let second = Duration::from_secs(1);
        duration_from("keepalive", config.keepalive.unwrap_or(second), second)?;
        Ok(Self { config: config.clone(), resolver: Resolver::System })
    }

    /// Connects to `target`, with TLS where `tls` is given.
    ///
    /// # Errors
    ///
    /// [`DialError`] that names the phase, the host and the cause. Trouble of the network is
    /// transient; a certificate that is not valid is permanent; who is refused by a proxy or for
    /// his certificate must bring other credentials.
    pub(crate) async fn connect(
        &self,
        target: &Authority,
        tls: Option<&Tls>,
    ) -> Result<Stream, DialError> {
        let stream = match self.config.proxy.for_target(target)? {
            None => self.reach(target, "").await?,
            Some(server) => {
                let stream = self.reach(server.authority(), "the proxy ").await?;
                let limit = self.config.proxy_timeout;
                let late = || format!("no tunnel from the proxy {server} to {target}");
                within(limit, late, server.tunnel(stream, target)).await?
            }
        };
        let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
        let late = || format!("no TLS handshake with {target}");
        let stream = within(self.config.tls_timeout, late, tls.handshake(stream, target)).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Resolves the name of `target` and connects to one of its addresses. Errors name it as `role`
    /// says.
    async fn reach(&self, target: &Authority, role: &str) -> Result<TcpStream, DialError> {
        let late = || format!("the name {} did not resolve", target.host());
        let lookup = self.resolver.lookup(target);
        let addresses = within(self.config.name_timeout, late, lookup).await?;
        let shown = format!("{role}{}", address::shown(target, &addresses));
        let late = || format!("no answer from {shown}");
        let race = address::race(&shown, &addresses, &self.config);
        within(self.config.tcp_timeout, late, race).await
    }
}

/// Runs one phase; when it is `late`, says so.
async fn within<T>(
    limit: Duration,
    late: impl FnOnce() -> String,
    phase: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    tokio::time::timeout(limit, phase).await.unwrap_or_else(|_| {
        let what = format!("{} within {}", late(), text(limit));
        Err(DialError::new(Outcome::TRANSIENT, what))
    })
}

impl Stream {
    /// The TCP connection below.
    #[cfg(test)]
    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests;
