use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::program::{Program, command, run, run_in};

#[test]
fn a_command_is_run_until_it_works() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo x >> count; test $(wc -l < count) -ge 3 || exit 75; echo done";
    let line = ["call", "--attempts", "4", "--base", "1ms", "--exec", "sh", "-c", script];
    let ended = run_in(folder.path(), &line);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "done\n"));
    assert!(ended.stderr.contains("attempt 2 of 4: exit status: 75"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("count")).unwrap(), "x\nx\nx\n");
}

#[test]
fn its_last_exit_code_is_ours() {
    let cases: [(&[&str], &str, i32, usize); 5] = [
        (&[], "exit 9", 9, 2),
        (&["--stop-exit", "9"], "exit 9", 9, 1),
        (&["--retry-exit", "1,75"], "exit 9", 9, 1),
        (&["--retry-exit", "9"], "exit 9", 9, 2),
        (&[], "kill -KILL $$", 137, 2),
    ];
    for (flags, script, code, attempts) in cases {
        let line =
            [&["call", "--attempts", "2", "--base", "1ms"], flags, &["--", "sh", "-c", script]];
        let ended = run(&line.concat());
        assert_eq!(ended.code, code, "{flags:?}: {}", ended.stderr);
        let told = ended.stderr.lines().filter(|line| line.starts_with("attempt ")).count();
        assert_eq!(told, attempts, "{}", ended.stderr);
    }
    assert_eq!(run(&["call", "--exec", "no-such-command-here"]).code, 127);
    assert_eq!(run(&["call", "--exec", "/"]).code, 126);
}

#[test]
fn out_of_time_it_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    // Neither of the two listens to the first request to end.
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > inner; sleep 60' & wait; sleep 60";
    let line =
        ["call", "--attempts", "1", "--attempt-timeout", "500ms", "--exec", "sh", "-c", script];
    let begun = Instant::now();
    let ended = run_in(folder.path(), &line);
    assert_eq!(ended.code, 124, "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(20));
    let inner = fs::read_to_string(folder.path().join("inner")).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/stat", inner.trim()));
    // Gone, or not yet collected by whoever inherited it.
    assert!(status.is_err() || status.is_ok_and(|status| status.contains(") Z ")));
}

#[test]
fn a_signal_is_passed_on_and_ends_the_call() {
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut program = Program::start(command(&["call", "--exec", "sh", "-c", script]));
    program.line("start", |line| line.contains("ready"));
    program.signal(Signal::TERM);
    assert_eq!(program.end().code, 7);
}

#[test]
fn a_signal_ends_a_wait() {
    let line = ["call", "--base", "60s", "--cap", "60s", "--jitter", "none", "--exec", "false"];
    let mut program = Program::start(command(&line));
    program.error_line("waiting 60.000 s");
    program.signal(Signal::INT);
    assert_eq!(program.end().code, 130);
}

#[test]
fn the_report_goes_to_standard_error() {
    let ended = run(&["call", "-q", "--json", "--exec", "echo", "hello"]);
    assert_eq!(ended.stdout, "hello\n");
    let report: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!((&report["exit_code"], &report["attempts"]), (&0.into(), &1.into()));
}
