//! Alerts, for operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use mainstay::monitor::engine::alert::{Severity, State as AlertState};
use mainstay::monitor::engine::engine::{Act, ActError, Standing};
use mainstay::monitor::engine::rules::RuleSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::asked::{limit, moment};
use super::audit::Noted;
use super::error::ApiError;
use super::guard::Who;
use super::history::read;
use super::time::{millis, unix};
use crate::monitor::{AlertEvent, is_place, page, tell};
use crate::state::Shared;

/// Alerts of a page, unless fewer are asked for.
const PAGE: usize = 100;
/// Alerts of a page, at most.
const PAGE_MAX: usize = 1_000;
/// The longest silence or acknowledgement.
const WITHIN_MAX_MS: u64 = 366 * 86_400_000;

/// An alert as the API shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AlertJson {
    /// Its fingerprint: of its rule and what it is about, the same for ever.
    id: String,
    rule: String,
    #[schemars(with = "Option<String>")]
    severity: Option<Severity>,
    #[schemars(with = "String")]
    state: AlertState,
    labels: BTreeMap<String, String>,
    /// In words.
    summary: String,
    value: Option<f64>,
    threshold: Option<f64>,
    /// The unit of both; `share` is 0 to 1.
    unit: &'static str,
    /// Counts how often it has fired.
    incident: u64,
    since: Option<String>,
    resolved_at: Option<String>,
    acknowledged: Option<AcknowledgedJson>,
    silenced: Option<SilencedJson>,
    /// The alert that explains it.
    inhibited_by: Option<String>,
    /// How many it explains.
    inhibits: u32,
    maintenance: Option<String>,
    flapping: bool,
    no_data: bool,
    runbook: Option<String>,
    /// Whether anybody is notified of it at all.
    notifies: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AcknowledgedJson {
    who: String,
    note: String,
    at: String,
    expires: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SilencedJson {
    who: String,
    reason: String,
    at: String,
    expires: Option<String>,
    until_resolved: bool,
}

/// An alert's fingerprint as text.
pub(super) fn id(id: u64) -> String {
    format!("{id:016x}")
}

impl From<Standing> for AlertJson {
    fn from(one: Standing) -> Self {
        Self {
            id: id(one.id),
            rule: one.rule.to_string(),
            severity: one.severity,
            state: one.state,
            labels: BTreeMap::clone(&one.labels),
            summary: one.summary.to_string(),
            value: one.value,
            threshold: one.threshold,
            unit: one.unit,
            incident: one.incident,
            since: one.since_ms.map(unix),
            resolved_at: one.resolved_ms.map(unix),
            acknowledged: one.acknowledged.map(|by| AcknowledgedJson {
                who: by.who,
                note: by.note,
                at: unix(by.at_ms),
                expires: by.expires_ms.map(unix),
            }),
            silenced: one.silenced.map(|by| SilencedJson {
                who: by.who,
                reason: by.reason,
                at: unix(by.at_ms),
                expires: by.expires_ms.map(unix),
                until_resolved: by.expires_ms.is_none(),
            }),
            inhibited_by: one.inhibited_by.map(id),
            inhibits: one.inhibits,
            maintenance: one.maintenance.as_deref().map(str::to_owned),
            flapping: one.flapping,
            no_data: one.no_data,
            runbook: one.runbook.as_deref().map(str::to_owned),
            notifies: one.notify,
        }
    }
}

/// Which alerts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// `PENDING`, `FIRING`, `KEEP` or `RESOLVED`.
    #[schemars(with = "Option<String>")]
    state: Option<AlertState>,
    /// `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    #[schemars(with = "Option<String>")]
    severity: Option<Severity>,
    rule: Option<String>,
}

/// Every alert there is something to say about, the worst first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AlertsJson {
    alerts: Vec<AlertJson>,
}

/// The same by their ids, for listeners.
pub(crate) fn rows(shared: &Shared) -> BTreeMap<String, Box<RawValue>> {
    let row = |one: Standing| Some((id(one.id), to_raw_value(&AlertJson::from(one)).ok()?));
    shared.monitor.standings().into_iter().filter_map(row).collect()
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
) -> Json<AlertsJson> {
    let fits = |one: &Standing| {
        asked.state.is_none_or(|state| one.state == state)
            && asked.severity.is_none_or(|severity| one.severity == Some(severity))
            && asked.rule.as_deref().is_none_or(|rule| *one.rule == *rule)
    };
    let alerts = shared.monitor.standings().into_iter().filter(fits).map(AlertJson::from);
    Json(AlertsJson { alerts: alerts.collect() })
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
) -> Result<Json<AlertJson>, ApiError> {
    let standing = fingerprint(&text).and_then(|id| shared.monitor.standing(id));
    standing.map(|one| Json(one.into())).ok_or_else(|| unknown(&text))
}

/// Who sees to it says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Acknowledging {
    /// What they say. Up to 2 000 characters.
    note: String,
    /// For how long; otherwise until it is over.
    expires_in_ms: Option<u64>,
}

type Acted = Result<(Extension<Noted>, Json<AlertJson>), ApiError>;

pub(super) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
    Who(who): Who,
    Json(said): Json<Acknowledging>,
) -> Acted {
    let within = within("expires_in_ms", said.expires_in_ms)?;
    let who = who.name.to_string();
    act(&shared, &text, Act::Acknowledge { who, note: said.note, within })
}

pub(super) async fn withdraw(State(shared): State<Arc<Shared>>, Path(text): Path<String>) -> Acted {
    act(&shared, &text, Act::Withdraw)
}

/// Whoever does not want to hear of it says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Silencing {
    /// Why. Must be said.
    reason: String,
    /// For how long; otherwise until it is resolved.
    for_ms: Option<u64>,
    /// Until it is resolved: what holds without `for_ms`.
    until_resolved: Option<bool>,
}

pub(super) async fn silence(
    State(shared): State<Arc<Shared>>,
    Path(text): Path<String>,
    Who(who): Who,
    Json(said): Json<Silencing>,
) -> Acted {
    if said.reason.trim().is_empty() {
        return Err(ApiError::BadRequest("`reason` is empty: say why it is silenced".into()));
    }
    match (said.for_ms, said.until_resolved) {
        (Some(_), Some(true)) | (None, Some(false)) => {
            let text = "allowed: either `for_ms`, or `until_resolved`";
            return Err(ApiError::BadRequest(text.into()));
        }
        (Some(_), Some(false) | None) | (None, Some(true) | None) => {}
    }
    let within = within("for_ms", said.for_ms)?;
    let who = who.name.to_string();
    act(&shared, &text, Act::Silence { who, reason: said.reason, within })
}

pub(super) async fn lift(State(shared): State<Arc<Shared>>, Path(text): Path<String>) -> Acted {
    act(&shared, &text, Act::Lift)
}

fn act(shared: &Shared, text: &str, act: Act) -> Acted {
    let id = fingerprint(text).ok_or_else(|| unknown(text))?;
    let (standing, told) = shared.monitor.act(id, act).map_err(|error| match error {
        ActError::Unknown => unknown(text),
        ActError::NotFiring => ApiError::Conflict(error.to_string()),
    })?;
    tell(shared, &told);
    let noted = format!("{} {:?}", standing.rule, standing.labels);
    Ok((Extension(Noted(noted)), Json(standing.into())))
}

fn within(field: &str, ms: Option<u64>) -> Result<Option<Duration>, ApiError> {
    match ms {
        Some(ms) if !(1..=WITHIN_MAX_MS).contains(&ms) => {
            let text = format!("`{field}` is {ms}, allowed: 1 to {WITHIN_MAX_MS} (366 days)");
            Err(ApiError::BadRequest(text))
        }
        ms => Ok(ms.map(Duration::from_millis)),
    }
}

fn fingerprint(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn unknown(text: &str) -> ApiError {
    let text: String = text.chars().take(64).collect();
    ApiError::NotFound(format!("there is no alert {text:?}: GET /api/v1/alerts lists them"))
}

/// Which part of the history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Past {
    /// From then on: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// Until then, exclusively.
    to: Option<String>,
    rule: Option<String>,
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Something that happened to an alert.
#[derive(Debug, Serialize, JsonSchema)]
struct AlertEventJson {
    id: String,
    at: String,
    alert: String,
    rule: String,
    labels: BTreeMap<String, String>,
    /// `fired`, `severity_changed`, `resolved`, `acknowledged`, `acknowledgement_ended`, `silenced`,
    /// `silence_ended`, `flapping_began`, `flapping_ended`, `no_data_began`, `no_data_ended`.
    what: String,
    incident: u64,
    #[schemars(with = "Option<String>")]
    severity: Option<Severity>,
    /// What the severity was before.
    #[schemars(with = "Option<String>")]
    from: Option<Severity>,
    lasted_ms: Option<u64>,
    who: Option<String>,
    note: Option<String>,
    /// Why a flag was taken down: `withdrawn`, `expired`, `severity_rose`, `resolved`.
    ended: Option<String>,
    value: Option<f64>,
    summary: String,
}

/// A page of what happened to alerts.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PastJson {
    events: Vec<AlertEventJson>,
    /// Where the next page begins.
    next: Option<String>,
}

pub(super) async fn history(
    State(shared): State<Arc<Shared>>,
    Query(past): Query<Past>,
) -> Result<Json<PastJson>, ApiError> {
    let from = moment("from", past.from.as_deref(), 0)?;
    let to = moment("to", past.to.as_deref(), u64::MAX)?;
    let limit = limit(past.limit, PAGE, PAGE_MAX)?;
    if let Some(after) = past.after.as_deref().filter(|after| !is_place(after)) {
        let after: String = after.chars().take(64).collect();
        let text = format!("`after` is {after:?}, allowed: the `next` of a page");
        return Err(ApiError::BadRequest(text));
    }
    let found = read(&shared, move |store| {
        page(store, (from, to), past.rule.as_deref(), past.after.as_deref(), limit)
    })
    .await?;
    let shown = |(id, event): (String, AlertEvent)| AlertEventJson {
        id,
        at: unix(event.at_ms),
        alert: event.alert,
        rule: event.rule,
        labels: event.labels,
        what: event.what,
        incident: event.incident,
        severity: event.severity,
        from: event.from,
        lasted_ms: event.lasted_ms,
        who: event.who,
        note: event.note,
        ended: event.ended,
        value: event.value,
        summary: event.summary,
    };
    Ok(Json(PastJson { events: found.events.into_iter().map(shown).collect(), next: found.next }))
}

/// A rule as the API shows it.
#[derive(Debug, Serialize)]
struct RuleJson {
    #[serde(flatten)]
    spec: RuleSpec,
    /// What it watches, in words.
    description: &'static str,
    unit: &'static str,
    for_ms: u64,
    keep_firing_for_ms: u64,
    window_ms: u64,
    /// `default`, `pack`, or `file` where the file says something about it.
    source: &'static str,
}

pub(super) async fn rules(State(shared): State<Arc<Shared>>) -> Json<serde_json::Value> {
    let (set, own) = shared.monitor.rules();
    let usual = mainstay::monitor::engine::rules::defaults();
    let shown = |spec: RuleSpec| {
        let (info, config) = (spec.signal.info(), spec.config());
        let source = if own.contains(&spec.id) {
            "file"
        } else if usual.iter().any(|rule| rule.id == spec.id) {
            "default"
        } else {
            "pack"
        };
        let effective = RuleSpec {
            statistic: Some(spec.statistic()),
            side: Some(spec.side()),
            min_samples: Some(config.min_samples),
            ..spec
        };
        RuleJson {
            description: info.about,
            unit: info.unit,
            for_ms: millis(config.hold_for),
            keep_firing_for_ms: millis(config.keep_firing_for),
            window_ms: millis(effective.window),
            source,
            spec: effective,
        }
    };
    let rules: Vec<_> = set.rules.into_iter().map(shown).collect();
    Json(serde_json::json!({ "rules": rules, "slos": set.slos }))
}
