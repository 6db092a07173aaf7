use recloser::{AsyncRecloser, Error, Recloser};

use super::{Ended, InFlight, begin, end};
use crate::breaker::{Answer, BreakerUnderTest, Plan, Signal};
use crate::report::Built;

pub struct Breaker(AsyncRecloser);

impl BreakerUnderTest for Breaker {
    type Call = InFlight;

    fn build(plan: &Plan) -> Built<Self> {
        let (size, rate) = match plan.signal {
            Signal::Any => (3, 1.0),
            Signal::Count { size, rate } => (size, rate),
            Signal::Time { .. } => return Built::NotExpressible,
        };
        // It has no spread of its own, so its default is none.
        let recloser = Recloser::custom()
            .error_rate_closed(rate as f32)
            .closed_len(size as usize)
            .half_open_len(plan.probes as usize)
            .open_wait(plan.open_for)
            .build();
        Built::Ready(Self(AsyncRecloser::from(recloser)))
    }

    fn begin(&self) -> Option<InFlight> {
        begin(|inner| {
            let guarded = self.0.call(inner);
            Box::pin(async move {
                match guarded.await {
                    Err(Error::Rejected) => Ended::Rejected,
                    Ok(()) | Err(Error::Inner(())) => Ended::Answered,
                }
            })
        })
    }

    fn end(&self, call: InFlight, answer: Answer) {
        end(call, answer);
    }

    fn give_up(&self, call: InFlight) {
        drop(call);
    }
}
