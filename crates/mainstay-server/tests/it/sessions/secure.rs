//! TLS.

use std::fs;

use mainstay::link::LinkOptions;
use mainstay::link::session::{SessionConfig, SessionLink};
use mainstay::link::{Roots, TlsConfig};
use mainstay_server::config::{Config, Environment, Flags};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use crate::running::run;
use mainstay_server::Server;

const TEXT: &str = "[server]\ntls_cert_file = \"cert.pem\"\ntls_key_file = \"key.pem\"\n\
                    [store]\nengine = \"memory\"\n";

/// A new certificate in the folder; answers what trusts it.
fn certificate(folder: &TempDir) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    fs::write(folder.path().join("cert.pem"), cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.pem()
}

fn config(folder: &TempDir) -> Config {
    let path = folder.path().join("mainstay.toml");
    let flags = Flags { listen: Some("127.0.0.1:0".into()), ..Flags::default() };
    Config::parse(TEXT, Some(&path), &flags, &Environment::new()).unwrap()
}

async fn connects(address: &str, roots: &str) -> bool {
    let port = address.rsplit(':').next().unwrap();
    let url = format!("wss://localhost:{port}/v1/connect");
    let mut config = SessionConfig::new(url, "test", "1");
    config.socket.tls = TlsConfig { roots: Roots::Pem(roots.into()), ..TlsConfig::default() };
    let (session, _incoming) = SessionLink::open(LinkOptions::websocket("tls"), config).unwrap();
    session.connect().await.is_ok()
}

#[tokio::test]
async fn a_certificate_is_shown_and_replaced_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let first = certificate(&folder);
    let running = run(Server::bind(&config(&folder)).await.unwrap());
    assert!(connects(&running.address, &first).await);
    let second = certificate(&folder);
    running.handle.reload(&config(&folder)).await.unwrap();
    assert!(connects(&running.address, &second).await);
}
