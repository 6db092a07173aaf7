//! `docs/protocol.md` and `docs/defaults.md` say what the code does.

use std::collections::BTreeSet;

use mainstay_core::config::duration;
use mainstay_wire::{
    Decoded, FRAME_MAX, META_MAX, NESTING_MAX, RETRY_MAX, SUBPROTOCOL, close_codes_as_markdown,
    decode, encode,
};

const PAGE: &str = include_str!("../../../../docs/protocol.md");
const DEFAULTS: &str = include_str!("../../../../docs/defaults.md");

#[test]
fn the_page_of_defaults_has_each_limit_once() {
    let mut rows: Vec<&str> = DEFAULTS.lines().filter(|row| row.starts_with("| `wire.")).collect();
    for (name, value) in [
        ("frame_max", FRAME_MAX.to_string()),
        ("meta_max", META_MAX.to_string()),
        ("nesting_max", NESTING_MAX.to_string()),
        ("retry_max", duration::text(RETRY_MAX)),
    ] {
        let start = format!("| `wire.{name}` | {value} | ");
        let index = rows.iter().position(|row| row.starts_with(&start));
        rows.remove(index.unwrap_or_else(|| panic!("no row {start}")));
    }
    assert_eq!(rows, [""; 0], "rows that nothing stands behind");
}

#[test]
fn the_page_shows_the_table_of_close_codes() {
    let (_, rest) = PAGE.split_once("<!-- close codes: begin -->\n").expect("it begins");
    let (table, _) = rest.split_once("<!-- close codes: end -->\n").expect("it ends");
    assert_eq!(table, close_codes_as_markdown());
}

#[test]
fn every_example_on_the_page_is_a_frame_as_we_write_it() {
    let mut tags = BTreeSet::new();
    let blocks = PAGE.split("```json\n").skip(1);
    for block in blocks {
        let (lines, _) = block.split_once("```").expect("it ends");
        for line in lines.lines() {
            let Ok(Decoded::Known(frame)) = decode(line, FRAME_MAX) else {
                panic!("not a frame: {line}");
            };
            let mut out = String::new();
            encode(&frame, &mut out);
            assert_eq!(out, line);
            tags.insert(frame.tag());
        }
    }
    let all = [
        "ack", "auth", "bye", "err", "hb", "hello", "meta", "msg", "ping", "pong", "suspend",
        "welcome",
    ];
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), all, "each has an example");
    assert!(PAGE.contains(&format!("`{SUBPROTOCOL}`")));
}
