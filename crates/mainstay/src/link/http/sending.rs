use reqwest::{RequestBuilder, Response};

use crate::trace::TraceContext;

/// Sends a request of the link's own, which names the trace it belongs to: that of the probe.
pub(super) async fn send(request: RequestBuilder) -> Result<Response, reqwest::Error> {
    let (client, request) = request.build_split();
    let mut request = request?;
    TraceContext::current().unwrap_or_else(TraceContext::root).write(request.headers_mut());
    client.execute(request).await
}
