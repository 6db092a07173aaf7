use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use mainstay_core::config::ConfigError;

/// A host and a port. It holds no secret and nothing that could break a protocol's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(Box<str>),
    Address(IpAddr),
}

impl Authority {
    /// `host` is a name in ASCII (punycode where need be) or an address, an IPv6 one with brackets
    /// or without; `port` is not 0.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for anything else (field `host` or `port`).
    pub(crate) fn new(host: &str, port: u16) -> Result<Self, ConfigError> {
        if port == 0 {
            return Err(ConfigError::new("port", port, "1 to 65535"));
        }
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = match bracketed {
            Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => host.parse().ok(),
        };
        let host = match address {
            Some(address) => Host::Address(address),
            None if is_name(host) => Host::Name(host.into()),
            // It is not shown: somebody may have put a secret into it.
            None => return Err(ConfigError::new("host", "what was given", "a name or an address")),
        };
        Ok(Self { host, port })
    }

    /// The host alone, an IPv6 address without brackets.
    pub(crate) fn host(&self) -> String {
        match &self.host {
            Host::Name(name) => name.to_string(),
            Host::Address(address) => address.to_string(),
        }
    }

    /// The port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The address, where it is one.
    pub(super) const fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Name(_) => None,
            Host::Address(address) => Some(address),
        }
    }

    /// Whether it is certain to be this machine, without asking anybody.
    pub(crate) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Address(address) => address.to_canonical().is_loopback(),
            Host::Name(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// Longest name that DNS can ask for, in bytes.
const NAME_MAX: usize = 253;

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let length = text.trim_end_matches('.').len();
    (1..=NAME_MAX).contains(&length) && text.len() <= length + 1 && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_and_shown() {
        let cases = [
            ("example.org", "example.org:443"),
            ("example.org.", "example.org.:443"),
            ("a_b.example", "a_b.example:443"),
            ("192.0.2.1", "192.0.2.1:443"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("2001:db8::1", "[2001:db8::1]:443"),
        ];
        for (host, shown) in cases {
            assert_eq!(Authority::new(host, 443).unwrap().to_string(), shown);
        }
        let long = "a".repeat(254);
        let bad =
            ["", ".", "a..", "a b", "a\r\nb", "me:hush@host", "[192.0.2.1]", "[a]", "ü", &long];
        for host in bad {
            let error = Authority::new(host, 443).unwrap_err();
            assert_eq!(error.field, "host");
            assert!(!error.to_string().contains("hush"));
        }
        assert_eq!(Authority::new("host", 0).unwrap_err().field, "port");
    }

    #[test]
    fn this_machine_is_known() {
        for host in
            ["localhost", "LOCALHOST.", "a.localhost", "127.8.8.8", "::1", "::ffff:127.0.0.1"]
        {
            assert!(Authority::new(host, 1).unwrap().is_loopback(), "{host}");
        }
        for host in ["localhost.example", "notlocalhost", "10.0.0.1", "::2", "0.0.0.0"] {
            assert!(!Authority::new(host, 1).unwrap().is_loopback(), "{host}");
        }
    }
}
