use std::time::{SystemTime, UNIX_EPOCH};

use super::resource;
use super::wire::Message;

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

/// The kinds of the protocol.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
/// The status of what failed.
const ERROR: u64 = 2;
/// Flags of a span: the trace is sampled; whether the parent is remote is known; it is.
const SAMPLED: u32 = 1;
const KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// A request to export these spans.
pub(super) fn request(service_name: &str, spans: &[Finished]) -> Vec<u8> {
    resource::around(service_name, |scope| {
        for span in spans {
            scope.message(2, |message| span.write(message));
        }
    })
}

impl Finished {
    fn write(&self, message: &mut Message) {
        message.delimited(1, &self.ids.trace.to_be_bytes());
        message.delimited(2, &self.ids.span.to_be_bytes());
        if let Some(parent) = self.ids.parent {
            message.delimited(4, &parent.to_be_bytes());
        }
        message.text(5, &self.name());
        let kind = match self.kind {
            "request" => SERVER,
            "http" | "dial" | "probe" => CLIENT,
            _ => INTERNAL,
        };
        message.number(6, kind);
        message.eight_bytes(7, nanos(self.began));
        message.eight_bytes(8, nanos(self.ended));
        for (key, value) in &self.attributes {
            let own;
            // What no convention knows is ours.
            let key = if key.contains('.') {
                key
            } else {
                own = format!("mainstay.{key}");
                own.as_str()
            };
            resource::attribute(message, 9, key, |any| value.write(any));
        }
        message.number(10, self.left_out.into());
        if self.text("error.type").is_some() {
            message.message(15, |status| status.number(3, ERROR));
        }
        let remote = if self.ids.is_remote { REMOTE } else { 0 };
        message.four_bytes(16, SAMPLED | KNOWN | remote);
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
    fn write(&self, any: &mut Message) {
        match self {
            Self::Text(text) => any.delimited(1, text.as_bytes()),
            Self::Truth(truth) => any.number_always(2, u64::from(*truth)),
            Self::Whole(number) => any.number_always(3, number.cast_unsigned()),
            Self::Number(number) => any.double_always(4, *number),
        }
    }
}

/// Since 1970.
pub(super) fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
