//! A WebSocket client without a library: the bytes of its frames, and those of a server.

use std::ops::Range;

/// Where every server upgrades.
pub const PATH: &str = "/v1/connect";
/// The first words of a client of ours.
pub const HELLO: &str = r#"{"t":"hello","v":1,"client":{"type":"bench","version":"1"}}"#;
pub const TEXT: u8 = 1;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The request that asks for a WebSocket.
pub fn upgrade() -> String {
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: mainstay.v1\r\n\r\n"
    )
}

/// The length of the server's answer to it, once it is whole.
pub fn upgraded(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    assert!(bytes.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(bytes));
    Some(end)
}

/// Appends a frame of a client, masked with zeros: the server has the same work with any mask.
pub fn push(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match u8::try_from(payload.len()) {
        Ok(length @ 0..=125) => out.push(0x80 | length),
        _ => {
            let length = u16::try_from(payload.len()).expect("frames are short");
            out.push(0x80 | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// A frame of the server at the start of `bytes`: what it is, where its payload is, once whole.
pub fn frame(bytes: &[u8]) -> Option<(u8, Range<usize>)> {
    let opcode = bytes.first()? & 0x0f;
    let short = usize::from(bytes.get(1)? & 0x7f);
    let (head, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, short),
    };
    let payload = head..head + length;
    bytes.get(payload.clone()).map(|_| (opcode, payload))
}
