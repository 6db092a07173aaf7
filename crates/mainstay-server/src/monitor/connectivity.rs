//! Whether this machine reaches anybody at all.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mainstay::monitor::engine::engine::{Reading, Value};
use mainstay::monitor::engine::rules::Signal;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Looks in a row in which nobody was reached before that counts.
const MISSES: u32 = 2;

/// Whom to ask whether this machine is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectivitySpec {
    /// Hosts with ports that take TCP connections, somewhere else. Default none: it is not asked.
    pub targets: Vec<String>,
    /// How long each may take to take one. Default 2 s.
    pub timeout: Duration,
}

impl Default for ConnectivitySpec {
    fn default() -> Self {
        Self { targets: Vec::new(), timeout: Duration::from_secs(2) }
    }
}

/// How often in a row nobody was reached.
#[derive(Debug, Default)]
pub(super) struct Connectivity(AtomicU32);

impl Connectivity {
    /// Asks all at once; one that answers is enough.
    pub(super) async fn look(&self, spec: &ConnectivitySpec) {
        if spec.targets.is_empty() {
            self.0.store(0, Ordering::Relaxed);
            return;
        }
        let mut asked = JoinSet::new();
        for target in spec.targets.clone() {
            let limit = spec.timeout;
            asked.spawn(async move {
                matches!(timeout(limit, TcpStream::connect(target)).await, Ok(Ok(_)))
            });
        }
        while let Some(reached) = asked.join_next().await {
            if reached.unwrap_or(false) {
                self.0.store(0, Ordering::Relaxed);
                return;
            }
        }
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        if before.saturating_add(1) == MISSES {
            tracing::warn!("this machine reaches none of monitor.connectivity.targets");
        }
    }

    /// Whether it is offline; nothing where nobody is asked.
    pub(super) fn reading(&self, spec: &ConnectivitySpec) -> Option<Reading> {
        let offline = self.is_offline(spec)?;
        let value = Value::Gauge(f64::from(u8::from(offline)));
        Some(Reading::new(Signal::SelfOffline, value))
    }

    /// The same as a word.
    pub(super) fn is_offline(&self, spec: &ConnectivitySpec) -> Option<bool> {
        (!spec.targets.is_empty()).then(|| self.0.load(Ordering::Relaxed) >= MISSES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn is_offline(connectivity: &Connectivity, spec: &ConnectivitySpec) -> bool {
        let reading = connectivity.reading(spec).unwrap();
        reading.value == Value::Gauge(1.0)
    }

    #[tokio::test]
    async fn only_nobody_twice_in_a_row_is_offline() {
        let (one, other) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let targets = [&one, &other].map(|at| at.local_addr().unwrap().to_string()).into();
        let spec = ConnectivitySpec { targets, timeout: Duration::from_secs(10) };
        let connectivity = Connectivity::default();
        drop(one);
        for _ in 0..3 {
            connectivity.look(&spec).await;
            assert!(!is_offline(&connectivity, &spec), "one is there");
        }
        let address = other.local_addr().unwrap();
        drop(other);
        connectivity.look(&spec).await;
        assert!(!is_offline(&connectivity, &spec), "once is chance");
        connectivity.look(&spec).await;
        assert!(is_offline(&connectivity, &spec));
        let back = TcpListener::bind(address).await.unwrap();
        connectivity.look(&spec).await;
        assert!(!is_offline(&connectivity, &spec));
        drop(back);
        assert_eq!(connectivity.reading(&ConnectivitySpec::default()), None);
    }
}
