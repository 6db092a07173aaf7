use std::time::Duration;

use super::Cell;

/// How fine a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Ten seconds, for an hour.
    Fine,
    /// A minute, for two days.
    Minute,
    /// An hour, for 90 days.
    Hour,
    /// A day, for two years.
    Day,
}

/// The most cells that are kept of one group.
pub const CELLS: u64 = 360 + 2_880 + 2_160 + 730;

impl Tier {
    /// All, the finest first.
    pub const ALL: [Self; 4] = [Self::Fine, Self::Minute, Self::Hour, Self::Day];

    /// How long a cell is, in milliseconds.
    #[must_use]
    pub const fn width_ms(self) -> u64 {
        match self {
            Self::Fine => 10_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// How many cells are kept.
    #[must_use]
    pub const fn cells(self) -> u64 {
        match self {
            Self::Fine => 360,
            Self::Minute => 2_880,
            Self::Hour => 2_160,
            Self::Day => 730,
        }
    }

    /// How far back they reach, in milliseconds.
    #[must_use]
    pub const fn span_ms(self) -> u64 {
        self.width_ms() * self.cells()
    }

    /// The finest that reaches back `span`; the coarsest where none does.
    #[must_use]
    pub fn reaching(span: Duration) -> Self {
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::ALL.into_iter().find(|tier| tier.span_ms() >= span).unwrap_or(Self::Day)
    }

    /// The number of the cell that `unix_ms` falls into.
    #[must_use]
    pub const fn number(self, unix_ms: u64) -> u64 {
        unix_ms / self.width_ms()
    }

    /// Where the cell of that number is kept.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "at most 2 880 cells are kept")]
    pub const fn place(self, number: u64) -> Place {
        Place { tier: self, slot: (number % self.cells()) as u16 }
    }
}

/// Where a cell is kept: a newer one takes the place of one that is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Among cells of this length.
    pub tier: Tier,
    /// The number modulo [`Tier::cells`].
    pub slot: u16,
}

/// A cell that has changed and is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Of this tier.
    pub tier: Tier,
    /// Of this number: it begins at `number` times [`Tier::width_ms`] after 1970.
    pub number: u64,
    /// All there is to it so far.
    pub cell: Cell,
}

/// Puts what is measured of one group into cells.
///
/// Holds one cell of each tier: the one that time is in. Should the clock go back, what is measured
/// belongs to the latest cell until it is passed again.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    open: [Option<(u64, Cell)>; 4],
}

impl Collector {
    /// One that knows nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { open: [None, None, None, None] }
    }

    /// Goes on with a cell that was kept before a restart.
    pub fn resume(&mut self, row: Row) {
        let open = &mut self.open[row.tier as usize];
        if open.as_ref().is_none_or(|(number, _)| *number < row.number) {
            *open = Some((row.number, row.cell));
        }
    }

    /// The cell of a tier that time is in, with its number; none before the first.
    #[must_use]
    pub fn open(&self, tier: Tier) -> Option<(u64, &Cell)> {
        self.open[tier as usize].as_ref().map(|(number, cell)| (*number, cell))
    }

    /// Takes what was measured up to `unix_ms`, and answers the cells that have changed: one of each
    /// tier, the finest first.
    pub fn push(&mut self, unix_ms: u64, cell: &Cell) -> Vec<Row> {
        let into = |tier: Tier, open: &mut Option<(u64, Cell)>| {
            let now = tier.number(unix_ms);
            // A number from a clock that was a cell or more ahead is kept until time is there.
            let (number, merged) = match open.take() {
                Some((number, known)) if number >= now && number - now <= tier.cells() => {
                    let mut merged = known;
                    merged.merge(cell);
                    (number, merged)
                }
                Some(_) | None => (now, cell.clone()),
            };
            *open = Some((number, merged.clone()));
            Row { tier, number, cell: merged }
        };
        Tier::ALL.into_iter().zip(&mut self.open).map(|(tier, open)| into(tier, open)).collect()
    }
}
