//! `mainstay id validate`

use std::io::{self, BufRead, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chittyid::{ChecksumStatus, ChittyId, Profiles, parse};
use serde::Serialize;

use crate::args::ValidateArgs;
use crate::exit::{Failure, chain, ok_if};
use crate::out;

/// Bytes of a line that are looked at: no id has nearly as many.
pub(super) const LINE_MAX: usize = 1_024;
/// Characters that are shown of what is no id.
const SHOWN_MAX: usize = 64;
/// What is read, and what is written, at once.
const PIECE: usize = 256 * 1024;
/// How often progress is shown, and after how many ids the clock is looked at.
const PROGRESS: Duration = Duration::from_millis(500);
const LOOK_EVERY: u64 = 1 << 16;

pub(super) fn run(args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let mut check = Check::new(args, io::BufWriter::with_capacity(PIECE, io::stdout().lock()));
    let mut has_input = false;
    for id in &args.ids {
        let written = if id != "-" {
            check.one(Found::Text(id), None)
        } else if has_input {
            return Err(Failure::usage("standard input can be read once only"));
        } else {
            has_input = true;
            let input = io::BufReader::with_capacity(PIECE, io::stdin().lock());
            check.lines(input)?
        };
        // Nobody reads any more, so nobody needs more.
        if !go_on(written)? {
            return Ok(ok_if(check.seen.invalid == 0));
        }
    }
    let ended = check.end(has_input || args.ids.len() > 1);
    go_on(ended)?;
    Ok(ok_if(check.seen.invalid == 0))
}

/// Whether there may still be a reader.
pub(super) fn go_on(written: io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            Err(Failure::environment(format!("the answer cannot be written: {}", chain(&error))))
        }
    }
}

/// What is written of each id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Nothing,
    Text { only_invalid: bool },
    Json { only_invalid: bool },
}

impl Form {
    const fn of(args: &ValidateArgs) -> Self {
        let only_invalid = args.invalid_only;
        match (args.quiet, args.json) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Json { only_invalid },
            (false, false) => Self::Text { only_invalid },
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    ids: u64,
    valid: u64,
    pub(super) invalid: u64,
    /// Of which nobody could be asked.
    #[serde(skip_serializing_if = "is_none")]
    pub(super) unverified: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What came of a check.
pub(super) enum Outcome {
    /// Its profile, if that is known.
    Valid(Option<&'static str>),
    Invalid(String),
    /// Nobody could be asked.
    Unverified(String),
}

/// What there is to check.
pub(super) enum Found<'a> {
    Text(&'a str),
    /// So many bytes, of which the first are known.
    TooLong(&'a [u8], usize),
    NoText(&'a [u8]),
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// None when nobody could be asked.
    valid: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) struct Check<W> {
    accepted: Profiles,
    form: Form,
    has_progress: bool,
    shown_at: Instant,
    pub(super) seen: Counts,
    output: W,
}

impl<W: Write> Check<W> {
    pub(super) fn new(args: &ValidateArgs, output: W) -> Self {
        let is_piped = !io::stdout().is_terminal();
        Self {
            accepted: args.profile,
            form: Form::of(args),
            has_progress: is_piped && io::stderr().is_terminal() && !args.quiet,
            shown_at: Instant::now(),
            seen: Counts::default(),
            output,
        }
    }

    /// Every line of that; the outer error is one of reading, the inner one of writing.
    fn lines(&mut self, mut input: impl BufRead) -> Result<io::Result<()>, Failure> {
        let (mut line, mut number) = (Vec::with_capacity(LINE_MAX), 0);
        loop {
            let read = next_line(&mut input, &mut line).map_err(|error| {
                Failure::environment(format!("standard input cannot be read: {}", chain(&error)))
            })?;
            let Some(length) = read else { return Ok(Ok(())) };
            number += 1;
            let found = match std::str::from_utf8(&line) {
                _ if length > LINE_MAX => Found::TooLong(&line, length),
                Ok(text) => Found::Text(text),
                Err(_) => Found::NoText(&line),
            };
            if let Err(error) = self.one(found, Some(number)) {
                return Ok(Err(error));
            }
            if number.is_multiple_of(LOOK_EVERY) {
                self.progress();
            }
        }
    }

    fn one(&mut self, found: Found<'_>, line: Option<u64>) -> io::Result<()> {
        let outcome = match &found {
            Found::Text(text) => match checked(text, self.accepted) {
                Ok(id) => Outcome::Valid(Some(id.profile().name())),
                Err(error) => Outcome::Invalid(error),
            },
            Found::TooLong(_, length) => {
                Outcome::Invalid(chittyid::Error::TooLong { length: *length }.to_string())
            }
            Found::NoText(_) => Outcome::Invalid("the line is no UTF-8".to_owned()),
        };
        self.tell(&found, line, outcome)
    }

    /// Counts what came of a check, and writes it.
    pub(super) fn tell(
        &mut self,
        found: &Found<'_>,
        line: Option<u64>,
        outcome: Outcome,
    ) -> io::Result<()> {
        self.seen.ids += 1;
        let (count, valid, word) = match &outcome {
            Outcome::Valid(_) => (&mut self.seen.valid, Some(true), "valid"),
            Outcome::Invalid(_) => (&mut self.seen.invalid, Some(false), "invalid"),
            Outcome::Unverified(_) => (&mut self.seen.unverified, None, "unverified"),
        };
        *count += 1;
        let shown = match found {
            Found::Text(text) => shown(text),
            Found::TooLong(bytes, _) | Found::NoText(bytes) => {
                shown(&String::from_utf8_lossy(bytes))
            }
        };
        let (profile, error) = match outcome {
            Outcome::Valid(profile) => (profile, None),
            Outcome::Invalid(error) | Outcome::Unverified(error) => (None, Some(error)),
        };
        match (self.form, error) {
            (Form::Nothing, _)
            | (Form::Text { only_invalid: true } | Form::Json { only_invalid: true }, None) => {
                Ok(())
            }
            (Form::Json { .. }, error) => {
                self.json(&Line { id: &shown, line, valid, profile, error })
            }
            (Form::Text { .. }, None) => {
                let profile = profile.map(|profile| format!(", {profile}")).unwrap_or_default();
                writeln!(self.output, "{shown}: {word}{profile}")
            }
            (Form::Text { .. }, Some(error)) => {
                let shown: String = shown.escape_debug().collect();
                let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
                writeln!(self.output, "{shown}: {word}{line}: {error}")
            }
        }
    }

    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.output, line)?;
        self.output.write_all(b"\n")
    }

    pub(super) fn progress(&mut self) {
        if self.has_progress && self.shown_at.elapsed() >= PROGRESS {
            self.shown_at = Instant::now();
            let Counts { ids, invalid, .. } = self.seen;
            let shown = write!(io::stderr().lock(), "\r{ids} ids, {invalid} invalid");
            self.has_progress = shown.is_ok();
        }
    }

    /// What there was in all, where it `is_many`.
    pub(super) fn end(&mut self, is_many: bool) -> io::Result<()> {
        if self.has_progress {
            // What was drawn there goes away.
            drop(write!(io::stderr().lock(), "\r\x1b[K"));
        }
        if let Form::Json { .. } = self.form {
            let summary = serde_json::json!({ "summary": self.seen });
            self.json(&summary)?;
        }
        self.output.flush()?;
        if is_many && let Form::Text { .. } = self.form {
            let Counts { ids, valid, invalid, unverified } = self.seen;
            let unverified = match unverified {
                0 => String::new(),
                count => format!(", {count} unverified"),
            };
            out::error(&format!("{ids} ids: {valid} valid, {invalid} invalid{unverified}"));
        }
        Ok(())
    }
}

/// The id that it is, or why it is none.
fn checked(text: &str, accepted: Profiles) -> Result<ChittyId, String> {
    let id = parse(text, accepted).map_err(|error| error.to_string())?;
    match id.checksum() {
        ChecksumStatus::Mismatch { expected, found } => {
            Err(format!("its check digits are {found:02}, and must be {expected:02}"))
        }
        ChecksumStatus::Valid | ChecksumStatus::NotDefined | ChecksumStatus::NeedsContext => Ok(id),
    }
}

/// The start of what may be long.
fn shown(text: &str) -> String {
    let mut rest = text.chars();
    let start: String = rest.by_ref().take(SHOWN_MAX).collect();
    if rest.next().is_some() { start + "…" } else { start }
}

/// Reads a line without its end, and answers its length; none at the end. Of a long one, the first
/// bytes are kept.
pub(super) fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<usize>> {
    line.clear();
    let mut length = 0;
    loop {
        let piece = match input.fill_buf() {
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if piece.is_empty() && length == 0 {
            return Ok(None);
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = &piece[..end.unwrap_or(piece.len())];
        let is_over = end.is_some() || piece.is_empty();
        length += taken.len();
        // One more than is looked at: it may be the `\r` of the line's end.
        let room = (LINE_MAX + 1).saturating_sub(line.len()).min(taken.len());
        line.extend_from_slice(&taken[..room]);
        let read = taken.len() + usize::from(end.is_some());
        input.consume(read);
        if !is_over {
            // Even an empty piece of a line is one, where more follows.
            continue;
        }
        if length == line.len() && line.ends_with(b"\r") {
            line.pop();
            length -= 1;
        }
        return Ok(Some(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut input = io::BufReader::with_capacity(3, text);
        let (mut line, mut all) = (Vec::new(), Vec::new());
        while let Some(length) = next_line(&mut input, &mut line).unwrap() {
            all.push((length, line.clone()));
        }
        all
    }

    #[test]
    fn lines_come_without_their_ends_and_a_long_one_takes_no_memory() {
        let of = |all: Vec<(usize, Vec<u8>)>| -> Vec<String> {
            all.into_iter().map(|(_, line)| String::from_utf8(line).unwrap()).collect()
        };
        assert_eq!(of(lines(b"one\n\ntwo\r\nthree")), ["one", "", "two", "three"]);
        assert_eq!(of(lines(b"")), [""; 0]);
        assert_eq!(of(lines(b"\n")), [""]);
        assert_eq!(of(lines(b"abc\nabcdef\n")), ["abc", "abcdef"]);
        assert_eq!(of(lines(b"a\r")), ["a"]);
        let long = [vec![b'x'; 100_000], b"\nend".to_vec()].concat();
        let found = lines(&long);
        assert_eq!((found[0].0, found[0].1.len()), (100_000, LINE_MAX + 1));
        assert_eq!(found[1], (3, b"end".to_vec()));
        for bytes in [LINE_MAX, LINE_MAX + 1] {
            let text = [vec![b'x'; bytes], b"\r\n".to_vec()].concat();
            assert_eq!(lines(&text)[0].0 > LINE_MAX, bytes > LINE_MAX, "{bytes}");
        }
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(shown("ä"), "ä");
        let long = "ä".repeat(SHOWN_MAX + 1);
        assert_eq!(shown(&long), format!("{}…", "ä".repeat(SHOWN_MAX)));
    }
}
