use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use mainstay::classify::Attempt;
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::outcome::Outcome;
use mainstay::retry::Retry;
use mainstay::retry_after::retry_after;
use metrics::Counter;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::{Client, StatusCode};

use super::OtlpError;
use crate::config::OtlpSpec;

/// The most bytes of an answer that are read: it says what was not taken.
const ANSWER_MAX: usize = 64 * 1024;

type Judge = fn(&Result<Answer, reqwest::Error>, Attempt) -> Outcome;

/// Sends to one address of a collector, again as the protocol allows, and counts.
pub(super) struct Poster {
    http: Client,
    url: String,
    headers: HeaderMap,
    retry: Retry<Judge>,
    signal: &'static str,
    exported: Counter,
    refused: Counter,
    failures: Counter,
    /// Whether nothing was taken the last time.
    is_failing: AtomicBool,
}

/// What came of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was taken or refused: it is not sent again.
    Done,
    /// It may be sent again, not before so long.
    Later(Option<Duration>),
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    hint: Option<Duration>,
    body: Vec<u8>,
}

impl Poster {
    /// For what is called `signal` at the collector.
    pub(super) fn new(spec: &OtlpSpec, signal: &'static str) -> Result<Self, OtlpError> {
        let mut http = mainstay::http::builder().user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ));
        if let Some(roots) = &spec.roots {
            let roots = reqwest::Certificate::from_pem_bundle(roots.as_bytes());
            http = http.tls_certs_only(roots.map_err(OtlpError::Http)?);
        }
        let http = http.build().map_err(OtlpError::Http)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &spec.headers {
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| OtlpError::Header(name.clone()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let mut call = CallConfig {
            attempt_timeout: Some(spec.timeout),
            deadline: Some(spec.timeout),
            ..CallConfig::default()
        };
        call.backoff.base = Duration::from_millis(500);
        call.backoff.cap = Duration::from_secs(5);
        let retry = Retry::new(&call).map_err(OtlpError::Config)?.classify_with(judge as Judge);
        Ok(Self {
            http,
            url: format!("{}/v1/{signal}", spec.endpoint),
            headers,
            retry,
            signal,
            exported: metrics::counter!(super::EXPORTED, "signal" => signal),
            refused: dropped(signal, "refused"),
            failures: metrics::counter!(super::FAILURES, "signal" => signal),
            is_failing: AtomicBool::new(false),
        })
    }

    /// Sends a request that has so many spans or points.
    pub(super) async fn send(&self, body: &[u8], count: usize) -> Sent {
        let count = count as u64;
        let sent = self.retry.call(|_| self.once(body.to_vec())).await;
        let (why, outcome) = match sent {
            Ok(answer) if answer.status.is_success() => {
                let refused = not_taken(&answer.body).min(count);
                self.exported.increment(count - refused);
                self.taken(refused);
                return Sent::Done;
            }
            Ok(answer) => (format!("it answered {}", answer.status), of_status(&answer)),
            Err(error) => (deepest(&error), Outcome::TRANSIENT),
        };
        self.failures.increment(1);
        match outcome {
            Outcome::Transient { hint } | Outcome::Throttled { hint } => {
                self.failing(&why, "it is tried again");
                Sent::Later(hint)
            }
            Outcome::Success
            | Outcome::Refused
            | Outcome::Permanent
            | Outcome::Elsewhere
            | Outcome::Rejected { .. }
            | Outcome::Abandoned
            | Outcome::Mistake => {
                self.refused.increment(count);
                self.failing(&why, "what it refuses is not sent again");
                Sent::Done
            }
        }
    }

    async fn once(&self, body: Vec<u8>) -> Result<Answer, reqwest::Error> {
        let request = self.http.post(&self.url).headers(self.headers.clone()).body(body);
        let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
        let hint = retry_after(answer.headers(), SystemTime::now());
        let mut body = Vec::new();
        // What breaks off changes nothing about the status.
        while let Ok(Some(chunk)) = answer.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_MAX {
                break;
            }
        }
        Ok(Answer { status: answer.status(), hint, body })
    }

    /// Told once, not for every batch.
    fn failing(&self, why: &str, then: &str) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            let (signal, to) = (self.signal, &self.url);
            tracing::warn!(signal, to, why, "the collector does not take what is exported; {then}");
        }
    }

    fn taken(&self, refused: u64) {
        let (signal, to) = (self.signal, &self.url);
        if refused > 0 {
            self.refused.increment(refused);
            self.failing("it left some out", "what it refuses is not sent again");
        } else if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!(signal, to, "the collector takes what is exported");
        }
    }
}

/// What was dropped, by why.
pub(super) fn dropped(signal: &'static str, reason: &'static str) -> Counter {
    metrics::counter!(super::DROPPED, "signal" => signal, "reason" => reason)
}

fn judge(result: &Result<Answer, reqwest::Error>, _: Attempt) -> Outcome {
    match result {
        Ok(answer) => of_status(answer),
        Err(error) if error.is_builder() => Outcome::Mistake,
        Err(_) => Outcome::TRANSIENT,
    }
}

/// The protocol's own table: these four may pass, all others are final.
fn of_status(answer: &Answer) -> Outcome {
    let hint = answer.hint;
    match answer.status.as_u16() {
        200..=299 => Outcome::Success,
        429 => Outcome::Throttled { hint },
        503 if hint.is_some() => Outcome::Throttled { hint },
        502..=504 => Outcome::Transient { hint },
        _ => Outcome::Permanent,
    }
}

/// How many of those that were sent a collector says that it left out. It says so of spans as it does
/// of metrics.
fn not_taken(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    // A negative number is none.
    u64::try_from(partial.rejected_spans).unwrap_or_default()
}

/// The cause of all.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    if deepest.is::<reqwest::Error>() { "no answer".into() } else { deepest.to_string() }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };

    #[test]
    fn only_what_the_protocol_names_is_sent_again() {
        for status in 100..600 {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, hint: None, body: Vec::new() };
            let again =
                matches!(of_status(&answer), Outcome::Transient { .. } | Outcome::Throttled { .. });
            assert_eq!(again, matches!(status.as_u16(), 429 | 502 | 503 | 504), "{status}");
        }
    }

    #[test]
    fn what_a_collector_left_out_is_read() {
        let told = |rejected_data_points| {
            let error_message = "too old".to_owned();
            let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message };
            let answer = ExportMetricsServiceResponse { partial_success: Some(partial) };
            not_taken(&answer.encode_to_vec())
        };
        assert_eq!((told(7), told(0), told(-1)), (7, 0, 0));
        assert_eq!([not_taken(b""), not_taken(b"<html>")], [0, 0]);
    }
}
