use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use mainstay::link::StateName;
use mainstay::link::session::Why;
use mainstay::link::session::{
    Event, Fate, Raw, Restarted, Secret, SendError, Seq, SessionIncoming,
};
use mainstay::link::websocket::Provider;
use mainstay_wire::{Limits, Ping};

use super::peer::{Order, bye};
use super::{Mood, Server, config, message, next, number, open, within};

async fn restarted(incoming: &mut SessionIncoming) -> Restarted {
    let event = next(incoming).await;
    let Event::Restarted(restarted) = event else { panic!("no restart, but {event:?}") };
    restarted
}

#[tokio::test]
async fn a_server_that_goes_away_is_come_back_to_and_the_session_goes_on() {
    let orders = [
        Order::Bye(bye(4_101), true),
        Order::Bye(bye(4_001), false),
        Order::Close(4_105),
        Order::Close(1_011),
    ];
    for order in orders {
        let server = Server::start(Mood::default()).await;
        let (session, _incoming) = open(config(&server.url()));
        session.connect().await.unwrap();
        server.order(order);
        server.until("it came back", |server| server.hellos().len() == 2).await;
        assert!(server.hellos()[1].resume.is_some());
        let seq = session.send(&number(0)).await.unwrap();
        assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
    }
}

#[tokio::test]
async fn a_code_that_is_final_ends_the_link_with_or_without_a_bye() {
    for order in [Order::Bye(bye(4_203), true), Order::Bye(bye(4_202), false), Order::Close(4_203)]
    {
        let server = Server::start(Mood::default()).await;
        let (session, _incoming) = open(config(&server.url()));
        session.connect().await.unwrap();
        let mut watch = session.link().watch();
        server.order(order);
        let failed = watch.wait_for(|view| view.state == StateName::Failed);
        drop(within("the end", failed).await.unwrap());
        assert_eq!(session.send(&number(0)).await, Err(SendError::Failed));
        assert_eq!(server.hellos().len(), 1);
        // The user may say otherwise.
        session.connect().await.unwrap();
        let seq = session.send(&number(0)).await.unwrap();
        assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
    }
}

#[tokio::test]
async fn credentials_go_into_hello_and_are_asked_for_anew_when_they_are_refused() {
    let server = Server::start(Mood { turns_away: Some((4_201, 1)), ..Mood::default() }).await;
    let asked = Arc::new(AtomicU32::new(0));
    let mut settings = config(&server.url());
    settings.auth = Some(Secret::new("never used"));
    settings.socket.provider = Some(Provider::tokens({
        let asked = asked.clone();
        move |ask| {
            let n = asked.fetch_add(1, Ordering::SeqCst);
            async move { Ok(format!("token {n} {}", ask.refresh)) }
        }
    }));
    let (session, _incoming) = open(settings);
    session.link().begin();
    server.until("it came twice", |server| server.hellos().len() == 2).await;
    let told: Vec<_> = server.hellos().into_iter().map(|hello| hello.auth).collect();
    let wanted = ["token 0 false", "token 1 true"].map(|token| Some(Secret::new(token)));
    assert_eq!(told, wanted);
    let seq = session.send(&number(0)).await.unwrap();
    assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
    assert!(!format!("{session:?}").contains("token"));
}

#[tokio::test]
async fn w31_a_resume_that_is_impossible_is_followed_by_a_hello_without_one() {
    for at_hello in [false, true] {
        let server = Server::start(Mood { silent: true, ..Mood::default() }).await;
        let (session, mut incoming) = open(config(&server.url()));
        session.connect().await.unwrap();
        session.send(&number(0)).await.unwrap();
        server.until("it was processed", |server| server.processed().len() == 1).await;
        if at_hello {
            server.mood(|mood| mood.turns_away = Some((4_106, 1)));
            server.order(Order::Reset);
        } else {
            server.order(Order::Close(4_106));
        }
        let told = restarted(&mut incoming).await;
        assert_eq!((told.why, told.unknown.len()), (Why::Impossible, 1));
        server.mood(|mood| mood.silent = false);
        let seq = session.send(&number(1)).await.unwrap();
        assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
        assert_eq!(server.hellos().last().unwrap().resume, None);
        assert_eq!(server.processed(), ["0", "1"]);
    }
}

#[tokio::test]
async fn w30_a_message_that_the_server_chokes_on_is_given_back_and_the_link_lives() {
    for code in [1_009, 1_007] {
        let mood = Mood { chokes_on: Some(("poison", code)), ..Mood::default() };
        let server = Server::start(mood).await;
        let (session, mut incoming) = open(config(&server.url()));
        for text in ["first", "poison", "after"] {
            session.send(&Raw::text(text)).await.unwrap();
        }
        session.link().begin();
        let told = restarted(&mut incoming).await;
        assert_eq!(told.why, Why::Refused);
        let refused: Vec<_> = told.refused.iter().map(|held| held.payload.as_str()).collect();
        assert_eq!(refused, [r#""poison""#]);
        assert_eq!(session.delivered(Seq(2)).await, Fate::Refused);
        assert_eq!(session.delivered(Seq(1)).await, Fate::Delivered);
        assert_eq!(session.delivered(Seq(3)).await, Fate::Unknown);
        let seq = session.send(&Raw::text("then")).await.unwrap();
        assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered);
        assert_eq!(server.processed(), [r#""first""#, r#""then""#]);
    }
}

#[tokio::test]
async fn w30_a_message_larger_than_the_server_takes_never_gets_a_number() {
    let limits = Limits { frame_bytes: 200, rate_per_sec: 0 };
    let server = Server::start(Mood { limits, ..Mood::default() }).await;
    let (session, mut incoming) = open(config(&server.url()));
    // Before the server has said so, the usual limit holds.
    let large = Raw::text(&"x".repeat(300));
    session.send(&number(0)).await.unwrap();
    session.send(&large).await.unwrap();
    session.send(&number(1)).await.unwrap();
    session.connect().await.unwrap();
    let told = restarted(&mut incoming).await;
    assert_eq!((told.why, told.unknown.len(), told.refused.len()), (Why::Refused, 0, 1));
    assert_eq!(within("the fate", session.delivered(Seq(3))).await, Fate::Delivered);
    assert_eq!(session.fate(Seq(2)), Some(Fate::Refused));
    let Err(SendError::TooLarge { bytes, max: 200 }) = session.send(&large).await else {
        panic!("it was taken");
    };
    assert!(bytes > 300);
    assert_eq!(session.send(&number(2)).await, Ok(Seq(4)));
    assert_eq!(server.hellos().len(), 1);
}

#[tokio::test]
async fn a_ping_of_the_server_is_answered_with_what_it_said() {
    let server = Server::start(Mood::default()).await;
    let (session, _incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    server.order(Order::Ping(Ping { number: 7, sent_us: 123_456 }));
    server.until("it answered", |server| server.pongs() == [(7, 123_456)]).await;
}

#[tokio::test]
async fn messages_without_a_number_go_both_ways() {
    let server = Server::start(Mood::default()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    drop(session.send_untracked(&Raw::text("hi")));
    server.until("it came", |server| server.processed() == [r#""hi""#]).await;
    server.order(Order::Tell(Raw::text("ho")));
    assert_eq!(message(&mut incoming).await, r#""ho""#);
    assert_eq!((session.stats().sent, session.stats().received), (0, 0));
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_left() {
    let frames = [
        r#"{"t":"ack","s":9}"#,
        r#"{"t":"msg","s":"one"}"#,
        "nonsense",
        r#"{"t":"msg","s":0,"d":1}"#,
    ];
    for frame in frames {
        let server = Server::start(Mood::default()).await;
        let (session, _incoming) = open(config(&server.url()));
        session.connect().await.unwrap();
        server.order(Order::Raw(frame.to_owned()));
        server.until("it came back", |server| server.hellos().len() >= 2).await;
        let seq = session.send(&number(0)).await.unwrap();
        assert_eq!(within("the fate", session.delivered(seq)).await, Fate::Delivered, "{frame}");
    }
    let server = Server::start(Mood::default()).await;
    let (session, mut incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    server.order(Order::Raw(r#"{"t":"of tomorrow"}"#.to_owned()));
    server.say(&number(1));
    assert_eq!(message(&mut incoming).await, "1");
    assert_eq!((server.hellos().len(), session.stats().restarts), (1, 0));
}

#[tokio::test]
async fn no_more_frames_go_out_in_a_second_than_the_server_takes() {
    let limits = Limits { frame_bytes: 16_384, rate_per_sec: 40 };
    let server = Server::start(Mood { limits, ..Mood::default() }).await;
    let (session, _incoming) = open(config(&server.url()));
    session.connect().await.unwrap();
    let started = Instant::now();
    for n in 0..30 {
        session.send(&number(n)).await.unwrap();
    }
    assert_eq!(within("the fate", session.delivered(Seq(30))).await, Fate::Delivered);
    // Ten at once, twenty more at one in 25 ms.
    assert!(started.elapsed().as_millis() >= 450, "{:?}", started.elapsed());
    assert_eq!(server.processed().len(), 30);
}

#[test]
fn what_a_session_cannot_have_is_named() {
    use mainstay::link::LinkOptions;
    use mainstay::link::session::{SessionConfig, SessionLink};
    use mainstay::link::websocket::Handshake;

    let config = || SessionConfig::new("ws://127.0.0.1:9", "test", "1");
    let mut shaking = config();
    shaking.socket.handshake = Some(Handshake::new(|opening| async move { Ok(opening) }));
    let subscribed = config();
    subscribed.socket.subscriptions.set("a", "b");
    let mut narrow = config();
    narrow.stream.messages = 0;
    let wrong = [
        ("socket.handshake", shaking),
        ("socket.subscriptions", subscribed),
        ("stream.messages", narrow),
    ];
    for (field, config) in wrong {
        let error = SessionLink::open(LinkOptions::websocket("test"), config).unwrap_err();
        assert_eq!(error.field, field);
    }
}
