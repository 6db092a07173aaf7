use std::collections::BTreeMap;
use std::time::Duration;

use mainstay::core::config::duration;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay_monitor::alert::Severity;
use mainstay_monitor::notify::{DispatchConfig, Route};
use serde::Deserialize;
use url::Url;

use super::file::File;
use super::links::At;
use super::named::{Names, fit};
use super::place::Document;
use super::policies;
use super::problem::Problems;
use super::secret::Secret;
use super::{Environment, read_pem};
use crate::notify::{
    EmailSpec, GIVE_UP_AFTER, MailTls, PAGERDUTY, ReceiverSpec, TIMEOUT, WatchdogSpec, Way,
    usual_policy,
};

const DAY: Duration = Duration::from_secs(86_400);
/// The most receivers a file may name.
const RECEIVERS_MAX: usize = 64;
/// The most rules, labels, arguments or people one may have.
const LIST_MAX: usize = 64;
/// The API has this in the place of a receiver's name.
const TAKEN: &str = "dead-letters";
const KINDS: &str = "webhook, slack, pagerduty, email, command, alertmanager";
const URL_ALLOWED: &str = "is not shown because it may hold a secret, allowed: http:// or https://";

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReceiverSection {
    name: String,
    kind: String,
    min_severity: Option<Severity>,
    rules: Vec<String>,
    labels: BTreeMap<String, String>,
    #[serde(with = "duration::option")]
    after: Option<Duration>,
    resolved: Option<bool>,
    policy: Option<String>,
    #[serde(with = "duration::option")]
    timeout: Option<Duration>,
    #[serde(with = "duration::option")]
    give_up_after: Option<Duration>,
    ca_file: Option<String>,
    url: Option<Secret>,
    url_env: Option<String>,
    url_file: Option<String>,
    secret_env: Option<String>,
    secret_file: Option<String>,
    key_env: Option<String>,
    key_file: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    tls: Option<String>,
    user: Option<String>,
    password_env: Option<String>,
    password_file: Option<String>,
    from: Option<String>,
    to: Option<Vec<String>>,
    command: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WatchdogSection {
    url: Option<Secret>,
    url_env: Option<String>,
    url_file: Option<String>,
    #[serde(with = "duration::option")]
    interval: Option<Duration>,
}

/// All about who is told of alerts.
pub(super) struct Told {
    pub(super) receivers: Vec<ReceiverSpec>,
    pub(super) notify: DispatchConfig,
    pub(super) watchdog: Option<WatchdogSpec>,
}

/// What is needed to read one section.
struct Reading<'a, 'b> {
    at: At<'a>,
    environment: &'a Environment,
    problems: &'b mut Problems,
}

pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    policies: &BTreeMap<String, PolicyConfig>,
    environment: &Environment,
    problems: &mut Problems,
) -> Told {
    if let Err(error) = file.notify.check() {
        problems.add(document.refused("notify", "notify", &error));
    }
    let at = At { document, path: "watchdog".into(), label: "watchdog".into() };
    let watchdog = file.watchdog.as_ref();
    let watchdog =
        watchdog.and_then(|section| Reading { at, environment, problems }.watchdog(section));
    let receivers = receivers(file, document, policies, environment, problems);
    Told { receivers, notify: file.notify.clone(), watchdog }
}

fn receivers(
    file: &File,
    document: &Document<'_>,
    policies: &BTreeMap<String, PolicyConfig>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<ReceiverSpec> {
    if !fit("receiver", (file.receiver.len(), RECEIVERS_MAX), document, problems) {
        return Vec::new();
    }
    let mut names = Names::of("receiver");
    let mut receivers = Vec::new();
    for (index, section) in file.receiver.iter().enumerate() {
        let name = section.name.as_str();
        let at = names.at(document, index, name, problems);
        if name == TAKEN {
            at.refuse("name", format!("is {name:?}, which the API uses itself"), problems);
        }
        receivers.extend(Reading { at, environment, problems }.one(section, policies));
    }
    receivers
}

impl Reading<'_, '_> {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.at.refuse(field, message.into(), self.problems);
    }

    fn one(
        &mut self,
        section: &ReceiverSection,
        policies: &BTreeMap<String, PolicyConfig>,
    ) -> Option<ReceiverSpec> {
        let give_up_after = section.give_up_after.unwrap_or(GIVE_UP_AFTER);
        if !(Duration::from_secs(1)..=30 * DAY).contains(&give_up_after) {
            let allowed = "makes no sense, allowed: \"1s\" to \"720h\" (30 days)";
            self.refuse("give_up_after", allowed);
        }
        let timeout = section.timeout.unwrap_or(TIMEOUT);
        let longest = Duration::from_secs(300);
        if timeout > longest || timeout < Duration::from_millis(10) {
            self.refuse("timeout", "makes no sense, allowed: \"10ms\" to \"5m\"");
        }
        let roots = self.roots(section);
        let policy = self.policy(section, policies, timeout);
        let route = self.route(section);
        self.foreign(section);
        let way = match section.kind.as_str() {
            "webhook" => self.webhook(section),
            "slack" => self.slack(section),
            "pagerduty" => self.pagerduty(section),
            "email" => self.email(section),
            "command" => self.command(section),
            "alertmanager" => self
                .url(&section.url, &section.url_env, &section.url_file)
                .map(|url| Way::Alertmanager { url }),
            other => {
                self.refuse("kind", format!("is {other:?}, allowed: {KINDS}"));
                None
            }
        };
        let name = section.name.clone();
        Some(ReceiverSpec { name, way: way?, route, policy, timeout, give_up_after, roots })
    }

    /// Fields that mean nothing to this kind are mistakes.
    fn foreign(&mut self, section: &ReceiverSection) {
        let kind = section.kind.as_str();
        if !KINDS.split(", ").any(|known| known == kind) {
            return;
        }
        let http = ["webhook", "slack", "pagerduty", "alertmanager"];
        let given: [(&str, bool, &[&str]); 18] = [
            (
                "ca_file",
                section.ca_file.is_some(),
                &["webhook", "slack", "pagerduty", "alertmanager", "email"],
            ),
            ("url", section.url.is_some(), &["webhook", "pagerduty", "alertmanager"]),
            ("url_env", section.url_env.is_some(), &http),
            ("url_file", section.url_file.is_some(), &http),
            ("secret_env", section.secret_env.is_some(), &["webhook"]),
            ("secret_file", section.secret_file.is_some(), &["webhook"]),
            ("key_env", section.key_env.is_some(), &["pagerduty"]),
            ("key_file", section.key_file.is_some(), &["pagerduty"]),
            ("host", section.host.is_some(), &["email"]),
            ("port", section.port.is_some(), &["email"]),
            ("tls", section.tls.is_some(), &["email"]),
            ("user", section.user.is_some(), &["email"]),
            ("password_env", section.password_env.is_some(), &["email"]),
            ("password_file", section.password_file.is_some(), &["email"]),
            ("from", section.from.is_some(), &["email"]),
            ("to", section.to.is_some(), &["email"]),
            ("command", section.command.is_some(), &["command"]),
            ("kind", false, &[]),
        ];
        for (field, is_given, kinds) in given {
            if is_given && !kinds.contains(&kind) {
                let text =
                    format!("means nothing to the kind {kind}, only to {}", kinds.join(", "));
                let slack = "stands in a variable or a file: whoever knows it can write there";
                let is_slack = kind == "slack" && field == "url";
                self.refuse(field, if is_slack { slack.to_owned() } else { text });
            }
        }
    }

    fn route(&mut self, section: &ReceiverSection) -> Route {
        for (field, count) in [("rules", section.rules.len()), ("labels", section.labels.len())] {
            if count > LIST_MAX {
                self.refuse(field, format!("are {count}, allowed: at most {LIST_MAX}"));
            }
        }
        let after = section.after.unwrap_or_default();
        if after > 30 * DAY {
            self.refuse("after", "is too long, allowed: 0 to \"720h\" (30 days)");
        }
        Route {
            receiver: section.name.as_str().into(),
            min_severity: section.min_severity.unwrap_or(Severity::Low),
            rules: section.rules.clone(),
            labels: section.labels.clone(),
            after,
            resolved: section.resolved.unwrap_or(true),
            muting: section.kind == "pagerduty",
        }
    }

    fn policy(
        &mut self,
        section: &ReceiverSection,
        own: &BTreeMap<String, PolicyConfig>,
        timeout: Duration,
    ) -> PolicyConfig {
        let usual = usual_policy(timeout);
        let Some(name) = &section.policy else { return usual };
        let found = own.get(name).copied().or_else(|| PolicyConfig::preset(name));
        let Some(mut policy) = found else {
            let own: Vec<_> = own.keys().map(String::as_str).collect();
            let known = [&own[..], &policies::PRESETS[..]].concat().join(", ");
            self.refuse("policy", format!("is {name:?}, allowed: {known}"));
            return usual;
        };
        // An attempt has an end, whatever a policy says.
        policy.call.attempt_timeout.get_or_insert(timeout);
        policy
    }

    fn webhook(&mut self, section: &ReceiverSection) -> Option<Way> {
        let url = self.url(&section.url, &section.url_env, &section.url_file);
        let secret = self.needed(
            "secret",
            &section.secret_env,
            &section.secret_file,
            "a webhook is signed",
        )?;
        let Ok(secret) = secret.expose().parse() else {
            let message = "holds a value that is not shown, allowed in it: `whsec_` and 24 to 64 \
                           bytes in Base64";
            let field = if section.secret_env.is_some() { "secret_env" } else { "secret_file" };
            self.refuse(field, message);
            return None;
        };
        Some(Way::Webhook { url: url?, secret })
    }

    fn slack(&mut self, section: &ReceiverSection) -> Option<Way> {
        // In the file itself it is refused already.
        if section.url.is_some() {
            return None;
        }
        let url = self.url(&None, &section.url_env, &section.url_file)?;
        Some(Way::Slack { url })
    }

    fn pagerduty(&mut self, section: &ReceiverSection) -> Option<Way> {
        let usual = Some(Secret::new(PAGERDUTY));
        let is_given = section.url_env.is_some() || section.url_file.is_some();
        let url = if is_given { section.url.clone() } else { section.url.clone().or(usual) };
        let url = self.url(&url, &section.url_env, &section.url_file);
        let why = "PagerDuty wants an integration's key";
        let key = self.needed("key", &section.key_env, &section.key_file, why)?;
        Some(Way::PagerDuty { url: url?, key })
    }

    fn email(&mut self, section: &ReceiverSection) -> Option<Way> {
        let host = section.host.clone().unwrap_or_default();
        let is_host = !host.is_empty() && Url::parse(&format!("smtp://{host}/")).is_ok();
        if !is_host {
            self.refuse("host", format!("is {host:?}, allowed: the name or address of a server"));
        }
        let (tls, port) = match section.tls.as_deref() {
            None | Some("starttls") => (MailTls::StartTls, 587),
            Some("tls") => (MailTls::Tls, 465),
            Some("none") => (MailTls::None, 25),
            Some(other) => {
                self.refuse("tls", format!("is {other:?}, allowed: starttls, tls, none"));
                return None;
            }
        };
        let from = section.from.clone().unwrap_or_default();
        self.address("from", &from);
        let to = section.to.clone().unwrap_or_default();
        if to.is_empty() || to.len() > LIST_MAX {
            self.refuse("to", format!("are {}, allowed: 1 to {LIST_MAX} addresses", to.len()));
        }
        for address in &to {
            self.address("to", address);
        }
        let login = match &section.user {
            Some(user) => {
                if tls == MailTls::None {
                    self.refuse("user", "would be shown to everybody on the way: choose a `tls`");
                }
                let why = "a user has a password";
                let (env, file) = (&section.password_env, &section.password_file);
                Some((user.clone(), self.needed("password", env, file, why)?))
            }
            None => None,
        };
        let port = section.port.unwrap_or(port);
        is_host.then_some(Way::Email(EmailSpec { host, port, tls, login, from, to }))
    }

    fn address(&mut self, field: &str, text: &str) {
        if text.parse::<lettre::message::Mailbox>().is_err() {
            let allowed = "allowed: ops@example.org, or \"Ops <ops@example.org>\"";
            self.refuse(field, format!("has {text:?}, {allowed}"));
        }
    }

    fn command(&mut self, section: &ReceiverSection) -> Option<Way> {
        let argv = section.command.clone().unwrap_or_default();
        let fits = |text: &String| text.len() <= 4096 && !text.contains('\0');
        let is_one = argv.first().is_some_and(|program| !program.is_empty());
        if !is_one || argv.len() > LIST_MAX || !argv.iter().all(fits) {
            let allowed = "allowed: a program and up to 63 arguments, such as [\"/usr/bin/notify\", \
                           \"ops\"]";
            self.refuse("command", format!("makes no sense, {allowed}"));
            return None;
        }
        Some(Way::Command { argv })
    }

    fn watchdog(&mut self, section: &WatchdogSection) -> Option<WatchdogSpec> {
        let interval = section.interval.unwrap_or(Duration::from_secs(60));
        if !(Duration::from_secs(1)..=DAY).contains(&interval) {
            self.refuse("interval", "makes no sense, allowed: \"1s\" to \"24h\"");
        }
        let url = self.url(&section.url, &section.url_env, &section.url_file)?;
        Some(WatchdogSpec { url, interval })
    }

    /// An address from the file, or from where it says.
    fn url(
        &mut self,
        url: &Option<Secret>,
        env: &Option<String>,
        file: &Option<String>,
    ) -> Option<Secret> {
        let (field, url) = match url {
            Some(url) if env.is_none() && file.is_none() => ("url", url.clone()),
            Some(_) => {
                self.refuse("url", "is said twice: choose one of url, url_env and url_file");
                return None;
            }
            None => {
                let field = if file.is_some() { "url_file" } else { "url_env" };
                (field, self.needed("url", env, file, "it must be known where to")?)
            }
        };
        let parsed = Url::parse(url.expose()).ok();
        if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            self.refuse(field, URL_ALLOWED);
            return None;
        }
        Some(url)
    }

    /// A secret in a variable or a file; it is a mistake when there is none.
    fn needed(
        &mut self,
        what: &str,
        env: &Option<String>,
        file: &Option<String>,
        why: &str,
    ) -> Option<Secret> {
        let (in_env, in_file) = (format!("{what}_env"), format!("{what}_file"));
        match (env, file) {
            (Some(name), None) => self.at.variable(&in_env, name, self.environment, self.problems),
            (None, Some(name)) => {
                let path = self.at.document.beside(name);
                match read_pem(&path) {
                    Ok(text) if !text.trim().is_empty() => Some(Secret::new(text.trim())),
                    Ok(_) => {
                        self.refuse(&in_file, format!("names {}, which is empty", path.display()));
                        None
                    }
                    Err(error) => {
                        let path = path.display();
                        self.refuse(
                            &in_file,
                            format!("names {path}, which cannot be read: {error}"),
                        );
                        None
                    }
                }
            }
            (Some(_), Some(_)) => {
                self.refuse(&in_env, format!("is said twice: choose {in_env} or {in_file}"));
                None
            }
            (None, None) => {
                self.refuse(&in_env, format!("is missing, and so is {in_file}: {why}"));
                None
            }
        }
    }

    fn roots(&mut self, section: &ReceiverSection) -> Option<String> {
        let name = section.ca_file.as_ref()?;
        let path = self.at.document.beside(name);
        let text = read_pem(&path);
        let is_pem = |text: &String| text.contains("-----BEGIN CERTIFICATE-----");
        match text {
            Ok(text) if is_pem(&text) => Some(text),
            Ok(_) => {
                self.refuse(
                    "ca_file",
                    format!("names {}, which has no certificate", path.display()),
                );
                None
            }
            Err(error) => {
                let path = path.display();
                self.refuse("ca_file", format!("names {path}, which cannot be read: {error}"));
                None
            }
        }
    }
}
