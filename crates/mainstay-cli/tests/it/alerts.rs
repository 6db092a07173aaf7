//! Who is told of alerts.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{Ended, Program, command};

/// A server with this configuration, and where it is.
fn serve(folder: &Path, text: &str) -> (Program, String) {
    std::fs::write(folder.join("mainstay.toml"), text).unwrap();
    let mut serving = command(&["serve", "--listen", "127.0.0.1:0"]);
    serving.current_dir(folder);
    let mut serving = Program::start(serving);
    let line = serving.line("address", |line| line.contains(" listens on "));
    let url = format!("http://{}", line.rsplit("http://").next().unwrap());
    (serving, url)
}

fn ask(url: &str, args: &[&str]) -> Ended {
    let mut asking = command(args);
    asking.env("MAINSTAY_SERVER_URL", url);
    Program::start(asking).end()
}

/// One link that nobody answers, which is told at once.
const BROKEN: &str = "[monitor]\ninterval = \"1s\"\n\
    [[rule]]\nid = \"CONNECTION_RECONNECTING\"\ncritical = { enter = 0.001, exit = 0.001 }\n\
    [[link]]\nname = \"pay\"\nurl = \"tcp://127.0.0.1:1\"\n";

#[test]
fn alerts_are_listed_seen_to_and_silenced_and_a_check_says_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_serving, url) = serve(folder.path(), BROKEN);
    let end = Instant::now() + Duration::from_secs(30);
    let alert = loop {
        let listed = ask(&url, &["alerts", "list", "--state", "firing", "--json"]);
        assert_eq!(listed.code, 0, "{}", listed.stderr);
        if let Some(line) = listed.stdout.lines().next() {
            break serde_json::from_str::<Value>(line).unwrap();
        }
        assert!(Instant::now() < end, "it never fires");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(alert["rule"], "CONNECTION_RECONNECTING");
    let id = alert["id"].as_str().unwrap();
    let check = ask(&url, &["check"]);
    assert_eq!(check.code, 2, "{}", check.stdout);
    assert!(check.stdout.starts_with("MAINSTAY CRITICAL: 0 connected"), "{}", check.stdout);
    assert!(check.stdout.contains(" | sessions=0 links=0 firing=1"), "{}", check.stdout);
    let second = check.stdout.lines().nth(1).unwrap();
    assert!(second.starts_with("CRITICAL CONNECTION_RECONNECTING (link=pay): "), "{second}");
    let json: Value = serde_json::from_str(&ask(&url, &["check", "--json"]).stdout).unwrap();
    assert_eq!((&json["status"], &json["alerts"][0]["id"]), (&"CRITICAL".into(), &alert["id"]));
    assert_eq!(ask(&url, &["check", "--link", "pay"]).code, 2);
    assert_eq!(ask(&url, &["check", "--link", "none"]).code, 3, "nobody knows");

    let seen = ask(&url, &["alerts", "ack", &id[..6], "--note", "calling them", "--for", "1h"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let said = "CONNECTION_RECONNECTING (link=pay) is acknowledged until 2";
    assert!(seen.stdout.starts_with(said), "{}", seen.stdout);
    let check = ask(&url, &["check"]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    assert!(check.stdout.contains("1 alert, seen to"), "{}", check.stdout);
    assert_eq!(ask(&url, &["alerts", "ack", id, "--undo"]).code, 0);
    let hushed = ask(&url, &["alerts", "silence", id, "--reason", "known"]);
    assert!(hushed.stdout.contains("is silenced"), "{}{}", hushed.stdout, hushed.stderr);
    let listed = ask(&url, &["alerts", "list"]);
    assert!(listed.stdout.contains("FIRING, silenced"), "{}", listed.stdout);
    assert!(ask(&url, &["alerts", "silence", id, "--undo"]).stdout.contains("no longer"));
    for (args, code, text) in [
        (&["alerts", "ack", "zz"][..], 1, "there is no alert"),
        (&["alerts", "ack", "0000000000000000"], 1, "there is no alert"),
        (&["alerts", "silence", id], 2, "--reason"),
        (&["alerts", "list", "--state", "x"], 2, "pending, firing"),
        (&["check", "--nonsense"], 3, "unexpected argument"),
        (&["top", "--interval", "1ms"], 2, "from 200ms"),
        (&["top"], 3, "draws on a terminal"),
    ] {
        let ended = ask(&url, args);
        assert!(
            ended.code == code && ended.stderr.contains(text),
            "{args:?}: {} {}",
            ended.code,
            ended.stderr
        );
    }
    let top: Value = serde_json::from_str(&ask(&url, &["top", "--json"]).stdout).unwrap();
    assert_eq!((&top["links"][0]["name"], &top["alerts"][0]["id"]), (&"pay".into(), &alert["id"]));
    // What is told at once is kept a moment later.
    let whats = |wanted: &str| {
        let told = ask(&url, &["alerts", "history", "--rule", "CONNECTION_RECONNECTING"]);
        told.stdout.contains(wanted)
    };
    while !(whats("acknowledged by ") && whats("silence_ended")) {
        assert!(Instant::now() < end + Duration::from_secs(30), "the history never has it");
    }
}

#[test]
fn a_check_of_a_server_that_is_away_is_unknown() {
    let away = ask("http://127.0.0.1:1", &["check"]);
    assert_eq!(away.code, 3);
    assert!(away.stdout.starts_with("MAINSTAY UNKNOWN: no server answers"), "{}", away.stdout);
    let json = ask("http://127.0.0.1:1", &["check", "--json"]);
    assert!(json.code == 3 && json.stdout.contains("\"UNKNOWN\""), "{}", json.stdout);
    let top = ask("http://127.0.0.1:1", &["top"]);
    assert!(top.code == 3 && top.stderr.contains("no server answers"), "{}", top.stderr);
}

#[test]
fn a_receiver_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = |name: &str, program: &str| {
        format!("[[receiver]]\nname = \"{name}\"\nkind = \"command\"\ncommand = [{program:?}]\n")
    };
    let text = format!("{}{}", receiver("good", "/bin/true"), receiver("bad", "/bin/false"));
    let (_serving, url) = serve(folder.path(), &text);
    let ask = |args: &[&str]| {
        let mut asking = command(&[&["alerts", "test"], args].concat());
        asking.env("MAINSTAY_SERVER_URL", &url);
        Program::start(asking).end()
    };
    let good = ask(&["good"]);
    assert!(good.code == 0 && good.stdout.starts_with("good took it, in "), "{}", good.stderr);
    let bad = ask(&["bad"]);
    assert!(bad.code == 1 && bad.stderr.contains("bad did not take it"), "{}", bad.stderr);
    let bad = ask(&["bad", "--json"]);
    assert!(bad.code == 1 && bad.stdout.contains("\"delivered\":false"), "{}", bad.stdout);
    let none = ask(&["none"]);
    assert!(none.code == 1 && none.stderr.contains("there is: bad, good"), "{}", none.stderr);
}
