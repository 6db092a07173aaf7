//! TLS by rustls, with ring.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use mainstay_core::config::ConfigError;
use mainstay_core::policy::outcome::Outcome;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, Error, RootCertStore,
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::DialError;
use super::authority::Authority;

/// How a link speaks TLS to its peer.
///
/// ```
/// use mainstay::link::{Alpn, Roots, TlsConfig};
///
/// let config = TlsConfig::default();
/// assert_eq!(config.alpn, Alpn::Http1);
/// assert!(matches!(config.roots, Roots::Platform));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Whose certificates are trusted. Default those that the platform trusts.
    pub roots: Roots,
    /// What this side shows who it is with. Default nothing.
    pub identity: Option<Identity>,
    /// The name that the peer's certificate must carry, and that the peer is asked for. Default the
    /// host that is dialled.
    pub server_name: Option<String>,
    /// Which protocol is asked for. Default HTTP/1.1.
    pub alpn: Alpn,
    /// Whether a certificate that has expired, or is not valid yet, may pass: then the link dials
    /// on, and is there when it has been renewed. Default no: the link fails, and says so.
    pub retry_expired: bool,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Those that the platform trusts, by its own rules.
    #[default]
    Platform,
    /// These alone: one certificate or more, as PEM.
    Pem(String),
}

/// A certificate of this side with its key. The key is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    certificate: String,
    key: String,
}

/// Which protocol TLS asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alpn {
    /// None.
    None,
    /// `http/1.1`: what a WebSocket begins with.
    #[default]
    Http1,
}

impl Identity {
    /// A `certificate` with those between it and its root, and its `key` (PKCS #8, PKCS #1 or
    /// SEC 1), both as PEM.
    #[must_use]
    pub fn pem(certificate: impl Into<String>, key: impl Into<String>) -> Self {
        Self { certificate: certificate.into(), key: key.into() }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// A checked [`TlsConfig`]. Clones share the sessions, so that a reconnect resumes one.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    client: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    retry_expired: bool,
}

impl Tls {
    /// The same as [`Tls::new`]; all with the default configuration share one, and its sessions.
    pub(crate) fn of(config: &TlsConfig) -> Result<Self, ConfigError> {
        static DEFAULT: OnceLock<Tls> = OnceLock::new();
        if *config != TlsConfig::default() {
            return Self::new(config);
        }
        if let Some(tls) = DEFAULT.get() {
            return Ok(tls.clone());
        }
        let tls = Self::new(config)?;
        Ok(DEFAULT.get_or_init(|| tls).clone())
    }

    /// Checks `config` and reads the certificates; connects nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names the field; what stood in it is not shown.
    pub(crate) fn new(config: &TlsConfig) -> Result<Self, ConfigError> {
        let builder = trusting(&config.roots)?;
        let mut client = match &config.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = certificates("identity.certificate", &identity.certificate)?;
                let bad = || bad("identity.key", "a key as PEM that fits the certificate");
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
                let key = key.map_err(|_| bad())?;
                builder.with_client_auth_cert(chain, key).map_err(|_| bad())?
            }
        };
        client.alpn_protocols = match config.alpn {
            Alpn::None => Vec::new(),
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
        };
        let name = |name: &String| ServerName::try_from(name.clone());
        let server_name = config.server_name.as_ref().map(name).transpose();
        let server_name = server_name.map_err(|_| bad("server_name", "a name or an address"))?;
        Ok(Self { client: Arc::new(client), server_name, retry_expired: config.retry_expired })
    }

    /// Speaks TLS over `stream`.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        target: &Authority,
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let name = match (&self.server_name, target.address()) {
            (Some(name), _) => name.clone(),
            (None, Some(address)) => ServerName::from(address),
            (None, None) => ServerName::try_from(target.host()).map_err(|error| {
                let what = format!("no certificate can carry the name {}", target.host());
                DialError::new(Outcome::Permanent, what).because(error)
            })?,
        };
        let connector = TlsConnector::from(self.client.clone());
        connector.connect(name, stream).await.map_err(|error| self.failed(target, error))
    }

    /// What an error of a TLS stream to `target` means. A peer that speaks TLS 1.3 refuses our
    /// certificate only after the handshake: the first read tells.
    pub(crate) fn failed(&self, target: &Authority, error: io::Error) -> DialError {
        let (outcome, what) = match error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(why)) => {
                let passes = self.retry_expired && is_about_time(why);
                let outcome = if passes { Outcome::TRANSIENT } else { Outcome::Permanent };
                (outcome, format!("the certificate of {target} {}", fault(why)))
            }
            Some(Error::AlertReceived(alert)) if self.is_refused_by(*alert) => {
                (Outcome::Refused, format!("{target} does not take our certificate"))
            }
            Some(
                Error::PeerIncompatible(_)
                | Error::NoApplicationProtocol
                | Error::AlertReceived(
                    AlertDescription::NoApplicationProtocol | AlertDescription::ProtocolVersion,
                ),
            ) => (Outcome::Permanent, format!("{target} speaks no TLS that we speak")),
            Some(_) | None => (Outcome::TRANSIENT, format!("TLS with {target} failed")),
        };
        DialError::new(outcome, what).because(error)
    }

    fn is_refused_by(&self, alert: AlertDescription) -> bool {
        // A signature that does not fit means ours, if we have signed anything.
        let signed = self.client.client_auth_cert_resolver.has_certs();
        is_about_certificate(alert) || (signed && alert == AlertDescription::DecryptError)
    }
}

/// The first steps of a client that trusts `roots`.
fn trusting(roots: &Roots) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ConfigError> {
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks every version that is safe");
    match roots {
        Roots::Platform => builder
            .with_platform_verifier()
            .map_err(|error| ConfigError::new("roots", error, "a platform that trusts somebody")),
        Roots::Pem(pem) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates("roots", pem)? {
                store.add(certificate).map_err(|_| bad("roots", CERTIFICATES))?;
            }
            Ok(builder.with_root_certificates(store))
        }
    }
}

const CERTIFICATES: &str = "one certificate or more as PEM";

/// The certificates in `pem`, at least one.
fn certificates(field: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(|| bad(field, CERTIFICATES))
}

/// Nothing of what was given is shown: it may be a key in the wrong place.
fn bad(field: &str, allowed: &str) -> ConfigError {
    ConfigError::new(field, "what was given", allowed)
}

/// What is wrong with a certificate, for whoever has to mend it.
fn fault(error: &CertificateError) -> &'static str {
    use CertificateError::{
        BadSignature, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    if matches!(error, NotValidYet | NotValidYetContext { .. }) {
        "is not valid yet"
    } else if is_about_time(error) {
        "has expired"
    } else if matches!(error, NotValidForName | NotValidForNameContext { .. }) {
        "is for another name"
    } else if *error == UnknownIssuer {
        "is signed by nobody that is trusted"
    } else if *error == BadSignature {
        "is not signed by whom it says"
    } else if is_an_authority(error) {
        "is that of an authority (CA:TRUE), which no server may show"
    } else {
        "is not valid"
    }
}

/// What `openssl req -x509` makes by default. Its error is none of those with a name.
fn is_an_authority(error: &CertificateError) -> bool {
    if let CertificateError::Other(other) = error {
        other.to_string().contains("CaUsedAsEndEntity")
    } else {
        false
    }
}

const fn is_about_time(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// Whether the peer says with it that this side's certificate, or the lack of one, is the reason.
const fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate
    )
}
