//! One process or several that put the load on, told apart nowhere else.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, stdin};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::plan::{Plan, split};
use super::tally::{Snapshot, Tally};
use super::{TICK, fleet};
use crate::args::LoadArgs;
use crate::exit::Failure;
use crate::out;

/// Who puts the load on.
#[derive(Debug)]
pub(super) enum Crew {
    /// This process.
    Here { tally: Arc<Tally>, stop: Option<oneshot::Sender<()>>, work: JoinHandle<()> },
    /// Others.
    Workers(Vec<Worker>),
}

/// A process that runs a part of the clients.
#[derive(Debug)]
pub(super) struct Worker {
    latest: Arc<Mutex<Snapshot>>,
    /// It stops when this is closed.
    input: Option<ChildStdin>,
    child: Child,
    reading: JoinHandle<()>,
}

impl Crew {
    /// Begins in this process.
    pub(super) fn here(plan: Plan) -> Self {
        let tally = Arc::new(Tally::default());
        let (stop, stopped) = oneshot::channel();
        let counts = tally.clone();
        let work = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            fleet::run(&plan, &counts, stopped).await;
        });
        Self::Here { tally, stop: Some(stop), work }
    }

    /// Begins in so many others.
    pub(super) fn workers(args: &LoadArgs, processes: u64) -> Result<Self, Failure> {
        let program = std::env::current_exe();
        let program = program.map_err(|error| {
            Failure::environment(format!("this program cannot be found again: {error}"))
        })?;
        let parts = split(args.connections, processes);
        let workers = parts.into_iter().map(|(first, count)| {
            let share = count as f64 / args.connections as f64;
            let mut command = Command::new(&program);
            command.args(worker_args(args, first, count, share));
            Worker::start(command).map_err(|error| {
                Failure::environment(format!("another process cannot be started: {error}"))
            })
        });
        Ok(Self::Workers(workers.collect::<Result<_, _>>()?))
    }

    /// Lets all clients say goodbye.
    pub(super) fn stop(&mut self) {
        match self {
            Self::Here { stop, .. } => {
                if let Some(stop) = stop.take() {
                    // It may be over already.
                    let _late: Result<(), ()> = stop.send(());
                }
            }
            Self::Workers(workers) => workers.iter_mut().for_each(|worker| {
                drop(worker.input.take());
            }),
        }
    }

    /// All counts at the moment.
    pub(super) fn snapshot(&self) -> Snapshot {
        match self {
            Self::Here { tally, work, .. } => tally.snapshot(work.is_finished()),
            Self::Workers(workers) => {
                let mut sum = Snapshot { done: true, ..Snapshot::default() };
                for worker in workers {
                    let latest = worker.latest();
                    sum.add(&latest);
                    sum.done &= latest.done || worker.reading.is_finished();
                }
                sum
            }
        }
    }

    /// The counts in the end, once all have ended.
    pub(super) async fn end(self) -> Snapshot {
        match self {
            Self::Here { tally, work, .. } => {
                if work.await.is_err() {
                    tally.wrong("the clients' task failed".into());
                }
                tally.snapshot(true)
            }
            Self::Workers(workers) => {
                let mut sum = Snapshot { done: true, ..Snapshot::default() };
                for worker in workers {
                    sum.add(&worker.end().await);
                }
                sum
            }
        }
    }
}

/// The arguments of a worker.
fn worker_args(args: &LoadArgs, first: u64, count: u64, share: f64) -> Vec<String> {
    let during = args.soak.unwrap_or(args.during);
    let mut line: Vec<String> = vec!["load".into(), args.url.clone()];
    let mut flag = |name: &str, value: String| line.extend([name.to_owned(), value]);
    flag("--worker", first.to_string());
    flag("--connections", count.to_string());
    flag("--rate", (args.rate * share).to_string());
    flag("--messages", args.messages.to_string());
    flag("--size", args.size.to_string());
    flag("--flaky", args.flaky.to_string());
    flag("--flaky-every", format!("{}ms", args.flaky_every.as_millis().max(1)));
    flag("--for", format!("{}ms", during.as_millis().max(1)));
    if let Some(variable) = &args.token_env {
        flag("--token-env", variable.clone());
    }
    if args.yes_i_own_this {
        line.push("--yes-i-own-this".into());
    }
    line
}

impl Worker {
    fn start(mut command: Command) -> std::io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for the first process, which passes it on in its own way.
        command.process_group(0);
        let mut child = command.spawn()?;
        let latest = Arc::new(Mutex::new(Snapshot::default()));
        let heard = latest.clone();
        let output = child.stdout.take();
        let reading = tokio::spawn(async move {
            let Some(output) = output else { return };
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(snapshot) = serde_json::from_str(&line) {
                    *heard.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
                }
            }
        });
        let input = child.stdin.take();
        Ok(Self { latest, input, child, reading })
    }

    fn latest(&self) -> Snapshot {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn end(mut self) -> Snapshot {
        drop((&mut self.reading).await);
        let status = self.child.wait().await;
        let mut last = self.latest();
        if !last.done {
            last.wrong += 1;
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            last.examples.push(format!("a process ended before its clients: {status}"));
        }
        last
    }
}

/// A worker: tells its counts until all its clients have ended. It stops when its input ends, and so
/// does not outlive who started it.
pub(super) async fn work(plan: Plan) {
    let mut crew = Crew::here(plan);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut input = stdin();
    let mut open = true;
    loop {
        let mut byte = [0];
        tokio::select! {
            _ = ticks.tick() => {}
            read = input.read(&mut byte), if open => {
                if !matches!(read, Ok(1)) {
                    open = false;
                    crew.stop();
                }
                continue;
            }
        }
        let snapshot = crew.snapshot();
        if snapshot.done {
            break;
        }
        say(&snapshot);
    }
    say(&crew.end().await);
}

fn say(snapshot: &Snapshot) {
    let line = serde_json::to_value(snapshot).unwrap_or(Value::Null);
    out::line(&line.to_string());
}
