use http::{HeaderMap, Method, StatusCode};
use tracing::Span;
use tracing::field::Empty;

use super::{Work, span};

/// One HTTP request on its way out: it names the trace, and has a span of its own.
///
/// Neither path nor query stands in the span: they may hold secrets.
#[derive(Debug)]
pub(crate) struct Call {
    span: Span,
    is_over: bool,
}

impl Call {
    /// For `work`, whose trace the head of the request names unless it names one itself.
    pub(crate) fn new(
        work: Option<Work>,
        method: &Method,
        place: (Option<&str>, Option<u16>),
        headers: &mut HeaderMap,
        resent: u32,
    ) -> Self {
        // What names a trace itself is not ours to count into another.
        let work = work.filter(|_| !headers.contains_key(super::PARENT));
        let Some(work) = work else { return Self { span: Span::none(), is_over: true } };
        work.context().write(headers);
        let (host, port) = place;
        let resent = (resent > 0).then_some(resent);
        let span = span!(
            DEBUG, "http", Some(&work), http.request.method = method.as_str(),
            server.address = host, server.port = port, http.request.resend_count = resent,
            http.response.status_code = Empty, error.type = Empty
        );
        Self { span, is_over: false }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// It was answered, or nothing came of it.
    pub(crate) fn ended(mut self, status: Option<StatusCode>) {
        self.is_over = true;
        let Some(status) = status else {
            self.span.record("error.type", "no_answer");
            return;
        };
        self.span.record("http.response.status_code", status.as_u16());
        if status.is_client_error() || status.is_server_error() {
            self.span.record("error.type", status.as_str());
        }
    }
}

/// Nobody waited for the answer any longer.
impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_over {
            self.span.record("error.type", "given_up");
        }
    }
}
