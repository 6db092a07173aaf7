//! Who may ask, how much, and for how long.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use mainstay::clock;
use tokio::sync::Semaphore;

use super::error::ApiError;
use super::time::unix_secs;
use crate::accept::source;
use crate::auth::{AuthError, Identity};
use crate::session::network;
use crate::state::Shared;

/// The longest time of a request; a disconnect in good order is the slowest.
const WITHIN: Duration = Duration::from_secs(30);

/// Lets requests through whose credentials hold, or that come from no foreign page where nobody
/// must show any.
pub(super) async fn allowed(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if matches!(path, "/health" | "/v1/connect") || is_report(path) {
        return next.run(request).await;
    }
    match identify(&shared, &request) {
        Ok(who) => {
            request.extensions_mut().insert(Who(who));
            next.run(request).await
        }
        Err(error) => in_vain(&shared, &request, error).into_response(),
    }
}

/// Whether that is where a job reports in, under a token of its own.
fn is_report(path: &str) -> bool {
    let rest = path.strip_prefix("/api/v1/push/").unwrap_or_default();
    !rest.is_empty() && rest.split('/').count() <= 2
}

/// Whoever keeps showing wrong credentials is told to wait. One who shows good ones never is: many
/// people can come from one address, such as that of a proxy.
fn in_vain(shared: &Shared, request: &Request, error: ApiError) -> ApiError {
    match (&error, source(request.extensions())) {
        (ApiError::Unauthorized(_), Some(from)) if shows(request.headers()) => {
            failed(shared, from).err().unwrap_or(error)
        }
        _ => error,
    }
}

/// Whether any credentials are shown.
pub(crate) fn shows(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

/// Counts an attempt in vain; the error is for one who has made too many.
pub(crate) fn failed(shared: &Shared, from: IpAddr) -> Result<(), ApiError> {
    let admitted = shared.rates.load().failures.admit(clock::now(), network(from));
    admitted.map_err(|seconds| {
        ApiError::TooMany("too many wrong credentials come from this address".into(), seconds)
    })
}

/// Lets an address ask as often as it may.
pub(super) async fn at_rate(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(from) = source(request.extensions()) else { return next.run(request).await };
    match shared.rates.load().requests.admit(clock::now(), network(from)) {
        Ok(()) => next.run(request).await,
        Err(seconds) => {
            let text = "too many requests come from this address";
            ApiError::TooMany(text.into(), seconds).into_response()
        }
    }
}

fn identify(shared: &Shared, request: &Request) -> Result<Identity, ApiError> {
    trusted(shared, request)?;
    who(shared, request.headers()).map_err(|error| {
        ApiError::Unauthorized(match error {
            AuthError::Missing | AuthError::Unknown => {
                "send the header `Authorization: Bearer` with a token or key".into()
            }
            AuthError::Jwt(why) => format!("the token does not hold: {why}"),
        })
    })
}

/// Whose credentials are shown.
pub(crate) fn who(shared: &Shared, headers: &HeaderMap) -> Result<Identity, AuthError> {
    shared.auth.load().identify(bearer(headers), unix_secs())
}

/// What stands behind `Authorization: Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case("bearer ").then_some(shown)
}

/// Who asks, to be taken by a handler that asks what it may do.
#[derive(Clone, Debug)]
pub(crate) struct Who(pub(crate) Identity);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let who = parts.extensions.get().cloned();
        who.ok_or_else(|| ApiError::Unauthorized("nobody asked".into()))
    }
}

/// Lets those see who may, and those act who may, on routes that are not a client's own.
pub(super) async fn operators(Who(who): Who, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let (may, what) = if reads {
        (who.role.sees(), "that is for the roles operator and admin to see")
    } else {
        (who.role.acts(), "that is for the roles operator and admin to do")
    };
    if may { next.run(request).await } else { ApiError::Forbidden(what).into_response() }
}

/// A refusal for whoever is not of a role that may do this.
pub(super) const fn require(may: bool) -> Result<(), ApiError> {
    if may { Ok(()) } else { Err(ApiError::Forbidden("that is not for your role")) }
}

/// Whether a request may be looked at: by where it comes from, and by the page that sends it.
pub(crate) fn trusted(shared: &Shared, request: &Request) -> Result<(), ApiError> {
    let open = shared.loopback && shared.auth.load().is_open();
    if open {
        from_here(source(request.extensions()))?;
    }
    own_page(request.headers(), open, &shared.origins.load())
}

/// Who asks for no credentials trusts this machine alone. Our own listener is not reached from
/// others then; that of an application may be.
fn from_here(source: Option<IpAddr>) -> Result<(), ApiError> {
    match source {
        Some(address) if address.is_loopback() => Ok(()),
        Some(_) => Err(ApiError::Forbidden(
            "other machines must show credentials: set server.token or [auth]",
        )),
        None => Err(ApiError::Forbidden(
            "set server.token or [auth], or serve the application with the addresses of its \
             connections (into_make_service_with_connect_info)",
        )),
    }
}

/// A server trusts this machine, but not every web page that a browser on it shows: those come with
/// a foreign origin, or under a foreign name that was made to lead here. `open` is one that listens
/// on this machine only and asks nobody for anything.
fn own_page(headers: &HeaderMap, open: bool, origins: &[String]) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    if open && !is_local(host) {
        return Err(ApiError::Forbidden("ask under a local name, or set a token"));
    }
    let Some(origin) = headers.get(ORIGIN).map(|_| text(ORIGIN).unwrap_or_default()) else {
        return Ok(());
    };
    let bare = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let is_listed = origins.iter().any(|listed| listed == origin || listed == "*");
    if bare == Some(host) || is_listed {
        return Ok(());
    }
    Err(ApiError::Forbidden("pages of other sites must be named in server.allowed_origins"))
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Ends what takes too long, and turns away what is too much.
pub(super) async fn in_time(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    bounded(&shared.requests, request, next).await
}

/// The same for what is built on top, which has places of its own.
pub(crate) async fn product_in_time(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    bounded(&shared.product_requests, request, next).await
}

async fn bounded(places: &Semaphore, request: Request, next: Next) -> Response {
    let Ok(_place) = places.try_acquire() else { return ApiError::Overloaded.into_response() };
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
        let own_page = |headers: &HeaderMap, open| own_page(headers, open, &[]);
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
    fn without_credentials_only_this_machine_is_trusted() {
        for here in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(from_here(Some(here.parse().unwrap())).is_ok(), "{here}");
        }
        for there in ["10.0.0.1", "192.0.2.1", "2001:db8::1", "0.0.0.0"] {
            assert!(from_here(Some(there.parse().unwrap())).is_err(), "{there}");
        }
        assert!(from_here(None).is_err());
    }

    #[test]
    fn pages_that_are_named_may_ask() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("127.0.0.1:7180"));
        headers.insert(ORIGIN, HeaderValue::from_static("https://app.example.org"));
        assert!(own_page(&headers, true, &["https://app.example.org".into()]).is_ok());
        assert!(own_page(&headers, true, &["*".into()]).is_ok());
        for other in
            ["https://app.example.org:8443", "http://app.example.org", "https://example.org"]
        {
            assert!(own_page(&headers, true, &[other.into()]).is_err(), "{other}");
        }
    }

    #[test]
    fn a_token_is_taken_in_one_form_only() {
        let headers = |text: &'static str| {
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))])
        };
        for text in ["Bearer hush", "bearer hush", "BEARER hush"] {
            assert_eq!(bearer(&headers(text)), Some("hush"), "{text}");
        }
        for text in ["hush", "Bearer", "Basic hush", "Bearer\thush"] {
            assert_eq!(bearer(&headers(text)), None, "{text:?}");
        }
        assert_eq!(bearer(&headers("Bearer ")), Some(""));
        assert_eq!(bearer(&headers("Bearer  hush")), Some(" hush"));
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
