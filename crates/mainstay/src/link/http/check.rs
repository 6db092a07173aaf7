use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use ::http::Method;
use ::http::header::{HeaderName, HeaderValue};
use mainstay_core::config::{ConfigError, duration_from, in_range};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::template::Template;

/// The most steps of a check.
pub(super) const STEPS_MAX: usize = 10;
/// The most that may be said in one list of a step.
const LIST_MAX: usize = 16;
/// The longest path, body or value of a header in a step.
const TEXT_MAX: usize = 8 * 1024;
/// The most bytes that a compiled expression may take.
const PATTERN_MAX: usize = 256 * 1024;

/// How an HTTP peer is asked whether it is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HttpProbe {
    /// `GET` of the health path is answered with 2xx. The default.
    #[default]
    Path,
    /// Every step of a check goes well.
    Check(HttpCheck),
    /// `grpc.health.v1.Health/Check` answers `SERVING`, over HTTP/2 from the first byte.
    Grpc {
        /// Which service of the peer. Empty for the peer as a whole.
        service: String,
    },
}

/// Requests that a peer must answer as expected, one after another: the path that its users take.
///
/// All of them share the deadline of one health check. Each answer's body is read up to
/// `body_max` of the link.
///
/// ```
/// use mainstay::link::{HttpCheck, HttpConfig, HttpProbe, HttpStep, HttpTransport};
///
/// let mut login = HttpStep::get("/session");
/// login.capture.insert("id".into(), "/session/id".into());
/// let mut orders = HttpStep::get("/orders?of={{id}}");
/// orders.json.insert("/status".into(), "ok".into());
/// let check = HttpCheck { steps: vec![login, orders], ..HttpCheck::default() };
/// let mut config = HttpConfig::new("https://shop.example");
/// config.probe = HttpProbe::Check(check);
/// HttpTransport::new(config)?;
/// # Ok::<(), mainstay_core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpCheck {
    /// What is asked, in this order; 1 to 10.
    pub steps: Vec<HttpStep>,
    /// How long all of it may take; slower is a failure. Default as long as the link waits.
    pub max_latency: Option<Duration>,
}

/// One request of an [`HttpCheck`] and what is expected of its answer.
///
/// In path, header values and body, `{{name}}` stands for what an earlier step captured under that
/// name: percent-encoded in a path, as inside a JSON string in a body. Neither what was captured nor
/// header values are shown anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpStep {
    /// Default `GET`.
    pub method: Method,
    /// Path on the origin, with its query.
    pub path: String,
    /// Further headers; a link's bearer token is sent as well unless one of them is `Authorization`.
    pub headers: Vec<(HeaderName, String)>,
    /// What is sent. Default nothing.
    pub body: Option<String>,
    /// Statuses that are expected. Default 200 to 299.
    pub status: Vec<RangeInclusive<u16>>,
    /// Text that must occur in the body. Default any.
    pub body_contains: Option<String>,
    /// Regular expression that must match somewhere in the body. Default any.
    pub body_matches: Option<String>,
    /// What must stand at which place (RFC 6901) of a body in JSON. Default anything.
    pub json: BTreeMap<String, Value>,
    /// How long the answer may take with its body; slower is a failure. Default as long as the link
    /// waits.
    pub max_latency: Option<Duration>,
    /// What later steps use: a name, and the place (RFC 6901) of a text, number or truth value.
    pub capture: BTreeMap<String, String>,
}

impl HttpStep {
    /// `GET` of `path`, expected to be answered with 2xx.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: Vec::new(),
            body: None,
            status: vec![200..=299],
            body_contains: None,
            body_matches: None,
            json: BTreeMap::new(),
            max_latency: None,
            capture: BTreeMap::new(),
        }
    }

    /// Whether the step makes sense by itself.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        Step::new(self).map(drop)
    }

    /// Names that earlier steps must have captured.
    #[must_use]
    pub fn uses(&self) -> BTreeSet<&str> {
        let headers = self.headers.iter().map(|(_, value)| value);
        let texts = headers.chain(&self.body).chain(std::iter::once(&self.path));
        texts.flat_map(|text| Template::names(text)).collect()
    }
}

impl fmt::Debug for HttpStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, .. } = self;
        f.debug_struct("HttpStep")
            .field("method", method)
            .field("path", path)
            .finish_non_exhaustive()
    }
}

/// A checked [`HttpCheck`].
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) all: Box<[Step]>,
    pub(super) max_latency: Option<Duration>,
}

/// A checked [`HttpStep`].
#[derive(Debug)]
pub(super) struct Step {
    pub(super) spec: HttpStep,
    pub(super) matches: Option<Regex>,
}

impl Steps {
    pub(super) fn new(check: &HttpCheck) -> Result<Self, ConfigError> {
        in_range("steps", check.steps.len(), 1, STEPS_MAX)?;
        limit("max_latency", check.max_latency)?;
        let (mut all, mut known) = (Vec::new(), BTreeSet::new());
        for (index, step) in check.steps.iter().enumerate() {
            let within = |error: ConfigError| error.within(&format!("steps.{index}"));
            all.push(Step::new(step).map_err(within)?);
            if let Some(name) = step.uses().iter().find(|name| !known.contains(**name)) {
                let error = ConfigError::new("path", name, "names that an earlier step captures");
                return Err(within(error));
            }
            known.extend(step.capture.keys().map(String::as_str));
        }
        Ok(Self { all: all.into(), max_latency: check.max_latency })
    }
}

impl Step {
    fn new(spec: &HttpStep) -> Result<Self, ConfigError> {
        if !spec.path.starts_with('/') || spec.path.len() > TEXT_MAX || spec.path.contains('#') {
            let allowed = "a path such as \"/health\"";
            return Err(ConfigError::new("path", &spec.path, allowed));
        }
        in_range("headers", spec.headers.len(), 0, LIST_MAX)?;
        for (name, value) in &spec.headers {
            if value.len() > TEXT_MAX || HeaderValue::try_from(value).is_err() {
                let value = format_args!("a forbidden value of {name}");
                return Err(ConfigError::new("headers", value, "letters that a header may hold"));
            }
        }
        in_range("body", spec.body.as_ref().map_or(0, String::len), 0, TEXT_MAX)?;
        in_range("status", spec.status.len(), 1, LIST_MAX)?;
        for range in &spec.status {
            if range.is_empty() || *range.start() < 100 || *range.end() > 599 {
                let found = format_args!("{}-{}", range.start(), range.end());
                return Err(ConfigError::new("status", found, "statuses from 100 to 599"));
            }
        }
        in_range("json", spec.json.len(), 0, LIST_MAX)?;
        in_range("capture", spec.capture.len(), 0, LIST_MAX)?;
        let places = spec.json.keys().map(|place| ("json", place));
        for (field, place) in places.chain(spec.capture.values().map(|place| ("capture", place))) {
            if !place.is_empty() && !place.starts_with('/') {
                let allowed = "places such as \"/status\"";
                return Err(ConfigError::new(field, place, allowed));
            }
        }
        if let Some(name) = spec.capture.keys().find(|name| !Template::is_name(name)) {
            let allowed = "names of 1 to 32 letters, digits and underscores";
            return Err(ConfigError::new("capture", name, allowed));
        }
        limit("max_latency", spec.max_latency)?;
        let compile = |pattern: &String| {
            let built = RegexBuilder::new(pattern).size_limit(PATTERN_MAX).build();
            built.map_err(|_| ConfigError::new("body_matches", pattern, "a regular expression"))
        };
        let matches = spec.body_matches.as_ref().map(compile).transpose()?;
        Ok(Self { spec: spec.clone(), matches })
    }
}

fn limit(field: &str, time: Option<Duration>) -> Result<(), ConfigError> {
    let least = Duration::from_millis(1);
    time.map_or(Ok(()), |time| duration_from(field, time, least).map(drop))
}
