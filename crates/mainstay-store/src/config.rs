use std::time::Duration;

use mainstay_core::config::{ConfigError, in_range};
use serde::{Deserialize, Serialize};

/// When something counts as kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// When the disk has it: it outlives a power cut.
    #[default]
    Disk,
    /// When the operating system has it: it outlives the end of the process, also by `kill -9`. A
    /// power cut can lose the last seconds, and can damage the file.
    Os,
    /// When the writer's queue has it: whoever submits does not wait. The end of the process loses
    /// what is queued; otherwise as [`Durability::Os`].
    None,
}

/// How a store and its writer work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// When something counts as kept. Default `disk`.
    pub durability: Durability,
    /// Memory for pages of the file, in bytes. 1 MiB to 64 GiB. Default 64 MiB.
    pub cache_bytes: u64,
    /// Changes that may wait for their commit. 1 to 10 million. Default 65 536: about half a second
    /// of a mass reconnect.
    pub queue_changes: usize,
    /// Bytes that may wait for their commit. 1 MiB to 4 GiB. Default 64 MiB.
    pub queue_bytes: usize,
    /// Changes of one commit, unless a single batch has more. 1 to 1 million. Default 4096: larger
    /// commits gain little and make the next one wait.
    pub commit_changes: usize,
    /// How long history is kept; whole days are dropped. 1 day to 10 years. Default 30 days.
    #[serde(with = "mainstay_core::config::duration")]
    pub history_age: Duration,
    /// How large history may be, in bytes; the oldest is dropped. 1 MiB to 16 TiB. Default 1 GiB.
    pub history_bytes: u64,
    /// Events dropped in one step; commits wait for one step at most. 1 to 100 000. Default 1000.
    pub drop_events: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            durability: Durability::Disk,
            cache_bytes: 64 << 20,
            queue_changes: 65_536,
            queue_bytes: 64 << 20,
            commit_changes: 4096,
            history_age: Duration::from_secs(30 * 86_400),
            history_bytes: 1 << 30,
            drop_events: 1000,
        }
    }
}

impl StoreConfig {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let day = Duration::from_secs(86_400);
        in_range("cache_bytes", self.cache_bytes, 1 << 20, 64 << 30)?;
        in_range("queue_changes", self.queue_changes, 1, 10_000_000)?;
        in_range("queue_bytes", self.queue_bytes as u64, 1 << 20, 4 << 30)?;
        in_range("commit_changes", self.commit_changes, 1, 1_000_000)?;
        in_range("history_age", self.history_age, day, day * 3653)?;
        in_range("history_bytes", self.history_bytes, 1 << 20, 16 << 40)?;
        in_range("drop_events", self.drop_events, 1, 100_000)?;
        Ok(())
    }
}
