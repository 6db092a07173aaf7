use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{Ended, PATIENCE, Program, command};

/// A server on a free port, or on `port`, that keeps what it has in a folder.
struct Serving {
    program: Program,
    address: String,
}

fn serve(folder: &std::path::Path, port: u16, more: &str) -> Serving {
    std::fs::write(folder.join("mainstay.toml"), more).unwrap();
    let mut serving = command(&["serve", "--listen", &format!("127.0.0.1:{port}")]);
    serving.current_dir(folder);
    let mut program = Program::start(serving);
    let line = program.line("address", |line| line.contains(" listens on "));
    Serving { program, address: line.rsplit("http://").next().unwrap().to_owned() }
}

impl Serving {
    /// Begins a session; answers its name.
    fn register(&self, user: &str) -> String {
        let hello = json!({
            "v": 1, "client": { "type": "till", "version": "1" }, "user": user,
            "organisation": "acme",
        });
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (text, address) = (hello.to_string(), &self.address);
        let length = text.len();
        write!(
            stream,
            "POST /api/v1/sessions HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{text}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 201"), "{answer}");
        let welcome: Value = serde_json::from_str(body).unwrap();
        welcome["session"].as_str().unwrap().to_owned()
    }

    fn start(&self, args: &[&str]) -> Program {
        let mut asking = command(&[&["sessions"], args].concat());
        asking.env("MAINSTAY_SERVER_URL", format!("http://{}", self.address));
        Program::start(asking)
    }

    fn ask(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }
}

#[test]
fn sessions_are_listed_shown_told_and_sent_away() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serve(folder.path(), 0, "");
    let kim = serving.register("kim");
    let lee = serving.register("lee");
    let list = serving.ask(&["list", "--user", "kim"]);
    let fields: Vec<&str> = list.stdout.trim_end().split('\t').collect();
    assert_eq!((list.code, &fields[..5]), (0, &[&*kim, "kim", "acme", "till", "CONNECTED"][..]));
    let json = serving.ask(&["list", "--json", "--status", "connected"]);
    let names: Vec<String> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["user"].to_string())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let one = serving.ask(&["list", "--limit", "1"]);
    assert_eq!((one.stdout.lines().count(), one.stderr.as_str()), (1, "there are more: --limit\n"));
    let shown = serving.ask(&["show", &kim]);
    assert!(shown.stdout.contains("organisation            acme\n"), "{}", shown.stdout);
    let sent = serving.ask(&["send", &kim, "{\"refresh\":true}"]);
    assert_eq!(sent.stdout, "message 1 is on its way\n", "{}", sent.stderr);
    let kicked = serving.ask(&["kick", &kim, "--reason", "enough"]);
    assert_eq!((kicked.code, kicked.stdout), (0, format!("{kim} is sent away\n")));
    let kicked = serving.ask(&["kick", "--user", "lee", "--json"]);
    assert_eq!(kicked.stdout, "{\"matched\":1,\"spread_ms\":0}\n");
    let told = serving.ask(&["history", &kim]);
    let events: Vec<&str> =
        told.stdout.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(events, ["session.registered", "session.gone"]);
    let all = serving.ask(&["history", "--json", "--limit", "3"]);
    assert_eq!((all.stdout.lines().count(), all.stderr.as_str()), (3, "there are more: --limit\n"));
    let gone = serving.ask(&["send", &lee, "1"]);
    assert_eq!((gone.code, gone.stderr), (1, format!("error: the session {lee} is over\n")));
}

#[test]
fn whoever_asks_hears_what_is_wrong_and_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let hash = mainstay_server::auth::KeyHash::of("msk_right");
    let keys = format!("[[auth.key]]\nname = \"ops\"\nrole = \"operator\"\nhash = \"{hash}\"\n");
    let serving = serve(folder.path(), 0, &keys);
    let ask = |args: &[&str], key: Option<&str>| {
        let mut asking = command(&[&["sessions"], args].concat());
        asking.env("MAINSTAY_SERVER_URL", format!("http://{}", serving.address));
        key.map(|key| asking.env("MAINSTAY_KEY", key));
        Program::start(asking).end()
    };
    let nothing = ask(&["list"], None);
    let wanted = "error: the server asks for a key: put one into MAINSTAY_KEY\n";
    assert_eq!((nothing.code, nothing.stderr.as_str()), (2, wanted));
    let wrong = ask(&["list"], Some("msk_wrong"));
    assert_eq!(wrong.code, 2);
    assert!(!wrong.stderr.contains("msk_wrong"), "{}", wrong.stderr);
    assert_eq!(ask(&["list"], Some("msk_right")).code, 0);
    let many = ask(&["kick", "--all"], Some("msk_right"));
    assert_eq!(many.code, 2);
    assert!(many.stderr.starts_with("error: not allowed: "), "{}", many.stderr);
    let none = ask(&["show", "01900000-0000-7000-8000-000000000000"], Some("msk_right"));
    assert_eq!(none.code, 1, "{}", none.stderr);
    let nobody = Program::start(command(&["sessions", "list", "--server", "http://127.0.0.1:1"]));
    let nobody = nobody.end();
    assert_eq!(nobody.code, 3);
    assert!(nobody.stderr.contains("`mainstay serve` starts one"), "{}", nobody.stderr);
    let nobody = Program::start(command(&["sessions", "watch", "--server", "http://127.0.0.1:1"]));
    assert_eq!(nobody.end().code, 3);
}

#[test]
fn whoever_watches_misses_nothing_while_the_server_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serve(folder.path(), 0, "");
    let port: u16 = serving.address.rsplit(':').next().unwrap().parse().unwrap();
    let mut watching = serving.start(&["watch", "--after", "0", "--json"]);
    let mut seen = Vec::new();
    let next = |program: &mut Program, user: &str| -> Value {
        let wanted = format!("\"user\":\"{user}\"");
        let line = program
            .line("event", |line| line.contains("session.registered") && line.contains(&wanted));
        serde_json::from_str(&line).unwrap()
    };
    serving.register("kim");
    seen.push(next(&mut watching, "kim")["session"].clone());
    serving.program.signal(Signal::TERM);
    assert_eq!(serving.program.end().code, 0);
    watching.error_line("attempt 1 in");
    let serving = serve(folder.path(), port, "");
    serving.register("lee");
    seen.push(next(&mut watching, "lee")["session"].clone());
    watching.signal(Signal::INT);
    let ended = watching.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(seen[0] != seen[1] && seen.iter().all(Value::is_string));
}
