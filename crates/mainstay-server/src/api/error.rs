use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is not answered as asked, in words for people and a code for programs. It is
/// answered as a problem of RFC 9457.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The request makes no sense; the text says which part.
    BadRequest(String),
    /// No such thing; the text says what there is.
    NotFound(String),
    /// The thing is there, but not for that method.
    MethodNotAllowed(String),
    /// The credentials are missing or wrong.
    Unauthorized(String),
    /// Whoever asks may not, or asks from a page of another site.
    Forbidden(&'static str),
    /// The thing is not as it must be for that.
    Conflict(String),
    /// It was there, and is over.
    Gone(String),
    /// It is too large.
    TooLarge(String),
    /// Too much is asked by this one; the number is the seconds to wait.
    TooMany(String, u32),
    /// It took too long.
    Timeout,
    /// Too much is asked at the same time, or the server is stopping.
    Overloaded,
    /// It is not possible now; the number is the seconds to wait.
    Unavailable(String, u32),
    /// What must be stored could not be.
    Storage(String),
}

/// Every code of a problem.
pub(super) const CODES: [&str; 13] = [
    "BAD_REQUEST",
    "UNAUTHORIZED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "CONFLICT",
    "GONE",
    "TOO_LARGE",
    "TOO_MANY",
    "TIMEOUT",
    "OVERLOADED",
    "UNAVAILABLE",
    "STORAGE",
];

impl ApiError {
    const fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "CONFLICT"),
            Self::Gone(_) => (StatusCode::GONE, "GONE"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE"),
            Self::TooMany(..) => (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "TIMEOUT"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED"),
            Self::Unavailable(..) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, "STORAGE"),
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::BadRequest(text)
            | Self::NotFound(text)
            | Self::MethodNotAllowed(text)
            | Self::Unauthorized(text)
            | Self::Conflict(text)
            | Self::Gone(text)
            | Self::TooLarge(text)
            | Self::TooMany(text, _)
            | Self::Unavailable(text, _)
            | Self::Storage(text) => text,
            Self::Forbidden(text) => text,
            Self::Timeout => "it took too long; what was begun goes on",
            Self::Overloaded => "too many requests at the same time; try again",
        }
    }
}

/// The code of a problem, beside the answer that has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub(super) &'static str);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": code,
            "detail": self.detail(),
        });
        let problem = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(CONTENT_TYPE, problem)], body.to_string()).into_response();
        response.extensions_mut().insert(Code(code));
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Overloaded | Self::Storage(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::TooMany(_, seconds) | Self::Unavailable(_, seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::BadRequest(_)
            | Self::NotFound(_)
            | Self::MethodNotAllowed(_)
            | Self::Forbidden(_)
            | Self::Conflict(_)
            | Self::Gone(_)
            | Self::TooLarge(_)
            | Self::Timeout => {}
        }
        response
    }
}

/// Names of things that are shown to whoever asked for one that is not there.
const NAMES_SHOWN: usize = 50;

/// What to say about a thing that is not there.
pub(super) fn unknown(kind: &str, name: &str, names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMES_SHOWN);
    match (names.len(), more) {
        (0, _) => format!("there is no {kind} {name:?}, and no other"),
        (_, 0) => format!("there is no {kind} {name:?}, there is: {shown}"),
        (_, more) => format!("there is no {kind} {name:?}, there is: {shown}, and {more} more"),
    }
}
