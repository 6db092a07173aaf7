mod message;

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::config::{ConfigError, in_range};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::transport::{DialError, Transport};
use crate::clock;
use message::{Answer, UDP_MAX, answer, is_name, question};

/// How often a question is asked again over UDP while there is time.
const AGAIN: Duration = Duration::from_secs(1);
/// The most records that may be expected.
const EXPECT_MAX: usize = 64;
/// Where the system says whom it asks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a question is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordType {
    /// IPv4 addresses. The default.
    #[default]
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Another name of the same.
    Cname,
    /// Where mail goes.
    Mx,
    /// Who answers for it.
    Ns,
    /// The name of an address.
    Ptr,
    /// Where a service is.
    Srv,
    /// Text.
    Txt,
}

impl RecordType {
    /// Every type.
    pub const ALL: [Self; 8] =
        [Self::A, Self::Aaaa, Self::Cname, Self::Mx, Self::Ns, Self::Ptr, Self::Srv, Self::Txt];

    /// Its name, such as `AAAA`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }

    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Ptr => 12,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

impl FromStr for RecordType {
    type Err = ConfigError;

    /// Reads a type by its name, in letters of any size.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let known = Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| {
            let allowed = Self::ALL.map(Self::name).join(", ");
            ConfigError::new("type", text, &allowed)
        })
    }
}

/// What a [`DnsTransport`] is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// The name that is asked for, in ASCII (punycode where need be).
    pub name: String,
    /// What about it. Default `A`.
    pub kind: RecordType,
    /// Who is asked. Default the first resolver of `/etc/resolv.conf`, read anew each time.
    pub resolver: Option<SocketAddr>,
    /// Records that the answer must have, those and no others, in any order. Default any, at least
    /// one. Written as `192.0.2.1`, `10 mail.example.org`, `0 5 443 host.example.org`, without the
    /// last dot.
    pub expect: Vec<String>,
}

impl DnsConfig {
    /// The defaults, for that name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, kind: RecordType::A, resolver: None, expect: Vec::new() }
    }
}

/// What is known of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsView {
    /// The last answer, sorted.
    pub records: Arc<[String]>,
    /// How often an answer was another than the one before it.
    pub changes: u64,
}

/// A name that a resolver knows. A clone asks for the same one.
///
/// It is up when the resolver answers with what is expected. The round-trip time of the link's
/// health checks is the time to resolve. Asked over UDP, again each second while there is time, and
/// over TCP where the answer does not fit.
///
/// ```no_run
/// use mainstay::link::{DnsConfig, DnsTransport, Link, LinkOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = DnsConfig::new("example.org");
/// config.expect = vec!["192.0.2.7".into()];
/// let dns = DnsTransport::new(config)?;
/// let link = Link::open(LinkOptions::new("name"), dns.clone())?;
/// link.connect().await?;
/// assert_eq!(dns.view().changes, 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DnsTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: DnsConfig,
    view: Mutex<DnsView>,
}

impl DnsTransport {
    /// Checks the configuration; asks nobody.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the name is none, or too much is expected.
    pub fn new(mut config: DnsConfig) -> Result<Self, ConfigError> {
        if !is_name(&config.name) {
            return Err(ConfigError::new("name", &config.name, "a name such as example.org"));
        }
        in_range("expect", config.expect.len(), 0, EXPECT_MAX)?;
        for text in &mut config.expect {
            *text = normal(config.kind, text);
        }
        config.expect.sort();
        config.expect.dedup();
        Ok(Self { shared: Arc::new(Shared { config, view: Mutex::default() }) })
    }

    /// What is known of the name.
    #[must_use]
    pub fn view(&self) -> DnsView {
        self.known().clone()
    }

    fn known(&self) -> MutexGuard<'_, DnsView> {
        self.shared.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, deadline: Instant) -> Result<(), DialError> {
        let config = &self.shared.config;
        let resolver = match config.resolver {
            Some(resolver) => resolver,
            None => system().await?,
        };
        let answer = exchange(config, resolver, deadline).await?;
        judge(config, &answer)?;
        self.note(answer.records);
        Ok(())
    }

    /// Notes what a good answer said, and says so where it is another than before.
    fn note(&self, records: Vec<String>) {
        let mut view = self.known();
        if *view.records == *records {
            return;
        }
        let before = std::mem::replace(&mut view.records, records.into());
        if before.is_empty() {
            return;
        }
        view.changes += 1;
        let after = view.records.clone();
        drop(view);
        let name = &*self.shared.config.name;
        tracing::info!(name, ?before, ?after, "a name is answered otherwise");
    }
}

impl Transport for DnsTransport {
    fn target(&self) -> String {
        let config = &self.shared.config;
        let resolver = config.resolver.map(|at| at.to_string()).unwrap_or_default();
        format!("dns://{resolver}/{} {}", config.name, config.kind.name())
    }

    async fn dial(&self, deadline: Instant) -> Result<(), DialError> {
        Box::pin(self.ask(deadline)).await
    }

    async fn probe(&self, deadline: Instant) -> Result<(), DialError> {
        Box::pin(self.ask(deadline)).await
    }

    async fn close(&self) {}

    fn abandon(&self) {}
}

/// A record as answers are read: in small letters and without the last dot, where it is a name.
fn normal(kind: RecordType, text: &str) -> String {
    match kind {
        RecordType::Txt => text.to_owned(),
        RecordType::A | RecordType::Aaaa => {
            text.parse::<IpAddr>().map_or_else(|_| text.to_owned(), |address| address.to_string())
        }
        RecordType::Cname | RecordType::Mx | RecordType::Ns | RecordType::Ptr | RecordType::Srv => {
            text.trim_end_matches('.').to_ascii_lowercase()
        }
    }
}

/// Whom the system asks first.
async fn system() -> Result<SocketAddr, DialError> {
    let none = || DialError::new(Outcome::TRANSIENT, "the system names no resolver");
    let read = tokio::task::spawn_blocking(|| std::fs::read_to_string(RESOLV_CONF)).await;
    let text = read.map_err(|_| none())?.map_err(|error| none().because(error))?;
    first_server(&text).ok_or_else(none)
}

fn first_server(text: &str) -> Option<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse::<IpAddr>().ok()).flatten()
    };
    text.lines().find_map(address).map(|address| SocketAddr::new(address, 53))
}

async fn exchange(
    config: &DnsConfig,
    resolver: SocketAddr,
    deadline: Instant,
) -> Result<Answer, DialError> {
    let failed = |error| DialError::new(Outcome::TRANSIENT, "the resolver failed").because(error);
    let own: SocketAddr = match resolver {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(own).await.map_err(failed)?;
    socket.connect(resolver).await.map_err(failed)?;
    let mut buffer = vec![0; UDP_MAX];
    while clock::now() < deadline {
        let id = u16::try_from(clock::draw() & 0xFFFF).unwrap_or_default();
        let asked = question(id, &config.name, config.kind);
        socket.send(&asked).await.map_err(failed)?;
        // What is no answer to this question may be somebody's forgery: it is not listened to.
        let heard = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                let read = answer(&buffer[..length], id, &config.name, config.kind);
                if let Some(answer) = read {
                    return Ok(answer);
                }
            }
        };
        match timeout(AGAIN, heard).await {
            Ok(Ok(answer)) if answer.cut => {
                return over_tcp(config, resolver).await.map_err(failed);
            }
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => return Err(failed(error)),
            Err(_) => {}
        }
    }
    Err(DialError::new(Outcome::TRANSIENT, "no answer in time"))
}

async fn over_tcp(config: &DnsConfig, resolver: SocketAddr) -> std::io::Result<Answer> {
    let id = u16::try_from(clock::draw() & 0xFFFF).unwrap_or_default();
    let asked = question(id, &config.name, config.kind);
    let mut stream = TcpStream::connect(resolver).await?;
    let length = u16::try_from(asked.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes()[..], &asked].concat()).await?;
    let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    answer(&bytes, id, &config.name, config.kind)
        .ok_or_else(|| std::io::Error::other("no answer to what was asked"))
}

/// Whether the answer is the one that is expected.
fn judge(config: &DnsConfig, answer: &Answer) -> Result<(), DialError> {
    let bad = |what: String| Err(DialError::new(Outcome::TRANSIENT, what));
    let (name, kind) = (&config.name, config.kind.name());
    match answer.code {
        0 => {}
        2 => return bad(format!("SERVFAIL: the resolver cannot find out about {name}")),
        3 => return bad(format!("NXDOMAIN: there is no {name}")),
        5 => return bad(format!("REFUSED: the resolver does not answer about {name}")),
        code => return bad(format!("the resolver answered with code {code}")),
    }
    if answer.records.is_empty() {
        return bad(format!("{name} has no {kind} record"));
    }
    if !config.expect.is_empty() && answer.records != config.expect {
        let found = answer.records.join(", ");
        let expected = config.expect.join(", ");
        return bad(format!("{name} is {found}, expected {expected}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_first_resolver_is_asked() {
        for (text, wanted) in [
            ("# x\nsearch a\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n", Some("10.0.0.1:53")),
            ("nameserver\nnameserver ::1 # here", Some("[::1]:53")),
            ("options ndots:1", None),
        ] {
            assert_eq!(first_server(text), wanted.map(|at| at.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn configurations_that_make_no_sense_are_refused() {
        for name in ["", "a b", "a..b", &"x".repeat(64), "ä.de"] {
            assert_eq!(
                DnsTransport::new(DnsConfig::new(name)).unwrap_err().field,
                "name",
                "{name}"
            );
        }
        let expect = (0..65).map(|n| format!("10.0.0.{n}")).collect();
        let config = DnsConfig { expect, ..DnsConfig::new("a") };
        assert_eq!(DnsTransport::new(config).unwrap_err().field, "expect");
        assert_eq!("aaaa".parse::<RecordType>().unwrap(), RecordType::Aaaa);
        assert!("ANY".parse::<RecordType>().is_err());
    }
}
