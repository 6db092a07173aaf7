use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Ended, Program, command, run};
use crate::serve::serve;

const ECHO: &str = "[sessions]\nmessages = \"echo\"\n\
                    retry = { base = \"20ms\", max = \"200ms\", jitter = \"80ms\", drain = \"0ms\" }\n";

/// A load with these arguments; the server is the first.
fn load(address: &str, args: &str) -> Program {
    let url = format!("ws://{address}/v1/connect");
    let line: Vec<&str> = ["load", &url].into_iter().chain(args.split_whitespace()).collect();
    Program::start(command(&line))
}

/// The report, which is the last line.
fn report(ended: &Ended) -> Value {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let report: Value = serde_json::from_str(last).unwrap_or_default();
    assert_eq!(report["event"], "load.report", "{}{}", ended.stdout, ended.stderr);
    report
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("no {name}: {report}"))
}

#[test]
fn clients_that_drop_their_connections_lose_and_double_no_message() {
    let server = serve(ECHO);
    let ended = load(
        &server.address,
        "--connections 40 --rate 200 --messages 20 --flaky 0.5 --flaky-every 300ms --for 3s --json",
    )
    .end();
    let report = report(&ended);
    assert_eq!((ended.code, &report["faults"]), (0, &Value::Array(Vec::new())), "{report}");
    let of = |name| count(&report, name);
    assert!(of("dropped") > 20, "{report}");
    assert_eq!(of("sessions"), 40, "{report}");
    assert!(of("resumed_with_replay") > 20, "{report}");
    assert_eq!((of("resumed_without_replay"), of("unknown"), of("echo_unknown")), (0, 0, 0));
    assert!(of("sent") > 500, "{report}");
    assert_eq!((of("acknowledged"), of("echoed")), (of("sent"), of("sent")));
    // Some were on their way when a connection was dropped, and came all the same.
    assert!(count(&report["over_a_break"], "count") > 0, "{report}");
    let trips = count(&report["round_trip"], "count") + count(&report["over_a_break"], "count");
    assert_eq!(trips, of("sent"), "each has one round trip");
}

#[test]
fn a_server_that_sends_nothing_back_acknowledges_all_the_same() {
    let server = serve("");
    let ended = load(&server.address, "--connections 5 --messages 10 --for 1s").end();
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("nothing came back"), "{}", ended.stdout);
    assert!(ended.stdout.contains("ok: every message was acknowledged once\n"), "{}", ended.stdout);
}

#[test]
fn several_processes_count_together() {
    let server = serve(ECHO);
    let args = "--connections 9 --messages 10 --for 1s --processes 3 --json";
    let ended = load(&server.address, args).end();
    let report = report(&ended);
    assert_eq!((ended.code, count(&report, "processes")), (0, 3), "{report}");
    assert_eq!((count(&report, "begun"), count(&report, "sessions")), (9, 9));
    assert_eq!(count(&report["connect"], "count"), 9);
    assert_eq!(count(&report, "echoed"), count(&report, "sent"));
}

#[test]
fn a_signal_ends_a_load_with_goodbyes_and_a_report() {
    for processes in ["1", "2"] {
        let mut server = serve(ECHO);
        let args = format!("--connections 6 --messages 5 --for 1h --json --processes {processes}");
        let mut program = load(&server.address, &args);
        program.line("all clients", |line| {
            line.contains("load.progress")
                && serde_json::from_str::<Value>(line).unwrap()["open"] == 6
        });
        program.signal(Signal::INT);
        let ended = program.end();
        let report = report(&ended);
        assert_eq!((ended.code, &report["whole"]), (0, &Value::Bool(false)), "{report}");
        assert_eq!(count(&report, "failed"), 0);
        // Nobody is left, so that there is nobody to wait for.
        server.program.signal(Signal::TERM);
        server.program.error_line("stopped in good order");
    }
}

#[test]
fn what_a_server_knew_that_was_killed_is_told_as_unknown_and_comes_once_at_most() {
    let first = serve(ECHO);
    let mut program =
        load(&first.address, "--connections 10 --messages 20 --for 6s --rate 100 --json");
    program.line("all clients", |line| {
        line.contains("load.progress") && serde_json::from_str::<Value>(line).unwrap()["open"] == 10
    });
    let (address, folder) = (first.address.clone(), first.folder);
    // Dropped, it is killed.
    drop(first.program);
    let mut again = command(&["serve", "--listen", &address]);
    again.current_dir(folder.path());
    let mut server = Program::start(again);
    server.line("address", |line| line.contains(" listens on "));
    let ended = program.end();
    let report = report(&ended);
    assert_eq!((ended.code, &report["faults"]), (0, &Value::Array(Vec::new())), "{report}");
    let of = |name| count(&report, name);
    assert_eq!((of("sessions"), of("resumed_without_replay")), (10, 10), "{report}");
    assert_eq!(of("sent"), of("acknowledged") + of("unknown"));
    assert_eq!(of("sent"), of("echoed") + of("echo_unknown"));
}

#[test]
fn a_soak_looks_for_drift() {
    let server = serve(ECHO);
    let ended = load(&server.address, "--connections 5 --messages 5 --soak 9s --json").end();
    let report = report(&ended);
    assert_eq!(ended.code, 0, "{report}");
    let looks = report["soak"].as_array().unwrap();
    assert!(looks.len() >= 3, "{report}");
    assert!(looks.iter().all(|look| look["rss_bytes"].as_u64() > Some(1 << 20)), "{report}");
    assert!(looks.iter().any(|look| look["p99_us"].as_f64() > Some(0.0)), "{report}");
}

#[test]
fn nobody_there_ends_with_3_and_says_so() {
    let ended =
        run(&["load", "ws://127.0.0.1:1/v1/connect", "--connections", "2", "--for", "100ms"]);
    assert_eq!(ended.code, 3, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("nobody could connect: dial: refused"), "{}", ended.stderr);
}
