use std::collections::BTreeMap;

use mainstay::core::link::Link as Machine;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::link::{LinkConfig, LinkOverrides};

use super::file::{File, LinkSection};
use super::named::{Names, fit};
use super::place::Document;
use super::problem::Problems;
use super::secret::Secret;
use super::target::{self, Target};
use super::{Environment, LINKS_MAX, policies};

/// A link that the server holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// Its name.
    pub name: String,
    /// Where it leads.
    pub target: Target,
    /// Whether it connects by itself. Default yes.
    pub connect: bool,
    /// Name of the policy whose gate guards it, if one does.
    pub policy: Option<String>,
    /// What it shows the peer, if anything.
    pub bearer: Option<Secret>,
    /// Whether others cannot do without it: it being down is worse then. Default no.
    pub required: bool,
    /// Links it cannot be reached without. While one of them is down, nothing else is told of it.
    pub depends_on: Vec<String>,
    /// How it behaves.
    pub config: LinkConfig,
}

const LINK_PRESETS: &str = "default, websocket, chittyid_reconnect, streamotter";

/// The links of the file, checked.
pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    policies: &BTreeMap<String, PolicyConfig>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<LinkSpec> {
    if !fit("link", (file.link.len(), LINKS_MAX), document, problems) {
        return Vec::new();
    }
    let mut names = Names::of("link");
    let mut links = Vec::new();
    for (index, section) in file.link.iter().enumerate() {
        let name = section.name.as_str();
        let at = names.at(document, index, name, problems);
        for parent in &section.depends_on {
            if parent == name || !file.link.iter().any(|link| link.name == *parent) {
                at.refuse(
                    "depends_on",
                    format!("has {parent:?}, which is no other link"),
                    problems,
                );
            }
        }
        links.extend(one(section, &at, policies, environment, problems));
    }
    links
}

/// Where a link stands in the file.
pub(super) struct At<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) path: String,
    pub(super) label: String,
}

impl At<'_> {
    pub(super) fn refuse(&self, field: &str, message: String, problems: &mut Problems) {
        let (path, label) = (format!("{}.{field}", self.path), format!("{}.{field}", self.label));
        problems.add(self.document.problem(&path, &label, message));
    }

    /// The secret in the variable that `field` names; it is a mistake when there is none.
    pub(super) fn variable(
        &self,
        field: &str,
        name: &str,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<Secret> {
        let value = environment.get(name).filter(|value| !value.is_empty());
        if value.is_none() {
            let message = format!("names {name}, which the environment does not have");
            self.refuse(field, message, problems);
        }
        value.map(Secret::new)
    }
}

fn one(
    section: &LinkSection,
    at: &At<'_>,
    policies: &BTreeMap<String, PolicyConfig>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<LinkSpec> {
    let target = target::read(section, at, environment, problems);
    if let Some(policy) = &section.policy
        && !policies.contains_key(policy)
        && PolicyConfig::preset(policy).is_none()
    {
        let own: Vec<_> = policies.keys().map(String::as_str).collect();
        let known = [&own[..], &policies::PRESETS[..]].concat().join(", ");
        at.refuse("policy", format!("is {policy:?}, allowed: {known}"), problems);
    }
    let variable = section.token_env.as_deref();
    let bearer = variable.and_then(|name| at.variable("token_env", name, environment, problems));
    let config = config(section, at, problems)?;
    Some(LinkSpec {
        name: section.name.clone(),
        target: target?,
        connect: section.connect.unwrap_or(true),
        policy: section.policy.clone(),
        bearer,
        required: section.required,
        depends_on: section.depends_on.clone(),
        config,
    })
}

fn config(section: &LinkSection, at: &At<'_>, problems: &mut Problems) -> Option<LinkConfig> {
    // What suits a connection that tells by itself when it breaks does not suit one that is asked.
    let is_websocket = target::is_websocket(section);
    let usual = if is_websocket { "websocket" } else { "default" };
    let base = match section.preset.as_deref().unwrap_or(usual) {
        "default" => LinkConfig::default(),
        "websocket" => LinkConfig::websocket(),
        "chittyid_reconnect" => LinkConfig::chittyid_reconnect(),
        "streamotter" => LinkConfig::streamotter(),
        other => {
            at.refuse("preset", format!("is {other:?}, allowed: {LINK_PRESETS}"), problems);
            return None;
        }
    };
    let config = base.merged(&LinkOverrides {
        dial_timeout: section.dial_timeout,
        close_timeout: section.close_timeout,
        stable_after: section.stable_after,
        suspend_after: section.suspend_after,
        reconnect: section.reconnect,
        health: section.health,
    });
    if let Err(mut error) = Machine::new(&config) {
        // The waits of a link stand beside its other fields in a file.
        error.field = error.field.replace("reconnect.backoff.", "reconnect.");
        problems.add(at.document.refused(&at.path, &at.label, &error));
        return None;
    }
    Some(config)
}
