//! Writes what comes to standard output, on a thread of its own: a reader that is slow holds neither
//! the connection nor signals up.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay::link::websocket::{Incoming, Message, Missed};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::exit::Failure;
use crate::out;

/// Lines about events that may wait to be written.
const LINES: usize = 4096;
/// How long the last lines may take.
const LAST: Duration = Duration::from_secs(2);
/// Bytes of a binary message that are shown as text.
const SHOWN: usize = 32;

pub(super) struct Printer {
    lines: mpsc::Sender<String>,
    over: watch::Receiver<()>,
}

impl Printer {
    pub(super) fn start(incoming: Incoming, form: Form) -> Result<Self, Failure> {
        let (lines, queue) = mpsc::channel(LINES);
        let (told, over) = watch::channel(());
        let runtime = Handle::current();
        let work = move || {
            runtime.block_on(print(incoming, queue, form));
            // Dropped, it tells that this is over.
            drop(told);
        };
        let started = thread::Builder::new().name("stdout".into()).spawn(work);
        started.map_err(|error| Failure::environment(format!("no thread starts: {error}")))?;
        Ok(Self { lines, over })
    }

    /// Writes a line among the messages. When nobody reads, lines are lost before messages are.
    pub(super) fn line(&self, line: Value) {
        drop(self.lines.try_send(line.to_string()));
    }

    /// Ends when nobody reads any more, or all is written.
    pub(super) async fn over(&mut self) {
        drop(self.over.changed().await);
    }

    /// Waits until all is written; the link is over.
    pub(super) async fn finish(mut self) {
        drop(self.lines);
        drop(tokio::time::timeout(LAST, self.over.changed()).await);
    }
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One line each, as they are.
    Plain,
    /// The same, but what a terminal would take for commands is made visible.
    Terminal,
    /// JSON objects.
    Json,
}

impl Form {
    pub(super) fn new(json: bool) -> Self {
        match (json, out::is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Terminal,
            (false, false) => Self::Plain,
        }
    }
}

async fn print(mut incoming: Incoming, mut lines: mpsc::Receiver<String>, form: Form) {
    let mut open = true;
    loop {
        let line = tokio::select! {
            biased;
            line = lines.recv(), if open => {
                let Some(line) = line else { open = false; continue };
                line
            }
            message = incoming.recv() => {
                let Some(message) = message else { break };
                written(message, form)
            }
        };
        if !out::line_read(&line) {
            return;
        }
    }
    while let Some(line) = lines.recv().await {
        if !out::line_read(&line) {
            return;
        }
    }
}

fn written(message: Result<Message, Missed>, form: Form) -> String {
    match (message, form) {
        (Err(Missed(count)), Form::Json) => {
            json!({ "event": "ws.missed", "at_ms": now_ms(), "missed": count }).to_string()
        }
        (Err(Missed(count)), Form::Plain | Form::Terminal) => format!("<{count} messages missed>"),
        (Ok(Message::Text(text)), Form::Plain) => text.as_str().to_owned(),
        (Ok(Message::Text(text)), Form::Terminal) => harmless(text.as_str()),
        (Ok(Message::Text(text)), Form::Json) => json!({
            "event": "ws.message", "at_ms": now_ms(), "kind": "text", "text": text.as_str(),
        })
        .to_string(),
        (Ok(Message::Binary(bytes)), Form::Plain | Form::Terminal) => binary(&bytes),
        (Ok(Message::Binary(bytes)), Form::Json) => json!({
            "event": "ws.message", "at_ms": now_ms(), "kind": "binary", "bytes": bytes.len(),
            "base64": base64(&bytes),
        })
        .to_string(),
    }
}

/// Milliseconds since 1970, as events have them.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// `text` without what a terminal takes for commands.
fn harmless(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\t' && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

fn binary(bytes: &[u8]) -> String {
    let mut text = format!("<binary {} B:", bytes.len());
    for byte in bytes.iter().take(SHOWN) {
        write!(text, " {byte:02x}").expect("writing to a string cannot fail");
    }
    text.push_str(if bytes.len() > SHOWN { " …>" } else { ">" });
    text
}

/// Base64 of RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for piece in bytes.chunks(3) {
        let byte = |at: usize| u32::from(piece.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4_usize {
            let digit = DIGITS[(word >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= piece.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn bytes_are_shown_up_to_a_length() {
        assert_eq!(binary(&[1, 0xab]), "<binary 2 B: 01 ab>");
        assert_eq!(binary(&[]), "<binary 0 B:>");
        assert!(binary(&[7; 33]).ends_with(" 07 …>"));
    }

    #[test]
    fn a_peer_cannot_command_a_terminal() {
        assert_eq!(
            harmless("a\u{1b}[2Jb\tc\u{7}\u{9b}d\ne"),
            "a\u{fffd}[2Jb\tc\u{fffd}\u{fffd}d\ne"
        );
        let text = written(Ok(Message::text("a\u{1b}")), Form::Plain);
        assert_eq!(text, "a\u{1b}", "a pipe gets what came");
    }
}
