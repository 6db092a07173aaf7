//! TLS against a real server, with certificates made on the spot.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Who signs.
pub(super) struct Authorities {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
struct Signed {
    certificate: String,
    key: String,
}

#[derive(Clone, Copy)]
enum Time {
    Now,
    Past,
    Future,
}

impl Authorities {
    pub(super) fn new() -> Self {
        Self::named("an authority of a test")
    }

    fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, time: Time) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let (from, to) = match time {
            Time::Now => (2020, 4000),
            Time::Past => (2020, 2021),
            Time::Future => (3999, 4000),
        };
        (params.not_before, params.not_after) =
            (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { certificate, key: key.serialize_pem() }
    }

    fn roots(&self) -> TlsConfig {
        TlsConfig { roots: Roots::Pem(self.pem.clone()), ..TlsConfig::default() }
    }

    /// A server for `name` that echoes over TLS, and the client that trusts it.
    pub(super) async fn echoing(&self, name: &str) -> (SocketAddr, Tls) {
        let address = serve(plain(&self.sign(name, Time::Now), BOTH)).await;
        (address, Tls::new(&self.roots()).unwrap())
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn chain(signed: &Signed) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    let pem = signed.certificate.as_bytes();
    vec![rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()]
}

fn key(signed: &Signed) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap()
}

/// A server that wants nothing of its clients.
fn plain(signed: &Signed, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(versions).unwrap().with_no_client_auth();
    builder.with_single_cert(chain(signed), key(signed)).unwrap()
}

/// A server that wants its clients to be signed by `authorities`.
fn strict(
    signed: &Signed,
    authorities: &Authorities,
    version: &'static SupportedProtocolVersion,
) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    let pem = authorities.pem.as_bytes();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[version]).unwrap();
    let builder = builder.with_client_cert_verifier(verifier.build().unwrap());
    builder.with_single_cert(chain(signed), key(signed)).unwrap()
}

async fn serve(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, address) = listener("127.0.0.1").await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let handshake = acceptor.accept(stream);
            tokio::spawn(async move {
                if let Ok(stream) = handshake.await {
                    echo(stream).await;
                }
            });
        }
    });
    address
}

pub(super) fn trusting_nobody_known() -> Tls {
    Tls::new(&Authorities::new().roots()).unwrap()
}

/// Dials `peer.example` at `address` and has it say something back.
async fn meet(address: SocketAddr, tls: &Tls) -> Result<Stream, DialError> {
    let dialer = leading_to(&direct(), vec![address]);
    let target = Authority::new("peer.example", 443).unwrap();
    let mut stream = dialer.connect(&target, Some(tls)).await?;
    match says_back(&mut stream).await {
        Ok(()) => Ok(stream),
        Err(error) => Err(tls.failed(&target, error)),
    }
}

fn kind(stream: &Stream) -> Option<HandshakeKind> {
    match stream {
        Stream::Plain(_) => None,
        Stream::Tls(stream) => stream.get_ref().1.handshake_kind(),
    }
}

#[tokio::test]
async fn a_certificate_that_is_in_order_is_taken() {
    let ours = Authorities::new();
    let (address, tls) = ours.echoing("peer.example").await;
    let stream = meet(address, &tls).await.unwrap();
    assert_eq!(stream.tcp().peer_addr().unwrap(), address);
    let (address, tls) = ours.echoing("127.0.0.1").await;
    let target = authority(address);
    let mut stream = dialer(&direct()).connect(&target, Some(&tls)).await.unwrap();
    says_back(&mut stream).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_may_sign_others_is_told_to_be_one() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["peer.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    let trusting = TlsConfig { roots: Roots::Pem(certificate.clone()), ..TlsConfig::default() };
    let address = serve(plain(&Signed { certificate, key: key.serialize_pem() }, BOTH)).await;
    let error = meet(address, &Tls::new(&trusting).unwrap()).await.err().unwrap();
    assert_eq!(error.outcome, Outcome::Permanent);
    assert!(error.to_string().contains("is that of an authority (CA:TRUE)"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_for_good() {
    let (ours, namesake) = (Authorities::new(), Authorities::new());
    let theirs = Authorities::named("another");
    let other = TlsConfig { server_name: Some("other.example".into()), ..ours.roots() };
    let lenient = TlsConfig { retry_expired: true, ..ours.roots() };
    let foreign = TlsConfig { retry_expired: true, ..theirs.roots() };
    let (gone, early) = (Some("has expired"), Some("is not valid yet"));
    let (alien, named) = (Some("is signed by nobody that is trusted"), Some("is for another name"));
    let forged = Some("is not signed by whom it says");
    let (strict, never) = (ours.roots(), Outcome::Permanent);
    let cases = [
        (foreign, "peer.example", Time::Now, never, alien),
        (namesake.roots(), "peer.example", Time::Now, never, forged),
        (lenient.clone(), "other.example", Time::Now, never, named),
        (other, "other.example", Time::Now, Outcome::Success, None),
        (strict.clone(), "peer.example", Time::Past, never, gone),
        (strict, "peer.example", Time::Future, never, early),
        (lenient.clone(), "peer.example", Time::Past, Outcome::TRANSIENT, gone),
        (lenient, "peer.example", Time::Future, Outcome::TRANSIENT, early),
    ];
    for (number, (config, name, time, outcome, fault)) in cases.into_iter().enumerate() {
        let address = serve(plain(&ours.sign(name, time), BOTH)).await;
        let met = meet(address, &Tls::new(&config).unwrap()).await;
        let error = met.err();
        let found = error.as_ref().map_or(Outcome::Success, |error| error.outcome);
        assert_eq!(found, outcome, "{number}: {error:?}");
        let text = fault.map(|fault| format!("the certificate of peer.example:443 {fault}"));
        assert_eq!(error.map(|error| error.to_string()), text, "{number}");
    }
}

#[tokio::test]
async fn the_platform_does_not_trust_whoever_signs() {
    let (address, _) = Authorities::new().echoing("peer.example").await;
    match Tls::new(&TlsConfig::default()) {
        Ok(tls) => {
            let error = meet(address, &tls).await.unwrap_err();
            assert_eq!(error.outcome, Outcome::Permanent, "{}", error.chain());
        }
        // A machine may have no roots at all; then nobody is trusted, and the error says why.
        Err(error) => assert_eq!(error.field, "roots"),
    }
}

#[tokio::test]
async fn a_peer_that_wants_a_certificate_gets_it_or_refuses() {
    let ours = Authorities::new();
    let mine = ours.sign("me", Time::Now);
    let alien = Authorities::named("another").sign("me", Time::Now);
    // Its authority has the right name and another key.
    let forged = Authorities::new().sign("me", Time::Now);
    let with = |signed: &Signed| {
        let identity = Some(Identity::pem(&*signed.certificate, &*signed.key));
        Tls::new(&TlsConfig { identity, ..ours.roots() }).unwrap()
    };
    let without = Tls::new(&ours.roots()).unwrap();
    for version in BOTH {
        let signed = ours.sign("peer.example", Time::Now);
        let address = serve(strict(&signed, &ours, version)).await;
        meet(address, &with(&mine)).await.unwrap();
        for tls in [&without, &with(&alien), &with(&forged)] {
            let error = refusal(address, tls).await;
            assert_eq!(error.outcome, Outcome::Refused, "{version:?}: {}", error.chain());
            let wanted = "peer.example:443 does not take our certificate";
            assert_eq!(error.to_string(), wanted);
        }
    }
}

/// Why the server at `address` takes no connection. It is only listened to: what it has not read
/// when it closes would make the system drop its reason.
async fn refusal(address: SocketAddr, tls: &Tls) -> DialError {
    let dialer = leading_to(&direct(), vec![address]);
    let target = Authority::new("peer.example", 443).unwrap();
    match dialer.connect(&target, Some(tls)).await {
        Err(error) => error,
        Ok(mut stream) => tls.failed(&target, stream.read_u8().await.unwrap_err()),
    }
}

#[tokio::test]
async fn a_reconnect_resumes_the_session() {
    let ours = Authorities::new();
    for version in BOTH {
        let address = serve(plain(&ours.sign("peer.example", Time::Now), &[version])).await;
        let tls = Tls::new(&ours.roots()).unwrap();
        let first = meet(address, &tls).await.unwrap();
        assert_eq!(kind(&first), Some(HandshakeKind::Full), "{version:?}");
        let second = meet(address, &tls.clone()).await.unwrap();
        assert_eq!(kind(&second), Some(HandshakeKind::Resumed), "{version:?}");
        let other = Tls::new(&ours.roots()).unwrap();
        let third = meet(address, &other).await.unwrap();
        assert_eq!(kind(&third), Some(HandshakeKind::Full), "{version:?}");
    }
}

#[tokio::test]
async fn the_protocol_is_asked_for() {
    let ours = Authorities::new();
    let offering = |protocol: &[u8]| {
        let mut config = plain(&ours.sign("peer.example", Time::Now), BOTH);
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    };
    let (one, two) = (serve(offering(b"http/1.1")).await, serve(offering(b"h2")).await);
    let http1 = Tls::new(&ours.roots()).unwrap();
    let none = Tls::new(&TlsConfig { alpn: Alpn::None, ..ours.roots() }).unwrap();
    let spoken = |stream: &Stream| match stream {
        Stream::Plain(_) => None,
        Stream::Tls(stream) => stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec),
    };
    assert_eq!(spoken(&meet(one, &http1).await.unwrap()).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(spoken(&meet(two, &none).await.unwrap()), None);
    let error = meet(two, &http1).await.unwrap_err();
    assert_eq!(error.outcome, Outcome::Permanent, "{}", error.chain());
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_is_tried_again() {
    let (listener, address) = listener("127.0.0.1").await;
    tokio::spawn(async move {
        for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0_u8; 2048];
            assert!(stream.read(&mut hello).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let tls = trusting_nobody_known();
    for _ in 0..2 {
        let error = meet(address, &tls).await.unwrap_err();
        assert_eq!(error.outcome, Outcome::TRANSIENT, "{}", error.chain());
        assert_eq!(error.to_string(), "TLS with peer.example:443 failed");
    }
}

#[test]
fn bad_certificates_name_their_field_and_are_not_shown() {
    let ours = Authorities::new();
    let (one, two) = (ours.sign("a", Time::Now), ours.sign("b", Time::Now));
    let torn = "-----BEGIN CERTIFICATE-----\nhush\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\naHVzaA==\n-----END CERTIFICATE-----\n";
    let roots = |pem: &str| TlsConfig { roots: Roots::Pem(pem.into()), ..TlsConfig::default() };
    let identity = |certificate: &str, key: &str| TlsConfig {
        identity: Some(Identity::pem(certificate, key)),
        ..ours.roots()
    };
    let named = |name: &str| TlsConfig { server_name: Some(name.into()), ..ours.roots() };
    let cases = [
        (roots(""), "roots"),
        (roots("hush"), "roots"),
        (roots(torn), "roots"),
        (roots(no_certificate), "roots"),
        (roots(&one.key), "roots"),
        (identity("", &one.key), "identity.certificate"),
        (identity(torn, &one.key), "identity.certificate"),
        (identity(&one.key, &one.key), "identity.certificate"),
        (identity(&one.certificate, "hush"), "identity.key"),
        (identity(&one.certificate, &one.certificate), "identity.key"),
        (identity(&one.certificate, &two.key), "identity.key"),
        (named("hush hush"), "server_name"),
    ];
    for (config, field) in cases {
        let error = Tls::new(&config).unwrap_err();
        assert_eq!(error.field, field);
        assert!(!error.to_string().contains("hush"), "{error}");
        assert!(!format!("{config:?}").contains(&two.key));
    }
    assert!(Tls::new(&identity(&one.certificate, &one.key)).is_ok());
    let shown = format!("{:?}", identity("hush", "hush"));
    assert!(!shown.contains("hush"), "{shown}");
}
