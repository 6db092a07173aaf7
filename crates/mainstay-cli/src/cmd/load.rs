//! `mainstay load`

mod book;
mod client;
mod crew;
mod fleet;
mod plan;
mod process;
mod report;
mod soak;
mod socket;
mod tally;
mod waits;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::args::LoadArgs;
use crate::exit::{Failure, ok_if};
use crate::out;
use crate::signals::Stop;
use crew::Crew;
use plan::Plan;
use process::Process;
use report::{Report, Watched, progress, progress_json};
use soak::Soak;
use tally::Snapshot;

/// How often it is looked at how it goes.
const TICK: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: &LoadArgs) -> Result<ExitCode, Failure> {
    let plan = Plan::new(args).await?;
    let descriptors = plan::raise_descriptors();
    if args.worker.is_some() {
        crew::work(plan).await;
        return Ok(ExitCode::SUCCESS);
    }
    let processes = plan::processes(args.connections, descriptors, args.processes)?;
    let stop = Stop::listen()?;
    let server = watched(args, &plan)?;
    let ramp = plan.ramp();
    let crew = if processes == 1 { Crew::here(plan) } else { Crew::workers(args, processes)? };
    let mut watch = Watch {
        crew,
        ramp,
        start: Instant::now(),
        peak: 0,
        before: (Snapshot::default(), Duration::ZERO),
        server,
        soak: args.soak.map(Soak::new),
        json: args.json,
    };
    let whole = watch.watch(stop).await;
    let report = watch.end(args, processes, whole).await;
    if args.json {
        out::line(&report.json().to_string());
    } else {
        report.text().iter().for_each(|line| out::line(line));
    }
    if report.counts.connect.count() == 0 && report.counts.failed > 0 {
        let why = report.counts.errors.keys().next().cloned().unwrap_or_default();
        return Err(Failure::environment(format!("nobody could connect: {why}")));
    }
    Ok(ok_if(report.faults().is_empty()))
}

/// The server's process before anything is done to it.
fn watched(args: &LoadArgs, plan: &Plan) -> Result<Option<Watched>, Failure> {
    let address = plan.target.address;
    let process = match args.server_pid {
        Some(pid) => Some(Process { pid }),
        None => {
            Some(address).filter(|address| address.ip().is_loopback()).and_then(Process::listening)
        }
    };
    let used = process.and_then(|process| Some((process, process.used()?)));
    if let (Some(pid), None) = (args.server_pid, used) {
        return Err(Failure::usage(format!("--server-pid is {pid}, which cannot be seen")));
    }
    Ok(used.map(|(process, used)| Watched {
        process,
        before: used,
        after: used,
        peak: used.resident,
        full: None,
    }))
}

/// A run that is looked at.
struct Watch {
    crew: Crew,
    ramp: Duration,
    start: Instant,
    peak: i64,
    /// What was told last, and when.
    before: (Snapshot, Duration),
    server: Option<Watched>,
    soak: Option<Soak>,
    json: bool,
}

impl Watch {
    /// Looks until all have ended; says whether nobody stopped it.
    async fn watch(&mut self, mut stop: Stop) -> bool {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = stop.next() => break,
                _ = ticks.tick() => if self.look() {
                    return true;
                },
            }
        }
        // The first signal lets clients say goodbye, the second does not wait for them.
        stop.exit_at_next();
        self.crew.stop();
        loop {
            ticks.tick().await;
            if self.look() {
                return false;
            }
        }
    }

    /// Says whether all have ended.
    fn look(&mut self) -> bool {
        let at = self.start.elapsed();
        let now = self.crew.snapshot();
        let used = self.server.as_mut().and_then(Watched::look);
        if now.open > self.peak {
            self.peak = now.open;
            if let (Some(server), Some(used)) = (&mut self.server, used) {
                server.full = Some(used.resident);
            }
        }
        if let Some(soak) = self.soak.as_mut().filter(|_| at >= self.ramp) {
            soak.look(at.saturating_sub(self.ramp), &now, used);
        }
        let done = now.done;
        let since = at.saturating_sub(self.before.1);
        if !done && self.json {
            out::line(&progress_json(at, &now, used).to_string());
        } else if !done && std::io::stderr().is_terminal() {
            draw(&progress(at, &now, &self.before.0, since));
        }
        self.before = (now, at);
        done
    }

    async fn end(self, args: &LoadArgs, processes: u64, whole: bool) -> Report {
        if std::io::stderr().is_terminal() && !self.json {
            draw("");
        }
        let took = self.start.elapsed();
        Report {
            url: args.url.clone(),
            connections: args.connections,
            processes,
            peak: self.peak,
            took,
            whole,
            counts: self.crew.end().await,
            server: self.server,
            soak: self.soak,
        }
    }
}

/// Puts a line in the place of the one before.
fn draw(line: &str) {
    let mut stderr = std::io::stderr().lock();
    // Nobody is left to tell when it cannot be written.
    drop(write!(stderr, "\r\x1b[2K{line}").and_then(|()| stderr.flush()));
}
