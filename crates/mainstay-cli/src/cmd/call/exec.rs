//! A command under a policy.

use std::fmt;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;

use mainstay::classify::Attempt;
use mainstay::core::policy::outcome::Outcome;
use mainstay::operations::Operations;
use mainstay::retry::{CallError, Failure as Attempted};
use serde_json::json;

use super::policy::{self, Limits};
use super::report::{self, Progress};
use super::supervise::{Spec, Supervisor};
use crate::args::{CallArgs, CommandArgs};
use crate::exit::Failure;
use crate::out;
use crate::signals::Stop;

const NAME: &str = "exec";
/// Exit codes as shells and `timeout` give them.
const TIMED_OUT: u8 = 124;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// How a command ended other than well.
#[derive(Debug)]
pub(super) enum Ended {
    /// With this status.
    Status(ExitStatus),
    /// It could not be run.
    Unrunnable(std::io::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Unrunnable(error) => write!(f, "the command cannot be run: {error}"),
        }
    }
}

impl Ended {
    /// What it means for another attempt.
    fn outcome(&self, args: &CommandArgs) -> Outcome {
        match self {
            Self::Unrunnable(_) => Outcome::Permanent,
            Self::Status(status) => {
                let code = i32::from(code_of(*status));
                let again = args.retry_exit.is_empty() || args.retry_exit.contains(&code);
                let again = again && !args.stop_exit.contains(&code);
                if again { Outcome::TRANSIENT } else { Outcome::Permanent }
            }
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Status(status) => code_of(*status),
            Self::Unrunnable(error) if error.kind() == std::io::ErrorKind::NotFound => NOT_FOUND,
            Self::Unrunnable(_) => NOT_EXECUTABLE,
        }
    }
}

/// The code of a command as shells give it.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    u8::try_from(code.unwrap_or(1)).unwrap_or(1)
}

pub(super) async fn run(args: CallArgs) -> Result<ExitCode, Failure> {
    let limits = Limits { attempt_timeout: None, deadline: None };
    let policy = policy::build(&args.policy, &limits)?;
    let operations = Operations::default();
    let rules = args.command;
    let program = rules.command[0].clone();
    let spec = Spec {
        program: program.clone(),
        args: rules.command[1..].to_vec(),
        // A command that reads the terminal must stay in its foreground.
        own_group: !std::io::stdin().is_terminal(),
    };
    let supervisor = Arc::new(Supervisor::new(spec));
    let retry = policy::retry(NAME, &policy, &operations)?.classify_with(
        |result: &Result<(), Ended>, _: Attempt| match result {
            Ok(()) => Outcome::Success,
            Err(ended) => ended.outcome(&rules),
        },
    );
    let progress = Progress::start(&operations, policy.call.attempts, args.quiet);
    let stop = Stop::listen()?;
    let result = {
        let call = operations.execute(NAME, &retry, |_| supervisor.clone().run());
        tokio::select! {
            biased;
            signal = forward(stop, &supervisor) => Err(signal),
            result = call => Ok(result),
        }
    };
    let last = supervisor.finish().await;
    progress.finish().await;
    let record = report::record(&operations, NAME);
    let code = match &result {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => failed(error),
        // The command's own answer to the signal, or the signal when none was running.
        Err(signal) => last.map_or_else(|| signalled(*signal), code_of),
    };
    if let (Ok(Err(error)), false) = (&result, args.quiet) {
        out::error(&error.to_string());
    }
    if args.json {
        let what = json!({ "command": program.to_string_lossy(), "exit_code": code });
        out::error(&report::json(record.as_ref(), what).to_string());
    }
    Ok(code.into())
}

fn failed(error: &CallError<Ended>) -> u8 {
    if let Attempted::TimedOut = error.last.failure {
        return TIMED_OUT;
    }
    // When nothing ran in the last attempt, the last one that did has the say.
    error.error().map_or(TIMED_OUT, Ended::code)
}

fn signalled(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

/// Passes every signal on to the command; ends once one was passed on, or came while none ran, and
/// the command is over.
async fn forward(mut stop: Stop, supervisor: &Supervisor) -> i32 {
    let first = stop.next().await;
    supervisor.signal(first);
    loop {
        tokio::select! {
            biased;
            () = supervisor.idle() => return first,
            signal = stop.next() => supervisor.signal(signal),
        }
    }
}
