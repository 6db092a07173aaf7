//! `mainstay call`

mod exec;
mod policy;
mod report;
mod request;
mod supervise;

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use crate::args::{CallArgs, Cli};
use crate::exit::Failure;

pub(crate) async fn run(args: Box<CallArgs>) -> Result<ExitCode, Failure> {
    let is_command = args.command.exec || !args.command.command.is_empty();
    match (&args.url, is_command) {
        (Some(_), true) => Err(usage("a URL and a command cannot be called at the same time")),
        (None, false) => Err(usage("what to call is missing: a URL, or --exec COMMAND")),
        (None, true) if args.command.command.is_empty() => Err(usage("--exec needs a command")),
        (None, true) => exec::run(*args).await,
        (Some(url), false) => request::run(&args, url).await,
    }
}

/// A mistake in the command line, with the usage, as clap tells its own.
fn usage(message: &str) -> Failure {
    let mut command = Cli::command();
    command.build();
    let call = command.find_subcommand_mut("call");
    let call = call.expect("the command exists");
    let error = call.error(ErrorKind::MissingRequiredArgument, message);
    let text = error.render().to_string();
    let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned();
    Failure::usage(message)
}
