//! The project's own commands. `cargo xtask --help` lists them.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its user")]

mod autobahn;
mod dashboard;
mod exports;
mod flaky;
mod install;
mod kills;
mod peers;
mod servers;
mod step;
mod suite;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

usage: cargo xtask <command> [options]

  test                   every check of this repository, cheap ones first (`ci` is the same)
  tidy                   the rules that no compiler checks: arrows, sizes, names, promises
  dashboard              builds the dashboard, compares, and looks at it in a real browser
  exports                rules, Grafana's dashboard and /metrics, with a real Prometheus
  bench [--write] [part] cost beside peers and bounds, in one run; part is a section's name
  conformance [--write] [--ours]
                         which promises hold for us and for the libraries beside us
  flap [--ours]          how often a client dials a server that drops it, in 20 s
  flaky [clients seconds]
                         clients whose connections break all the time, and what the server counts
  mint-kills [kills]     clients that mint ids while the authority is killed again and again
  autobahn               the WebSocket conformance suite, where there is a Python 2.7

  --write                also write the tables into docs/
  --help                 this text, or a command's own
";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = if arguments.is_empty() { String::new() } else { arguments.remove(0) };
    let wants_help = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    let root = root();
    let result = match command.as_str() {
        "test" | "ci" if wants_help => say(suite::HELP),
        "tidy" if wants_help => say(tidy::HELP),
        "bench" if wants_help => say(peers::BENCH_HELP),
        "conformance" if wants_help => say(peers::CONFORMANCE_HELP),
        "flap" if wants_help => say(peers::FLAP_HELP),
        "flaky" if wants_help => say(flaky::HELP),
        "mint-kills" if wants_help => say(kills::HELP),
        "autobahn" if wants_help => say(autobahn::HELP),
        "test" | "ci" => no_more(&arguments).and_then(|()| suite::all(&root)),
        "dashboard" if wants_help => say(dashboard::HELP),
        "dashboard" => no_more(&arguments).and_then(|()| dashboard::check(&root)),
        "exports" if wants_help => say(exports::HELP),
        "exports" => no_more(&arguments).and_then(|()| exports::check(&root)),
        "tidy" => no_more(&arguments).and_then(|()| tidy::run(&root)),
        "bench" => peers::bench(&root, &arguments),
        "conformance" => peers::conformance(&root, &arguments),
        "flap" => peers::flap(&root, arguments),
        "flaky" => flaky::run(&root, &arguments),
        "mint-kills" => kills::run(&root, &arguments),
        "autobahn" => no_more(&arguments).and_then(|()| autobahn::run(&root)),
        "--help" | "-h" | "help" => say(HELP),
        "" => Err(Failure::Usage(HELP.into())),
        other => Err(Failure::Usage(format!("there is no command `{other}`\n\n{HELP}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
        Err(Failure::Check(text)) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
        Err(Failure::Environment(text)) => {
            eprintln!("error: {text}");
            ExitCode::from(3)
        }
    }
}

/// Why a command did not succeed, by who must act.
#[derive(Debug)]
enum Failure {
    /// The person who typed the command.
    Usage(String),
    /// The person who changed the code.
    Check(String),
    /// The person who owns the machine.
    Environment(String),
}

fn say(text: &str) -> Result<(), Failure> {
    print!("{text}");
    Ok(())
}

fn no_more(arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(Failure::Usage(format!("unknown argument `{argument}`, see --help"))),
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
