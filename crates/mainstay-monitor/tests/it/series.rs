use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_monitor::series::{CELLS, Cell, Collector, Latencies, NotACell, Row, Tier};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

/// The beginning of a minute.
const START: u64 = 1_700_000_040_000;

fn cell(ok: u64, millis: &[u64]) -> Cell {
    let mut cell = Cell { ok, fail: 1, miss: 2, ..Cell::default() };
    millis.iter().for_each(|millis| cell.took(Duration::from_millis(*millis)));
    cell.stood_at(ok as f64);
    cell
}

#[test]
fn tiers_reach_as_far_as_they_say() {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    for (span, tier) in [
        (Duration::ZERO, Tier::Fine),
        (hours(1), Tier::Fine),
        (hours(1) + Duration::from_millis(1), Tier::Minute),
        (hours(48), Tier::Minute),
        (hours(90 * 24), Tier::Hour),
        (hours(730 * 24), Tier::Day),
        (Duration::MAX, Tier::Day),
    ] {
        assert_eq!(Tier::reaching(span), tier, "{span:?}");
    }
    assert_eq!(Tier::ALL.into_iter().map(Tier::cells).sum::<u64>(), CELLS);
}

#[test]
fn a_new_cell_takes_the_place_of_one_that_is_too_old() {
    for tier in Tier::ALL {
        let number = tier.number(START);
        let same = tier.place(number + tier.cells());
        assert_eq!(tier.place(number), same);
        assert_ne!(tier.place(number), tier.place(number + tier.cells() - 1));
        assert!(u64::from(same.slot) < tier.cells());
    }
}

#[test]
fn minutes_are_made_of_ten_seconds_and_percentiles_of_all_samples() {
    let mut collector = Collector::new();
    let mut rows = Vec::new();
    for nr in 0..6 {
        // 99 short ones and one long one in each: a mean of percentiles would say otherwise.
        let mut millis = vec![10; 99];
        millis.push(if nr == 0 { 5_000 } else { 10 });
        rows = collector.push(START + nr * 10_000, &cell(1, &millis));
    }
    let minute = &rows[1].cell;
    assert_eq!((minute.ok, minute.fail, minute.miss, minute.count()), (6, 6, 12, 600));
    let p99 = minute.latencies.quantile(Ratio::percent(99)).unwrap();
    assert!(p99 < Duration::from_millis(11), "{p99:?}");
    assert_eq!(minute.max(), Some(Duration::from_secs(5)));
    assert_eq!(minute.min(), Some(Duration::from_millis(10)));
    assert_eq!(minute.level(), Some(1.0));
    assert_eq!(rows[0].cell.count(), 100, "a cell of ten seconds holds its own");
}

#[test]
fn a_clock_that_goes_back_loses_nothing_and_one_that_leaps_is_followed() {
    let mut collector = Collector::new();
    let _first = collector.push(START, &cell(1, &[]));
    let back = collector.push(START - 30_000, &cell(1, &[]));
    assert_eq!(back[0].number, Tier::Fine.number(START), "the latest cell goes on");
    assert_eq!(back[0].cell.ok, 2);
    // From a clock that was years ahead.
    let far = collector.push(START - 10 * 365 * 86_400_000, &cell(1, &[]));
    assert_eq!((far[0].number, far[0].cell.ok), (Tier::Fine.number(far[0].number * 10_000), 1));
    assert!(far[0].number < back[0].number);
}

#[test]
fn a_collector_goes_on_with_what_was_kept() {
    let mut before = Collector::new();
    let rows = before.push(START, &cell(3, &[5]));
    let mut after = Collector::new();
    rows.into_iter().for_each(|row| after.resume(row));
    let older = Row { tier: Tier::Day, number: 1, cell: cell(9, &[]) };
    after.resume(older);
    let rows = after.push(START + 10_000, &cell(4, &[7]));
    assert_eq!((rows[0].cell.ok, rows[3].cell.ok, rows[3].cell.count()), (4, 7, 2));
}

#[test]
fn what_is_no_cell_is_refused() {
    let bytes = cell(3, &[1, 2, 3]).encode(7);
    for end in 0..bytes.len() {
        assert_eq!(Cell::decode(&bytes[..end]), Err(NotACell), "cut at {end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Cell::decode(&longer), Err(NotACell));
    let later = [&[2], &bytes[1..]].concat();
    assert_eq!(Cell::decode(&later), Err(NotACell), "of a later version");
}

#[test]
fn sums_that_are_too_large_stay_numbers() {
    let mut cell = Cell { ok: u64::MAX, level_sum: f64::MAX, levels: u64::MAX, ..Cell::default() };
    cell.merge(&cell.clone());
    assert_eq!(Cell::decode(&cell.encode(1)), Ok((1, cell)));
}

#[test]
fn a_cell_is_read_as_it_was_written_for_ever() {
    let golden = [
        1, 0, 7, 3, 1, 2, 192, 132, 61, 192, 132, 61, 192, 132, 61, 1, 128, 128, 128, 128, 128,
        128, 128, 132, 64, 1, 253, 3, 1,
    ];
    let (number, read) = Cell::decode(&golden).unwrap();
    assert_eq!((number, &read), (7, &cell(3, &[1])));
    assert_eq!(read.encode(7), golden);
}

proptest! {
    #[test]
    fn cells_survive_bytes(
        number in any::<u64>(), ok in any::<u32>(), level in -1e9..1e9_f64,
        millis in proptest::collection::vec(0..100_000_u64, 0..50),
    ) {
        let mut cell = cell(u64::from(ok), &millis);
        cell.stood_at(level);
        cell.maintenance = ok.is_multiple_of(2);
        prop_assert_eq!(Cell::decode(&cell.encode(number)), Ok((number, cell)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((number, cell)) = Cell::decode(&bytes) {
            prop_assert_eq!(cell.encode(number), bytes, "one way to write each cell");
        }
    }

    #[test]
    fn merging_in_any_order_is_measuring_everything(
        parts in proptest::collection::vec(proptest::collection::vec(0..9_000_u64, 0..9), 1..6),
    ) {
        let all: Vec<u64> = parts.iter().flatten().copied().collect();
        let merge = |parts: &mut dyn Iterator<Item = &Vec<u64>>| {
            let mut merged = Cell::default();
            parts.for_each(|part| merged.merge(&cell(0, part)));
            merged
        };
        let (forth, back) = (merge(&mut parts.iter()), merge(&mut parts.iter().rev()));
        prop_assert_eq!(&forth, &back);
        let whole = cell(0, &all);
        prop_assert_eq!(&forth.latencies, &whole.latencies);
        prop_assert_eq!((forth.min(), forth.max(), forth.mean()), (whole.min(), whole.max(), whole.mean()));
        prop_assert_eq!(forth.latencies.count(), all.len() as u64);
    }

    #[test]
    fn latencies_without_empty_buckets_answer_as_a_histogram_does(
        millis in proptest::collection::vec(0..100_000_u64, 1..80), percent in 0..=100_u32,
    ) {
        let mut dense = mainstay_core::measure::histogram::Histogram::new();
        let mut sparse = Latencies::default();
        for value in millis {
            dense.record(Duration::from_millis(value));
            sparse.record(Duration::from_millis(value));
        }
        prop_assert_eq!(&Latencies::from(&dense), &sparse);
        let q = Ratio::percent(percent);
        let (exact, found) = (dense.quantile(q).unwrap(), sparse.quantile(q).unwrap());
        prop_assert!(exact <= found && found <= exact + exact / 16 + Duration::from_nanos(1));
    }
}
