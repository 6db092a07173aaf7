//! Nothing is lost and nothing comes twice, at whatever byte a connection is cut.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::core::bits::{bits, uniform};
use mainstay::link::session::{Fate, SessionLink};
use mainstay_fault::{Cut, Direction, Fault, FaultProxy};
use mainstay_server::Raw;
use mainstay_server::registry::SessionId;
use mainstay_server::session::{Handled, Handler, Session};
use tokio::time::timeout;

use super::{hear, link};
use crate::running::{PATIENCE, Running, start_with};

const MESSAGES: usize = 40;
/// Runs at a time.
const LANES: usize = 8;
const SERVER: &str = "[sessions]\nstream = { ack_after = \"5ms\", ack_messages = 16 }\n\
                      limits = { rate = 1000000, burst = 1000000 }\n";

/// Notes what clients say, and answers the first message of each session with as many of its own.
#[derive(Debug, Default)]
struct Notes {
    said: Mutex<Vec<String>>,
    answered: Mutex<HashSet<SessionId>>,
    answers: usize,
}

impl Handler for Notes {
    fn message(&self, session: &Session, message: Raw) -> Handled {
        self.said.lock().unwrap().push(message.as_str().to_owned());
        if self.answered.lock().unwrap().insert(session.id()) {
            for n in 0..self.answers {
                session.send(&number(n)).unwrap();
            }
        }
        Handled::Done
    }
}

fn number(n: usize) -> Raw {
    Raw::new(&n.to_string()).unwrap()
}

fn wanted(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

async fn serve(answers: usize) -> (Running, Arc<Notes>, FaultProxy) {
    let notes = Arc::new(Notes { answers, ..Notes::default() });
    let running = start_with(SERVER, notes.clone()).await;
    let proxy = FaultProxy::start(running.address.parse().unwrap()).await.unwrap();
    (running, notes, proxy)
}

/// Cuts the first connection at every byte of one direction.
async fn every_byte(up: bool) {
    let next = Arc::new(AtomicU64::new(0));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..LANES {
        let next = next.clone();
        lanes.spawn(async move {
            let (_running, notes, proxy) = serve(MESSAGES).await;
            let mut cuts = 0;
            while run(&notes, &proxy, up, next.fetch_add(1, Ordering::SeqCst)).await {
                cuts += 1;
            }
            cuts
        });
    }
    let cuts: usize = lanes.join_all().await.iter().sum();
    // Each message alone has some twenty bytes.
    assert!(cuts > 20 * MESSAGES, "{cuts} cuts");
}

/// A whole exchange whose first connection is cut at this byte. Says whether it was cut.
async fn run(notes: &Notes, proxy: &FaultProxy, up: bool, at_byte: u64) -> bool {
    let before = proxy.stats().accepted;
    let cut = Some(Cut { at_byte, reset: at_byte.is_multiple_of(3) });
    let bad = Direction { cut, ..Direction::CLEAR };
    proxy.set(if up {
        Fault { up: bad, ..Fault::NONE }
    } else {
        Fault { down: bad, ..Fault::NONE }
    });
    let (session, mut incoming) = link(&proxy.address().to_string());
    session.link().begin();
    let exchange = async {
        let last = say(&session, MESSAGES).await;
        let heard = hear(&mut incoming, MESSAGES).await;
        (heard, session.delivered(last).await)
    };
    let mend = async {
        while proxy.stats().accepted < before + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        proxy.set(Fault::NONE);
        std::future::pending::<()>().await;
    };
    let what = format!("{} cut at byte {at_byte}", if up { "up" } else { "down" });
    let done = async {
        tokio::select! {
            done = exchange => done,
            () = mend => unreachable!("it does not end"),
        }
    };
    let (heard, fate) = timeout(PATIENCE, done).await.unwrap_or_else(|_| panic!("{what}: stuck"));
    assert_eq!(heard, wanted(MESSAGES), "{what}: down");
    assert_eq!(fate, Fate::Delivered, "{what}");
    let said = std::mem::take(&mut *notes.said.lock().unwrap());
    assert_eq!(said, wanted(MESSAGES), "{what}: up");
    assert_eq!((session.stats().unknown, session.stats().restarts), (0, 0), "{what}");
    let was_cut = proxy.stats().accepted > before + 1;
    session.shutdown().await;
    was_cut
}

async fn say(session: &SessionLink, count: usize) -> mainstay::link::session::Seq {
    let mut last = None;
    for n in 0..count {
        last = Some(session.send(&number(n)).await.unwrap());
    }
    last.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_on_the_way_to_this_server_loses_and_doubles_nothing() {
    every_byte(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_at_any_byte_on_the_way_from_this_server_loses_and_doubles_nothing() {
    every_byte(false).await;
}

/// A whole exchange whose connections are cut again and again, at random.
async fn soak(seed: u64) {
    const EACH: usize = 200;
    let (running, notes, proxy) = serve(EACH).await;
    let (session, mut incoming) = link(&proxy.address().to_string());
    session.link().begin();
    let spoil = async {
        for round in 0..16 {
            let draw = |lane, most| 700 + uniform(bits(seed, lane, round), most);
            let cut = |lane| Some(Cut { at_byte: draw(lane, 5_000), reset: round % 3 == 0 });
            let way = |lane| Direction { cut: cut(lane), ..Direction::CLEAR };
            let seen = proxy.stats().accepted;
            proxy.set(Fault { up: way(0), down: way(1), ..Fault::NONE });
            for _ in 0..uniform(bits(seed, 2, round), 40) {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if proxy.stats().accepted > seen {
                    break;
                }
            }
            if uniform(bits(seed, 3, round), 3) == 0 {
                proxy.cut_all();
            }
        }
        proxy.set(Fault::NONE);
    };
    let send = async {
        let last = say(&session, EACH).await;
        session.delivered(last).await
    };
    let all = async { tokio::join!(spoil, send, hear(&mut incoming, EACH)) };
    let done = timeout(PATIENCE, all).await;
    let ((), fate, heard) = done.unwrap_or_else(|_| panic!("seed {seed}: stuck"));
    assert_eq!(fate, Fate::Delivered, "seed {seed}");
    assert_eq!(heard, wanted(EACH), "seed {seed}: down");
    assert_eq!(*notes.said.lock().unwrap(), wanted(EACH), "seed {seed}: up");
    assert_eq!((session.stats().unknown, session.stats().restarts), (0, 0), "seed {seed}");
    let counts = running.handle.counts();
    // The last connection may just have been cut.
    assert!(counts.connected <= 1 && counts.live() >= 1, "seed {seed}: {counts:?}");
    session.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_this_server_that_are_cut_at_random_lose_and_double_nothing() {
    let mut seeds = tokio::task::JoinSet::new();
    for seed in 0..12 {
        seeds.spawn(soak(seed));
    }
    assert_eq!(seeds.join_all().await.len(), 12);
}
