//! How the process ends: 0 ok, 1 the thing asked about is not ok, 2 usage, 3 environment.

use std::error::Error;
use std::process::ExitCode;

/// The thing asked about is not ok.
pub(crate) const NOT_OK: u8 = 1;
/// The command line or the configuration is wrong.
pub(crate) const USAGE: u8 = 2;
/// The machine does not let it: an address is taken, a file cannot be written.
pub(crate) const ENVIRONMENT: u8 = 3;
/// Interrupted from the keyboard, as shells number it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command did not do what it was asked, and the code it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// What is told on standard error; nothing when empty.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self { code: ENVIRONMENT, message: message.into() }
    }
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}

/// 0 or 1.
pub(crate) fn ok_if(ok: bool) -> ExitCode {
    if ok { ExitCode::SUCCESS } else { NOT_OK.into() }
}
