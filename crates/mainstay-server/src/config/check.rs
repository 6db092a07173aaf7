use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::str::FromStr as _;
use std::time::Duration;

use axum::http::{HeaderName, Method};
use mainstay::core::config::duration;
use mainstay::link::{HttpCheck, HttpStep};
use serde::Deserialize;

use super::Environment;
use super::links::At;
use super::problem::{Problems, found};
use super::secret::Secret;

/// `[link.check]`, and `[[link.check.step]]` inside it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CheckSection {
    method: Option<String>,
    path: Option<String>,
    paths: Vec<String>,
    headers: BTreeMap<String, Secret>,
    headers_env: BTreeMap<String, String>,
    body: Option<Secret>,
    status: Option<Vec<Status>>,
    body_contains: Option<String>,
    body_matches: Option<String>,
    json: BTreeMap<String, serde_json::Value>,
    #[serde(with = "duration::option")]
    max_latency: Option<Duration>,
    capture: BTreeMap<String, String>,
    step: Vec<Self>,
}

/// `200`, `"2xx"` or `"200-299"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Status {
    Number(u16),
    Text(String),
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const STEPS_MAX: usize = 10;

/// The check of a link; nothing when something is wrong with it, which is said then.
pub(super) fn build(
    section: &CheckSection,
    link: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<HttpCheck> {
    let at = within(link, "check", "check");
    let before = problems.all.len();
    let (mut steps, max_latency) = if section.step.is_empty() {
        (alone(section, &at, environment, problems), None)
    } else {
        (sequence(section, &at, environment, problems), section.max_latency)
    };
    if steps.len() > STEPS_MAX {
        at.refuse("step", format!("are {}, allowed: 1 to {STEPS_MAX}", steps.len()), problems);
    }
    steps.truncate(STEPS_MAX);
    (problems.all.len() == before).then_some(HttpCheck { steps, max_latency })
}

fn within<'a>(outer: &At<'a>, path: &str, label: &str) -> At<'a> {
    let (path, label) = (format!("{}.{path}", outer.path), format!("{}.{label}", outer.label));
    At { document: outer.document, path, label }
}

/// The same conditions for one path or several.
fn alone(
    section: &CheckSection,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<HttpStep> {
    if !section.capture.is_empty() {
        at.refuse("capture", "is for checks with steps only".into(), problems);
    }
    if section.path.is_some() && !section.paths.is_empty() {
        at.refuse("paths", "is said beside `path`, allowed: one of them".into(), problems);
    }
    let Some(step) = step(section, at, environment, problems) else { return Vec::new() };
    if let Some(name) = step.uses().first() {
        at.refuse(
            "path",
            format!("names {name:?}, allowed: what an earlier step captures"),
            problems,
        );
    }
    if section.paths.is_empty() {
        return vec![step];
    }
    let steps = section.paths.iter().map(|path| HttpStep { path: path.clone(), ..step.clone() });
    let steps: Vec<HttpStep> = steps.collect();
    for step in &steps {
        if let Err(error) = step.check() {
            at.refuse("paths", found(&error), problems);
        }
    }
    steps
}

fn sequence(
    section: &CheckSection,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<HttpStep> {
    let own = section.said();
    for field in own.into_iter().filter(|field| *field != "max_latency") {
        at.refuse(field, "is said beside steps, allowed: inside a step".into(), problems);
    }
    if section.max_latency.is_some_and(|time| time.is_zero()) {
        at.refuse("max_latency", "is 0s, allowed: at least 1ms".into(), problems);
    }
    let (mut steps, mut known) = (Vec::new(), BTreeSet::new());
    for (index, section) in section.step.iter().enumerate() {
        let at = within(at, &format!("step.{index}"), &format!("step.{}", index + 1));
        if !section.step.is_empty() {
            at.refuse("step", "is in a step, allowed: in a check".into(), problems);
        }
        if !section.paths.is_empty() {
            at.refuse("paths", "is in a step, allowed: `path`".into(), problems);
        }
        let Some(step) = step(section, &at, environment, problems) else { continue };
        for name in step.uses() {
            if !known.contains(name) {
                let message = format!("names {name:?}, allowed: what an earlier step captures");
                at.refuse("path", message, problems);
            }
        }
        known.extend(step.capture.keys().cloned());
        steps.push(step);
    }
    steps
}

impl CheckSection {
    /// The fields of a request that are said.
    fn said(&self) -> Vec<&'static str> {
        let all = [
            ("method", self.method.is_some()),
            ("path", self.path.is_some()),
            ("paths", !self.paths.is_empty()),
            ("headers", !self.headers.is_empty()),
            ("headers_env", !self.headers_env.is_empty()),
            ("body", self.body.is_some()),
            ("status", self.status.is_some()),
            ("body_contains", self.body_contains.is_some()),
            ("body_matches", self.body_matches.is_some()),
            ("json", !self.json.is_empty()),
            ("max_latency", self.max_latency.is_some()),
            ("capture", !self.capture.is_empty()),
        ];
        all.into_iter().filter(|(_, said)| *said).map(|(field, _)| field).collect()
    }
}

fn step(
    section: &CheckSection,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<HttpStep> {
    let mut step = HttpStep::get(section.path.as_deref().unwrap_or("/health"));
    let method = section.method.as_deref().unwrap_or("GET");
    if METHODS.contains(&method) {
        step.method = Method::from_str(method).ok()?;
    } else {
        at.refuse("method", format!("is {method:?}, allowed: {}", METHODS.join(", ")), problems);
    }
    if let Some(statuses) = &section.status {
        step.status.clear();
        for status in statuses {
            match status.range() {
                Some(range) => step.status.push(range),
                None => {
                    let message =
                        format!("has {}, allowed: 204, \"2xx\", \"200-299\"", status.shown());
                    at.refuse("status", message, problems);
                    step.status.push(200..=299);
                }
            }
        }
    }
    step.headers = headers(section, at, environment, problems);
    step.body = section.body.as_ref().map(|body| body.expose().to_owned());
    step.body_contains.clone_from(&section.body_contains);
    step.body_matches.clone_from(&section.body_matches);
    let place = |place: &String| {
        if place.starts_with('/') || place.is_empty() { place.clone() } else { format!("/{place}") }
    };
    step.json = section.json.iter().map(|(at, value)| (place(at), value.clone())).collect();
    step.max_latency = section.max_latency.filter(|_| section.step.is_empty());
    step.capture = section.capture.iter().map(|(name, at)| (name.clone(), place(at))).collect();
    if let Err(error) = step.check() {
        at.refuse(&error.field, found(&error), problems);
        return None;
    }
    Some(step)
}

fn headers(
    section: &CheckSection,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<(HeaderName, String)> {
    let mut all = Vec::new();
    let name = |field: &str, name: &str, problems: &mut Problems| {
        let parsed = HeaderName::from_str(name).ok();
        if parsed.is_none() {
            at.refuse(field, format!("has {name:?}, allowed: names of headers"), problems);
        }
        parsed
    };
    for (header, value) in &section.headers {
        let header = name("headers", header, problems);
        all.extend(header.map(|header| (header, value.expose().to_owned())));
    }
    for (header, variable) in &section.headers_env {
        let value = at.variable("headers_env", variable, environment, problems);
        let header = name("headers_env", header, problems);
        all.extend(header.zip(value).map(|(header, value)| (header, value.expose().to_owned())));
    }
    all
}

impl Status {
    fn shown(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("{text:?}"),
        }
    }

    fn range(&self) -> Option<RangeInclusive<u16>> {
        let range = match self {
            Self::Number(number) => *number..=*number,
            Self::Text(text) => {
                if let Some(class) = text.strip_suffix("xx") {
                    let first = class.parse::<u16>().ok()?.checked_mul(100)?;
                    first..=first.checked_add(99)?
                } else if let Some((first, last)) = text.split_once('-') {
                    first.parse().ok()?..=last.parse().ok()?
                } else {
                    let number = text.parse().ok()?;
                    number..=number
                }
            }
        };
        (100..=599)
            .contains(range.start())
            .then_some(range)
            .filter(|range| !range.is_empty() && *range.end() <= 599)
    }
}
