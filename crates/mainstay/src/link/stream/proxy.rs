//! Proxies: which one a target is reached through, and the tunnel it makes.

mod connect;
mod socks;

use std::fmt;
use std::sync::Arc;

use ::http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use mainstay_core::config::ConfigError;
use mainstay_core::policy::outcome::Outcome;
use tokio::net::TcpStream;

use super::DialError;
use super::authority::Authority;

/// The proxy that a link goes through. Its credentials are never shown.
///
/// ```
/// use mainstay::link::Proxy;
///
/// let proxy = Proxy::parse("http://me:secret@proxy.example.org:3128")?;
/// assert_eq!(format!("{proxy:?}"), "Proxy(http://proxy.example.org:3128)");
/// # Ok::<(), mainstay::core::config::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Proxy(Choice);

#[derive(Clone)]
enum Choice {
    Direct,
    One(Arc<Server>),
    Environment(Arc<Matcher>),
}

impl Proxy {
    /// Whether it is a clone of `other`.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Choice::Direct, Choice::Direct) => true,
            (Choice::One(own), Choice::One(other)) => Arc::ptr_eq(own, other),
            (Choice::Environment(own), Choice::Environment(other)) => Arc::ptr_eq(own, other),
            (Choice::Direct | Choice::One(_) | Choice::Environment(_), _) => false,
        }
    }

    /// No proxy.
    #[must_use]
    pub const fn none() -> Self {
        Self(Choice::Direct)
    }

    /// The proxy at `url`, for every target: `http://` (HTTP `CONNECT`; port 80 where none is
    /// given), `socks5://` or `socks5h://` (port 1080), with `user:password@` where need be. The
    /// proxy resolves the name of the target in each case.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] (field `proxy`) for anything else; what was given is not shown.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        let allowed = "http://, socks5:// or socks5h:// with a host";
        let bad = || ConfigError::new("proxy", "what was given", allowed);
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        scheme
            .filter(|scheme| ["http", "socks5", "socks5h"].contains(&scheme.as_str()))
            .ok_or_else(bad)?;
        let uri: Uri = url.parse().map_err(|_| bad())?;
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err(bad());
        }
        let matcher = Matcher::builder().all(url).build();
        let found = matcher.intercept(&Uri::from_static("https://any/")).ok_or_else(bad)?;
        let server = Server::new(&found).ok_or_else(bad)?;
        Ok(Self(Choice::One(Arc::new(server))))
    }

    /// The proxies of the environment, read now: `HTTPS_PROXY`, otherwise `ALL_PROXY`, in capitals
    /// or not, with TLS or without it (a link needs a tunnel in each case), and `NO_PROXY`: names
    /// with what is below them, addresses, networks, or `*`. This machine itself is never reached
    /// through a proxy.
    #[must_use]
    pub fn from_env() -> Self {
        Self(Choice::Environment(Arc::new(Matcher::from_env())))
    }

    #[cfg(test)]
    pub(super) fn of(matcher: Matcher) -> Self {
        Self(Choice::Environment(Arc::new(matcher)))
    }

    /// The proxy that `target` is reached through.
    pub(super) fn for_target(&self, target: &Authority) -> Result<Option<Arc<Server>>, DialError> {
        let matcher = match &self.0 {
            Choice::Direct => return Ok(None),
            Choice::One(server) => return Ok(Some(server.clone())),
            Choice::Environment(_) if target.is_loopback() => return Ok(None),
            Choice::Environment(matcher) => matcher,
        };
        let uri = Uri::builder().scheme("https").authority(target.to_string()).path_and_query("/");
        let Some(found) = uri.build().ok().and_then(|uri| matcher.intercept(&uri)) else {
            return Ok(None);
        };
        match Server::new(&found) {
            Some(server) => Ok(Some(Arc::new(server))),
            // Going around it would show the target to a network that was not meant to see it.
            None => {
                let what = "the proxy of the environment is not http://, socks5:// or socks5h://";
                Err(DialError::new(Outcome::Permanent, what))
            }
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Choice::Direct => f.write_str("Proxy(none)"),
            Choice::One(server) => {
                let scheme = match server.kind {
                    Kind::Connect(_) => "http",
                    Kind::Socks(_) => "socks5h",
                };
                write!(f, "Proxy({scheme}://{server})")
            }
            Choice::Environment(_) => f.write_str("Proxy(environment)"),
        }
    }
}

/// One proxy. It is shown as host and port alone.
pub(super) struct Server {
    authority: Authority,
    kind: Kind,
}

enum Kind {
    /// With the value of its `Proxy-Authorization`.
    Connect(Option<String>),
    /// With user and password.
    Socks(Option<(String, String)>),
}

impl Server {
    /// None when it is of a kind that is not spoken here.
    fn new(found: &Intercept) -> Option<Self> {
        let uri = found.uri();
        let (kind, port) = match uri.scheme_str() {
            Some("http") => {
                let value = found.basic_auth().map(|value| value.to_str().map(str::to_owned));
                (Kind::Connect(value.transpose().ok()?), 80)
            }
            Some("socks5" | "socks5h") => {
                let auth = found.raw_auth().map(|(user, word)| (user.to_owned(), word.to_owned()));
                // One byte tells how long each is.
                let fits = |text: &str| (1..=255).contains(&text.len());
                if auth.as_ref().is_some_and(|(user, word)| !fits(user) || !fits(word)) {
                    return None;
                }
                (Kind::Socks(auth), 1080)
            }
            Some(_) | None => return None,
        };
        let authority = Authority::new(uri.host()?, uri.port_u16().unwrap_or(port)).ok()?;
        Some(Self { authority, kind })
    }

    pub(super) const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Asks for a tunnel to `target` over `stream`, which leads to this proxy.
    pub(super) async fn tunnel(
        &self,
        stream: TcpStream,
        target: &Authority,
    ) -> Result<TcpStream, DialError> {
        match &self.kind {
            Kind::Connect(credentials) => {
                connect::tunnel(stream, self, target, credentials.as_deref()).await
            }
            Kind::Socks(credentials) => {
                socks::tunnel(stream, self, target, credentials.as_ref()).await
            }
        }
    }

    /// An error of this proxy about `target`.
    fn error(&self, outcome: Outcome, target: &Authority, what: &str) -> DialError {
        DialError::new(outcome, format!("the proxy {self} {what} {target}"))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.authority.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str) -> Authority {
        Authority::new(host, 443).unwrap()
    }

    #[test]
    fn addresses_of_proxies_are_read_and_their_secrets_kept() {
        let cases = [
            ("http://proxy", "Proxy(http://proxy:80)"),
            ("HTTP://proxy:3128/", "Proxy(http://proxy:3128)"),
            ("http://me:hush@proxy:3128", "Proxy(http://proxy:3128)"),
            ("socks5://me:hush@[::1]", "Proxy(socks5h://[::1]:1080)"),
            ("socks5h://192.0.2.1:9050", "Proxy(socks5h://192.0.2.1:9050)"),
        ];
        for (url, shown) in cases {
            let proxy = Proxy::parse(url).unwrap();
            assert_eq!(format!("{proxy:?}"), shown);
            let server = proxy.for_target(&target("localhost")).unwrap();
            assert!(server.is_some(), "one that was asked for is used for every target");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_shown() {
        let long = format!("socks5://me:{}@proxy", "hush".repeat(64));
        let cases = [
            "",
            "proxy:3128",
            "https://me:hush@proxy",
            "socks4://proxy",
            "ftp://proxy",
            "http://",
            "http://me:hush@",
            "http://proxy:0",
            "http://proxy/hush",
            "socks5://hush@proxy",
            "http://pro xy",
            &long,
        ];
        for url in cases {
            let error = Proxy::parse(url).unwrap_err();
            assert_eq!(error.field, "proxy", "{url}");
            assert!(!error.to_string().contains("hush"));
        }
    }

    #[test]
    fn the_environment_says_which_targets_go_through_it() {
        let matcher = Matcher::builder().all("http://me:hush@proxy:3128");
        let proxy = Proxy::of(matcher.no("example.org, 10.0.0.0/8, ::2").build());
        for host in
            ["localhost", "127.0.0.1", "::1", "example.org", "a.example.org", "10.1.2.3", "::2"]
        {
            assert!(proxy.for_target(&target(host)).unwrap().is_none(), "{host}");
        }
        for host in ["notexample.org", "11.0.0.1", "::3"] {
            let server = proxy.for_target(&target(host)).unwrap();
            assert_eq!(server.unwrap().to_string(), "proxy:3128", "{host}");
        }
        assert!(!format!("{proxy:?}").contains("hush"));
        let none = Proxy::of(Matcher::builder().build());
        assert!(none.for_target(&target("example.org")).unwrap().is_none());
    }

    #[test]
    fn the_proxy_for_tls_goes_before_the_one_for_all() {
        let matcher = Matcher::builder().all("http://all").https("socks5://tls").http("http://no");
        let server = Proxy::of(matcher.build()).for_target(&target("example.org")).unwrap();
        assert_eq!(server.unwrap().to_string(), "tls:1080");
    }

    #[test]
    fn a_proxy_of_another_kind_is_not_gone_around() {
        for url in ["https://me:hush@proxy", "socks4://proxy"] {
            let proxy = Proxy::of(Matcher::builder().all(url).build());
            let Err(error) = proxy.for_target(&target("example.org")) else {
                panic!("{url} was taken");
            };
            assert_eq!(error.outcome, Outcome::Permanent);
            assert!(!error.to_string().contains("hush"));
        }
    }
}
