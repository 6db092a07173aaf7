//! The one word that says which state a breaker is in.
//!
//! `state 3 | generation 21 | data 40`. The generation changes with every transition, so a result
//! that carries an older one is recognised as stale by one comparison.

const GENERATION_SHIFT: u32 = 40;
const STATE_SHIFT: u32 = 61;
pub(super) const GENERATION_MASK: u32 = (1 << 21) - 1;
const DATA_MASK: u64 = (1 << 40) - 1;

/// The state code of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Closed,
    Ramping,
    Open,
    HalfOpen,
    Forced,
    Disabled,
}

/// A value of the state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    pub(super) const fn new(code: Code, generation: u32, data: u64) -> Self {
        let generation = (generation & GENERATION_MASK) as u64;
        Self((code as u64) << STATE_SHIFT | generation << GENERATION_SHIFT | (data & DATA_MASK))
    }

    pub(super) const fn code(self) -> Code {
        match self.0 >> STATE_SHIFT {
            0 => Code::Closed,
            1 => Code::Ramping,
            2 => Code::Open,
            3 => Code::HalfOpen,
            4 => Code::Forced,
            _ => Code::Disabled,
        }
    }

    pub(super) const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32 & GENERATION_MASK
    }

    pub(super) const fn data(self) -> u64 {
        self.0 & DATA_MASK
    }

    /// The same state and generation with other data.
    pub(super) const fn with(self, data: u64) -> Self {
        Self(self.0 & !DATA_MASK | (data & DATA_MASK))
    }

    /// Whether it is closed, in this generation.
    #[inline]
    pub(super) const fn is_closed_in(self, generation: u32) -> bool {
        self.0 & !DATA_MASK == Self::new(Code::Closed, generation, 0).0
    }

    /// While closed: the position, if so many calls as fit are in the window. Both in one
    /// subtraction, since they are neighbours in the word.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the data beyond are zero")]
    pub(super) const fn position_when_filled(self, size: u32) -> Option<u32> {
        let above = (self.0 as u32 >> 8).wrapping_sub(size << 12);
        if above < 1 << 12 { Some(above) } else { None }
    }

    /// While closed: the next position of the window, and no failure in a row. The position must
    /// not be the last of its field.
    #[inline]
    pub(super) const fn next_position(self) -> Self {
        Self((self.0 & !0xFF) + (1 << 8))
    }

    /// The next generation, in another state.
    pub(super) const fn next(self, code: Code, data: u64) -> Self {
        Self::new(code, self.generation().wrapping_add(1), data)
    }
}

/// Data while closed: `filled 12 | position 12 | consecutive failures 8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) filled: u32,
    pub(super) position: u32,
    pub(super) consecutive: u32,
}

impl Counts {
    #[expect(clippy::cast_possible_truncation, reason = "masked to the bits of each field")]
    pub(super) const fn of(word: Word) -> Self {
        let data = word.data();
        Self {
            filled: (data >> 20) as u32 & 0xFFF,
            position: (data >> 8) as u32 & 0xFFF,
            consecutive: data as u32 & 0xFF,
        }
    }

    pub(super) const fn data(self) -> u64 {
        (self.filled as u64) << 20 | (self.position as u64) << 8 | self.consecutive as u64
    }
}

/// Data while half-open: `busy bitmap 16 | succeeded 8 | failed 8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probes {
    pub(super) busy: u32,
    pub(super) good: u32,
    pub(super) bad: u32,
}

impl Probes {
    #[expect(clippy::cast_possible_truncation, reason = "masked to the bits of each field")]
    pub(super) const fn of(word: Word) -> Self {
        let data = word.data();
        Self {
            busy: (data >> 16) as u32 & 0xFFFF,
            good: (data >> 8) as u32 & 0xFF,
            bad: data as u32 & 0xFF,
        }
    }

    pub(super) const fn data(self) -> u64 {
        (self.busy as u64) << 16 | (self.good as u64) << 8 | self.bad as u64
    }

    pub(super) const fn spent(self) -> u32 {
        self.busy.count_ones() + self.good + self.bad
    }
}

/// Data while forced open: `by hand 1 | disabled below 1 | isolations 16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) by_hand: bool,
    pub(super) disabled: bool,
    pub(super) isolations: u16,
}

impl Holds {
    pub(super) const fn of(word: Word) -> Self {
        match word.code() {
            Code::Forced => {
                let data = word.data();
                Self {
                    by_hand: data >> 17 & 1 == 1,
                    disabled: data >> 16 & 1 == 1,
                    isolations: (data & 0xFFFF) as u16,
                }
            }
            Code::Disabled => Self { by_hand: false, disabled: true, isolations: 0 },
            Code::Closed | Code::Ramping | Code::Open | Code::HalfOpen => {
                Self { by_hand: false, disabled: false, isolations: 0 }
            }
        }
    }

    pub(super) const fn data(self) -> u64 {
        (self.by_hand as u64) << 17 | (self.disabled as u64) << 16 | self.isolations as u64
    }
}

/// Data while open: until when, in steps of 2²⁰ ns (about a millisecond), rounded up.
pub(super) const fn until_data(until_ns: u64) -> u64 {
    let steps = until_ns >> 20;
    if until_ns & ((1 << 20) - 1) == 0 { steps } else { steps + 1 }
}

/// The inverse of [`until_data`].
pub(super) const fn until_ns(word: Word) -> u64 {
    word.data() << 20
}
