//! Clients in other languages, written from `docs/protocol.md` alone: Python, Node, a browser. Their
//! connections are cut by `mainstay fault`.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fault::between;
use crate::program::Program;
use crate::serve::{Serving, serve};

const ECHO: &str = "[sessions]\nmessages = \"echo\"\n\
                    retry = { base = \"20ms\", max = \"200ms\", jitter = \"80ms\" }\n";
const LINES: usize = 150;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").canonicalize().unwrap()
}

/// What `cargo xtask test` installs.
fn installed(name: &str) -> PathBuf {
    let built_in = || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-servers");
    let folder = std::env::var_os("MAINSTAY_TEST_SERVERS").map_or_else(built_in, PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{name} is missing: `cargo xtask test` installs it");
    path
}

/// Runs a script of Node beside the packages that it needs.
fn node(folder: &Path, script: &Path) -> Command {
    let name = script.file_name().unwrap();
    std::fs::copy(script, folder.join(name)).unwrap();
    symlink(installed("npm/node_modules"), folder.join("node_modules")).unwrap();
    let mut command = Command::new("node");
    command.arg(folder.join(name));
    command
}

fn piped(mut command: Command) -> Program {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Program::start(command)
}

fn address(server: &Serving) -> SocketAddr {
    server.address.parse().unwrap()
}

/// Gives a client lines, cuts its connection again and again, and reads what came back.
fn is_exact(command: impl FnOnce(&str) -> Command) {
    let server = serve(ECHO);
    let (mut proxy, address) = between(address(&server), &[]);
    let mut client = piped(command(&format!("ws://{address}/v1/connect")));
    let lines: Vec<String> = (0..LINES).map(|number| format!("line {number} ü\"")).collect();
    client.write(&(lines.join("\n") + "\n"));
    client.close_input();
    let mut came = Vec::new();
    for number in 0..LINES {
        if number % 30 == 10 {
            proxy.write("cut\n");
        }
        let line = client.line("echo", |_| true);
        came.push(serde_json::from_str::<String>(&line).expect("a JSON string"));
    }
    assert_eq!(came, lines);
    let ended = client.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    assert!(!ended.stderr.contains("may be lost"), "{}", ended.stderr);
    // One session, over several connections; its client said goodbye.
    let counts = server.until("/api/v1/sessions/counts", |counts| counts["disconnected"] == 1);
    assert_eq!(counts["total"], 1, "{counts}");
    proxy.write("stats\n");
    let stats = proxy.line("stats", |line| line.contains(" without a server"));
    let connections = stats.split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(connections > 2, "it was cut: {stats}");
}

#[test]
fn a_client_in_python_loses_and_doubles_nothing_over_cuts() {
    is_exact(|url| {
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(examples().join("python/session.py")).arg(url);
        command
    });
}

#[test]
fn a_client_in_node_loses_and_doubles_nothing_over_cuts() {
    let folder = tempfile::tempdir().unwrap();
    is_exact(|url| {
        let mut command = node(folder.path(), &examples().join("node/session.mjs"));
        command.arg(url);
        command
    });
}

#[test]
fn a_page_that_loses_its_network_loses_and_doubles_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/browser.mjs");
    let mut browser = piped(node(folder.path(), &script));
    browser.write(&format!("{}\n", examples().display()));
    let line = browser.line("origin", |line| line.starts_with("origin "));
    let origin = line.strip_prefix("origin ").unwrap();
    let server = serve(&format!("[server]\nallowed_origins = [\"{origin}\"]\n{ECHO}"));
    let (mut proxy, address) = between(address(&server), &[]);
    browser.write(&format!("ws://{address}/v1/connect\n"));
    browser.line("offline", |line| line.starts_with("offline"));
    proxy.write("cut\n");
    sleep(Duration::from_millis(200));
    browser.write("go on\n");
    let waiting = browser.line("messages that wait", |line| line.starts_with("while offline "));
    assert!(!waiting.ends_with(" 0"), "{waiting}");
    let line = browser.line("result", |line| line.starts_with("result "));
    let result: Value = serde_json::from_str(line.strip_prefix("result ").unwrap()).unwrap();
    let wanted: Vec<String> = (1..=30).map(|number| format!("message {number}")).collect();
    assert_eq!(result["shown"], json!(wanted));
    assert_eq!(result["unknown"], 0);
    assert!(result["connections"].as_u64() >= Some(2), "{result}");
    let ended = browser.end();
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
}

#[test]
fn a_page_of_another_origin_is_turned_away() {
    let server = serve(&format!("[server]\nallowed_origins = [\"http://a.example\"]\n{ECHO}"));
    let upgrade = |origin: &str| {
        let head = format!(
            "GET /v1/connect HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: mainstay.v1\r\n\r\n",
            server.address
        );
        let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
        stream.set_read_timeout(Some(crate::program::PATIENCE)).unwrap();
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        let mut status = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut status).unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    };
    assert_eq!(upgrade("http://a.example"), "101");
    assert_eq!(upgrade("http://b.example"), "403");
}
