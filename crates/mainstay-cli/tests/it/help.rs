use crate::program::{expect_file, run};

#[test]
fn help_says_what_it_said_before() {
    let pages: [(&str, &[&str]); 36] = [
        ("help.txt", &["--help"]),
        ("help-serve.txt", &["serve", "--help"]),
        ("help-hold.txt", &["hold", "--help"]),
        ("help-ws.txt", &["ws", "--help"]),
        ("help-fault.txt", &["fault", "--help"]),
        ("help-load.txt", &["load", "--help"]),
        ("help-call.txt", &["call", "--help"]),
        ("help-sessions.txt", &["sessions", "--help"]),
        ("help-sessions-list.txt", &["sessions", "list", "--help"]),
        ("help-sessions-show.txt", &["sessions", "show", "--help"]),
        ("help-sessions-history.txt", &["sessions", "history", "--help"]),
        ("help-sessions-kick.txt", &["sessions", "kick", "--help"]),
        ("help-sessions-send.txt", &["sessions", "send", "--help"]),
        ("help-sessions-watch.txt", &["sessions", "watch", "--help"]),
        ("help-alerts.txt", &["alerts", "--help"]),
        ("help-alerts-list.txt", &["alerts", "list", "--help"]),
        ("help-alerts-history.txt", &["alerts", "history", "--help"]),
        ("help-alerts-ack.txt", &["alerts", "ack", "--help"]),
        ("help-alerts-silence.txt", &["alerts", "silence", "--help"]),
        ("help-check.txt", &["check", "--help"]),
        ("help-top.txt", &["top", "--help"]),
        ("help-alerts-test.txt", &["alerts", "test", "--help"]),
        ("help-key.txt", &["key", "--help"]),
        ("help-key-new.txt", &["key", "new", "--help"]),
        ("help-key-hash.txt", &["key", "hash", "--help"]),
        ("help-id.txt", &["id", "--help"]),
        ("help-id-mint.txt", &["id", "mint", "--help"]),
        ("help-id-bench.txt", &["id", "bench", "--help"]),
        ("help-id-validate.txt", &["id", "validate", "--help"]),
        ("help-id-inspect.txt", &["id", "inspect", "--help"]),
        ("help-id-serve.txt", &["id", "serve", "--help"]),
        ("help-config.txt", &["config", "--help"]),
        ("help-config-init.txt", &["config", "init", "--help"]),
        ("help-config-check.txt", &["config", "check", "--help"]),
        ("help-config-show.txt", &["config", "show", "--help"]),
        ("help-completions.txt", &["completions", "--help"]),
    ];
    for (file, args) in pages {
        let ended = run(args);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
        expect_file(file, &ended.stdout);
    }
}

#[test]
fn the_version_is_told() {
    let ended = run(&["--version"]);
    assert_eq!(ended.stdout, concat!("mainstay ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn mistakes_in_the_command_line_end_with_2() {
    let lines: [&[&str]; 36] = [
        &[],
        &["nonsense"],
        &["hold"],
        &["hold", "ftp://example.org"],
        &["hold", "http://127.0.0.1:1", "--timeout", "5s", "--interval", "1s"],
        &["load", "http://127.0.0.1:7180/v1/connect"],
        &["load", "ws://192.0.2.1/v1/connect"],
        &["load", "ws://me:secret@127.0.0.1/"],
        &["load", "--connections", "0"],
        &["load", "--flaky", "1.5"],
        &["load", "--size", "8"],
        &["call"],
        &["sessions"],
        &["alerts", "test"],
        &["sessions", "kick"],
        &["sessions", "kick", "--all", "--user", "kim"],
        &["sessions", "list", "--server", "ftp://example.org"],
        &["sessions", "send", "7", "no json"],
        &["key", "new", "--name", "not a name"],
        &["key", "hash"],
        &["id"],
        &["id", "validate"],
        &["id", "validate", "--profile", "nonsense", "x"],
        &["id", "validate", "--quiet", "--json", "x"],
        &["id", "validate", "-", "-"],
        &["id", "validate", "--remote", "-", "-"],
        &["id", "mint"],
        &["id", "mint", "CASE"],
        &["id", "mint", "INFO", "--meta", "nonsense"],
        &["id", "mint", "INFO", "--count", "0"],
        &["id", "bench", "--mints", "0"],
        &["id", "inspect"],
        &["id", "serve", "--listen", "nonsense"],
        &["call", "http://127.0.0.1:1", "--exec", "true"],
        &["call", "http://127.0.0.1:1", "--jitter", "2"],
        &["call", "http://127.0.0.1:1", "--policy", "nonsense"],
    ];
    for line in lines {
        let ended = run(line);
        assert_eq!(ended.code, 2, "{line:?}: {}{}", ended.stdout, ended.stderr);
        assert!(!ended.stderr.is_empty(), "{line:?}");
    }
}

#[test]
fn completions_name_every_command() {
    let ended = run(&["completions", "bash"]);
    assert_eq!(ended.code, 0);
    for name in ["serve", "hold", "ws", "call", "sessions", "key", "id", "fault", "load", "config"]
    {
        assert!(ended.stdout.contains(name), "{name}");
    }
}
