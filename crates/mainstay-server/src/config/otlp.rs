use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use mainstay::core::config::{Ratio, duration};
use serde::Deserialize;
use url::Url;

use super::file::File;
use super::links::At;
use super::place::Document;
use super::problem::Problems;
use super::secret::Secret;
use super::{Environment, read_pem};

/// How the protocol is spoken; there is no other yet.
const PROTOCOL: &str = "http/protobuf";
/// The most headers that are sent beside ours.
const HEADERS_MAX: usize = 32;
const URL_ALLOWED: &str = "allowed: http:// or https:// with a host, without user, password and \
                           query, such as http://127.0.0.1:4318";
const NOT_BUILT: &str = "needs a mainstay that was built with OpenTelemetry: cargo install --path \
                         crates/mainstay-cli --features otlp (or mainstay-server with its feature \
                         otlp); without the section nothing is exported";
/// What says how long and how much a message is, and what it is.
const OURS: [&str; 5] =
    ["content-length", "content-type", "host", "transfer-encoding", "traceparent"];

/// To which collector of OpenTelemetry spans and metrics go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSpec {
    /// Where it is, such as `http://127.0.0.1:4318`: spans go to `/v1/traces` there, metrics to
    /// `/v1/metrics`.
    pub endpoint: String,
    /// What is sent beside what the protocol asks, such as credentials.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Certificates to trust in place of the platform's, as PEM. Default the platform's.
    pub roots: Option<String>,
    /// Whether spans are exported. Default yes.
    pub traces: bool,
    /// Whether metrics are exported. Default yes.
    pub metrics: bool,
    /// How often metrics are exported. 1 s to 1 h. Default 60 s (`OTEL_METRIC_EXPORT_INTERVAL`).
    pub interval: Duration,
    /// How long one export may take, with its retries. 100 ms to 1 min. Default 10 s
    /// (`OTEL_EXPORTER_OTLP_TIMEOUT`).
    pub timeout: Duration,
    /// Which share of the traces that begin here is recorded; those that callers began are as they
    /// say. 0 to 1. Default 1 (`parentbased_always_on`).
    pub sample: Ratio,
    /// What this program is called: `service.name`. Default `mainstay`.
    pub service_name: String,
    /// Spans that may wait; what is beyond is dropped and counted. 1 to 65536. Default 2048
    /// (`OTEL_BSP_MAX_QUEUE_SIZE`).
    pub queue_max: usize,
    /// Spans in one export. 1 to `queue_max`. Default 512 (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
    pub batch_max: usize,
    /// How long spans are gathered for it. 10 ms to 1 min. Default 5 s (`OTEL_BSP_SCHEDULE_DELAY`).
    pub batch_within: Duration,
}

impl OtlpSpec {
    /// The defaults, for the collector at `endpoint`.
    #[must_use]
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            headers: Vec::new(),
            roots: None,
            traces: true,
            metrics: true,
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            sample: Ratio::ONE,
            service_name: "mainstay".into(),
            queue_max: 2048,
            batch_max: 512,
            batch_within: Duration::from_secs(5),
        }
    }
}

/// `[otlp]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OtlpSection {
    endpoint: Secret,
    protocol: Option<String>,
    headers_env: BTreeMap<String, String>,
    ca_file: Option<String>,
    traces: Option<bool>,
    metrics: Option<bool>,
    #[serde(with = "duration::option")]
    interval: Option<Duration>,
    #[serde(with = "duration::option")]
    timeout: Option<Duration>,
    sample: Option<Ratio>,
    service_name: Option<String>,
    queue_max: Option<usize>,
    batch_max: Option<usize>,
    #[serde(with = "duration::option")]
    batch_within: Option<Duration>,
}

/// The section, checked; it is refused by a program that was built without the feature.
pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<OtlpSpec> {
    let section = file.otlp.as_ref()?;
    let at = At { document, path: "otlp".into(), label: "otlp".into() };
    section.read(&at, cfg!(feature = "otlp"), environment, problems)
}

impl OtlpSection {
    fn read(
        &self,
        at: &At<'_>,
        is_built: bool,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<OtlpSpec> {
        if !is_built {
            at.refuse("endpoint", NOT_BUILT.into(), problems);
        }
        let endpoint = self.endpoint(at, problems);
        if let Some(protocol) = self.protocol.as_deref().filter(|protocol| *protocol != PROTOCOL) {
            at.refuse("protocol", format!("is {protocol:?}, allowed: {PROTOCOL}"), problems);
        }
        let usual = OtlpSpec::new(endpoint.unwrap_or_default());
        let spec = OtlpSpec {
            headers: self.headers(at, environment, problems),
            roots: self.roots(at, problems),
            traces: self.traces.unwrap_or(usual.traces),
            metrics: self.metrics.unwrap_or(usual.metrics),
            interval: self.interval.unwrap_or(usual.interval),
            timeout: self.timeout.unwrap_or(usual.timeout),
            sample: self.sample.unwrap_or(usual.sample),
            service_name: self.service_name.clone().unwrap_or_else(|| usual.service_name.clone()),
            queue_max: self.queue_max.unwrap_or(usual.queue_max),
            batch_max: self.batch_max.unwrap_or(usual.batch_max),
            batch_within: self.batch_within.unwrap_or(usual.batch_within),
            ..usual
        };
        refuse_numbers(&spec, at, problems);
        Some(spec)
    }

    fn endpoint(&self, at: &At<'_>, problems: &mut Problems) -> Option<String> {
        let text = self.endpoint.expose();
        let url = Url::parse(text).ok().filter(|url| {
            let is_plain = url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain
        });
        match url {
            Some(_) => Some(text.trim_end_matches('/').into()),
            None if text.is_empty() => {
                at.refuse("endpoint", format!("is not said, {URL_ALLOWED}"), problems);
                None
            }
            None => {
                let message = format!("is not shown because it may hold a secret, {URL_ALLOWED}");
                at.refuse("endpoint", message, problems);
                None
            }
        }
    }

    /// Each header's value stands in a variable of the environment.
    fn headers(
        &self,
        at: &At<'_>,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Vec<(HeaderName, Secret)> {
        if self.headers_env.len() > HEADERS_MAX {
            let found = self.headers_env.len();
            let message = format!("has {found} headers, allowed: at most {HEADERS_MAX}");
            at.refuse("headers_env", message, problems);
        }
        let mut headers = Vec::new();
        for (name, variable) in &self.headers_env {
            let field = format!("headers_env.{name}");
            let known = name.parse::<HeaderName>().ok();
            let Some(header) = known.filter(|name| !OURS.contains(&name.as_str())) else {
                let message = "is no header that can be sent beside those of the protocol";
                at.refuse(&field, message.into(), problems);
                continue;
            };
            let Some(value) = at.variable(&field, variable, environment, problems) else {
                continue;
            };
            if HeaderValue::from_str(value.expose()).is_err() {
                let message = "names a variable whose value is not shown, allowed in it: what a \
                               header may hold";
                at.refuse(&field, message.into(), problems);
            }
            headers.push((header, value));
        }
        headers
    }

    fn roots(&self, at: &At<'_>, problems: &mut Problems) -> Option<String> {
        let path = at.document.beside(self.ca_file.as_ref()?);
        let shown = path.display();
        match read_pem(&path) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return Some(text),
            Ok(_) => {
                at.refuse("ca_file", format!("names {shown}, which has no certificate"), problems);
            }
            Err(error) => {
                let message = format!("names {shown}, which cannot be read: {error}");
                at.refuse("ca_file", message, problems);
            }
        }
        None
    }
}

fn refuse_numbers(spec: &OtlpSpec, at: &At<'_>, problems: &mut Problems) {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    for (field, value, least, most) in [
        ("interval", spec.interval, second, 60 * minute),
        ("timeout", spec.timeout, Duration::from_millis(100), minute),
        ("batch_within", spec.batch_within, Duration::from_millis(10), minute),
    ] {
        if !(least..=most).contains(&value) {
            let [value, least, most] = [value, least, most].map(duration::text);
            let message = format!("is {value}, allowed: {least} to {most}");
            at.refuse(field, message, problems);
        }
    }
    for (field, value, most) in
        [("queue_max", spec.queue_max, 65_536), ("batch_max", spec.batch_max, spec.queue_max)]
    {
        if !(1..=most).contains(&value) {
            at.refuse(field, format!("is {value}, allowed: 1 to {most}"), problems);
        }
    }
    let length = spec.service_name.chars().count();
    if !(1..=255).contains(&length) {
        let message = format!("has {length} characters, allowed: 1 to 255");
        at.refuse("service_name", message, problems);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file;

    const WHOLE: &str = "[otlp]\nendpoint = \"https://collector.example.org:4318/otlp/\"\n\
        headers_env = { authorization = \"KEY\" }\ntraces = false\ninterval = \"15s\"\n\
        sample = 0.25\nqueue_max = 100\nbatch_max = 50\nservice_name = \"edge\"\n";

    fn read(text: &str, is_built: bool) -> (Option<OtlpSpec>, String) {
        let environment = Environment::from([
            ("KEY".into(), "Bearer hidden".into()),
            ("BAD".into(), "a\nb".into()),
        ]);
        let document = Document::parse(text, None).unwrap();
        let file = file::read(&document).unwrap();
        let at = At { document: &document, path: "otlp".into(), label: "otlp".into() };
        let mut problems = Problems::default();
        let spec = file.otlp.unwrap().read(&at, is_built, &environment, &mut problems);
        (spec, problems.to_string())
    }

    #[test]
    fn what_the_section_says_is_put_over_the_defaults() {
        let (spec, problems) = read(WHOLE, true);
        assert_eq!(problems, "");
        let spec = spec.unwrap();
        assert_eq!(spec.endpoint, "https://collector.example.org:4318/otlp");
        assert_eq!((spec.traces, spec.metrics), (false, true));
        assert_eq!((spec.interval, spec.sample), (Duration::from_secs(15), Ratio::percent(25)));
        assert_eq!((spec.queue_max, spec.batch_max, &*spec.service_name), (100, 50, "edge"));
        assert_eq!(spec.headers[0].1.expose(), "Bearer hidden");
        assert!(!format!("{spec:?}").contains("hidden"));
    }

    #[test]
    fn a_program_without_the_feature_refuses_the_section_and_says_which_has_it() {
        let (_, problems) = read(WHOLE, false);
        assert!(problems.contains("otlp.endpoint: needs a mainstay that was built"), "{problems}");
        assert!(problems.contains("--features otlp"), "{problems}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_a_secret() {
        for (line, wanted) in [
            ("", "otlp.endpoint: is not said"),
            ("endpoint = \"grpc://hidden:4317\"", "otlp.endpoint: is not shown"),
            ("endpoint = \"http://me:hidden@a\"", "otlp.endpoint: is not shown"),
            ("endpoint = \"http://a/?key=hidden\"", "otlp.endpoint: is not shown"),
            ("protocol = \"grpc\"", "otlp.protocol: is \"grpc\", allowed: http/protobuf"),
            ("interval = \"2h\"", "otlp.interval: is 2h, allowed: 1s to 1h"),
            ("timeout = \"1ms\"", "otlp.timeout: is 1ms, allowed: 100ms to 1m"),
            ("batch_within = \"0s\"", "otlp.batch_within: is 0s"),
            ("queue_max = 0", "otlp.queue_max: is 0"),
            ("queue_max = 10", "otlp.batch_max: is 512, allowed: 1 to 10"),
            ("service_name = \"\"", "otlp.service_name: has 0 characters"),
            ("headers_env = { a = \"NONE\" }", "otlp.headers_env.a: names NONE"),
            ("headers_env = { a = \"BAD\" }", "otlp.headers_env.a: names a variable whose value"),
            ("headers_env = { host = \"KEY\" }", "otlp.headers_env.host: is no header"),
            ("headers_env = { \"a b\" = \"KEY\" }", "otlp.headers_env.a b: is no header"),
            ("ca_file = \"none.pem\"", "otlp.ca_file: names none.pem, which cannot be read"),
        ] {
            let has_one = line.is_empty() || line.starts_with("endpoint");
            let endpoint = if has_one { "" } else { "endpoint = \"http://127.0.0.1:4318\"\n" };
            let (_, problems) = read(&format!("[otlp]\n{endpoint}{line}\n"), true);
            assert!(problems.contains(wanted), "{line}: {problems}");
            assert!(!problems.contains("hidden"), "{problems}");
        }
    }
}
