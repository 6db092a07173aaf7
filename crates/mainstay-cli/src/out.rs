//! Standard output and standard error, for people and for pipes.

use std::io::{self, IsTerminal as _, Write as _};

use crossterm::style::{Color, Stylize as _};

/// Writes a line to standard output. A reader that went away is no error: nobody is left to tell.
pub(crate) fn line(text: &str) {
    line_read(text);
}

/// The same; answers whether there may still be a reader.
pub(crate) fn line_read(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    !written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes bytes to standard output as they are.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Writes a line to standard error.
pub(crate) fn error(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Whether standard output may be coloured: a terminal, and nobody set `NO_COLOR`.
pub(crate) fn has_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    is_terminal() && !refused
}

/// Whether standard output is a terminal that can be drawn on.
pub(crate) fn is_terminal() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !dumb
}

/// How good news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Poor,
    Bad,
}

/// Writes a line to standard error, coloured where that is a terminal and nobody set `NO_COLOR`.
pub(crate) fn note(tone: Tone, text: &str) {
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    if !io::stderr().is_terminal() || is_colourless() {
        return error(&text);
    }
    let colour = match tone {
        Tone::Good => Color::Green,
        Tone::Poor => Color::Yellow,
        Tone::Bad => Color::Red,
    };
    error(&text.with(colour).to_string());
}

fn is_colourless() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    dumb || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
