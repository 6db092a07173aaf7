//! Server-sent events, taken out of bytes as they come.

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Where it stands; also without anything said.
    pub(super) id: Option<String>,
    pub(super) data: String,
}

/// Bytes that are not a whole event yet.
#[derive(Debug, Default)]
pub(super) struct Events {
    bytes: Vec<u8>,
    event: Event,
    /// The last line ended with `\r`: a `\n` that follows belongs to it.
    returned: bool,
}

/// An event is longer than any of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Bytes of one event, at most.
const LONGEST: usize = 1 << 20;

impl Events {
    /// Takes bytes in; answers the events that they complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_return = std::mem::take(&mut self.returned);
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.returned = *byte == b'\r';
                    events.extend(self.line());
                }
                _ if self.bytes.len() + self.event.data.len() >= LONGEST => return Err(TooLong),
                byte => self.bytes.push(*byte),
            }
        }
        Ok(events)
    }

    /// A line is whole. An empty one ends an event.
    fn line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.bytes);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (event != Event::default()).then_some(event);
        }
        let line = String::from_utf8_lossy(&line);
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Names stand in the data, too; lines that begin with `:` are there to keep it open.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: Option<&str>, data: &str) -> Event {
        Event { id: id.map(String::from), data: data.into() }
    }

    #[test]
    fn events_are_found_wherever_the_bytes_are_cut() {
        let text = ": hello\n\nid: 7\nevent: a\ndata: {\"x\":1}\n\nid:8\r\n\r\ndata: one\rdata: two\r\r\
                    data: no end";
        let wanted = [event(Some("7"), "{\"x\":1}"), event(Some("8"), ""), event(None, "one\ntwo")];
        for size in 1..=text.len() {
            let mut events = Events::default();
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                found.extend(events.take(piece).unwrap());
            }
            assert_eq!(found, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut events = Events::default();
        assert_eq!(events.take(&vec![b'x'; LONGEST + 1]), Err(TooLong));
        let mut events = Events::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1024], b"\n"].concat();
        let ended = (0..2 * LONGEST / 1024).any(|_| events.take(&line).is_err());
        assert!(ended);
    }
}
