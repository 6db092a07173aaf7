use std::collections::BTreeMap;
use std::time::Duration;

use mainstay::core::config::duration;
use mainstay::core::policy::call::CallConfig;
use mainstay::core::policy::gate::GateConfig;
use mainstay::core::policy::preset::Order;
use mainstay::link::{EndpointStrategy, HealthOverrides, ReconnectOverrides};
use mainstay_monitor::notify::DispatchConfig;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::ApiConfig;
use super::check::CheckSection;
use super::monitor::{MaintenanceSection, MonitorSection, RuleSection, SloSection};
use super::otlp::OtlpSection;
use super::place::Document;
use super::problem::Problems;
use super::push::PushSection;
use super::receivers::{ReceiverSection, WatchdogSection};
use super::secret::Secret;
use super::sessions::SessionsSection;
use super::store::StoreSection;
use super::webhooks::WebhookSection;
use crate::auth::Role;

/// A configuration file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) server: ServerSection,
    pub(super) auth: AuthSection,
    pub(super) api: ApiConfig,
    pub(super) sessions: SessionsSection,
    pub(super) store: StoreSection,
    pub(super) log: LogSection,
    pub(super) policy: BTreeMap<String, PolicySection>,
    pub(super) link: Vec<LinkSection>,
    pub(super) webhook: Vec<WebhookSection>,
    pub(super) monitor: MonitorSection,
    pub(super) rule: Vec<RuleSection>,
    pub(super) slo: Vec<SloSection>,
    pub(super) maintenance: Vec<MaintenanceSection>,
    pub(super) push: Vec<PushSection>,
    pub(super) receiver: Vec<ReceiverSection>,
    pub(super) notify: DispatchConfig,
    pub(super) watchdog: Option<WatchdogSection>,
    pub(super) otlp: Option<OtlpSection>,
    /// What is built on top reads its own section: see `Config::section`.
    #[serde(rename = "chittyid")]
    _chittyid: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServerSection {
    pub(super) listen: Option<String>,
    pub(super) data_dir: Option<String>,
    pub(super) token: Option<Secret>,
    pub(super) token_env: Option<String>,
    pub(super) shutdown_deadline: Option<String>,
    pub(super) tls_cert_file: Option<String>,
    pub(super) tls_key_file: Option<String>,
    pub(super) allowed_origins: Vec<String>,
    pub(super) status_page: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuthSection {
    pub(super) anonymous_clients: Option<bool>,
    pub(super) jwt: Option<JwtSection>,
    pub(super) key: Vec<KeySection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct JwtSection {
    pub(super) secret_env: Option<String>,
    pub(super) public_key_file: Option<String>,
    pub(super) jwks_file: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) audience: Option<String>,
    #[serde(with = "duration::option")]
    pub(super) leeway: Option<Duration>,
    pub(super) role_claim: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeySection {
    pub(super) name: String,
    pub(super) hash: Secret,
    pub(super) role: Option<Role>,
    pub(super) user: Option<String>,
    pub(super) organisation: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogSection {
    pub(super) level: Option<String>,
    pub(super) format: Option<String>,
}

/// What a policy says; only its types are checked here, and its values once they are put over the
/// preset.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PolicySection {
    pub(super) preset: Option<String>,
    #[serde(rename = "call")]
    _call: CallConfig,
    #[serde(rename = "gate")]
    _gate: GateConfig,
    #[serde(rename = "order")]
    _order: Order,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LinkSection {
    pub(super) name: String,
    pub(super) url: Secret,
    pub(super) more_urls: Vec<Secret>,
    pub(super) connect: Option<bool>,
    pub(super) policy: Option<String>,
    pub(super) required: bool,
    pub(super) depends_on: Vec<String>,
    pub(super) preset: Option<String>,
    pub(super) health_path: Option<String>,
    pub(super) check: Option<CheckSection>,
    pub(super) service: Option<String>,
    pub(super) record_type: Option<String>,
    pub(super) expect: Vec<String>,
    pub(super) token_env: Option<String>,
    pub(super) probe: Option<String>,
    pub(super) subprotocols: Vec<String>,
    pub(super) allow_plain: Option<bool>,
    pub(super) strategy: Option<EndpointStrategy>,
    pub(super) ca_file: Option<String>,
    pub(super) client_cert_file: Option<String>,
    pub(super) client_key_file: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) proxy: Option<Secret>,
    pub(super) proxy_env: Option<String>,
    #[serde(with = "duration::option")]
    pub(super) max_age: Option<Duration>,
    #[serde(with = "duration::option")]
    pub(super) data_idle: Option<Duration>,
    pub(super) message_max: Option<usize>,
    #[serde(with = "duration::option")]
    pub(super) dial_timeout: Option<Duration>,
    #[serde(with = "duration::option")]
    pub(super) close_timeout: Option<Duration>,
    #[serde(with = "duration::option")]
    pub(super) stable_after: Option<Duration>,
    #[serde(with = "duration::option")]
    pub(super) suspend_after: Option<Duration>,
    pub(super) reconnect: ReconnectOverrides,
    pub(super) health: HealthOverrides,
}

pub(super) fn read(document: &Document<'_>) -> Result<File, Problems> {
    toml::from_str(document.text).map_err(|error| document.mistyped(&error).into())
}
