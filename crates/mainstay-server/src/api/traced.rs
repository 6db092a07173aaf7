//! Requests that belong to a trace of their caller, or begin one.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use mainstay::trace::{TraceContext, Work};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::error::Code;

/// Goes on with the trace that a request names: what is logged and called for it has its id. Those
/// that name none cost a look at their headers, and begin one where this process begins any.
pub(super) async fn traced(request: Request, next: Next) -> Response {
    let caller = TraceContext::from_headers(request.headers());
    let Some(work) = caller.as_ref().map(Work::within).or_else(Work::join) else {
        return next.run(request).await;
    };
    let span = span(&work, &request);
    let own = span.clone();
    let answer = async {
        let response = next.run(request).await;
        let status = response.status();
        own.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            own.record("error.type", status.as_str());
        }
        if let Some(Code(code)) = response.extensions().get() {
            let status = status.as_u16();
            // Anybody can make the first kind happen as often as they like.
            if response.status().is_client_error() {
                tracing::debug!(status, code, "answered with a problem");
            } else {
                tracing::warn!(status, code, "answered with a problem");
            }
        }
        response
    };
    work.context().clone().scope(answer.instrument(span)).await
}

/// Neither path nor query stands in it: they may hold secrets.
fn span(work: &Work, request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    tracing::info_span!(
        "request",
        trace_id = work.trace_id(),
        span_id = work.span_id(),
        parent_id = work.parent_id(),
        sampled = work.is_sampled(),
        http.request.method = method(request.method()),
        http.route = route,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// One of a list that does not grow.
const fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}
