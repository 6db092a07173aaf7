//! Promises of a circuit breaker.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::report::{Built, Promise, Verdict, kept_if, ready};

/// What makes the breaker open.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Whatever the library opens on; a few failures in a row must do.
    Any,
    /// The share of failures among the last `size` calls, judged when there are as many.
    Count { size: u32, rate: f64 },
    /// The share of failures in the last `length`, judged from `minimum` calls on.
    Time { length: Duration, minimum: u32, rate: f64 },
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub signal: Signal,
    pub open_for: Duration,
    /// The library's own default spread of the open time, instead of exactly `open_for`.
    pub jittered: bool,
    pub probes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Success,
    Failure,
}

/// A breaker whose calls can be begun, and ended in any order.
pub trait BreakerUnderTest: Sized {
    type Call;

    fn build(plan: &Plan) -> Built<Self>;
    /// `None` when the call is rejected.
    fn begin(&self) -> Option<Self::Call>;
    fn end(&self, call: Self::Call, answer: Answer);
    /// The caller goes away before there is an answer.
    fn give_up(&self, call: Self::Call);
    /// Lets a virtual clock leap, if the library has one.
    fn leap(&self, _by: Duration) -> bool {
        false
    }
}

const OPEN_FOR: Duration = Duration::from_millis(40);
const AFTER: Duration = Duration::from_millis(60);

pub fn ask<B: BreakerUnderTest>() -> Vec<Promise> {
    vec![
        ("B01", "a late result decides nothing", late_results::<B>),
        ("B02", "no more probes in flight than configured", probes_in_flight::<B>),
        ("B03", "a dropped probe gives its place back", dropped_probes::<B>),
        ("B05", "a dropped probe neither closes nor opens", dropped_probe_is_neutral::<B>),
        ("B06", "a hung probe does not wedge it half-open", hung_probe::<B>),
        ("B09", "the count window slides", window_slides::<B>),
        ("B10", "opens on the very call that reaches minimum and rate", first_evaluation::<B>),
        ("B11", "failures from before an idle time are forgotten", idle_forgets::<B>),
        ("B13", "30 days of idle cost no time (breaker)", idle_costs_nothing::<B>),
        ("B16", "late failures do not prolong the open time", open_not_prolonged::<B>),
        ("B17", "the open time is spread by default", open_is_jittered::<B>),
        ("B22", "closing empties the window", closing_forgets::<B>),
        ("B27", "1 % and 100 % are exact", exact_rates::<B>),
        ("B28", "senseless settings are an error value", senseless_settings::<B>),
    ]
}

fn plan(signal: Signal) -> Plan {
    Plan { signal, open_for: OPEN_FOR, jittered: false, probes: 1 }
}

fn call<B: BreakerUnderTest>(breaker: &B, answer: Answer) -> bool {
    let Some(call) = breaker.begin() else { return false };
    breaker.end(call, answer);
    true
}

fn calls<B: BreakerUnderTest>(breaker: &B, count: u32, answer: Answer) -> bool {
    (0..count).all(|_| call(breaker, answer))
}

fn rejects<B: BreakerUnderTest>(breaker: &B) -> bool {
    breaker.begin().map(|call| breaker.give_up(call)).is_none()
}

/// Fails calls until it rejects.
fn open<B: BreakerUnderTest>(breaker: &B) {
    let opened = (0..500).any(|_| !call(breaker, Answer::Failure));
    assert!(opened, "500 failures in a row do not open it");
}

/// Opens it, waits, and begins a probe.
fn probing<B: BreakerUnderTest>(breaker: &B) -> B::Call {
    open(breaker);
    sleep(AFTER);
    breaker.begin().expect("a probe is admitted after the open time")
}

fn late_results<B: BreakerUnderTest>() -> Verdict {
    for (late, answer) in [(Answer::Success, Answer::Failure), (Answer::Failure, Answer::Success)] {
        let breaker: B = ready!(B::build(&plan(Signal::Any)));
        let old: Vec<_> = (0..10).filter_map(|_| breaker.begin()).collect();
        let probe = probing(&breaker);
        old.into_iter().for_each(|old| breaker.end(old, late));
        breaker.end(probe, answer);
        let is_open = rejects(&breaker);
        if is_open != (answer == Answer::Failure) {
            return Verdict::Broken(format!("late {late:?} outweighs the probe's {answer:?}"));
        }
    }
    Verdict::Kept
}

fn probes_in_flight<B: BreakerUnderTest>() -> Verdict {
    for probes in [1, 2, 5] {
        let breaker: B = match B::build(&Plan { probes, ..plan(Signal::Any) }) {
            Built::Ready(breaker) => breaker,
            Built::NotExpressible if probes > 1 => continue,
            Built::NotExpressible => return Verdict::NotExpressible,
            Built::Refused => return Verdict::Broken(format!("refuses {probes} probes")),
        };
        open(&breaker);
        sleep(AFTER);
        let admitted: Vec<_> = (0..100).filter_map(|_| breaker.begin()).collect();
        let count = admitted.len();
        admitted.into_iter().for_each(|call| breaker.give_up(call));
        if count == 0 || count > probes as usize {
            return Verdict::Broken(format!("{count} of 100 callers probe at once, {probes} may"));
        }
    }
    Verdict::Kept
}

fn dropped_probes<B: BreakerUnderTest>() -> Verdict {
    let breaker: B = ready!(B::build(&plan(Signal::Any)));
    for _ in 0..3 {
        (0..10).filter_map(|_| breaker.begin()).for_each(|call| breaker.give_up(call));
    }
    for _ in 0..3 {
        let probe = probing(&breaker);
        breaker.give_up(probe);
        if rejects(&breaker) {
            return Verdict::Broken("no place left after a dropped probe".into());
        }
        // Recovers, so that it can be opened again.
        calls(&breaker, 3, Answer::Success);
    }
    Verdict::Kept
}

fn dropped_probe_is_neutral<B: BreakerUnderTest>() -> Verdict {
    let breaker: B = ready!(B::build(&plan(Signal::Any)));
    let probe = probing(&breaker);
    breaker.give_up(probe);
    let Some(next) = breaker.begin() else {
        return Verdict::Broken("opens again".into());
    };
    breaker.end(next, Answer::Failure);
    // A library that wants one more result than configured gets it.
    let holds = rejects(&breaker) || !calls(&breaker, 2, Answer::Failure);
    kept_if(holds, "closes")
}

fn hung_probe<B: BreakerUnderTest>() -> Verdict {
    let breaker: B = ready!(B::build(&plan(Signal::Any)));
    let hung = probing(&breaker);
    let start = Instant::now();
    let mut admitted = false;
    while !admitted && start.elapsed() < 20 * OPEN_FOR {
        sleep(Duration::from_millis(5));
        admitted = !rejects(&breaker);
    }
    breaker.give_up(hung);
    kept_if(admitted, "rejects for ever while one probe hangs (20 open times)")
}

fn window_slides<B: BreakerUnderTest>() -> Verdict {
    let signal = Signal::Count { size: 10, rate: 0.5 };
    let breaker: B = ready!(B::build(&plan(signal)));
    calls(&breaker, 100, Answer::Success);
    let failures = (0..1000).take_while(|_| call(&breaker, Answer::Failure)).count();
    let seen = format!("after 100 successes {failures} failures open a window of 10 at 50 %");
    kept_if(failures == 5, seen)
}

fn first_evaluation<B: BreakerUnderTest>() -> Verdict {
    let signal = Signal::Count { size: 10, rate: 0.5 };
    let breaker: B = ready!(B::build(&plan(signal)));
    let failures = (0..1000).take_while(|_| call(&breaker, Answer::Failure)).count();
    kept_if(failures == 10, format!("opens after {failures} failures, not 10"))
}

fn idle_forgets<B: BreakerUnderTest>() -> Verdict {
    let signal = Signal::Time { length: Duration::from_secs(1), minimum: 5, rate: 0.5 };
    let control: B = ready!(B::build(&plan(signal)));
    if calls(&control, 6, Answer::Failure) {
        // It does not open on five failures at once, so the question makes no sense.
        return Verdict::NotExpressible;
    }
    let breaker: B = ready!(B::build(&plan(signal)));
    calls(&breaker, 4, Answer::Failure);
    sleep(Duration::from_millis(1500));
    call(&breaker, Answer::Failure);
    kept_if(!rejects(&breaker), "four failures, a pause, one failure: a window of five opens")
}

fn idle_costs_nothing<B: BreakerUnderTest>() -> Verdict {
    let signal = Signal::Time { length: Duration::from_secs(1), minimum: 5, rate: 0.5 };
    let breaker: B = ready!(B::build(&plan(signal)));
    calls(&breaker, 4, Answer::Failure);
    if !breaker.leap(Duration::from_secs(30 * 24 * 3600)) {
        return Verdict::NotExpressible;
    }
    let start = Instant::now();
    call(&breaker, Answer::Failure);
    let took = start.elapsed();
    kept_if(took < Duration::from_millis(5), format!("the next call takes {took:?}"))
}

fn open_not_prolonged<B: BreakerUnderTest>() -> Verdict {
    let open_for = Duration::from_millis(300);
    let breaker: B = ready!(B::build(&Plan { open_for, ..plan(Signal::Any) }));
    let late: Vec<_> = (0..10).filter_map(|_| breaker.begin()).collect();
    open(&breaker);
    let opened = Instant::now();
    sleep(open_for / 2);
    late.into_iter().for_each(|call| breaker.end(call, Answer::Failure));
    sleep((open_for + Duration::from_millis(20)).saturating_sub(opened.elapsed()));
    kept_if(!rejects(&breaker), "still open after the open time")
}

fn open_is_jittered<B: BreakerUnderTest>() -> Verdict {
    // Two seconds, since one library draws whole seconds.
    let base = Duration::from_secs(2);
    let plan = Plan { open_for: base, jittered: true, ..plan(Signal::Any) };
    let mut waiting = Vec::new();
    for _ in 0..12 {
        let breaker: B = ready!(B::build(&plan));
        open(&breaker);
        waiting.push((breaker, Instant::now()));
    }
    let mut waits = Vec::new();
    while !waiting.is_empty() && waits.iter().all(|wait| *wait < 2 * base) {
        waiting.retain(|(breaker, opened)| {
            let open = rejects(breaker);
            if !open {
                waits.push(opened.elapsed());
            }
            open
        });
        sleep(Duration::from_millis(2));
        if waiting.iter().any(|(_, opened)| opened.elapsed() > 2 * base) {
            break;
        }
    }
    let (least, most) = (waits.iter().min(), waits.iter().max());
    let spread = most.zip(least).map_or(Duration::ZERO, |(most, least)| *most - *least);
    kept_if(spread >= base / 25, format!("twelve breakers probe within {spread:?} of each other"))
}

fn closing_forgets<B: BreakerUnderTest>() -> Verdict {
    let signal = Signal::Count { size: 10, rate: 0.5 };
    let breaker: B = ready!(B::build(&plan(signal)));
    let probe = probing(&breaker);
    breaker.end(probe, Answer::Success);
    // A library that wants one more result than configured gets it.
    call(&breaker, Answer::Success);
    call(&breaker, Answer::Failure);
    kept_if(!rejects(&breaker), "one failure after closing opens it")
}

fn exact_rates<B: BreakerUnderTest>() -> Verdict {
    let build = |rate| B::build(&plan(Signal::Count { size: 100, rate }));
    // Where the first evaluation is one late (B10), one more call is granted.
    let one: B = ready!(build(0.01));
    calls(&one, 99, Answer::Success);
    call(&one, Answer::Failure);
    if !rejects(&one) && calls(&one, 1, Answer::Success) && !rejects(&one) {
        return Verdict::Broken("1 failure of 100 does not open it at 1 %".into());
    }
    let all: B = ready!(build(1.0));
    call(&all, Answer::Success);
    if !calls(&all, 99, Answer::Failure) || rejects(&all) {
        return Verdict::Broken("99 failures of 100 open it at 100 %".into());
    }
    let all: B = ready!(build(1.0));
    kept_if(!calls(&all, 101, Answer::Failure) || rejects(&all), "stays closed at 100 %")
}

fn senseless_settings<B: BreakerUnderTest>() -> Verdict {
    let signals = [
        Signal::Count { size: 0, rate: 0.5 },
        Signal::Count { size: 10, rate: 1.5 },
        Signal::Count { size: 10, rate: f64::NAN },
        Signal::Time { length: Duration::ZERO, minimum: 1, rate: 0.5 },
    ];
    let plans = signals.map(plan).into_iter().chain([Plan { probes: 0, ..plan(Signal::Any) }]);
    let mut asked = 0;
    for plan in plans {
        match B::build(&plan) {
            Built::Refused => asked += 1,
            Built::NotExpressible => {}
            Built::Ready(_) => {
                let what = (plan.signal, plan.probes);
                return Verdict::Broken(format!("accepts {what:?} (signal, probes)"));
            }
        }
    }
    if asked == 0 { Verdict::NotExpressible } else { Verdict::Kept }
}
