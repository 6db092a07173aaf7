//! Where a WebSocket is: scheme, host, port and path, and what of it may be shown.

use http::Uri;
use mainstay_core::config::ConfigError;

use crate::link::stream::Authority;

/// A checked WebSocket address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) authority: Authority,
    /// The whole address, for the request. May hold a secret in its query.
    uri: Uri,
}

const ALLOWED: &str =
    "an address such as wss://example.org/feed, without user, password or fragment";
const PLAIN: &str = "wss://, or ws:// to this machine; allow_plain sends unprotected";

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        // The address is not shown: somebody may have put a secret into it.
        let bad = || ConfigError::new("url", "what was given", ALLOWED);
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            Some(_) | None => return Err(bad()),
        };
        let authority = uri.authority().ok_or_else(bad)?;
        if authority.as_str().contains('@') || text.contains('#') || authority.host().is_empty() {
            return Err(bad());
        }
        let port = match (authority.port(), tls) {
            (Some(port), _) if port.as_u16() > 0 => port.as_u16(),
            (Some(_), _) => return Err(bad()),
            (None, true) => 443,
            (None, false) => 80,
        };
        let authority = Authority::new(authority.host(), port).map_err(|_| bad())?;
        Ok(Self { tls, authority, uri })
    }

    /// Whether it may be used: a plain connection to another machine only when asked for.
    pub(super) fn permit(&self, allow_plain: bool) -> Result<(), ConfigError> {
        if self.tls || allow_plain || self.authority.is_loopback() {
            return Ok(());
        }
        Err(ConfigError::new("url", format!("ws://{}", self.authority), PLAIN))
    }

    /// Scheme, host and port: what a breaker guards.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{}", self.authority)
    }

    /// For the request.
    pub(super) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// For people: without the query.
    pub(super) fn shown(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}{}", self.uri.path())
    }

    /// Where a redirect leads; none when it may not be followed.
    pub(super) fn redirected(&self, location: &str) -> Option<Self> {
        let absolute = if location.starts_with('/') && !location.starts_with("//") {
            let scheme = if self.tls { "wss" } else { "ws" };
            format!("{scheme}://{}{location}", self.uri.authority()?)
        } else if let Some(rest) = location.strip_prefix("http") {
            format!("ws{rest}")
        } else {
            location.to_owned()
        };
        let next = Self::parse(&absolute).ok()?;
        (next.tls || !self.tls).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown_without_its_query() {
        let address = Address::parse("wss://example.org/feed?token=hush").unwrap();
        assert!(address.tls);
        assert_eq!(address.origin(), "wss://example.org:443");
        assert_eq!(address.shown(), "wss://example.org/feed");
        let six = Address::parse("ws://[::1]:9000").unwrap();
        assert_eq!(six.origin(), "ws://[::1]:9000");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for text in ["", "http://a", "ws://", "wss://me:hush@a", "ws://a:0", "ws://a#hush", "a b"] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.field, "url", "{text}");
            assert!(!error.to_string().contains("hush"));
        }
    }

    #[test]
    fn plain_is_for_this_machine_unless_allowed() {
        for here in ["ws://localhost:1", "ws://127.9.9.9", "ws://[::1]", "ws://a.localhost."] {
            assert!(Address::parse(here).unwrap().permit(false).is_ok(), "{here}");
        }
        for far in ["ws://example.org", "ws://10.0.0.1", "ws://localhost.example.org"] {
            let address = Address::parse(far).unwrap();
            assert_eq!(address.permit(false).unwrap_err().field, "url", "{far}");
            assert!(address.permit(true).is_ok());
        }
        assert!(Address::parse("wss://example.org").unwrap().permit(false).is_ok());
    }

    #[test]
    fn w14_a_redirect_never_leads_from_tls_to_plain() {
        let secure = Address::parse("wss://a/x").unwrap();
        assert_eq!(secure.redirected("/y").unwrap().shown(), "wss://a/y");
        assert_eq!(secure.redirected("https://b/y").unwrap().shown(), "wss://b/y");
        assert_eq!(secure.redirected("http://b/y"), None);
        assert_eq!(secure.redirected("ftp://b"), None);
        let plain = Address::parse("ws://a/x").unwrap();
        assert_eq!(plain.redirected("wss://b").unwrap().shown(), "wss://b/");
    }
}
