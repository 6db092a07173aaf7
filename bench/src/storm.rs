//! Ten thousand links whose server is restarted: how fast they come, and when all are back.
//!
//! The server is this program again, in a process of its own: one process may not hold both ends of
//! ten thousand connections.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay::link::websocket::{HandshakeConfig, HandshakeLimiter, WebSocket, WebSocketConfig};
use mainstay::link::{LinkConfig, LinkOptions};
use tokio::net::{TcpListener, TcpSocket};

/// The argument that makes this program the server.
pub const SERVE: &str = "--serve-storm";
const LINKS: usize = 10_000;
/// How long the server is away.
const AWAY: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(180);

/// What came of it.
pub struct Storm {
    pub links: usize,
    /// From the server's return until all links were back.
    pub recovered: Option<Duration>,
    /// Most handshakes in one second.
    pub peak: u64,
    /// All handshakes of the storm.
    pub handshakes: u64,
    /// What the limiter allows in a second that begins after a rest.
    pub allowed: u64,
}

impl Storm {
    pub fn text(&self) -> String {
        let recovered = match self.recovered {
            Some(took) => format!("{:.1} s after the server was back", took.as_secs_f64()),
            None => format!("not within {} s", LONGEST.as_secs()),
        };
        format!(
            "| links | all back | peak | allowed by the limiter | handshakes in all |\n\
             |---|---|---|---|---|\n| {} | {recovered} | {} a second | {} | {} |\n",
            self.links, self.peak, self.allowed, self.handshakes
        )
    }

    /// Whether all came back, no faster than they may.
    pub fn is_calm(&self) -> bool {
        self.recovered.is_some() && self.peak <= self.allowed
    }
}

/// Runs the storm.
pub fn run() -> Storm {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = HandshakeConfig::default();
    let limiter = HandshakeLimiter::new(&config).expect("the defaults make sense");
    let mut server = Server::start("127.0.0.1:0");
    let address = server.address;
    let links: Vec<_> = {
        let _inside = runtime.enter();
        (0..LINKS).map(|_| open(address, limiter.clone())).collect()
    };
    let up = || links.iter().filter(|(socket, _)| socket.link().view().healthy).count();
    let begun = Instant::now();
    while up() < LINKS && begun.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(50));
    }
    server.stop();
    std::thread::sleep(AWAY);
    let server = Server::start(&address.to_string());
    let back = Instant::now();
    let mut recovered = None;
    while back.elapsed() < LONGEST {
        if up() == LINKS {
            recovered = Some(back.elapsed());
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let (peak, handshakes) = server.counts();
    runtime.shutdown_background();
    // The second that begins after a rest sees the burst and a second's worth.
    let allowed = u64::from(config.per_second + config.burst);
    Storm { links: LINKS, recovered, peak, handshakes, allowed }
}

fn open(
    address: SocketAddr,
    limiter: HandshakeLimiter,
) -> (WebSocket, mainstay::link::websocket::Incoming) {
    let config = WebSocketConfig { limiter, ..WebSocketConfig::new(format!("ws://{address}/")) };
    let link = LinkOptions::websocket("storm").config(LinkConfig::websocket());
    let opened = WebSocket::open(link, config).expect("it makes sense");
    opened.0.link().begin();
    opened
}

/// The server's process.
struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(address: &str) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.args([SERVE, address]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("the server tells its address");
        let address = line.trim().parse().expect("an address");
        Self { child, lines, address }
    }

    fn stop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Most handshakes in one second, and all of them.
    fn counts(mut self) -> (u64, u64) {
        let mut input = self.child.stdin.take().expect("it is piped");
        writeln!(input, "counts").expect("the server listens");
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the server answers");
        let mut numbers = line.split_whitespace().map(|n| n.parse().expect("a number"));
        let counts = (numbers.next().expect("the peak"), numbers.next().expect("the sum"));
        self.stop();
        counts
    }
}

/// Serves on `address` until standard input ends, and tells its counts when asked.
pub fn serve(address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let seconds: Arc<Vec<AtomicU64>> = Arc::new((0..600).map(|_| AtomicU64::new(0)).collect());
    let counted = seconds.clone();
    let address: SocketAddr = address.parse().expect("an address");
    runtime.spawn(async move {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        socket.bind(address).expect("the address is free");
        let listener: TcpListener = socket.listen(4096).expect("it listens");
        println!("{}", listener.local_addr().expect("it is bound"));
        let begun = Instant::now();
        while let Ok((stream, _)) = listener.accept().await {
            let second = usize::try_from(begun.elapsed().as_secs()).unwrap_or(0);
            counted[second.min(counted.len() - 1)].fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let buffers = tokio_tungstenite::tungstenite::protocol::WebSocketConfig::default()
                    .read_buffer_size(1024);
                let upgraded =
                    tokio_tungstenite::accept_async_with_config(stream, Some(buffers)).await;
                if let Ok(mut socket) = upgraded {
                    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut socket).await {}
                }
            });
        }
    });
    for line in std::io::stdin().lines() {
        if line.is_err() {
            return;
        }
        let counts: Vec<u64> = seconds.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        println!("{} {}", counts.iter().max().unwrap_or(&0), counts.iter().sum::<u64>());
    }
}
