//! Running a command, and ending it with all it started.

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::exec::Ended;

/// How long a command may take to end once it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// Signals that may wait to be passed on.
const SIGNALS: usize = 8;

/// What is run.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
    /// Whether it gets a process group, so that what it starts is ended with it.
    pub(super) own_group: bool,
}

/// Runs one command at a time.
#[derive(Debug)]
pub(super) struct Supervisor {
    spec: Spec,
    running: watch::Sender<bool>,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    signals: Option<mpsc::Sender<i32>>,
    /// How the command ended that was sent a signal.
    signalled: Option<ExitStatus>,
}

impl Supervisor {
    pub(super) fn new(spec: Spec) -> Self {
        Self { spec, running: watch::Sender::new(false), slot: Mutex::default() }
    }

    /// Runs the command once. Dropped before the end, it asks the command to end and sees to it.
    pub(super) async fn run(self: Arc<Self>) -> Result<(), Ended> {
        // The one before may still be ending.
        self.idle().await;
        let mut command = Command::new(&self.spec.program);
        command.args(&self.spec.args).kill_on_drop(true);
        if self.spec.own_group {
            command.process_group(0);
        }
        let child = command.spawn().map_err(Ended::Unrunnable)?;
        let (sender, signals) = mpsc::channel(SIGNALS);
        self.slot().signals = Some(sender);
        self.running.send_replace(true);
        let (keep, dropped) = oneshot::channel::<()>();
        let this = self.clone();
        let watched = tokio::spawn(async move {
            let result = this.watch(child, dropped, signals).await;
            this.slot().signals = None;
            this.running.send_replace(false);
            result
        });
        let result = watched.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        drop(keep);
        match result.map_err(Ended::Unrunnable)? {
            status if status.success() => Ok(()),
            status => Err(Ended::Status(status)),
        }
    }

    async fn watch(
        &self,
        mut child: Child,
        mut dropped: oneshot::Receiver<()>,
        mut signals: mpsc::Receiver<i32>,
    ) -> io::Result<ExitStatus> {
        let mut was_signalled = false;
        loop {
            tokio::select! {
                biased;
                status = child.wait() => {
                    let status = status?;
                    if was_signalled {
                        self.slot().signalled = Some(status);
                    }
                    return Ok(status);
                }
                _ = &mut dropped => return self.end(child).await,
                Some(signal) = signals.recv() => {
                    was_signalled = true;
                    self.pass_on(&child, signal);
                }
            }
        }
    }

    /// Asks the command to end, and kills it with all it started when it does not.
    async fn end(&self, mut child: Child) -> io::Result<ExitStatus> {
        let pid = pid(&child);
        self.send(pid, Signal::TERM);
        let ended = tokio::time::timeout(GRACE, child.wait()).await;
        // The group may outlive its leader. Without a group of its own the command is gone once it
        // has been waited for, and its number may be another's.
        if self.spec.own_group || ended.is_err() {
            self.send(pid, Signal::KILL);
        }
        match ended {
            Ok(status) => status,
            Err(_) => child.wait().await,
        }
    }

    fn pass_on(&self, child: &Child, number: i32) {
        let signal = Signal::from_named_raw(number);
        // The terminal sent its interrupt to the whole foreground already.
        let had_it = !self.spec.own_group && signal == Some(Signal::INT);
        if let Some(signal) = signal.filter(|_| !had_it) {
            self.send(pid(child), signal);
        }
    }

    fn send(&self, pid: Option<Pid>, signal: Signal) {
        let Some(pid) = pid else { return };
        let sent = if self.spec.own_group {
            kill_process_group(pid, signal)
        } else {
            kill_process(pid, signal)
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a signal was not sent: the command is gone");
        }
    }

    /// Passes a signal on to the command that runs, if one does.
    pub(super) fn signal(&self, number: i32) {
        if let Some(signals) = &self.slot().signals
            && signals.try_send(number).is_err()
        {
            tracing::debug!(number, "too many signals at once: one was not passed on");
        }
    }

    /// Waits until no command runs.
    pub(super) async fn idle(&self) {
        // The sender is ours: it cannot be closed.
        drop(self.running.subscribe().wait_for(|running| !running).await);
    }

    /// Waits until the last command is over; answers how it ended when it was sent a signal.
    pub(super) async fn finish(&self) -> Option<ExitStatus> {
        self.idle().await;
        self.slot().signalled
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}
