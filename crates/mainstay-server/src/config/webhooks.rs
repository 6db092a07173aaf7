use std::time::Duration;

use mainstay::core::config::duration;
use serde::Deserialize;
use url::Url;

use super::Environment;
use super::file::File;
use super::links::At;
use super::named::{Names, fit};
use super::place::Document;
use super::problem::Problems;
use super::secret::Secret;
use crate::webhook::{EVENT_NAMES, WebhookSpec};

const DAY: Duration = Duration::from_secs(86_400);
/// The most webhooks a file may name.
const WEBHOOKS_MAX: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WebhookSection {
    name: String,
    url: Secret,
    secret_env: String,
    events: Vec<String>,
    batch_max: Option<usize>,
    #[serde(with = "duration::option")]
    batch_within: Option<Duration>,
    #[serde(with = "duration::option")]
    give_up_after: Option<Duration>,
}

pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<WebhookSpec> {
    if !fit("webhook", (file.webhook.len(), WEBHOOKS_MAX), document, problems) {
        return Vec::new();
    }
    let mut names = Names::of("webhook");
    let mut hooks = Vec::new();
    for (index, section) in file.webhook.iter().enumerate() {
        let at = names.at(document, index, &section.name, problems);
        hooks.extend(one(section, &at, environment, problems));
    }
    hooks
}

fn one(
    section: &WebhookSection,
    at: &At<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<WebhookSpec> {
    let url = Url::parse(section.url.expose()).ok();
    let is_one = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !is_one {
        let allowed = "is not shown because it may hold a secret, allowed: http:// or https://";
        at.refuse("url", allowed.into(), problems);
    }
    for event in &section.events {
        if !EVENT_NAMES.contains(&event.as_str()) {
            let message = format!("has {event:?}, allowed: {}", EVENT_NAMES.join(", "));
            at.refuse("events", message, problems);
        }
    }
    let batch_max = section.batch_max.unwrap_or(100);
    if !(1..=1000).contains(&batch_max) {
        at.refuse("batch_max", format!("is {batch_max}, allowed: 1 to 1000"), problems);
    }
    let batch_within = section.batch_within.unwrap_or(Duration::from_secs(1));
    if batch_within > Duration::from_secs(60) {
        at.refuse("batch_within", "is too long, allowed: 0 to \"1m\"".into(), problems);
    }
    let give_up_after = section.give_up_after.unwrap_or(DAY);
    if !(Duration::from_secs(1)..=30 * DAY).contains(&give_up_after) {
        let allowed = "allowed: \"1s\" to \"720h\" (30 days)";
        at.refuse("give_up_after", format!("makes no sense, {allowed}"), problems);
    }
    let secret = at.variable("secret_env", &section.secret_env, environment, problems)?;
    let Ok(secret) = secret.expose().parse() else {
        let message = "names a variable whose value is not shown, allowed in it: `whsec_` and 24 \
                       to 64 bytes in Base64";
        at.refuse("secret_env", message.into(), problems);
        return None;
    };
    Some(WebhookSpec {
        name: section.name.clone(),
        url: section.url.clone(),
        secret,
        events: section.events.clone(),
        batch_max,
        batch_within,
        give_up_after,
    })
}
