use std::collections::{BTreeMap, BTreeSet};

use mainstay::core::link::Link as Machine;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::link::{HttpConfig, HttpTransport, LinkConfig, LinkOverrides};
use url::Url;

use super::file::{File, LinkSection};
use super::place::Document;
use super::problem::Problems;
use super::secret::Secret;
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
    /// How it behaves.
    pub config: LinkConfig,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An HTTP service.
    Http {
        /// Its address, without credentials and query.
        url: String,
        /// The path of its health check.
        health_path: String,
    },
    /// A TCP port.
    Tcp {
        /// Host and port.
        address: String,
        /// How it is asked whether it is well.
        probe: Probe,
    },
}

/// How a TCP peer is asked whether it is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// By another connection. The default.
    #[default]
    Connect,
    /// By a look at the one that is held.
    Held,
}

pub(super) const NAME_ALLOWED: &str =
    "a name is allowed 1 to 64 letters, digits, hyphens and underscores";
const URL_ALLOWED: &str = "is not shown because it may hold a secret, allowed: \
                           http://host[:port], https://host[:port] or tcp://host:port, \
                           without user, password, query or fragment";
const LINK_PRESETS: &str = "default, chittyid_reconnect, streamotter";

pub(super) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// The links of the file, checked.
pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    policies: &BTreeMap<String, PolicyConfig>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<LinkSpec> {
    if file.link.len() > LINKS_MAX {
        let message = format!("are {}, allowed: at most {LINKS_MAX}", file.link.len());
        problems.add(document.problem("link", "link", message));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut links = Vec::new();
    for (index, section) in file.link.iter().enumerate() {
        let name = section.name.as_str();
        let label = if is_name(name) { name.to_owned() } else { (index + 1).to_string() };
        let at = At { document, path: format!("link.{index}"), label: format!("link.{label}") };
        if !is_name(name) {
            at.refuse("name", format!("is {name:?}: {NAME_ALLOWED}"), problems);
        } else if !names.insert(name) {
            at.refuse("name", format!("is {name:?}, which another link has already"), problems);
        }
        links.extend(one(section, &at, policies, environment, problems));
    }
    links
}

/// Where a link stands in the file.
struct At<'a> {
    document: &'a Document<'a>,
    path: String,
    label: String,
}

impl At<'_> {
    fn refuse(&self, field: &str, message: String, problems: &mut Problems) {
        let (path, label) = (format!("{}.{field}", self.path), format!("{}.{field}", self.label));
        problems.add(self.document.problem(&path, &label, message));
    }
}

fn one(
    section: &LinkSection,
    at: &At<'_>,
    policies: &BTreeMap<String, PolicyConfig>,
    environment: &Environment,
    problems: &mut Problems,
) -> Option<LinkSpec> {
    let target = target(section, at, problems);
    if let Some(policy) = &section.policy
        && !policies.contains_key(policy)
        && PolicyConfig::preset(policy).is_none()
    {
        let own: Vec<_> = policies.keys().map(String::as_str).collect();
        let known = [&own[..], &policies::PRESETS[..]].concat().join(", ");
        at.refuse("policy", format!("is {policy:?}, allowed: {known}"), problems);
    }
    let bearer = section.token_env.as_ref().and_then(|variable| {
        let value = environment.get(variable).filter(|value| !value.is_empty());
        if value.is_none() {
            let message = format!("names {variable}, which the environment does not have");
            at.refuse("token_env", message, problems);
        }
        value.map(Secret::new)
    });
    let config = config(section, at, problems)?;
    Some(LinkSpec {
        name: section.name.clone(),
        target: target?,
        connect: section.connect.unwrap_or(true),
        policy: section.policy.clone(),
        bearer,
        config,
    })
}

fn config(section: &LinkSection, at: &At<'_>, problems: &mut Problems) -> Option<LinkConfig> {
    let base = match section.preset.as_deref().unwrap_or("default") {
        "default" => LinkConfig::default(),
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

fn target(section: &LinkSection, at: &At<'_>, problems: &mut Problems) -> Option<Target> {
    let target = read_target(section);
    let http = matches!(target, Some(Target::Http { .. }));
    let Some(target) = target else {
        at.refuse("url", URL_ALLOWED.into(), problems);
        return None;
    };
    if http && section.probe.is_some() {
        at.refuse("probe", "is for tcp:// links only".into(), problems);
    }
    if !http && section.health_path.is_some() {
        at.refuse("health_path", "is for http:// and https:// links only".into(), problems);
    }
    if !http && section.token_env.is_some() {
        at.refuse("token_env", "is for http:// and https:// links only".into(), problems);
    }
    if let Some(path) = section.health_path.as_deref().filter(|path| !path.starts_with('/')) {
        at.refuse(
            "health_path",
            format!("is {path:?}, allowed: a path such as \"/health\""),
            problems,
        );
    }
    if let Some(probe) = section.probe.as_deref().filter(|probe| parse_probe(probe).is_none()) {
        at.refuse("probe", format!("is {probe:?}, allowed: connect, held"), problems);
    }
    Some(target)
}

fn read_target(section: &LinkSection) -> Option<Target> {
    let url = Url::parse(section.url.expose()).ok()?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().filter(|host| !host.is_empty() && plain)?;
    if url.scheme() == "tcp" {
        let probe = section.probe.as_deref().and_then(parse_probe).unwrap_or_default();
        let bare = matches!(url.path(), "" | "/");
        let port = url.port().filter(|_| bare)?;
        return Some(Target::Tcp { address: format!("{host}:{port}"), probe });
    }
    let health_path = section.health_path.clone().unwrap_or_else(|| "/health".into());
    HttpTransport::new(HttpConfig::new(url.as_str())).ok()?;
    Some(Target::Http { url: url.to_string(), health_path })
}

fn parse_probe(text: &str) -> Option<Probe> {
    match text {
        "connect" => Some(Probe::Connect),
        "held" => Some(Probe::Held),
        _ => None,
    }
}

/// `url` as it may be shown: without user, password, query and fragment.
#[must_use]
pub fn safe_url(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "(no address)".into() };
    let cleared = url.set_username("").and_then(|()| url.set_password(None));
    if cleared.is_err() && !url.username().is_empty() {
        return "(no address)".into();
    }
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
