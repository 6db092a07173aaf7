//! Standard output and standard error, for people and for pipes.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes a line to standard output. A reader that went away is no error: nobody is left to tell.
pub(crate) fn line(text: &str) {
    let mut stdout = io::stdout().lock();
    drop(writeln!(stdout, "{text}").and_then(|()| stdout.flush()));
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
