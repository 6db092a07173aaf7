//! Puts the transitions of a breaker in order before they are told.
//!
//! Transitions are made without a lock, so two threads may come here in the wrong order. Each has a
//! generation; one that is ahead waits for those before it. A generation that never comes (a reload
//! skipped it) does not hold the others up for ever: when [`WAITING_MAX`] wait, all are told.

use std::sync::{Mutex, PoisonError};

use mainstay_core::policy::breaker::Transition;

const WAITING_MAX: usize = 4;

/// The transitions of one breaker on their way out.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The generation last told.
    told: u32,
    waiting: Vec<Transition>,
}

impl Announcer {
    /// Hands `transition` in, and tells all whose turn it is, in order. `tell` runs under the lock:
    /// it must run no code of the user's.
    pub(super) fn hand_in(&self, transition: Transition, mut tell: impl FnMut(Transition)) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push(transition);
        queue.waiting.sort_by_key(|waiting| waiting.generation);
        while let Some(next) = queue.waiting.first().copied() {
            let follows = next.generation <= queue.told.wrapping_add(1);
            if !follows && queue.waiting.len() < WAITING_MAX {
                return;
            }
            queue.waiting.remove(0);
            queue.told = next.generation;
            tell(next);
        }
    }

    /// Skips to `generation`, after which the next transition comes.
    pub(super) fn skip_to(&self, generation: u32) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).told = generation;
    }
}

#[cfg(test)]
mod tests {
    use super::Announcer;
    use mainstay_core::policy::breaker::{Cause, State, Transition};

    fn told(order: &[u32]) -> Vec<u32> {
        let announcer = Announcer::default();
        let mut told = Vec::new();
        for generation in order {
            let (from, to, cause) = (State::Closed, State::Open, Cause::ByHand);
            let transition =
                Transition { from, to, generation: *generation, open_for: None, cause };
            announcer.hand_in(transition, |t| told.push(t.generation));
        }
        told
    }

    #[test]
    fn b20_transitions_are_told_in_the_order_of_their_generations() {
        assert_eq!(told(&[1, 2, 3]), [1, 2, 3]);
        assert_eq!(told(&[2, 1, 3]), [1, 2, 3]);
        assert_eq!(told(&[3, 2, 1]), [1, 2, 3]);
    }

    #[test]
    fn b20_a_generation_that_never_comes_holds_nobody_up_for_ever() {
        assert!(told(&[2, 3, 4]).is_empty());
        assert_eq!(told(&[2, 3, 5, 4]), [2, 3, 4, 5]);
    }
}
