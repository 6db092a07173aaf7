use std::time::Duration;

use mainstay::core::config::ConfigError;
use mainstay::core::config::duration;
use mainstay_store::{Durability, StoreConfig};
use serde::{Deserialize, Serialize};

use super::ApiConfig;
use super::file::File;
use super::place::Document;
use super::problem::Problems;

/// Where sessions and their history are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreSpec {
    /// In what.
    pub engine: Engine,
    /// How.
    pub config: StoreConfig,
}

/// In what sessions and their history are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// In one file in the data folder.
    #[default]
    Redb,
    /// In memory: all of it is gone when the server ends.
    Memory,
}

/// What the file says about the store; what it does not say is as in [`StoreConfig`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoreSection {
    engine: Engine,
    durability: Option<Durability>,
    cache_bytes: Option<u64>,
    queue_changes: Option<usize>,
    queue_bytes: Option<usize>,
    commit_changes: Option<usize>,
    #[serde(with = "duration::option")]
    history_age: Option<Duration>,
    history_bytes: Option<u64>,
    drop_events: Option<usize>,
}

pub(super) fn build(file: &File, document: &Document<'_>, problems: &mut Problems) -> StoreSpec {
    let (section, usual) = (&file.store, StoreConfig::default());
    let config = StoreConfig {
        durability: section.durability.unwrap_or(usual.durability),
        cache_bytes: section.cache_bytes.unwrap_or(usual.cache_bytes),
        queue_changes: section.queue_changes.unwrap_or(usual.queue_changes),
        queue_bytes: section.queue_bytes.unwrap_or(usual.queue_bytes),
        commit_changes: section.commit_changes.unwrap_or(usual.commit_changes),
        history_age: section.history_age.unwrap_or(usual.history_age),
        history_bytes: section.history_bytes.unwrap_or(usual.history_bytes),
        drop_events: section.drop_events.unwrap_or(usual.drop_events),
    };
    refuse("store", config.check(), document, problems);
    StoreSpec { engine: section.engine, config }
}

/// How much may be asked of the API, checked.
pub(super) fn api(file: &File, document: &Document<'_>, problems: &mut Problems) -> ApiConfig {
    refuse("api", file.api.check(), document, problems);
    file.api
}

fn refuse(
    section: &str,
    checked: Result<(), ConfigError>,
    document: &Document<'_>,
    problems: &mut Problems,
) {
    if let Err(error) = checked {
        problems.add(document.refused(section, section, &error));
    }
}
