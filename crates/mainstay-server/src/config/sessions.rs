use std::time::Duration;

use mainstay::core::config::duration;
use mainstay::core::detect::DetectorConfig;
use mainstay::core::session::heartbeat::HeartbeatConfig;
use mainstay::core::session::quality::QualityConfig;
use mainstay::core::session::stream::StreamConfig;
use mainstay_registry::RegistryConfig;
use serde::Deserialize;

use super::file::File;
use super::place::Document;
use super::problem::Problems;
use crate::session::{LimitsConfig, Messages, RetryConfig, SessionsConfig};

/// What the file says about sessions: the fields of [`RegistryConfig`] and of [`SessionsConfig`] in
/// one table. What it does not say is as there.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SessionsSection {
    sessions_max: Option<u32>,
    sessions_per_user_max: Option<u32>,
    ended_max: Option<u32>,
    #[serde(with = "duration::option")]
    keep_ended: Option<Duration>,
    #[serde(with = "duration::option")]
    grace: Option<Duration>,
    #[serde(with = "duration::option")]
    rest_max: Option<Duration>,
    reconnect_attempts: Option<u16>,
    #[serde(with = "duration::option")]
    reset_after: Option<Duration>,
    quality: QualityConfig,
    heartbeat: HeartbeatConfig,
    detector: DetectorConfig,
    stream: StreamConfig,
    limits: LimitsConfig,
    retry: RetryConfig,
    messages: Messages,
}

/// How sessions are held, checked.
pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    problems: &mut Problems,
) -> SessionsConfig {
    let config = SessionsConfig {
        registry: registry(&file.sessions),
        stream: file.sessions.stream,
        limits: file.sessions.limits.clone(),
        retry: file.sessions.retry.clone(),
        messages: file.sessions.messages,
    };
    if let Err(error) = config.check() {
        // In a file, the registry's fields stand beside the others.
        let field = error.field.strip_prefix("registry.").unwrap_or(&error.field).to_owned();
        let mut error = error;
        error.field = field;
        problems.add(document.refused("sessions", "sessions", &error));
    }
    config
}

fn registry(section: &SessionsSection) -> RegistryConfig {
    let usual = RegistryConfig::default();
    RegistryConfig {
        sessions_max: section.sessions_max.unwrap_or(usual.sessions_max),
        sessions_per_user_max: section.sessions_per_user_max.or(usual.sessions_per_user_max),
        ended_max: section.ended_max.unwrap_or(usual.ended_max),
        keep_ended: section.keep_ended.unwrap_or(usual.keep_ended),
        grace: section.grace.unwrap_or(usual.grace),
        rest_max: section.rest_max.unwrap_or(usual.rest_max),
        reconnect_attempts: section.reconnect_attempts.unwrap_or(usual.reconnect_attempts),
        reset_after: section.reset_after.unwrap_or(usual.reset_after),
        quality: section.quality,
        heartbeat: section.heartbeat,
        detector: section.detector,
    }
}
