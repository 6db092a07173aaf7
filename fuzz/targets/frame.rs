//! Any text is a frame or refused; what is a frame can be written, and reads back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_wire::{Decoded, FRAME_MAX, decode, encode};

fuzz_target!(|text: &str| {
    match decode(text, FRAME_MAX) {
        Ok(Decoded::Known(frame)) => {
            let mut out = String::new();
            encode(&frame, &mut out);
            // Control characters grow when they are escaped, so the copy may be longer.
            assert_eq!(decode(&out, usize::MAX), Ok(Decoded::Known(frame)));
        }
        Ok(Decoded::Unknown { tag }) => assert!(tag.chars().count() <= 32),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
