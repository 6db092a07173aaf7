//! How many links of a process may connect at a time, and in a second.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mainstay_core::config::{ConfigError, in_range};
use mainstay_core::policy::rate::{NotAdmitted, RateConfig, RateLimit, Reservation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock;

/// How far ahead a place is booked.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What a [`HandshakeLimiter`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeConfig {
    /// Handshakes begun per second, lasting. Default 500: 10 000 links are back in 20 s, and a
    /// server that manages 1 000 TLS handshakes a second on one core has as much left for others.
    pub per_second: u32,
    /// Handshakes begun at once after a rest. Default 50.
    pub burst: u32,
    /// Handshakes under way at a time. Default 256.
    pub at_once: usize,
}

impl Default for HandshakeConfig {
    fn default() -> Self {
        Self { per_second: 500, burst: 50, at_once: 256 }
    }
}

/// Keeps the links that share it from connecting all at once: after an outage they would otherwise
/// finish off the server that has just come back. A clone is the same limiter.
#[derive(Clone)]
pub struct HandshakeLimiter(Arc<Shared>);

struct Shared {
    rate: RateLimit,
    slots: Arc<Semaphore>,
}

/// A turn that was taken; the next may come when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _slot: OwnedSemaphorePermit,
}

impl HandshakeLimiter {
    /// A limiter of its own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &HandshakeConfig) -> Result<Self, ConfigError> {
        in_range("per_second", config.per_second, 1, 1_000_000)?;
        in_range("burst", config.burst, 1, 1_000_000)?;
        in_range("at_once", config.at_once, 1, 1 << 20)?;
        let rate = RateLimit::new(&RateConfig {
            limit: config.per_second,
            period: Duration::from_secs(1),
            burst: config.burst,
            max_wait: WAIT_MAX,
        })?;
        Ok(Self(Arc::new(Shared { rate, slots: Arc::new(Semaphore::new(config.at_once)) })))
    }

    /// The one that all links of the process share unless they are given another.
    #[must_use]
    pub fn process() -> &'static Self {
        static PROCESS: LazyLock<HandshakeLimiter> = LazyLock::new(|| {
            let config = HandshakeConfig::default();
            HandshakeLimiter::new(&config).expect("the defaults make sense")
        });
        &PROCESS
    }

    /// Handshakes that may begin now beside those under way.
    #[must_use]
    pub fn free(&self) -> usize {
        self.0.slots.available_permits()
    }

    /// Waits for a turn. Whoever stops waiting gives their place back.
    pub(super) async fn turn(&self) -> Turn {
        let slot = self.0.slots.clone().acquire_owned().await.expect("it is never closed");
        loop {
            match self.0.rate.reserve(clock::now(), 1, WAIT_MAX) {
                Ok(reservation) => {
                    let at = reservation.at();
                    let mut place = Place { limiter: self, reservation: Some(reservation) };
                    if at > clock::now() {
                        clock::sleep_until(at).await;
                    }
                    place.reservation = None;
                    return Turn { _slot: slot };
                }
                Err(NotAdmitted::NotUntil { at }) => clock::sleep_until(at).await,
                Err(NotAdmitted::TooLarge { .. }) => unreachable!("one is never more than a burst"),
            }
        }
    }
}

/// A booked place, given back unless it was used.
struct Place<'a> {
    limiter: &'a HandshakeLimiter,
    reservation: Option<Reservation>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            // Those behind know their times already; then the place stays empty.
            let _free = self.limiter.0.rate.cancel(reservation);
        }
    }
}

impl fmt::Debug for HandshakeLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeLimiter").field("free", &self.free()).finish_non_exhaustive()
    }
}
