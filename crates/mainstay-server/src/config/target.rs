use mainstay::core::config::ConfigError;
use mainstay::link::websocket::WebSocketConfig;
use mainstay::link::{HttpConfig, HttpTransport};
use url::Url;

use super::file::LinkSection;
use super::links::At;
use super::problem::{Problems, found};
use super::secret::Secret;

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An HTTP service.
    Http {
        /// Its address, without credentials and query.
        url: String,
        /// Where the same service is, too.
        more_urls: Vec<String>,
        /// The path of its health check.
        health_path: String,
    },
    /// A WebSocket. What comes over it is counted and thrown away.
    WebSocket {
        /// Its address, without credentials and query.
        url: String,
        /// Subprotocols, the preferred one first.
        subprotocols: Vec<String>,
        /// Whether it may lead to another machine without TLS.
        allow_plain: bool,
    },
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
            Self::Http { url, .. } | Self::WebSocket { url, .. } => safe_url(url),
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
                           wss://host[:port]/path or tcp://host:port, without user, password, \
                           query or fragment";
const MORE_ALLOWED: &str = "has an address that is not shown because it may hold a secret, allowed: \
                            http://host[:port] or https://host[:port], without user, password, \
                            query or fragment";
const PLAIN: &str = "leads to another machine without protection, allowed: wss://, or ws:// with \
                     allow_plain = true";

/// What the first part of an address says about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    WebSocket,
    Tcp,
}

/// A field that only some links have: its name, whether it is there, whose it is.
type Own<'a> = (&'a str, bool, &'a [Kind], &'a str);

/// Whether the section is about a WebSocket.
pub(super) fn is_websocket(section: &LinkSection) -> bool {
    plain(&section.url).is_some_and(|url| kind(&url) == Kind::WebSocket)
}

/// Where the section leads, checked.
pub(super) fn read(section: &LinkSection, at: &At<'_>, problems: &mut Problems) -> Option<Target> {
    let Some(url) = plain(&section.url) else {
        at.refuse("url", URL_ALLOWED.into(), problems);
        return None;
    };
    let kind = kind(&url);
    let target = match kind {
        Kind::Http => http(section, &url, at, problems),
        Kind::WebSocket => websocket(section, &url, at, problems),
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
    const BOTH: &[Kind] = &[Kind::Http, Kind::WebSocket];
    const WEBSOCKET: &[Kind] = &[Kind::WebSocket];
    const HTTP_NAME: &str = "http:// and https://";
    const WEBSOCKET_NAME: &str = "ws:// and wss://";
    let own: [Own<'_>; 6] = [
        ("probe", section.probe.is_some(), &[Kind::Tcp], "tcp://"),
        ("health_path", section.health_path.is_some(), HTTP, HTTP_NAME),
        ("more_urls", !section.more_urls.is_empty(), HTTP, HTTP_NAME),
        ("token_env", section.token_env.is_some(), BOTH, "http://, https://, ws:// and wss://"),
        ("subprotocols", !section.subprotocols.is_empty(), WEBSOCKET, WEBSOCKET_NAME),
        ("allow_plain", section.allow_plain.is_some(), WEBSOCKET, WEBSOCKET_NAME),
    ];
    for (field, present, kinds, names) in own {
        if present && !kinds.contains(&kind) {
            at.refuse(field, format!("is for {names} links only"), problems);
        }
    }
}

/// An address that can be held and holds no secret.
fn plain(url: &Secret) -> Option<Url> {
    let url = Url::parse(url.expose()).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.host_str().is_some_and(|host| !host.is_empty());
    (plain && matches!(url.scheme(), "http" | "https" | "ws" | "wss" | "tcp")).then_some(url)
}

fn kind(url: &Url) -> Kind {
    match url.scheme() {
        "tcp" => Kind::Tcp,
        "ws" | "wss" => Kind::WebSocket,
        _ => Kind::Http,
    }
}

fn http(
    section: &LinkSection,
    url: &Url,
    at: &At<'_>,
    problems: &mut Problems,
) -> Result<Target, ()> {
    let more = section
        .more_urls
        .iter()
        .map(|url| plain(url).filter(|url| kind(url) == Kind::Http).map(String::from));
    let Some(more_urls) = more.collect::<Option<Vec<String>>>() else {
        at.refuse("more_urls", MORE_ALLOWED.into(), problems);
        return Err(());
    };
    let mut config = HttpConfig::new(url.as_str());
    config.more_urls.clone_from(&more_urls);
    HttpTransport::new(config).map_err(|error| {
        let field = if error.field == "url" { "url" } else { "more_urls" };
        at.refuse(field, found(&error), problems);
    })?;
    let health_path = section.health_path.clone().unwrap_or_else(|| "/health".into());
    Ok(Target::Http { url: url.to_string(), more_urls, health_path })
}

fn websocket(
    section: &LinkSection,
    url: &Url,
    at: &At<'_>,
    problems: &mut Problems,
) -> Result<Target, ()> {
    let mut config = WebSocketConfig::new(url.as_str());
    config.subprotocols.clone_from(&section.subprotocols);
    config.allow_plain = section.allow_plain.unwrap_or(false);
    config.validate().map_err(|error| refuse(url, &error, at, problems))?;
    let WebSocketConfig { url, subprotocols, allow_plain, .. } = config;
    Ok(Target::WebSocket { url, subprotocols, allow_plain })
}

fn refuse(url: &Url, error: &ConfigError, at: &At<'_>, problems: &mut Problems) {
    if error.field == "url" {
        let message = if url.scheme() == "ws" { PLAIN } else { URL_ALLOWED };
        at.refuse("url", message.into(), problems);
    } else {
        at.refuse(&error.field, found(error), problems);
    }
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
