use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use mainstay::core::config::ConfigError;
use mainstay::link::websocket::WebSocketConfig;
use mainstay::link::{EndpointStrategy, Identity, Proxy, Roots, TlsConfig};
use url::Url;

use super::file::LinkSection;
use super::links::At;
use super::problem::{Problems, found};
use super::secret::Secret;
use super::target::{is_plain, plain};
use super::{Environment, Target};

/// A WebSocket that is held. What comes over it is counted and thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSpec {
    /// Its address, without credentials and query.
    pub url: String,
    /// Where the same peer is, too.
    pub more_urls: Vec<String>,
    /// Which of them is preferred.
    pub strategy: EndpointStrategy,
    /// Subprotocols, the preferred one first.
    pub subprotocols: Vec<String>,
    /// Whether it may lead to another machine without TLS.
    pub allow_plain: bool,
    /// How TLS is spoken, with what stood in the files when the configuration was read.
    pub tls: TlsConfig,
    /// Which proxy it is reached through.
    pub proxy: ProxySpec,
    /// Age at which a connection is replaced. Default never.
    pub max_age: Option<Duration>,
    /// How long no message may come. Default no limit.
    pub data_idle: Option<Duration>,
    /// Bytes of the largest message that is taken. Default 16 MiB.
    pub message_max: usize,
}

/// Which proxy a link is reached through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxySpec {
    /// That of the environment, if it names one. The default.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// The one at this address, which may hold a password.
    At(Secret),
}

/// The largest file of certificates that is read.
const PEM_MAX: u64 = 1024 * 1024;
const MORE_ALLOWED: &str = "has an address that is not shown because it may hold a secret, allowed: \
                            ws://host[:port]/path or wss://host[:port]/path, without user, \
                            password, query or fragment";
const PROXY_ALLOWED: &str = "is not shown because it may hold a secret, allowed: http://host:port, \
                             socks5://host:port, or \"none\"; one with user and password stands in \
                             a variable that proxy_env names";
const PROXY_ENV_ALLOWED: &str = "names a variable whose value is not shown because it may hold a \
                                 secret, allowed in it: http://user:password@host:port or \
                                 socks5://user:password@host:port";

impl SocketSpec {
    /// What a link to it is made of, but for the token.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the proxy's address makes no sense.
    pub fn config(&self) -> Result<WebSocketConfig, ConfigError> {
        let mut config = WebSocketConfig::new(self.url.as_str());
        config.more_urls.clone_from(&self.more_urls);
        config.endpoints.strategy = self.strategy;
        config.subprotocols.clone_from(&self.subprotocols);
        config.allow_plain = self.allow_plain;
        config.tls = self.tls.clone();
        config.max_age = self.max_age;
        config.data_idle = self.data_idle;
        config.message_max = self.message_max;
        match &self.proxy {
            ProxySpec::Environment => {}
            ProxySpec::Direct => config.stream.proxy = Proxy::none(),
            ProxySpec::At(url) => config.stream.proxy = Proxy::parse(url.expose())?,
        }
        Ok(config)
    }
}

/// What the section says about a WebSocket at `url`, checked.
pub(super) fn read(
    section: &LinkSection,
    url: &Url,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Result<Target, ()> {
    let is_socket = |url: &Url| matches!(url.scheme(), "ws" | "wss");
    let more = section.more_urls.iter().map(|url| plain(url).filter(is_socket).map(String::from));
    let Some(more_urls) = more.collect::<Option<Vec<String>>>() else {
        at.refuse("more_urls", MORE_ALLOWED.into(), problems);
        return Err(());
    };
    let (tls, proxy) = (tls(section, at, problems), proxy(section, at, environment, problems));
    let spec = SocketSpec {
        url: url.to_string(),
        more_urls,
        strategy: section.strategy.unwrap_or_default(),
        subprotocols: section.subprotocols.clone(),
        allow_plain: section.allow_plain.unwrap_or(false),
        tls: tls.ok_or(())?,
        proxy: proxy.ok_or(())?,
        max_age: section.max_age,
        data_idle: section.data_idle,
        message_max: section.message_max.unwrap_or_else(|| WebSocketConfig::default().message_max),
    };
    needless_tls(section, &spec, at, problems);
    let checked = spec.config().and_then(|config| config.validate());
    checked.map_err(|error| refuse(section, &spec, &error, at, problems))?;
    Ok(Target::WebSocket(Box::new(spec)))
}

/// Puts what the library refused in words of the file.
fn refuse(
    section: &LinkSection,
    spec: &SocketSpec,
    error: &ConfigError,
    at: &At<'_>,
    problems: &mut Problems,
) {
    let unfit = |allowed: &str| format!("names a file that cannot be used, allowed: {allowed}");
    let (field, message) = match error.field.as_str() {
        "url" => ("url", super::target::refused(&spec.url)),
        "more_urls" if error.allowed.contains("once") => ("more_urls", found(error)),
        "more_urls" => ("more_urls", super::target::PLAIN.into()),
        "endpoints" => ("more_urls", found(error)),
        "proxy" if section.proxy.is_some() => ("proxy", PROXY_ALLOWED.into()),
        "proxy" => ("proxy_env", PROXY_ENV_ALLOWED.into()),
        "tls.roots" if spec.tls.roots == Roots::Platform => {
            ("url", format!("needs certificates to trust, and {}: set ca_file", error.value))
        }
        "tls.roots" => ("ca_file", unfit(&error.allowed)),
        "tls.identity.certificate" => ("client_cert_file", unfit(&error.allowed)),
        "tls.identity.key" => ("client_key_file", unfit(&error.allowed)),
        "tls.server_name" => {
            let name = spec.tls.server_name.as_deref().unwrap_or_default();
            ("server_name", format!("is {name:?}, allowed: {}", error.allowed))
        }
        field => (field, found(error)),
    };
    at.refuse(field, message, problems);
}

/// How TLS is spoken. Nothing is said about files whose names are not there.
pub(super) fn tls(
    section: &LinkSection,
    at: &At<'_>,
    problems: &mut Problems,
) -> Option<TlsConfig> {
    let mut file = |field: &str, name: &Option<String>| {
        let Some(name) = name else { return Some(None) };
        let path = at.document.beside(name);
        match read_pem(&path) {
            Ok(text) => Some(Some(text)),
            Err(error) => {
                let message = format!(
                    "names {}, which cannot be read: {error}; allowed: a file of PEM beside this \
                     file, or a whole path",
                    path.display()
                );
                at.refuse(field, message, problems);
                None
            }
        }
    };
    let roots = file("ca_file", &section.ca_file);
    let certificate = file("client_cert_file", &section.client_cert_file);
    let key = file("client_key_file", &section.client_key_file);
    let identity = match (certificate?, key?) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Identity::pem(certificate, key)),
        (Some(_), None) => {
            at.refuse("client_cert_file", "needs client_key_file too".into(), problems);
            return None;
        }
        (None, Some(_)) => {
            at.refuse("client_key_file", "needs client_cert_file too".into(), problems);
            return None;
        }
    };
    Some(TlsConfig {
        roots: roots?.map_or(Roots::Platform, Roots::Pem),
        identity,
        server_name: section.server_name.clone(),
        ..TlsConfig::default()
    })
}

/// Refuses what is about TLS where none is spoken.
fn needless_tls(section: &LinkSection, spec: &SocketSpec, at: &At<'_>, problems: &mut Problems) {
    if std::iter::once(&spec.url).chain(&spec.more_urls).any(|url| !is_plain(url)) {
        return;
    }
    let fields = [
        ("ca_file", section.ca_file.is_some()),
        ("client_cert_file", section.client_cert_file.is_some()),
        ("client_key_file", section.client_key_file.is_some()),
        ("server_name", section.server_name.is_some()),
    ];
    for (field, _) in fields.into_iter().filter(|(_, present)| *present) {
        at.refuse(field, "is for wss:// addresses only".into(), problems);
    }
}

/// Which proxy is used.
fn proxy(
    section: &LinkSection,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<ProxySpec> {
    match (&section.proxy, &section.proxy_env) {
        (None, None) => Some(ProxySpec::Environment),
        (Some(_), Some(_)) => {
            at.refuse("proxy_env", "stands beside proxy: one of them".into(), problems);
            None
        }
        (Some(url), None) if url.expose() == "none" => Some(ProxySpec::Direct),
        (Some(url), None) if url.expose().contains('@') => {
            at.refuse("proxy", PROXY_ALLOWED.into(), problems);
            None
        }
        (Some(url), None) => Some(ProxySpec::At(url.clone())),
        (None, Some(variable)) => {
            at.variable("proxy_env", variable, environment, problems).map(ProxySpec::At)
        }
    }
}

/// The text of a file of certificates or of a key: a regular file of at most 1 MiB.
///
/// # Errors
///
/// What is wrong with it; nothing of what stands in it is shown.
pub fn read_pem(path: &Path) -> io::Result<String> {
    // Opening what is none could wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(PEM_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PEM_MAX {
        return Err(io::Error::other(format!("it has more than {PEM_MAX} bytes")));
    }
    let no_text = |_| io::Error::other("it is no text, which PEM is");
    String::from_utf8(bytes).map_err(no_text)
}
