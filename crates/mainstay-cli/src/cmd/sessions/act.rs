//! Sessions are sent away, or told something.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::list::query;
use super::server::Server;
use crate::args::KickArgs;
use crate::cmd::words::short;
use crate::exit::Failure;
use crate::out;

pub(super) async fn kick(server: &Server, args: &KickArgs) -> Result<ExitCode, Failure> {
    let mut body = Map::new();
    body.insert("code".into(), args.code.into());
    if let Some(reason) = &args.reason {
        body.insert("reason".into(), reason.as_str().into());
    }
    let times = [
        ("retry_after_ms", args.retry_after),
        ("retry_jitter_ms", args.retry_jitter),
        ("spread_ms", args.spread),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            body.insert(name.into(), millis.into());
        }
    }
    if let Some(session) = &args.session {
        let found = server.post(&["sessions", session, "disconnect"], &body.into()).await?;
        if args.server.json {
            out::line(&found.to_string());
        } else {
            out::line(&format!("{session} is sent away"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let filter: Map<String, Value> =
        query(&args.filter).into_iter().map(|(name, text)| (name.into(), text.into())).collect();
    if filter.is_empty() {
        body.insert("all".into(), true.into());
    } else {
        body.insert("filter".into(), filter.into());
    }
    let found = server.post(&["disconnect"], &body.into()).await?;
    if args.server.json {
        out::line(&found.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let matched = found["matched"].as_u64().unwrap_or(0);
    let sessions = if matched == 1 { "session is" } else { "sessions are" };
    let spread = Duration::from_millis(found["spread_ms"].as_u64().unwrap_or(0));
    let over = if spread.is_zero() { String::new() } else { format!(" over {}", short(spread)) };
    out::line(&format!("{matched} {sessions} sent away{over}"));
    Ok(ExitCode::SUCCESS)
}

/// The message that was typed.
pub(super) fn message(typed: &str, is_text: bool) -> Result<Value, Failure> {
    if is_text {
        return Ok(typed.into());
    }
    serde_json::from_str(typed).map_err(|error| {
        Failure::usage(format!("the message is no JSON ({error}); --text sends it as a text"))
    })
}

pub(super) async fn send(
    server: &Server,
    session: &str,
    message: Value,
    untracked: bool,
    json: bool,
) -> Result<ExitCode, Failure> {
    let body = json!({ "message": message, "untracked": untracked });
    let sent = server.post(&["sessions", session, "messages"], &body).await?;
    if json {
        out::line(&sent.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let there = sent["connected"].as_bool().unwrap_or(false);
    out::line(&match (sent["seq"].as_u64(), there) {
        (Some(seq), true) => format!("message {seq} is on its way"),
        (Some(seq), false) => format!("message {seq} waits: the session has no connection now"),
        (None, true) => "on its way".into(),
        (None, false) => "lost: the session has no connection now".into(),
    });
    Ok(ExitCode::SUCCESS)
}
