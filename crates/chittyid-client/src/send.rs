//! One request to the service: its attempts, their time, their answer in full.

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mainstay::classify::{Attempt, Classify};
use mainstay::clock;
use mainstay::core::config::ConfigError;
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::gate::{RejectedBy, Rejection};
use mainstay::core::policy::outcome::{Outcome, Sample};
use mainstay::gate::Gate;
use mainstay::http::{status_outcome, transport_outcome};
use mainstay::link::{HttpTransport, StateName};
use mainstay::retry::{CallError, Failure, Retry};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VIA,
};
use reqwest::{Method, StatusCode, Url};

use crate::breaker::Notes;
use crate::error::{Error, LimitedBy, Unreachable};
use crate::page::Page;
use crate::watch::Watch;
use crate::{ApiKey, ClientConfig, Credentials};

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) url: Url,
    /// A `POST` of this JSON, or a `GET`.
    pub(crate) body: Option<Vec<u8>>,
    /// The same over all attempts.
    pub(crate) idempotency_key: Option<HeaderValue>,
}

/// What was answered, in full.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The page for people that it is, if it is one.
    pub(crate) fn page(&self) -> Option<Page> {
        Page::find(self.status.as_u16(), self.content_type(), &self.body)
    }

    fn content_type(&self) -> &str {
        self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
    }
}

/// Sends requests, as often as the policy allows.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) transport: HttpTransport,
    /// Under all policies.
    retry: Retry,
    /// One attempt, which nobody counts.
    plain: Retry,
    /// The same in the time of a health check.
    check: Retry,
    own_key: Option<ApiKey>,
    body_max: usize,
    fails_fast: bool,
    pub(crate) gate: Gate,
    pub(crate) is_resilient: AtomicBool,
    pub(crate) notes: Notes,
    pub(crate) watch: Watch,
}

impl Wire {
    pub(crate) fn new(
        name: &str,
        config: &ClientConfig,
        transport: HttpTransport,
        watch: Watch,
    ) -> Result<Self, ConfigError> {
        let policy = config.policy().checked()?;
        let gate = Gate::new(name, &policy.gate)?;
        let once = CallConfig { attempts: 1, ..policy.call };
        let check = CallConfig { attempt_timeout: Some(config.watch.timeout), ..once };
        Ok(Self {
            transport,
            retry: Retry::through(&policy, gate.clone())?,
            plain: Retry::new(&once)?,
            check: Retry::new(&check)?,
            own_key: config.api_key.clone(),
            body_max: config.body_max,
            fails_fast: config.fail_fast_when_disconnected,
            notes: Notes::new(&gate),
            gate,
            is_resilient: AtomicBool::new(config.resilience),
            watch,
        })
    }

    pub(crate) fn is_resilient(&self) -> bool {
        self.is_resilient.load(Ordering::Relaxed)
    }

    /// The key that goes with a call.
    pub(crate) fn key<'a>(&'a self, credentials: &'a Credentials) -> Option<&'a ApiKey> {
        match credentials {
            Credentials::Own => self.own_key.as_ref(),
            Credentials::Key(key) => Some(key),
            Credentials::Passed { key, .. } => key.as_ref(),
            Credentials::Anonymous => None,
        }
    }

    /// Asks under all policies, or once while they are off.
    pub(crate) async fn ask(&self, ask: &Ask, credentials: &Credentials) -> Result<Answer, Error> {
        self.watch.touch();
        if self.fails_fast && self.watch.state() == Some(StateName::Failed) {
            return Err(Error::Disconnected);
        }
        if !self.is_resilient() {
            return self.run(&self.plain, ask, credentials).await.0;
        }
        let (result, sample) = self.run(&self.retry, ask, credentials).await;
        self.notes.ended(&self.gate, sample);
        result
    }

    /// Asks once, in the time of a health check, whatever the breaker says.
    pub(crate) async fn check(
        &self,
        ask: &Ask,
        credentials: &Credentials,
    ) -> Result<Answer, Error> {
        self.run(&self.check, ask, credentials).await.0
    }

    async fn run(
        &self,
        retry: &Retry,
        ask: &Ask,
        credentials: &Credentials,
    ) -> (Result<Answer, Error>, Sample) {
        let key = self.key(credentials).and_then(ApiKey::header);
        let meaning = Meaning { is_own: *credentials == Credentials::Own };
        let begun = clock::now();
        let retry = retry.clone().classify_with(meaning);
        let via =
            if let Credentials::Passed { via, .. } = credentials { Some(&**via) } else { None };
        let result = retry.call(|_| self.attempt(ask, key.as_ref(), via)).await;
        let (sample, heard) = match &result {
            Ok(answer) => {
                // A server that answers that it fails says nothing about the way to it.
                let is_well = !answer.status.is_server_error();
                (meaning.of(answer).sample(), is_well.then_some(Outcome::Success))
            }
            Err(error) => spoken(&error.last.failure),
        };
        if let Some(outcome) = heard {
            self.watch.report(outcome, clock::now().since(begun));
        }
        (result.map_err(told), sample)
    }

    async fn attempt(
        &self,
        ask: &Ask,
        key: Option<&HeaderValue>,
        via: Option<&str>,
    ) -> Result<Answer, Trouble> {
        let client =
            self.transport.client().map_err(|error| Trouble::NoClient(error.to_string()))?;
        let method = if ask.body.is_some() { Method::POST } else { Method::GET };
        let mut request =
            client.request(method, ask.url.clone()).header(ACCEPT, "application/json");
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        if let Some(via) = via {
            request = request.header(VIA, via);
        }
        if let Some(once) = &ask.idempotency_key {
            request = request.header(HeaderName::from_static("idempotency-key"), once.clone());
        }
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let sent = request.send().await;
        let mut response = sent.map_err(|error| Trouble::Sending(error.without_url()))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        let broken = |error: reqwest::Error| Trouble::Reading(error.without_url());
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if chunk.len() > self.body_max - body.len() {
                return Err(Trouble::TooLarge { limit: self.body_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

/// What ended an attempt without an answer.
#[derive(Debug)]
enum Trouble {
    NoClient(String),
    Sending(reqwest::Error),
    Reading(reqwest::Error),
    TooLarge { limit: usize },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClient(why) => write!(f, "no HTTP client: {why}"),
            Self::Sending(_) => f.write_str("the request could not be sent"),
            Self::Reading(_) => f.write_str("the answer broke off"),
            Self::TooLarge { limit } => write!(f, "the answer is longer than {limit} bytes"),
        }
    }
}

impl StdError for Trouble {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Sending(error) | Self::Reading(error) => Some(error),
            Self::NoClient(_) | Self::TooLarge { .. } => None,
        }
    }
}

impl Trouble {
    fn outcome(&self) -> Outcome {
        match self {
            Self::NoClient(_) => Outcome::Mistake,
            Self::Sending(error) => transport_outcome(error).unwrap_or(Outcome::Permanent),
            // Whatever ends an answer that had begun may not end the next.
            Self::Reading(_) => Outcome::TRANSIENT,
            Self::TooLarge { .. } => Outcome::Permanent,
        }
    }
}

/// What answers mean for retries and breaker.
#[derive(Clone, Copy, Debug)]
struct Meaning {
    /// Whether the client's own key was sent.
    is_own: bool,
}

impl Classify<Answer, Trouble> for Meaning {
    fn classify(&self, result: &Result<Answer, Trouble>, _attempt: Attempt) -> Outcome {
        match result {
            Ok(answer) => self.of(answer),
            Err(trouble) => trouble.outcome(),
        }
    }
}

impl Meaning {
    fn of(&self, answer: &Answer) -> Outcome {
        let status = answer.status;
        // What one of many callers used up, or brought about with what it sent (gateways that it
        // claims to come through, what a firewall takes for an attack), must hold back no other, nor
        // speak against the service.
        if !self.is_own
            && (status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::LOOP_DETECTED)
        {
            return Outcome::Refused;
        }
        let outcome = status_outcome(status, &answer.headers, SystemTime::now());
        let is_answer = match outcome {
            Outcome::Success => !status.is_redirection() && answer.page().is_none(),
            Outcome::Refused => {
                !self.is_own || status == StatusCode::UNAUTHORIZED || answer.page().is_none()
            }
            Outcome::Permanent
            | Outcome::Transient { .. }
            | Outcome::Elsewhere
            | Outcome::Throttled { .. }
            | Outcome::Rejected { .. }
            | Outcome::Abandoned
            | Outcome::Mistake => true,
        };
        if is_answer { outcome } else { Outcome::Permanent }
    }
}

/// What a failure says about the service, and about the connection if it says something.
fn spoken(failure: &Failure<Trouble>) -> (Sample, Option<Outcome>) {
    match failure {
        Failure::Error(trouble @ (Trouble::Sending(_) | Trouble::Reading(_))) => {
            (trouble.outcome().sample(), Some(Outcome::TRANSIENT))
        }
        Failure::Error(trouble @ (Trouble::TooLarge { .. } | Trouble::NoClient(_))) => {
            (trouble.outcome().sample(), None)
        }
        Failure::TimedOut => (Sample::Failure, Some(Outcome::TRANSIENT)),
        Failure::Unacceptable => (Sample::Failure, None),
        Failure::Rejected(_) | Failure::Cancelled | _ => (Sample::Neutral, None),
    }
}

/// The error that callers see.
fn told(error: CallError<Trouble>) -> Error {
    let attempts = error.attempts();
    let why = match &error.last.failure {
        Failure::Rejected(rejection) => return rejected(*rejection),
        Failure::Error(Trouble::TooLarge { limit }) => return Error::TooLarge { limit: *limit },
        Failure::Error(Trouble::NoClient(what)) => {
            return Error::Unsendable { what: what.as_str().into() };
        }
        Failure::Error(Trouble::Sending(error)) => seen(error),
        Failure::Error(Trouble::Reading(error)) if error.is_timeout() => None,
        Failure::Error(Trouble::Reading(_)) => Some(Unreachable::Broken),
        // Time was up: while an attempt ran, or while the next one waited.
        Failure::Unacceptable | Failure::TimedOut | Failure::Cancelled | _ => None,
    };
    let source = Arc::new(error);
    match why {
        Some(why) => Error::Unreachable { why, attempts, source },
        None => Error::Timeout { attempts, source },
    }
}

/// What a failure to send looks like; none when time was up.
fn seen(error: &reqwest::Error) -> Option<Unreachable> {
    if error.is_timeout() {
        return None;
    }
    let mut text = String::new();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let kind = io.kind();
            if kind == ErrorKind::TimedOut {
                return None;
            }
            if kind == ErrorKind::ConnectionRefused {
                return Some(Unreachable::Refused);
            }
            let is_end =
                [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
            if is_end.contains(&kind) {
                return Some(Unreachable::Broken);
            }
        }
        text.push_str(&error.to_string());
        text.push(' ');
        cause = error.source();
    }
    // The resolver's error has no type that can be asked here.
    if text.contains("dns error") || text.contains("lookup address information") {
        return Some(Unreachable::Name);
    }
    Some(match (error.is_connect(), transport_outcome(error)) {
        // All that a connect can fail of passes, but for a certificate.
        (true, Some(Outcome::Permanent)) => Unreachable::Tls,
        (true, _) => Unreachable::Network,
        (false, _) => Unreachable::Broken,
    })
}

fn rejected(rejection: Rejection) -> Error {
    let retry_after = rejection.retry_after;
    let limited = |by| Error::RateLimited { by, retry_after, said: None };
    match rejection.by {
        RejectedBy::Breaker(reason) => {
            Error::CircuitOpen { state: crate::breaker::word(reason), retry_after }
        }
        RejectedBy::Hold => limited(LimitedBy::Pause),
        RejectedBy::Throttle | RejectedBy::RateLimit | RejectedBy::Bulkhead => {
            limited(LimitedBy::Client)
        }
    }
}

/// How long the HTTP library itself waits: a little longer than an attempt, whose end says more.
pub(crate) fn library_timeout(config: &ClientConfig) -> Duration {
    config.timeout.max(config.watch.timeout) + Duration::from_secs(1)
}
