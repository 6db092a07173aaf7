use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mainstay::monitor::engine::engine::Reading;

type Source = Box<dyn Fn() -> Vec<Reading> + Send + Sync>;

/// What is measured by others than the server: products say it here.
#[derive(Clone, Default)]
pub struct Sources(Arc<Mutex<Vec<Source>>>);

impl Sources {
    /// Asks `source` in every cycle. It must answer at once.
    pub fn add(&self, source: impl Fn() -> Vec<Reading> + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(source));
    }

    pub(super) fn read(&self) -> Vec<Reading> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().flat_map(|source| source()).collect()
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
