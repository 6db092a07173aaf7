//! The command `mainstay`.

mod args;
mod cmd;
mod exit;
mod exported;
mod files;
mod ids;
mod lines;
mod logging;
mod out;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use exit::Failure;

fn main() -> ExitCode {
    let line = args::with_separator(std::env::args_os());
    // Nagios takes 2 for *critical*: whoever asks it wrongly learns nothing.
    let checks = line.get(1).is_some_and(|command| command == "check");
    let cli = match Cli::try_parse_from(line) {
        Err(error) if checks && error.use_stderr() => {
            // Where it cannot be written nobody reads it.
            drop(error.print());
            return cmd::check::UNKNOWN.into();
        }
        Err(error) => error.exit(),
        Ok(cli) => cli,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli.command));
            // Reading standard input cannot be interrupted: nobody waits for it.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Failure::environment(format!("no threads can be started: {error}"))),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            if !failure.message.is_empty() {
                out::error(&format!("error: {}", failure.message));
            }
            failure.code.into()
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(args) => cmd::serve::run(&args).await,
        Command::Hold(args) => cmd::hold::run(&args).await,
        Command::Ws(args) => cmd::ws::run(&args).await,
        Command::Alerts(args) => cmd::alerts::run(&args).await,
        Command::Sessions(args) => cmd::sessions::run(&args).await,
        Command::Check(args) => cmd::check::run(&args).await,
        Command::Top(args) => cmd::top::run(&args).await,
        Command::Key(args) => cmd::key::run(&args),
        Command::Id(args) => cmd::id::run(&args).await,
        Command::Fault(args) => cmd::fault::run(&args).await,
        Command::Load(args) => cmd::load::run(&args).await,
        Command::Call(args) => cmd::call::run(args).await,
        Command::Config(args) => cmd::config::run(&args),
        Command::Completions { shell } => Ok(cmd::completions(shell)),
    }
}
