//! Who may ask.

use std::time::Duration;

use mainstay_server::config::{Config, Environment, Flags};
use mainstay_server::{Ended, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::running::{PATIENCE, Running, config, start};

#[tokio::test]
async fn pages_of_other_sites_cannot_use_a_server_without_a_token() {
    let running = start("").await;
    let own = format!("Host: {}", running.address);
    assert!(running.get("/api/v1/links", &own).await.starts_with("HTTP/1.1 200"));
    let foreign = format!("{own}\r\nOrigin: https://example.org");
    let answer = running.get("/api/v1/links", &foreign).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("FORBIDDEN"), "{answer}");
    let rebound = running.get("/api/v1/links", "Host: example.org").await;
    assert!(rebound.starts_with("HTTP/1.1 403"), "{rebound}");
    assert!(running.get("/health", "Host: example.org").await.starts_with("HTTP/1.1 200"));
    assert_eq!(running.end().await, Ended::InGoodOrder);
}

#[tokio::test]
async fn another_token_holds_from_the_moment_it_is_put_in_force() {
    let running = start("[server]\ntoken = \"0123456789-first\"").await;
    let show = |token: &str| format!("Host: x\r\nAuthorization: Bearer {token}");
    let status = async |token: &str| running.get("/metrics", &show(token)).await[9..12].to_owned();
    assert_eq!(status("0123456789-first").await, "200");
    running.handle.reload(&config("[server]\ntoken = \"0123456789-second\"")).await.unwrap();
    assert_eq!(status("0123456789-first").await, "401");
    assert_eq!(status("0123456789-second").await, "200");
}

#[tokio::test]
async fn links_that_lead_elsewhere_are_replaced_and_others_kept() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = |name: &str, port: u16| {
        format!("[[link]]\nname = \"{name}\"\nurl = \"tcp://127.0.0.1:{port}\"\n")
    };
    let running = start(&(link("a", port) + &link("b", port))).await;
    let next = config(&(link("a", port) + &link("b", 1) + &link("c", port)));
    let applied = running.handle.reload(&next).await.unwrap();
    assert_eq!(applied.to_string(), "1 added, 0 removed, 1 replaced, 0 reconfigured, 1 kept");
    assert_eq!(running.end().await, Ended::InGoodOrder);
}

#[tokio::test]
async fn a_client_that_hangs_does_not_hold_the_shutdown_up() {
    let running = start("[server]\nshutdown_deadline = \"300ms\"").await;
    let mut idle = TcpStream::connect(&running.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    // The server has the connection once it has answered one that came later.
    running.get("/health", "Host: x").await;
    let handle = running.handle.clone();
    running.end().await;
    assert!(handle.reload(&config("")).await.is_err(), "it takes no other configuration any more");
}

#[tokio::test]
async fn a_long_body_is_refused_or_left_unread() {
    let running = start("").await;
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    let head = format!(
        "POST /api/v1/links/x/check HTTP/1.1\r\nHost: {}\r\nContent-Length: 99999999\r\n\r\n",
        running.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404", "it is answered without its body");
}

#[tokio::test]
async fn a_link_that_is_replaced_has_a_gate_of_its_own_again() {
    let link = |port: u16| {
        format!("[[link]]\nname = \"a\"\nurl = \"tcp://127.0.0.1:{port}\"\npolicy = \"default\"\n")
    };
    let running = start(&link(1)).await;
    let host = format!("Host: {}", running.address);
    assert!(running.get("/api/v1/gates/a", &host).await.starts_with("HTTP/1.1 200"));
    running.handle.reload(&config(&link(2))).await.unwrap();
    let answer = running.get("/api/v1/gates/a", &host).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_link_that_loses_its_gate_is_held_back_no_longer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let link = |rest: &str| {
        format!("[[link]]\nname = \"a\"\nurl = \"tcp://127.0.0.1:{port}\"\nconnect = false\n{rest}")
    };
    for without in ["", "policy = \"bare\"\n[policy.bare.gate]\nbreaker = false\n"] {
        let running = start(&link("policy = \"default\"\n")).await;
        let host = format!("Host: {}\r\nConnection: close", running.address);
        let post = async |path: &str| running.ask(&format!("POST {path} HTTP/1.1\r\n{host}")).await;
        let state = async |wanted: &str| {
            let wanted = format!("\"state\":\"{wanted}\",\"ready\"");
            let seen = async {
                while !running.get("/api/v1/links/a", &host).await.contains(&wanted) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(Duration::from_secs(5), seen).await.expect("it gets there");
        };
        post("/api/v1/gates/a/force_open").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        post("/api/v1/links/a/connect").await;
        state("SUSPENDED").await;
        running.handle.reload(&config(&link(without))).await.unwrap();
        state("CONNECTED").await;
    }
}

#[tokio::test]
async fn a_reload_does_not_open_a_public_server_to_all() {
    let token = "[server]\ntoken = \"0123456789-first\"\n[store]\nengine = \"memory\"";
    let flags = Flags { listen: Some("0.0.0.0:0".into()), ..Flags::default() };
    let public = Config::parse(token, None, &flags, &Environment::new()).unwrap();
    let server = Server::bind(&public).await.unwrap();
    let handle = server.handle();
    // The file now says that it listens on this machine only, which takes a restart.
    assert!(handle.reload(&config("")).await.is_err());
    let address = format!("127.0.0.1:{}", server.address().port());
    let (stop, asked) = oneshot::channel::<()>();
    let task = tokio::spawn(server.run(async move { drop(asked.await) }));
    let running = Running { address, handle, stop, task };
    let answer = running.get("/api/v1/links", "Host: example.org").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(running.end().await, Ended::InGoodOrder);
}
