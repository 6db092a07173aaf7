//! How many retries and hedges a caller may add to its own traffic.
//!
//! A retry policy looks at one call, and every call of an outage looks worth three attempts: so a
//! peer that is down because it has too much to do gets three times as much. A budget looks at all
//! calls together and allows extra attempts only as a share of the real ones. Retries and hedges of
//! one target draw on **one** budget.
//!
//! # Tokens
//!
//! (The scheme of Finagle's `RetryBudget`.) Every call deposits `ratio` of a token, time deposits
//! `reserve_per_sec` tokens a second, and an extra attempt withdraws one. A token not spent within
//! `ttl` is lost, oldest first, so that a busy hour does not pay for a storm. Within one `ttl`
//!
//! ```text
//! extra attempts ≤ ⌊ratio × calls⌋ + reserve_per_sec × ttl
//! ```
//!
//! A token is counted in millionths, the resolution of [`Ratio`], so nothing is rounded. The `ttl`
//! is cut into ten slots; after any idle time at most ten are cleared.
//!
//! # In flight
//!
//! (Envoy's retry budget.) Extra attempts in flight are at most `max(min, ⌊ratio × calls in
//! flight⌋)`. Needs no clock, follows slow calls well, but lets fast failures through at any rate.
//!
//! # Use
//!
//! Deposit with each call and close the deposit when the call is over. Withdraw when an extra
//! attempt is *decided*, before any wait; when the budget refuses, return the call's own error at
//! once. Then either refund the charge (the attempt was never sent) or spend it (the attempt is
//! over). Deposits and charges cannot be copied, so none is given back twice; one that is forgotten
//! costs its share.
//!
//! Shared by reference between threads. Check and withdrawal are one atomic step. A deposit that
//! races the change of slot may lose its slot's mention: its token then lives a little shorter.

use core::time::Duration;

use crate::config::{ConfigError, Ratio, duration_from, in_range};
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Instant, nanos};

/// What a [`Budget`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum BudgetConfig {
    /// Extra attempts per time. The default.
    Tokens(TokenBudgetConfig),
    /// Extra attempts at the same time.
    InFlight(InFlightBudgetConfig),
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self::Tokens(TokenBudgetConfig::default())
    }
}

/// What a budget of tokens is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct TokenBudgetConfig {
    /// How long a token lives. 1 ms to a year. Default 10 s (Finagle).
    #[cfg_attr(feature = "serde", serde(with = "crate::config::duration"))]
    pub ttl: Duration,
    /// Extra attempts per call. 0 to 10. Default 0.2 (Finagle).
    pub ratio: Ratio,
    /// Extra attempts per second allowed without any call. 0 to a million. Default 10 (Finagle): a
    /// caller with little traffic may retry too.
    pub reserve_per_sec: u32,
}

impl Default for TokenBudgetConfig {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10), ratio: Ratio::percent(20), reserve_per_sec: 10 }
    }
}

/// What a budget of attempts in flight is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct InFlightBudgetConfig {
    /// Extra attempts per call in flight. 0 to 10. Default 0.2 (Envoy).
    pub ratio: Ratio,
    /// Extra attempts allowed however few calls are in flight. Default 3 (Envoy).
    pub min: u32,
}

impl Default for InFlightBudgetConfig {
    fn default() -> Self {
        Self { ratio: Ratio::percent(20), min: 3 }
    }
}

/// Extra attempts allowed to all calls of one target together.
#[derive(Debug)]
pub struct Budget {
    form: Form,
}

#[derive(Debug)]
enum Form {
    Tokens(Tokens),
    InFlight(InFlight),
}

/// A call that is counted until it is closed.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[must_use = "close it when the call is over"]
pub struct Deposit(());

/// The right to one extra attempt.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[must_use = "spend it when the attempt is over, or refund it when it was never sent"]
pub struct Charge(());

/// The budget allows no extra attempt now. Return the error that wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Exhausted;

impl core::fmt::Display for Exhausted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the budget of extra attempts is exhausted")
    }
}

impl core::error::Error for Exhausted {}

impl Budget {
    /// A budget with its full reserve.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `ttl` is outside 1 ms to a year, `ratio` is above 10, or
    /// `reserve_per_sec` is above a million.
    pub fn new(config: &BudgetConfig) -> Result<Self, ConfigError> {
        let ratio_at_most_10 = |ratio| in_range("ratio", ratio, Ratio::ZERO, Ratio::percent(1000));
        let form = match config {
            BudgetConfig::Tokens(config) => {
                let ttl = duration_from("ttl", config.ttl, Duration::from_millis(1))?;
                ratio_at_most_10(config.ratio)?;
                in_range("reserve_per_sec", config.reserve_per_sec, 0, 1_000_000)?;
                Form::Tokens(Tokens::new(ttl, config.ratio, config.reserve_per_sec))
            }
            BudgetConfig::InFlight(config) => {
                let ratio = ratio_at_most_10(config.ratio)?;
                Form::InFlight(InFlight { ratio, min: config.min, word: AtomicU64::new(0) })
            }
        };
        Ok(Self { form })
    }

    /// Counts a call. Not for its extra attempts.
    pub fn deposit(&self, now: Instant) -> Deposit {
        match &self.form {
            Form::Tokens(tokens) => tokens.deposit(now),
            Form::InFlight(in_flight) => in_flight.change(CALL, true),
        }
        Deposit(())
    }

    /// The call is over, whatever came of it.
    pub fn close(&self, deposit: Deposit) {
        let Deposit(()) = deposit;
        if let Form::InFlight(in_flight) = &self.form {
            in_flight.change(CALL, false);
        }
    }

    /// Takes one extra attempt out of the budget.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] when the budget allows none now.
    pub fn withdraw(&self, now: Instant) -> Result<Charge, Exhausted> {
        let granted = match &self.form {
            Form::Tokens(tokens) => tokens.withdraw(now),
            Form::InFlight(in_flight) => in_flight.withdraw(),
        };
        if granted { Ok(Charge(())) } else { Err(Exhausted) }
    }

    /// The extra attempt was cancelled before it was sent: it costs nothing.
    pub fn refund(&self, charge: Charge) {
        let Charge(()) = charge;
        match &self.form {
            Form::Tokens(tokens) => add(&tokens.balance, TOKEN),
            Form::InFlight(in_flight) => in_flight.change(EXTRA, false),
        }
    }

    /// The extra attempt was sent and is over, whatever came of it.
    pub fn spend(&self, charge: Charge) {
        let Charge(()) = charge;
        if let Form::InFlight(in_flight) = &self.form {
            in_flight.change(EXTRA, false);
        }
    }

    /// How many extra attempts could be withdrawn now.
    #[must_use]
    pub fn available(&self, now: Instant) -> u64 {
        match &self.form {
            Form::Tokens(tokens) => {
                tokens.advance(now);
                tokens.balance.load(Ordering::Acquire) / TOKEN
            }
            Form::InFlight(in_flight) => in_flight.room(in_flight.word.load(Ordering::Acquire)),
        }
    }
}

/// One token, in the unit of balances.
const TOKEN: u64 = 1_000_000;
/// Into how many slots a token's life is cut.
const SLOTS: u64 = 10;
const SLOT_COUNT: usize = 10;

#[derive(Debug)]
struct Tokens {
    slot_nanos: u64,
    per_call: u64,
    /// What time deposits per slot.
    reserve: u64,
    /// Number of the newest slot, counted from the clock's origin.
    newest: AtomicU64,
    /// What may be spent.
    balance: AtomicU64,
    /// What was deposited in each slot: an upper bound on what of the balance may live on.
    deposits: [AtomicU64; SLOT_COUNT],
}

impl Tokens {
    fn new(ttl: Duration, ratio: Ratio, reserve_per_sec: u32) -> Self {
        let slot_nanos = nanos(ttl).div_ceil(SLOTS);
        let reserve = u128::from(reserve_per_sec) * u128::from(slot_nanos) / 1_000;
        let reserve = u64::try_from(reserve).unwrap_or(u64::MAX).min(u64::MAX / (4 * SLOTS));
        Self {
            slot_nanos,
            per_call: u64::from(ratio.ppm()),
            reserve,
            newest: AtomicU64::new(0),
            balance: AtomicU64::new(reserve * SLOTS),
            deposits: core::array::from_fn(|_| AtomicU64::new(reserve)),
        }
    }

    fn deposit(&self, now: Instant) {
        let newest = self.advance(now);
        add(self.slot(newest), self.per_call);
        add(&self.balance, self.per_call);
    }

    fn withdraw(&self, now: Instant) -> bool {
        self.advance(now);
        let take = |balance: u64| balance.checked_sub(TOKEN);
        self.balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// Goes to the slot of `now`. Whoever moves the number of the newest slot does the work of that
    /// move, and nobody else does.
    fn advance(&self, now: Instant) -> u64 {
        let number = now.as_nanos() / self.slot_nanos;
        let mut newest = self.newest.load(Ordering::Acquire);
        // A clock a little behind goes on in the newest slot. One far behind has been set back: it
        // is followed, and pays no reserve for the time it lives through again.
        while number > newest || newest - number > SLOTS {
            let swap = (Ordering::AcqRel, Ordering::Acquire);
            match self.newest.compare_exchange(newest, number, swap.0, swap.1) {
                Ok(_) => {
                    self.expire(newest, number.saturating_sub(newest).min(SLOTS));
                    return number;
                }
                Err(moved) => newest = moved,
            }
        }
        newest
    }

    /// Clears the `steps` slots after `newest`, and cuts the balance down to what the others hold.
    fn expire(&self, newest: u64, steps: u64) {
        for step in 1..=steps {
            self.slot(newest.wrapping_add(step)).store(self.reserve, Ordering::Release);
        }
        let held = self
            .deposits
            .iter()
            .fold(0_u64, |sum, slot| sum.saturating_add(slot.load(Ordering::Acquire)));
        let fresh = self.reserve * steps;
        let keep = |balance: u64| Some(balance.saturating_add(fresh).min(held));
        let cut = self.balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, keep);
        debug_assert!(cut.is_ok(), "the closure always answers");
    }

    fn slot(&self, number: u64) -> &AtomicU64 {
        &self.deposits[usize::try_from(number % SLOTS).unwrap_or(0)]
    }
}

/// Adds without wrapping.
fn add(to: &AtomicU64, amount: u64) {
    let grow = |value: u64| Some(value.saturating_add(amount));
    let grown = to.fetch_update(Ordering::AcqRel, Ordering::Acquire, grow);
    debug_assert!(grown.is_ok(), "the closure always answers");
}

/// A word of calls in flight (high half) and extra attempts in flight (low half).
#[derive(Debug)]
struct InFlight {
    ratio: Ratio,
    min: u32,
    word: AtomicU64,
}

const CALL: u64 = 1 << 32;
const EXTRA: u64 = 1;

impl InFlight {
    fn withdraw(&self) -> bool {
        let take = |word: u64| (self.room(word) > 0).then_some(word + EXTRA);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// How many extra attempts fit beside those of `word`.
    fn room(&self, word: u64) -> u64 {
        let extra = word & (CALL - 1);
        let allowed = self.ratio.times(word >> 32).max(u64::from(self.min));
        allowed.min(CALL - 2).saturating_sub(extra)
    }

    /// Counts one `unit` up or down.
    fn change(&self, unit: u64, up: bool) {
        let by = |word: u64| if up { word.checked_add(unit) } else { word.checked_sub(unit) };
        let changed = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, by);
        debug_assert!(
            changed.is_ok(),
            "every unit is counted down by the token that counted it up"
        );
    }
}

#[cfg(test)]
mod tests;
