use axum::Json;
use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is not answered as asked, in words for people and a code for programs.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// No such thing; the text says what there is.
    NotFound(String),
    /// The thing is there, but not for that method.
    MethodNotAllowed(String),
    /// The token is missing or wrong.
    Unauthorized,
    /// A page of another site asks, or asks under a name that is not this server's.
    Forbidden(&'static str),
    /// It took too long.
    Timeout,
    /// Too much is asked at the same time.
    Overloaded,
}

impl ApiError {
    const fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "TIMEOUT"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED"),
        }
    }

    fn message(&self) -> &str {
        match self {
            Self::NotFound(text) | Self::MethodNotAllowed(text) => text,
            Self::Unauthorized => "send the header `Authorization: Bearer TOKEN`",
            Self::Forbidden(text) => text,
            Self::Timeout => "it took too long; what was begun goes on",
            Self::Overloaded => "too many requests at the same time; try again",
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let body = Json(json!({ "error": code, "message": self.message() }));
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Overloaded => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::NotFound(_) | Self::MethodNotAllowed(_) | Self::Forbidden(_) | Self::Timeout => {}
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
