//! Any text is a duration or refused; what is one can be written, and reads back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_core::config::duration::{parse, text};

fuzz_target!(|input: &str| {
    if let Ok(duration) = parse(input) {
        assert_eq!(parse(&text(duration)), Ok(duration));
    }
});
