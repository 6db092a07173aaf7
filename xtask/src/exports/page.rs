use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Failure;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The body of a good answer.
pub(super) fn get(server: SocketAddr, path: &str) -> Result<String, String> {
    ask(server, path, "")
}

/// The same to a request with more headers, each with its end.
pub(super) fn ask(server: SocketAddr, path: &str, headers: &str) -> Result<String, String> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&server, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        // Of 1.0, so that the answer comes without chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {server}\r\n{headers}\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| format!("{server}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a head")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" { Ok(body.into()) } else { Err(format!("{path}: {status} {body}")) }
}

/// What Prometheus answers to a question.
pub(super) fn query(prometheus: SocketAddr, question: &str) -> Result<Vec<Value>, String> {
    let mut encoded = String::new();
    for byte in question.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    let body = get(prometheus, &format!("/api/v1/query?query={encoded}"))
        .map_err(|error| format!("{question}: {error}"))?;
    let answer: Value = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    let found = answer.pointer("/data/result").and_then(Value::as_array);
    found.cloned().ok_or_else(|| format!("{question}: {body}"))
}

/// What the panels of a dashboard ask, with its variables as they are at first; every panel says what
/// it shows, and in which unit.
pub(super) fn panels(path: &Path) -> Result<Vec<String>, Failure> {
    let wrong = |what: String| Failure::Check(format!("{}: {what}", path.display()));
    let text = super::read(path)?;
    let dashboard: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let mut questions = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        if panel["type"] == "row" {
            continue;
        }
        let title = panel["title"].as_str().unwrap_or_default();
        let has = |place: &str| {
            panel.pointer(place).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
        };
        if !has("/title") || !has("/description") || !has("/fieldConfig/defaults/unit") {
            return Err(wrong(format!("the panel {title:?} lacks its title, text or unit")));
        }
        let targets: Vec<&str> = panel["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|target| target["expr"].as_str())
            .collect();
        if targets.is_empty() {
            return Err(wrong(format!("the panel {title:?} asks nothing")));
        }
        let plain = |text: &&str| text.replace("$__rate_interval", "1m").replace("$instance", ".+");
        questions.extend(targets.iter().map(plain));
    }
    if questions.is_empty() { Err(wrong("nothing is asked".into())) } else { Ok(questions) }
}

/// What the rules ask that a Prometheus has read.
pub(super) fn rules(prometheus: SocketAddr) -> Result<Vec<String>, Failure> {
    let body = get(prometheus, "/api/v1/rules").map_err(Failure::Check)?;
    let answer: Value =
        serde_json::from_str(&body).map_err(|error| Failure::Check(error.to_string()))?;
    let groups = answer.pointer("/data/groups").and_then(Value::as_array);
    let questions: Vec<String> = groups
        .into_iter()
        .flatten()
        .filter_map(|group| group["rules"].as_array())
        .flatten()
        .filter_map(|rule| rule["query"].as_str().map(String::from))
        .collect();
    if questions.is_empty() {
        return Err(Failure::Check(format!("Prometheus has no rules: {body}")));
    }
    Ok(questions)
}

/// The metrics of the server that a question names; not those that rules record.
pub(super) fn families(question: &str) -> BTreeSet<String> {
    question
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.starts_with("mainstay_") || word.starts_with("chittyid_"))
        .map(String::from)
        .collect()
}

/// What Prometheus' own linter says of a page.
pub(super) fn lint(page: &str) -> Result<(), Failure> {
    println!("$ promtool check metrics");
    let failed = |error: std::io::Error| Failure::Environment(format!("promtool: {error}"));
    let mut linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // Dropped at the end of the statement, which ends its input.
    let written = linter.stdin.take().map(|mut input| input.write_all(page.as_bytes()));
    let status = linter.wait().map_err(failed)?;
    written.transpose().map_err(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Check(format!("promtool finds fault with /metrics ({status})")))
    }
}
