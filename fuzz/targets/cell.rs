//! Any bytes as a cell of the history: refused, or read as something that is written the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_monitor::series::{Cell, Collector};

fuzz_target!(|bytes: &[u8]| {
    let Ok((number, cell)) = Cell::decode(bytes) else { return };
    assert_eq!(cell.encode(number), bytes);
    let mut twice = cell.clone();
    twice.merge(&cell);
    assert_eq!(Cell::decode(&twice.encode(number)), Ok((number, twice)));
    let mut collector = Collector::new();
    assert_eq!(collector.push(number, &cell).len(), 4);
});
