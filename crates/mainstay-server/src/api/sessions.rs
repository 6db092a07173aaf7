//! Sessions, for operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use mainstay::core::session::quality::{Factor, Quality};
use mainstay::core::session::status::{EndReason, Status};
use mainstay_registry::{Cursor, Query as Wanted, Record, SessionId, Silence};
use mainstay_wire::{Bye, CloseCode, Raw, Retry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::asked::limit;
use super::error::ApiError;
use super::time::{micros, millis, unix};
use super::words::{QualityWord, StatusWord};
use crate::session::{NotDone, SendError};
use crate::state::Shared;

/// Sessions of a page, unless fewer are asked for.
const PAGE: usize = 100;
/// Sessions of a page, at most.
const PAGE_MAX: usize = 1000;
/// Sessions that may be looked up at once.
const IDS_MAX: usize = 100;
/// The longest wait that a client may be told.
const RETRY_MAX_MS: u64 = 3_600_000;

/// A session as the API shows it: seed 004's `ConnectionState`, and what is known beside it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SessionJson {
    #[schemars(with = "String")]
    session: SessionId,
    generation: u64,
    user: Option<Box<str>>,
    organisation: Box<str>,
    client_type: Box<str>,
    client_version: Box<str>,
    #[schemars(with = "StatusWord")]
    status: Status,
    #[schemars(with = "Option<String>")]
    ended: Option<EndReason>,
    registered_at: String,
    connected_at: String,
    last_heartbeat: String,
    disconnected_at: Option<String>,
    expires_at: Option<String>,
    reconnect_attempts: u32,
    max_reconnect_attempts: u32,
    total_disconnections: u32,
    #[schemars(with = "QualityWord")]
    quality: Quality,
    #[schemars(with = "String")]
    factor: Factor,
    latency_us: Option<u64>,
    jitter_us: Option<u64>,
    latency_min_us: Option<u64>,
    missed_heartbeats: u32,
    loss: f64,
    heartbeat_interval_ms: u64,
    grace_ms: u64,
    #[schemars(with = "Option<serde_json::Value>")]
    metadata: Option<Box<RawValue>>,
}

impl From<Record> for SessionJson {
    fn from(record: Record) -> Self {
        let loss = match record.beats {
            0 => 0.0,
            beats => f64::from(record.losses.count_ones()) / f64::from(beats),
        };
        Self {
            session: record.session,
            generation: record.generation,
            user: record.user,
            organisation: record.organisation,
            client_type: record.client_type,
            client_version: record.client_version,
            status: record.status,
            ended: record.ended,
            registered_at: unix(record.registered_at),
            connected_at: unix(record.connected_at),
            last_heartbeat: unix(record.last_heartbeat),
            disconnected_at: record.disconnected_at.map(unix),
            expires_at: record.expires_at.map(unix),
            reconnect_attempts: record.reconnect_attempts,
            max_reconnect_attempts: record.max_reconnect_attempts,
            total_disconnections: record.total_disconnections,
            quality: record.quality,
            factor: record.factor,
            latency_us: record.latency.map(micros),
            jitter_us: record.jitter.map(micros),
            latency_min_us: record.latency_min.map(micros),
            missed_heartbeats: record.missed_heartbeats,
            loss,
            heartbeat_interval_ms: millis(record.heartbeat_interval),
            grace_ms: millis(record.grace),
            metadata: RawValue::from_string(record.metadata.into()).ok(),
        }
    }
}

/// One session, with what is known of its silence.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OneSessionJson {
    #[serde(flatten)]
    session: SessionJson,
    /// None while it has no connection.
    silence: Option<SilenceJson>,
}

/// How long a session has been silent, and when that has consequences unless it is heard.
#[derive(Debug, Serialize, JsonSchema)]
struct SilenceJson {
    /// What this server slept is not counted.
    silent_ms: u64,
    /// How far apart its beats are expected.
    interval_ms: u64,
    suspected: bool,
    suspect_at: String,
    /// When it is given up.
    dead_at: String,
    /// When it is asked next; none for one that beats by itself.
    asked_at: Option<String>,
    /// Whether nobody is given up now: too many fell silent at once, or this server slept.
    held: bool,
    /// How surprising the silence is: -log10 of its probability, were beats to come at random. Decides
    /// nothing.
    phi: f64,
    /// What that is when it is suspected.
    phi_suspect: f64,
    /// What that is when it is given up.
    phi_dead: f64,
}

impl From<Silence> for SilenceJson {
    fn from(silence: Silence) -> Self {
        Self {
            silent_ms: millis(silence.silent),
            interval_ms: millis(silence.interval),
            suspected: silence.suspected,
            suspect_at: unix(silence.suspect_at),
            dead_at: unix(silence.dead_at),
            asked_at: silence.asked_at.map(unix),
            held: silence.held,
            phi: silence.phi,
            phi_suspect: silence.phi_suspect,
            phi_dead: silence.phi_dead,
        }
    }
}

/// Sessions by their names, for listeners.
pub(crate) fn rows(records: Vec<Record>) -> BTreeMap<String, Box<RawValue>> {
    let row = |record: Record| {
        let name = record.session.to_string();
        Some((name, to_raw_value(&SessionJson::from(record)).ok()?))
    };
    records.into_iter().filter_map(row).collect()
}

/// Which sessions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listing {
    user: Option<String>,
    organisation: Option<String>,
    client_type: Option<String>,
    #[schemars(with = "Option<StatusWord>")]
    status: Option<Status>,
    #[schemars(with = "Option<QualityWord>")]
    quality: Option<Quality>,
    cursor: Option<String>,
    limit: Option<usize>,
    /// Up to 100 names with commas between them: these sessions alone, without those that are unknown.
    /// Nothing else is asked beside it.
    ids: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PageJson {
    sessions: Vec<SessionJson>,
    /// Where the list goes on; none at its end.
    next: Option<String>,
}

/// How many sessions there are, and how they are: seed 004's `getConnectionStats`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CountsJson {
    total: u64,
    connected: u64,
    suspended: u64,
    reconnecting: u64,
    disconnected: u64,
    failed: u64,
    by_quality: QualitiesJson,
    average_latency_us: Option<u64>,
    total_reconnection_attempts: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct QualitiesJson {
    excellent: u64,
    good: u64,
    poor: u64,
    critical: u64,
    unknown: u64,
}

/// The sessions that fit, a page at a time.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(listing): Query<Listing>,
) -> Result<Json<PageJson>, ApiError> {
    if let Some(ids) = &listing.ids {
        return looked_up(&shared, ids, &listing);
    }
    let wanted = Wanted {
        user: listing.user.map(Into::into),
        organisation: listing.organisation.map(Into::into),
        client_type: listing.client_type.map(Into::into),
        status: listing.status,
        quality: listing.quality,
        session: None,
    };
    let cursor = match listing.cursor.as_deref().map(str::parse) {
        None => Cursor::default(),
        Some(Ok(cursor)) => cursor,
        Some(Err(_)) => return Err(ApiError::BadRequest("`cursor` is none of ours".into())),
    };
    let limit = limit(listing.limit, PAGE, PAGE_MAX)?;
    let page = shared.hub.find(&wanted, cursor, limit);
    let next = page.next.map(|next| next.to_string());
    Ok(Json(PageJson { sessions: page.records.into_iter().map(SessionJson::from).collect(), next }))
}

/// Some sessions by their names: for whoever has listed them and wants to know how they are now.
fn looked_up(shared: &Shared, ids: &str, listing: &Listing) -> Result<Json<PageJson>, ApiError> {
    let rest = Listing { ids: None, ..listing.clone() };
    if rest != Listing::default() {
        return Err(ApiError::BadRequest("beside `ids` nothing else is asked".into()));
    }
    let ids: Vec<SessionId> = ids.split(',').map(named).collect::<Result<_, _>>()?;
    if ids.len() > IDS_MAX {
        let text = format!("`ids` are {}, allowed: at most {IDS_MAX}", ids.len());
        return Err(ApiError::BadRequest(text));
    }
    let found = ids.into_iter().filter_map(|id| shared.hub.record(id));
    Ok(Json(PageJson { sessions: found.map(SessionJson::from).collect(), next: None }))
}

/// How many there are.
pub(super) async fn counts(State(shared): State<Arc<Shared>>) -> Json<CountsJson> {
    let counts = shared.hub.counts();
    Json(CountsJson {
        total: counts.total(),
        connected: counts.connected,
        suspended: counts.suspended,
        reconnecting: counts.reconnecting,
        disconnected: counts.disconnected,
        failed: counts.failed,
        by_quality: QualitiesJson {
            excellent: counts.graded(Quality::Excellent),
            good: counts.graded(Quality::Good),
            poor: counts.graded(Quality::Poor),
            critical: counts.graded(Quality::Critical),
            unknown: counts.graded(Quality::Unknown),
        },
        average_latency_us: counts.latency().map(micros),
        total_reconnection_attempts: counts.reconnect_attempts,
    })
}

/// One session.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<OneSessionJson>, ApiError> {
    let session = named(&id)?;
    let record = shared.hub.record(session).ok_or_else(|| no_such(session))?;
    let silence = shared.hub.silence(session).map(SilenceJson::from);
    Ok(Json(OneSessionJson { session: record.into(), silence }))
}

/// What a client is told that is sent away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Farewell {
    /// The code of `bye`, 4000 to 4299: default 4202, which is for good. One below 4200 brings the
    /// client back, and leaves its session as it is.
    pub(super) code: Option<u16>,
    /// The same for people.
    pub(super) reason: Option<String>,
    /// When it may come back, in milliseconds.
    pub(super) retry_after_ms: Option<u64>,
    /// What it draws on top of that.
    pub(super) retry_jitter_ms: Option<u64>,
}

impl Farewell {
    pub(super) fn bye(&self) -> Result<Bye, ApiError> {
        let code = self.code.unwrap_or(CloseCode::BANNED.code);
        if !(4000..4300).contains(&code) {
            return Err(ApiError::BadRequest(format!("`code` is {code}, allowed: 4000 to 4299")));
        }
        let usual = CloseCode::find(code).map_or("disconnected", |known| known.name);
        let reason = self.reason.clone().unwrap_or_else(|| usual.into());
        if reason.len() > 123 {
            return Err(ApiError::BadRequest("`reason` is longer than 123 bytes".into()));
        }
        let (after, jitter) = (self.retry_after_ms, self.retry_jitter_ms);
        for (field, value) in [("retry_after_ms", after), ("retry_jitter_ms", jitter)] {
            if value.is_some_and(|value| value > RETRY_MAX_MS) {
                let text = format!("`{field}` is too long, allowed: at most {RETRY_MAX_MS}");
                return Err(ApiError::BadRequest(text));
            }
        }
        let given = after.is_some() || jitter.is_some();
        let (after_ms, jitter_ms) = (after.unwrap_or(0), jitter.unwrap_or(0));
        Ok(Bye { code, reason, retry: given.then_some(Retry { after_ms, jitter_ms }) })
    }
}

/// Whether a session is over with that goodbye. The other codes bring the client back, and it goes
/// on with its session.
pub(super) const fn ends(bye: &Bye) -> bool {
    bye.code >= 4200
}

/// Ends a session, or its connection alone when the code brings the client back.
pub(super) async fn disconnect(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    farewell: Option<Json<Farewell>>,
) -> Result<Json<SessionJson>, ApiError> {
    let session = named(&id)?;
    let bye = farewell.unwrap_or_default().0.bye()?;
    if ends(&bye) {
        let ended = shared.hub.end(session, EndReason::Kicked, bye).await;
        ended.map_err(|why| not_done(session, why))?;
    } else {
        there(&shared, session)?;
        shared.hub.dismiss(session, bye);
    }
    shown(&shared, session)
}

/// How long a session rests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rest {
    /// In milliseconds; its grace when it is not said.
    for_ms: Option<u64>,
}

/// Takes a session's connection away; it may come back.
pub(super) async fn suspend(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    rest: Option<Json<Rest>>,
) -> Result<Json<SessionJson>, ApiError> {
    let session = named(&id)?;
    let how_long = rest.unwrap_or_default().for_ms.map(Duration::from_millis);
    let suspended = shared.hub.suspend(session, how_long).await;
    suspended.map_err(|why| not_done(session, why))?;
    shown(&shared, session)
}

/// A message to a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sending {
    /// Any JSON.
    #[schemars(with = "serde_json::Value")]
    message: Box<RawValue>,
    /// Whether it may be lost with the connection. Default no.
    #[serde(default)]
    untracked: bool,
}

/// What became of a message.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Sent {
    /// Its number in the session, if it is tracked.
    seq: Option<u64>,
    /// Whether somebody is there to read it at once.
    connected: bool,
}

/// Sends a message to a session.
pub(super) async fn send(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Json(sending): Json<Sending>,
) -> Result<(StatusCode, Json<Sent>), ApiError> {
    let session = named(&id)?;
    let raw = Raw::new(sending.message.get())
        .map_err(|error| ApiError::BadRequest(format!("`message`: {error}")))?;
    let record = shared.hub.record(session).ok_or_else(|| no_such(session))?;
    let connected = record.status == Status::Connected;
    let target = shared.hub.session(session).ok_or_else(|| not_done(session, NotDone::Gone))?;
    let sent = if sending.untracked {
        target.tell(&raw).map(|connected| Sent { seq: None, connected })
    } else {
        target.send(&raw).map(|seq| Sent { seq: Some(seq), connected })
    };
    match sent {
        Ok(sent) => Ok((StatusCode::ACCEPTED, Json(sent))),
        Err(SendError::Full) => {
            let text = "as much waits for its client as may: send it when it has read some";
            Err(ApiError::TooMany(text.into(), 1))
        }
        Err(error @ SendError::TooLarge { .. }) => Err(ApiError::TooLarge(error.to_string())),
        Err(SendError::Gone) => Err(not_done(session, NotDone::Gone)),
    }
}

/// A session that is not over.
pub(super) fn there(shared: &Shared, session: SessionId) -> Result<Record, ApiError> {
    let record = shared.hub.record(session).ok_or_else(|| no_such(session))?;
    if record.ended.is_some() { Err(not_done(session, NotDone::Gone)) } else { Ok(record) }
}

pub(super) fn shown(shared: &Shared, session: SessionId) -> Result<Json<SessionJson>, ApiError> {
    let record = shared.hub.record(session).ok_or_else(|| no_such(session))?;
    Ok(Json(record.into()))
}

/// The session of that name.
pub(super) fn named(id: &str) -> Result<SessionId, ApiError> {
    id.parse().map_err(|error| ApiError::BadRequest(format!("{id:?} is {error}")))
}

pub(super) fn no_such(session: SessionId) -> ApiError {
    ApiError::NotFound(format!("there is no session {session}, or it was over long ago"))
}

pub(super) fn not_done(session: SessionId, why: NotDone) -> ApiError {
    match why {
        NotDone::Unknown => no_such(session),
        NotDone::Gone => ApiError::Gone(format!("the session {session} is over")),
        NotDone::Store(why) => ApiError::Storage(format!("it is done, and not stored yet: {why}")),
    }
}
