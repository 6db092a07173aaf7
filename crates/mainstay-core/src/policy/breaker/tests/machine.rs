//! Every state with every input, and recordings that replay.

use super::super::{Admission, Answer, Breaker, Input, Permit, State};
use super::{SECOND, admit, at, opened, plain};
use crate::policy::outcome::Sample;
use std::vec::Vec;

const STATES: [State; 5] =
    [State::Closed, State::Open, State::HalfOpen, State::ForcedOpen, State::Disabled];

/// A breaker in `state`, with a permit of its own generation where that state gives any.
fn in_state(state: State) -> (Breaker, Option<Permit>) {
    let breaker = Breaker::new(&plain()).unwrap();
    match state {
        State::Closed => {}
        State::Open => return (opened(&plain(), 0), None),
        State::HalfOpen => {
            let breaker = opened(&plain(), 0);
            let probe = admit(&breaker, 1_100);
            return (breaker, Some(probe));
        }
        State::ForcedOpen => {
            breaker.force_open();
            return (breaker, None);
        }
        State::Disabled => {
            breaker.disable();
        }
    }
    let permit = admit(&breaker, 0);
    (breaker, Some(permit))
}

fn permit(state: State) -> Permit {
    let stale = || in_state(State::HalfOpen).1.unwrap();
    in_state(state).1.unwrap_or_else(stale)
}

/// Every kind of input, with a permit of the state's own generation where there is one.
fn inputs(state: State) -> Vec<Input> {
    let samples = [Sample::Success, Sample::Failure, Sample::Throttled, Sample::Neutral];
    let record =
        |sample| Input::Record { permit: permit(state), sample, elapsed: SECOND, at: at(1_101) };
    let mut all: Vec<_> = samples.map(record).into();
    all.extend([
        Input::Admit(at(500)),
        Input::Admit(at(1_100)),
        Input::SlowInFlight { permit: permit(state), at: at(1_101) },
        Input::ForceOpen,
        Input::Isolate,
        Input::Release,
        Input::Disable,
        Input::Enable,
        Input::Reset,
    ]);
    all
}

#[test]
fn every_input_in_every_state_leads_to_a_state_that_the_diagram_has() {
    for state in STATES {
        let count = inputs(state).len();
        for index in 0..count {
            let (breaker, _own) = in_state(state);
            assert_eq!(breaker.state(), state);
            let input = inputs(state).remove(index);
            let told = std::format!("{input:?}");
            let answer = breaker.apply(input);
            let expected = expected(state, index);
            assert_eq!(breaker.state(), expected, "{state:?} with {told}");
            let transition = match answer {
                Answer::Admission(Admission { transition, .. })
                | Answer::Transition(transition) => transition,
            };
            let changed = transition.is_some_and(|t| t.from != t.to);
            assert_eq!(changed, state != expected, "{state:?} with {told}");
        }
    }
}

/// The state after input number `index` of [`inputs`], written out.
fn expected(state: State, index: usize) -> State {
    use State::{Closed, Disabled, ForcedOpen, HalfOpen, Open};
    let row = match state {
        Closed => [Closed; 7],
        Open => [Open, Open, Open, Open, Open, HalfOpen, Open],
        HalfOpen => [HalfOpen; 7],
        ForcedOpen => [ForcedOpen; 7],
        Disabled => [Disabled; 7],
    };
    match index {
        0..7 => row[index],
        7 | 8 => ForcedOpen,
        9 => state,
        10 => Disabled,
        11 if state == Disabled => Closed,
        11 => state,
        _ => Closed,
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_recording_replays_to_the_same_answers() {
    let script = || -> Vec<Input> {
        let mut inputs = Vec::new();
        for ms in 0..400_u64 {
            inputs.push(Input::Admit(at(ms * 50)));
        }
        inputs
    };
    let play = |inputs: Vec<Input>| -> Vec<std::string::String> {
        let breaker = Breaker::new(&plain()).unwrap();
        let mut answers = Vec::new();
        for (index, input) in inputs.into_iter().enumerate() {
            let line = serde_json::to_string(&input).unwrap();
            let replayed: Input = serde_json::from_str(&line).unwrap();
            assert_eq!(replayed, input);
            let answer = breaker.apply(replayed);
            answers.push(serde_json::to_string(&answer).unwrap());
            if let Answer::Admission(Admission { verdict: Ok(permit), .. }) = answer {
                let sample = if index % 7 < 4 { Sample::Failure } else { Sample::Success };
                let at = at(index as u64 * 50 + 1);
                let record = Input::Record { permit, sample, elapsed: SECOND, at };
                answers.push(serde_json::to_string(&breaker.apply(record)).unwrap());
            }
        }
        answers
    };
    let first = play(script());
    assert_eq!(first, play(script()));
    assert!(first.iter().any(|line| line.contains("HALF_OPEN")));
}
