//! Sessions over plain HTTP, for clients that cannot speak over a WebSocket and for gateways.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use mainstay::clock;
use mainstay::core::session::quality::Quality;
use mainstay::core::session::status::EndReason;
use mainstay::core::session::stream::Seq;
use mainstay_registry::{Beat, Beats, SessionId};
use mainstay_wire::{Bye, Decoded, Frame, Hello, Pong, decode, encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::error::ApiError;
use super::guard::{Who, require};
use super::sessions::{named, no_such, not_done};
use super::time::millis;
use super::words::QualityWord;
use crate::auth::Identity;
use crate::session::{Fault, Held, NotDone, Owner, take};
use crate::state::Shared;

/// Where a client shows the token of its last welcome.
pub(super) const SESSION: &str = "mainstay-session";
/// How long a poll waits for something to say: less than the idle time of the proxies on its way.
const POLL_WITHIN: Duration = Duration::from_secs(25);
/// Frames of one answer, or of one request.
const FRAMES_MAX: usize = 256;
/// Sessions that a gateway may beat for at once.
const BEATS_MAX: usize = 1000;

/// Begins a session, or goes on with one: the body is a `hello`, the answer a `welcome`.
pub(super) async fn register(
    State(shared): State<Arc<Shared>>,
    Who(who): Who,
    body: Bytes,
) -> Result<Response, ApiError> {
    let (hello, owner) = hello(&shared, &who, &body)?;
    // Whoever does not wait for the answer must not leave a session half begun.
    let hub = shared.hub.clone();
    let greeting = async move { hub.greet(&hello, &owner, Beats::Client).await };
    let greeted = tokio::spawn(greeting).await.map_err(|_| ApiError::Timeout)?;
    match greeted {
        Ok(greeted) => {
            let status = if greeted.welcome.resumed { StatusCode::OK } else { StatusCode::CREATED };
            Ok((status, Json(frame(&Frame::Welcome(greeted.welcome)))).into_response())
        }
        Err(bye) => {
            shared.hub.tally().refused(bye.code);
            Err(turned_away(&bye))
        }
    }
}

/// The hello of a body, and whose session it is to be.
fn hello(shared: &Shared, who: &Identity, body: &[u8]) -> Result<(Hello, Owner), ApiError> {
    let bad = |text: String| ApiError::BadRequest(text);
    let mut fields: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| bad(format!("no `hello`: {error}")))?;
    let mut owner = Owner::from(who);
    for (name, place) in [("user", 0), ("organisation", 1)] {
        let Some(value) = fields.remove(name) else { continue };
        let Value::String(text) = value else { return Err(bad(format!("`{name}` is no text"))) };
        if !(1..=256).contains(&text.len()) || text.chars().any(char::is_control) {
            return Err(bad(format!("`{name}` is no name: 1 to 256 bytes, no control characters")));
        }
        if !who.role.declares() {
            return Err(ApiError::Forbidden("only the roles gateway and admin may name others"));
        }
        match place {
            0 => owner.user = Some(text.into()),
            _ => owner.organisation = text.into(),
        }
    }
    fields.insert("t".into(), "hello".into());
    let text = Value::Object(fields).to_string();
    match decode(&text, shared.hub.limits().frame_max) {
        Ok(Decoded::Known(Frame::Hello(hello))) => Ok((hello, owner)),
        Ok(Decoded::Known(_) | Decoded::Unknown { .. }) => Err(bad("no `hello`".into())),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// What a client beats with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Beating {
    /// Its wall clock, in milliseconds since 1970. For people.
    #[serde(rename = "ct")]
    _client_time: Option<i64>,
    /// The round trip that it has measured, in milliseconds.
    rtt_ms: Option<u32>,
}

/// What it is told.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BeatJson {
    /// The server's wall clock, in milliseconds since 1970.
    time: u64,
    #[schemars(with = "QualityWord")]
    quality: Quality,
    /// Until the next beat, and how long after that the session is given up.
    hb: IntervalJson,
    /// Beats that were missing before this one.
    missed: u32,
    /// Messages that wait for it.
    queued: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct IntervalJson {
    interval_ms: u64,
    timeout_ms: u64,
}

impl From<Beat> for IntervalJson {
    fn from(beat: Beat) -> Self {
        Self { interval_ms: millis(beat.interval), timeout_ms: millis(beat.timeout) }
    }
}

/// A client is there.
pub(super) async fn heartbeat(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Who(who): Who,
    headers: HeaderMap,
    beating: Option<Json<Beating>>,
) -> Result<Json<BeatJson>, ApiError> {
    let session = named(&id)?;
    if !who.role.declares() {
        held(&shared, session, &headers)?;
    }
    let rtt = beating.unwrap_or_default().rtt_ms;
    let rtt = rtt.map(|ms| Duration::from_millis(ms.into()));
    let beat = shared.hub.beat(session, rtt).ok_or_else(|| not_there(&shared, session))?;
    let queued = shared.hub.queued(session);
    let (quality, missed) = (beat.quality, beat.missed);
    let time = crate::session::unix_ms();
    Ok(Json(BeatJson { time, quality, hb: beat.into(), missed, queued }))
}

/// Beats for many sessions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    beats: Vec<BatchBeat>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct BatchBeat {
    #[schemars(with = "String")]
    session: SessionId,
    rtt_ms: Option<u32>,
}

/// A gateway beats for those behind it.
pub(super) async fn heartbeats(
    State(shared): State<Arc<Shared>>,
    Who(who): Who,
    Json(batch): Json<Batch>,
) -> Result<Json<Value>, ApiError> {
    require(who.role.declares())?;
    if batch.beats.len() > BEATS_MAX {
        let text = format!("{} beats, allowed: at most {BEATS_MAX}", batch.beats.len());
        return Err(ApiError::TooLarge(text));
    }
    let beats: Vec<_> = batch
        .beats
        .iter()
        .map(|beat| (beat.session, beat.rtt_ms.map(|ms| Duration::from_millis(ms.into()))))
        .collect();
    let answers = shared.hub.beat_many(&beats);
    let answers: Vec<Value> = beats
        .iter()
        .zip(answers)
        .map(|((session, _), answer)| match answer {
            Some(beat) => {
                let quality = beat.quality;
                json!({ "session": session, "quality": quality, "hb": IntervalJson::from(beat) })
            }
            None => json!({ "session": session, "gone": true }),
        })
        .collect();
    Ok(Json(json!({ "time": crate::session::unix_ms(), "beats": answers })))
}

/// From where on a client polls.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Polling {
    /// The last message of the server that it has processed.
    recv: u64,
    /// How long it wants to wait, in milliseconds: 25 s at most.
    wait_ms: Option<u64>,
}

/// Waits until the server has something to say, and says it.
pub(super) async fn poll(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(polling): Query<Polling>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let session = named(&id)?;
    let held = held(&shared, session, &headers)?;
    shared.hub.beat(session, None).ok_or_else(|| not_there(&shared, session))?;
    let wait = polling.wait_ms.map_or(POLL_WITHIN, Duration::from_millis).min(POLL_WITHIN);
    let mut stopping = shared.stopping.subscribe();
    let received = Seq(polling.recv);
    let mut turns = 0;
    let something = poll_fn(|context| {
        turns += 1;
        held.fetch(received, FRAMES_MAX, turns == 1, context)
    });
    let fetched = tokio::select! {
        fetched = timeout(wait, something) => fetched,
        _ = stopping.wait_for(|stopping| *stopping) => return Err(ApiError::Overloaded),
    };
    let frames = match fetched {
        Ok(Ok(frames)) => frames,
        Ok(Err(fault)) => return Err(faulty(fault)),
        Err(_) => Vec::new(),
    };
    // A client whose poll came back is there.
    let _there: Option<Beat> = shared.hub.beat(session, None);
    let frames: Vec<_> = frames.iter().filter_map(|text| raw(text.as_str())).collect();
    Ok(Json(json!({ "frames": frames, "recv": held.processed().0 })))
}

/// What a client says: frames as over a WebSocket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Saying {
    #[schemars(with = "Vec<serde_json::Value>")]
    frames: Vec<Box<RawValue>>,
}

/// Takes in what a client says, and answers how far it got.
pub(super) async fn say(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(saying): Json<Saying>,
) -> Result<Json<Value>, ApiError> {
    let session = named(&id)?;
    let held = held(&shared, session, &headers)?;
    if saying.frames.len() > FRAMES_MAX {
        let text = format!("{} frames, allowed: at most {FRAMES_MAX}", saying.frames.len());
        return Err(ApiError::TooLarge(text));
    }
    shared.hub.beat(session, None).ok_or_else(|| not_there(&shared, session))?;
    let mut answers = Vec::new();
    for (index, text) in saying.frames.iter().enumerate() {
        let frame = match decode(text.get(), shared.hub.limits().frame_max) {
            Ok(Decoded::Known(frame)) => frame,
            Ok(Decoded::Unknown { .. }) => continue,
            Err(error) => {
                let text = format!("frame {index}: {error}; those before it were taken");
                return Err(ApiError::BadRequest(text));
            }
        };
        if let Frame::Ping(ping) = frame {
            let (number, sent_us) = (ping.number, ping.sent_us);
            let pong = Pong { number, sent_us, client_time_ms: None, view: None };
            answers.push(self::frame(&Frame::Pong(pong)));
            continue;
        }
        take(&shared.hub, &held, clock::now(), frame).await.map_err(faulty)?;
    }
    Ok(Json(json!({ "recv": held.processed().0, "frames": answers })))
}

/// A client says goodbye for good; an operator may say it for one.
pub(super) async fn leave(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Who(who): Who,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let session = named(&id)?;
    let (reason, bye) = if headers.contains_key(SESSION) {
        held(&shared, session, &headers)?;
        (EndReason::Bye, Bye { code: 1000, reason: String::new(), retry: None })
    } else {
        require(who.role.acts())?;
        (EndReason::Kicked, super::sessions::Farewell::default().bye()?)
    };
    shared.hub.end(session, reason, bye).await.map_err(|why| not_done(session, why))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The session that a client shows the token of, while that is the latest.
fn held(shared: &Shared, session: SessionId, headers: &HeaderMap) -> Result<Held, ApiError> {
    let missing = || {
        let text = format!("send the header `{SESSION}` with the token of the last welcome");
        ApiError::Unauthorized(text)
    };
    let token = headers.get(SESSION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    match shared.hub.held(session, token) {
        Ok(Some(held)) => Ok(held),
        Ok(None) => Err(missing()),
        Err(Fault::Overtaken) => Err(faulty(Fault::Overtaken)),
        Err(Fault::Gap | Fault::NeverSent | Fault::Refused) => Err(missing()),
    }
}

fn not_there(shared: &Shared, session: SessionId) -> ApiError {
    match shared.hub.record(session) {
        None => no_such(session),
        Some(record) if record.ended.is_some() => not_done(session, NotDone::Gone),
        Some(_) => ApiError::Conflict("the session rests: go on with it by `hello`".into()),
    }
}

fn faulty(fault: Fault) -> ApiError {
    match fault {
        Fault::Gap => ApiError::Conflict("a message was left out: send from `recv` on".into()),
        Fault::NeverSent => ApiError::Conflict("that was never sent to you".into()),
        Fault::Overtaken => ApiError::Conflict("a later connection has taken over".into()),
        Fault::Refused => ApiError::BadRequest("a frame that is not for here".into()),
    }
}

/// A `bye` in place of a `welcome`.
fn turned_away(bye: &Bye) -> ApiError {
    let text = format!("{} ({})", bye.reason, bye.code);
    let seconds = bye.retry.map_or(1, |retry| retry.after_ms.div_ceil(1000).max(1));
    match bye.code {
        4201 => ApiError::Unauthorized(text),
        4204 => ApiError::BadRequest(text),
        4205 => ApiError::TooMany(text, 60),
        4106 => ApiError::Conflict(text),
        _ => ApiError::Unavailable(text, u32::try_from(seconds).unwrap_or(60)),
    }
}

fn frame(frame: &Frame) -> Box<RawValue> {
    let mut text = String::new();
    encode(frame, &mut text);
    raw(&text).unwrap_or_default()
}

fn raw(text: &str) -> Option<Box<RawValue>> {
    RawValue::from_string(text.into()).ok()
}
