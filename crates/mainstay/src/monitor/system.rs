//! What the system says of this machine and this process.
//!
//! On Linux it reads pressure (PSI), control groups, memory, load and file descriptors from `/proc`
//! and `/sys`; what is not there is said to be unknown. Elsewhere only our own lag is known.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_core::config::Ratio;
use mainstay_core::measure::histogram::Histogram;
use mainstay_monitor::overload::Sample;
use mainstay_monitor::summary::System;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often the lag of timers is measured.
pub const LAG_PERIOD: Duration = Duration::from_millis(100);
/// Timers are allowed to be so late by design.
const TIMER: Duration = Duration::from_millis(1);

/// Measures how late our own timers fire, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the measuring"]
pub struct LagMeter {
    seen: Arc<Mutex<Histogram>>,
    task: JoinHandle<()>,
}

impl LagMeter {
    /// Begins to measure: one timer every [`LAG_PERIOD`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start() -> Self {
        let seen = Arc::new(Mutex::new(Histogram::new()));
        let into = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                let due = Instant::now() + LAG_PERIOD;
                tokio::time::sleep_until(due).await;
                let late = due.elapsed().saturating_sub(TIMER);
                into.lock().unwrap_or_else(PoisonError::into_inner).record(late);
            }
        });
        Self { seen, task }
    }

    /// The 99th percentile since this was last asked; zero when nothing was measured.
    #[must_use]
    pub fn take(&self) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let p99 = seen.quantile(Ratio::percent(99));
        seen.clear();
        p99.unwrap_or_default()
    }
}

impl Drop for LagMeter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads what the system says, each time since the last.
#[derive(Debug, Default)]
pub struct SystemReader {
    before: Option<(Instant, Stalled)>,
}

/// Microseconds that something, or everything, had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stalled {
    cpu_some: Option<u64>,
    memory_some: Option<u64>,
    memory_full: Option<u64>,
    io_full: Option<u64>,
}

impl SystemReader {
    /// What is so now, with `lag` as the [`LagMeter`] says it, and `reconnecting` as the share of
    /// connections that are being made again. Reads about ten small files.
    pub fn read(&mut self, lag: Duration, reconnecting: f64) -> (Sample, System) {
        let (now, stalled) = (Instant::now(), Stalled::read());
        let before = self.before.replace((now, stalled));
        let share = |of: fn(&Stalled) -> Option<u64>| {
            let (at, before) = before?;
            let waited = of(&stalled)?.saturating_sub(of(&before)?);
            let span = now.duration_since(at);
            (!span.is_zero()).then(|| (micros(waited) / span.as_secs_f64()).clamp(0.0, 1.0))
        };
        let memory = Memory::read();
        let fds = descriptors();
        let fds_max = descriptors_max();
        let sample = Sample {
            lag,
            cpu_some: share(|stalled| stalled.cpu_some),
            memory_some: share(|stalled| stalled.memory_some),
            memory_full: share(|stalled| stalled.memory_full),
            io_full: share(|stalled| stalled.io_full),
            descriptors: ratio(fds, fds_max),
            memory: ratio(memory.used, memory.total),
            group_memory: group_memory(),
        };
        let load1 = load();
        let percent = |share: Option<f64>| share.map(|share| share * 100.0);
        let mut degraded = Vec::new();
        for (missing, what) in [
            (stalled == Stalled::default(), "no pressure (PSI)"),
            (memory.total.is_none(), "no memory"),
            (fds.is_none(), "no file descriptors"),
            (load1.is_none(), "no load"),
        ] {
            if missing {
                degraded.push(what);
            }
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let parts = (load1, ratio(memory.own, memory.total));
        #[expect(clippy::cast_precision_loss, reason = "there are not so many processors")]
        let summed = |(load, memory): (f64, f64)| {
            0.45 * (load / cores as f64) + 0.35 * memory + 0.20 * reconnecting
        };
        let system = System {
            memory_bytes: memory.own,
            fds,
            fds_max,
            cpu_some_percent: percent(sample.cpu_some),
            memory_some_percent: percent(sample.memory_some),
            io_full_percent: percent(sample.io_full),
            load1,
            load: parts.0.zip(parts.1).map(summed),
            degraded,
            ..System::default()
        };
        (sample, system)
    }
}

impl Stalled {
    fn read() -> Self {
        let cpu = pressure("cpu");
        let (memory, io) = (pressure("memory"), pressure("io"));
        let of = |text: &Option<String>, which| text.as_deref().and_then(|text| total(text, which));
        Self {
            cpu_some: of(&cpu, "some"),
            memory_some: of(&memory, "some"),
            memory_full: of(&memory, "full"),
            io_full: of(&io, "full"),
        }
    }
}

/// That of our control group, or of the machine.
fn pressure(what: &str) -> Option<String> {
    let group = own_group().map(|group| group.join(format!("{what}.pressure")));
    let of_group = group.and_then(|path| fs::read_to_string(path).ok());
    of_group.or_else(|| fs::read_to_string(format!("/proc/pressure/{what}")).ok())
}

/// The folder of our control group of version 2. In a container it is called the root and is one all
/// the same; that of the machine has no limits.
fn own_group() -> Option<std::path::PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = path.trim_start_matches('/');
    Some(Path::new("/sys/fs/cgroup").join(path))
}

/// The `total` of the line that begins with `which`, in microseconds.
fn total(text: &str, which: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(which))?;
    line.split(' ').find_map(|field| field.strip_prefix("total="))?.parse().ok()
}

#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    used: Option<u64>,
    total: Option<u64>,
    own: Option<u64>,
}

impl Memory {
    fn read() -> Self {
        let all = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let total = kilobytes(&all, "MemTotal:");
        let free = kilobytes(&all, "MemAvailable:");
        let used = total.zip(free).map(|(total, free)| total.saturating_sub(free));
        Self { used, total, own: kilobytes(&own, "VmRSS:") }
    }
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1_024)
}

/// How much of what our control group may have is in use, without pages of files that can be had back
/// at any time.
fn group_memory() -> Option<f64> {
    let group = own_group()?;
    let number = |file: &str| {
        let text = fs::read_to_string(group.join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cached = counted(&stat, "inactive_file ").unwrap_or(0);
    let used = number("memory.current").map(|used| used.saturating_sub(cached));
    // Without a limit it says `max`.
    ratio(used, number("memory.max"))
}

/// The number behind a word at the beginning of a line.
fn counted(text: &str, word: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(word))?.trim().parse().ok()
}

/// How many file descriptors are open. Kernels since 6.2 say so; before that they are counted.
fn descriptors() -> Option<u64> {
    let folder = "/proc/self/fd";
    let said = fs::metadata(folder).ok()?.len();
    if said > 0 {
        return Some(said);
    }
    fs::read_dir(folder).ok().map(|list| list.count() as u64)
}

fn descriptors_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "bytes beyond 2⁵³ need no exact share")]
fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let (part, whole) = part.zip(whole)?;
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn micros(count: u64) -> f64 {
    Duration::from_micros(count).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PSI: &str = "some avg10=0.12 avg60=0.00 avg300=0.00 total=12345\n\
                       full avg10=0.00 avg60=0.00 avg300=0.00 total=67\n";

    #[test]
    fn pressure_is_read_by_its_total() {
        assert_eq!((total(PSI, "some"), total(PSI, "full")), (Some(12_345), Some(67)));
        for wrong in ["", "some", "some avg10=0 total=", "some total=-1", "full total=1"] {
            assert_eq!(total(wrong, "some"), None, "{wrong:?}");
        }
    }

    #[test]
    fn sizes_are_kilobytes() {
        let text = "MemTotal:       24000 kB\nMemAvailable:   x kB\n";
        assert_eq!(kilobytes(text, "MemTotal:"), Some(24_576_000));
        assert_eq!(kilobytes(text, "MemAvailable:"), None);
        assert_eq!(kilobytes(text, "VmRSS:"), None);
    }

    #[test]
    fn counts_stand_behind_their_word() {
        let text = "anon 5\ninactive_file 42\nactive_file 7\n";
        assert_eq!(counted(text, "inactive_file "), Some(42));
        assert_eq!(counted(text, "file "), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_something() {
        let mut reader = SystemReader::default();
        let (first, _) = reader.read(Duration::from_millis(3), 0.5);
        assert_eq!((first.lag, first.cpu_some), (Duration::from_millis(3), None), "no time passed");
        let (sample, system) = reader.read(Duration::ZERO, 0.5);
        assert!(sample.descriptors.is_some_and(|share| share > 0.0 && share < 1.0));
        assert!(sample.memory.is_some_and(|share| share > 0.0 && share < 1.0));
        assert!(system.memory_bytes.is_some_and(|bytes| bytes > 100_000));
        assert!(system.fds.zip(system.fds_max).is_some_and(|(fds, max)| fds > 2 && fds < max));
        assert!(system.load.is_some_and(|load| load >= 0.1), "half of it reconnects");
    }

    #[tokio::test(start_paused = true)]
    async fn lag_is_measured_between_one_question_and_the_next() {
        let meter = LagMeter::start();
        assert_eq!(meter.take(), Duration::ZERO);
        tokio::time::sleep(Duration::from_secs(1)).await;
        // A blocked thread: time goes on while nothing runs.
        tokio::time::advance(Duration::from_millis(700)).await;
        tokio::task::yield_now().await;
        let late = meter.take();
        assert!(late >= Duration::from_millis(500), "{late:?}");
        assert_eq!(meter.take(), Duration::ZERO);
    }
}
