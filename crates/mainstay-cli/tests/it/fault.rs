use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::peer::Peer;
use crate::program::{PATIENCE, Program, command, run};
use crate::server::Server;

/// A proxy on a free port, and that port.
pub(crate) fn between(target: SocketAddr, more: &[&str]) -> (Program, SocketAddr) {
    let target = target.to_string();
    let mut command = command(&[&["fault", "0", &target], more].concat());
    command.stdin(Stdio::piped());
    let mut program = Program::start(command);
    let line = program.line("address", |line| line.contains("listening on "));
    let address = line.split("listening on ").nth(1).unwrap().split(',').next().unwrap();
    (program, address.parse().unwrap())
}

/// What comes of a request: the end of the answer, or how it failed.
fn ask(address: SocketAddr) -> Result<String, ErrorKind> {
    let mut answer = String::new();
    let mut talk = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    };
    talk().map_err(|error| error.kind())?;
    Ok(answer)
}

#[test]
fn orders_are_obeyed_while_it_runs() {
    let server = Server::ok();
    let (mut program, address) = between(server.address, &[]);
    assert!(ask(address).unwrap().ends_with("hello"));
    program.write("refuse\n");
    program.line("refused", |line| line == "now: refuse\n");
    // The listener goes away right after the answer.
    let end = std::time::Instant::now() + PATIENCE;
    while ask(address) != Err(ErrorKind::ConnectionRefused) {
        assert!(std::time::Instant::now() < end, "it is not refused");
    }
    program.write("pass\ndown cut-at 20\n");
    program.line("cut", |line| line == "now: down cut-at 20\n");
    // And it comes back as soon.
    let mut answer = ask(address);
    while answer == Err(ErrorKind::ConnectionRefused) {
        assert!(std::time::Instant::now() < end, "it stays refused");
        answer = ask(address);
    }
    assert_eq!(answer.unwrap().len(), 20);
    program.write("nonsense\nhelp\nstats\n");
    program.line("no order", |line| line.contains("`nonsense` is no order"));
    program.line("help", |line| line.starts_with("black-hole") || line.contains("cut-at 1000"));
    program.line("stats", |line| line.contains(" connections, ") && line.contains(" bytes up"));
    program.write("quit\n");
    assert_eq!(program.end().code, 0);
}

#[test]
fn flags_make_the_network_bad_from_the_start() {
    let server = Server::ok();
    let (program, address) = between(server.address, &["--reset"]);
    assert_eq!(ask(address), Err(ErrorKind::ConnectionReset));
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, 0);
    let flags = ["--delay", "10ms", "--fragment", "5", "--rate", "64k", "--down"];
    let (program, address) = between(server.address, &flags);
    assert!(ask(address).unwrap().ends_with("hello"));
    program.signal(Signal::INT);
    assert_eq!(program.end().code, 0);
}

#[test]
fn what_it_tells_is_json_when_asked() {
    let server = Server::ok();
    let target = server.address.to_string();
    let args = ["fault", "0", &target, "--hang", "--for", "100ms", "--json"];
    let ended = run(&args);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["event"], &lines[0]["fault"]),
        (&"fault.listening".into(), &"hang".into())
    );
    assert_eq!((&lines[1]["event"], &lines[1]["accepted"]), (&"fault.stats".into(), &0.into()));
}

#[test]
fn mistakes_and_taken_addresses_have_codes_of_their_own() {
    let taken = Server::ok().address;
    let server = Server::at(taken, |_| crate::server::Answer::Hang);
    let address = server.address.to_string();
    assert_eq!(run(&["fault", &address, "127.0.0.1:1"]).code, 3);
    for args in [
        &["fault", "nonsense", "127.0.0.1:1"][..],
        &["fault", "0", "nonsense"],
        &["fault", "0", "1", "--hang", "--refuse"],
        &["fault", "0", "1", "--cut-reset"],
        &["fault", "0", "1", "--rate", "fast"],
        &["fault", "0", "1", "--up", "--down"],
    ] {
        let ended = run(args);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn a_websocket_heals_through_it() {
    let peer = Peer::start();
    let (mut fault, address) = between(peer.address, &[]);
    let url = format!("ws://{address}/");
    let mut client = Program::start(command(&[
        "hold",
        &url,
        "--interval",
        "200ms",
        "--base",
        "20ms",
        "--cap",
        "50ms",
    ]));
    client.line("connected", |line| line.ends_with(" connected\n"));
    fault.write("black-hole\n");
    fault.line("order", |line| line == "now: black-hole\n");
    client.line("down", |line| line.contains("down: "));
    fault.write("pass\ncut\n");
    client.line("reconnected", |line| line.contains("reconnected after "));
    client.signal(Signal::INT);
    assert_eq!(client.end().code, 0);
}
