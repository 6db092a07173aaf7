//! Messages in the form of Protocol Buffers: as much as two requests and their answers need.

/// A message as far as it is written. What is empty or zero is not written, which is how it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const DELIMITED: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl Message {
    pub(super) fn end(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.number_always(field, value);
        }
    }

    /// Also a zero, where it means more than nothing.
    pub(super) fn number_always(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | VARINT);
        self.varint(value);
    }

    pub(super) fn eight_bytes(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.eight_bytes_always(field, value);
        }
    }

    /// Also a zero, where it means more than nothing.
    pub(super) fn eight_bytes_always(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | EIGHT_BYTES);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn double_always(&mut self, field: u64, value: f64) {
        self.eight_bytes_always(field, value.to_bits());
    }

    pub(super) fn four_bytes(&mut self, field: u64, value: u32) {
        if value != 0 {
            self.varint(field << 3 | FOUR_BYTES);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    pub(super) fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.delimited(field, text.as_bytes());
        }
    }

    /// Also nothing, where it means more than that it is not said.
    pub(super) fn delimited(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | DELIMITED);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Numbers of eight bytes, one behind the other.
    pub(super) fn packed(&mut self, field: u64, numbers: impl IntoIterator<Item = u64>) {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        if !bytes.is_empty() {
            self.delimited(field, &bytes);
        }
    }

    pub(super) fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.delimited(field, &inner.0);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            // The lowest seven bits, and that there are more.
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

/// What stands at `field` of a message: the last of its kind counts. None when the message is none.
pub(super) fn find(mut bytes: &[u8], field: u64) -> Option<Found<'_>> {
    let mut found = Found::Nothing;
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let value = match key & 7 {
            VARINT => Found::Number(take_varint(&mut bytes)?),
            EIGHT_BYTES => take(&mut bytes, 8).map(|_| Found::Nothing)?,
            FOUR_BYTES => take(&mut bytes, 4).map(|_| Found::Nothing)?,
            DELIMITED => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                Found::Bytes(take(&mut bytes, length)?)
            }
            _ => return None,
        };
        if key >> 3 == field {
            found = value;
        }
    }
    Some(found)
}

/// What stands somewhere in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Nothing,
    Number(u64),
    Bytes(&'a [u8]),
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = bytes.split_at_checked(length)?;
    *bytes = left;
    Some(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = *take(bytes, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_again() {
        let mut message = Message::default();
        message.number(1, 300);
        message.eight_bytes(2, 7);
        message.four_bytes(3, 7);
        message.text(4, "testing");
        message.message(5, |inner| inner.number(1, u64::MAX));
        message.number(6, 0);
        let bytes = message.end();
        assert_eq!(&bytes[..3], &[0x08, 0xac, 0x02], "the example of the format's description");
        assert_eq!(find(&bytes, 1), Some(Found::Number(300)));
        assert_eq!(find(&bytes, 4), Some(Found::Bytes(b"testing")));
        let Some(Found::Bytes(inner)) = find(&bytes, 5) else { panic!("a message") };
        assert_eq!(find(inner, 1), Some(Found::Number(u64::MAX)));
        assert_eq!(find(&bytes, 6), Some(Found::Nothing));
    }

    #[test]
    fn what_breaks_off_or_is_none_is_seen() {
        let mut message = Message::default();
        message.text(1, "testing");
        let bytes = message.end();
        for length in 1..bytes.len() {
            assert_eq!(find(&bytes[..length], 1), None, "{length}");
        }
        assert_eq!(find(&[0x0b], 1), None);
        assert_eq!(find(&[0xff; 12], 1), None);
        assert_eq!(find(&[], 1), Some(Found::Nothing));
    }
}
