use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::peer::Peer;
use crate::program::{Program, command, run};
use crate::server::{Answer, Server};

const FAST: [&str; 8] =
    ["--interval", "400ms", "--base", "20ms", "--cap", "50ms", "--timeout", "400ms"];

fn hold(more: &[&str]) -> Program {
    Program::start(command(&[&["hold"], &FAST[..], more].concat()))
}

#[test]
fn a_server_that_goes_and_comes_back_is_told_in_lines() {
    let server = Server::ok();
    let (address, url) = (server.address, server.url("/"));
    let mut program = hold(&[&url]);
    program.line("connected", |line| line.ends_with(&format!("{url} connected\n")));
    drop(server);
    program.line("suspect", |line| line.contains("suspect: a health check failed"));
    program.line("down", |line| line.contains("down: 3 health checks failed"));
    program.line("reconnecting", |line| line.contains("reconnecting: attempt "));
    let _server = Server::at(address, |_| Answer::Status(200, "", ""));
    program.line("reconnected", |line| line.contains("reconnected after "));
    program.signal(Signal::INT);
    let ended = program.end();
    assert_eq!(ended.code, 0);
    let summary = format!("{url}: CONNECTED, ");
    assert!(ended.stdout.contains(&summary), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'), "no colours in a pipe");
}

#[test]
fn events_are_json_when_asked() {
    let server = Server::ok();
    let (address, url) = (server.address, format!("tcp://{}", server.address));
    let mut program = hold(&[&url, "--json"]);
    let is = |name: &'static str| {
        move |line: &str| {
            let event: Value = serde_json::from_str(line).expect("every line is JSON");
            event["event"] == name && event["at_ms"].is_u64()
        }
    };
    program.line("connected", is("link.connected"));
    drop(server);
    program.line("reconnecting", is("link.reconnecting"));
    let _server = Server::at(address, |_| Answer::Status(200, "", ""));
    program.line("reconnected", is("link.reconnected"));
    program.signal(Signal::TERM);
    let ended = program.end();
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&summary["event"], &summary["state"]),
        (&"hold.summary".into(), &"CONNECTED".into())
    );
    assert_eq!(ended.code, 0);
}

#[test]
fn a_websocket_is_held_over_a_restart() {
    let peer = Peer::start();
    let (address, url) = (peer.address, peer.url());
    let mut program = hold(&[&url, "--json"]);
    let is = |name: &'static str| {
        move |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"] == name
    };
    program.line("connected", is("link.connected"));
    drop(peer);
    program.line("reconnecting", is("link.reconnecting"));
    let _peer = Peer::at(address);
    program.line("reconnected", is("link.reconnected"));
    program.signal(Signal::INT);
    let ended = program.end();
    assert_eq!(ended.code, 0);
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(summary["link"], url);
    assert!(summary["total_reconnections"].as_u64() >= Some(1), "{summary}");
}

#[test]
fn a_plain_websocket_to_another_machine_must_be_asked_for() {
    let ended = run(&["hold", "ws://10.0.0.1:1/"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("use wss://, or say --allow-plain"), "{}", ended.stderr);
}

#[test]
fn once_ends_when_all_are_connected() {
    let (one, two) = (Server::ok(), Server::ok());
    let urls = [one.url("/"), format!("tcp://{}", two.address)];
    assert_eq!(hold(&[&urls[0], &urls[1], "--once"]).end().code, 0);
    let ended = hold(&[&urls[0], "tcp://127.0.0.1:1", "--once", "--for", "300ms"]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("tcp://127.0.0.1:1: RECONNECTING"), "{}", ended.stdout);
}

#[test]
fn it_gives_up_when_all_links_have() {
    let ended = hold(&["tcp://127.0.0.1:1", "--attempts", "2"]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("FAILED (attempts exhausted)"), "{}", ended.stdout);
}

#[test]
fn an_unhealthy_answer_is_no_connection() {
    let server = Server::new(|_| Answer::Status(500, "", ""));
    let ended = hold(&[&server.url("/"), "--for", "200ms"]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("the peer answered 500"), "{}", ended.stdout);
}

#[test]
fn a_secret_in_an_address_is_refused_and_not_shown() {
    for url in ["http://me:hush@127.0.0.1:1/", "http://127.0.0.1:1/?token=hush"] {
        let ended = run(&["hold", url]);
        assert_eq!(ended.code, 2);
        assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
    }
}

/// Runs the line on a terminal of its own; answers what was drawn.
fn on_a_terminal(url: &str, colourless: bool) -> String {
    let line = format!("{} hold {url} --for 1s", env!("CARGO_BIN_EXE_mainstay"));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm-256color").env_remove("NO_COLOR");
    if colourless {
        script.env("NO_COLOR", "1");
    }
    script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    assert!(Path::new("/usr/bin/script").exists(), "install `script`: Debian's bsdutils");
    let ended = Program::start(script).end();
    assert_eq!(ended.code, 0, "{}", ended.stdout);
    ended.stdout
}

#[test]
fn a_terminal_gets_a_table_and_is_given_back() {
    let server = Server::ok();
    let url = server.url("/");
    let (enter, leave, green) = ("\u{1b}[?1049h", "\u{1b}[?1049l", "\u{1b}[38;5;10m");
    let drawn = on_a_terminal(&url, false);
    let (table, after) = drawn.split_once(leave).expect("the screen is given back");
    assert!(table.contains(enter) && table.contains("ATTEMPT") && table.contains("CONNECTED"));
    assert!(table.contains(green) && table.contains("\u{1b}[?25h"), "the cursor is shown again");
    assert!(after.contains("health checks good"), "{after:?}");
    assert!(!on_a_terminal(&url, true).contains(green), "NO_COLOR is honoured");
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    use std::io::{BufRead as _, BufReader};

    // Nobody listens there: there is an event with every redial.
    let gone = Server::ok().address;
    let url = format!("tcp://{gone}");
    for more in [&[&url[..]][..], &[&url, "--json"]] {
        let args = [&["hold", "--for", "20s"], &FAST[..], more].concat();
        let mut child = command(&args).spawn().unwrap();
        let begun = std::time::Instant::now();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "it goes on for nobody");
    }
}
