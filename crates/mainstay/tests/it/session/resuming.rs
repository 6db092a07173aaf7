use std::time::Duration;

use mainstay::link::session::{Event, Fate, Held, Raw, Restarted, Seq, SessionIncoming, Why};

use super::peer::Order;
use super::{Mood, Server, config, message, next, number, open, within};

/// Messages that are not acknowledged while the server says nothing of it.
fn silent() -> Mood {
    Mood { silent: true, ..Mood::default() }
}

async fn restarted(incoming: &mut SessionIncoming) -> Restarted {
    let event = next(incoming).await;
    let Event::Restarted(restarted) = event else { panic!("no restart, but {event:?}") };
    restarted
}

fn seqs(held: &[Held]) -> Vec<u64> {
    held.iter().map(|held| held.seq.0).collect()
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn w31_a_session_goes_on_over_connections_that_break_twice_in_a_row() {
    let server = Server::start(Mood { says: 3, ..silent() }).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    for n in 0..5 {
        session.send(&number(n)).await.unwrap();
    }
    server.until("five were processed", |server| server.processed().len() == 5).await;
    for round in 2..4 {
        server.order(Order::Reset);
        server.until("it came back", |server| server.hellos().len() == round).await;
    }
    server.mood(|mood| mood.silent = false);
    server.order(Order::Reset);
    assert_eq!(within("the fate", session.delivered(Seq(5))).await, Fate::Delivered);
    assert_eq!(server.processed(), texts(0..5));
    for n in 0..3 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    assert_eq!((session.stats().restarts, session.stats().unknown), (0, 0));
    assert!(server.hellos()[1..].iter().all(|hello| hello.resume.is_some()));
}

#[tokio::test]
async fn w31_a_session_resumes_when_nothing_was_ever_sent() {
    let server = Server::start(Mood::default()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    server.order(Order::Reset);
    server.until("it came back", |server| server.hellos().len() == 2).await;
    let seq = session.send(&number(7)).await.unwrap();
    assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
    server.say(&number(8));
    assert_eq!(message(&mut incoming).await, "8");
    assert_eq!((session.stats().resumes, session.stats().restarts), (1, 0));
    assert_eq!(session.view().generation, 2);
}

#[tokio::test]
async fn w29_what_a_server_that_forgot_may_have_processed_is_unknown_and_not_sent_again() {
    let server = Server::start(silent()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    for n in 0..5 {
        session.send(&number(n)).await.unwrap();
    }
    server.until("five were processed", |server| server.processed().len() == 5).await;
    assert_eq!(session.fate(Seq(1)), None);
    server.forget();
    let told = restarted(&mut incoming).await;
    assert_eq!((told.why, seqs(&told.unknown)), (Why::Forgotten, vec![1, 2, 3, 4, 5]));
    assert_eq!(told.unknown[4].payload.as_str(), "4");
    assert!(told.refused.is_empty());
    for seq in 1..=5 {
        assert_eq!(session.delivered(Seq(seq)).await, Fate::Unknown);
    }
    server.mood(|mood| mood.silent = false);
    let seq = session.send(&number(5)).await.unwrap();
    assert_eq!(seq, Seq(6));
    assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
    assert_eq!(server.processed(), texts(0..6));
}

#[tokio::test]
async fn w29_what_was_never_written_goes_into_the_next_session() {
    let server = Server::start(silent()).await;
    let (session, mut incoming) = open(config(&server.url()));
    assert_eq!(session.send(&number(0)).await, Ok(Seq(1)));
    session.connect().await.unwrap();
    server.until("it was processed", |server| server.processed().len() == 1).await;
    session.link().disconnect().await;
    server.mood(|mood| mood.silent = false);
    server.forget();
    for n in 1..4 {
        session.send(&number(n)).await.unwrap();
    }
    session.connect().await.unwrap();
    let told = restarted(&mut incoming).await;
    assert_eq!((told.why, seqs(&told.unknown)), (Why::Forgotten, vec![1]));
    assert_eq!(within("the fate", session.delivered(Seq(4))).await, Fate::Delivered);
    assert_eq!(session.fate(Seq(1)), Some(Fate::Unknown));
    assert_eq!(server.processed(), texts(0..4));
}

#[tokio::test]
async fn w31_a_session_without_a_replay_begins_anew() {
    let server = Server::start(silent()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    session.send(&number(0)).await.unwrap();
    server.until("it was processed", |server| server.processed().len() == 1).await;
    server.mood(|mood| mood.no_replay = true);
    server.order(Order::Reset);
    let told = restarted(&mut incoming).await;
    server.mood(|mood| mood.silent = false);
    assert_eq!((told.why, seqs(&told.unknown)), (Why::NoReplay, vec![1]));
    let seq = session.send(&number(1)).await.unwrap();
    assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
    server.say(&number(9));
    assert_eq!(message(&mut incoming).await, "9");
}

#[tokio::test]
async fn w31_a_server_that_has_what_was_never_written_is_not_believed() {
    let server = Server::start(silent()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    session.send(&number(0)).await.unwrap();
    server.until("it was processed", |server| server.processed().len() == 1).await;
    session.link().disconnect().await;
    // This one has a number, and no socket ever saw it.
    session.send(&number(1)).await.unwrap();
    server.mood(|mood| (mood.boasts, mood.silent) = (1, false));
    session.link().begin();
    let told = restarted(&mut incoming).await;
    assert_eq!((told.why, seqs(&told.unknown)), (Why::Disagreement, vec![1]));
    server.mood(|mood| mood.boasts = 0);
    assert_eq!(within("the fate", session.delivered(Seq(2))).await, Fate::Delivered);
    assert_eq!(server.processed(), texts(0..2));
    assert_eq!(server.hellos().last().unwrap().resume, None);
}

#[tokio::test]
async fn w31_a_gap_is_filled_by_a_resume() {
    let server = Server::start(Mood { says: 5, leaves_out: Some((3, 1)), ..Mood::default() }).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    for n in 0..5 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    assert_eq!((server.hellos().len(), session.stats().restarts), (2, 0));
}

#[tokio::test]
async fn w31_a_gap_that_is_not_filled_is_told_and_never_passed_over() {
    let server = Server::start(Mood { says: 5, leaves_out: Some((3, 2)), ..Mood::default() }).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    for n in 0..2 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    assert_eq!(restarted(&mut incoming).await.why, Why::Gap);
    // Another session, which says everything.
    for n in 0..5 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    assert_eq!(server.hellos().last().unwrap().resume, None);
}

#[tokio::test]
async fn w31_what_is_replayed_and_was_here_before_is_dropped() {
    let server = Server::start(Mood { says: 5, ..Mood::default() }).await;
    let mut settings = config(&server.url());
    (settings.stream.ack_messages, settings.stream.ack_after) = (100, Duration::from_secs(3_600));
    let (session, mut incoming) = open(settings);
    session.connect().await.unwrap();
    for n in 0..3 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    assert_eq!(server.unacknowledged(), 5);
    server.order(Order::Reset);
    server.until("`hello` told of two", |server| server.unacknowledged() == 3).await;
    for n in 3..5 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    server.say(&number(5));
    assert_eq!(message(&mut incoming).await, "5");
    assert_eq!((session.stats().received, session.stats().duplicates), (6, 3));
}

#[tokio::test]
async fn only_what_is_processed_is_acknowledged() {
    let server = Server::start(Mood { says: 5, ..Mood::default() }).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    for n in 0..3 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    server.until("two were processed", |server| server.unacknowledged() == 3).await;
    incoming.done();
    server.until("three were processed", |server| server.unacknowledged() == 2).await;
    drop(incoming);
    server.until("nobody will read the rest", |server| server.unacknowledged() == 0).await;
    assert_eq!(session.stats().received, 5);
}

#[tokio::test]
async fn a_full_window_makes_senders_wait_and_an_ack_frees_them() {
    let server = Server::start(silent()).await;
    let mut settings = config(&server.url());
    (settings.stream.messages, settings.stream.ack_messages) = (4, 4);
    let (session, _incoming) = open(settings);
    session.connect().await.unwrap();
    for n in 0..4 {
        session.try_send(&number(n)).unwrap();
    }
    let refused = session.try_send(&number(4)).unwrap_err();
    assert_eq!(refused, mainstay::link::session::SendError::Full);
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.send(&number(4)).await }
    });
    server.until("four were processed", |server| server.processed().len() == 4).await;
    assert!(!waiting.is_finished());
    server.mood(|mood| mood.silent = false);
    server.order(Order::Reset);
    assert_eq!(within("room", waiting).await.unwrap(), Ok(Seq(5)));
    assert_eq!(within("the fate", session.delivered(Seq(5))).await, Fate::Delivered);
}

#[tokio::test]
async fn a_drain_waits_for_the_last_ack_and_counts_what_is_left() {
    let server = Server::start(Mood::default()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    for n in 0..50 {
        session.send(&number(n)).await.unwrap();
    }
    assert_eq!(within("the drain", session.drain(Duration::from_secs(60))).await, 0);
    assert_eq!(server.processed(), texts(0..50));
    assert_eq!(session.fate(Seq(50)), Some(Fate::Delivered));
    assert_eq!(within("the end", incoming.recv()).await, None);
    server.until("it said goodbye for good", |server| server.byes() == [1000]).await;

    server.mood(|mood| mood.silent = true);
    let (session, _incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    session.send(&number(50)).await.unwrap();
    assert_eq!(within("the drain", session.drain(Duration::from_millis(50))).await, 1);
    assert_eq!(session.delivered(Seq(1)).await, Fate::Unknown);
    let refused = session.try_send(&Raw::text("late")).unwrap_err();
    assert_eq!(refused, mainstay::link::session::SendError::Stopped);
}

#[tokio::test]
async fn make_before_break_takes_the_session_along() {
    let server = Server::start(Mood::default()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    for round in 0..5 {
        for n in 0..10 {
            session.send(&number(10 * round + n)).await.unwrap();
            server.say(&number(10 * round + n));
        }
        session.link().migrate();
        let seq = Seq((10 * round + 10) as u64);
        assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
        // The server lets go of the old connection as soon as it hears of the new, and then that is a
        // redial; one that is asked for meanwhile is none.
        let moved = |server: &Server| {
            let moved = server.hellos().len() >= 2 + round;
            if !moved {
                session.link().migrate();
            }
            moved
        };
        server.until("it moved", moved).await;
    }
    assert_eq!(server.processed(), texts(0..50));
    for n in 0..50 {
        assert_eq!(message(&mut incoming).await, n.to_string());
    }
    // The answer to the last greeting may still be on its way.
    server.until("it was told", |_| session.stats().resumes >= 5).await;
    assert_eq!(session.stats().restarts, 0);
}
