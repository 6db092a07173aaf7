//! The same promises, asked of Mainstay and of the libraries beside it.
//!
//! Every verdict is a run of the real library through a small adapter. A promise that a library has
//! no means to keep or break is *not expressible* and counts neither way.

mod backoff;
mod breaker;
mod budget;
mod flap;
mod limiter;
mod report;
mod subjects;

use std::process::ExitCode;

use report::{Report, Subject};
use subjects::{backon, failsafe, governor, ours, recloser, tower, tower_resilience};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let known = ["--ours", "--write", "flap"];
    if let Some(unknown) = arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        eprintln!("unknown argument `{unknown}`; known: {}", known.join(" "));
        return ExitCode::from(2);
    }
    if arguments.iter().any(|argument| argument == "flap") {
        let flap = flap::run(arguments.iter().any(|argument| argument == "--ours"));
        print!("{}", flap.table());
        return if flap.ours_is_calm() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    // A panic of a library is a verdict, not a message.
    std::panic::set_hook(Box::new(|_| {}));
    let only_ours = arguments.iter().any(|argument| argument == "--ours");
    let report = Report::new(subjects(only_ours));
    print!("{}", report.table());
    println!("\n{}", report.notes());
    println!("{}", report.summary());
    let flap = flap::run(only_ours);
    println!("\n{}", flap.table());
    if arguments.iter().any(|argument| argument == "--write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");
        if let Err(error) = std::fs::write(path, format!("{}\n{}", report.page(), flap.section())) {
            eprintln!("docs/conformance.md cannot be written: {error}");
            return ExitCode::from(3);
        }
    }
    if report.ours_keeps_all() && flap.ours_is_calm() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn subjects(only_ours: bool) -> Vec<Subject> {
    let mut subjects = vec![
        Subject::new("mainstay-core")
            .with(breaker::ask::<ours::Breaker>)
            .with(backoff::ask::<ours::Backoff>)
            .with(budget::ask::<ours::Budget>)
            .with(limiter::ask::<ours::Limiter>),
    ];
    if !only_ours {
        subjects.extend([
            Subject::new("recloser").with(breaker::ask::<recloser::Breaker>),
            Subject::new("failsafe").with(breaker::ask::<failsafe::Breaker>),
            Subject::new("tower-resilience-circuitbreaker")
                .with(breaker::ask::<tower_resilience::Breaker>),
            Subject::new("tower-resilience-retry")
                .with(backoff::ask::<tower_resilience::Backoff>)
                .with(budget::ask::<tower_resilience::Budget>),
            Subject::new("tower")
                .with(backoff::ask::<tower::Backoff>)
                .with(budget::ask::<tower::Budget>)
                .with(limiter::ask::<tower::Limiter>),
            Subject::new("backon").with(backoff::ask::<backon::Backoff>),
            Subject::new("governor").with(limiter::ask::<governor::Limiter>),
        ]);
    }
    subjects
}
