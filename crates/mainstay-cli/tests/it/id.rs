use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Ended, Program, ask, command, expect_file, run, run_in};
use crate::serve::{Serving, serve};

const TEXTS: [&str; 6] = [
    "CT-A-CHI-0001-P-26-A-0",
    "03-1-USA-5537-P-2602-0-38",
    "03-1-USA-5537-P-2602-0-39",
    "01-C-INF-0177-I-2510-7-23",
    "ct-a-chi-0001-p-26-a-0",
    "CT-A-CHI-001-P-26-A-0",
];

fn piped(args: &[&str], input: &[u8]) -> Ended {
    let mut checking = command(args);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), input).unwrap();
    checking.stdin(Stdio::from(file.reopen().unwrap()));
    Program::start(checking).end()
}

#[test]
fn ids_are_valid_or_it_is_told_why_not() {
    let args = ["id", "validate"];
    let ended = run(&[&args[..], &TEXTS].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (1, "6 ids: 1 valid, 5 invalid\n"));
    expect_file("id-validate.txt", &ended.stdout);
    let args = ["id", "validate", "--profile", "interop", "--json"];
    let ended = run(&[&args[..], &TEXTS].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""));
    expect_file("id-validate-json.txt", &ended.stdout);
    for line in ended.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let one = run(&["id", "validate", TEXTS[0]]);
    assert_eq!((one.code, one.stderr.as_str()), (0, ""), "one needs no summary");
    for (text, code) in [(TEXTS[0], 0), (TEXTS[1], 1)] {
        let quiet = run(&["id", "validate", "--quiet", text]);
        assert_eq!((quiet.code, quiet.stdout + &quiet.stderr), (code, String::new()));
    }
    let all = run(&["id", "validate", "--profile", "canonical-03,service-v1", TEXTS[1], TEXTS[3]]);
    assert_eq!(all.code, 0, "{}", all.stdout);
}

#[test]
fn each_line_of_standard_input_is_an_id() {
    let long = "x".repeat(3_000_000);
    let text = format!(
        "{}\n{}\r\n\n {}\n{long}\nä\u{1b}[31m\n\0\n{}",
        TEXTS[0], TEXTS[0], TEXTS[0], TEXTS[1]
    );
    let bytes = [text.as_bytes(), b"\n\xff\xfe\n"].concat();
    let ended = piped(&["id", "validate", "-"], &bytes);
    assert_eq!((ended.code, ended.stderr.as_str()), (1, "9 ids: 2 valid, 7 invalid\n"));
    expect_file("id-validate-lines.txt", &ended.stdout);
    let ended = piped(&["id", "validate", "--invalid-only", "--profile", "all", "-"], &bytes);
    assert_eq!(ended.stdout.lines().count(), 6, "{}", ended.stdout);
    assert!(!ended.stdout.contains("valid, "), "{}", ended.stdout);
    let json = piped(&["id", "validate", "--json", "-", TEXTS[0]], &bytes);
    let lines: Vec<Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 11);
    assert_eq!(
        (&lines[4]["line"], lines[4]["id"].as_str().unwrap().chars().count()),
        (&5.into(), 65)
    );
    assert_eq!(lines[9].get("line"), None, "it was no line");
    assert_eq!(lines[10]["summary"]["ids"], 10);
    let none = piped(&["id", "validate", "-"], b"");
    assert_eq!((none.code, none.stderr.as_str()), (0, "0 ids: 0 valid, 0 invalid\n"));
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let mut checking = command(&["id", "validate", "-"]);
    checking.stdin(Stdio::piped());
    let mut child = checking.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    // More than pipes hold: it does not wait until somebody has read it.
    let lines = format!("{}\n", TEXTS[0]).repeat(1_000) + "\n";
    let writing = std::thread::spawn(move || while input.write_all(lines.as_bytes()).is_ok() {});
    let mut start = [0; 22];
    output.read_exact(&mut start).unwrap();
    assert_eq!(&start, TEXTS[0].as_bytes());
    drop(output);
    writing.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "empty lines are no ids");
}

#[test]
fn what_an_id_says_is_told_part_by_part() {
    let examples = [
        ("CT-A-CHI-0000-I-24-A-0", 0),
        ("01-C-INF-0177-I-2510-7-23", 0),
        ("03-1-USA-5537-P-2602-0-38", 0),
        ("03-1-USA-0001-P-251-3-15", 1),
        ("CP-A-001-1234-P-2509-I-82", 0),
        ("03-C-GEN-0001-P-259-3-10", 0),
        ("CHITTY-PEO-00001-A1B2C3", 0),
        ("AA-C-TSK-1234-I-25-7-X", 0),
        ("01-N-USA-1234-P-25-3-X", 0),
        ("01-C-ACT-4829-PEO-Q5-7-0", 0),
        ("03-1-USA-0001-P-Q5-3-7", 0),
        ("01-1-USA-0001-P-202513-3-7", 0),
        ("02-C-DOC-1234-I-2B-7-A", 0),
        ("03-1-USA-5537-X-2602-0-38", 1),
        ("CT-A-CHI-0000-I-24-A", 1),
        (" CT-A-CHI-0000-I-24-A-0", 1),
        ("\u{1b}[31mred", 1),
        ("", 1),
    ];
    let (mut text, mut json) = (String::new(), String::new());
    for (id, code) in examples {
        let ended = run(&["id", "inspect", id]);
        assert_eq!((ended.code, ended.stderr.as_str()), (code, ""), "{id}");
        text.push_str(&ended.stdout);
        text.push_str("---\n");
        let ended = run(&["id", "inspect", id, "--json"]);
        assert_eq!(ended.code, code, "{id}");
        let line: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(line["valid"], code == 0, "{line}");
        json.push_str(&ended.stdout);
    }
    assert!(!text.contains('\u{1b}'), "what is shown cannot steer a terminal");
    expect_file("id-inspect.txt", &text);
    expect_file("id-inspect-json.txt", &json);
}

/// Posts an order; answers status and body.
fn post(address: &str, path: &str, key: Option<&str>, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(crate::program::PATIENCE)).unwrap();
    let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\n{key}Content-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn an_authority_is_served_where_the_configuration_names_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = command(&["id", "serve", "--listen", "127.0.0.1:0"]);
    serving.current_dir(folder.path());
    let mut program = Program::start(serving);
    let line = program.line("address", |line| line.contains(" listens on "));
    let address = line.rsplit("http://").next().unwrap().to_owned();
    program.line("authority", |line| line.contains("chittyid authority: gives client-v1 ids"));
    let (status, answer) = post(&address, "/v1/mint", None, "{\"entity\":\"PEO\"}");
    assert_eq!((status, &answer["success"]), (200, &true.into()), "{answer}");
    let id = answer["chittyId"].as_str().unwrap();
    let (status, body) = ask(&address, "GET", &format!("/v1/validate/{id}"), None);
    assert!(status == 200 && body.contains("\"valid\":true"), "{body}");
    assert_eq!(run(&["id", "validate", id]).code, 0);
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(program.end().code, 0);
    // Plain `serve` has none.
    let plain = serve("[log]\nlevel = \"warn\"\n");
    assert_eq!(post(&plain.address, "/v1/mint", None, "{}").0, 404);
}

#[test]
fn whoever_may_hold_a_session_without_credentials_may_not_mint() {
    let file = "[server]\ntoken_env = \"TOKEN\"\n[auth]\nanonymous_clients = true\n\
                [chittyid.authority]\n";
    let Serving { program: _program, address, folder: _folder } = serve(file);
    let order = "{\"entity\":\"PEO\"}";
    for key in [None, Some("another-token-than-ours")] {
        let (status, answer) = post(&address, "/v1/mint", key, order);
        assert_eq!((status, &answer["error"]), (401, &"UNAUTHORIZED".into()), "{answer}");
    }
    assert_eq!(post(&address, "/v1/mint", Some("0123456789abcdef0123"), order).0, 200);
    let (status, log) = ask(&address, "GET", "/v1/audit", Some("0123456789abcdef0123"));
    assert!(status == 200 && log.contains("\"by\":\"server.token\""), "{log}");
    assert!(!log.contains("0123456789abcdef0123"), "{log}");
}

#[test]
fn every_field_of_an_authority_that_makes_no_sense_has_its_line() {
    let cases = [
        ("profile = \"client-v2\"", "profile", "client-v2"),
        ("version = \"C\"", "version", ""),
        ("generation = \"AB\"", "generation", "character"),
        ("generation = \"a\"", "generation", ""),
        ("location = \"chi\"", "location", ""),
        ("category = \"1\"", "category", ""),
        ("region = 0", "region", ""),
        ("region = 300", "region", ""),
        ("jurisdiction = \"US\"", "jurisdiction", ""),
        ("trust = 6", "trust", ""),
        ("mints_per_minute = 0", "mints_per_minute", ""),
        ("batch_max = 101", "batch_max", "100"),
        ("metadata_max = 10001", "metadata_max", "10000"),
        ("idempotency_for = \"1s\"", "idempotency_for", ""),
        ("idempotency_for = 5", "idempotency_for", ""),
        ("audit = \"none\"", "audit", "none"),
        ("audit_for = \"1h\"", "audit_for", ""),
        ("nonsense = 1", "nonsense", "unknown field"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (line, field, says) in cases {
        let text = format!("[log]\nlevel = \"info\"\n\n[chittyid.authority]\n{line}\n");
        fs::write(folder.path().join("bad.toml"), text).unwrap();
        let checked = run_in(folder.path(), &["config", "check", "bad.toml"]);
        let wanted = format!("bad.toml:5: chittyid.authority.{field}: ");
        assert_eq!(checked.code, 1, "{line}");
        assert!(checked.stdout.starts_with(&wanted), "{line}: {}", checked.stdout);
        assert!(checked.stdout.contains(says), "{line}: {}", checked.stdout);
    }
    for (line, field) in
        [("engine = \"memory\"", "engine"), ("durability = \"none\"", "durability")]
    {
        let text = format!("[store]\n{line}\n[chittyid.authority]\n");
        fs::write(folder.path().join("bad.toml"), text).unwrap();
        let checked = run_in(folder.path(), &["config", "check", "bad.toml"]);
        let wanted = format!("bad.toml:2: store.{field}: ");
        assert_eq!(checked.code, 1, "{line}");
        assert!(checked.stdout.starts_with(&wanted), "{line}: {}", checked.stdout);
        assert!(checked.stdout.contains("[chittyid.authority]"), "{}", checked.stdout);
        let ended = run_in(folder.path(), &["id", "serve", "--config", "bad.toml"]);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
    }
}
