use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, SpanFlags, Status};
use prost::Message as _;

use super::resource::{attribute, resource, scope};

/// The most attributes of a span.
pub(super) const ATTRIBUTES_MAX: usize = 32;
/// The most bytes of a text in one.
pub(super) const TEXT_MAX: usize = 256;

/// Where a span stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) parent: Option<u64>,
    /// Whether the parent is of another process.
    pub(super) is_remote: bool,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
}

/// A span that is over.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) ids: Ids,
    /// What the program calls this kind of span.
    pub(super) kind: &'static str,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Attributes that had no room.
    pub(super) left_out: u32,
}

/// Flags of a span: the trace is sampled; whether the parent is remote is known; it is.
const SAMPLED: u32 = 1;
const KNOWN: u32 = SpanFlags::ContextHasIsRemoteMask as u32;
const REMOTE: u32 = SpanFlags::ContextIsRemoteMask as u32;

/// A request to export these spans.
pub(super) fn request(service_name: &str, spans: &[Finished]) -> Vec<u8> {
    let spans = spans.iter().map(Finished::span).collect();
    let scope = ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() };
    let resource = resource(service_name);
    let resource = ResourceSpans { resource, scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec()
}

impl Finished {
    fn span(&self) -> Span {
        let parent = self.ids.parent.map(|parent| parent.to_be_bytes().to_vec());
        let kind = match self.kind {
            "request" => SpanKind::Server,
            "http" | "dial" | "probe" => SpanKind::Client,
            _ => SpanKind::Internal,
        };
        // What no convention knows is ours.
        let named = |key: &str| {
            if key.contains('.') { key.to_owned() } else { format!("mainstay.{key}") }
        };
        let attributes = self.attributes.iter();
        let failed = self.text("error.type").is_some();
        let remote = if self.ids.is_remote { REMOTE } else { 0 };
        Span {
            trace_id: self.ids.trace.to_be_bytes().to_vec(),
            span_id: self.ids.span.to_be_bytes().to_vec(),
            parent_span_id: parent.unwrap_or_default(),
            flags: SAMPLED | KNOWN | remote,
            name: self.name(),
            kind: kind.into(),
            start_time_unix_nano: nanos(self.began),
            end_time_unix_nano: nanos(self.ended),
            attributes: attributes.map(|(key, value)| attribute(named(key), value.any())).collect(),
            dropped_attributes_count: self.left_out,
            status: failed.then(|| Status { code: StatusCode::Error.into(), ..Status::default() }),
            ..Span::default()
        }
    }

    /// As the conventions for HTTP have it: never with what a caller chose.
    fn name(&self) -> String {
        let method = self.text("http.request.method");
        let named = match self.kind {
            "request" => match (method, self.text("http.route")) {
                (Some(method), Some(route)) => Some(format!("{method} {route}")),
                (method, _) => method.map(str::to_owned),
            },
            "http" => method.map(str::to_owned),
            "dial" | "probe" => self.text("link").map(|link| format!("{} {link}", self.kind)),
            "operation" => self.text("name").map(str::to_owned),
            _ => None,
        };
        named.unwrap_or_else(|| self.kind.to_owned())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find_map(|(known, value)| match value {
            Value::Text(text) if *known == key => Some(text.as_str()),
            Value::Text(_) | Value::Whole(_) | Value::Number(_) | Value::Truth(_) => None,
        })
    }
}

impl Value {
    fn any(&self) -> any_value::Value {
        match self {
            Self::Text(text) => any_value::Value::StringValue(text.clone()),
            Self::Truth(truth) => any_value::Value::BoolValue(*truth),
            Self::Whole(number) => any_value::Value::IntValue(*number),
            Self::Number(number) => any_value::Value::DoubleValue(*number),
        }
    }
}

/// Since 1970.
pub(super) fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
