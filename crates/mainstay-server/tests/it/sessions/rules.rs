//! What the server takes, and what it says to those who break the rules.

use std::time::Duration;

use mainstay_server::core::session::status::Status;
use mainstay_server::core::session::stream::Seq;
use mainstay_wire::{Ack, Frame, Hello, Meta, Raw, Secret, Suspend};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::raw::{RawClient, hello, message, resuming};
use super::{id, until};
use crate::running::{Running, start};

#[tokio::test]
async fn a_welcome_says_what_holds() {
    let running = start("").await;
    let (_client, welcome) = RawClient::welcomed(&running.address, hello()).await;
    assert_eq!((welcome.generation, welcome.resumed, welcome.replay), (1, false, false));
    assert_eq!(
        (welcome.grace_ms, welcome.beats.interval_ms, welcome.beats.timeout_ms),
        (120_000, 20_000, 20_000)
    );
    assert_eq!((welcome.limits.frame_bytes, welcome.limits.rate_per_sec), (16 << 10, 100));
    assert_eq!(
        (welcome.retry.base_ms, welcome.retry.max_ms, welcome.retry.jitter_ms),
        (1_000, 60_000, 5_000)
    );
    let record = running.handle.record(id(&welcome)).unwrap();
    assert_eq!(record.status, Status::Connected);
    assert_eq!((&*record.organisation, record.user), ("default", None));
    assert_eq!((&*record.client_type, &*record.client_version), ("test", "1"));
}

#[tokio::test]
async fn whoever_breaks_a_rule_is_told_which() {
    let running = start("[sessions]\nlimits = { rate = 5, burst = 10, frame_max = 2048 }").await;
    let address = running.address.as_str();
    let after_hello = async |text: Message| {
        let (mut client, _) = RawClient::welcomed(address, hello()).await;
        client.send(text).await;
        client.last().await.code()
    };
    assert_eq!(after_hello(Message::text("no frame")).await, 4204);
    assert_eq!(after_hello(Message::binary(vec![1])).await, 4204);
    assert_eq!(after_hello(Message::text(format!("\"{}\"", "x".repeat(3_000)))).await, 4204);
    let hello_again = r#"{"t":"hello","v":1,"client":{"type":"x","version":"1"}}"#;
    assert_eq!(after_hello(Message::text(hello_again)).await, 4204);
    assert_eq!(after_hello(Message::text(r#"{"t":"ack","s":1}"#)).await, 4106, "never sent");
    assert_eq!(after_hello(Message::text(r#"{"t":"msg","s":2,"d":1}"#)).await, 4204, "a gap");
    let before_hello = async |text: Message| {
        let mut client = RawClient::open(address).await;
        client.send(text).await;
        client.last().await.code()
    };
    assert_eq!(before_hello(Message::text(r#"{"t":"ack","s":1}"#)).await, 4204);
    assert_eq!(before_hello(Message::binary(vec![])).await, 4204);
    let newer = r#"{"t":"hello","v":2,"client":{"type":"x","version":"1"}}"#;
    assert_eq!(before_hello(Message::text(newer)).await, 4206);
    let (mut client, _) = RawClient::welcomed(address, hello()).await;
    for n in 0..40 {
        client.say(&message(n + 1, "1")).await;
    }
    assert_eq!(client.last().await.code(), 4105);
    until(&running, "all are suspended", |running| running.handle.counts().connected == 0).await;
}

#[tokio::test]
async fn unknown_frames_and_fields_are_passed_over() {
    let running = start("").await;
    let (mut client, _) = RawClient::welcomed(&running.address, hello()).await;
    client.send(Message::text(r#"{"t":"dance","with":"me"}"#)).await;
    client.send(Message::text(r#"{"t":"ping","n":3,"ts":9,"more":[1]}"#)).await;
    let Some(Frame::Pong(pong)) = client.hear().await else { panic!("no pong") };
    assert_eq!((pong.number, pong.sent_us), (3, 9));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away() {
    let running = start("[sessions]\nlimits = { hello_within = \"100ms\" }").await;
    let mut client = RawClient::open(&running.address).await;
    assert_eq!(client.last().await.code(), 4103);
    assert_eq!(running.handle.counts().total(), 0);
}

#[tokio::test]
async fn only_our_protocol_is_spoken() {
    let running = start("").await;
    let status = |result: Result<RawClient, Error>| match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    };
    let with = |name, value| {
        let address = running.address.clone();
        async move { status(RawClient::open_with(&address, &[(name, value)]).await) }
    };
    assert_eq!(with("sec-websocket-protocol", "chat").await, 400);
    assert_eq!(with("sec-websocket-protocol", "chat, mainstay.v1").await, 101);
    assert_eq!(with("sec-websocket-version", "12").await, 400);
    assert_eq!(with("origin", "https://example.org").await, 403);
    let own = format!("http://{}", running.address);
    assert_eq!(with("origin", &own).await, 101);
    let plain = running.get("/v1/connect", &format!("Host: {}", running.address)).await;
    assert!(plain.starts_with("HTTP/1.1 400") && plain.contains("problem+json"), "{plain}");
}

#[tokio::test]
async fn pages_that_are_named_may_connect() {
    let running = start("[server]\nallowed_origins = [\"https://app.example.org\"]").await;
    let page = [("origin", "https://app.example.org")];
    assert!(RawClient::open_with(&running.address, &page).await.is_ok());
}

#[tokio::test]
async fn there_are_as_many_connections_as_may_be() {
    let running =
        start("[sessions]\nlimits = { per_address_max = 2, unauthenticated_max = 1 }").await;
    let silent = RawClient::open(&running.address).await;
    let status = async || match RawClient::open_with(&running.address, &[]).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    };
    assert_eq!(status().await, 503, "one has not said hello yet");
    drop(silent);
    let mut clients = Vec::new();
    for _ in 0..2 {
        // The server has to see that the silent one is gone.
        let mut open = RawClient::open_with(&running.address, &[]).await;
        while open.is_err() {
            sleep(Duration::from_millis(5)).await;
            open = RawClient::open_with(&running.address, &[]).await;
        }
        let mut client = open.unwrap();
        client.say(&Frame::Hello(hello())).await;
        assert!(matches!(client.hear().await, Some(Frame::Welcome(_))));
        clients.push(client);
    }
    assert_eq!(status().await, 429, "two are there");
}

#[tokio::test]
async fn metadata_is_kept_and_replaced_within_its_limits() {
    let running = start("").await;
    let meta = |text: &str| Some(Meta::new(Raw::new(text).unwrap()).unwrap());
    let said = Hello { meta: meta(r#"{"room":"kitchen"}"#), ..hello() };
    let (mut client, welcome) = RawClient::welcomed(&running.address, said).await;
    let kept = |running: &Running| running.handle.record(id(&welcome)).unwrap().metadata;
    assert_eq!(&*kept(&running), r#"{"room":"kitchen"}"#);
    client.send(Message::text(r#"{"t":"meta","meta":{"room":"garden"}}"#)).await;
    until(&running, "the garden", |running| kept(running).contains("garden")).await;
    client.send(Message::text(r#"{"t":"meta","meta":{"password":"hush"}}"#)).await;
    assert_eq!(client.last().await.code(), 4204);
    assert!(kept(&running).contains("garden"));
    let secret = Hello { meta: meta(r#"{"a":{"Token":1}}"#), ..hello() };
    let last = RawClient::refused(&running.address, secret).await;
    assert_eq!(last.code(), 4204);
    assert!(last.bye.unwrap().reason.contains("Token"));
}

#[tokio::test]
async fn a_client_rests_and_comes_back() {
    let running = start("").await;
    let (mut client, welcome) = RawClient::welcomed(&running.address, hello()).await;
    client.say(&Frame::Suspend(Suspend { for_ms: Some(600_000) })).await;
    let last = client.last().await;
    assert_eq!((last.bye, last.code), (None, Some(1000)));
    let record = running.handle.record(id(&welcome)).unwrap();
    assert_eq!(record.status, Status::Suspended);
    let rest = record.expires_at.unwrap() - record.disconnected_at.unwrap();
    assert!((599_000..=601_000).contains(&rest), "{rest}");
    let (_client, again) = RawClient::welcomed(&running.address, resuming(&welcome, 0)).await;
    assert_eq!(
        (again.session, again.generation, again.resumed, again.replay),
        (welcome.session, 2, true, true)
    );
}

#[tokio::test]
async fn a_goodbye_is_for_good() {
    let running = start("").await;
    let (mut client, welcome) = RawClient::welcomed(&running.address, hello()).await;
    client.send(Message::text(r#"{"t":"bye","code":1000,"reason":"done"}"#)).await;
    client.last().await;
    assert_eq!(running.handle.record(id(&welcome)).unwrap().status, Status::Disconnected);
    let (_client, again) = RawClient::welcomed(&running.address, resuming(&welcome, 0)).await;
    assert_ne!(again.session, welcome.session, "it begins anew");
    assert_eq!((again.resumed, again.generation), (false, 1));
}

#[tokio::test]
async fn a_later_connection_takes_over_and_older_tokens_do_not_fight_it() {
    let running = start("").await;
    let (mut first, one) = RawClient::welcomed(&running.address, hello()).await;
    let (mut second, two) = RawClient::welcomed(&running.address, resuming(&one, 0)).await;
    assert_eq!(first.last().await.code(), 4203);
    assert_eq!((&two.session, two.generation, two.resumed), (&one.session, 2, true));
    second.say(&message(1, "1")).await;
    // The second was heard, so the first one's token is of the past.
    second.send(Message::text(r#"{"t":"ping","n":1,"ts":1}"#)).await;
    assert!(matches!(second.hear().await, Some(Frame::Pong(_))));
    let stale = RawClient::refused(&running.address, resuming(&one, 0)).await;
    assert_eq!(stale.code(), 4106);
    second.send(Message::text(r#"{"t":"ping","n":2,"ts":1}"#)).await;
    assert!(matches!(second.hear().await, Some(Frame::Pong(_))), "nobody took over");
    assert_eq!(running.handle.counts().connected, 1);
}

#[tokio::test]
async fn a_client_that_missed_its_welcome_comes_back_with_the_token_before() {
    let running = start("").await;
    let (first, one) = RawClient::welcomed(&running.address, hello()).await;
    drop(first);
    let mut second = RawClient::open(&running.address).await;
    second.say(&Frame::Hello(resuming(&one, 0))).await;
    until(&running, "the second is in", |running| {
        running.handle.record(id(&one)).unwrap().generation == 2
    })
    .await;
    drop(second);
    let (_third, three) = RawClient::welcomed(&running.address, resuming(&one, 0)).await;
    assert_eq!((&three.session, three.generation, three.resumed), (&one.session, 3, true));
}

#[tokio::test]
async fn a_forged_token_begins_a_session_of_its_own() {
    let running = start("").await;
    let (_first, one) = RawClient::welcomed(&running.address, hello()).await;
    let mut forged = one.clone();
    forged.token = Secret::new(one.token.expose().replace("r1.", "r1.A"));
    let (_second, two) = RawClient::welcomed(&running.address, resuming(&forged, 0)).await;
    assert!(!two.resumed && two.session != one.session);
}

#[tokio::test]
async fn what_was_not_acknowledged_is_said_again_and_an_impossible_place_begins_anew() {
    let running = start("[sessions]\nmessages = \"echo\"").await;
    let (mut first, one) = RawClient::welcomed(&running.address, hello()).await;
    for n in 1..=3 {
        first.say(&message(n, &n.to_string())).await;
    }
    for n in 1..=3 {
        assert_eq!(first.hear().await, Some(message(n, &n.to_string())));
    }
    first.say(&Frame::Ack(Ack { seq: Seq(1) })).await;
    drop(first);
    let (mut second, two) = RawClient::welcomed(&running.address, resuming(&one, 2)).await;
    assert_eq!((two.replay, two.received), (true, Seq(3)));
    assert_eq!(second.hear().await, Some(message(3, "3")), "only what came after 2");
    // It has acknowledged 2 already and now says that it has had 1 alone: it lost its memory.
    drop(second);
    let (mut third, three) = RawClient::welcomed(&running.address, resuming(&two, 1)).await;
    assert_eq!((three.resumed, three.replay, three.received), (true, false, Seq(0)));
    third.say(&message(1, "\"anew\"")).await;
    assert_eq!(third.hear().await, Some(message(1, "\"anew\"")));
}
