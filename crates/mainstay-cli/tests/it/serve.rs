use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::peer::Peer;
use crate::program::{PATIENCE, Program, ask, command, run};
use crate::server::{Answer, Server};

const TOKEN: &str = "0123456789abcdef0123";

pub(crate) struct Serving {
    pub(crate) program: Program,
    pub(crate) address: String,
    pub(crate) folder: tempfile::TempDir,
}

/// Serves the links of `file` on a free port.
pub(crate) fn serve(file: &str) -> Serving {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mainstay.toml"), file).unwrap();
    let mut serving = command(&["serve", "--listen", "127.0.0.1:0"]);
    serving.current_dir(folder.path()).env("TOKEN", TOKEN);
    let mut program = Program::start(serving);
    let line = program.line("address", |line| line.contains(" listens on "));
    let address = line.rsplit("http://").next().unwrap().to_owned();
    Serving { program, address, folder }
}

impl Serving {
    fn get(&self, path: &str) -> Value {
        let (status, body) = ask(&self.address, "GET", path, Some(TOKEN));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Asks until `is_it` holds. What is being replaced is not there for a moment.
    pub(crate) fn until(&self, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (status, body) = ask(&self.address, "GET", path, Some(TOKEN));
            assert!([200, 404].contains(&status), "{status}: {body}");
            let found: Value = serde_json::from_str(&body).unwrap();
            if status == 200 && is_it(&found) {
                return found;
            }
            assert!(Instant::now() < end, "it stays {found}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn link(name: &str, url: &str) -> String {
    format!(
        "[[link]]\nname = \"{name}\"\nurl = \"{url}\"\nhealth_path = \"/\"\npolicy = \"axon\"\n\
         health = {{ interval = \"400ms\", timeout = \"400ms\", edge_interval = \"20ms\" }}\n\
         reconnect = {{ base = \"20ms\", cap = \"50ms\" }}\n"
    )
}

#[test]
fn links_are_held_and_shown() {
    let peer = Server::ok();
    let serving = serve(&link("api", &peer.url("/")));
    let shown = serving.until("/api/v1/links/api", |link| {
        link["state"] == "CONNECTED" && link["stats"]["total_health_checks"].as_u64() > Some(1)
    });
    assert!(shown["stats"]["health_check_success_rate"].as_f64() > Some(0.0), "{shown}");
    assert!(shown["rtt"]["smoothed_us"].as_u64() > Some(0) && shown["pool"]["requests"].is_u64());
    assert_eq!(shown["breaker"]["state"], "CLOSED");
    let health = serving.get("/health");
    assert_eq!((&health["status"], &health["links"]["connected"]), (&"ok".into(), &1.into()));
    let (_, metrics) = ask(&serving.address, "GET", "/metrics", None);
    assert!(metrics.contains("mainstay_link_up{link=\"api\"} 1"), "{metrics}");
    assert!(metrics.contains("mainstay_link_state{link=\"api\",state=\"CONNECTED\"} 1"));
    drop(peer);
    serving.until("/api/v1/links/api", |link| {
        link["state"] == "RECONNECTING" && link["last_error"]["message"].is_string()
    });
    assert_eq!(serving.get("/health")["status"], "degraded");
    serving.program.signal(Signal::TERM);
    assert_eq!(serving.program.end().code, 0);
}

#[test]
fn a_websocket_is_held_counted_and_healed() {
    let peer = Peer::start();
    let address = peer.address;
    let link = format!(
        "[[link]]\nname = \"feed\"\nurl = \"{}\"\nsubprotocols = [\"chat.v1\"]\n\
         token_env = \"TOKEN\"\n\
         health = {{ interval = \"400ms\", timeout = \"400ms\" }}\n\
         reconnect = {{ base = \"20ms\", cap = \"50ms\" }}\n",
        peer.url()
    );
    let serving = serve(&link);
    serving.until("/api/v1/links/feed", |link| {
        link["state"] == "CONNECTED" && link["rtt"]["smoothed_us"].as_u64() > Some(0)
    });
    assert_eq!(peer.header("authorization"), Some(format!("Bearer {TOKEN}")));
    assert_eq!(peer.header("sec-websocket-protocol").as_deref(), Some("chat.v1"));
    peer.tell("tick");
    let shown = serving.until("/api/v1/links/feed", |link| link["socket"]["received"] == 1);
    assert_eq!(shown["socket"]["received_bytes"], 4);
    assert_eq!((&shown["pool"], &shown["endpoints"]), (&Value::Null, &Value::Null));
    let (_, metrics) = ask(&serving.address, "GET", "/metrics", None);
    for line in [
        "mainstay_link_up{link=\"feed\"} 1",
        "mainstay_link_messages_received_total{link=\"feed\"} 1",
        "mainstay_link_received_bytes_total{link=\"feed\"} 4",
        "mainstay_link_messages_missed_total{link=\"feed\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    drop(peer);
    serving.until("/api/v1/links/feed", |link| {
        link["state"] == "RECONNECTING" && link["last_error"]["message"].is_string()
    });
    let _peer = Peer::at(address);
    serving.until("/api/v1/links/feed", |link| {
        link["stats"]["total_reconnections"].as_u64() >= Some(1)
    });
    serving.program.signal(Signal::TERM);
    assert_eq!(serving.program.end().code, 0);
}

#[test]
fn a_service_in_two_places_is_shown_with_both() {
    let (one, two) = (Server::ok(), Server::ok());
    let more = format!("more_urls = [\"{}\"]\n", two.url("/"));
    let file = link("api", &one.url("/")).replace("policy", &(more + "policy"));
    let serving = serve(&file);
    serving.until("/api/v1/links/api", |link| link["state"] == "CONNECTED");
    drop(one);
    let shown = serving.until("/api/v1/links/api", |link| {
        link["endpoints"][1]["current"] == true && link["state"] == "CONNECTED"
    });
    assert_eq!(shown["endpoints"][1]["url"], two.url("/"));
    assert_eq!(shown["endpoints"][0]["current"], false);
}

/// A WebSocket with waits that a test does not notice.
fn socket(peer: &Peer, more: &str) -> String {
    format!(
        "[[link]]\nname = \"feed\"\nurl = \"{}\"\n{more}\n\
         health = {{ interval = \"400ms\", timeout = \"400ms\" }}\n\
         reconnect = {{ base = \"20ms\", cap = \"50ms\" }}\n",
        peer.url()
    )
}

#[test]
fn a_websocket_in_two_places_moves_to_the_other_and_is_shown_with_both() {
    let (one, two) = (Peer::start(), Peer::start());
    let more = format!("more_urls = [\"{}\"]\nstrategy = \"ordered\"", two.url());
    let serving = serve(&socket(&one, &more));
    let shown = serving.until("/api/v1/links/feed", |link| link["state"] == "CONNECTED");
    assert_eq!(
        (&shown["endpoints"][0]["url"], &shown["endpoints"][0]["current"]),
        (&one.url().into(), &true.into())
    );
    drop(one);
    let shown = serving.until("/api/v1/links/feed", |link| {
        link["endpoints"][1]["current"] == true
            && link["stats"]["total_reconnections"].as_u64() >= Some(1)
    });
    assert_eq!(shown["endpoints"][1]["url"], two.url());
    assert!(shown["endpoints"][0]["failures"].as_u64() >= Some(1), "{shown}");
    two.tell("tick");
    serving.until("/api/v1/links/feed", |link| link["socket"]["received"] == 1);
}

#[test]
fn the_breaker_of_a_websocket_opens_by_its_failures_holds_its_dials_and_lets_it_back() {
    let peer = Peer::start();
    let address = peer.address;
    let policy = "[policy.short.gate.breaker]\nconsecutive_failures = 2\n\
                  open = { base = \"300ms\", cap = \"300ms\" }\n";
    let serving = serve(&(policy.to_owned() + &socket(&peer, "policy = \"short\"")));
    serving.until("/api/v1/links/feed", |link| link["state"] == "CONNECTED");
    drop(peer);
    serving.until("/api/v1/links/feed", |link| {
        link["suspended"] == "breaker_open" && link["breaker"]["state"] == "OPEN"
    });
    let peer = Peer::at(address);
    serving.until("/api/v1/links/feed", |link| {
        link["state"] == "CONNECTED" && link["breaker"]["state"] == "CLOSED"
    });
    ask(&serving.address, "POST", "/api/v1/gates/feed/force_open", None);
    drop(peer);
    serving.until("/api/v1/links/feed", |link| link["state"] == "SUSPENDED");
    let _peer = Peer::at(address);
    ask(&serving.address, "POST", "/api/v1/gates/feed/reset", None);
    serving.until("/api/v1/links/feed", |link| link["state"] == "CONNECTED");
}

#[test]
fn a_websocket_whose_section_changes_is_connected_anew_at_a_reload() {
    let peer = Peer::start();
    let serving = serve(&socket(&peer, ""));
    serving.until("/api/v1/links/feed", |link| link["state"] == "CONNECTED");
    peer.tell("tick");
    serving.until("/api/v1/links/feed", |link| link["socket"]["received"] == 1);
    let more = "data_idle = \"1h\"\nmax_age = \"1h\"\nmessage_max = 1000\nproxy = \"none\"";
    fs::write(serving.folder.path().join("mainstay.toml"), socket(&peer, more)).unwrap();
    serving.program.signal(Signal::HUP);
    // A link of its own, which has received nothing yet.
    serving.until("/api/v1/links/feed", |link| {
        link["state"] == "CONNECTED" && link["socket"]["received"] == 0
    });
}

#[test]
fn a_forced_breaker_holds_its_link_back_and_lets_it_go() {
    let peer = Server::ok();
    let serving = serve(&link("api", &peer.url("/")));
    serving.until("/api/v1/links/api", |link| link["state"] == "CONNECTED");
    let (status, _) = ask(&serving.address, "POST", "/api/v1/gates/api/force_open", None);
    assert_eq!(status, 200);
    drop(peer);
    let held = serving.until("/api/v1/links/api", |link| link["state"] == "SUSPENDED");
    assert_eq!(
        (&held["suspended"], &held["breaker"]["state"]),
        (&"breaker_open".into(), &"FORCED_OPEN".into())
    );
    ask(&serving.address, "POST", "/api/v1/gates/api/reset", None);
    serving.until("/api/v1/links/api", |link| link["state"] == "RECONNECTING");
}

#[test]
fn a_breaker_that_opens_by_itself_closes_when_the_peer_is_well_again() {
    let peer = Server::ok();
    let address = peer.address;
    let policy = "[policy.short.gate.breaker]\nconsecutive_failures = 2\n\
                  open = { base = \"300ms\", cap = \"300ms\" }\n";
    let link = link("api", &peer.url("/")).replace("axon", "short");
    let serving = serve(&(policy.to_owned() + &link));
    serving.until("/api/v1/links/api", |link| link["state"] == "CONNECTED");
    drop(peer);
    serving.until("/api/v1/links/api", |link| {
        link["suspended"] == "breaker_open" && link["breaker"]["state"] == "OPEN"
    });
    let _peer = Server::at(address, |_| Answer::Status(200, "", ""));
    serving.until("/api/v1/links/api", |link| {
        link["state"] == "CONNECTED" && link["breaker"]["state"] == "CLOSED"
    });
}

#[test]
fn the_token_is_asked_for_everywhere_but_at_health() {
    let serving = serve("[server]\ntoken_env = \"TOKEN\"\n");
    for path in ["/api/v1/links", "/metrics", "/api/v1/events", "/nonsense"] {
        assert_eq!(ask(&serving.address, "GET", path, None).0, 401, "{path}");
        assert_eq!(ask(&serving.address, "GET", path, Some("0123456789abcdef0124")).0, 401);
    }
    assert_eq!(ask(&serving.address, "GET", "/health", None).0, 200);
    assert_eq!(serving.get("/api/v1/links")["links"], Value::Array(Vec::new()));
}

#[test]
fn what_is_not_there_is_said_with_what_is() {
    let serving = serve(&link("api", "http://127.0.0.1:1"));
    let cases = [
        ("GET", "/api/v1/links/nonsense", 404, "NOT_FOUND", "there is: api"),
        ("GET", "/nonsense", 404, "NOT_FOUND", "GET /api/v1/links"),
        ("POST", "/api/v1/links/api/nonsense", 404, "NOT_FOUND", "connect, disconnect"),
        ("POST", "/api/v1/gates/nonsense/reset", 404, "NOT_FOUND", "there is: api"),
        ("DELETE", "/api/v1/links", 405, "METHOD_NOT_ALLOWED", "GET /api/v1/links"),
    ];
    for (method, path, status, code, text) in cases {
        let (found, body) = ask(&serving.address, method, path, None);
        assert_eq!(found, status, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["code"], code);
        assert!(body["detail"].as_str().unwrap().contains(text), "{body}");
    }
}

#[test]
fn the_configuration_is_read_again_without_dropping_what_stays() {
    let (one, two) = (Server::ok(), Server::ok());
    let file = link("one", &one.url("/"));
    let mut serving = serve(&file);
    let before = serving.until("/api/v1/links/one", |link| link["state"] == "CONNECTED");
    let path = serving.folder.path().join("mainstay.toml");
    fs::write(&path, "nonsense").unwrap();
    serving.program.signal(Signal::HUP);
    serving.program.error_line("the old one stays");
    assert_eq!(serving.get("/health")["links"]["total"], 1);
    fs::write(&path, file.replace("\"400ms\"", "\"390ms\"") + &link("two", &two.url("/"))).unwrap();
    serving.program.signal(Signal::HUP);
    serving.program.error_line("1 added, 0 removed, 0 replaced, 1 reconfigured");
    serving.until("/api/v1/links/two", |link| link["state"] == "CONNECTED");
    let after = serving.get("/api/v1/links/one");
    assert_eq!(after["stats"]["total_connections"], before["stats"]["total_connections"]);
    fs::write(&path, link("two", &two.url("/"))).unwrap();
    serving.program.signal(Signal::HUP);
    serving.program.error_line("0 added, 1 removed, 0 replaced, 0 reconfigured, 1 kept");
    assert_eq!(ask(&serving.address, "GET", "/api/v1/links/one", None).0, 404);
}

#[test]
fn a_file_that_changes_is_read_again_and_a_wrong_one_is_not_put_in_force() {
    let peer = Server::ok();
    let mut serving = serve(&link("one", &peer.url("/")));
    let path = serving.folder.path().join("mainstay.toml");
    fs::write(&path, link("one", &peer.url("/")) + &link("two", &peer.url("/"))).unwrap();
    serving.program.error_line("1 added, 0 removed");
    serving.until("/api/v1/links/two", |link| link["state"] == "CONNECTED");
    fs::write(&path, "nonsense").unwrap();
    serving.program.error_line("the old one stays");
    assert_eq!(serving.get("/health")["links"]["total"], 2);
}

#[test]
fn events_are_streamed_and_a_shutdown_ends_the_stream() {
    let peer = Server::ok();
    let serving = serve(&link("api", &peer.url("/")));
    serving.until("/api/v1/links/api", |link| link["state"] == "CONNECTED");
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = &serving.address;
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("the stream goes on"));
    assert!(lines.any(|line| line.contains("text/event-stream")));
    ask(host, "POST", "/api/v1/links/api/disconnect", None);
    assert!(lines.any(|line| line == "event: link.disconnected"));
    serving.program.signal(Signal::INT);
    assert_eq!(lines.last().as_deref(), Some(""), "the stream ends in good order");
    assert_eq!(serving.program.end().code, 0);
}

#[test]
fn a_public_address_needs_a_token_or_a_flag() {
    let refused = run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--allow-public-without-auth"), "{}", refused.stderr);
    let folder = tempfile::tempdir().unwrap();
    let mut open = command(&["serve", "--listen", "0.0.0.0:0", "--allow-public-without-auth"]);
    open.current_dir(folder.path());
    let mut program = Program::start(open);
    program.line("address", |line| line.contains(" listens on http://0.0.0.0:"));
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, 0);
}

#[test]
fn an_address_that_is_taken_is_the_environments_fault() {
    let taken = Server::ok();
    let ended = run(&["serve", "--listen", &taken.address.to_string()]);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("cannot listen on"), "{}", ended.stderr);
}

#[test]
fn what_it_says_at_the_start_can_be_read_by_programs() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = command(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    serving.current_dir(folder.path());
    let mut program = Program::start(serving);
    let line: Value = serde_json::from_str(&program.line("start", |_| true)).unwrap();
    assert_eq!(line["event"], "server.started");
    assert_eq!(line["settings"][0]["origin"], "flag --listen");
}
