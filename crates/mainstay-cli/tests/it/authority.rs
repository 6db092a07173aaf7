//! The commands that ask an authority, against one that is served.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Ended, Program, ask, command};
use crate::serve::{Serving, serve};
use crate::server::{Answer, Server};

/// Both in one server: the gateway asks the authority beside it.
const FILE: &str = "[chittyid.authority]\nmints_per_minute = 1000\n[chittyid.gateway]\n";

fn at(serving: &Serving, args: &[&str]) -> Command {
    let mut asking = command(args);
    asking.env("CHITTYID_SERVICE_URL", format!("http://{}", serving.address));
    asking.env_remove("CHITTY_ID_TOKEN");
    asking
}

fn run(serving: &Serving, args: &[&str]) -> Ended {
    Program::start(at(serving, args)).end()
}

#[test]
fn ids_are_minted_and_the_authority_knows_them() {
    let serving = serve(FILE);
    let one = run(&serving, &["id", "mint", "peo", "--name", "Ann", "--meta", "a=1", "--json"]);
    assert_eq!((one.code, one.stderr.as_str()), (0, ""));
    let minted: Value = serde_json::from_str(&one.stdout).unwrap();
    let id = minted["chittyId"].as_str().unwrap();
    assert_eq!(minted["metadata"], serde_json::json!({ "a": "1" }));
    let (status, info) = ask(&serving.address, "GET", &format!("/v1/{id}/info"), None);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!((status, &info["name"], &info["entity"]), (200, &"Ann".into(), &"PEO".into()));
    let many = run(&serving, &["id", "mint", "INFO", "--count", "230"]);
    assert_eq!(many.code, 0, "{}", many.stderr);
    let mut ids: Vec<&str> = many.stdout.lines().collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 230);
    let unknown = "CT-A-CHI-9999-I-26-A-Z";
    let asked = run(&serving, &["id", "validate", "--remote", id, ids[7], unknown]);
    assert_eq!(asked.code, 1);
    assert_eq!(
        asked.stdout,
        format!(
            "{id}: valid, client-v1\n{}: valid, client-v1\n{unknown}: invalid: this authority has \
             not issued it\n",
            ids[7]
        )
    );
    assert_eq!(asked.stderr, "3 ids: 2 valid, 1 invalid\n");
}

#[test]
fn a_list_of_ids_is_asked_about_line_by_line() {
    let serving = serve(FILE);
    let minted = run(&serving, &["id", "mint", "FACT", "--count", "100"]).stdout;
    let mut asking = at(&serving, &["id", "validate", "--remote", "--invalid-only", "--json", "-"]);
    asking.stdin(Stdio::piped());
    let mut asking = Program::start(asking);
    asking.write(&format!("{minted}nonsense\n"));
    asking.close_input();
    let ended = asking.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""));
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["id"], &lines[0]["line"]), (&"nonsense".into(), &101.into()));
    let counts = serde_json::json!({ "ids": 101, "valid": 100, "invalid": 1 });
    assert_eq!(lines[1]["summary"], counts);
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_verdict_is_told_while_the_next_line_is_awaited() {
    let serving = serve(FILE);
    let id = run(&serving, &["id", "mint", "FACT"]).stdout;
    let mut asking = at(&serving, &["id", "validate", "--remote", "-"]);
    asking.stdin(Stdio::piped());
    let mut asking = Program::start(asking);
    for text in [id.as_str(), "nonsense\n", id.as_str()] {
        asking.write(text);
        asking.line("verdict", |line| line.starts_with(text.trim_end()));
    }
    asking.close_input();
    let ended = asking.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
}

#[test]
fn the_same_idempotency_key_mints_nothing_more() {
    let serving = serve(FILE);
    let args = ["id", "mint", "EVNT", "--count", "150", "--idempotency-key", "import-7"];
    let first = run(&serving, &args);
    assert_eq!((first.code, first.stdout.lines().count()), (0, 150));
    assert_eq!(run(&serving, &args).stdout, first.stdout);
}

#[test]
fn the_limit_of_an_authority_is_waited_for() {
    let authority = Server::new(|number| match number {
        1..=3 => Answer::Status(429, "Retry-After: 1\r\n", "{}"),
        _ => Answer::Status(
            200,
            "Content-Type: application/json\r\n",
            r#"{"chittyIds":["CT-A-CHI-0001-I-26-A-0","CT-A-CHI-0002-I-26-A-0"]}"#,
        ),
    });
    let url = authority.url("");
    let many = Program::start(command(&["id", "mint", "INFO", "--count", "2", "--url", &url]));
    let many = many.end();
    assert_eq!((many.code, many.stdout.lines().count()), (0, 2), "{}", many.stderr);
    assert_eq!(many.stderr, "the authority gives no more for 1 s: waiting\n");
}

#[test]
fn nothing_more_is_minted_for_a_reader_who_has_gone() {
    let serving = serve("[chittyid.authority]\nmints_per_minute = 100000\n");
    for into in ["| head -n 1", "> /dev/full"] {
        let mut minting = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_mainstay");
        let order = format!("({program} id mint INFO --count 50000; echo $? >&2) {into}");
        minting.args(["-c", &order]).env("NO_PROXY", "*").env_remove("CHITTY_ID_TOKEN");
        minting.env("CHITTYID_SERVICE_URL", format!("http://{}", serving.address));
        minting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = Program::start(minting).end();
        assert!(ended.stderr.contains(" were minted, but standard output"), "{}", ended.stderr);
        assert!(ended.stderr.trim_end().ends_with('3'), "{}", ended.stderr);
    }
}

#[test]
fn metadata_that_is_too_long_is_said_to_be_and_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.json");
    // What is cut after the limit is an object still.
    let blanks = " ".repeat(1 << 20);
    std::fs::write(&path, format!("{{\"a\":1}}{blanks}nonsense")).unwrap();
    let path = path.to_str().unwrap();
    let ended = Program::start(command(&["id", "mint", "INFO", "--meta-file", path])).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("has more than 1048576 bytes"), "{}", ended.stderr);
}

#[test]
fn an_authority_that_is_not_there_leaves_ids_unverified_and_mints_nothing() {
    let nobody = "http://127.0.0.1:1";
    let mut asking = command(&["id", "validate", "--remote", "--json", "CT-A-CHI-0001-I-26-A-0"]);
    asking.env("CHITTYID_SERVICE_URL", nobody);
    let ended = Program::start(asking).end();
    let line: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((ended.code, &line["valid"]), (3, &Value::Null), "{line}");
    let ended = Program::start(command(&["id", "mint", "INFO", "--url", nobody])).end();
    assert_eq!((ended.code, ended.stdout.as_str()), (3, ""));
    assert!(ended.stderr.contains("refuses connections"), "{}", ended.stderr);
}

#[test]
fn a_key_is_shown_from_the_environment_and_never_written() {
    let key = "msk_a-key-that-nobody-may-read";
    let hashed = Program::start({
        let mut hashing = command(&["key", "hash"]);
        hashing.stdin(Stdio::piped());
        hashing
    });
    let mut hashed = hashed;
    hashed.write(key);
    hashed.close_input();
    let hash = hashed.end().stdout.trim().to_owned();
    let file =
        format!("{FILE}[[auth.key]]\nname = \"registry\"\nhash = \"{hash}\"\nrole = \"client\"\n");
    let serving = serve(&file);
    let without = run(&serving, &["id", "mint", "INFO"]);
    assert_eq!((without.code, without.stdout.as_str()), (2, ""), "{}", without.stderr);
    for (shown, code) in [(key, 0), ("msk_another-key-of-nobody", 2)] {
        let mut asking = at(&serving, &["id", "mint", "INFO", "--json"]);
        asking.env("CHITTY_ID_TOKEN", shown);
        let ended = Program::start(asking).end();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(shown));
    }
}

#[test]
fn an_authority_is_measured_as_seed_002_asks() {
    let serving = serve(FILE);
    let args = ["id", "bench", "--mints", "50", "--validations", "200", "--concurrency", "4"];
    let shown = run(&serving, &args);
    assert_eq!(shown.code, 0, "{}{}", shown.stdout, shown.stderr);
    for text in [
        "ChittyID Generation Benchmark\n=============================\n50 generations: ",
        "Success rate: 100%, errors: 0",
        "200 validations, cached: ",
        "200 validations, uncached: ",
        "200 validations, 70% cached: ",
    ] {
        assert!(shown.stdout.contains(text), "{text}: {}", shown.stdout);
    }
    let json = run(&serving, &[&args[..], &["--json"]].concat());
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["minted"]["count"], &json["mixed"]["count"]), (&50.into(), &200.into()));
    let elsewhere = run(&serving, &["id", "bench", "--url", "http://192.0.2.1"]);
    assert_eq!(elsewhere.code, 2);
    assert!(elsewhere.stderr.contains("--yes-i-own-this"), "{}", elsewhere.stderr);
}

#[test]
fn the_deployment_checklist_of_seed_002_passes() {
    // With every default, also the limit of a hundred ids a minute.
    let serving = serve("[chittyid.authority]\n[chittyid.gateway]\n");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/chittyid/checklist.sh");
    let mut checking = Command::new("sh");
    checking.arg(script).arg(format!("http://{}", serving.address));
    checking.env_remove("CHITTY_ID_TOKEN").env("NO_PROXY", "*");
    checking.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = Program::start(checking).end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    assert_eq!(ended.stdout.lines().count(), 8);
    assert!(ended.stdout.lines().all(|line| line.starts_with("ok ")), "{}", ended.stdout);
}

#[test]
fn the_monitor_judges_what_a_gateway_stands_on() {
    let monitor = "[monitor]\ninterval = \"1s\"\npacks = [\"chittyid\"]\n";
    let serving = serve(&format!("{FILE}{monitor}"));
    let name = "chittyid-gateway";
    serving.until("/api/v1/monitor/groups", |all| {
        let groups = all["groups"].as_array().unwrap();
        ["cache", "gate"].iter().all(|kind| groups.contains(&format!("{kind}:{name}").into()))
    });
    // Each id is new to the cache.
    let minted = run(&serving, &["id", "mint", "INFO", "--count", "20"]);
    for id in minted.stdout.lines() {
        let (status, body) = ask(&serving.address, "GET", &format!("/api/id/validate/{id}"), None);
        assert_eq!(status, 200, "{body}");
    }
    let all = serving.until("/api/v1/alerts?rule=CHITTYID_CACHE_HIT_RATE", |all| {
        all["alerts"][0]["state"] == "FIRING"
    });
    let alert = &all["alerts"][0];
    assert_eq!((&alert["labels"]["cache"], &alert["severity"]), (&name.into(), &"MEDIUM".into()));
    let (_, page) = ask(&serving.address, "GET", "/metrics", None);
    for line in [
        format!("mainstay_cache_misses_total{{cache=\"{name}\"}} 20"),
        format!("mainstay_cache_hits_total{{cache=\"{name}\"}} 0"),
        format!("mainstay_cache_capacity{{cache=\"{name}\"}} 10000"),
        format!("mainstay_gate_failed_total{{gate=\"{name}\"}} 0"),
        format!("mainstay_breaker_open{{gate=\"{name}\"}} 0"),
        format!("mainstay_breaker_half_open{{gate=\"{name}\"}} 0"),
    ] {
        assert!(page.lines().any(|found| found == line), "{line}: {page}");
    }
    // Its link is watched from the first request on.
    let up = format!("mainstay_link_up{{link=\"{name}\"}} ");
    assert!(page.contains(&up), "{page}");
}

#[test]
fn no_link_has_the_name_under_which_the_gateway_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let check = |ids: &str| {
        let link = "[[link]]\nname = \"chittyid-gateway\"\nurl = \"http://127.0.0.1:1/\"\n";
        std::fs::write(folder.path().join("m.toml"), format!("{ids}{link}")).unwrap();
        let mut checking = command(&["config", "check", "m.toml"]);
        checking.current_dir(folder.path());
        Program::start(checking).end()
    };
    let refused = check(FILE);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert_ne!(refused.code, 0, "{said}");
    assert!(said.contains("m.toml:5: link.0.name: is \"chittyid-gateway\""), "{said}");
    assert_eq!(check("[chittyid.authority]\n").code, 0, "nothing else has it");
}
