//! Programs that are started.

use std::process::Stdio;
use std::time::Duration;

use mainstay::core::policy::outcome::Outcome;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use super::letter::{Letter, severity};
use super::send::{Reason, SendError};
use super::text;

/// Bytes of what it says that are kept; the rest is read and dropped.
const OUTPUT_MAX: usize = 16 << 10;
/// Characters of that which are shown.
const SHOWN_MAX: usize = 300;
/// How long what it left behind may go on talking.
const AFTER: Duration = Duration::from_millis(500);
/// Variables of ours that it gets; others may hold secrets.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];

/// A program and all it has started. Dropped, all of it is killed.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            // Of a group that has ended nobody is left to be killed.
            let _gone: Result<(), rustix::io::Errno> = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Starts the program, gives it the notice as JSON, and waits for its end.
pub(super) async fn run(
    argv: &[String],
    letter: &Letter,
    within: Duration,
) -> Result<(), SendError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(SendError::mistake("there is no program"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().process_group(0).kill_on_drop(true);
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let worst = letter.notification.worst().map_or("RESOLVED", severity);
    command
        .env("MAINSTAY_NOTIFICATION", &letter.id)
        .env("MAINSTAY_RECEIVER", &*letter.notification.receiver)
        .env("MAINSTAY_SEVERITY", worst)
        .env("MAINSTAY_TITLE", text::title(letter).replace('\0', " "))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| SendError::mistake(format!("the program cannot be started: {error}")))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = Group(pid);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let text = letter.json().to_string();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program need not read what it is given.
            let _unread: std::io::Result<()> = stdin.write_all(text.as_bytes()).await;
        }
    };
    let mut said = (Vec::new(), Vec::new());
    let talk = async { tokio::join!(feed, hear(stdout, &mut said.0), hear(stderr, &mut said.1)) };
    let work = async {
        let mut talk = std::pin::pin!(talk);
        let ended = tokio::select! {
            ended = child.wait() => ended,
            _said = &mut talk => return child.wait().await,
        };
        // What it started and left behind may hold its output open.
        let _late: Result<((), (), ()), _> = timeout(AFTER, talk).await;
        ended
    };
    let ended = timeout(within, work).await;
    drop(group);
    match ended {
        Err(_) => {
            let detail = format!("it had not ended after {within:?} and was killed");
            Err(SendError::new(Reason::Timeout, Outcome::TRANSIENT, detail))
        }
        Ok(Err(error)) => {
            let detail = format!("how it ended is unknown: {error}");
            Err(SendError::new(Reason::Server, Outcome::TRANSIENT, detail))
        }
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            let said = if said.1.is_empty() { said.0 } else { said.1 };
            let said = String::from_utf8_lossy(&said);
            let said: String = text::plain(said.trim()).chars().take(SHOWN_MAX).collect();
            let detail = format!("{status}: {said}");
            Err(SendError::new(Reason::Server, Outcome::TRANSIENT, detail))
        }
    }
}

/// Reads to the end, keeps the beginning.
async fn hear(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        let room = OUTPUT_MAX.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&piece[..room]);
    }
}
