//! A transport that does what the test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mainstay::core::policy::outcome::Outcome;
use mainstay::core::time::Instant;
use mainstay::link::{DialError, Link, LinkConfig, LinkOptions, Transport};
use tokio::sync::Notify;

/// What the transport does when it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Ok,
    /// Connects, and breaks at once.
    Flap,
    Hang,
    Fail(Outcome),
    Panic,
}

#[derive(Clone)]
pub(super) struct Scripted(pub(super) Arc<Script>);

pub(super) struct Script {
    pub(super) dial: Mutex<Answer>,
    pub(super) probe: Mutex<Answer>,
    pub(super) dials: AtomicUsize,
    pub(super) probes: AtomicUsize,
    pub(super) closes: AtomicUsize,
    pub(super) abandons: AtomicUsize,
    pub(super) cut: Notify,
    pub(super) hang_close: bool,
}

impl Scripted {
    pub(super) fn new(dial: Answer) -> Self {
        Self::with(dial, false)
    }

    pub(super) fn with(dial: Answer, hang_close: bool) -> Self {
        Self(Arc::new(Script {
            dial: Mutex::new(dial),
            probe: Mutex::new(Answer::Ok),
            dials: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            closes: AtomicUsize::new(0),
            abandons: AtomicUsize::new(0),
            cut: Notify::new(),
            hang_close,
        }))
    }

    pub(super) fn dials(&self) -> usize {
        self.0.dials.load(Ordering::SeqCst)
    }

    pub(super) fn probes(&self) -> usize {
        self.0.probes.load(Ordering::SeqCst)
    }

    pub(super) fn turn(&self, dial: Answer) {
        *self.0.dial.lock().unwrap() = dial;
    }

    pub(super) fn link(&self, config: LinkConfig) -> Link {
        Link::open(LinkOptions::new("scripted").config(config), self.clone()).unwrap()
    }
}

async fn act(answer: Answer) -> Result<(), DialError> {
    match answer {
        Answer::Ok | Answer::Flap => Ok(()),
        Answer::Hang => std::future::pending().await,
        Answer::Panic => panic!("a transport's own bug"),
        Answer::Fail(outcome) => Err(DialError::new(outcome, "scripted")),
    }
}

impl Transport for Scripted {
    fn target(&self) -> String {
        "script".into()
    }

    async fn dial(&self, _: Instant) -> Result<(), DialError> {
        self.0.dials.fetch_add(1, Ordering::SeqCst);
        let answer = *self.0.dial.lock().unwrap();
        if matches!(answer, Answer::Flap) {
            self.0.cut.notify_one();
        }
        act(answer).await
    }

    async fn probe(&self, _: Instant) -> Result<(), DialError> {
        self.0.probes.fetch_add(1, Ordering::SeqCst);
        let answer = *self.0.probe.lock().unwrap();
        act(answer).await
    }

    async fn lost(&self) -> DialError {
        self.0.cut.notified().await;
        DialError::new(Outcome::TRANSIENT, "cut")
    }

    async fn close(&self) {
        self.0.closes.fetch_add(1, Ordering::SeqCst);
        if self.0.hang_close {
            std::future::pending::<()>().await;
        }
    }

    fn abandon(&self) {
        self.0.abandons.fetch_add(1, Ordering::SeqCst);
    }
}
