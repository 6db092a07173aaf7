//! Peers that are asked and not held: names, and ports that speak TLS.

use std::net::{IpAddr, SocketAddr};

use mainstay::core::config::ConfigError;
use mainstay::link::TlsTransport;
use mainstay::link::{Alpn, DnsConfig, DnsTransport, RecordType, Roots, TlsConfig, TlsProbeConfig};
use url::Url;

use super::Target;
use super::file::LinkSection;
use super::links::At;
use super::problem::{Problems, found};
use super::socket;

const DNS_ALLOWED: &str = "allowed: dns://resolver[:port]/name with the address of a resolver, or \
                           dns:///name for the system's";

/// A port that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSpec {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How TLS is spoken, with what stood in the files when the configuration was read.
    pub tls: TlsConfig,
}

impl TlsSpec {
    /// What a link to it is made of.
    #[must_use]
    pub fn config(&self) -> TlsProbeConfig {
        let tls = self.tls.clone();
        TlsProbeConfig { port: self.port, tls, ..TlsProbeConfig::new(self.host.as_str()) }
    }
}

/// What the section says about a port that speaks TLS, checked.
pub(super) fn tls(
    section: &LinkSection,
    url: &Url,
    at: &At<'_>,
    problems: &mut Problems,
) -> Result<Target, ()> {
    let host = url.host_str().unwrap_or_default().to_owned();
    if !matches!(url.path(), "" | "/") {
        at.refuse("url", "has a path, allowed: tls://host[:port]".into(), problems);
        return Err(());
    }
    let tls = socket::tls(section, at, problems).ok_or(())?;
    let tls = TlsConfig { alpn: Alpn::None, ..tls };
    let spec = TlsSpec { host, port: url.port().unwrap_or(443), tls };
    if let Err(error) = TlsTransport::new(spec.config()) {
        let (field, message) = refused(&spec.tls, &error);
        at.refuse(field, message, problems);
        return Err(());
    }
    Ok(Target::Tls(Box::new(spec)))
}

/// What the library said about TLS, in words of the file.
fn refused(tls: &TlsConfig, error: &ConfigError) -> (&'static str, String) {
    let unfit = || format!("names a file that cannot be used, allowed: {}", error.allowed);
    match error.field.as_str() {
        "tls.roots" if tls.roots == Roots::Platform => {
            ("url", format!("needs certificates to trust, and {}: set ca_file", error.value))
        }
        "tls.roots" => ("ca_file", unfit()),
        "tls.identity.certificate" => ("client_cert_file", unfit()),
        "tls.identity.key" => ("client_key_file", unfit()),
        "tls.server_name" => ("server_name", found(error)),
        _ => ("url", found(error)),
    }
}

/// What the section says about a name, checked.
pub(super) fn dns(
    section: &LinkSection,
    url: &Url,
    at: &At<'_>,
    problems: &mut Problems,
) -> Result<Target, ()> {
    let mut config = DnsConfig::new(url.path().trim_start_matches('/'));
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if !host.is_empty() {
        let Ok(address) = host.parse::<IpAddr>() else {
            at.refuse("url", format!("names no address of a resolver, {DNS_ALLOWED}"), problems);
            return Err(());
        };
        config.resolver = Some(SocketAddr::new(address, url.port().unwrap_or(53)));
    }
    // The type is the only thing that a query may say: it is no secret.
    let mut asked = url.query_pairs();
    match (asked.next(), asked.next(), &section.record_type) {
        (None, _, None) => {}
        (None, _, Some(kind)) => config.kind = record(kind, "record_type", at, problems)?,
        (Some((key, kind)), None, None) if key == "type" => {
            config.kind = record(&kind, "url", at, problems)?;
        }
        _ => {
            let message = "says more than a type, allowed: ?type=AAAA, or record_type = \"AAAA\"";
            at.refuse("url", message.into(), problems);
            return Err(());
        }
    }
    config.expect.clone_from(&section.expect);
    if let Err(error) = DnsTransport::new(config.clone()) {
        let (field, message) = match error.field.as_str() {
            "expect" => ("expect", found(&error)),
            _ => ("url", format!("asks for no name, {DNS_ALLOWED}")),
        };
        at.refuse(field, message, problems);
        return Err(());
    }
    Ok(Target::Dns(config))
}

fn record(text: &str, field: &str, at: &At<'_>, problems: &mut Problems) -> Result<RecordType, ()> {
    text.parse().map_err(|error: ConfigError| at.refuse(field, found(&error), problems))
}
