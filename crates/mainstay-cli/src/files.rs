//! Files that are looked at again and again, to see whether they have changed.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mainstay_server::config::Config;

/// How often they are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The files of a configuration as they were.
#[derive(Debug, Default)]
pub(crate) struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64);

impl Files {
    /// Looks at the files of `config` from now on. What is known of those that stay is kept, so that
    /// a change since then is seen.
    pub(crate) fn follow(&mut self, config: &Config) {
        let known = std::mem::take(&mut self.0);
        let before = |path: &PathBuf| known.iter().find(|(known, _)| known == path);
        let files = config.files.iter();
        self.0 = files
            .map(|path| before(path).cloned().unwrap_or_else(|| (path.clone(), stamp(path))))
            .collect();
    }

    /// Waits until one of them has changed, and then until none changes any more: editors and
    /// deployments write more than once.
    pub(crate) async fn changed(&mut self) {
        while !self.look() {
            tokio::time::sleep(EVERY).await;
        }
        loop {
            tokio::time::sleep(EVERY / 4).await;
            if !self.look() {
                return;
            }
        }
    }

    /// Whether one is another than it was the last time. A file that is not there for a moment is
    /// being replaced.
    fn look(&mut self) -> bool {
        let mut changed = false;
        for (path, before) in &mut self.0 {
            let now = stamp(path);
            changed |= now.is_some() && now != *before;
            *before = now.or(*before);
        }
        changed
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}
