//! Runs the program, reads what it writes, sends it signals; no wait is longer than [`PATIENCE`].

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a program that has ended leaves.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    seen: Vec<String>,
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MAINSTAY_") || name == "COLUMNS" {
            command.env_remove(name);
        }
    }
    command.env("NO_PROXY", "*");
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Ended {
    Program::start(command(args)).end()
}

/// The same in a folder.
pub(crate) fn run_in(folder: &Path, args: &[&str]) -> Ended {
    let mut command = command(args);
    command.current_dir(folder);
    Program::start(command).end()
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let stdout = lines(child.stdout.take().expect("it is piped"));
        let stderr = lines(child.stderr.take().expect("it is piped"));
        Self { child, stdout, stderr, seen: Vec::new() }
    }

    /// The next line of standard output for which `is_it` holds.
    pub(crate) fn line(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.stdout.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if is_it(&line) {
                        return line.trim_end().to_owned();
                    }
                }
                Err(error) => self.give_up(what, error),
            }
        }
    }

    /// The next line of standard error that contains `text`.
    pub(crate) fn error_line(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.stderr.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line.trim_end().to_owned(),
                Ok(line) => self.seen.push(line),
                Err(error) => self.give_up(text, error),
            }
        }
    }

    /// Writes to its standard input, which must be piped.
    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped and open");
        stdin.write_all(text.as_bytes()).expect("it reads");
    }

    /// Ends its standard input.
    pub(crate) fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    fn give_up(&mut self, what: &str, error: RecvTimeoutError) -> ! {
        self.seen.extend(self.stderr.try_iter());
        panic!("no {what}: {error}; it wrote:\n{}", self.seen.concat())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        kill_process(Pid::from_raw(id).expect("it has an id"), signal).expect("it runs");
    }

    /// Waits until it has ended and everything it wrote was read.
    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        let read = |from: &Receiver<String>| {
            let mut text = String::new();
            loop {
                match from.recv_timeout(end.saturating_duration_since(Instant::now())) {
                    Ok(line) => text.push_str(&line),
                    Err(RecvTimeoutError::Disconnected) => return text,
                    Err(RecvTimeoutError::Timeout) => panic!("it does not end; it wrote:\n{text}"),
                }
            }
        };
        let (stdout, stderr) = (read(&self.stdout), read(&self.stderr));
        let status = self.child.wait().expect("it can be waited for");
        Ended { code: status.code().unwrap_or(-1), stdout, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks a server on this machine; answers status and body.
pub(crate) fn ask(address: &str, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it can be set");
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{token}Content-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
    .expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// Compares with a file of what is expected; `UPDATE_EXPECTED=1` writes it anew.
pub(crate) fn expect_file(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/expected").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, found).expect("the file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name}: UPDATE_EXPECTED=1 writes it anew");
}
