//! One attempt to tell a receiver.

use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use mainstay::core::policy::outcome::Outcome;
use mainstay::http::{status_outcome, transport_outcome};
use reqwest::{Client, RequestBuilder, StatusCode};

use super::letter::Letter;
use super::spec::{ReceiverSpec, Way};
use super::{alertmanager, command, email, pagerduty, slack, webhook};

/// Tells one receiver.
#[derive(Debug)]
pub(super) struct Sender {
    way: Way,
    timeout: Duration,
    http: Client,
    mail: Option<email::Mailer>,
}

/// Why a receiver could not be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SendError {
    pub(super) reason: Reason,
    /// Whether it may work later.
    pub(super) outcome: Outcome,
    /// For people; never a secret.
    pub(super) detail: String,
}

/// Why, in the words of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It does not know us, or no longer.
    Auth,
    /// It asks for less.
    RateLimited,
    /// What we say makes no sense to it.
    Client,
    /// It is broken.
    Server,
    /// It cannot be reached.
    Network,
    /// It does not answer in time.
    Timeout,
    /// Our breaker keeps away from it.
    Rejected,
}

impl Reason {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::RateLimited => "rate_limited",
            Self::Client => "client",
            Self::Server => "server",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Rejected => "rejected",
        }
    }
}

impl SendError {
    pub(super) fn new(reason: Reason, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { reason, outcome, detail: detail.into() }
    }

    /// What never will work, whoever is asked.
    pub(super) fn mistake(detail: impl Into<String>) -> Self {
        Self::new(Reason::Client, Outcome::Mistake, detail)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for SendError {}

impl Sender {
    /// Ready to tell; the error says what of the configuration cannot be used.
    pub(super) fn new(spec: &ReceiverSpec) -> Result<Self, String> {
        let mut http = mainstay::http::builder();
        if let Some(roots) = &spec.roots {
            let roots = reqwest::Certificate::from_pem_bundle(roots.as_bytes());
            http = http.tls_certs_only(roots.map_err(|error| deepest(&error))?);
        }
        let http = http.build().map_err(|error| deepest(&error))?;
        let mail = match &spec.way {
            Way::Email(mail) => Some(email::Mailer::new(mail, spec)?),
            Way::Webhook { .. }
            | Way::Slack { .. }
            | Way::PagerDuty { .. }
            | Way::Command { .. }
            | Way::Alertmanager { .. } => None,
        };
        Ok(Self { way: spec.way.clone(), timeout: spec.timeout, http, mail })
    }

    /// Tells it once.
    pub(super) async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        match (&self.way, &self.mail) {
            (Way::Webhook { url, secret }, _) => {
                post(webhook::request(&self.http, url, secret, letter), self.timeout).await
            }
            (Way::Slack { url }, _) => {
                post(json(&self.http, url.expose(), &slack::message(letter)), self.timeout).await
            }
            (Way::PagerDuty { url, key }, _) => {
                for event in pagerduty::events(letter, key) {
                    post(json(&self.http, url.expose(), &event), self.timeout).await?;
                }
                Ok(())
            }
            (Way::Alertmanager { url }, _) => {
                let url = format!("{}/api/v2/alerts", url.expose().trim_end_matches('/'));
                post(json(&self.http, &url, &alertmanager::alerts(letter)), self.timeout).await
            }
            (Way::Command { argv }, _) => command::run(argv, letter, self.timeout).await,
            (Way::Email(_), Some(mail)) => mail.send(letter).await,
            (Way::Email(_), None) => Err(SendError::mistake("mail cannot be sent")),
        }
    }
}

fn json(http: &Client, url: &str, body: &serde_json::Value) -> RequestBuilder {
    http.post(url).header("content-type", "application/json").body(body.to_string())
}

/// Sends a request and says what its answer means. Neither address nor answer is shown: both may
/// hold a secret.
pub(super) async fn post(request: RequestBuilder, timeout: Duration) -> Result<(), SendError> {
    let answer = match request.timeout(timeout).send().await {
        Ok(answer) => answer,
        Err(error) => return Err(unsent(&error)),
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let said = status_outcome(status, answer.headers(), SystemTime::now());
    // A redirect is not followed: the address in the configuration is the one that was meant.
    let outcome = if said == Outcome::Success { Outcome::Refused } else { said };
    Err(SendError::new(reason(status), outcome, format!("it answered {status}")))
}

fn reason(status: StatusCode) -> Reason {
    match status.as_u16() {
        401 | 403 | 407 => Reason::Auth,
        429 => Reason::RateLimited,
        408 | 504 => Reason::Timeout,
        500..600 => Reason::Server,
        _ => Reason::Client,
    }
}

fn unsent(error: &reqwest::Error) -> SendError {
    let detail = deepest(error);
    if error.is_builder() {
        return SendError::mistake(detail);
    }
    let reason = if error.is_timeout() { Reason::Timeout } else { Reason::Network };
    let outcome = match transport_outcome(error) {
        Some(Outcome::Mistake) => Outcome::Mistake,
        // A certificate is renewed sooner than a notice is given up.
        Some(_) | None => Outcome::TRANSIENT,
    };
    SendError::new(reason, outcome, detail)
}

/// The cause of all: what lies above it may show the address, which may hold a secret.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    if deepest.is::<reqwest::Error>() { "no answer".into() } else { deepest.to_string() }
}
