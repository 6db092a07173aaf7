use std::sync::Arc;
use std::time::SystemTime;

use mainstay_core::config::ConfigError;
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;

use super::certificate::Expiry;
use super::stream::{Authority, Dialer, Stream, StreamConfig, Tls, TlsConfig};
use super::transport::{DialError, Transport};

/// What a [`TlsTransport`] is made of.
#[derive(Clone, Debug)]
pub struct TlsProbeConfig {
    /// Host: a name or an address.
    pub host: String,
    /// Port. Default 443.
    pub port: u16,
    /// How TLS is spoken. Default as with `wss`, without asking for a protocol.
    pub tls: TlsConfig,
    /// How the stream below is made. Default [`StreamConfig::default`].
    pub stream: StreamConfig,
}

impl TlsProbeConfig {
    /// The defaults, for that host.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        let tls = TlsConfig { alpn: super::Alpn::None, ..TlsConfig::default() };
        Self { host: host.into(), port: 443, tls, stream: StreamConfig::default() }
    }
}

/// A port that speaks TLS, asked for a handshake and nothing else. A clone asks the same one.
///
/// It is up when a handshake goes well, with a certificate that is trusted, for the right name. No
/// connection is held.
///
/// ```no_run
/// use mainstay::link::{Link, LinkOptions, TlsProbeConfig, TlsTransport};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsTransport::new(TlsProbeConfig::new("mail.example.org"))?;
/// let link = Link::open(LinkOptions::new("mail"), tls.clone())?;
/// link.connect().await?;
/// assert!(tls.certificate_expiry().is_some());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TlsTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    authority: Authority,
    dialer: Arc<Dialer>,
    tls: Tls,
    expiry: Expiry,
}

impl TlsTransport {
    /// Checks the configuration; dials nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the host is none, or a certificate or a duration makes no sense.
    pub fn new(config: TlsProbeConfig) -> Result<Self, ConfigError> {
        let shared = Shared {
            authority: Authority::new(&config.host, config.port)?,
            dialer: Dialer::of(&config.stream).map_err(|error| error.within("stream"))?,
            tls: Tls::of(&config.tls).map_err(|error| error.within("tls"))?,
            expiry: Expiry::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// When the certificate of the last handshake ends to be valid; none before the first.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<SystemTime> {
        self.shared.expiry.get()
    }

    async fn ask(&self) -> Result<(), DialError> {
        let Shared { authority, dialer, tls, expiry } = &*self.shared;
        let stream = dialer.connect(authority, Some(tls)).await?;
        if let Some(certificate) = stream.certificate() {
            expiry.note(certificate);
            return Ok(());
        }
        Err(DialError::new(Outcome::TRANSIENT, "the peer showed no certificate"))
    }
}

impl Stream {
    /// What the peer showed, in DER, where TLS is spoken.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1.peer_certificates()?.first()?.as_ref()),
        }
    }
}

impl Transport for TlsTransport {
    fn target(&self) -> String {
        format!("tls://{}", self.shared.authority)
    }

    async fn dial(&self, _deadline: Instant) -> Result<(), DialError> {
        Box::pin(self.ask()).await
    }

    async fn probe(&self, _deadline: Instant) -> Result<(), DialError> {
        Box::pin(self.ask()).await
    }

    async fn close(&self) {}

    fn abandon(&self) {}
}
