//! What people do to a breaker by hand. Only another explicit action undoes it.

use super::word::{Code, Holds, Word};
use super::{Breaker, Cause, Transition, public};

impl Breaker {
    /// Rejects all calls until [`reset`](Self::reset) or [`disable`](Self::disable).
    pub fn force_open(&self) -> Option<Transition> {
        self.hold(|holds| Some(Holds { by_hand: true, ..holds }))
    }

    /// Rejects all calls until as many [`release`](Self::release)s as isolations have come: several
    /// parties may each isolate the peer without knowing of the others. At most 65 535 count.
    pub fn isolate(&self) -> Option<Transition> {
        self.hold(|holds| Some(Holds { isolations: holds.isolations.saturating_add(1), ..holds }))
    }

    /// Takes one isolation back; the last one closes the breaker with an empty window.
    pub fn release(&self) -> Option<Transition> {
        self.hold(|holds| {
            let isolations = holds.isolations.checked_sub(1)?;
            Some(Holds { isolations, ..holds })
        })
    }

    /// Admits all calls and watches none, until [`enable`](Self::enable) or [`reset`](Self::reset).
    /// While isolated, takes effect with the last release.
    pub fn disable(&self) -> Option<Transition> {
        self.hold(|holds| {
            let new = Holds { by_hand: false, disabled: true, ..holds };
            (new != holds).then_some(new)
        })
    }

    /// Watches calls again after [`disable`](Self::disable), with an empty window.
    pub fn enable(&self) -> Option<Transition> {
        self.hold(|holds| holds.disabled.then_some(Holds { disabled: false, ..holds }))
    }

    /// Closes the breaker with an empty window and forgets how often it opened. Isolations stay.
    pub fn reset(&self) -> Option<Transition> {
        self.remember(0, crate::time::Instant::default());
        let reset = self.hold(|holds| Some(Holds { by_hand: false, disabled: false, ..holds }));
        reset.map(|transition| Transition { cause: Cause::Reset, ..transition })
    }

    /// Goes to the state that `change` makes of the present holds; `None` changes nothing.
    fn hold(&self, change: impl Fn(Holds) -> Option<Holds>) -> Option<Transition> {
        loop {
            let word = self.load();
            let holds = change(Holds::of(word))?;
            let code = if holds.by_hand || holds.isolations > 0 {
                Code::Forced
            } else if holds.disabled {
                Code::Disabled
            } else {
                Code::Closed
            };
            let data = if code == Code::Forced { holds.data() } else { 0 };
            let new = if code == Code::Forced && word.code() == Code::Forced {
                word.with(data)
            } else {
                word.next(code, data)
            };
            if self.swap(word, new) {
                return transition(word, new);
            }
        }
    }
}

fn transition(old: Word, new: Word) -> Option<Transition> {
    (old.generation() != new.generation()).then(|| Transition {
        from: public(old.code()),
        to: public(new.code()),
        generation: new.generation(),
        open_for: None,
        cause: Cause::ByHand,
    })
}
