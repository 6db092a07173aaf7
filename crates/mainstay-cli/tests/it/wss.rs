//! TLS and proxies of WebSockets, under `ws`, `hold` and `serve`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;

use crate::peer::Peer;
use crate::program::{Ended, Program, command, run};
use crate::serve::serve;
use crate::tls::{Authority, write};

/// A year in which certificates are still good.
const LATER: i32 = 4000;
const PAST: i32 = 2021;

/// Runs the program until it is connected, then stops it.
fn connects(args: &[&str]) -> Ended {
    let mut own = command(args);
    own.stdin(Stdio::piped());
    let mut program = Program::start(own);
    match args[0] {
        "ws" => drop(program.error_line("connected to wss://")),
        _ => drop(program.line("connected", |line| line.ends_with(" connected\n"))),
    }
    program.signal(Signal::INT);
    program.end()
}

#[test]
fn ws_and_hold_talk_tls_to_a_server_whose_authority_they_are_told() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let ca = ours.file(folder.path());
    let ca = ca.to_str().unwrap();
    let peer = Peer::secure(ours.server(LATER, None));
    let url = peer.url();
    let mut own = command(&["ws", &url, "--ca-file", ca]);
    own.stdin(Stdio::piped());
    let mut program = Program::start(own);
    program.write("hello\n");
    assert_eq!(program.line("an echo", |_| true), "hello");
    program.close_input();
    assert_eq!(program.end().code, 0);
    assert_eq!(connects(&["hold", &url, "--ca-file", ca]).code, 0);
}

#[test]
fn a_certificate_that_is_not_good_is_told_and_ends_it() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let folder = tempfile::tempdir().unwrap();
    let ca = ours.file(folder.path());
    let ca = ca.to_str().unwrap();
    let alien = Peer::secure(theirs.server(LATER, None));
    let old = Peer::secure(ours.server(PAST, None));
    for (peer, why) in [(&alien, "is signed by nobody that is trusted"), (&old, "has expired")] {
        let wanted = format!("the certificate of {} {why}", peer.address);
        for command in ["ws", "hold"] {
            let ended = run(&[command, &peer.url(), "--ca-file", ca]);
            let told = ended.stdout.clone() + &ended.stderr;
            assert_eq!(ended.code, 1, "{told}");
            assert!(told.contains(&wanted), "{wanted}: {told}");
        }
    }
    // Without an authority of one's own, the platform's are asked, which do not know it either.
    let ended = run(&["ws", &alien.url()]);
    assert!([1, 2].contains(&ended.code) && !ended.stderr.is_empty(), "{}", ended.stderr);
}

#[test]
fn a_server_that_wants_a_certificate_gets_the_one_that_is_named() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let own = ours.sign(LATER);
    let ca = ours.file(folder.path());
    let certificate = write(folder.path(), "me.pem", &own.certificate);
    let key = write(folder.path(), "me.key", &own.key);
    let [ca, certificate, key] = [&ca, &certificate, &key].map(|path| path.to_str().unwrap());
    let peer = Peer::secure(ours.server(LATER, Some(&ours)));
    let url = peer.url();
    let with = ["ws", &url, "--ca-file", ca, "--cert-file", certificate, "--key-file", key];
    assert_eq!(connects(&with).code, 0);
    let ended = run(&["ws", &url, "--ca-file", ca]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("does not take our certificate"), "{}", ended.stderr);
}

/// A proxy that makes one tunnel; answers what it was asked for.
fn proxy(target: &Peer) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = target.address;
    let asked = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(client.try_clone().unwrap()).lines().map(Result::unwrap);
        let first = lines.next().unwrap();
        assert!(lines.any(|line| line.is_empty()), "a head ends with an empty line");
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        let server = TcpStream::connect(target).unwrap();
        for (mut from, mut to) in
            [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
        {
            thread::spawn(move || drop(std::io::copy(&mut from, &mut to)));
        }
        first
    });
    (url, asked)
}

#[test]
fn ws_goes_through_the_proxy_it_is_told() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let ca = ours.file(folder.path());
    let peer = Peer::secure(ours.server(LATER, None));
    let (proxy, asked) = proxy(&peer);
    let ca = ca.to_str().unwrap();
    let ended = connects(&["ws", &peer.url(), "--ca-file", ca, "--proxy", &proxy]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(asked.join().unwrap(), format!("CONNECT {} HTTP/1.1", peer.address));
}

#[test]
fn files_and_proxies_that_cannot_be_used_are_mistakes_and_nothing_turns_the_checks_off() {
    let folder = tempfile::tempdir().unwrap();
    let bad = write(folder.path(), "bad.pem", "x");
    let bad = bad.to_str().unwrap();
    let url = "wss://127.0.0.1:1";
    let cases = [
        (&["--ca-file", "no-such.pem"][..], "--ca-file no-such.pem: No such file"),
        (&["--ca-file", bad], "--ca-file names a file that cannot be used"),
        (&["--proxy", "http://me:hush@p"], "put it into HTTPS_PROXY"),
        (&["--proxy", "ftp://hush"], "--proxy: allowed: http://"),
        (&["--insecure-skip-verify"], "unexpected argument"),
    ];
    for (more, text) in cases {
        for command in ["ws", "hold"] {
            let ended = run(&[&[command, url], more].concat());
            assert_eq!(ended.code, 2, "{more:?}");
            assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
            assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
        }
    }
    let alone = run(&["ws", url, "--cert-file", bad]);
    assert!(alone.code == 2 && alone.stderr.contains("--key-file"), "{}", alone.stderr);
    let both = run(&["ws", url, "--cert-file", bad, "--key-file", bad]);
    assert!(both.code == 2 && both.stderr.contains("--cert-file names a file"), "{}", both.stderr);
    let plain = run(&["ws", "ws://127.0.0.1:1", "--ca-file", bad]);
    assert!(plain.code == 2 && plain.stderr.contains("for wss:// only"), "{}", plain.stderr);
    for (flag, value) in [("--ca-file", bad), ("--proxy", "none")] {
        let other = run(&["hold", "tcp://127.0.0.1:1", flag, value]);
        assert!(other.code == 2 && other.stderr.contains("only"), "{}", other.stderr);
    }
}

#[test]
fn serve_holds_what_its_file_says_about_tls_and_takes_a_renewed_file_at_a_reload() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let folder = tempfile::tempdir().unwrap();
    let ca = theirs.file(folder.path());
    let peer = Peer::secure(ours.server(LATER, None));
    let link = format!(
        "[[link]]\nname = \"feed\"\nurl = \"{}\"\nca_file = \"{}\"\nproxy = \"none\"\n",
        peer.url(),
        ca.display()
    );
    let serving = serve(&link);
    let shown = serving.until("/api/v1/links/feed", |link| link["state"] == "FAILED");
    let why = shown["last_error"]["message"].as_str().unwrap();
    assert!(why.contains("is signed by nobody that is trusted"), "{why}");
    assert_eq!(shown["failed"], "refused_permanently");
    ours.file(folder.path());
    serving.program.signal(Signal::HUP);
    serving.until("/api/v1/links/feed", |link| link["state"] == "CONNECTED");
    serving.program.signal(Signal::TERM);
    assert_eq!(serving.program.end().code, 0);
}

#[test]
fn serve_tells_of_a_certificate_that_has_expired() {
    let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
    let ca = ours.file(folder.path());
    let peer = Peer::secure(ours.server(PAST, None));
    let (url, ca) = (peer.url(), ca.display().to_string());
    let serving =
        serve(&format!("[[link]]\nname = \"feed\"\nurl = \"{url}\"\nca_file = \"{ca}\"\n"));
    let shown = serving.until("/api/v1/links/feed", |link| link["state"] == "FAILED");
    let why = shown["last_error"]["message"].as_str().unwrap();
    assert!(why.contains(&format!("the certificate of {} has expired", peer.address)), "{why}");
}
