//! Retries any async operation under a policy.
//!
//! [`mainstay_core::policy::call`] decides every step; this module runs the operation, keeps the
//! time, asks the gate and the budget, and brings the original error back.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use mainstay::core::policy::call::CallConfig;
//! use mainstay::retry::Retry;
//!
//! let retry = Retry::new(&CallConfig::default())?;
//! let mut tries = 0;
//! let answer = retry
//!     .call(|_attempt| {
//!         tries += 1;
//!         let this = tries;
//!         async move { if this < 3 { Err("not yet") } else { Ok(42) } }
//!     })
//!     .await;
//! assert_eq!(answer.unwrap(), 42);
//! # Ok::<(), mainstay::core::config::ConfigError>(())
//! # }).unwrap();
//! ```

mod attempt;
mod error;
mod guard;
mod hedge;
mod observe;
mod run;
mod spent;

pub use error::{CallError, Failed, Failure};

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mainstay_core::config::ConfigError;
use mainstay_core::policy::call::{CallConfig, CallRules};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::policy::preset::{Order, PolicyConfig};
use mainstay_core::time::{Instant, Moment};

use crate::classify::{Attempt, Classify, EveryError};
use crate::clock;
use crate::gate::{Gate, Policies};
pub(crate) use attempt::drive;
pub(crate) use observe::{Nobody, Observe};
pub(crate) use run::{Next, Run};

/// Retries operations under one policy. Cheap to clone; clones share the gate.
#[derive(Clone, Debug)]
pub struct Retry<C = EveryError> {
    rules: CallRules,
    config: CallConfig,
    order: Order,
    gate: Option<Gate>,
    /// The gate's policies as they were when it was given: while they are in force, a call borrows
    /// them.
    known: Option<Arc<Policies>>,
    classify: C,
}

impl Retry {
    /// Retries under `config`, without a gate. Every error is worth another try.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: &CallConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            rules: CallRules::new(config)?,
            config: *config,
            order: Order::BreakerInside,
            gate: None,
            known: None,
            classify: EveryError,
        })
    }

    /// Retries under the call's part of `policy`, through `gate`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn through(policy: &PolicyConfig, gate: Gate) -> Result<Self, ConfigError> {
        let plain = Self::new(&policy.call).map_err(|error| error.within("call"))?;
        Ok(Self { order: policy.order, ..plain.with_gate(gate) })
    }
}

impl<C> Retry<C> {
    /// The same with another classifier.
    #[must_use]
    pub fn classify_with<D>(self, classify: D) -> Retry<D> {
        let Self { rules, config, order, gate, known, .. } = self;
        Retry { rules, config, order, gate, known, classify }
    }

    /// The same through `gate`.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.known = Some(gate.policies());
        self.gate = Some(gate);
        self
    }

    /// The gate's policies in force, if there is a gate.
    #[inline]
    fn policies(&self) -> Option<Cow<'_, Arc<Policies>>> {
        let (gate, known) = (self.gate.as_ref()?, self.known.as_ref()?);
        Some(gate.policies_or(known))
    }

    /// The gate, if there is one.
    #[must_use]
    pub const fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// The configuration of a call.
    #[must_use]
    pub const fn config(&self) -> &CallConfig {
        &self.config
    }

    /// The classifier.
    #[must_use]
    pub const fn classifier(&self) -> &C {
        &self.classify
    }

    /// The same for use *inside* an attempt of another call: one attempt only, within what is left
    /// of the outer one. Two layers of three attempts would make nine (the retries stay with the
    /// outermost layer, which alone knows the whole).
    ///
    /// # Panics
    ///
    /// Never: one attempt with a shorter deadline is a policy that makes sense.
    #[must_use]
    pub fn within(&self, outer: Attempt) -> Self
    where
        C: Clone,
    {
        let mut nested = self.clone();
        nested.config.attempts = 1;
        if let Some(end) = outer.deadline {
            let left = end.since(clock::now()).max(Duration::from_nanos(1));
            nested.config.deadline = Some(nested.config.deadline.map_or(left, |own| own.min(left)));
        }
        nested.rules = CallRules::new(&nested.config).expect("a stricter policy makes sense");
        nested
    }

    /// The same with one attempt: for what cannot be repeated.
    ///
    /// # Panics
    ///
    /// Never: one attempt is a policy that makes sense.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.config.attempts = 1;
        self.rules = CallRules::new(&self.config).expect("a stricter policy makes sense");
        self
    }

    /// Runs `op` until it works, is not worth another try, or a limit is reached.
    ///
    /// `op` is called once per attempt. Dropping the future drops the attempt under way; nothing is
    /// left behind, and what the budget lent for a retry not yet sent is given back.
    ///
    /// # Errors
    ///
    /// [`CallError`] with the last error as it came, the earlier ones beside it, and why no further
    /// attempt was made. An `Ok` that the classifier finds wanting stays `Ok` when attempts run out.
    pub async fn call<T, E, F, Fut>(&self, mut op: F) -> Result<T, CallError<E>>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        if self.gate.is_some() || self.rules.is_timed() {
            return self.call_observed(op, Nobody).await;
        }
        // Nothing to ask and no time to keep: a success needs none of the machinery.
        let result = op(Attempt::FIRST).await;
        let outcome = self.classify.classify(&result, Attempt::FIRST);
        match result {
            Ok(value) if outcome == Outcome::Success => Ok(value),
            result => Box::pin(self.go_on(op, result)).await,
        }
    }

    /// Goes on after a first attempt that did not work.
    async fn go_on<T, E, F, Fut>(&self, mut op: F, first: Result<T, E>) -> Result<T, CallError<E>>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
    {
        let mut run = Run::start(self, Nobody, Clock::ASYNC);
        let mut next = run.ended(Ok(first), Attempt::FIRST, None);
        loop {
            match next {
                Next::Return(result) => return result,
                Next::Wait(until) => {
                    clock::sleep_until(until).await;
                    run.wait_over()?;
                }
            }
            next = match run.admit().await {
                Ok(attempt) => run.ended(Ok(op(attempt).await), attempt, None),
                Err(next) => next,
            };
        }
    }

    /// Like [`call`](Self::call), telling every step to `observer`.
    pub(crate) async fn call_observed<T, E, F, Fut, O>(
        &self,
        mut op: F,
        observer: O,
    ) -> Result<T, CallError<E>>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        O: Observe<E>,
    {
        let mut run = Run::start(self, observer, Clock::ASYNC);
        loop {
            let admitted = if run.may_wait() { run.admit().await } else { run.admit_now() };
            let next = match admitted {
                Ok(attempt) => {
                    let slow_at = run.slow_at();
                    let work = drive(op(attempt), attempt.deadline, slow_at, || run.slow());
                    let result = work.await;
                    run.ended(result, attempt, None)
                }
                Err(next) => next,
            };
            match next {
                Next::Return(result) => return result,
                Next::Wait(until) => {
                    // Boxed: a timer in every call's own memory would cost those that never wait.
                    Box::pin(clock::sleep_until(until)).await;
                    run.wait_over()?;
                }
            }
        }
    }

    // The loop stands here again because a lending operation and one whose future can be sent have no
    // common type yet; all that is decided is in `Run`, which both share.
    /// Like [`call`](Self::call) for an operation that lends what it holds between attempts
    /// (`async |attempt| …` with `&mut` captures). Its future is not `Send`.
    ///
    /// # Errors
    ///
    /// See [`call`](Self::call).
    pub async fn call_local<T, E, F>(&self, mut op: F) -> Result<T, CallError<E>>
    where
        F: AsyncFnMut(Attempt) -> Result<T, E>,
        C: Classify<T, E>,
    {
        let mut run = Run::start(self, Nobody, Clock::ASYNC);
        loop {
            let admitted = if run.may_wait() { run.admit().await } else { run.admit_now() };
            let next = match admitted {
                Ok(attempt) => {
                    let slow_at = run.slow_at();
                    let work = drive(op(attempt), attempt.deadline, slow_at, || run.slow());
                    let result = work.await;
                    run.ended(result, attempt, None)
                }
                Err(next) => next,
            };
            match next {
                Next::Return(result) => return result,
                Next::Wait(until) => {
                    Box::pin(clock::sleep_until(until)).await;
                    run.wait_over()?;
                }
            }
        }
    }
}

/// The clocks of an executor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) now: fn() -> Instant,
    pub(crate) moment: fn() -> Moment,
}

impl Clock {
    /// Tokio's, which tests may pause.
    pub(crate) const ASYNC: Self = Self { now: clock::now, moment: crate::gate::moment };
}
