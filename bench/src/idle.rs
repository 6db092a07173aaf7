//! What connections cost that say nothing: memory in the program and in the kernel, and time.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use crate::process::{Process, Taken, kilobytes, raise_descriptors};
use crate::raw;
use crate::report::{Measured, Section};
use crate::servers::{EVERY, Kind};

/// Connections whose memory is measured.
const MANY: usize = 4_000;
/// Connections before them: they pay for what only the first ones need.
const FIRST: usize = 128;
/// Connections whose time is measured, with each server.
const ANSWERING: usize = 9_000;
/// Handshakes at the same time.
const AT_ONCE: usize = 64;
/// Descriptors of this process for other things.
const SPARE: usize = 256;
/// What a server may take to answer anything.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is held only while connections begin is gone after this.
const SETTLED: Duration = Duration::from_millis(1_500);

pub fn sections() -> Vec<Section> {
    let memory = "Of 4 000 connections, each with its first words and an answer to a ping of its own, \
                  or one message and its echo. The server is in a process of its own. *Private* is \
                  memory that it has written to, by pages; *allocated* what it asked the allocator \
                  for. The kernel's part is what its caches of sockets and descriptors and its socket \
                  buffers have grown by, for both ends, halved. Ours has a session for \
                  each, stored in redb.";
    let time = "Of 9 000 connections to each server, in the same 20 s, whose clients answer pings; \
                begun evenly over the interval of the pings before that. Time of all threads of the \
                server's process, in the program and in the kernel.";
    vec![
        Section::measured("idle connections, memory", memory, measure_memory),
        Section::measured("idle connections, time", time, measure_time),
    ]
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// What a client does before it is idle.
async fn connect(address: SocketAddr, kind: Kind) -> TcpStream {
    let opened = async {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        // Closed at once when dropped: nothing is left of it for the next row.
        set_socket_linger(&stream, Some(Duration::ZERO)).expect("a TCP option");
        stream.write_all(raw::upgrade().as_bytes()).await.expect("the server lives");
        let mut buffer = Vec::new();
        while raw::upgraded(&buffer).is_none() {
            read(&mut stream, &mut buffer).await;
        }
        let first: &[&str] = match kind {
            Kind::Mainstay | Kind::MainstayEcho => {
                &[raw::HELLO, r#"{"t":"ping","n":1,"ts":1790000000123456}"#]
            }
            Kind::TungstenitePings => &[],
            Kind::Tungstenite
            | Kind::TungsteniteSmall
            | Kind::TungsteniteBatched
            | Kind::Axum
            | Kind::Fast => &[raw::HELLO],
        };
        for words in first {
            let mut out = Vec::new();
            raw::push(&mut out, raw::TEXT, words.as_bytes());
            stream.write_all(&out).await.expect("the server lives");
            buffer.clear();
            while raw::frame(&buffer).is_none() {
                read(&mut stream, &mut buffer).await;
            }
        }
        stream
    };
    timeout(PATIENCE, opened).await.expect("the server answers in time")
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    let read = stream.read_buf(buffer).await.expect("the server lives");
    assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(buffer));
}

async fn connect_all(address: SocketAddr, kind: Kind, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let some = AT_ONCE.min(count - all.len());
        all.extend(join_all((0..some).map(|_| connect(address, kind))).await);
    }
    all
}

/// Caches of the kernel that hold what sockets and descriptors are made of.
const CACHES: [&str; 9] = [
    "TCP",
    "ep_head",
    "eventpoll_epi",
    "eventpoll_pwq",
    "filp",
    "lsm_file_cache",
    "skbuff_head_cache",
    "skbuff_small_head",
    "sock_inode_cache",
];

/// Bytes of the kernel's that are in sockets, their buffers and descriptors.
///
/// Only root is told of single caches; for others it is all of them, also those of files that
/// somebody else opens meanwhile.
fn kernel() -> u64 {
    let sockets = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let pages = tcp.split_whitespace().last().and_then(|pages| pages.parse::<u64>().ok());
    let buffers = pages.unwrap_or(0) * rustix::param::page_size() as u64;
    let Ok(caches) = std::fs::read_to_string("/proc/slabinfo") else {
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        return kilobytes(&memory, "Slab:") + buffers;
    };
    let cache = |name: &str| {
        let line = caches.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let numbers = line.unwrap_or_default().split_whitespace().map(str::parse::<u64>);
        let mut numbers = numbers.map(|number| number.unwrap_or(0));
        // How many there are, how many there is room for, and the size of each.
        let (count, size) = (numbers.next().unwrap_or(0), numbers.nth(1).unwrap_or(0));
        (count, size)
    };
    let own = CACHES.iter().map(|name| cache(name)).map(|(count, size)| count * size);
    // Every socket has a name among those of files, of which there are far more.
    let named = cache("dentry").1 + cache("lsm_inode_cache").1;
    own.sum::<u64>() + cache("sock_inode_cache").0 * named + buffers
}

/// Bytes for each connection.
struct Idle {
    kind: Kind,
    private: u64,
    allocated: u64,
    kernel: u64,
}

fn memory_of(kind: Kind) -> Idle {
    let runtime = runtime();
    let mut server = Process::start(kind);
    let first = runtime.block_on(connect_all(server.address, kind, FIRST));
    std::thread::sleep(SETTLED);
    let (before, kernel_before) = (server.taken(), kernel());
    let all = runtime.block_on(connect_all(server.address, kind, MANY));
    std::thread::sleep(SETTLED);
    let (after, kernel_after) = (server.taken(), kernel());
    drop((first, all));
    let each = |before: u64, after: u64| after.saturating_sub(before) / MANY as u64;
    Idle {
        kind,
        private: each(before.private, after.private),
        allocated: each(before.allocated, after.allocated),
        kernel: each(kernel_before, kernel_after) / 2,
    }
}

fn measure_memory() -> Measured {
    raise_descriptors();
    let kinds = [Kind::Mainstay, Kind::TungsteniteSmall, Kind::Tungstenite, Kind::Axum];
    let all = kinds.map(memory_of);
    let mut text = String::from(
        "| server | private, bytes | allocated, bytes | kernel, bytes |\n|---|---|---|---|\n",
    );
    for Idle { kind, private, allocated, kernel } in &all {
        let name = kind.name();
        let _infallible = writeln!(text, "| {name} | {private} | {allocated} | {kernel} |");
    }
    // The kernel does the same for all of them: what differs is what else it does meanwhile.
    let mut kernels = all.each_ref().map(|idle| idle.kernel);
    kernels.sort_unstable();
    let kernel = kernels[1].midpoint(kernels[2]);
    let _infallible = writeln!(text, "| kernel, median of the four | | | {kernel} |");
    let ours = all[0].private + kernel;
    let what = format!(
        "an idle connection of the server ≤ 10240 B with the kernel's part: {ours} ({} without)",
        all[0].private
    );
    Measured { text, targets: vec![(what, ours <= 10_240)] }
}

/// A client that answers pings, of the protocol's or of the WebSocket's, and counts them.
async fn answer(mut stream: TcpStream, pings: Arc<AtomicU64>) {
    let (mut buffer, mut out) = (Vec::new(), Vec::new());
    loop {
        while let Some((opcode, payload)) = raw::frame(&buffer) {
            let end = payload.end;
            let payload = &buffer[payload];
            if opcode == raw::PING {
                raw::push(&mut out, raw::PONG, payload);
            } else if let Some(rest) = payload.strip_prefix(br#"{"t":"ping""#) {
                raw::push(&mut out, raw::TEXT, &[br#"{"t":"pong""#, rest].concat());
            }
            buffer.drain(..end);
        }
        if !out.is_empty() {
            pings.fetch_add(1, Ordering::Relaxed);
            stream.write_all(&out).await.expect("the server lives");
            out.clear();
        }
        let read = stream.read_buf(&mut buffer).await.expect("the server lives");
        assert!(read > 0, "the server hung up");
    }
}

/// A server, and what its clients count.
struct Asking {
    kind: Kind,
    server: Process,
    pings: Arc<AtomicU64>,
    before: (Taken, u64),
}

impl Asking {
    fn start(kind: Kind) -> Self {
        let mut server = Process::start(kind);
        let before = (server.taken(), 0);
        Self { kind, server, pings: Arc::default(), before }
    }

    fn mark(&mut self) {
        self.before = (self.server.taken(), self.pings.load(Ordering::Relaxed));
    }

    /// Connects them evenly over the interval of the pings.
    async fn connect(&self, count: usize) {
        const STEPS: usize = 450;
        let pause = (EVERY - Duration::from_secs(2)) / STEPS as u32;
        let mut ticks = tokio::time::interval(pause);
        for step in 0..STEPS {
            ticks.tick().await;
            let now = count * (step + 1) / STEPS - count * step / STEPS;
            for stream in connect_all(self.server.address, self.kind, now).await {
                tokio::spawn(answer(stream, self.pings.clone()));
            }
        }
    }

    /// Microseconds a second and connection, and for each ping; pings a second.
    fn cost(&mut self, count: usize) -> (f64, f64, f64) {
        let (before, pings) = self.before;
        let spent = self.server.taken().cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
        let pings = (self.pings.load(Ordering::Relaxed) - pings) as f64;
        let seconds = EVERY.as_secs_f64();
        (spent / seconds / count as f64, spent / pings.max(1.0), pings / seconds)
    }
}

fn measure_time() -> Measured {
    let count = ((raise_descriptors() - SPARE) / 2).min(ANSWERING);
    let runtime = runtime();
    let mut both = [Kind::TungstenitePings, Kind::Mainstay].map(Asking::start);
    let empty = Duration::from_secs(2);
    std::thread::sleep(SETTLED);
    both.iter_mut().for_each(Asking::mark);
    std::thread::sleep(empty);
    let idle: Vec<f64> = both
        .iter_mut()
        .map(|one| one.server.taken().cpu.saturating_sub(one.before.0.cpu).as_secs_f64())
        .map(|seconds| seconds * 1e6 / empty.as_secs_f64())
        .collect();
    runtime.block_on(join_all(both.iter().map(|one| one.connect(count))));
    runtime.block_on(async { sleep(Duration::from_secs(2)).await });
    both.iter_mut().for_each(Asking::mark);
    runtime.block_on(async { sleep(EVERY).await });
    let mut text = String::from(
        "| server | connections | µs a second and connection | µs a ping | pings a second | \
         µs a second without connections |\n|---|---|---|---|---|---|\n",
    );
    let costs = both.each_mut().map(|one| one.cost(count));
    for ((one, (each, ping, rate)), idle) in both.iter().zip(costs).zip(idle) {
        let name = one.kind.name();
        let _infallible =
            writeln!(text, "| {name} | {count} | {each:.2} | {ping:.0} | {rate:.0} | {idle:.0} |");
    }
    let [(bare, ..), (ours, ..)] = costs;
    let ratio = ours / bare;
    let what = format!(
        "an idle connection takes the server ≤ 2 × the time of a bare library that sends pings: \
         {ratio:.2} ({ours:.2} µs a second)"
    );
    Measured { text, targets: vec![(what, ratio <= 2.0)] }
}
