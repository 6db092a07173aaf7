//! Names, asked of a resolver that others wrote.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mainstay::link::{DnsConfig, DnsTransport, Link, LinkConfig, LinkOptions, RecordType};

const PATIENCE: Duration = Duration::from_secs(30);
const TEXTS: usize = 20;

/// A dnsmasq that knows `shop.test` alone and asks nobody.
struct Dnsmasq {
    child: Child,
    address: SocketAddr,
}

impl Dnsmasq {
    fn start() -> Self {
        // Another program may take the port that was free.
        (0..5).find_map(|_| Self::try_start()).expect("dnsmasq listens")
    }

    fn try_start() -> Option<Self> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        let search = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let mut dnsmasq = Command::new("dnsmasq");
        dnsmasq.env("PATH", search).arg(format!("--port={}", address.port()));
        dnsmasq.args(["--no-daemon", "--conf-file=/dev/null", "--pid-file=", "--user="]);
        dnsmasq.args(["--listen-address=127.0.0.1", "--bind-interfaces"]);
        dnsmasq.args(["--no-resolv", "--no-hosts", "--local=/test/", "--cname=www.test,shop.test"]);
        dnsmasq.args(["--host-record=shop.test,192.0.2.7,2001:db8::7"]);
        dnsmasq.args(["--mx-host=shop.test,mail.test,10"]);
        dnsmasq.args(["--srv-host=_shop._tcp.test,shop.test,443,0,5"]);
        for number in 0..TEXTS {
            dnsmasq.arg(format!("--txt-record=long.test,{number:02}{}", "x".repeat(200)));
        }
        dnsmasq.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = dnsmasq.spawn();
        let mut child =
            child.expect("dnsmasq starts: install it, Debian's package is dnsmasq-base");
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(address).is_err() {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return None;
            }
            assert!(Instant::now() < end, "dnsmasq does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, address })
    }

    fn link(&self, name: &str, kind: RecordType) -> (DnsTransport, Link) {
        let resolver = Some(self.address);
        let dns = DnsTransport::new(DnsConfig { kind, resolver, ..DnsConfig::new(name) }).unwrap();
        let mut config =
            LinkConfig { dial_timeout: Duration::from_secs(20), ..LinkConfig::default() };
        config.reconnect.enabled = false;
        let link = Link::open(LinkOptions::new("name").config(config), dns.clone()).unwrap();
        (dns, link)
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[tokio::test]
async fn every_kind_of_record_is_read_as_dnsmasq_writes_it() {
    let dnsmasq = Dnsmasq::start();
    for (name, kind, wanted) in [
        ("shop.test", RecordType::A, "192.0.2.7"),
        ("shop.test", RecordType::Aaaa, "2001:db8::7"),
        ("www.test", RecordType::Cname, "shop.test"),
        ("www.test", RecordType::A, "192.0.2.7"),
        ("shop.test", RecordType::Mx, "10 mail.test"),
        ("_shop._tcp.test", RecordType::Srv, "0 5 443 shop.test"),
        ("7.2.0.192.in-addr.arpa", RecordType::Ptr, "shop.test"),
    ] {
        let (dns, link) = dnsmasq.link(name, kind);
        let connected = link.connect().await;
        assert!(connected.is_ok(), "{name} {kind:?}: {connected:?}");
        assert_eq!(&*dns.view().records, [wanted.to_owned()], "{name} {kind:?}");
    }
}

#[tokio::test]
async fn what_dnsmasq_cannot_fit_into_a_datagram_comes_over_tcp_and_unknown_names_are_said_to_be() {
    let dnsmasq = Dnsmasq::start();
    let (dns, link) = dnsmasq.link("long.test", RecordType::Txt);
    link.connect().await.unwrap();
    assert_eq!(dns.view().records.len(), TEXTS);
    let (_, link) = dnsmasq.link("nobody.test", RecordType::A);
    let failed = link.connect().await.unwrap_err().to_string();
    assert!(failed.contains("NXDOMAIN"), "{failed}");
    let (_, link) = dnsmasq.link("elsewhere.example", RecordType::A);
    let failed = link.connect().await.unwrap_err().to_string();
    assert!(failed.contains("REFUSED"), "{failed}");
}
