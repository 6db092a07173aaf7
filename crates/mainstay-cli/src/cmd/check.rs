//! `mainstay check`

use std::process::ExitCode;

use serde_json::{Value, json};

use super::alerts::about;
use super::sessions::server::{Server, plain};
use crate::args::CheckArgs;
use crate::exit::Failure;
use crate::out;

/// What Nagios takes for *nobody knows*.
pub(crate) const UNKNOWN: u8 = 3;

/// How it is, as Nagios counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Ok,
    Warning,
    Critical,
}

impl Verdict {
    const fn text(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

/// What was found.
struct Found {
    verdict: Verdict,
    sentence: String,
    figures: Vec<(&'static str, String)>,
    alerts: Vec<Value>,
    /// Objectives, with what is left of their budgets.
    objectives: Vec<Value>,
}

pub(crate) async fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let found = match asked(args).await {
        Ok(found) => found,
        // Whatever the reason is: nobody knows how it is.
        Err(failure) => {
            let why = plain(failure.message.lines().next().unwrap_or_default());
            if args.server.json {
                out::line(&json!({ "status": "UNKNOWN", "detail": why }).to_string());
            } else {
                out::line(&format!("MAINSTAY UNKNOWN: {why}"));
            }
            return Ok(UNKNOWN.into());
        }
    };
    let status = found.verdict.text();
    if args.server.json {
        let figures: serde_json::Map<String, Value> =
            found.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let answer = json!({
            "status": status, "sentence": found.sentence, "figures": figures,
            "alerts": found.alerts, "objectives": found.objectives,
        });
        out::line(&answer.to_string());
    } else {
        let figures: Vec<_> =
            found.figures.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let sentence = plain(&found.sentence).replace('|', "/");
        out::line(&format!("MAINSTAY {status}: {sentence} | {}", figures.join(" ")));
        for alert in &found.alerts {
            let text = |name: &str| alert[name].as_str().unwrap_or("-").to_owned();
            let about = about(&alert["labels"]);
            let line =
                format!("{} {} ({about}): {}", text("severity"), text("rule"), text("summary"));
            out::line(&plain(&line).replace('|', "/"));
        }
    }
    Ok((found.verdict as u8).into())
}

async fn asked(args: &CheckArgs) -> Result<Found, Failure> {
    let server = Server::new(&args.server)?;
    let listed = server.get(&["alerts"], &[]).await?;
    let listed = listed["alerts"].as_array().cloned().unwrap_or_default();
    let loud: Vec<Value> = listed.into_iter().filter(is_loud).collect();
    match &args.link {
        Some(name) => {
            let link = server.get(&["links", name], &[]).await?;
            let of_it = |alert: &Value| {
                ["link", "gate"].iter().any(|label| alert["labels"][*label] == *name.as_str())
            };
            Ok(one(&link, name, loud.into_iter().filter(of_it).collect()))
        }
        None => {
            let summary = server.get(&["monitor", "summary"], &[]).await?;
            let budgets = server.get(&["monitor", "objectives"], &[]).await?;
            Ok(all(&summary, loud, &budgets))
        }
    }
}

/// It fires, and nobody has muted it.
fn is_loud(alert: &Value) -> bool {
    let fires = matches!(alert["state"].as_str(), Some("FIRING" | "KEEP"));
    let flags = ["acknowledged", "silenced", "inhibited_by", "maintenance"];
    fires && flags.iter().all(|flag| alert[*flag].is_null()) && alert["notifies"] != false
}

/// What the worst of them means.
fn worst(alerts: &[Value]) -> Verdict {
    let verdict = |alert: &Value| match alert["severity"].as_str() {
        Some("CRITICAL") => Verdict::Critical,
        Some("HIGH" | "MEDIUM") => Verdict::Warning,
        _ => Verdict::Ok,
    };
    alerts.iter().map(verdict).max().unwrap_or(Verdict::Ok)
}

fn all(summary: &Value, alerts: Vec<Value>, budgets: &Value) -> Found {
    let number = |path: &str| {
        summary.pointer(path).filter(|value| value.is_number()).map(ToString::to_string)
    };
    let figures = [
        ("sessions", "/sessions/connected"),
        ("links", "/links/connected"),
        ("firing", "/alerts/firing"),
        ("unacknowledged", "/alerts/unacknowledged"),
        ("p95_ms", "/latency_ms/p95"),
        ("error_rate", "/error_rate"),
        ("stress", "/system/stress"),
    ];
    let figures = figures.into_iter().filter_map(|(name, path)| Some((name, number(path)?)));
    let objectives = budgets["objectives"].as_array().cloned().unwrap_or_default();
    let lefts = objectives.iter().filter_map(|one| one["budget_left"].as_f64());
    let least = lefts.reduce(f64::min).map(|left| ("budget_left", left.to_string()));
    let figures = figures.chain(least).collect();
    let sentence = summary["sentence"].as_str().unwrap_or("it does not say how it is").to_owned();
    Found { verdict: worst(&alerts), sentence, figures, alerts, objectives }
}

fn one(link: &Value, name: &str, alerts: Vec<Value>) -> Found {
    let state = link["state"].as_str().unwrap_or("UNKNOWN");
    let of_state = match state {
        "CONNECTED" => Verdict::Ok,
        "FAILED" => Verdict::Critical,
        _ => Verdict::Warning,
    };
    let number =
        |path: &str| link.pointer(path).and_then(Value::as_number).map(ToString::to_string);
    let figures = [
        ("uptime_ms", "/stats/uptime_ms"),
        ("rtt_us", "/rtt/smoothed_us"),
        ("attempt", "/attempt"),
    ];
    let figures =
        figures.into_iter().filter_map(|(name, field)| Some((name, number(field)?))).collect();
    let verdict = worst(&alerts).max(of_state);
    let sentence = format!("{name} is {state}");
    Found { verdict, sentence, figures, alerts, objectives: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(severity: &str) -> Value {
        json!({
            "state": "FIRING", "severity": severity, "acknowledged": null, "silenced": null,
            "inhibited_by": null, "maintenance": null, "notifies": true,
        })
    }

    #[test]
    fn the_worst_alert_that_nobody_muted_decides() {
        assert_eq!(worst(&[]), Verdict::Ok);
        assert_eq!(worst(&[alert("LOW")]), Verdict::Ok);
        assert_eq!(worst(&[alert("LOW"), alert("HIGH")]), Verdict::Warning);
        assert_eq!(worst(&[alert("CRITICAL"), alert("MEDIUM")]), Verdict::Critical);
        assert!(is_loud(&alert("LOW")));
        for (flag, value) in [
            ("acknowledged", json!({})),
            ("silenced", json!({})),
            ("inhibited_by", json!("x")),
            ("maintenance", json!("x")),
            ("state", json!("PENDING")),
            ("notifies", json!(false)),
        ] {
            let mut muted = alert("CRITICAL");
            muted[flag] = value;
            assert!(!is_loud(&muted), "{flag}");
        }
    }

    #[test]
    fn the_least_that_is_left_of_a_budget_is_a_figure() {
        let summary = json!({ "sentence": "well", "stress": 0 });
        let left = |left: Value| json!({ "name": "a", "budget_left": left });
        for (objectives, wanted) in [
            (json!({}), None),
            (json!({ "objectives": [left(Value::Null)] }), None),
            (json!({ "objectives": [left(json!(0.5)), left(json!(-1.25))] }), Some("-1.25")),
        ] {
            let found = all(&summary, vec![], &objectives);
            let figure = found.figures.iter().find(|(name, _)| *name == "budget_left");
            assert_eq!(figure.map(|(_, value)| value.as_str()), wanted);
            assert_eq!(found.verdict, Verdict::Ok, "alerts decide");
        }
    }

    #[test]
    fn a_link_is_as_bad_as_its_state_or_its_alerts() {
        let link = |state: &str| json!({ "state": state, "stats": { "uptime_ms": 5 } });
        assert_eq!(one(&link("CONNECTED"), "a", vec![]).verdict, Verdict::Ok);
        assert_eq!(one(&link("RECONNECTING"), "a", vec![]).verdict, Verdict::Warning);
        assert_eq!(one(&link("FAILED"), "a", vec![]).verdict, Verdict::Critical);
        let found = one(&link("CONNECTED"), "a", vec![alert("CRITICAL")]);
        assert_eq!(
            (found.verdict, found.figures),
            (Verdict::Critical, vec![("uptime_ms", "5".into())])
        );
    }
}
