//! Programs that are started.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{QUICK, ask, firing, serve, until, until_receiver};
use crate::running::Running;

/// A server whose receiver is a shell's script.
async fn with(script: &str, folder: &Path, more: &str) -> Running {
    let path = folder.join("script.sh");
    fs::write(&path, script).unwrap();
    let text = format!(
        "{QUICK}[[receiver]]\nname = \"script\"\nkind = \"command\"\n\
         command = [\"/bin/sh\", {path:?}, {folder:?}, \"a b; $(c)\"]\n{more}\n"
    );
    serve(&text, "http://127.0.0.1:1").await
}

#[tokio::test]
async fn a_program_gets_the_notice_and_none_of_our_variables() {
    let folder = tempfile::tempdir().unwrap();
    let script = "printf '%s' \"$2\" > \"$1/argument\"\nenv > \"$1/env\"\ncat > \"$1/in.tmp\"\n\
                  mv \"$1/in.tmp\" \"$1/in\"\n";
    let running = with(script, folder.path(), "").await;
    running.handle.notifier().tell(firing(1, "HIGH_LATENCY"));
    let stdin = folder.path().join("in");
    until("it is written", || stdin.exists()).await;
    let json: Value = serde_json::from_str(&fs::read_to_string(&stdin).unwrap()).unwrap();
    assert_eq!(json["alerts"][0]["rule"], "HIGH_LATENCY");
    assert_eq!(fs::read_to_string(folder.path().join("argument")).unwrap(), "a b; $(c)");
    let variables = fs::read_to_string(folder.path().join("env")).unwrap();
    let id = json["id"].as_str().unwrap();
    for line in [
        &format!("MAINSTAY_NOTIFICATION={id}"),
        "MAINSTAY_SEVERITY=HIGH",
        "MAINSTAY_RECEIVER=script",
    ] {
        assert!(variables.contains(line), "{line}: {variables}");
    }
    assert!(!variables.contains("CARGO"), "{variables}");
    until_receiver(&running, "script", "it is told", |one| one["sent"] == 1).await;
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > \"$1/pid\"\nwait\n";
    let more = "timeout = \"2s\"\ngive_up_after = \"1s\"";
    let running = with(script, folder.path(), more).await;
    let (_, answer) = ask(&running, "POST", "/api/v1/notifications/script/test").await;
    assert_eq!(answer["delivered"], false, "{answer}");
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    // Killed, it may wait for whoever inherits it.
    let is_gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    until("what it started is gone", is_gone).await;
}

#[tokio::test]
async fn a_program_that_fails_says_why_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let script = "cat > /dev/null\nyes 'out of order' | head -c 10000000 >&2\nexit 3\n";
    let running = with(script, folder.path(), "give_up_after = \"1s\"").await;
    let (_, answer) = ask(&running, "POST", "/api/v1/notifications/script/test").await;
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.starts_with("exit status: 3: out of order out of order"), "{detail}");
    assert!(detail.len() < 400, "{}", detail.len());
    // One that reads nothing is fine, too.
    fs::write(folder.path().join("script.sh"), "exit 0\n").unwrap();
    let (_, answer) = ask(&running, "POST", "/api/v1/notifications/script/test").await;
    assert_eq!(answer["delivered"], true, "{answer}");
    fs::remove_file(folder.path().join("script.sh")).unwrap();
    let (_, answer) = ask(&running, "POST", "/api/v1/notifications/script/test").await;
    assert_eq!(answer["delivered"], false, "{answer}");
}
