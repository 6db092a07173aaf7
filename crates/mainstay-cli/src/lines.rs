//! Lines of standard input, of which no one is longer than it may be.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Text(String),
    /// It was longer than it may be, and was skipped.
    TooLong,
    /// It was no UTF-8, and was skipped.
    NoText,
}

pub(crate) struct Lines<R> {
    reader: R,
    /// Bytes of the longest line.
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) const fn new(reader: R, max: usize) -> Self {
        Self { reader, max }
    }

    /// The next line; none at the end. What of a line was read is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        let (mut line, mut length) = (Vec::new(), 0);
        loop {
            let piece = self.reader.fill_buf().await?;
            if piece.is_empty() {
                return Ok((length > 0).then(|| self.finish(line, length)));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let taken = &piece[..end.unwrap_or(piece.len())];
            length += taken.len();
            // One more than allowed: it may be the `\r` of the line's end.
            let room = (self.max + 1).saturating_sub(line.len()).min(taken.len());
            line.extend_from_slice(&taken[..room]);
            let read = taken.len() + usize::from(end.is_some());
            self.reader.consume(read);
            if end.is_some() {
                return Ok(Some(self.finish(line, length)));
            }
        }
    }

    fn finish(&self, mut line: Vec<u8>, mut length: usize) -> Line {
        if length == line.len() && line.ends_with(b"\r") {
            line.pop();
            length -= 1;
        }
        if length > self.max {
            return Line::TooLong;
        }
        String::from_utf8(line).map_or(Line::NoText, Line::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8], max: usize) -> Vec<Line> {
        // A small buffer, so that lines come in pieces.
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(3, text), max);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn lines_come_without_their_ends() {
        let text = |text: &str| Line::Text(text.into());
        let found = all(b"one\n\ntwo\r\nthree \xc3\xa4", 10).await;
        assert_eq!(found, [text("one"), text(""), text("two"), text("three ä")]);
        assert_eq!(all(b"", 10).await, []);
        assert_eq!(all(b"a\n", 10).await, [text("a")]);
    }

    #[tokio::test]
    async fn what_is_too_long_or_no_text_is_skipped_alone() {
        let text = |text: &str| Line::Text(text.into());
        let found = all(b"12345\n123456\n12345\r\n123456\r\n1234567\r\n\xff\nok", 5).await;
        let wanted = [
            text("12345"),
            Line::TooLong,
            text("12345"),
            Line::TooLong,
            Line::TooLong,
            Line::NoText,
            text("ok"),
        ];
        assert_eq!(found, wanted);
    }
}
