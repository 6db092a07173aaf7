//! Who may ask, how much, and for how long.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::state::Shared;

/// The longest time of a request; a disconnect in good order is the slowest.
const WITHIN: Duration = Duration::from_secs(30);

/// Lets requests through that show the token, or when there is none come from no foreign page.
pub(super) async fn allowed(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let open = request.uri().path() == "/health";
    let checked = match &*shared.token.load() {
        _ if open => Ok(()),
        Some(token) if shows(request.headers(), |shown| token.is(shown)) => Ok(()),
        Some(_) => Err(ApiError::Unauthorized),
        None => own_page(request.headers(), shared.loopback),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn shows(headers: &HeaderMap, is_token: impl Fn(&[u8]) -> bool) -> bool {
    let shown = headers.get(AUTHORIZATION).map(axum::http::HeaderValue::as_bytes);
    let token = shown.and_then(|shown| {
        let (scheme, token) = shown.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    token.is_some_and(is_token)
}

/// A server without a token trusts this machine, but not every web page that a browser on it shows:
/// those come with a foreign origin, or under a foreign name that was made to lead here.
fn own_page(headers: &HeaderMap, loopback: bool) -> Result<(), ApiError> {
    let text =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    if loopback && !is_local(host) {
        return Err(ApiError::Forbidden("ask under a local name, or set a token"));
    }
    match headers.get(ORIGIN).map(|_| text(ORIGIN).unwrap_or_default()) {
        Some(origin) if origin.strip_prefix("http://") != Some(host) => {
            Err(ApiError::Forbidden("pages of other sites need a token"))
        }
        Some(_) | None => Ok(()),
    }
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Ends what takes too long, and turns away what is too much.
pub(super) async fn in_time(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_place) = shared.requests.clone().try_acquire_owned() else {
        return ApiError::Overloaded.into_response();
    };
    match tokio::time::timeout(WITHIN, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Timeout.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_local_names_are_local() {
        for host in
            ["127.0.0.1:7180", "localhost:1", "LOCALHOST", "[::1]:7180", "[::1]", "127.9.9.9"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["", "example.org", "example.org:7180", "127.0.0.1.example.org", "10.0.0.1:7180"]
        {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn pages_of_other_sites_are_turned_away() {
        let headers = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            origin.map(|origin| headers.insert(ORIGIN, HeaderValue::from_static(origin)));
            headers
        };
        let host = "127.0.0.1:7180";
        assert!(own_page(&headers(host, None), true).is_ok());
        assert!(own_page(&headers(host, Some("http://127.0.0.1:7180")), true).is_ok());
        assert!(own_page(&headers(host, Some("https://example.org")), true).is_err());
        assert!(own_page(&headers(host, Some("null")), true).is_err());
        assert!(own_page(&headers("example.org:7180", None), true).is_err());
        assert!(own_page(&headers("example.org:7180", None), false).is_ok());
    }

    #[test]
    fn a_token_is_taken_in_one_form_only() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))])
        };
        let right = |shown: &[u8]| shown == b"hush";
        assert!(shows(&headers("Bearer hush"), right) && shows(&headers("bearer hush"), right));
        for text in ["hush", "Bearer", "Bearer ", "Bearer hus", "Basic hush", "Bearer  hush"] {
            assert!(!shows(&headers(text), right), "{text:?}");
        }
        assert!(!shows(&HeaderMap::new(), right));
    }
}
