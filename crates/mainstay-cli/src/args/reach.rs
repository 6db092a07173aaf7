use std::path::PathBuf;

use clap::Args;

/// How WebSockets are reached.
#[derive(Args, Debug)]
pub(crate) struct ReachArgs {
    /// Certificates to trust with wss://, as PEM, in place of the platform's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Proxy of WebSockets: http://…, socks5://…, or none [default: that of HTTPS_PROXY, ALL_PROXY
    /// and NO_PROXY; one with a password belongs there]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
}

/// What is shown to a server that asks for a certificate.
#[derive(Args, Debug)]
pub(crate) struct IdentityArgs {
    /// Certificate to show with wss://, as PEM
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Its key, as PEM
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(crate) key_file: Option<PathBuf>,
}
