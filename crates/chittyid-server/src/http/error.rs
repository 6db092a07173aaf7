use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use mainstay_store::StoreError;
use serde_json::{Value, json};

use crate::MintError;

/// Why a request is not answered as asked, in the shape that ChittyID clients know: a word for
/// programs, a sentence for people, the time.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<u32>,
}

impl Problem {
    pub(crate) const fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message, retry_after: None }
    }

    /// The same, with the seconds to wait before another try.
    pub(crate) fn after(self, retry_after: Option<u32>) -> Self {
        Self { retry_after: retry_after.or(self.retry_after), ..self }
    }

    /// The answer, with more in its body.
    pub(crate) fn with(self, more: Value) -> Response {
        let mut body = self.json();
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        self.response(body)
    }

    fn json(&self) -> Value {
        json!({ "error": self.code, "message": self.message, "timestamp": timestamp() })
    }

    fn response(&self, body: Value) -> Response {
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    pub(crate) fn unauthorized(headers: &HeaderMap) -> Self {
        let message = if headers.contains_key(AUTHORIZATION) {
            "authentication failed: invalid API key"
        } else {
            "unauthorized: send the header `Authorization: Bearer` with an API key"
        };
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message.into())
    }

    pub(super) fn stopping() -> Self {
        let message = MintError::Stopping.to_string();
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { retry_after: Some(1), ..Self::new(status, "SERVICE_UNAVAILABLE", message) }
    }

    /// What the reader of a body said.
    pub(crate) fn body(rejection: &JsonRejection) -> Self {
        let status = rejection.status();
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "TOO_LARGE",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
            _ => "INVALID_REQUEST",
        };
        // A body of another shape is the caller's mistake, as one that is no JSON is.
        let status = match status {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        Self::new(status, code, rejection.body_text())
    }
}

/// The time as answers show it.
pub(crate) fn timestamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    at(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// A time in milliseconds since 1970, as answers show it.
pub(super) fn at(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store of ids cannot be read");
        let message = "what is stored cannot be read now".to_owned();
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message)
        }
    }
}

impl From<MintError> for Problem {
    fn from(error: MintError) -> Self {
        let message = error.to_string();
        let new = |status, code| Self::new(status, code, message.clone());
        let later = |code, seconds| Self {
            retry_after: Some(seconds),
            ..new(StatusCode::SERVICE_UNAVAILABLE, code)
        };
        match error {
            MintError::Request { code, .. } => new(StatusCode::BAD_REQUEST, code),
            MintError::RateLimited(seconds) => Self {
                retry_after: Some(seconds),
                ..new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED")
            },
            MintError::Exhausted { .. } => new(StatusCode::CONFLICT, "SEQUENCE_EXHAUSTED"),
            MintError::KeyReused => new(StatusCode::CONFLICT, "IDEMPOTENCY_KEY_REUSED"),
            MintError::Busy => later("OVERLOADED", 1),
            MintError::Stopping => later("SERVICE_UNAVAILABLE", 1),
            MintError::Store(error) => {
                tracing::error!(%error, "ids could not be stored");
                // What is wrong with the disk is the operator's to know.
                Self {
                    message: "what is minted cannot be stored now".into(),
                    ..later("STORAGE", 1)
                }
            }
            MintError::Lost(_) | MintError::Build(_) => {
                tracing::error!(%message, "an id could not be minted");
                new(StatusCode::INTERNAL_SERVER_ERROR, "MINT_FAILED")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.json();
        self.response(body)
    }
}
