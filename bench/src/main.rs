//! What Mainstay costs, beside its peers and beside the bounds of the machine.
//!
//! Everything is measured in one run, interleaved, so that ratios mean something on any machine.

mod allocations;
mod authority;
mod breakers;
mod durable;
mod executor;
mod idle;
mod ids;
mod limits;
mod measure;
mod memory;
mod monitor;
mod operators;
mod peers;
mod process;
mod raw;
mod report;
mod served;
mod servers;
mod sessions;
mod storm;
mod took;
mod websockets;
mod windows;

use std::process::ExitCode;

use report::{Report, Section};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, what] = arguments.as_slice() {
        let serves = match serve.as_str() {
            storm::SERVE => Some(storm::serve as fn(&str)),
            process::SERVE => Some(process::serve as fn(&str)),
            _ => None,
        };
        if let Some(serve) = serves {
            serve(what);
            return ExitCode::SUCCESS;
        }
    }
    let write = arguments.iter().any(|argument| argument == "--write");
    arguments.retain(|argument| argument != "--write");
    let part = arguments.first().map_or("", String::as_str);
    if part.starts_with("--") || arguments.len() > 1 || (write && !part.is_empty()) {
        eprintln!("usage: bench [--write] | bench <part of a section's name>");
        return ExitCode::from(2);
    }
    let mut report = Report::default();
    for section in sections().into_iter().filter(|section| section.name.contains(part)) {
        println!("{}", report.add(section));
    }
    if part.is_empty() || part == "storm" {
        println!("{}", report.storm(storm::run()));
    }
    if part.is_empty() {
        println!("{}", report.targets());
    }
    if write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
        if let Err(error) = std::fs::write(path, report.page()) {
            eprintln!("docs/performance.md cannot be written: {error}");
            return ExitCode::from(3);
        }
    }
    if report.misses_a_target() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn sections() -> Vec<Section> {
    let mut sections = breakers::sections();
    sections.extend(windows::sections());
    sections.extend(limits::sections());
    sections.extend(executor::sections());
    sections.extend(websockets::sections());
    sections.push(memory::section());
    sections.extend(sessions::sections());
    sections.extend(monitor::sections());
    sections.extend(durable::sections());
    sections.extend(idle::sections());
    sections.extend(served::sections());
    sections.extend(operators::sections());
    sections.extend(ids::sections());
    sections.extend(authority::sections());
    sections
}
