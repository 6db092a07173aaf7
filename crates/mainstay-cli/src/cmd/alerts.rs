//! `mainstay alerts`

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::sessions::columns;
use super::sessions::server::{Server, plain};
use super::words::short;
use crate::args::{AlertsAction, AlertsArgs};
use crate::exit::{Failure, NOT_OK};
use crate::out;

const HEAD: [&str; 7] = ["ALERT", "STATE", "SEVERITY", "RULE", "ABOUT", "SINCE", "SUMMARY"];
const EVENTS: [&str; 6] = ["AT", "WHAT", "SEVERITY", "RULE", "ABOUT", "SUMMARY"];

pub(crate) async fn run(args: &AlertsArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        AlertsAction::List { state, severity, rule, server } => {
            let upper = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_uppercase());
            let (state, severity) = (upper(state), upper(severity));
            let wanted = [
                ("state", state.as_deref()),
                ("severity", severity.as_deref()),
                ("rule", rule.as_deref()),
            ];
            list(&Server::new(server)?, &said(wanted), server.json).await
        }
        AlertsAction::History { from, to, rule, server } => {
            let wanted =
                [("from", from.as_deref()), ("to", to.as_deref()), ("rule", rule.as_deref())];
            history(&Server::new(server)?, &said(wanted), server.json).await
        }
        AlertsAction::Ack { alert, note, within, undo, server } => {
            let body = json!({ "note": note, "expires_in_ms": within.map(millis) });
            let body = (!undo).then_some(body);
            act(&Server::new(server)?, alert, "acknowledge", body, server.json).await
        }
        AlertsAction::Silence { alert, reason, within, undo, server } => {
            let body = json!({ "reason": reason, "for_ms": within.map(millis) });
            let body = (!undo).then_some(body);
            act(&Server::new(server)?, alert, "silence", body, server.json).await
        }
        AlertsAction::Test { receiver, server } => {
            test(&Server::new(server)?, receiver, server.json).await
        }
    }
}

fn said<'a, const N: usize>(all: [(&'a str, Option<&'a str>); N]) -> Vec<(&'a str, &'a str)> {
    all.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

async fn list(server: &Server, wanted: &[(&str, &str)], json: bool) -> Result<ExitCode, Failure> {
    let found = server.get(&["alerts"], wanted).await?;
    let alerts = found["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if json {
        alerts.iter().all(|alert| out::line_read(&alert.to_string()));
        return Ok(ExitCode::SUCCESS);
    }
    if alerts.is_empty() && out::is_terminal() {
        out::line("no alerts");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = alerts.iter().map(row).collect();
    columns::write(&HEAD, &rows, true);
    Ok(ExitCode::SUCCESS)
}

/// An alert in fields. What mutes it stands beside its state.
fn row(alert: &Value) -> Vec<String> {
    let flags = [
        ("acknowledged", !alert["acknowledged"].is_null()),
        ("silenced", !alert["silenced"].is_null()),
        ("inhibited", !alert["inhibited_by"].is_null()),
        ("maintenance", !alert["maintenance"].is_null()),
        ("flapping", alert["flapping"] == true),
        ("no data", alert["no_data"] == true),
    ];
    let flags = flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name);
    let state = text(alert, "state");
    let state = std::iter::once(state.as_str()).chain(flags).collect::<Vec<_>>().join(", ");
    vec![
        text(alert, "id"),
        state,
        text(alert, "severity"),
        text(alert, "rule"),
        about(&alert["labels"]),
        text(alert, "since"),
        text(alert, "summary"),
    ]
}

fn text(from: &Value, name: &str) -> String {
    from[name].as_str().unwrap_or("-").to_owned()
}

/// Such as `link=pay, team=red`.
pub(super) fn about(labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    let pairs: Vec<_> =
        labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("-"))).collect();
    if pairs.is_empty() { "-".into() } else { pairs.join(", ") }
}

/// All pages, the oldest first.
async fn history(
    server: &Server,
    wanted: &[(&str, &str)],
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut after: Option<String> = None;
    let mut first = true;
    loop {
        let mut query = wanted.to_vec();
        query.push(("limit", "1000"));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = server.get(&["alerts", "history"], &query).await?;
        let events = page["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        let goes_on = if json {
            events.iter().all(|event| out::line_read(&event.to_string()))
        } else {
            let rows: Vec<_> = events.iter().map(event_row).collect();
            columns::write(&EVENTS, &rows, std::mem::take(&mut first))
        };
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() || !goes_on {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn event_row(event: &Value) -> Vec<String> {
    let who = event["who"].as_str().map(|who| format!(" by {who}")).unwrap_or_default();
    let note = event["note"].as_str().filter(|note| !note.is_empty());
    let note = note.map(|note| format!("{note}: ")).unwrap_or_default();
    vec![
        text(event, "at"),
        text(event, "what") + &who,
        text(event, "severity"),
        text(event, "rule"),
        about(&event["labels"]),
        note + &text(event, "summary"),
    ]
}

/// Does something about an alert, or takes it back.
async fn act(
    server: &Server,
    alert: &str,
    action: &str,
    body: Option<Value>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let id = named(server, alert).await?;
    let path = ["alerts", &id, action];
    let after = match &body {
        Some(body) => server.post(&path, body).await?,
        None => server.delete(&path).await?,
    };
    if json {
        out::line(&after.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let done = match (action, body.is_some()) {
        ("acknowledge", true) => "is acknowledged",
        ("acknowledge", false) => "is no longer acknowledged",
        (_, true) => "is silenced",
        (_, false) => "is no longer silenced",
    };
    let until = ["acknowledged", "silenced"].map(|flag| after[flag]["expires"].as_str());
    let until = if body.is_some() { until.into_iter().flatten().next() } else { None };
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    let (rule, about) = (text(&after, "rule"), about(&after["labels"]));
    out::line(&plain(&format!("{rule} ({about}) {done}{until}")));
    Ok(ExitCode::SUCCESS)
}

/// The id that begins like this, if there is one such alert.
async fn named(server: &Server, alert: &str) -> Result<String, Failure> {
    if alert.len() == 16 {
        return Ok(alert.to_owned());
    }
    let found = server.get(&["alerts"], &[]).await?;
    let alerts = found["alerts"].as_array().into_iter().flatten();
    let ids: Vec<_> = alerts.filter_map(|one| one["id"].as_str()).collect();
    let fits: Vec<_> = ids.iter().filter(|id| !alert.is_empty() && id.starts_with(alert)).collect();
    match fits.as_slice() {
        [one] => Ok((**one).to_owned()),
        [] => Err(Failure {
            code: NOT_OK,
            message: format!("there is no alert {alert:?}; `mainstay alerts list` shows them"),
        }),
        several => {
            let all = several.iter().map(|id| **id).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(format!("{alert:?} is the beginning of several: {all}")))
        }
    }
}

/// Sends a test, and says whether it was taken.
async fn test(server: &Server, receiver: &str, json: bool) -> Result<ExitCode, Failure> {
    let told = server.post(&["notifications", receiver, "test"], &json!({})).await?;
    let delivered = told["delivered"].as_bool().unwrap_or(false);
    if json {
        out::line(&told.to_string());
        return Ok(if delivered { ExitCode::SUCCESS } else { ExitCode::from(NOT_OK) });
    }
    let took = short(Duration::from_millis(told["took_ms"].as_u64().unwrap_or(0)));
    if delivered {
        out::line(&format!("{receiver} took it, in {took}"));
        return Ok(ExitCode::SUCCESS);
    }
    let why = plain(told["detail"].as_str().unwrap_or("it does not say why"));
    Err(Failure { code: NOT_OK, message: format!("{receiver} did not take it ({took}): {why}") })
}
