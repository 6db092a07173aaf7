//! Servers that others wrote: npm's `ws`, PyPI's `websockets`, and nginx as a proxy before one.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mainstay::link::websocket::{Incoming, Message, WebSocket, WebSocketConfig};
use mainstay::link::{FailReason, StateName, What};
use tokio::time::timeout;

use super::{next, open};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Npm,
    Python,
}

/// The folder that `cargo xtask test` installs servers into.
pub(super) fn servers() -> PathBuf {
    let built_in = || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-servers");
    std::env::var_os("MAINSTAY_TEST_SERVERS").map_or_else(built_in, PathBuf::from)
}

/// A server in a process of its own. Dropped, it is killed as by `kill -9`.
struct Server {
    child: Child,
    kind: Kind,
    port: u16,
}

impl Server {
    fn start(kind: Kind) -> Self {
        Self::at(kind, 0)
    }

    fn at(kind: Kind, port: u16) -> Self {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/websocket/real");
        let (program, package, script) = match kind {
            Kind::Npm => ("node".into(), servers().join("npm/node_modules/ws"), "echo.js"),
            Kind::Python => {
                let program = servers().join("python/bin/python");
                (program.clone(), program, "echo.py")
            }
        };
        assert!(
            package.exists(),
            "{} is missing: `cargo xtask test` installs it",
            package.display()
        );
        let mut command = Command::new(program);
        command.arg(scripts.join(script));
        if kind == Kind::Npm {
            command.arg(&package);
        }
        command.arg(port.to_string()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts: `cargo xtask test` installs it");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        output.read_line(&mut line).expect("it says where it listens");
        let port = line.trim().strip_prefix("listening ").expect("it listens").parse().unwrap();
        Self { child, kind, port }
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/", self.port)
    }

    /// Kills it; answers how to start it again.
    fn kill(mut self) -> (Kind, u16) {
        self.end();
        (self.kind, self.port)
    }

    fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// nginx as a proxy before a WebSocket server.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    async fn before(server: u16) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nginx-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let shown = folder.display();
        let config = format!(
            "daemon off; master_process off; pid {shown}/pid; error_log {shown}/error.log;
             events {{ worker_connections 64; }}
             http {{
               access_log off;
               client_body_temp_path {shown}/body; proxy_temp_path {shown}/proxy;
               fastcgi_temp_path {shown}/fastcgi; uwsgi_temp_path {shown}/uwsgi;
               scgi_temp_path {shown}/scgi;
               server {{ listen 127.0.0.1:{port}; location / {{
                 proxy_pass http://127.0.0.1:{server}; proxy_http_version 1.1;
                 proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
               }} }}
             }}"
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let search = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        let mut nginx = Command::new("nginx");
        nginx.env("PATH", search).arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
        nginx.arg("-e").arg(folder.join("error.log"));
        let child = nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("nginx starts: `cargo xtask test` installs it");
        let nginx = Self { child, port };
        let end = tokio::time::Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(tokio::time::Instant::now() < end, "nginx does not listen: see {shown}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn connected(server: &Server) -> (WebSocket, Incoming) {
    let mut config = WebSocketConfig::new(server.url());
    config.subprotocols = vec!["chat.v1".into()];
    let (socket, incoming) = open(config);
    timeout(PATIENCE, socket.connect()).await.unwrap().unwrap();
    (socket, incoming)
}

async fn until(socket: &WebSocket, what: &str, is_it: impl Fn(&WebSocket) -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is_it(socket) {
        assert!(tokio::time::Instant::now() < end, "never {what}: {:?}", socket.link().view());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn says(socket: &WebSocket, incoming: &mut Incoming, text: &str, answer: &str) {
    assert!(socket.send(text).await.seq().is_some());
    assert_eq!(next(incoming).await, answer);
}

async fn talks(kind: Kind) {
    let server = Server::start(kind);
    let (socket, mut incoming) = connected(&server).await;
    says(&socket, &mut incoming, "hello", "hello").await;
    says(&socket, &mut incoming, "protocol", "chat.v1").await;
    let long = "ä".repeat(100_000);
    says(&socket, &mut incoming, &long, &long).await;
    let bytes = Message::Binary(Bytes::from_static(&[0, 1, 0xff]));
    assert!(socket.send(bytes.clone()).await.seq().is_some());
    assert_eq!(timeout(PATIENCE, incoming.recv()).await.unwrap(), Some(Ok(bytes)));
    assert!(timeout(PATIENCE, socket.link().check_now()).await.unwrap(), "it answers a ping");
    assert!(socket.link().stats().rtt.last().is_some());
    assert_eq!(socket.drain(PATIENCE).await, 0);
}

async fn heals(kind: Kind) {
    let server = Server::start(kind);
    let (socket, mut incoming) = connected(&server).await;
    says(&socket, &mut incoming, "one", "one").await;
    let (kind, port) = server.kill();
    until(&socket, "down", |socket| !socket.link().view().healthy).await;
    assert!(socket.try_send("two").seq().is_some());
    let _server = Server::at(kind, port);
    assert_eq!(next(&mut incoming).await, "two");
    assert!(socket.link().stats().total_reconnections >= 1);
}

async fn closes(kind: Kind) {
    let server = Server::start(kind);
    let (socket, mut incoming) = connected(&server).await;
    for (times, code) in [(1, 1001), (2, 1012)] {
        assert!(socket.send(format!("close {code}")).await.seq().is_some());
        until(&socket, "reconnected", |socket| socket.link().stats().total_reconnections == times)
            .await;
        says(&socket, &mut incoming, "back", "back").await;
    }
}

/// A server that takes nobody's credentials is asked once more, with others if there are any.
async fn refuses(kind: Kind) {
    let server = Server::start(kind);
    let mut config = WebSocketConfig::new(format!("{}refuse", server.url()));
    config.subprotocols = vec!["chat.v1".into()];
    let (socket, _incoming) = open(config);
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = told.clone();
    let listened = socket.link().on("*", move |event| {
        if let What::Connected | What::Reconnecting { .. } | What::Error { terminal: true, .. } =
            event.what
        {
            list.lock().unwrap().push(event.what.name());
        }
    });
    listened.unwrap();
    socket.link().begin();
    until(&socket, "failed", |socket| socket.link().view().state == StateName::Failed).await;
    let (view, stats) = (socket.link().view(), socket.link().stats());
    assert_eq!(view.failed, Some(FailReason::CredentialsRefused));
    assert_eq!((stats.total_connections, stats.total_reconnections), (2, 1));
    until(&socket, "told of the end", |_| told.lock().unwrap().len() >= 4).await;
    let wanted = ["link.connected", "link.reconnecting", "link.connected", "link.error"];
    assert_eq!(*told.lock().unwrap(), wanted);
}

#[tokio::test]
async fn npm_ws_is_talked_to() {
    talks(Kind::Npm).await;
}

#[tokio::test]
async fn npm_ws_is_healed_after_a_kill() {
    heals(Kind::Npm).await;
}

#[tokio::test]
async fn the_close_codes_of_npm_ws_are_understood() {
    closes(Kind::Npm).await;
}

#[tokio::test]
async fn npm_ws_that_refuses_twice_with_4401_ends_it() {
    refuses(Kind::Npm).await;
}

#[tokio::test]
async fn python_websockets_that_refuses_twice_with_4401_ends_it() {
    refuses(Kind::Python).await;
}

#[tokio::test]
async fn python_websockets_is_talked_to() {
    talks(Kind::Python).await;
}

#[tokio::test]
async fn python_websockets_is_healed_after_a_kill() {
    heals(Kind::Python).await;
}

#[tokio::test]
async fn the_close_codes_of_python_websockets_are_understood() {
    closes(Kind::Python).await;
}

#[tokio::test]
async fn a_502_of_nginx_passes_when_the_server_behind_it_is_back() {
    let server = Server::start(Kind::Npm);
    let nginx = Nginx::before(server.port).await;
    let (socket, mut incoming) =
        open(WebSocketConfig::new(format!("ws://127.0.0.1:{}/", nginx.port)));
    let errors = Arc::new(Mutex::new(Vec::new()));
    let noted = errors.clone();
    let listened = socket.link().on("*", move |event| {
        noted.lock().unwrap().extend(event.error.clone());
    });
    listened.unwrap();
    timeout(PATIENCE, socket.connect()).await.unwrap().unwrap();
    says(&socket, &mut incoming, "one", "one").await;
    let (kind, port) = server.kill();
    until(&socket, "refused with 502", |_| {
        errors.lock().unwrap().iter().any(|error| error.contains("502"))
    })
    .await;
    assert!(socket.try_send("two").seq().is_some());
    let _server = Server::at(kind, port);
    assert_eq!(next(&mut incoming).await, "two");
}
