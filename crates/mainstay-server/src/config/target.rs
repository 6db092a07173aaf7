use mainstay::link::{DnsConfig, EndpointStrategy, HttpConfig, HttpProbe, HttpTransport, Roots};
use url::Url;

use super::Environment;
use super::asked::{self, TlsSpec};
use super::check;
use super::file::LinkSection;
use super::links::At;
use super::problem::{Problems, found};
use super::secret::Secret;
use super::socket::{self, SocketSpec};

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An HTTP service.
    Http {
        /// Its address, without credentials and query.
        url: String,
        /// Where the same service is, too.
        more_urls: Vec<String>,
        /// Which of them is preferred.
        strategy: EndpointStrategy,
        /// The path of its health check.
        health_path: String,
        /// What tells that it is well.
        probe: HttpProbe,
        /// Certificates to trust in place of the platform's, as PEM.
        roots: Option<String>,
    },
    /// A name that a resolver knows.
    Dns(DnsConfig),
    /// A port that speaks TLS, asked for its certificate.
    Tls(Box<TlsSpec>),
    /// A WebSocket.
    WebSocket(Box<SocketSpec>),
    /// A TCP port.
    Tcp {
        /// Host and port.
        address: String,
        /// How it is asked whether it is well.
        probe: Probe,
    },
}

impl Target {
    /// Its address, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Http { url, .. } => safe_url(url),
            Self::WebSocket(spec) => safe_url(&spec.url),
            Self::Dns(config) => {
                let resolver = config.resolver.map(|at| at.to_string()).unwrap_or_default();
                format!("dns://{resolver}/{} {}", config.name, config.kind.name())
            }
            Self::Tls(spec) => format!("tls://{}:{}", spec.host, spec.port),
            Self::Tcp { address, .. } => format!("tcp://{address}"),
        }
    }
}

/// How a TCP peer is asked whether it is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// By another connection. The default.
    #[default]
    Connect,
    /// By a look at the one that is held.
    Held,
}

const URL_ALLOWED: &str = "is not shown because it may hold a secret, allowed: \
                           http://host[:port], https://host[:port], ws://host[:port]/path, \
                           wss://host[:port]/path, grpc://host[:port], grpcs://host[:port], \
                           tls://host[:port], dns://resolver[:port]/name or tcp://host:port, \
                           without user, password, query or fragment";
const MORE_ALLOWED: &str = "has an address that is not shown because it may hold a secret, allowed: \
                            one of the same kind as `url`, without user, password, query or \
                            fragment";
pub(super) const PLAIN: &str = "leads to another machine without protection, allowed: wss://, or ws:// with \
                     allow_plain = true";

/// What the first part of an address says about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Grpc,
    WebSocket,
    Tcp,
    Tls,
    Dns,
}

/// A field that only some links have: its name, whether it is there, whose it is.
type Own<'a> = (&'a str, bool, &'a [Kind], &'a str);

/// Whether the section is about a WebSocket.
pub(super) fn is_websocket(section: &LinkSection) -> bool {
    plain(&section.url).is_some_and(|url| kind(&url) == Kind::WebSocket)
}

/// Where the section leads, checked.
pub(super) fn read(
    section: &LinkSection,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<Target> {
    let Some(url) = plain(&section.url) else {
        at.refuse("url", URL_ALLOWED.into(), problems);
        return None;
    };
    let kind = kind(&url);
    let target = match kind {
        Kind::Http | Kind::Grpc => http(section, &url, at, environment, problems),
        Kind::WebSocket => socket::read(section, &url, at, environment, problems),
        Kind::Tls => asked::tls(section, &url, at, problems),
        Kind::Dns => asked::dns(section, &url, at, problems),
        Kind::Tcp => tcp(section, &url).ok_or(()).map_err(|()| {
            at.refuse("url", URL_ALLOWED.into(), problems);
        }),
    };
    let target = target.ok()?;
    foreign(section, kind, at, problems);
    if let Some(path) = section.health_path.as_deref().filter(|path| !path.starts_with('/')) {
        let message = format!("is {path:?}, allowed: a path such as \"/health\"");
        at.refuse("health_path", message, problems);
    }
    if let Some(probe) = section.probe.as_deref().filter(|probe| parse_probe(probe).is_none()) {
        at.refuse("probe", format!("is {probe:?}, allowed: connect, held"), problems);
    }
    Some(target)
}

/// Refuses fields of other links.
fn foreign(section: &LinkSection, kind: Kind, at: &At<'_>, problems: &mut Problems) {
    const HTTP: &[Kind] = &[Kind::Http];
    const GRPC: &[Kind] = &[Kind::Grpc];
    const BOTH: &[Kind] = &[Kind::Http, Kind::Grpc, Kind::WebSocket];
    const WEBSOCKET: &[Kind] = &[Kind::WebSocket];
    const TLS: &[Kind] = &[Kind::WebSocket, Kind::Tls];
    const ANY_TLS: &[Kind] = &[Kind::Http, Kind::Grpc, Kind::WebSocket, Kind::Tls];
    const DNS: &[Kind] = &[Kind::Dns];
    const GRPC_NAME: &str = "grpc:// and grpcs://";
    const BOTH_NAME: &str = "http://, https://, ws://, wss://, grpc:// and grpcs://";
    const HTTP_NAME: &str = "http:// and https://";
    const WEBSOCKET_NAME: &str = "ws:// and wss://";
    const TLS_NAME: &str = "wss:// and tls://";
    const ANY_TLS_NAME: &str = "https://, wss://, grpcs:// and tls://";
    let own: [Own<'_>; 20] = [
        ("probe", section.probe.is_some(), &[Kind::Tcp], "tcp://"),
        ("health_path", section.health_path.is_some(), HTTP, HTTP_NAME),
        ("check", section.check.is_some(), HTTP, HTTP_NAME),
        ("service", section.service.is_some(), GRPC, GRPC_NAME),
        ("record_type", section.record_type.is_some(), DNS, "dns://"),
        ("expect", !section.expect.is_empty(), DNS, "dns://"),
        ("more_urls", !section.more_urls.is_empty(), BOTH, BOTH_NAME),
        ("strategy", section.strategy.is_some(), BOTH, BOTH_NAME),
        ("token_env", section.token_env.is_some(), BOTH, BOTH_NAME),
        ("subprotocols", !section.subprotocols.is_empty(), WEBSOCKET, WEBSOCKET_NAME),
        ("allow_plain", section.allow_plain.is_some(), WEBSOCKET, WEBSOCKET_NAME),
        ("ca_file", section.ca_file.is_some(), ANY_TLS, ANY_TLS_NAME),
        ("client_cert_file", section.client_cert_file.is_some(), TLS, TLS_NAME),
        ("client_key_file", section.client_key_file.is_some(), TLS, TLS_NAME),
        ("server_name", section.server_name.is_some(), TLS, TLS_NAME),
        ("proxy", section.proxy.is_some(), WEBSOCKET, WEBSOCKET_NAME),
        ("proxy_env", section.proxy_env.is_some(), WEBSOCKET, WEBSOCKET_NAME),
        ("max_age", section.max_age.is_some(), WEBSOCKET, WEBSOCKET_NAME),
        ("data_idle", section.data_idle.is_some(), WEBSOCKET, WEBSOCKET_NAME),
        ("message_max", section.message_max.is_some(), WEBSOCKET, WEBSOCKET_NAME),
    ];
    if section.strategy.is_some() && section.more_urls.is_empty() && BOTH.contains(&kind) {
        at.refuse("strategy", "is for links with more_urls only".into(), problems);
    }
    for (field, present, kinds, names) in own {
        if present && !kinds.contains(&kind) {
            at.refuse(field, format!("is for {names} links only"), problems);
        }
    }
}

/// An address that can be held and holds no secret.
pub(super) fn plain(url: &Secret) -> Option<Url> {
    let url = Url::parse(url.expose()).ok()?;
    let is_dns = url.scheme() == "dns";
    let plain = url.username().is_empty()
        && url.password().is_none()
        && (is_dns || url.query().is_none())
        && url.fragment().is_none()
        && (is_dns || url.host_str().is_some_and(|host| !host.is_empty()));
    (plain && SCHEMES.contains(&url.scheme())).then_some(url)
}

const SCHEMES: [&str; 9] = ["http", "https", "ws", "wss", "tcp", "grpc", "grpcs", "tls", "dns"];

fn kind(url: &Url) -> Kind {
    match url.scheme() {
        "tcp" => Kind::Tcp,
        "tls" => Kind::Tls,
        "dns" => Kind::Dns,
        "grpc" | "grpcs" => Kind::Grpc,
        "ws" | "wss" => Kind::WebSocket,
        _ => Kind::Http,
    }
}

fn http(
    section: &LinkSection,
    url: &Url,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Result<Target, ()> {
    let more = section
        .more_urls
        .iter()
        .map(|more| plain(more).filter(|other| kind(other) == kind(url)).map(String::from));
    let Some(more_urls) = more.collect::<Option<Vec<String>>>() else {
        at.refuse("more_urls", MORE_ALLOWED.into(), problems);
        return Err(());
    };
    let mut config = HttpConfig::new(url.as_str());
    config.more_urls.clone_from(&more_urls);
    let strategy = section.strategy.unwrap_or_default();
    let all = std::iter::once(url.as_str()).chain(more_urls.iter().map(String::as_str));
    let is_secure = |url: &str| url.starts_with("https:") || url.starts_with("grpcs:");
    let roots = if section.ca_file.is_some() && !all.into_iter().any(is_secure) {
        at.refuse("ca_file", "is for https:// and grpcs:// addresses only".into(), problems);
        Roots::Platform
    } else {
        socket::tls(section, at, problems).ok_or(())?.roots
    };
    let roots = match roots {
        Roots::Platform => None,
        Roots::Pem(pem) => Some(pem),
    };
    config.roots.clone_from(&roots);
    HttpTransport::new(config).map_err(|error| {
        let unfit = || format!("names a file that cannot be used, allowed: {}", error.allowed);
        let (field, message) = match error.field.as_str() {
            "url" => ("url", found(&error)),
            "roots" => ("ca_file", unfit()),
            _ => ("more_urls", found(&error)),
        };
        at.refuse(field, message, problems);
    })?;
    let health_path = section.health_path.clone().unwrap_or_else(|| "/health".into());
    let probe = match (&section.check, kind(url) == Kind::Grpc) {
        (_, true) => HttpProbe::Grpc { service: section.service.clone().unwrap_or_default() },
        (Some(check), false) => {
            if section.health_path.is_some() {
                at.refuse("health_path", "is for links without a check only".into(), problems);
            }
            HttpProbe::Check(check::build(check, at, environment, problems).ok_or(())?)
        }
        (None, false) => HttpProbe::Path,
    };
    Ok(Target::Http { url: url.to_string(), more_urls, strategy, health_path, probe, roots })
}

/// What is wrong with the address of a WebSocket that the library refused.
pub(super) fn refused(url: &str) -> String {
    (if is_plain(url) { PLAIN } else { URL_ALLOWED }).into()
}

/// Whether what goes over that WebSocket is not protected.
pub(super) fn is_plain(url: &str) -> bool {
    url.starts_with("ws:")
}

fn tcp(section: &LinkSection, url: &Url) -> Option<Target> {
    let probe = section.probe.as_deref().and_then(parse_probe).unwrap_or_default();
    let bare = matches!(url.path(), "" | "/");
    let (host, port) = (url.host_str()?, url.port().filter(|_| bare)?);
    Some(Target::Tcp { address: format!("{host}:{port}"), probe })
}

fn parse_probe(text: &str) -> Option<Probe> {
    match text {
        "connect" => Some(Probe::Connect),
        "held" => Some(Probe::Held),
        _ => None,
    }
}

/// `url` as it may be shown: without user, password, query and fragment.
#[must_use]
pub fn safe_url(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "(no address)".into() };
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    if cleared.is_err() && !url.username().is_empty() {
        return "(no address)".into();
    }
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
