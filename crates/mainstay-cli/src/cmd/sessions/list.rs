//! Sessions and their history, page by page.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::columns;
use super::server::{Server, plain};
use crate::args::FilterArgs;
use crate::cmd::words::short;
use crate::exit::Failure;
use crate::out;

/// Rows of a page; the server gives no more.
const PAGE: u64 = 1000;

const HEAD: [&str; 8] =
    ["SESSION", "USER", "ORGANISATION", "TYPE", "STATUS", "QUALITY", "RTT", "CONNECTED AT"];

/// What a filter asks of the server.
pub(super) fn query(filter: &FilterArgs) -> Vec<(&'static str, String)> {
    let upper = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_uppercase());
    let fields = [
        ("user", filter.user.clone()),
        ("organisation", filter.organisation.clone()),
        ("client_type", filter.client_type.clone()),
        ("status", upper(&filter.status)),
        ("quality", upper(&filter.quality)),
    ];
    fields.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

pub(super) async fn sessions(
    server: &Server,
    filter: &FilterArgs,
    limit: Option<u64>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let asked =
        Asked { path: &["sessions"], key: "sessions", cursor: "cursor", query: query(filter) };
    let mut first = true;
    pages(server, asked, limit, |page| {
        if json {
            return page.iter().all(|row| out::line_read(&row.to_string()));
        }
        let rows: Vec<_> = page.iter().map(row).collect();
        columns::write(&HEAD, &rows, std::mem::take(&mut first))
    })
    .await
}

fn row(session: &Value) -> Vec<String> {
    let text = |name: &str| session[name].as_str().unwrap_or("-").to_owned();
    let rtt = session["latency_us"].as_u64().map(|us| short(Duration::from_micros(us)));
    vec![
        text("session"),
        text("user"),
        text("organisation"),
        text("client_type"),
        text("status"),
        text("quality"),
        rtt.unwrap_or_else(|| "-".into()),
        text("connected_at"),
    ]
}

pub(super) async fn show(server: &Server, session: &str, json: bool) -> Result<ExitCode, Failure> {
    let found = server.get(&["sessions", session], &[]).await?;
    if json {
        out::line(&found.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let fields = found.as_object().into_iter().flatten();
    for (name, value) in fields {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => plain(text),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                plain(&other.to_string())
            }
        };
        out::line(&format!("{name:<24}{text}"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn history(
    server: &Server,
    session: Option<&str>,
    times: [(&'static str, Option<&str>); 2],
    limit: Option<u64>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let of_one = session.map(|session| ["sessions", session, "events"]);
    let (path, cursor): (&[&str], _) = match &of_one {
        Some(path) => (path, "after"),
        None => (&["history"], "cursor"),
    };
    let query = times.into_iter().filter_map(|(name, time)| Some((name, time?.to_owned())));
    let asked = Asked { path, key: "events", cursor, query: query.collect() };
    pages(server, asked, limit, |page| {
        page.iter()
            .all(|event| out::line_read(&if json { event.to_string() } else { words(event) }))
    })
    .await
}

/// An event as a line.
pub(super) fn words(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().map(plain);
    let mut line = String::new();
    for name in ["at", "event", "session"] {
        line.push_str(&text(name).unwrap_or_else(|| "-".into()));
        line.push(' ');
    }
    let user = text("user").unwrap_or_else(|| "-".into());
    line.push_str(&format!("{user}@{}", text("organisation").unwrap_or_default()));
    let own = ["reason", "attempt", "within_ms", "replay", "from", "to", "factor"];
    for name in own {
        match &event[name] {
            Value::Null => {}
            Value::String(text) => line.push_str(&format!(" {name}={}", plain(text))),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                line.push_str(&format!(" {name}={}", plain(&other.to_string())));
            }
        }
    }
    line
}

/// A list that the server gives in pages.
struct Asked<'a> {
    path: &'a [&'a str],
    /// The field with the rows.
    key: &'static str,
    /// What the server calls the place where a page begins.
    cursor: &'static str,
    query: Vec<(&'static str, String)>,
}

/// Gives the rows of all pages to `write` until it has `limit`, or `write` says that nobody reads.
async fn pages(
    server: &Server,
    asked: Asked<'_>,
    limit: Option<u64>,
    mut write: impl FnMut(&[Value]) -> bool,
) -> Result<ExitCode, Failure> {
    let mut left = limit.unwrap_or(u64::MAX);
    let mut place: Option<String> = None;
    loop {
        let size = left.min(PAGE).to_string();
        let mut query: Vec<(&str, &str)> =
            asked.query.iter().map(|(name, text)| (*name, text.as_str())).collect();
        query.push(("limit", &size));
        if let Some(place) = &place {
            query.push((asked.cursor, place));
        }
        let page = server.get(asked.path, &query).await?;
        let rows = page[asked.key].as_array().map_or(&[][..], Vec::as_slice);
        if !write(rows) {
            return Ok(ExitCode::SUCCESS);
        }
        left = left.saturating_sub(rows.len() as u64);
        place = match &page["next"] {
            Value::String(next) => Some(next.clone()),
            Value::Number(next) => Some(next.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        if place.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
        if left == 0 {
            out::error("there are more: --limit");
            return Ok(ExitCode::SUCCESS);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::words;

    #[test]
    fn an_event_is_one_line_whatever_its_texts_are() {
        let event = json!({
            "event": "session.gone", "session": "7", "at": "2026-11-21T10:00:00.000Z",
            "user": "k\u{1b}[2Jim\n", "organisation": "acme", "reason": "kicked", "seq": 3,
        });
        let wanted = "2026-11-21T10:00:00.000Z session.gone 7 k\u{fffd}[2Jim\u{fffd}@acme \
                      reason=kicked";
        assert_eq!(words(&event), wanted);
        let event = json!({"event": "session.reconnecting", "attempt": 2, "within_ms": 1500});
        assert_eq!(words(&event), "- session.reconnecting - -@ attempt=2 within_ms=1500");
    }
}
