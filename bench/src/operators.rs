//! What operators do to a session: in the table of a million, and asked of a server that stores it
//! before it answers.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Wall};

use mainstay_core::policy::backoff::{Backoff, BackoffConfig};
use mainstay_core::policy::pressure::Pressure;
use mainstay_core::session::status::LossReason;

use crate::durable::synced;
use crate::measure::{Row, measure};
use crate::process::Process;
use crate::report::{Measured, Section, Target, times};
use crate::servers::Kind;
use crate::sessions::{MILLION, at, filled, of};
use crate::took::Took;

const PATIENCE: Duration = Duration::from_secs(20);
/// Requests of each kind, at most.
const EACH: usize = 1_000;
/// How long each row runs, at most: disks differ.
const ROW: Duration = Duration::from_secs(3);
/// Clients that ask at the same time in the last rows.
const TOGETHER: usize = 16;

pub fn sections() -> Vec<Section> {
    let table = "One thread, each time another session among a million, in random order, with what is \
                 to be stored and told of it taken out.";
    let asked = "Over HTTP on loopback, on connections that are kept, to a server in a process of its \
                 own: 1 000 requests of each kind, or as many as 3 s allow, one after the other, then from 16 \
                 at the same time. Each is stored in redb and synced before it is answered, and then \
                 noted in the audit log, which is synced as well. Beside it a plain file that is \
                 written and synced: what the disk allows.";
    vec![
        Section::measured("status and reconnection, among a million", table, in_the_table),
        Section::measured("status and reconnection, over the API", asked, over_the_api),
    ]
}

fn in_the_table() -> Measured {
    let ours = Arc::new(filled(MILLION));
    let (status, back) = (Arc::clone(&ours), Arc::clone(&ours));
    // Each session is touched once: halves of the table, from the start on.
    let (suspended, expected) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let half = MILLION / 2;
    let rows = vec![
        Row::new("mainstay, other metadata", move || {
            let ours = Arc::clone(&ours);
            let mut effects = Vec::new();
            move |n| {
                let (registry, keys) = &*ours;
                let session = of(keys, n * 7_919).session();
                let text = if n % 2 == 0 { r#"{"room":"a"}"# } else { r#"{"room":"b"}"# };
                assert!(registry.set_metadata(at(n), session, text.into()));
                registry.drain(session.shard(), &mut effects);
                effects.clear();
            }
        }),
        Row::new("mainstay, suspend", move || {
            let (status, suspended) = (Arc::clone(&status), Arc::clone(&suspended));
            let mut effects = Vec::new();
            move |_| {
                let (registry, keys) = &*status;
                let n = suspended.fetch_add(1, Ordering::Relaxed);
                assert!(n < half, "each session is suspended once");
                let session = of(keys, n).session();
                assert!(registry.suspend(at(n), session, LossReason::Operator, None));
                registry.drain(session.shard(), &mut effects);
                effects.clear();
            }
        }),
        Row::new("mainstay, reserve the window of a reconnection", move || {
            let (back, expected) = (Arc::clone(&back), Arc::clone(&expected));
            let backoff = Backoff::new(&BackoffConfig::default()).expect("the defaults are sound");
            let mut effects = Vec::new();
            move |_| {
                let (registry, keys) = &*back;
                let n = expected.fetch_add(1, Ordering::Relaxed);
                assert!(n < half, "each session is expected once");
                let session = of(keys, half + n).session();
                let bits = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let none = Pressure::NONE;
                let reserved = registry.expect_back(at(n), bits, session, &backoff, none, 5);
                assert!(reserved.is_ok());
                registry.drain(session.shard(), &mut effects);
                effects.clear();
            }
        }),
    ];
    let figures = measure(&rows);
    let most = |place: usize, what: &str, ms: f64| -> Target {
        let nanos = figures[place].nanos;
        (format!("{what} < {ms} ms: {nanos:.0} ns"), nanos < ms * 1e6)
    };
    let targets = vec![
        most(1, "seed 004, the status of a session among a million", 3.0),
        most(2, "seed 004, a reconnection scheduled among a million sessions", 2.0),
    ];
    Measured { text: times(&figures), targets }
}

fn over_the_api() -> Measured {
    let server = Process::start(Kind::Mainstay);
    let address = server.address;
    let all = sessions(address, 4 * EACH);
    let (suspend, schedule) = ("suspend", "reconnect");
    let mut text = String::from("| work | a second | p50 ms | p99 ms |\n|---|---|---|---|\n");
    let (bound, page) = synced();
    text += &bound;
    let mut single = Vec::new();
    for (number, action) in [suspend, schedule].into_iter().enumerate() {
        let took = ask_all(address, &all[number * EACH..][..EACH], action, 1);
        text += &took.line(&format!("mainstay, {action}, one at a time"));
        single.push(took);
    }
    for (number, action) in [suspend, schedule].into_iter().enumerate() {
        let took = ask_all(address, &all[(2 + number) * EACH..][..EACH], action, TOGETHER);
        text += &took.line(&format!("mainstay, {action}, {TOGETHER} at a time"));
    }
    let target = |took: &Took, what: &str| -> Target {
        let ratio = took.at(500).as_secs_f64() / page.as_secs_f64();
        let (half, most) = (took.at(500).as_secs_f64() * 1e3, took.at(990).as_secs_f64() * 1e3);
        let what = format!(
            "{what} over HTTP and stored ≤ 6 × a page written and synced: {ratio:.1} (p50 \
             {half:.2} ms, p99 {most:.2} ms)"
        );
        (what, ratio <= 6.0)
    };
    let targets = vec![
        target(&single[0], "a session suspended"),
        target(&single[1], "a reconnection scheduled"),
    ];
    Measured { text, targets }
}

/// Names of so many new sessions.
fn sessions(address: SocketAddr, count: usize) -> Vec<String> {
    let parts = std::thread::scope(|scope| {
        let part = || {
            let mut asker = Asker::connect(address);
            let mut names = Vec::new();
            for _ in 0..count.div_ceil(TOGETHER) {
                let hello = r#"{"v":1,"client":{"type":"WEB_APP","version":"1"},"user":"kim"}"#;
                let answer = asker.ask("/api/v1/sessions", hello);
                let (_, rest) = answer.split_once(r#""session":""#).expect("a welcome");
                names.push(rest.split('"').next().unwrap_or_default().to_owned());
            }
            names
        };
        let all: Vec<_> = (0..TOGETHER).map(|_| scope.spawn(part)).collect();
        all.into_iter().map(|thread| thread.join().expect("it is answered")).collect::<Vec<_>>()
    });
    parts.into_iter().flatten().collect()
}

/// Does this to each of them, so many at the same time.
fn ask_all(address: SocketAddr, sessions: &[String], action: &str, together: usize) -> Took {
    let mut askers: Vec<Asker> = (0..together).map(|_| Asker::connect(address)).collect();
    let begun = Wall::now();
    let each: Vec<Duration> = std::thread::scope(|scope| {
        let part = |(asker, part): (&mut Asker, &[String])| {
            let ask = |session: &String| {
                let begun = Wall::now();
                asker.ask(&format!("/api/v1/sessions/{session}/{action}"), "");
                begun.elapsed()
            };
            part.iter().take_while(|_| begun.elapsed() < ROW).map(ask).collect::<Vec<_>>()
        };
        let parts = sessions.chunks(sessions.len().div_ceil(together));
        let all: Vec<_> =
            askers.iter_mut().zip(parts).map(|one| scope.spawn(move || part(one))).collect();
        all.into_iter().flat_map(|thread| thread.join().expect("it is answered")).collect()
    });
    let all = begun.elapsed();
    Took::new(each, all)
}

/// A connection that asks over HTTP.
struct Asker {
    stream: TcpStream,
    out: String,
    answer: Vec<u8>,
}

impl Asker {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP option");
        Self { stream, out: String::new(), answer: Vec::new() }
    }

    /// The whole answer, which says that it was done.
    fn ask(&mut self, path: &str, body: &str) -> String {
        self.out.clear();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let _infallible = write!(
            self.out,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(self.out.as_bytes()).expect("the server lives");
        self.answer.clear();
        while !is_whole(&self.answer) {
            let mut more = [0; 4096];
            let read = self.stream.read(&mut more).expect("the server answers in time");
            assert!(read > 0, "the server hung up");
            self.answer.extend_from_slice(&more[..read]);
        }
        let answer = String::from_utf8_lossy(&self.answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        answer
    }
}

/// Whether an answer has all the bytes that its head announces.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    answer.len() >= head + 4 + length.unwrap_or(0_usize)
}
