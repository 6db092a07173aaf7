use std::time::Duration;

use failsafe::futures::CircuitBreaker;
use failsafe::{Config, Error, FailurePolicy, StateMachine, backoff, failure_policy};

use super::{Ended, InFlight, Inner, begin, end};
use crate::breaker::{Answer, BreakerUnderTest, Plan, Signal};
use crate::report::Built;

type Guard = dyn Fn(Inner) -> std::pin::Pin<Box<dyn Future<Output = Ended>>>;

pub struct Breaker(Box<Guard>);

impl Breaker {
    fn new<P: FailurePolicy + Send + Sync + 'static>(policy: P) -> Built<Self> {
        let machine: StateMachine<P, ()> = Config::new().failure_policy(policy).build();
        Built::Ready(Self(Box::new(move |inner| {
            let guarded = machine.call(inner);
            Box::pin(async move {
                match guarded.await {
                    Err(Error::Rejected) => Ended::Rejected,
                    Ok(()) | Err(Error::Inner(())) => Ended::Answered,
                }
            })
        })))
    }

    fn signal<B>(signal: Signal, backoff: B) -> Built<Self>
    where
        B: Iterator<Item = Duration> + Clone + Send + Sync + 'static,
    {
        match signal {
            Signal::Any => Self::new(failure_policy::consecutive_failures(3, backoff)),
            Signal::Count { .. } => Built::NotExpressible,
            Signal::Time { length, minimum, rate } => {
                let required = 1.0 - rate;
                Self::new(failure_policy::success_rate_over_time_window(
                    required, minimum, length, backoff,
                ))
            }
        }
    }
}

impl BreakerUnderTest for Breaker {
    type Call = InFlight;

    fn build(plan: &Plan) -> Built<Self> {
        if plan.probes != 1 {
            // No such setting: its documentation lets one call decide.
            return Built::NotExpressible;
        }
        if plan.jittered {
            Self::signal(plan.signal, backoff::equal_jittered(plan.open_for, 60 * plan.open_for))
        } else {
            Self::signal(plan.signal, backoff::constant(plan.open_for))
        }
    }

    fn begin(&self) -> Option<InFlight> {
        begin(&self.0)
    }

    fn end(&self, call: InFlight, answer: Answer) {
        end(call, answer);
    }

    fn give_up(&self, call: InFlight) {
        drop(call);
    }
}
