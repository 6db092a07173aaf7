//! Moves the bytes of one direction, as badly as it is told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::fault::{Direction, Fault, Flow};

const PIECE: usize = 16 * 1024;

/// Why a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The sender has no more to say.
    Finished,
    /// A cut; whether it resets.
    Cut {
        /// Whether it resets.
        reset: bool,
    },
    /// One of the two ends is broken.
    Broken,
}

/// One direction of one connection.
pub(crate) struct Pump {
    pub(crate) from: OwnedReadHalf,
    pub(crate) to: OwnedWriteHalf,
    pub(crate) faults: watch::Receiver<Fault>,
    pub(crate) of: fn(&Fault) -> Direction,
    moved: u64,
    turn: u32,
    passed: Arc<AtomicU64>,
}

impl Pump {
    pub(crate) fn new(
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        faults: watch::Receiver<Fault>,
        of: fn(&Fault) -> Direction,
    ) -> Self {
        Self { from, to, faults, of, moved: 0, turn: 0, passed: Arc::default() }
    }

    /// Counts the bytes that it passes on in `passed`.
    pub(crate) fn counted_by(self, passed: Arc<AtomicU64>) -> Self {
        Self { passed, ..self }
    }

    /// Moves bytes until there are no more; answers why it ended and gives both halves back.
    pub(crate) async fn run(mut self) -> (End, OwnedReadHalf, OwnedWriteHalf) {
        let end = match self.drain().await {
            Ok(end) => end,
            Err(_) => End::Broken,
        };
        if end == End::Finished {
            // The other side may still be talking: only this direction is over.
            drop(self.to.shutdown().await);
        }
        (end, self.from, self.to)
    }

    async fn drain(&mut self) -> io::Result<End> {
        let mut piece = vec![0_u8; PIECE];
        loop {
            let now = self.wait_for_flow().await;
            if let Some(cut) = now.cut.filter(|cut| self.moved >= cut.at_byte) {
                return Ok(End::Cut { reset: cut.reset });
            }
            let room = self.room(&now);
            let read = tokio::select! {
                biased;
                // A changed fault takes effect even while nothing comes.
                changed = self.faults.changed() => {
                    if changed.is_err() { return Ok(End::Cut { reset: false }) }
                    continue;
                }
                read = self.from.read(&mut piece[..room]) => read?,
            };
            if read == 0 {
                return Ok(End::Finished);
            }
            self.pass(&piece[..read]).await?;
        }
    }

    /// Waits while this direction is frozen; answers what is wrong with it now.
    async fn wait_for_flow(&mut self) -> Direction {
        loop {
            let now = (self.of)(&self.faults.borrow_and_update());
            if now.flow != Flow::Freeze || self.faults.changed().await.is_err() {
                return now;
            }
        }
    }

    /// How many bytes may be read at once.
    fn room(&self, now: &Direction) -> usize {
        let until_cut = now.cut.map_or(u64::MAX, |cut| cut.at_byte - self.moved);
        let fragment = now.fragment.map_or(u64::MAX, |size| u64::from(size.max(1)));
        let second = now.bytes_per_sec.map_or(u64::MAX, |rate| u64::from(rate.max(1)));
        let room = until_cut.min(fragment).min(second).min(PIECE as u64);
        usize::try_from(room).unwrap_or(PIECE)
    }

    async fn pass(&mut self, piece: &[u8]) -> io::Result<()> {
        // What was read while the fault changed obeys the new one.
        let now = self.wait_for_flow().await;
        self.moved += piece.len() as u64;
        self.turn = self.turn.wrapping_add(1);
        let jitter = now.jitter * (self.turn % 8) / 7;
        let throttled = now.bytes_per_sec.map_or(Duration::ZERO, |rate| {
            Duration::from_secs(1) * u32::try_from(piece.len()).unwrap_or(u32::MAX) / rate.max(1)
        });
        let wait = now.delay + jitter + throttled;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        if now.flow == Flow::Swallow {
            return Ok(());
        }
        self.to.write_all(piece).await?;
        self.passed.fetch_add(piece.len() as u64, Ordering::SeqCst);
        self.to.flush().await
    }
}
