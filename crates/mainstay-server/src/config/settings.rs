use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay::core::config::{LONGEST, duration};
use mainstay::core::policy::preset::PolicyConfig;

use super::auth::AuthConfig;
use super::file::File;
use super::links::LinkSpec;
use super::listen::Listen;
use super::origin::{Origin, Setting};
use super::otlp::OtlpSpec;
use super::place::Document;
use super::problem::{Problem, Problems};
use super::receivers::Told;
use super::secret::{SHORTEST, Secret};
use super::{ApiConfig, Config, Environment, Flags, LogConfig, LogFormat, ServerConfig, StoreSpec};
use crate::monitor::MonitorSpec;
use crate::push::PushSpec;
use crate::session::SessionsConfig;
use crate::webhook::WebhookSpec;

/// The settings that flags, the environment and the file can all name.
const NAMES: [&str; 7] = [
    "server.listen",
    "server.data_dir",
    "server.token",
    "server.token_env",
    "server.shutdown_deadline",
    "log.level",
    "log.format",
];

/// The text of every setting with its origin.
pub(super) struct Settings {
    listen: Option<SocketAddr>,
    data_dir: PathBuf,
    token: Option<Secret>,
    shutdown_deadline: Option<Duration>,
    level: String,
    format: Option<LogFormat>,
    allow_public_without_auth: bool,
    shown: Vec<Setting>,
}

/// What the file alone decides.
pub(super) struct Rest {
    pub(super) auth: AuthConfig,
    pub(super) api: ApiConfig,
    pub(super) listen: Listen,
    pub(super) sessions: SessionsConfig,
    pub(super) store: StoreSpec,
    pub(super) policies: BTreeMap<String, PolicyConfig>,
    pub(super) links: Vec<LinkSpec>,
    pub(super) webhooks: Vec<WebhookSpec>,
    pub(super) monitor: MonitorSpec,
    pub(super) pushes: Vec<PushSpec>,
    pub(super) told: Told,
    pub(super) otlp: Option<OtlpSpec>,
}

struct Sources<'a> {
    document: &'a Document<'a>,
    environment: &'a Environment,
}

/// The variable that names the setting, such as `MAINSTAY_SERVER__LISTEN`.
fn variable(name: &str) -> String {
    format!("MAINSTAY_{}", name.replace('.', "__").to_ascii_uppercase())
}

impl Sources<'_> {
    /// What is said about a setting, by whom.
    fn pick(
        &self,
        name: &'static str,
        flag: Option<(&'static str, &String)>,
        file: Option<String>,
        default: &str,
    ) -> (String, Origin) {
        if let Some((flag, text)) = flag {
            return (text.clone(), Origin::Flag(flag));
        }
        let variable = variable(name);
        if let Some(text) = self.environment.get(&variable) {
            return (text.clone(), Origin::Environment(variable));
        }
        let (section, field) = name.split_once('.').unwrap_or((name, ""));
        match (file, self.document.origin(section, field)) {
            (Some(text), Some(origin)) => (text, origin),
            (Some(_) | None, _) => (default.into(), Origin::Default),
        }
    }

    fn problem(&self, name: &'static str, origin: &Origin, message: String) -> Problem {
        match origin {
            Origin::File { .. } | Origin::Default => self.document.problem(name, name, message),
            Origin::Environment(_) | Origin::Flag(_) => {
                Problem::outside(format!("{origin}: {name}"), message)
            }
        }
    }

    /// A setting read from text by `read`.
    fn parsed<T>(
        &self,
        setting: &Setting,
        allowed: &str,
        problems: &mut Problems,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = read(&setting.value);
        if value.is_none() {
            let message = format!("is {:?}, allowed: {allowed}", setting.value);
            problems.add(self.problem(setting.name, &setting.origin, message));
        }
        value
    }

    /// The token, from wherever it is named. It is never shown.
    fn token(&self, file: &File, problems: &mut Problems) -> (Option<Secret>, Origin) {
        let variable = variable("server.token");
        let direct = self
            .environment
            .get(&variable)
            .map(|text| (Some(Secret::new(text)), Origin::Environment(variable)));
        let (name, named) = self.pick("server.token_env", None, file.server.token_env.clone(), "");
        let indirect = || {
            (!name.is_empty()).then(|| {
                let found = self.environment.get(&name).map(Secret::new);
                if found.is_none() {
                    let message = format!("names {name}, which the environment does not have");
                    problems.add(self.problem("server.token_env", &named, message));
                }
                (found, Origin::Environment(name.clone()))
            })
        };
        let in_file = file.server.token.clone().map(|token| {
            (Some(token), self.document.origin("server", "token").unwrap_or(Origin::Default))
        });
        let found = direct.or_else(indirect).or(in_file).unwrap_or((None, Origin::Default));
        if let (Some(token), origin) = &found
            && token.expose().len() < SHORTEST
        {
            let message = format!(
                "has {} characters, allowed: at least {SHORTEST}",
                token.expose().chars().count()
            );
            problems.add(self.problem("server.token", origin, message));
        }
        found
    }
}

impl Settings {
    pub(super) fn gather(
        file: &File,
        document: &Document<'_>,
        flags: &Flags,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Self {
        unknown_variables(environment, problems);
        let from = Sources { document, environment };
        let server = &file.server;
        let flag = |name, value: &'_ Option<String>| value.clone().map(|value| (name, value));
        let pick = |name, flag: Option<(&'static str, String)>, file: &Option<String>, default| {
            let flag = flag.as_ref().map(|(name, value)| (*name, value));
            let (value, origin) = from.pick(name, flag, file.clone(), default);
            Setting { name, value, origin }
        };
        let listen = pick("server.listen", flag("--listen", &flags.listen), &server.listen, LISTEN);
        let data =
            pick("server.data_dir", flag("--data-dir", &flags.data_dir), &server.data_dir, DATA);
        let own = flag("--shutdown-deadline", &flags.shutdown_deadline);
        let stop = pick("server.shutdown_deadline", own, &server.shutdown_deadline, "10s");
        let own = flag("--log-level", &flags.log_level);
        let level = pick("log.level", own, &file.log.level, "info");
        let own = flag("--log-format", &flags.log_format);
        let format = pick("log.format", own, &file.log.format, "text");
        let (token, origin) = from.token(file, problems);
        let said = if token.is_some() { "set" } else { "none" };
        let shown_token = Setting { name: "server.token", value: said.into(), origin };
        Self {
            listen: from.parsed(&listen, "an address such as 127.0.0.1:7180", problems, |text| {
                text.parse().ok()
            }),
            data_dir: PathBuf::from(&data.value),
            token,
            shutdown_deadline: from.parsed(
                &stop,
                "1ms to a year, such as \"10s\"",
                problems,
                |text| {
                    duration::parse(text).ok().filter(|time| !time.is_zero() && *time <= LONGEST)
                },
            ),
            level: level.value.clone(),
            format: from.parsed(&format, "text, json", problems, |text| match text {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            }),
            allow_public_without_auth: flags.allow_public_without_auth,
            shown: vec![listen, data, shown_token, stop, level, format],
        }
    }

    pub(super) fn finish(
        self,
        rest: Rest,
        path: Option<&Path>,
        problems: &mut Problems,
    ) -> Option<Config> {
        let Rest {
            auth,
            api,
            listen,
            sessions,
            store,
            policies,
            links,
            webhooks,
            monitor,
            pushes,
            told,
            otlp,
        } = rest;
        let Told { receivers, notify, watchdog } = told;
        let config = Config {
            server: ServerConfig {
                listen: self.listen?,
                data_dir: self.data_dir,
                token: self.token,
                shutdown_deadline: self.shutdown_deadline?,
                tls: listen.tls,
                allowed_origins: listen.origins,
                status_page: listen.status_page,
                allow_public_without_auth: self.allow_public_without_auth,
            },
            auth,
            api,
            sessions,
            store,
            log: LogConfig { level: self.level, format: self.format? },
            policies,
            links,
            webhooks,
            monitor,
            pushes,
            receivers,
            notify,
            watchdog,
            otlp,
            settings: self.shown,
            file: path.map(PathBuf::from),
            files: Vec::new(),
            text: Secret::new(""),
        };
        if config.is_open_to_all() {
            let message = format!(
                "is {}, which others can reach, and nobody must show anything: set server.token_env, [auth], listen \
                 on 127.0.0.1, or say --allow-public-without-auth",
                config.server.listen
            );
            problems.add(Problem::outside("server.listen".into(), message));
        }
        Some(config)
    }
}

const LISTEN: &str = "127.0.0.1:7180";
const DATA: &str = "./mainstay-data";

/// A variable that looks like a setting and is none is a mistake.
fn unknown_variables(environment: &Environment, problems: &mut Problems) {
    let known: Vec<String> = NAMES.iter().map(|name| variable(name)).collect();
    for name in environment.keys() {
        let looks = name.starts_with("MAINSTAY_") && name.contains("__");
        if looks && !known.contains(name) {
            let message = format!("is no setting, allowed: {}", known.join(", "));
            problems.add(Problem::outside(format!("environment {name}"), message));
        }
    }
}
