//! Receivers as they are configured.

use std::time::Duration;

use mainstay::core::policy::preset::PolicyConfig;
use mainstay_monitor::notify::Route;

use crate::config::Secret;
use crate::webhook::SigningSecret;

/// The longest time of one attempt, unless the configuration says otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a notice is tried, unless the configuration says otherwise: after that a repeat says the
/// same again.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_secs(4 * 3_600);
/// Where PagerDuty takes events, unless the configuration says otherwise.
pub(crate) const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// Who is told of alerts, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverSpec {
    /// What it is called.
    pub name: String,
    /// How it is told.
    pub way: Way,
    /// Of which alerts.
    pub route: Route,
    /// Attempts of one round, and the breaker.
    pub policy: PolicyConfig,
    /// The longest time of one attempt. Default 15 s.
    pub timeout: Duration,
    /// How long one notice is tried. Default 4 h.
    pub give_up_after: Duration,
    /// Certificates to trust in place of the platform's, as PEM.
    pub roots: Option<String>,
}

/// How a receiver is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A signed request with all there is to say.
    Webhook {
        /// Where to.
        url: Secret,
        /// What it is signed with.
        secret: SigningSecret,
    },
    /// An incoming webhook of Slack, Mattermost, or Discord's `/slack`.
    Slack {
        /// Where to; whoever knows it can write there.
        url: Secret,
    },
    /// Events of PagerDuty, version 2.
    PagerDuty {
        /// Where to.
        url: Secret,
        /// The integration's key.
        key: Secret,
    },
    /// Mail.
    Email(EmailSpec),
    /// A program that is started.
    Command {
        /// The program and its arguments; no shell is between.
        argv: Vec<String>,
    },
    /// An Alertmanager, which tells people itself.
    Alertmanager {
        /// Where it is.
        url: Secret,
    },
}

/// Mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSpec {
    /// The server that takes it.
    pub host: String,
    /// Its port. Default 587 with STARTTLS, 465 with TLS, 25 without.
    pub port: u16,
    /// How it is kept secret on its way.
    pub tls: MailTls,
    /// Whose account, with the password.
    pub login: Option<(String, Secret)>,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
}

/// How mail is kept secret on its way to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// By TLS that begins after the greeting, or not at all. The default.
    #[default]
    StartTls,
    /// By TLS from the start.
    Tls,
    /// Not.
    None,
}

impl Way {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Email(_) => "email",
            Self::Command { .. } => "command",
            Self::Alertmanager { .. } => "alertmanager",
        }
    }
}

/// The attempts of one round: three, each within `timeout`. Rounds follow until the notice is given up.
pub(crate) fn usual_policy(timeout: Duration) -> PolicyConfig {
    let mut policy = PolicyConfig::default();
    policy.call.attempts = 3;
    policy.call.attempt_timeout = Some(timeout);
    policy
}
