use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::peer::Peer;
use crate::program::{Program, command, run};
use crate::server::Server;

const FAST: [&str; 4] = ["--base", "20ms", "--cap", "50ms"];

/// The program with standard input of ours.
fn talk(more: &[&str]) -> Program {
    let mut command = command(&[&["ws"], &FAST[..], more].concat());
    command.stdin(Stdio::piped());
    Program::start(command)
}

fn is(name: &'static str) -> impl Fn(&str) -> bool {
    move |line: &str| {
        let event: Value = serde_json::from_str(line).expect("every line is JSON");
        event["event"] == name && event["at_ms"].is_u64()
    }
}

#[test]
fn lines_go_there_and_come_back() {
    let peer = Peer::start();
    let mut program = talk(&[&peer.url(), "--linger", "10s"]);
    program.error_line("connected to ws://127.0.0.1:");
    program.write("hello\nwörld\r\n\n");
    for wanted in ["hello", "wörld", ""] {
        assert_eq!(program.line("an echo", |_| true), wanted);
    }
    program.write("bytes\n");
    assert_eq!(program.line("bytes", |_| true), "<binary 3 B: 01 02 ff>");
    program.signal(Signal::INT);
    let ended = program.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}'), "no colours in a pipe");
    peer.hears(&["hello", "wörld", "", "bytes"]);
}

#[test]
fn what_is_typed_while_the_peer_is_down_is_queued_and_sent_when_it_is_back() {
    let peer = Peer::start();
    let address = peer.address;
    let mut program = talk(&[&peer.url(), "--subscribe", "first!"]);
    program.error_line("connected to");
    program.line("the subscription's echo", |line| line == "first!\n");
    drop(peer);
    program.error_line("lost: ");
    program.error_line("reconnecting in ");
    program.write("one\n");
    program.error_line("queued, 1 waiting");
    program.write("two\n");
    program.error_line("queued, 2 waiting");
    let peer = Peer::at(address);
    program.error_line("reconnected after ");
    // The subscription comes before what waited.
    peer.hears(&["first!", "one", "two"]);
    program.close_input();
    let ended = program.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout, "first!\none\ntwo\n");
}

#[test]
fn a_pipe_is_sent_whole_and_its_answers_are_waited_for() {
    let peer = Peer::start();
    let mut program = talk(&[&peer.url(), "--linger", "2s"]);
    let text: String = (0..2_000).map(|n| format!("{n}\n")).collect();
    program.write(&text);
    program.close_input();
    let ended = program.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout, text);
    assert!(ended.stderr.contains("closed"), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_sent_is_told_with_1() {
    let gone = Server::ok().address;
    let url = format!("ws://{gone}");
    let mut program = talk(&[&url, "--deadline", "200ms"]);
    program.write("lost\n");
    program.close_input();
    let ended = program.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains("not sent: 1"), "{}", ended.stderr);
    // Nothing to send, and still nobody there.
    let mut program = talk(&[&url, "--deadline", "200ms"]);
    program.close_input();
    assert_eq!(program.end().code, 1);
    let ended = talk(&[&url, "--attempts", "1"]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("given up after 1 attempt"), "{}", ended.stderr);
}

#[test]
fn events_and_messages_are_json_when_asked() {
    let peer = Peer::start();
    let mut program = talk(&[&peer.url(), "--json"]);
    program.line("connected", is("link.connected"));
    program.write("hello\n");
    let message = program.line("a message", is("ws.message"));
    let message: Value = serde_json::from_str(&message).unwrap();
    assert_eq!((&message["kind"], &message["text"]), (&"text".into(), &"hello".into()));
    program.write("bytes\n");
    let message: Value = serde_json::from_str(&program.line("bytes", is("ws.message"))).unwrap();
    assert_eq!((&message["bytes"], &message["base64"]), (&3.into(), &"AQL/".into()));
    program.write("close 1012\n");
    program.line("reconnected", is("link.reconnected"));
    program.signal(Signal::TERM);
    let ended = program.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["event"], &summary["sent"]), (&"ws.summary".into(), &3.into()));
    assert_eq!((&summary["received"], &summary["not_sent"]), (&2.into(), &0.into()));
}

#[test]
fn a_close_code_that_is_final_ends_it() {
    let peer = Peer::start();
    let mut program = talk(&[&peer.url()]);
    program.write("close 1003\n");
    let ended = program.end();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("closed with code 1003: told to"), "{}", ended.stderr);
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_goes_on() {
    let peer = Peer::start();
    let mut program = talk(&[&peer.url(), "--max-message", "125"]);
    program.write(&format!("{}\nok\n", "x".repeat(126)));
    program.error_line("line 1 is longer than 125 bytes (--max-message): not sent");
    assert_eq!(program.line("the next", |_| true), "ok");
    program.close_input();
    assert_eq!(program.end().code, 1);
    peer.hears(&["ok"]);
}

#[test]
fn headers_token_and_subprotocol_are_shown_to_the_peer_and_to_nobody_else() {
    let peer = Peer::start();
    let url = peer.url();
    let args = [
        "ws",
        &url,
        "--header",
        "X-Own: hush-header",
        "--subprotocol",
        "chat.v1",
        "--token-env",
        "OWN_TOKEN",
        "--json",
    ];
    let mut own = command(&args);
    own.env("OWN_TOKEN", "hush-token").stdin(Stdio::piped());
    let mut program = Program::start(own);
    program.line("connected", is("link.connected"));
    program.signal(Signal::INT);
    let ended = program.end();
    assert!(!ended.stdout.contains("hush") && !ended.stderr.contains("hush"));
    assert_eq!(peer.header("x-own").as_deref(), Some("hush-header"));
    assert_eq!(peer.header("authorization").as_deref(), Some("Bearer hush-token"));
    assert_eq!(peer.header("sec-websocket-protocol").as_deref(), Some("chat.v1"));
}

#[test]
fn it_can_only_listen() {
    let peer = Peer::start();
    let mut program =
        Program::start(command(&["ws", &peer.url(), "--no-input", "--subscribe", "ticks"]));
    program.line("an echo", |line| line == "ticks\n");
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, 0);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    use std::io::{BufRead as _, BufReader, Write as _};

    let peer = Peer::start();
    let mut own = command(&["ws", &peer.url()]);
    let mut child = own.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "one\n");
    stdin.write_all(b"two\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
}

#[test]
fn an_address_that_cannot_be_used_is_a_mistake() {
    let cases = [
        ("ws://10.0.0.1:1", "--allow-plain"),
        ("http://127.0.0.1:1", "allowed: ws, wss"),
        ("ws://me:hush@127.0.0.1:1", "--token-env"),
        ("nonsense", "no address"),
    ];
    for (url, text) in cases {
        let ended = run(&["ws", url]);
        assert_eq!(ended.code, 2, "{url}");
        assert!(ended.stderr.contains(text) && !ended.stderr.contains("hush"), "{}", ended.stderr);
    }
    let ended = run(&["ws", "ws://127.0.0.1:1", "--token-env", "NO_SUCH_VARIABLE"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("NO_SUCH_VARIABLE"), "{}", ended.stderr);
}
