//! Names, asked of a small resolver that does as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::link::{
    ConnectError, DnsConfig, DnsTransport, Link, LinkConfig, LinkOptions, RecordType,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

/// What the resolver does.
#[derive(Clone, Debug)]
enum Mode {
    /// Answers with these addresses.
    Addresses(Vec<[u8; 4]>),
    /// Answers with this code.
    Code(u8),
    /// Says over UDP that it does not fit; over TCP it answers with this many texts.
    Texts(u8),
    /// Before the answer with this address comes one that nobody asked for.
    Forged([u8; 4]),
    /// Does not answer the first time, then with this address.
    Deaf([u8; 4]),
}

struct Resolver {
    address: SocketAddr,
    mode: Arc<Mutex<Mode>>,
}

impl Resolver {
    async fn start(mode: Mode) -> Self {
        // The same port for both: another test may have the other one.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let mode = Arc::new(Mutex::new(mode));
        tokio::spawn(serve_udp(udp, mode.clone()));
        tokio::spawn(serve_tcp(tcp, mode.clone()));
        Self { address, mode }
    }

    fn turn(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }
}

async fn serve_udp(socket: UdpSocket, mode: Arc<Mutex<Mode>>) {
    let mut buffer = [0; 1_500];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let asked = &buffer[..length];
        let now = mode.lock().unwrap().clone();
        let address = |address: [u8; 4]| answer(asked, 0x8180, &[(1, address.to_vec())]);
        let answers = match now {
            Mode::Addresses(all) => {
                let all: Vec<_> = all.iter().map(|one| (1, one.to_vec())).collect();
                vec![answer(asked, 0x8180, &all)]
            }
            Mode::Code(code) => vec![answer(asked, 0x8180 | u16::from(code), &[])],
            Mode::Texts(_) => vec![answer(asked, 0x8380, &[])],
            Mode::Forged(real) => {
                let mut forged = address([6, 6, 6, 6]);
                forged[0] ^= 0xFF;
                vec![forged, b"x".to_vec(), address(real)]
            }
            Mode::Deaf(real) => {
                *mode.lock().unwrap() = Mode::Addresses(vec![real]);
                Vec::new()
            }
        };
        for answer in answers {
            socket.send_to(&answer, from).await.unwrap();
        }
    }
}

async fn serve_tcp(listener: TcpListener, mode: Arc<Mutex<Mode>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut asked = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut asked).await.unwrap();
        let Mode::Texts(count) = mode.lock().unwrap().clone() else { continue };
        let text = |n: u8| (16, [&[200][..], &[b'a' + n % 26; 200]].concat());
        let bytes = answer(&asked, 0x8180, &(0..count).map(text).collect::<Vec<_>>());
        stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    }
}

/// An answer to what was asked, which ends with a record of 11 bytes that is not repeated.
fn answer(asked: &[u8], flags: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = asked[..asked.len() - 11].to_vec();
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    bytes[10..12].copy_from_slice(&[0, 0]);
    for (kind, data) in records {
        bytes.extend_from_slice(&[0xC0, 12]);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

fn open(resolver: &Resolver, change: impl FnOnce(&mut DnsConfig)) -> (DnsTransport, Link) {
    let mut config = DnsConfig { resolver: Some(resolver.address), ..DnsConfig::new("shop.test") };
    change(&mut config);
    let dns = DnsTransport::new(config).unwrap();
    let mut config = LinkConfig { dial_timeout: Duration::from_secs(20), ..LinkConfig::default() };
    config.reconnect.enabled = false;
    let link = Link::open(LinkOptions::new("name").config(config), dns.clone()).unwrap();
    (dns, link)
}

async fn error(link: &Link) -> String {
    let failed = link.connect().await.unwrap_err();
    let ConnectError::Failed { error: Some(error), .. } = failed else { panic!("{failed:?}") };
    error.to_string()
}

#[tokio::test]
async fn a_name_is_up_when_its_answer_is_the_expected_set_and_changes_are_counted() {
    let resolver = Resolver::start(Mode::Addresses(vec![[10, 0, 0, 2], [10, 0, 0, 1]])).await;
    let expect = vec!["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
    let (dns, link) = open(&resolver, |config| config.expect = expect.clone());
    link.connect().await.unwrap();
    assert_eq!((&*dns.view().records, dns.view().changes), (&expect[..], 0));
    resolver.turn(Mode::Addresses(vec![[10, 0, 0, 1]]));
    assert!(!link.check_now().await);
    let (_, strict) = open(&resolver, |config| config.expect = expect);
    assert_eq!(error(&strict).await, "shop.test is 10.0.0.1, expected 10.0.0.1, 10.0.0.2");

    let (dns, link) = open(&resolver, |_| ());
    link.connect().await.unwrap();
    assert!(link.check_now().await);
    assert_eq!(dns.view().changes, 0, "the same answer");
    resolver.turn(Mode::Addresses(vec![[10, 0, 0, 9]]));
    assert!(link.check_now().await);
    assert_eq!((&*dns.view().records, dns.view().changes), (&["10.0.0.9".to_owned()][..], 1));
}

#[tokio::test]
async fn what_resolvers_refuse_is_told_in_their_words() {
    let resolver = Resolver::start(Mode::Code(3)).await;
    for (code, message) in [
        (2, "SERVFAIL: the resolver cannot find out about shop.test"),
        (3, "NXDOMAIN: there is no shop.test"),
        (5, "REFUSED: the resolver does not answer about shop.test"),
        (0, "shop.test has no A record"),
    ] {
        resolver.turn(Mode::Code(code));
        assert_eq!(error(&open(&resolver, |_| ()).1).await, message);
    }
}

#[tokio::test]
async fn forged_and_lost_answers_are_survived() {
    let resolver = Resolver::start(Mode::Forged([10, 0, 0, 7])).await;
    for mode in [Mode::Forged([10, 0, 0, 7]), Mode::Deaf([10, 0, 0, 7])] {
        resolver.turn(mode);
        let (dns, link) = open(&resolver, |_| ());
        link.connect().await.unwrap();
        assert_eq!(&*dns.view().records, ["10.0.0.7".to_owned()]);
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_over_tcp() {
    let resolver = Resolver::start(Mode::Texts(20)).await;
    let (dns, link) = open(&resolver, |config| config.kind = RecordType::Txt);
    link.connect().await.unwrap();
    assert_eq!(dns.view().records.len(), 20);
}
