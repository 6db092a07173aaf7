//! A check with steps, asked of a peer.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::http::header::{AUTHORIZATION, HeaderValue};
use mainstay_core::policy::outcome::Outcome;
use reqwest::RequestBuilder;
use serde_json::Value;

use super::super::transport::DialError;
use super::check::{Step, Steps};
use super::template::{Captured, Form, Template};
use super::{Answer, Elapsed, HttpTransport, unexpected};
use crate::clock;

/// The most characters of a found value that are shown.
const SHOWN: usize = 60;

impl HttpTransport {
    /// Asks the endpoint at `index` all steps; `at` is told which it is at.
    pub(super) async fn ask_steps(
        &self,
        index: usize,
        steps: &Steps,
        at: &AtomicU32,
    ) -> Result<Result<(), DialError>, Elapsed> {
        let (begun, mut captured) = (clock::now(), Captured::new());
        for (number, step) in steps.all.iter().enumerate() {
            at.store(u32::try_from(number).unwrap_or(u32::MAX), Ordering::Relaxed);
            let fail = |found: Unexpected| Ok(Err(found.of(steps, number)));
            let request = match self.step(index, step, &captured).await {
                Ok(request) => request,
                Err(error) => return Ok(Err(error)),
            };
            let shown = shown_to_peer(&request);
            let sent = clock::now();
            let answer = match self.exchange(request).await? {
                Ok(answer) => answer,
                Err(error) => return fail(Unexpected::new(error.outcome, error.chain())),
            };
            let took = clock::now().since(sent);
            if let Err(found) = step.judge(&answer, took, &captured, &shown) {
                return fail(found);
            }
            if let Err(found) = step.capture(&answer, &mut captured) {
                return fail(found);
            }
        }
        if let Some(most) = steps.max_latency
            && let took = clock::now().since(begun)
            && took > most
        {
            return Ok(Err(DialError::new(Outcome::TRANSIENT, slow("all steps took", took, most))));
        }
        Ok(Ok(()))
    }

    async fn step(
        &self,
        index: usize,
        Step { spec, .. }: &Step,
        captured: &Captured,
    ) -> Result<RequestBuilder, DialError> {
        let path = Template::fill(&spec.path, captured, Form::Path);
        let url = self.shared.places.at(index, &path);
        let mut request = self.client()?.request(spec.method.clone(), url);
        for (name, value) in &spec.headers {
            let value = Template::fill(value, captured, Form::Plain);
            let mut value = HeaderValue::try_from(value).map_err(|_| {
                let what = format!("what was captured for {name} cannot stand in a header");
                DialError::new(Outcome::TRANSIENT, what)
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(body) = &spec.body {
            request = request.body(Template::fill(body, captured, Form::Json));
        }
        let own = spec.headers.iter().any(|(name, _)| *name == AUTHORIZATION);
        if own { Ok(request) } else { self.with_bearer(request).await }
    }
}

/// What of a request nobody else may see: credentials, and whatever the file says of headers. A peer
/// may repeat it.
fn shown_to_peer(request: &RequestBuilder) -> Vec<String> {
    let built = request.try_clone().and_then(|request| request.build().ok());
    let headers = built.as_ref().map(reqwest::Request::headers).into_iter().flatten();
    let secret = headers.filter(|(_, value)| value.is_sensitive());
    let texts = secret.filter_map(|(_, value)| value.to_str().ok());
    // Of credentials also what comes after their scheme.
    let parts = texts.flat_map(|text| [Some(text), text.split_once(' ').map(|(_, rest)| rest)]);
    parts.flatten().map(str::to_owned).collect()
}

impl Steps {
    /// What people call the step of that index.
    pub(super) fn place(&self, index: usize) -> Option<String> {
        let spec = &self.all.get(index)?.spec;
        let what = format!("{} {}", spec.method, spec.path);
        let all = self.all.len();
        Some(if all == 1 { what } else { format!("step {} of {all} ({what})", index + 1) })
    }
}

/// What was found in place of what was expected.
#[derive(Debug)]
struct Unexpected {
    outcome: Outcome,
    what: String,
}

impl Unexpected {
    const fn new(outcome: Outcome, what: String) -> Self {
        Self { outcome, what }
    }

    const fn passing(what: String) -> Self {
        Self::new(Outcome::TRANSIENT, what)
    }

    fn of(self, steps: &Steps, number: usize) -> DialError {
        let place = steps.place(number).unwrap_or_default();
        DialError::new(self.outcome, format!("{place}: {}", self.what))
    }
}

impl Step {
    /// Whether the answer is the one that is expected.
    fn judge(
        &self,
        answer: &Answer,
        took: Duration,
        captured: &Captured,
        sent: &[String],
    ) -> Result<(), Unexpected> {
        let spec = &self.spec;
        let status = answer.status;
        if !spec.status.iter().any(|range| range.contains(&status.as_u16())) {
            let outcome = unexpected(status, &answer.headers);
            let ranges: Vec<String> =
                spec.status.iter().map(|range| Range(range).to_string()).collect();
            let what = format!("found {status}, expected {}", ranges.join(", "));
            return Err(Unexpected::new(outcome, what));
        }
        if let Some(most) = spec.max_latency
            && took > most
        {
            return Err(Unexpected::passing(slow("it took", took, most)));
        }
        let text = String::from_utf8_lossy(&answer.body);
        let size =
            || format!("{} bytes{}", answer.body.len(), if answer.whole { "" } else { " read" });
        if let Some(wanted) = &spec.body_contains
            && !text.contains(wanted)
        {
            let what = format!("the body ({}) does not contain {}", size(), short(wanted));
            return Err(Unexpected::passing(what));
        }
        if let Some(wanted) = &self.matches
            && !wanted.is_match(&text)
        {
            let what = format!("the body ({}) does not match {}", size(), short(wanted.as_str()));
            return Err(Unexpected::passing(what));
        }
        if spec.json.is_empty() {
            return Ok(());
        }
        let body = json(answer)?;
        for (place, wanted) in &spec.json {
            let found = body.pointer(place);
            if !found.is_some_and(|found| is_same(found, wanted)) {
                let secret = self.is_secret(place, found, sent);
                let found = shown(found, secret, captured);
                let what = format!("{} is {found}, expected {}", short(place), short_value(wanted));
                return Err(Unexpected::passing(what));
            }
        }
        Ok(())
    }

    /// Whether what stands at that place is captured, or repeats a header that was sent.
    fn is_secret(&self, place: &str, found: Option<&Value>, sent: &[String]) -> bool {
        let repeated =
            |value: &String| value.len() >= 4 && found.is_some_and(|found| repeats(found, value));
        self.spec.capture.values().any(|other| other == place) || sent.iter().any(repeated)
    }

    fn capture(&self, answer: &Answer, captured: &mut Captured) -> Result<(), Unexpected> {
        if self.spec.capture.is_empty() {
            return Ok(());
        }
        let body = json(answer)?;
        for (name, place) in &self.spec.capture {
            let value = match body.pointer(place) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
                Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => None,
            };
            let value = value.filter(|value| Template::is_value(value)).ok_or_else(|| {
                let what = format!("{} is nothing that can be captured", short(place));
                Unexpected::passing(what)
            })?;
            captured.insert(name.clone(), value);
        }
        Ok(())
    }
}

fn json(answer: &Answer) -> Result<Value, Unexpected> {
    if !answer.whole {
        let what = format!("the body is longer than {} bytes, or broke off", answer.body.len());
        return Err(Unexpected::passing(what));
    }
    serde_json::from_slice(&answer.body).map_err(|_| {
        Unexpected::passing(format!("the body ({} bytes) is no JSON", answer.body.len()))
    })
}

/// Whether a text stands anywhere in a value, as it is and not as JSON writes it.
fn repeats(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found.contains(text),
        Value::Array(all) => all.iter().any(|one| repeats(one, text)),
        Value::Object(all) => all.iter().any(|(key, one)| key.contains(text) || repeats(one, text)),
        Value::Number(_) | Value::Bool(_) | Value::Null => value.to_string().contains(text),
    }
}

/// Whether both are the same to people: `1` and `1.0` are.
fn is_same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        _ => found == wanted,
    }
}

/// What was found, unless it is or holds something that was captured.
fn shown(found: Option<&Value>, secret: bool, captured: &Captured) -> String {
    let Some(found) = found else { return "missing".into() };
    let text = found.to_string();
    let holds = |value: &String| !value.is_empty() && text.contains(value.as_str());
    if secret || captured.values().any(holds) {
        return "something that is not shown".into();
    }
    match found {
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(fields) => format!("an object of {} fields", fields.len()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => short_value(found),
    }
}

fn short_value(value: &Value) -> String {
    cut(&value.to_string())
}

fn short(text: &str) -> String {
    cut(&format!("{text:?}"))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

fn slow(what: &str, took: Duration, most: Duration) -> String {
    format!("{what} {} ms, expected at most {} ms", took.as_millis(), most.as_millis())
}

struct Range<'a>(&'a std::ops::RangeInclusive<u16>);

impl fmt::Display for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.start(), self.0.end());
        if first == last { first.fmt(f) } else { write!(f, "{first}-{last}") }
    }
}
