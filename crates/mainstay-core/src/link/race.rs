//! Which of a name's addresses to dial, and when (RFC 8305, "happy eyeballs").
//!
//! A name may lead to addresses that are dead, most often those of a family that the network does
//! not carry. Dialling one after the other would wait for each; dialling all at once would load the
//! peer for nothing. So they race: the families take turns, IPv6 first, a new attempt starts when
//! the ones before it have not answered within the *attempt delay*, and a failure starts the next at
//! once. The first that connects wins, and the driver closes the others.
//!
//! ```text
//!            Timer (due), Failed: start the next
//!             ┌──────┐
//!             ▼      │         Won
//!    ──────► Racing ─┴───────────────────────► Over(Won)
//!               │
//!               └─ Failed, and it was the last ► Over(Lost)
//! ```

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::time::Instant;

/// Addresses of one name that are dialled at most; what a name says beyond that is not looked at.
pub const ADDRESSES_MAX: usize = 32;

const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(2);

/// The race between a name's addresses: decides who starts when.
///
/// ```
/// use core::time::Duration;
/// use mainstay_core::link::{Race, RaceInput, RaceStep};
/// use mainstay_core::time::Instant;
///
/// let addresses = ["192.0.2.1:443", "[2001:db8::1]:443"].map(|text| text.parse().unwrap());
/// let mut race = Race::new(addresses, Duration::from_millis(250));
/// let now = Instant::from_millis(0);
/// assert_eq!(race.handle(now, RaceInput::Timer), RaceStep::Start(addresses[1]));
/// assert_eq!(race.handle(now, RaceInput::Failed), RaceStep::Start(addresses[0]));
/// assert_eq!(race.handle(now, RaceInput::Won), RaceStep::Won);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Race {
    /// Those that have not started, the next one last.
    waiting: Vec<SocketAddr>,
    delay: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many are under way; the next starts at `next`.
    Racing {
        running: usize,
        next: Instant,
    },
    Over(RaceStep),
}

/// What happened in a [`Race`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum RaceInput {
    /// It begins, or [`Race::deadline`] has come.
    Timer,
    /// An attempt failed.
    Failed,
    /// An attempt connected.
    Won,
}

/// What is to be done in a [`Race`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[must_use]
pub enum RaceStep {
    /// Dial this address, beside those under way.
    Start(SocketAddr),
    /// Nothing until the deadline or until an attempt ends.
    Wait,
    /// Somebody has won: close the others.
    Won,
    /// All have failed.
    Lost,
}

impl Race {
    /// A race that has not begun. `delay` is held between 100 ms and 2 s, as RFC 8305 recommends.
    ///
    /// The order within a family is kept, an address that occurs twice races once, and those beyond
    /// [`ADDRESSES_MAX`] do not race.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>, delay: Duration) -> Self {
        let mut waiting = interleaved(addresses);
        waiting.reverse();
        let state = State::Racing { running: 0, next: Instant::default() };
        Self { waiting, delay: delay.clamp(DELAY_MIN, DELAY_MAX), state }
    }

    /// Takes what happened and says what to do.
    pub fn handle(&mut self, now: Instant, input: RaceInput) -> RaceStep {
        match (self.state, input) {
            (State::Racing { running, next }, RaceInput::Timer) => {
                if running > 0 && now < next {
                    return RaceStep::Wait;
                }
                self.start(now, running)
            }
            (State::Racing { running, .. }, RaceInput::Failed) => {
                self.start(now, running.saturating_sub(1))
            }
            (State::Racing { .. }, RaceInput::Won) => self.end(RaceStep::Won),
            (State::Over(step), RaceInput::Timer | RaceInput::Failed | RaceInput::Won) => step,
        }
    }

    /// When [`RaceInput::Timer`] is due; none when there is nobody left to start.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Racing { next, .. } => (!self.waiting.is_empty()).then_some(next),
            State::Over(_) => None,
        }
    }

    /// Starts the next one beside `running` others.
    fn start(&mut self, now: Instant, running: usize) -> RaceStep {
        let next = now.after(self.delay);
        match self.waiting.pop() {
            Some(address) => {
                self.state = State::Racing { running: running + 1, next };
                RaceStep::Start(address)
            }
            None if running == 0 => self.end(RaceStep::Lost),
            None => {
                self.state = State::Racing { running, next };
                RaceStep::Wait
            }
        }
    }

    fn end(&mut self, step: RaceStep) -> RaceStep {
        self.waiting = Vec::new();
        self.state = State::Over(step);
        step
    }
}

/// Each address once, the families in turn.
fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut families: [Vec<SocketAddr>; 2] = Default::default();
    for address in addresses {
        let family = &mut families[usize::from(address.is_ipv4())];
        if family.len() < ADDRESSES_MAX && !family.contains(&address) {
            family.push(address);
        }
    }
    let [six, four] = families;
    let longest = six.len().max(four.len());
    let turn = |at: usize| six.get(at).into_iter().chain(four.get(at));
    (0..longest).flat_map(turn).copied().take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests;
