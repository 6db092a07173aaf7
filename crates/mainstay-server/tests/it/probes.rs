//! What links of a configuration ask, and what is told when this machine reaches nobody.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use jiff::{Span, Timestamp};
use mainstay_server::Server;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use crate::notices::{Hook, QUICK, serve, webhook};
use crate::running::{PATIENCE, Running, config, run, start};

/// A port with a certificate for `localhost` that ends in so many days, and who signed it.
async fn tls_port(days: i64) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let roots = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let end = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let end = end.checked_add(Span::new().days(days + 1)).unwrap();
    let month = u8::try_from(end.month()).unwrap();
    let day = u8::try_from(end.day()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(i32::from(end.year()), month, day);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    (port, roots)
}

async fn until(running: &Running, path: &str, mut fits: impl FnMut(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = running.see(path).await;
        if fits(&found) {
            return found;
        }
        assert!(Instant::now() < end, "{found}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_shown_measured_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let (port, roots) = tls_port(5).await;
    let pem = folder.path().join("roots.pem");
    std::fs::write(&pem, roots).unwrap();
    let text = format!(
        "[monitor]\ninterval = \"1s\"\n[[link]]\nname = \"mail\"\nurl = \"tls://localhost:{port}\"\n\
         ca_file = {pem:?}\n"
    );
    let running = run(Server::bind(&config(&text)).await.unwrap());
    let link = until(&running, "/api/v1/links/mail", |link| link["state"] == "CONNECTED").await;
    let days = link["certificate"]["days_left"].as_f64().unwrap();
    assert!((4.9..=6.0).contains(&days), "{link}");
    let page = running.get("/metrics", "Host: localhost").await;
    let line = page.lines().find_map(|line| {
        line.strip_prefix("mainstay_link_certificate_expiry_seconds{link=\"mail\"} ")
    });
    let left: f64 = line.unwrap().parse().unwrap();
    assert!((4.9 * 86_400.0..=6.0 * 86_400.0).contains(&left), "{left}");
    let alert = running.alert("CERTIFICATE_EXPIRY", |one| one["state"] == "FIRING").await;
    assert_eq!(
        (&alert["severity"], &alert["labels"]),
        (&json!("HIGH"), &json!({ "link": "mail" }))
    );
    running.end().await;
}

/// A resolver that answers everything with one address, whose last byte is given.
async fn resolver(last: Arc<AtomicU8>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut asked = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut asked).await {
            // Without the record at its end that says how much may come.
            let mut answer = asked[..length - 11].to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
            answer.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0]);
            answer.push(last.load(Ordering::SeqCst));
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn another_answer_of_a_name_is_an_event() {
    let last = Arc::new(AtomicU8::new(1));
    let at = resolver(last.clone()).await;
    let text = format!(
        "[monitor]\ninterval = \"1s\"\n[[link]]\nname = \"shop\"\nurl = \"dns://{at}/shop.test?type=A\"\n\
         [link.health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\nedge_interval = \"100ms\"\n"
    );
    let running = start(&text).await;
    let mut events = running.handle.events().subscribe();
    let path = "/api/v1/links/shop";
    let link = until(&running, path, |link| link["state"] == "CONNECTED").await;
    assert_eq!(link["dns"], json!({ "records": ["10.0.0.1"], "changes": 0 }));
    last.store(2, Ordering::SeqCst);
    let changed = async {
        loop {
            let event = events.recv().await.unwrap();
            if event.kind.name() == "link.answer.changed" {
                return serde_json::to_value(&event.kind).unwrap();
            }
        }
    };
    let event = tokio::time::timeout(PATIENCE, changed).await.expect("an event");
    assert_eq!(event, json!({ "link": "shop", "records": ["10.0.0.2"] }));
    let link = running.see(path).await;
    assert_eq!(link["dns"], json!({ "records": ["10.0.0.2"], "changes": 1 }));
    running.end().await;
}

#[tokio::test]
async fn a_check_of_the_file_says_what_it_found() {
    let peer = start("").await;
    let (_, port) = peer.address.rsplit_once(':').unwrap();
    let text = format!(
        "[[link]]\nname = \"good\"\nurl = \"http://127.0.0.1:{port}\"\n[link.check]\n\
         json = {{ status = \"ok\" }}\n\
         [[link]]\nname = \"bad\"\nurl = \"http://127.0.0.1:{port}\"\n[[link.check.step]]\n\
         [[link.check.step]]\npath = \"/api/v1/links\"\njson = {{ links = \"some\" }}\n"
    );
    let running = start(&text).await;
    let bad = until(&running, "/api/v1/links/bad", |link| !link["last_error"].is_null()).await;
    assert_eq!(
        bad["last_error"]["message"],
        "step 2 of 2 (GET /api/v1/links): \"/links\" is a list of 0, expected \"some\""
    );
    until(&running, "/api/v1/links/good", |link| link["state"] == "CONNECTED").await;
    running.end().await;
    peer.end().await;
}

#[tokio::test]
async fn a_dead_uplink_is_told_once_and_not_once_for_each_link() {
    const LINKS: usize = 5;
    let mut ports = Vec::new();
    for _ in 0..LINKS + 2 {
        ports.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let targets: Vec<String> = ports[LINKS..].iter().map(address).collect();
    let mut text = format!(
        "[monitor]\ninterval = \"1s\"\n[monitor.connectivity]\ntargets = {targets:?}\n\
         timeout = \"500ms\"\n[[rule]]\nid = \"SELF_OFFLINE\"\nfor = \"0s\"\nkeep_firing_for = \"0s\"\n\
         [[rule]]\nid = \"CONNECTION_RECONNECTING\"\nhigh = {{ enter = 8, exit = 0.001 }}\n\
         keep_firing_for = \"0s\"\n"
    );
    for (index, port) in ports[..LINKS].iter().enumerate() {
        text += &format!(
            "[[link]]\nname = \"l{index}\"\nurl = \"tcp://{}\"\n[link.health]\ninterval = \"200ms\"\n\
             timeout = \"100ms\"\nedge_interval = \"100ms\"\n[link.reconnect]\nbase = \"100ms\"\n\
             cap = \"200ms\"\n",
            address(port)
        );
    }
    let (hook, url) = Hook::start(&[]).await;
    text += &format!("{QUICK}{}", webhook("ops", &url));
    let running = serve(&text, &url).await;
    until(&running, "/api/v1/monitor/summary", |all| all["links"]["connected"] == LINKS).await;
    let alerts = running.see("/api/v1/alerts?rule=SELF_OFFLINE").await;
    assert!(alerts["alerts"].as_array().unwrap().is_empty(), "{alerts}");

    // The uplink dies: nobody is reached any more, at once.
    let addresses: Vec<_> = ports.iter().map(|port| port.local_addr().unwrap()).collect();
    drop(ports);
    let offline = running.alert("SELF_OFFLINE", |one| one["state"] == "FIRING").await;
    assert_eq!(offline["severity"], "CRITICAL");
    let page = running.get("/metrics", &format!("Host: {}", running.address)).await;
    assert!(page.contains("\nmainstay_self_offline 1\n"), "{page}");
    let fires = |one: &Value| one["state"] == "FIRING";
    let all = until(&running, "/api/v1/alerts?rule=CONNECTION_RECONNECTING", |all| {
        let alerts = all["alerts"].as_array().unwrap();
        alerts.iter().filter(|one| fires(one)).count() == LINKS
    })
    .await;
    for alert in all["alerts"].as_array().unwrap() {
        assert_eq!(alert["inhibited_by"], offline["id"], "{alert}");
    }
    let offline = running.alert("SELF_OFFLINE", fires).await;
    assert!(offline["inhibits"].as_u64().unwrap() >= LINKS as u64, "{offline}");

    let told: BTreeSet<String> = hook
        .heard(1)
        .await
        .iter()
        .flat_map(|request| request.json()["alerts"].as_array().unwrap().clone())
        .map(|alert| alert["rule"].to_string())
        .collect();
    assert_eq!(told, BTreeSet::from(["\"SELF_OFFLINE\"".to_owned()]), "nobody is told of links");

    // It comes back, and so does everything behind it.
    let mut back = Vec::new();
    for address in addresses {
        back.push(TcpListener::bind(address).await.unwrap());
    }
    running.alert("SELF_OFFLINE", |one| one["state"] == "RESOLVED").await;
    until(&running, "/api/v1/monitor/summary", |all| all["links"]["connected"] == LINKS).await;
    running.end().await;
}
