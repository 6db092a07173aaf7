//! Notices that the machine slept.
//!
//! A monotonic clock stands still while a machine sleeps, and with it every timer: a link would
//! go on trusting a connection that died hours ago. So one thread, for all links of the process,
//! compares the monotonic clock with the wall clock every second; where the wall clock has run
//! ahead, the machine slept (or its clock was set), and every link is told. A thread and not a
//! task, because links may live in several runtimes. It ends with the last link.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use mainstay_core::link::{Input, SleepWatch};
use mainstay_core::time::nanos;

use super::desk::Desk;

const TICK: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Watched {
    links: Vec<Weak<Desk>>,
    running: bool,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched { links: Vec::new(), running: false });

/// Tells this link when the machine has slept, as long as it lives.
pub(super) fn watch(desk: &Arc<Desk>) {
    let mut watched = lock();
    if watched.links.len() == watched.links.capacity() {
        watched.links.retain(|link| link.strong_count() > 0);
    }
    watched.links.push(Arc::downgrade(desk));
    if watched.running {
        return;
    }
    let started = thread::Builder::new().name("mainstay-wake".into()).spawn(run);
    match started {
        Ok(_) => watched.running = true,
        Err(error) => tracing::warn!(%error, "nobody watches for sleep: no thread can be made"),
    }
}

fn run() {
    let origin = Instant::now();
    let read = || {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        (
            mainstay_core::time::Instant::from_nanos(nanos(origin.elapsed())),
            wall.unwrap_or_default(),
        )
    };
    let (now, wall) = read();
    let mut watch = SleepWatch::new(now, wall);
    while remain() {
        thread::sleep(TICK);
        let (now, wall) = read();
        if let Some(slept) = watch.look(now, wall) {
            tracing::info!(seconds = slept.as_secs(), "the machine slept, or its clock was set");
            wake_all();
        }
    }
}

/// Whether there is a link left; if not, the thread is as good as ended.
fn remain() -> bool {
    let mut watched = lock();
    watched.links.retain(|link| link.strong_count() > 0);
    watched.running = !watched.links.is_empty();
    if !watched.running {
        watched.links = Vec::new();
    }
    watched.running
}

fn wake_all() {
    let links: Vec<_> = lock().links.iter().filter_map(Weak::upgrade).collect();
    for link in links {
        link.give(Input::Woke);
    }
}

fn lock() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}
