//! One question and its answer, as bytes (RFC 1035; AAAA by RFC 3596, SRV by RFC 2782).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::RecordType;

/// The longest name, with its lengths, as bytes.
const NAME_MAX: usize = 255;
/// The most bytes of an answer that a resolver may send over UDP; the same as unbound's and BIND's
/// default.
pub(super) const UDP_MAX: usize = 1232;
/// The most records that are read.
const RECORDS_MAX: usize = 256;

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0 is no error.
    pub(super) code: u8,
    /// Whether it did not fit and is to be asked for over TCP.
    pub(super) cut: bool,
    /// The records of the type that was asked for, as text, sorted, each once.
    pub(super) records: Vec<String>,
}

/// A question of `name`, which must be one that [`is_name`] takes.
pub(super) fn question(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len() + 32);
    bytes.extend_from_slice(&id.to_be_bytes());
    // Recursion is desired; one question, and one record that says how much we take.
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.number().to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    // OPT (RFC 6891): the root, type 41, how much we take, nothing else.
    bytes.extend_from_slice(&[0, 0, 41]);
    bytes.extend_from_slice(&u16::try_from(UDP_MAX).unwrap_or(512).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    bytes
}

/// Whether a question can be about `name`.
pub(super) fn is_name(name: &str) -> bool {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(fits);
    bare.len() < NAME_MAX - 1 && bare.split('.').all(label)
}

/// The answer to the question of that id, name and type; nothing when `bytes` are not one.
pub(super) fn answer(bytes: &[u8], id: u16, name: &str, kind: RecordType) -> Option<Answer> {
    let mut at = 12;
    let number = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let flags = number(2)?;
    if number(0)? != id || flags & 0x8000 == 0 || flags & 0x7800 != 0 || number(4)? != 1 {
        return None;
    }
    let asked = read_name(bytes, &mut at)?;
    let bare = name.trim_end_matches('.');
    if !asked.eq_ignore_ascii_case(bare) || number(at)? != kind.number() || number(at + 2)? != 1 {
        return None;
    }
    at += 4;
    let (code, cut) = (u8::try_from(flags & 0xF).ok()?, flags & 0x0200 != 0);
    let mut records = Vec::new();
    for _ in 0..usize::from(number(6)?).min(RECORDS_MAX) {
        let read = record(bytes, &mut at, kind);
        match read {
            Some(Some(text)) => records.push(text),
            Some(None) => {}
            // Where the answer was cut, its last record may be, too.
            None if cut => break,
            None => return None,
        }
    }
    records.sort();
    records.dedup();
    Some(Answer { code, cut, records })
}

/// A record: its text, or nothing when it is of another type.
fn record(bytes: &[u8], at: &mut usize, kind: RecordType) -> Option<Option<String>> {
    read_name(bytes, at)?;
    let head = bytes.get(*at..*at + 10)?;
    let found = u16::from_be_bytes([head[0], head[1]]);
    let class = u16::from_be_bytes([head[2], head[3]]);
    let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
    let start = *at + 10;
    let data = bytes.get(start..start + length)?;
    *at = start + length;
    if found != kind.number() || class != 1 {
        return Some(None);
    }
    let name = |skip: usize| {
        let mut at = start + skip;
        let name = read_name(bytes, &mut at)?;
        (at == start + length).then_some(name)
    };
    let number = |at: usize| Some(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]));
    let text = match kind {
        RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
        RecordType::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
        RecordType::Cname | RecordType::Ns | RecordType::Ptr => name(0)?,
        RecordType::Mx => format!("{} {}", number(0)?, name(2)?),
        RecordType::Srv => format!("{} {} {} {}", number(0)?, number(2)?, number(4)?, name(6)?),
        RecordType::Txt => texts(data)?,
    };
    Some(Some(text))
}

/// The strings of a TXT record, put together.
fn texts(mut data: &[u8]) -> Option<String> {
    let mut all = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        all.extend_from_slice(rest.get(..usize::from(*length))?);
        data = &rest[usize::from(*length)..];
    }
    Some(String::from_utf8_lossy(&all).into_owned())
}

/// A name, in small letters and without its last dot. Pointers lead backwards only, so that none
/// leads in a circle.
fn read_name(bytes: &[u8], at: &mut usize) -> Option<String> {
    let (mut name, mut here, mut end, mut lowest) = (String::new(), *at, None, *at);
    let mut length = 1;
    loop {
        let first = usize::from(*bytes.get(here)?);
        match first >> 6 {
            0 if first == 0 => {
                *at = end.unwrap_or(here + 1);
                return Some(name);
            }
            0 => {
                length += first + 1;
                let label = bytes.get(here + 1..here + 1 + first)?;
                if length > NAME_MAX {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                label.iter().for_each(|byte| push(&mut name, *byte));
                here += first + 1;
            }
            3 => {
                let to = (first & 0x3F) << 8 | usize::from(*bytes.get(here + 1)?);
                if to >= lowest {
                    return None;
                }
                end = end.or(Some(here + 2));
                (here, lowest) = (to, to);
            }
            _ => return None,
        }
    }
}

fn push(name: &mut String, byte: u8) {
    if byte.is_ascii_graphic() && !matches!(byte, b'.' | b'\\') {
        name.push(char::from(byte.to_ascii_lowercase()));
    } else {
        write!(name, "\\{byte:03}").expect("writing to a string cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer to that question, with records whose data are given.
    fn answered(question: &[u8], flags: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        // Without its last record, which is ours.
        let mut bytes = question[..question.len() - 11].to_vec();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        bytes[10..12].copy_from_slice(&[0, 0]);
        for (kind, data) in records {
            bytes.extend_from_slice(&[0xC0, 12]);
            bytes.extend_from_slice(&kind.to_be_bytes());
            bytes.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    const OK: u16 = 0x8180;

    #[test]
    fn a_question_is_the_bytes_that_the_standard_says() {
        let wanted =
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01a\x02bc\x00\x00\x1c\x00\x01\
                       \x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
        assert_eq!(question(0x1234, "a.bc.", RecordType::Aaaa), wanted);
    }

    #[test]
    fn records_of_every_type_are_read_as_people_write_them() {
        let cases: [(RecordType, Vec<u8>, &str); 8] = [
            (RecordType::A, vec![192, 0, 2, 1], "192.0.2.1"),
            (RecordType::Aaaa, [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1]].concat(), "2001:db8::1"),
            (RecordType::Cname, b"\x01W\xC0\x0C".to_vec(), "w.ab.c"),
            (RecordType::Ns, b"\x02ns\x00".to_vec(), "ns"),
            (RecordType::Ptr, b"\x01x\x01y\x00".to_vec(), "x.y"),
            (RecordType::Mx, b"\x00\x0a\x02mx\xC0\x0C".to_vec(), "10 mx.ab.c"),
            (RecordType::Srv, b"\x00\x01\x00\x02\x01\xbb\x01s\x00".to_vec(), "1 2 443 s"),
            (RecordType::Txt, b"\x03v=1\x02; ".to_vec(), "v=1; "),
        ];
        for (kind, data, text) in cases {
            let asked = question(7, "Ab.c", kind);
            let bytes = answered(&asked, OK, &[(99, vec![1]), (kind.number(), data)]);
            let read = answer(&bytes, 7, "ab.C.", kind).unwrap();
            assert_eq!(read, Answer { code: 0, cut: false, records: vec![text.into()] });
        }
    }

    #[test]
    fn what_answers_another_question_is_no_answer() {
        let asked = question(7, "a.b", RecordType::A);
        let good = answered(&asked, OK, &[(1, vec![1, 2, 3, 4])]);
        assert!(answer(&good, 7, "a.b", RecordType::A).is_some());
        assert!(answer(&good, 8, "a.b", RecordType::A).is_none(), "another id");
        assert!(answer(&good, 7, "a.c", RecordType::A).is_none(), "another name");
        assert!(answer(&good, 7, "a.b", RecordType::Ns).is_none(), "another type");
        assert!(answer(&answered(&asked, 0x0100, &[]), 7, "a.b", RecordType::A).is_none());
        let none = answer(&answered(&asked, 0x8183, &[]), 7, "a.b", RecordType::A).unwrap();
        assert_eq!((none.code, none.cut), (3, false));
        let circle = answered(&asked, OK, &[(2, b"\xC0\x25".to_vec())]);
        assert!(answer(&circle, 7, "a.b", RecordType::Ns).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), keep: bool) {
            let asked = question(7, "a.b", RecordType::Srv);
            if keep && bytes.len() > 40 {
                // Far enough to be read: the head is that of an answer.
                let head = answered(&asked, OK, &[]);
                bytes[..head.len()].copy_from_slice(&head);
                bytes[7] = 9;
            }
            for kind in RecordType::ALL {
                drop(answer(&bytes, 7, "a.b", kind));
            }
        }

        #[test]
        fn a_name_is_read_as_it_was_asked(labels in proptest::collection::vec("[a-z0-9_-]{1,20}", 1..9)) {
            let name = labels.join(".");
            prop_assert!(is_name(&name));
            let asked = question(1, &name, RecordType::A);
            let mut at = 12;
            prop_assert_eq!(read_name(&asked, &mut at), Some(name.clone()));
            let bytes = answered(&asked, OK, &[]);
            prop_assert!(answer(&bytes, 1, &name, RecordType::A).is_some());
            for end in 0..bytes.len() {
                prop_assert!(answer(&bytes[..end], 1, &name, RecordType::A).is_none());
            }
        }
    }
}
