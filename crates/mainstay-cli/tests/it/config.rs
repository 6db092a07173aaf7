use std::fs;

use serde_json::Value;

use crate::program::{Program, command, expect_file, run_in};
use crate::tls::{Authority, write};

#[test]
fn the_example_is_written_once_and_makes_sense() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["config", "init"]).code, 0);
    let again = run_in(folder.path(), &["config", "init"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(run_in(folder.path(), &["config", "init", "--force"]).code, 0);
    let written = fs::read_to_string(folder.path().join("mainstay.toml")).unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/mainstay.toml");
    assert_eq!(written, fs::read_to_string(example).unwrap());
    let checked = run_in(folder.path(), &["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stdout);
    // What is commented out makes sense too.
    let all: String = written
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with('[') => format!("{rest}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    fs::write(folder.path().join("all.toml"), all).unwrap();
    // With the files that it names.
    let ours = Authority::new("ours");
    let own = ours.sign(4000);
    ours.file(folder.path());
    write(folder.path(), "me.pem", &own.certificate);
    write(folder.path(), "me.key", &own.key);
    let mut checking = command(&["config", "check", "all.toml"]);
    checking.current_dir(folder.path());
    checking.env("MAINSTAY_TOKEN", "0123456789abcdef").env("API_TOKEN", "secret");
    checking.env("BACKUP_TOKEN", "0123456789abcdef").env("MAIL_PASSWORD", "hush");
    checking.env("CRM_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    for address in ["SLACK_URL", "WATCHDOG_URL"] {
        checking.env(address, "https://example.org/hook");
    }
    let checked = Program::start(checking).end();
    let wanted =
        if cfg!(feature = "otlp") { "ok (links: 7, policies: 1)\n" } else { "needs a mainstay" };
    assert!(checked.stdout.contains(wanted), "{}", checked.stdout);
}

const BAD: &str = r#"[server]
listen = "nonsense"
token = "hush"

[policy.few.call]
attempts = 0

[policy.many]
preset = "axon"
gate.breaker.consecutive_failures = 70000

[[link]]
name = "a"
url = "http://me:hush@example.org/"

[[link]]
name = "a"
url = "tcp://example.org:1"
policy = "nonsense"

[link.health]
timeout = "10s"
interval = "5s"
"#;

#[test]
fn every_problem_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.toml"), BAD).unwrap();
    let checked = run_in(folder.path(), &["config", "check", "bad.toml"]);
    assert_eq!(checked.code, 1);
    expect_file("config-check.txt", &checked.stdout);
    let json = run_in(folder.path(), &["config", "check", "bad.toml", "--json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["problems"][0]["line"], 2);
    let served = run_in(folder.path(), &["serve", "--config", "bad.toml"]);
    assert_eq!(served.code, 2);
    assert!(served.stderr.contains("bad.toml:2: server.listen"), "{}", served.stderr);
    assert!(!served.stderr.contains("hush"), "{}", served.stderr);
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file =
        "[server]\nlisten = \"127.0.0.1:1\"\ndata_dir = \"file\"\nshutdown_deadline = \"3s\"";
    fs::write(folder.path().join("mainstay.toml"), file).unwrap();
    let mut showing = command(&["config", "show", "--listen", "127.0.0.1:3"]);
    showing.current_dir(folder.path());
    showing.env("MAINSTAY_SERVER__LISTEN", "127.0.0.1:2");
    showing.env("MAINSTAY_SERVER__DATA_DIR", "environment");
    let shown = Program::start(showing).end();
    expect_file("config-show.txt", &shown.stdout);
}
