//! Signals that ask the process to stop, or to read its configuration again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Failure, INTERRUPTED};

/// The signals that ask for an end.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = || -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        };
        listen().map_err(unheard)
    }

    /// The number of the next one.
    pub(crate) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }

    /// Ends the process at the next one: the first was heard, and somebody is impatient.
    pub(crate) fn exit_at_next(mut self) {
        tokio::spawn(async move {
            self.next().await;
            exit_now();
        });
    }
}

/// The signal that asks to read the configuration again.
pub(crate) fn hangup() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(unheard)
}

fn unheard(error: io::Error) -> Failure {
    Failure::environment(format!("signals cannot be heard: {error}"))
}

#[expect(clippy::exit, reason = "the user asked twice: no clean-up may stand in the way")]
fn exit_now() -> ! {
    std::process::exit(i32::from(INTERRUPTED))
}
