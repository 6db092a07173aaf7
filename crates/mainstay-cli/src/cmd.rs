//! What each command does.

pub(crate) mod alerts;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod fault;
pub(crate) mod hold;
pub(crate) mod id;
pub(crate) mod key;
pub(crate) mod load;
mod reach;
pub(crate) mod serve;
pub(crate) mod sessions;
pub(crate) mod top;
pub(crate) mod words;
pub(crate) mod ws;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::Cli;

/// Writes the completions of a shell to standard output.
pub(crate) fn completions(shell: clap_complete::Shell) -> ExitCode {
    let mut command = Cli::command();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "mainstay", &mut text);
    drop(crate::out::bytes(&text));
    ExitCode::SUCCESS
}
