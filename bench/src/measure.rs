//! Medians of several rounds, interleaved so that a slow moment of the machine hits all alike.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::allocations;

const ROUNDS: usize = 11;
const ROUND: Duration = Duration::from_millis(6);
/// Longer for several threads, so that their start and end weigh little.
const ROUND_TOGETHER: Duration = Duration::from_millis(20);

type Run = Box<dyn Fn(u64, usize) -> Duration>;

/// One line of a table.
pub struct Row {
    pub name: String,
    run: Run,
    threads: usize,
}

/// What was measured of one line.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: String,
    /// Median, per operation and thread.
    pub nanos: f64,
    pub best: f64,
    pub allocations: f64,
}

impl Row {
    /// `make` makes the operation of one thread; the operation is told how often it has run.
    pub fn new<Op>(name: &str, make: impl Fn() -> Op + Send + Sync + 'static) -> Self
    where
        Op: FnMut(u64) + 'static,
    {
        let make = Arc::new(make);
        let run = Box::new(move |times, threads| several(&*make, times, threads));
        Self { name: name.into(), run, threads: 1 }
    }

    pub fn on_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}

/// The mean time of a thread that runs its operation so often, beside others that do the same.
fn several<Op: FnMut(u64)>(
    make: &(impl Fn() -> Op + Sync),
    times: u64,
    threads: usize,
) -> Duration {
    if threads == 1 {
        return one(make(), times);
    }
    let running = AtomicUsize::new(0);
    let took: Vec<Duration> = thread::scope(|scope| {
        let spawn = |_| {
            scope.spawn(|| {
                let op = make();
                // Spinning, so that all are on a core when they start.
                running.fetch_add(1, Ordering::SeqCst);
                while running.load(Ordering::SeqCst) < threads {
                    std::hint::spin_loop();
                }
                one(op, times)
            })
        };
        let all: Vec<_> = (0..threads).map(spawn).collect();
        all.into_iter().map(|thread| thread.join().expect("no operation panics")).collect()
    });
    took.iter().sum::<Duration>() / u32::try_from(threads).unwrap_or(1)
}

#[inline(never)]
fn one(mut op: impl FnMut(u64), times: u64) -> Duration {
    let start = Instant::now();
    for n in 0..times {
        op(black_box(n));
    }
    start.elapsed()
}

/// Measures all rows of a section.
pub fn measure(rows: &[Row]) -> Vec<Figure> {
    let times: Vec<u64> = rows.iter().map(calibrate).collect();
    let mut nanos = vec![Vec::new(); rows.len()];
    for _ in 0..ROUNDS {
        for (number, row) in rows.iter().enumerate() {
            let took = (row.run)(times[number], row.threads);
            nanos[number].push(took.as_nanos() as f64 / times[number] as f64);
        }
    }
    rows.iter().zip(nanos).map(|(row, nanos)| figure(row, nanos)).collect()
}

fn figure(row: &Row, mut nanos: Vec<f64>) -> Figure {
    nanos.sort_by(f64::total_cmp);
    let times = 1000;
    // The first run may fill caches of the allocator or of the thread.
    let (_, few) = allocations::counted(|| (row.run)(1, 1));
    let (_, many) = allocations::counted(|| (row.run)(times + 1, 1));
    let allocations = many.count.saturating_sub(few.count) as f64 / times as f64;
    Figure { name: row.name.clone(), nanos: nanos[ROUNDS / 2], best: nanos[0], allocations }
}

/// How often an operation runs in one round.
fn calibrate(row: &Row) -> u64 {
    let round = if row.threads == 1 { ROUND } else { ROUND_TOGETHER };
    let mut times = 64;
    loop {
        let took = (row.run)(times, row.threads);
        if took >= round / 4 || times >= 1 << 30 {
            let per = took.as_nanos().max(1) as u64 / times;
            return (round.as_nanos() as u64 / per.max(1)).max(16);
        }
        times *= 4;
    }
}
