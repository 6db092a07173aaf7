//! Until when peers' certificates are valid, read from handshakes with them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay::link::websocket::{WebSocket, WebSocketConfig};
use mainstay::link::{
    Alpn, HttpConfig, HttpTransport, Link, LinkOptions, Roots, TlsConfig, TlsProbeConfig,
    TlsTransport,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// 2061-03-12, in seconds since 1970.
const END: u64 = 2_877_811_200;

/// A certificate for `localhost` until 2061-03-12, and who signed it.
pub(super) fn certified() -> (ServerConfig, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let roots = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2061, 3, 12));
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (config, roots)
}

/// A server with that certificate, and who signed it. It speaks HTTP, or WebSocket to whoever wants
/// that.
async fn serve() -> (u16, String) {
    let (config, roots) = certified();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = vec![0; 4_096];
                let Ok(length @ 1..) = stream.read(&mut head).await else { return };
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let key = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.to_owned())
                });
                let answer = match key {
                    None => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
                    Some(key) => {
                        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(
                            key.as_bytes(),
                        );
                        format!(
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                             Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                        )
                    }
                };
                stream.write_all(answer.as_bytes()).await.unwrap();
                // Held until the client goes.
                while let Ok(1..) = stream.read(&mut [0; 256]).await {}
            });
        }
    });
    (port, roots)
}

fn end() -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(END))
}

fn trusting(roots: &str, alpn: Alpn) -> TlsConfig {
    TlsConfig { roots: Roots::Pem(roots.to_owned()), alpn, ..TlsConfig::default() }
}

#[tokio::test]
async fn every_link_with_tls_knows_until_when_its_peers_certificate_is_valid() {
    let (port, roots) = serve().await;

    let roots_of_http = Some(roots.clone());
    let config = HttpConfig {
        roots: roots_of_http,
        system_proxy: false,
        ..HttpConfig::new(format!("https://localhost:{port}"))
    };
    let http = HttpTransport::new(config).unwrap();
    assert_eq!(http.certificate_expiry(), None, "no handshake yet");
    let link = Link::open(LinkOptions::new("http"), http.clone()).unwrap();
    link.connect().await.unwrap();
    assert_eq!(http.certificate_expiry(), end());

    let mut config = TlsProbeConfig { port, ..TlsProbeConfig::new("localhost") };
    config.tls = trusting(&roots, Alpn::None);
    let tls = TlsTransport::new(config).unwrap();
    let link = Link::open(LinkOptions::new("tls"), tls.clone()).unwrap();
    link.connect().await.unwrap();
    assert!(link.check_now().await, "a handshake that resumes shows it, too");
    assert_eq!(tls.certificate_expiry(), end());
    assert_eq!(**link.target(), format!("tls://localhost:{port}"));

    let mut config = WebSocketConfig::new(format!("wss://localhost:{port}/"));
    config.tls = trusting(&roots, Alpn::Http1);
    let (socket, _incoming) = WebSocket::open(LinkOptions::new("wss"), config).unwrap();
    socket.link().connect().await.unwrap();
    assert_eq!(socket.certificate_expiry(), end());
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_up() {
    let (port, roots) = serve().await;
    let mut config = TlsProbeConfig { port, ..TlsProbeConfig::new("127.0.0.1") };
    config.tls = trusting(&roots, Alpn::None);
    let tls = TlsTransport::new(config).unwrap();
    let link = Link::open(LinkOptions::new("tls"), tls.clone()).unwrap();
    assert!(link.connect().await.is_err());
    assert_eq!(tls.certificate_expiry(), None);
}

#[test]
fn roots_that_are_no_certificates_are_refused() {
    for pem in ["", "no certificate"] {
        let config = HttpConfig { roots: Some(pem.into()), ..HttpConfig::new("https://h") };
        assert_eq!(HttpTransport::new(config).unwrap_err().field, "roots");
    }
}
