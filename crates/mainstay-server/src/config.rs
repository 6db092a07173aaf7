//! The configuration: one file, the environment and flags put together, checked, with the origin of
//! every setting.
//!
//! A flag wins over the environment, which wins over the file, which wins over the default. Whatever
//! makes no sense is a [`Problem`] with file, line, field, what was found and what is allowed; all
//! problems that can be found at once are told at once. Secrets are in none of them.

mod api;
mod asked;
mod auth;
mod check;
mod file;
mod links;
mod listen;
mod monitor;
mod named;
mod origin;
mod otlp;
mod place;
mod policies;
mod problem;
mod push;
mod receivers;
mod report;
mod secret;
mod sessions;
mod settings;
mod socket;
mod store;
mod target;
mod webhooks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay::core::config::ConfigError;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay_monitor::notify::DispatchConfig;
use serde::de::DeserializeOwned;

pub use api::ApiConfig;
pub use asked::TlsSpec;
pub use auth::AuthConfig;
pub use links::LinkSpec;
pub use origin::{Origin, Setting};
pub use otlp::OtlpSpec;
pub use problem::{Problem, Problems};
pub use report::Reported;
pub use secret::Secret;
pub use socket::{ProxySpec, SocketSpec, read_pem};
pub use store::{Engine, StoreSpec};
pub use target::{Probe, Target, safe_url};

use crate::monitor::MonitorSpec;
use crate::notify::{ReceiverSpec, WatchdogSpec};
use crate::push::PushSpec;
use crate::session::SessionsConfig;
use crate::tls::TlsFiles;
use crate::webhook::WebhookSpec;
use place::Document;
use settings::{Rest, Settings};

/// Where a configuration file is looked for when none is named.
pub const PLACES: [&str; 2] = ["mainstay.toml", "/etc/mainstay/mainstay.toml"];
/// The most links a file may name.
pub const LINKS_MAX: usize = 1024;
/// The most policies a file may name.
pub const POLICIES_MAX: usize = 256;
/// The most API keys a file may name.
pub const KEYS_MAX: usize = 10_000;
/// The largest file that is read.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// Everything the server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens and how it stops.
    pub server: ServerConfig,
    /// Who is let in.
    pub auth: AuthConfig,
    /// How much may be asked of the API.
    pub api: ApiConfig,
    /// How sessions are held.
    pub sessions: SessionsConfig,
    /// Where they are kept.
    pub store: StoreSpec,
    /// What it logs.
    pub log: LogConfig,
    /// The policies of the file by name.
    pub policies: BTreeMap<String, PolicyConfig>,
    /// The links to hold, in the file's order.
    pub links: Vec<LinkSpec>,
    /// Whom to tell what happens to sessions.
    pub webhooks: Vec<WebhookSpec>,
    /// What is watched, and when it is too much.
    pub monitor: MonitorSpec,
    /// Jobs that must report in.
    pub pushes: Vec<PushSpec>,
    /// Whom to tell of alerts.
    pub receivers: Vec<ReceiverSpec>,
    /// When they are told.
    pub notify: DispatchConfig,
    /// To whom signs of life go. Default nobody.
    pub watchdog: Option<WatchdogSpec>,
    /// Which collector of OpenTelemetry gets spans and metrics. Default none.
    pub otlp: Option<OtlpSpec>,
    /// The settings that flags and the environment can change, with where each was taken from.
    pub settings: Vec<Setting>,
    /// The file it was read from, if there was one.
    pub file: Option<PathBuf>,
    /// That file and those that it names, such as certificates: a change of one changes it.
    pub files: Vec<PathBuf>,
    /// The file's text; secrets may stand in it.
    text: Secret,
}

/// Where the server listens and how it stops.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address of the API. Default `127.0.0.1:7180`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where data is kept. Default `./mainstay-data`.
    pub data_dir: PathBuf,
    /// What a caller of the API must show. Default nothing.
    pub token: Option<Secret>,
    /// How long a shutdown may take. Default 10 s.
    pub shutdown_deadline: Duration,
    /// The certificate it shows. Default none: it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Pages of other sites that may connect, such as `https://app.example.org`. Default none.
    pub allowed_origins: Vec<String>,
    /// Whether everybody who reaches it may see at `/status` which links hold, by their names. Default
    /// no.
    pub status_page: bool,
    /// Whether everybody may call it from anywhere. Only a flag says so.
    pub allow_public_without_auth: bool,
}

/// What the server logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Level, or levels by target, such as `info,mainstay=debug`. Default `info`.
    pub level: String,
    /// In which form.
    pub format: LogFormat,
}

/// In which form log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people. The default.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What flags said; the environment and the file give the rest.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The file to read; it must exist then.
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<String>,
    /// `--shutdown-deadline`
    pub shutdown_deadline: Option<String>,
    /// `--log-level`
    pub log_level: Option<String>,
    /// `--log-format`
    pub log_format: Option<String>,
    /// `--allow-public-without-auth`
    pub allow_public_without_auth: bool,
}

/// The variables of an environment.
pub type Environment = BTreeMap<String, String>;

impl Config {
    /// Finds the file, reads it, and puts flags and environment over it.
    ///
    /// # Errors
    ///
    /// [`Problems`], each with its place.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, Problems> {
        match find(flags, environment) {
            Some(path) => {
                let text = read(&path)?;
                Self::parse(&text, Some(&path), flags, environment)
            }
            None => Self::parse("", None, flags, environment),
        }
    }

    /// The same with the text of a file that was read already.
    ///
    /// # Errors
    ///
    /// [`Problems`], each with its place.
    pub fn parse(
        text: &str,
        path: Option<&Path>,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Self, Problems> {
        let document = Document::parse(text, path)?;
        let file = file::read(&document)?;
        let mut problems = Problems::default();
        let auth = auth::build(&file, &document, environment, &mut problems);
        let listen = listen::build(&file, &document, &mut problems);
        let api = store::api(&file, &document, &mut problems);
        let sessions = sessions::build(&file, &document, &mut problems);
        let store = store::build(&file, &document, &mut problems);
        let webhooks = webhooks::build(&file, &document, environment, &mut problems);
        let monitor = monitor::build(&file, &document, &mut problems);
        let pushes = push::build(&file, &document, environment, &mut problems);
        let otlp = otlp::build(&file, &document, environment, &mut problems);
        let settings = Settings::gather(&file, &document, flags, environment, &mut problems);
        let policies = policies::build(&file, &document, &mut problems);
        let told = receivers::build(&file, &document, &policies, environment, &mut problems);
        let links = links::build(&file, &document, &policies, environment, &mut problems);
        let config = settings.finish(
            Rest {
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
            },
            path,
            &mut problems,
        );
        let files = document.files();
        let config = config.map(|config| Self { files, text: Secret::new(text), ..config });
        problems.none_or(config)
    }

    /// The policy of that name: of the file, or a preset.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<PolicyConfig> {
        self.policies.get(name).copied().or_else(|| PolicyConfig::preset(name))
    }

    /// The section of the file that belongs to what is built on top of the server: `T` has one
    /// field, which is that section, and a default for when the file does not say it.
    ///
    /// # Errors
    ///
    /// [`Problems`] with their places: fields that `T` does not know, values of another type.
    pub fn section<T: DeserializeOwned>(&self) -> Result<T, Problems> {
        let document = Document::parse(self.text.expose(), self.file.as_deref())?;
        toml::from_str(document.text).map_err(|error| document.mistyped(&error).into())
    }

    /// What a check said about a part of the file at `path`, such as `chittyid.authority`, with its
    /// place.
    #[must_use]
    pub fn refused(&self, path: &str, error: &ConfigError) -> Problems {
        match Document::parse(self.text.expose(), self.file.as_deref()) {
            Ok(document) => document.refused(path, path, error).into(),
            Err(problems) => problems,
        }
    }

    /// Whether somebody beyond this machine can reach the API without showing a token, and nobody
    /// said that this is wanted.
    #[must_use]
    pub fn is_open_to_all(&self) -> bool {
        let server = &self.server;
        !server.listen.ip().is_loopback()
            && server.token.is_none()
            && self.auth.is_empty()
            && !server.allow_public_without_auth
    }
}

/// The file that is read: the one that is named, or the first that exists.
fn find(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let named = flags.config.clone();
    named
        .or_else(|| environment.get("MAINSTAY_CONFIG").map(PathBuf::from))
        .or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.is_file()))
}

fn read(path: &Path) -> Result<String, Problems> {
    let refuse = |message: String| Problems::from(Problem::in_file(path, message));
    let size = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if size > FILE_MAX {
        return Err(refuse(format!("has {size} bytes, allowed: at most {FILE_MAX}")));
    }
    std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests;
