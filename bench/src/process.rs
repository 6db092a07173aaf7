//! This program again, as a server in a process of its own that tells what it takes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::allocations::held;
use crate::servers::{Kind, start};

/// The argument that makes this program such a server.
pub const SERVE: &str = "--serve";

/// What a process has taken so far.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Time of all its threads, in the program and in the kernel.
    pub cpu: Duration,
    /// Bytes that it has allocated.
    pub allocated: u64,
    /// Bytes of memory that it has written to and nobody shares.
    pub private: u64,
}

/// A server that ends with this value.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Process {
    pub fn start(kind: Kind) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.args([SERVE, kind.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts");
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("the server tells its address");
        let address = line.trim().parse().expect("an address");
        Self { child, input, lines, address }
    }

    pub fn taken(&mut self) -> Taken {
        let input = self.input.as_mut().expect("it is open until the end");
        writeln!(input, "taken").expect("the server listens");
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the server answers");
        let mut numbers = line.split_whitespace().map(|n| n.parse().expect("a number"));
        let mut next = || numbers.next().expect("three numbers");
        Taken { cpu: Duration::from_nanos(next()), allocated: next(), private: next() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends when nobody can ask it any more, and takes its files with it.
        drop(self.input.take());
        drop(self.child.wait());
    }
}

/// Serves until standard input ends, and tells what it takes when asked.
pub fn serve(kind: &str) {
    raise_descriptors();
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).expect("a server's name");
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    println!("{}", runtime.block_on(start(kind, folder.path())));
    for line in std::io::stdin().lines() {
        if line.is_err() {
            break;
        }
        let Taken { cpu, allocated, private } = here();
        println!("{} {allocated} {private}", cpu.as_nanos());
    }
    runtime.shutdown_background();
}

/// What this process has taken.
fn here() -> Taken {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    let cpu = Duration::from_secs(number(time.tv_sec)) + Duration::from_nanos(number(time.tv_nsec));
    let memory = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    Taken { cpu, allocated: held(), private: kilobytes(&memory, "Private_Dirty:") }
}

/// The bytes of a line such as `Slab: 12 kB`.
pub fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// Allows this process as many descriptors as it may have; answers how many.
pub fn raise_descriptors() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // What it may not raise stays as it is.
        let _raised: rustix::io::Result<()> =
            setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let most = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    usize::try_from(most).unwrap_or(usize::MAX)
}
