//! Requests that belong to a trace of their caller.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use mainstay::trace::TraceContext;
use tracing::Instrument as _;

use super::error::Code;

/// Goes on with the trace that a request names: what is logged and called for it has its id. Those
/// that name none cost a look at their headers.
pub(super) async fn traced(request: Request, next: Next) -> Response {
    let Some(trace) = TraceContext::from_headers(request.headers()) else {
        return next.run(request).await;
    };
    let own = trace.child();
    let (trace_id, span_id) = (own.parent().trace_id(), own.parent().parent_id());
    let parent_id = trace.parent().parent_id();
    let span = tracing::info_span!("request", trace_id, span_id, parent_id);
    let answer = async {
        let response = next.run(request).await;
        if let Some(Code(code)) = response.extensions().get() {
            let status = response.status().as_u16();
            // Anybody can make the first kind happen as often as they like.
            if response.status().is_client_error() {
                tracing::debug!(status, code, "answered with a problem");
            } else {
                tracing::warn!(status, code, "answered with a problem");
            }
        }
        response
    };
    own.scope(answer.instrument(span)).await
}
