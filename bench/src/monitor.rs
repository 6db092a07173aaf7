//! What watching costs: a cycle over a million sessions, judging, trends, and one health check.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay::link::{HttpConfig, HttpTransport, Link, LinkOptions};
use mainstay_core::time::Instant;
use mainstay_monitor::alert::{Alert, Edge, Input, Observation, Rule, RuleConfig};
use mainstay_monitor::engine::{Engine, Reading, Value};
use mainstay_monitor::rules::{RuleSet, Signal};
use mainstay_monitor::series::{Cell, Collector, Latencies};
use mainstay_monitor::trend::{self, Minute, Trend};

use crate::measure::Row;
use crate::report::{Content, Measured, Section};
use crate::sessions::{MILLION, at, filled, of};

pub const CYCLE: &str = "monitor, sums of a million sessions";
pub const SUMS: &str = "mainstay, all sums of a cycle";
pub const SCAN: &str = "a pass over a million records of 64 bytes";
pub const JUDGE: &str = "monitor, judging";
pub const ALERT: &str = "one alert, one evaluation";
pub const TREND: &str = "one trend of 30 minutes";
const CHECKS: u64 = 1_000;
const LINKS: u64 = 1_000;

pub fn sections() -> Vec<Section> {
    let cycle = "One thread. Between cycles each time 1 000 beats come; they are part of the figure, \
                 and the last row is those alone. The pass reads one word of each record.";
    let judge = "One thread. The tick judges four readings of each of 1 000 links by the default \
                 rules: 4 000 readings, 6 000 alerts.";
    let check = "A link over HTTP asks a server on loopback that answers at once: CPU time of this \
                 process with both ends, and what goes over the wire without TCP's own headers.";
    vec![
        Section::new(CYCLE, cycle, cycle_rows),
        Section::new(JUDGE, judge, judge_rows),
        Section::measured("monitor, one health check", check, a_check),
        Section {
            name: "memory of the monitor",
            note: "Of one group: the cells that time is in. What is over is in the store, at most \
                   6 130 cells a group.",
            content: Content::Sizes(vec![
                ("mainstay, the cells of one group".into(), size_of::<Collector>() as u64),
                ("mainstay, a minute of a link in the store".into(), stored()),
                ("mainstay, one alert".into(), size_of::<Alert>() as u64),
                ("mainstay, one trend".into(), size_of::<Trend>() as u64),
            ]),
        },
    ]
}

/// Bytes of a minute in which a link was asked twice.
fn stored() -> u64 {
    let mut cell = Cell::default();
    (0..2).for_each(|nr| cell.succeeded(Duration::from_millis(20 + 30 * nr)));
    cell.stood_at(1.0);
    cell.encode(1_800_000_000_000 / 60_000).len() as u64
}

fn cycle_rows() -> Vec<Row> {
    let ours = Arc::new(filled(MILLION));
    let alone = Arc::clone(&ours);
    let beat = |(registry, keys): &(mainstay_registry::Registry, Vec<mainstay_registry::Key>),
                n| {
        for nr in 0..1_000 {
            let key = of(keys, n * 1_000 + nr);
            black_box(registry.answered(at(n), key, Duration::from_micros(20_000 + nr)));
        }
    };
    vec![
        Row::new(SUMS, move || {
            let ours = Arc::clone(&ours);
            move |n| {
                beat(&ours, n);
                black_box((ours.0.counts(), ours.0.take_measured()));
            }
        }),
        Row::new(SCAN, move || {
            let records = vec![[1_u64; 8]; usize::try_from(MILLION).unwrap_or(0)];
            move |n| {
                let sum: u64 = records.iter().map(|record| record[0]).sum();
                black_box(sum + n);
            }
        }),
        Row::new("the 1 000 beats alone", move || {
            let alone = Arc::clone(&alone);
            move |n| beat(&alone, n)
        }),
    ]
}

fn judge_rows() -> Vec<Row> {
    vec![
        Row::new(ALERT, || {
            let edge = Some(Edge { enter: 0.05, exit: 0.03 });
            let rule = Rule::new(&RuleConfig { high: edge, ..RuleConfig::default() });
            let rule = rule.expect("the rule is sound");
            let mut alert = Alert::new();
            move |n| {
                let part = if n % 1_000 < 500 { 100 } else { 0 };
                let seen = Input::Observed(Observation::Share { part, whole: 1_000 });
                black_box(alert.handle(at(n * 10_000_000_000), &rule, seen));
            }
        }),
        Row::new(TREND, || {
            let mut trend = Trend::new(trend::Signal::Latency);
            move |n| {
                let value = Duration::from_micros(100_000 + n * 7_919 % 10_000);
                black_box(trend.minute(Minute::Latency { value, samples: 50 }));
            }
        }),
        Row::new("one cell into four tiers", || {
            let (mut collector, mut cell) = (Collector::new(), Cell::default());
            (0..50).for_each(|nr| cell.succeeded(Duration::from_millis(20 + nr)));
            move |n| {
                black_box(collector.push(1_800_000_000_000 + n * 10_000, &cell));
            }
        }),
        Row::new("a tick over 1 000 links", || {
            let mut engine = Engine::new(RuleSet::usual()).expect("the default rules are sound");
            let readings = readings();
            move |n| {
                let now: Instant = at(n * 10_000_000_000);
                black_box(engine.tick(now, 1_800_000_000_000 + n * 10_000, &readings));
            }
        }),
    ]
}

/// What a cycle says of a thousand links.
fn readings() -> Vec<Reading> {
    let mut latencies = Latencies::default();
    latencies.record(Duration::from_millis(12));
    let sum = Duration::from_millis(12);
    (0..LINKS)
        .flat_map(|nr| {
            let name = format!("link-{nr}");
            let latency = Value::Latency { latencies: latencies.clone(), sum };
            [
                Reading::of(Signal::LinkChecks, &name, Value::Share { part: 1, whole: 1 }),
                Reading::of(Signal::LinkLatency, &name, latency),
                Reading::of(Signal::LinkReconnecting, &name, Value::Gauge(0.0)),
                Reading::of(Signal::LinkFailed, &name, Value::Gauge(0.0)),
            ]
        })
        .collect()
}

/// CPU time of this process, and bytes of one check.
fn a_check() -> Measured {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().map_or(0, |address| address.port());
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&bytes);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || answer(stream, &counted));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let cpu = runtime.expect("a runtime").block_on(async {
        let config = HttpConfig::new(format!("http://127.0.0.1:{port}"));
        let transport = HttpTransport::new(config).expect("the config is sound");
        let options = LinkOptions::new("checked");
        let link = Link::open(options, transport).expect("the config is sound");
        link.connect().await.expect("it is there");
        let (before, begun) = (bytes.load(Ordering::Relaxed), cpu_time());
        for _ in 0..CHECKS {
            assert!(link.check_now().await, "it answers");
        }
        let spent = cpu_time().saturating_sub(begun);
        (spent, bytes.load(Ordering::Relaxed) - before)
    });
    let (spent, bytes) = cpu;
    let micros = spent.as_secs_f64() * 1e6 / CHECKS as f64;
    let each = bytes / CHECKS;
    let text = format!(
        "| what | of one check |\n|---|---|\n| CPU, both ends | {micros:.0} us |\n| bytes, both ways | {each} |\n\n"
    );
    Measured {
        text,
        targets: vec![(format!("a check is at most 1 KiB on the wire: {each}"), each <= 1_024)],
    }
}

fn answer(mut stream: std::net::TcpStream, counted: &AtomicU64) {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut head = [0; 4_096];
    while let Ok(read @ 1..) = stream.read(&mut head) {
        counted.fetch_add((read + ANSWER.len()) as u64, Ordering::Relaxed);
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}

/// What this process has used of processors, from the kernel's count in ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = |place: usize| fields.split(' ').nth(place)?.parse::<u64>().ok();
    let used = ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0);
    Duration::from_millis(used * 10)
}
