//! One session is looked after: expected back, described, watched.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainstay::core::config::Ratio;
use mainstay::core::policy::backoff::{Backoff, BackoffConfig, Jitter, Strategy};
use mainstay::core::policy::pressure::Pressure;
use mainstay::core::session::quality::Quality;
use mainstay_registry::{Bar, Counts};
use mainstay_wire::{Meta, Raw};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::sessions::{SessionJson, named, not_done, shown, there};
use super::time::{millis, unix};
use super::words::QualityWord;
use crate::session::{NotDescribed, NotDone, unix_ms};
use crate::state::Shared;

/// How a session is expected back: seed 004's `scheduleReconnection`, with its names in snake case.
/// Defaults are those of its configuration (`connection.retry.*`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expectation {
    /// How the time grows from attempt to attempt.
    strategy: StrategyJson,
    /// `baseDelay`: how long the first window is, at most. Default 1000.
    #[serde(alias = "baseDelay")]
    base_delay_ms: u64,
    /// `maxDelay`: how long any window is, at most. Default 30000.
    #[serde(alias = "maxDelay")]
    max_delay_ms: u64,
    /// Growth of `EXPONENTIAL` and `ADAPTIVE`, 1 to 100. Default 2.
    multiplier: f64,
    /// Growth of `LINEAR`. Default as `base_delay_ms`.
    increment_ms: Option<u64>,
    /// Whether windows are drawn. Default yes.
    jitter: bool,
    /// `jitterRange`: the share by which they are, up and down, 0 to 1. Default 0.5.
    #[serde(alias = "jitterRange")]
    jitter_range: f64,
    /// `maxAttempts`: windows that may pass before the session is over (`FAILED`). Default 5.
    #[serde(alias = "maxAttempts")]
    max_attempts: u16,
}

/// Seed 004's `RetryStrategy.type`, as far as it is about waiting.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum StrategyJson {
    #[default]
    Exponential,
    Linear,
    Fixed,
    Adaptive,
}

impl Default for Expectation {
    fn default() -> Self {
        Self {
            strategy: StrategyJson::Exponential,
            base_delay_ms: 1000,
            max_delay_ms: 30_000,
            multiplier: 2.0,
            increment_ms: None,
            jitter: true,
            jitter_range: 0.5,
            max_attempts: 5,
        }
    }
}

impl Expectation {
    fn backoff(&self) -> Result<Backoff, ApiError> {
        let ratio = |field: &str, value: f64| {
            Ratio::try_from(value)
                .map_err(|_| ApiError::BadRequest(format!("`{field}` is {value}: too much")))
        };
        if self.max_attempts == 0 {
            return Err(ApiError::BadRequest("`max_attempts` is 0, allowed: from 1".into()));
        }
        let jitter = if self.jitter {
            Jitter::Ratio(ratio("jitter_range", self.jitter_range)?)
        } else {
            Jitter::None
        };
        let config = BackoffConfig {
            strategy: match self.strategy {
                StrategyJson::Exponential => Strategy::Exponential,
                StrategyJson::Linear => Strategy::Linear,
                StrategyJson::Fixed => Strategy::Fixed,
                StrategyJson::Adaptive => Strategy::Adaptive,
            },
            base: Duration::from_millis(self.base_delay_ms),
            cap: Duration::from_millis(self.max_delay_ms),
            factor: ratio("multiplier", self.multiplier)?,
            increment: self.increment_ms.map(Duration::from_millis),
            jitter,
        };
        Backoff::new(&config).map_err(|error| ApiError::BadRequest(error.to_string()))
    }
}

/// What was reserved.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ExpectedJson {
    /// Which attempt since the session was last stable, counted from 1.
    attempt: u32,
    /// How long its place is reserved.
    within_ms: u64,
    /// Until when: seed 004's `nextAttemptAt`.
    next_attempt_at: String,
    session: SessionJson,
}

/// A session is expected back, and its place reserved window by window.
pub(super) async fn reconnect(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    expectation: Option<Json<Expectation>>,
) -> Result<Json<ExpectedJson>, ApiError> {
    let session = named(&id)?;
    let expectation = expectation.unwrap_or_default().0;
    let backoff = expectation.backoff()?;
    let pressure = trouble(&shared.hub.counts());
    let reserved =
        shared.hub.expect_back(session, &backoff, pressure, expectation.max_attempts).await;
    let reserved = reserved.map_err(|why| not_done(session, why))?;
    let within_ms = millis(reserved.within);
    let Json(session) = shown(&shared, session)?;
    Ok(Json(ExpectedJson {
        attempt: reserved.attempt,
        within_ms,
        next_attempt_at: unix(unix_ms().saturating_add(within_ms)),
        session,
    }))
}

/// How much trouble clients are in, for `ADAPTIVE`: the share of sessions that are not over and are
/// neither well connected nor too young to be graded.
fn trouble(counts: &Counts) -> Pressure {
    let graded = |quality| counts.graded(quality);
    let well = graded(Quality::Excellent) + graded(Quality::Good) + graded(Quality::Unknown);
    let live = counts.live();
    Pressure::new(Ratio::of(live.saturating_sub(well), live))
}

/// A session says something else about itself, as a whole.
pub(super) async fn describe(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<SessionJson>, ApiError> {
    let session = named(&id)?;
    let bad = |why: String| ApiError::BadRequest(format!("the metadata: {why}"));
    let text = str::from_utf8(&body).map_err(|_| bad("no UTF-8".into()))?;
    let raw = Raw::new(text).map_err(|why| bad(why.to_string()))?;
    let meta = Meta::new(raw).map_err(|_| bad("is an object of at most 4096 bytes".into()))?;
    match shared.hub.set_metadata(session, meta.as_str()).await {
        Ok(()) => shown(&shared, session),
        Err(NotDescribed::Refused(why)) => Err(bad(why)),
        Err(NotDescribed::NotDone(why)) => Err(not_done(session, why)),
    }
}

/// Keeps the minutes of a session from now on.
pub(super) async fn watch(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let session = named(&id)?;
    there(&shared, session)?;
    if shared.hub.watch(session, true) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_done(session, NotDone::Gone))
    }
}

/// Keeps them no longer; what was kept is gone.
pub(super) async fn unwatch(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let session = named(&id)?;
    there(&shared, session)?;
    shared.hub.watch(session, false);
    Ok(StatusCode::NO_CONTENT)
}

/// The last hour of a session, the oldest minute first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BarsJson {
    bars: Vec<BarJson>,
}

/// What happened to the beats of a session in one minute.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BarJson {
    /// When the minute began.
    at: String,
    came: u16,
    missed: u16,
    rtt_max_us: Option<u32>,
    #[schemars(with = "QualityWord")]
    worst: Quality,
}

impl From<Bar> for BarJson {
    fn from(bar: Bar) -> Self {
        Self {
            at: unix(bar.minute.saturating_mul(60_000)),
            came: bar.came,
            missed: bar.missed,
            rtt_max_us: (bar.rtt_max_us > 0).then_some(bar.rtt_max_us),
            worst: bar.worst,
        }
    }
}

/// The minutes of a session that is watched.
pub(super) async fn bars(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<BarsJson>, ApiError> {
    let session = named(&id)?;
    there(&shared, session)?;
    let bars = shared.hub.bars(session).ok_or_else(|| {
        ApiError::Conflict(format!("nobody watches it: PUT /api/v1/sessions/{session}/watch"))
    })?;
    Ok(Json(BarsJson { bars: bars.into_iter().map(BarJson::from).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(text: &str, attempt: u32) -> Duration {
        let expectation: Expectation = serde_json::from_str(text).unwrap();
        expectation.backoff().unwrap().delay(attempt, Duration::ZERO, Pressure::NONE, 0)
    }

    #[test]
    fn windows_grow_as_the_seed_says() {
        let seconds = |text, attempts: [u32; 3]| attempts.map(|n| delay(text, n).as_millis());
        let exponential = r#"{"strategy":"EXPONENTIAL","jitter":false}"#;
        assert_eq!(seconds(exponential, [1, 2, 9]), [1000, 2000, 30_000]);
        let linear = r#"{"strategy":"LINEAR","increment_ms":500,"jitter":false}"#;
        assert_eq!(seconds(linear, [1, 2, 3]), [1000, 1500, 2000]);
        let fixed = r#"{"strategy":"FIXED","baseDelay":700,"jitter":false}"#;
        assert_eq!(seconds(fixed, [1, 2, 3]), [700, 700, 700]);
        let adaptive = r#"{"strategy":"ADAPTIVE","jitter":false,"multiplier":1.5}"#;
        assert_eq!(seconds(adaptive, [1, 2, 3]), [1000, 1500, 2250]);
        // By half, down; the cap holds with what is drawn upwards.
        assert_eq!(seconds("{}", [1, 2, 9]), [500, 1000, 10_000]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            r#"{"base_delay_ms":0}"#,
            r#"{"base_delay_ms":2000,"max_delay_ms":1000}"#,
            r#"{"multiplier":0.5}"#,
            r#"{"multiplier":-1}"#,
            r#"{"jitter_range":1.5}"#,
            r#"{"max_attempts":0}"#,
        ] {
            let expectation: Expectation = serde_json::from_str(wrong).unwrap();
            assert!(expectation.backoff().is_err(), "{wrong}");
        }
        for wrong in [r#"{"strategy":"CIRCUIT_BREAKER"}"#, r#"{"delay":1}"#] {
            assert!(serde_json::from_str::<Expectation>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn trouble_is_the_share_that_is_not_well() {
        let counts = Counts { connected: 8, reconnecting: 2, ..Counts::default() };
        let with = |by_quality| trouble(&Counts { by_quality, ..counts }).share().as_f64();
        // Unknown, critical, poor, good, excellent.
        assert!((with([0, 0, 0, 0, 8]) - 0.2).abs() < 1e-6);
        assert!((with([0, 4, 1, 1, 2]) - 0.7).abs() < 1e-6);
        assert!(trouble(&Counts::default()).share().as_f64() < 1e-6);
    }
}
