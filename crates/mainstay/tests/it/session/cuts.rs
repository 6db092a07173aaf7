//! The proof that nothing is lost, at every byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay::core::bits::{bits, uniform};
use mainstay::link::session::{Event, Fate, SessionIncoming};
use mainstay_fault::{Cut, Direction, Fault, FaultProxy};

use super::{Mood, Server, config, number, open, within};

const MESSAGES: usize = 100;
/// Runs at a time.
const LANES: usize = 12;

#[derive(Clone, Copy, Debug)]
enum Way {
    Up,
    Down,
}

/// Cuts the first connection at every byte of one direction.
async fn every_byte(way: Way) {
    let next = Arc::new(AtomicU64::new(0));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..LANES {
        let next = next.clone();
        lanes.spawn(async move {
            let server = Server::start(Mood { says: MESSAGES, ..Mood::default() }).await;
            let proxy = FaultProxy::start(server.address).await.unwrap();
            let (mut cuts, mut doubled) = (0, 0);
            while let Some(more) =
                run(&server, &proxy, way, next.fetch_add(1, Ordering::SeqCst)).await
            {
                (cuts, doubled) = (cuts + 1, doubled + more);
            }
            (cuts, doubled)
        });
    }
    let lanes = lanes.join_all().await;
    let cuts: u64 = lanes.iter().map(|(cuts, _)| cuts).sum();
    let doubled: u64 = lanes.iter().map(|(_, doubled)| doubled).sum();
    // Each message alone has some twenty bytes.
    assert!(cuts > 20 * MESSAGES as u64, "{cuts} cuts");
    assert!(doubled > cuts, "{doubled} messages came twice");
}

/// A whole exchange whose first connection is cut at this byte. Says how many messages came twice, if
/// it was cut.
async fn run(server: &Server, proxy: &FaultProxy, way: Way, at_byte: u64) -> Option<u64> {
    let before = proxy.stats().accepted;
    let cut = Some(Cut { at_byte, reset: at_byte.is_multiple_of(3) });
    let bad = Direction { cut, ..Direction::CLEAR };
    proxy.set(match way {
        Way::Up => Fault { up: bad, ..Fault::NONE },
        Way::Down => Fault { down: bad, ..Fault::NONE },
    });
    let (session, mut incoming) = open(config(&format!("ws://{}/", proxy.address())));
    session.link().begin();
    let mut last = None;
    for n in 0..MESSAGES {
        last = Some(session.send(&number(n)).await.unwrap());
    }
    let exchange = async {
        // Every other application has processed nothing when the connection is back: all comes twice.
        while at_byte.is_multiple_of(2)
            && session.stats().resumes == 0
            && (session.stats().received < MESSAGES as u64 || session.fate(last.unwrap()).is_none())
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let heard = hear(&mut incoming, MESSAGES).await;
        let fate = session.delivered(last.unwrap()).await;
        (heard, fate)
    };
    let mend = async {
        while proxy.stats().accepted < before + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        proxy.set(Fault::NONE);
        std::future::pending::<()>().await;
    };
    let what = format!("{way:?} cut at byte {at_byte}");
    let (heard, fate) = within(&what, async {
        tokio::select! {
            done = exchange => done,
            () = mend => unreachable!("it does not end"),
        }
    })
    .await;
    let wanted: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(heard, wanted, "{what}: down");
    assert_eq!(fate, Fate::Delivered, "{what}");
    assert_eq!(server.take_processed(), wanted, "{what}: up");
    assert_eq!(session.stats().unknown, 0, "{what}");
    let doubled = session.stats().duplicates;
    let was_cut = proxy.stats().accepted > before + 1;
    session.shutdown().await;
    was_cut.then_some(doubled)
}

/// So many messages.
async fn hear(incoming: &mut SessionIncoming, count: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let event = incoming.recv().await.expect("the link lives");
        let Event::Message(received) = event else {
            panic!("{event:?} after {} messages", heard.len());
        };
        heard.push(received.payload.as_str().to_owned());
    }
    incoming.done();
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w28_a_cut_at_any_byte_on_the_way_up_loses_and_doubles_nothing() {
    every_byte(Way::Up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w28_a_cut_at_any_byte_on_the_way_down_loses_and_doubles_nothing() {
    every_byte(Way::Down).await;
}

/// A whole exchange whose connections are cut again and again, at random.
async fn soak(seed: u64) {
    const EACH: usize = 400;
    let server = Server::start(Mood { says: EACH, ..Mood::default() }).await;
    let proxy = FaultProxy::start(server.address).await.unwrap();
    let (session, mut incoming) = open(config(&format!("ws://{}/", proxy.address())));
    session.link().begin();
    let spoil = async {
        for round in 0..24 {
            // Far enough for a handshake and some messages; sometimes beyond what there is to say.
            let draw = |lane, most| 500 + uniform(bits(seed, lane, round), most);
            let cut = |lane| Some(Cut { at_byte: draw(lane, 6_000), reset: round % 3 == 0 });
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
        let mut last = None;
        for n in 0..EACH {
            last = Some(session.send(&number(n)).await.unwrap());
            if n % 16 == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        session.delivered(last.unwrap()).await
    };
    let what = format!("the soak of seed {seed} to end");
    let all = async { tokio::join!(spoil, send, hear(&mut incoming, EACH)) };
    let ((), fate, heard) = within(&what, all).await;
    let wanted: Vec<String> = (0..EACH).map(|n| n.to_string()).collect();
    assert_eq!(fate, Fate::Delivered, "seed {seed}");
    assert_eq!(heard, wanted, "seed {seed}: down");
    assert_eq!(server.take_processed(), wanted, "seed {seed}: up");
    assert_eq!((session.stats().unknown, session.stats().restarts), (0, 0), "seed {seed}");
    assert!(session.stats().resumes > 2, "seed {seed}: {:?}", session.stats());
    session.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w28_connections_that_are_cut_at_random_lose_and_double_nothing() {
    let mut seeds = tokio::task::JoinSet::new();
    for seed in 0..24 {
        seeds.spawn(soak(seed));
    }
    assert_eq!(seeds.join_all().await.len(), 24);
}
