//! Rows of the store: read or refused, and what is read comes back when it is written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_registry::{EventId, SessionId};
use mainstay_store::EventKey;
use mainstay_store::row::beats::unpack;
use mainstay_store::row::{decode_event, decode_record, encode_event, encode_record};

fuzz_target!(|row: &[u8]| {
    let session = SessionId::from_bits(1);
    if let Ok(record) = decode_record(session, row) {
        assert_eq!(decode_record(session, &encode_record(&record)), Ok(record));
    }
    let key = EventKey { id: EventId { unix_ms: 1, nr: 1 }, session };
    if let Ok(event) = decode_event(key, row) {
        assert_eq!(decode_event(key, &encode_event(&event)), Ok(event));
    }
    let mut beats = 0;
    let read = unpack(row, &mut |_| beats += 1);
    assert!(read.is_err() || beats <= row.len());
});
