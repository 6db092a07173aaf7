//! Cells of groups, in the store.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use mainstay::monitor::engine::series::{Cell, Collector, Place, Row, Tier};
use mainstay_store::{Area, Change, Store, StoreError};

/// Keys are the group's name, a zero byte, the tier and the slot.
const CELLS: Area = Area::new("monitor_cells");
/// Cells that are read at a time: a group that is young has few, and next to them are those of others.
const AT_ONCE: usize = 128;

/// What is being gathered of each group.
#[derive(Debug, Default)]
pub(super) struct Histories {
    collectors: BTreeMap<String, Collector>,
    /// The minute in which hours and days were last kept: once in each is enough.
    minute: Option<u64>,
}

impl Histories {
    /// Takes what was found of the groups, and answers what is to be kept. A group that was not seen
    /// since the start goes on with what is kept of it.
    pub(super) fn push(
        &mut self,
        unix_ms: u64,
        cells: &[(String, Cell)],
        store: &dyn Store,
    ) -> Vec<Change> {
        let mut changes = Vec::new();
        let minute = Some(Tier::Minute.number(unix_ms));
        let coarse = self.minute != minute;
        self.minute = minute;
        for (group, cell) in cells {
            let known = self.collectors.entry(group.clone());
            let collector = known.or_insert_with(|| resumed(group, unix_ms, store));
            if coarse {
                // Hours and days that are over, with what their last minute brought.
                changes.extend(coarse_cells(group, collector, unix_ms));
            }
            for Row { tier, number, cell } in collector.push(unix_ms, cell) {
                if !coarse && tier > Tier::Minute {
                    continue;
                }
                let bytes = cell.encode(number);
                changes.push(Change::put_value(CELLS, &key(group, tier.place(number)), &bytes));
            }
        }
        let there: HashSet<&str> = cells.iter().map(|(group, _)| group.as_str()).collect();
        self.collectors.retain(|known, collector| {
            let stays = there.contains(known.as_str());
            if !stays {
                changes.extend(coarse_cells(known, collector, u64::MAX));
            }
            stays
        });
        changes
    }

    /// Hours and days that time is in, as they are now: what their last minute brought is not kept yet.
    pub(super) fn rest(&self) -> Vec<Change> {
        let all = self.collectors.iter();
        all.flat_map(|(group, collector)| coarse_cells(group, collector, u64::MAX)).collect()
    }

    /// The cell of a group that time is in, with its number.
    pub(super) fn open(&self, group: &str, tier: Tier) -> Option<(u64, Cell)> {
        let (number, cell) = self.collectors.get(group)?.open(tier)?;
        Some((number, cell.clone()))
    }

    pub(super) fn groups(&self) -> Vec<String> {
        self.collectors.keys().cloned().collect()
    }
}

/// The hour and the day that a collector has open, as far as they began before those that `unix_ms` is
/// in.
fn coarse_cells(group: &str, collector: &Collector, unix_ms: u64) -> Vec<Change> {
    let open = [Tier::Hour, Tier::Day].map(|tier| (tier, collector.open(tier)));
    let over = open.into_iter().filter_map(|(tier, open)| {
        let (number, cell) = open.filter(|(number, _)| *number < tier.number(unix_ms))?;
        Some(Change::put_value(CELLS, &key(group, tier.place(number)), &cell.encode(number)))
    });
    over.collect()
}

/// A collector that goes on with the cells that time is in.
fn resumed(group: &str, unix_ms: u64, store: &dyn Store) -> Collector {
    let mut collector = Collector::new();
    for tier in Tier::ALL {
        let now = tier.number(unix_ms);
        let kept = store.value(CELLS, &key(group, tier.place(now))).ok().flatten();
        let cell = kept.and_then(|bytes| Cell::decode(&bytes).ok());
        if let Some((number, cell)) = cell.filter(|(number, _)| *number == now) {
            collector.resume(Row { tier, number, cell });
        }
    }
    collector
}

/// A part of a group's history.
#[derive(Debug)]
pub(crate) struct Span {
    /// How long each cell is.
    pub(crate) step_ms: u64,
    /// When each begins, in milliseconds since 1970, with what is in it; in order, those without
    /// data left out.
    pub(crate) cells: Vec<(u64, Cell)>,
}

/// The last `span` of a group, in the finest cells that reach so far.
pub(crate) fn series(
    store: &dyn Store,
    group: &str,
    unix_ms: u64,
    span: Duration,
) -> Result<Span, StoreError> {
    let tier = Tier::reaching(span);
    let width = tier.width_ms();
    let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let wanted = span_ms.div_ceil(width).clamp(1, tier.cells());
    let newest = tier.number(unix_ms);
    let oldest = newest.saturating_sub(wanted - 1);
    let [first, last] = [oldest, newest].map(|number| tier.place(number).slot);
    let end = tier.place(tier.cells() - 1).slot;
    // Places are used in turn: what is wanted may begin at the end of them and go on at the beginning.
    let runs = if first <= last { vec![[first, last]] } else { vec![[first, end], [0, last]] };
    let mut cells = Vec::new();
    for run in runs {
        let rows = places(store, group, tier, run)?;
        let known = rows.iter().filter_map(|bytes| Cell::decode(bytes).ok());
        cells.extend(known.filter(|(number, _)| (oldest..=newest).contains(number)));
    }
    cells.sort_by_key(|(number, _)| *number);
    let cells = cells.into_iter().map(|(number, cell)| (number * width, cell)).collect();
    Ok(Span { step_ms: width, cells })
}

/// What is kept in the places from `first` to `last`, and nothing of other groups.
fn places(
    store: &dyn Store,
    group: &str,
    tier: Tier,
    [first, last]: [u16; 2],
) -> Result<Vec<Vec<u8>>, StoreError> {
    let at = |slot| key(group, Place { tier, slot });
    let mut behind = first.checked_sub(1).map_or_else(|| prefix(group, tier), at);
    let (end, mut found) = (at(last), Vec::new());
    loop {
        let rows = store.values(CELLS, Some(&behind), AT_ONCE)?;
        let is_all = rows.len() < AT_ONCE;
        for (key, bytes) in rows {
            if key > end {
                return Ok(found);
            }
            found.push(bytes);
            behind = key;
        }
        if is_all {
            return Ok(found);
        }
    }
}

fn prefix(group: &str, tier: Tier) -> Vec<u8> {
    let place = match tier {
        Tier::Fine => 0,
        Tier::Minute => 1,
        Tier::Hour => 2,
        Tier::Day => 3,
    };
    [group.as_bytes(), &[0, place]].concat()
}

fn key(group: &str, place: Place) -> Vec<u8> {
    [&prefix(group, place.tier)[..], &place.slot.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use mainstay_store::MemoryStore;

    use super::*;

    const START: u64 = 1_700_000_040_000;

    fn keep(store: &MemoryStore, changes: &[Change]) {
        store.commit(changes).unwrap();
    }

    fn cell(ok: u64) -> Cell {
        let mut cell = Cell { ok, ..Cell::default() };
        cell.took(Duration::from_millis(ok));
        cell
    }

    #[test]
    fn cells_are_kept_and_read_back_in_order_by_group() {
        let (store, mut histories) = (MemoryStore::new(), Histories::default());
        for nr in 0..400 {
            let cells = [("a".to_owned(), cell(nr)), ("ab".to_owned(), cell(7))];
            keep(&store, &histories.push(START + nr * 10_000, &cells, &store));
        }
        let now = START + 399 * 10_000;
        let hour = series(&store, "a", now, Duration::from_secs(3_600)).unwrap();
        assert_eq!((hour.step_ms, hour.cells.len()), (10_000, 360), "an hour, and no more");
        assert_eq!(hour.cells[0].1.ok, 40);
        assert!(hour.cells.windows(2).all(|pair| pair[1].0 == pair[0].0 + 10_000));
        let two = series(&store, "a", now, Duration::from_secs(7_200)).unwrap();
        assert_eq!((two.step_ms, two.cells[0].1.ok), (60_000, (0..6).sum()));
        let few = series(&store, "a", now, Duration::from_secs(30)).unwrap();
        assert_eq!(few.cells.iter().map(|(_, cell)| cell.ok).collect::<Vec<_>>(), [397, 398, 399]);
        assert!(series(&store, "b", now, Duration::from_secs(30)).unwrap().cells.is_empty());
        assert_eq!(histories.groups(), ["a", "ab"]);
        let kept = store.values(CELLS, None, 10_000).unwrap().len();
        assert_eq!(kept, 2 * (360 + 67 + 2 + 1), "places are used again");
    }

    #[test]
    fn a_restart_goes_on_in_the_same_cells() {
        let (store, mut histories) = (MemoryStore::new(), Histories::default());
        keep(&store, &histories.push(START, &[("a".to_owned(), cell(3))], &store));
        let mut again = Histories::default();
        keep(&store, &again.push(START + 10_000, &[("a".to_owned(), cell(4))], &store));
        let two = series(&store, "a", START + 10_000, Duration::from_secs(7_200)).unwrap();
        assert_eq!(two.cells[0].1.ok, 7, "one minute over the restart");
        let days = series(&store, "a", START, Duration::from_secs(400 * 86_400)).unwrap();
        assert_eq!((days.step_ms, days.cells[0].1.count()), (86_400_000, 2));
    }

    #[test]
    fn an_hour_that_is_over_is_kept_with_its_last_minute() {
        let (store, mut histories) = (MemoryStore::new(), Histories::default());
        let next = Tier::Day.width_ms() * (Tier::Day.number(START) + 1);
        let first = next - 90_000;
        for nr in 0..100 {
            let cells = [("a".to_owned(), cell(1))];
            keep(&store, &histories.push(first + nr * 1_000, &cells, &store));
        }
        let oks = |days: u64| {
            let span = Duration::from_secs(days * 86_400);
            let found = series(&store, "a", next + 9_000, span).unwrap();
            found.cells.iter().map(|(_, cell)| cell.ok).collect::<Vec<_>>()
        };
        assert_eq!((oks(30)[0], oks(400)[0]), (90, 90), "the hour, the day");
        assert_eq!((oks(30)[1], oks(400)[1]), (1, 1), "those that time is in, as a minute began");
    }

    #[test]
    fn what_the_last_minute_brought_to_an_hour_is_kept_at_the_end() {
        let (store, mut histories) = (MemoryStore::new(), Histories::default());
        for nr in 0..3 {
            let rows = histories.push(START + nr * 1_000, &[("a".to_owned(), cell(5))], &store);
            keep(&store, &rows);
        }
        let days = Duration::from_secs(30 * 86_400);
        let oks = || series(&store, "a", START + 3_000, days).unwrap().cells[0].1.ok;
        assert_eq!(oks(), 5, "once in a minute");
        assert_eq!(histories.open("a", Tier::Hour).unwrap().1.ok, 15);
        keep(&store, &histories.rest());
        assert_eq!(oks(), 15);
        assert_eq!(histories.open("b", Tier::Hour), None);
        // And when what it is about is gone.
        drop(histories.push(START + 3_000, &[("a".to_owned(), cell(5))], &store));
        keep(&store, &histories.push(START + 4_000, &[], &store));
        assert_eq!((oks(), histories.groups().len()), (20, 0));
    }

    #[test]
    fn whatever_span_is_asked_for_just_its_cells_are_read_wherever_they_are_kept() {
        let (store, mut histories) = (MemoryStore::new(), Histories::default());
        for nr in 0..700 {
            let cells = ["a", "b", "c"].map(|group| (group.to_owned(), cell(nr)));
            keep(&store, &histories.push(START + nr * 10_000, &cells, &store));
            if nr % 37 > 1 && nr < 690 {
                continue;
            }
            let now = START + nr * 10_000;
            for many in [1, 2, 127, 128, 129, 359, 360] {
                let found = series(&store, "b", now, Duration::from_secs(many * 10)).unwrap();
                let oks: Vec<_> = found.cells.iter().map(|(_, cell)| cell.ok).collect();
                let wanted: Vec<_> = ((nr + 1).saturating_sub(many)..=nr).collect();
                assert_eq!(oks, wanted, "{many} up to {nr}");
            }
        }
    }

    #[test]
    fn a_damaged_cell_is_no_data() {
        let store = MemoryStore::new();
        let place = Tier::Fine.place(Tier::Fine.number(START));
        keep(&store, &[Change::put_value(CELLS, &key("a", place), b"no cell")]);
        assert!(series(&store, "a", START, Duration::from_secs(30)).unwrap().cells.is_empty());
        let rows = Histories::default().push(START, &[("a".to_owned(), cell(1))], &store);
        keep(&store, &rows);
        assert_eq!(series(&store, "a", START, Duration::from_secs(30)).unwrap().cells.len(), 1);
    }
}
