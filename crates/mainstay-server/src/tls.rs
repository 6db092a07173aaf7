//! TLS of the listener.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Secret;

/// A certificate with its key, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that lead from it to a root.
    pub certificate: String,
    /// Its key.
    pub key: Secret,
}

/// Why a certificate cannot be used: whoever wrote the files must act.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate in it.
    Certificate,
    /// There is no private key in it.
    Key,
    /// The key is not the certificate's, or of a kind that is not known.
    Pair(rustls::Error),
}

impl TlsFiles {
    /// What connections are accepted with.
    ///
    /// # Errors
    ///
    /// [`TlsError`]
    pub fn acceptor(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Pair)?;
        let config =
            builder.with_no_client_auth().with_single_cert(chain, key.map_err(|_| TlsError::Key)?);
        let mut config = config.map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A connection keeps no more than it must while it is idle.
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "no certificate in PEM",
            Self::Key => "no private key in PEM",
            Self::Pair(_) => "a key that does not fit the certificate",
        })
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate | Self::Key => None,
            Self::Pair(error) => Some(error),
        }
    }
}
