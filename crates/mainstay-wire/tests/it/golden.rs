//! Every frame as it stands on the wire. These files are never changed: peers in the field write
//! and read them.

use mainstay_core::config::Ratio;
use mainstay_core::session::quality::Quality;
use mainstay_core::session::stream::Seq;
use mainstay_wire::{
    Ack, Auth, Beat, Beats, Bye, Client, Decoded, Describe, FRAME_MAX, Fault, Frame, Hello, Limits,
    Message, Meta, Ping, Pong, Raw, Resume, Retry, Schedule, Secret, Suspend, View, Welcome,
    decode, encode,
};

#[track_caller]
fn check(golden: &str, frame: Frame) {
    let golden = golden.trim_end();
    assert_eq!(decode(golden, FRAME_MAX), Ok(Decoded::Known(frame.clone())));
    let mut out = String::from("before ");
    encode(&frame, &mut out);
    assert_eq!(out, format!("before {golden}"), "it is appended");
}

fn raw(text: &str) -> Raw {
    Raw::new(text).unwrap()
}

#[test]
fn hello_stands_on_the_wire_as_it_always_did() {
    let client = |kind: &str, version: &str| Client { kind: kind.into(), version: version.into() };
    let full = Hello {
        auth: Some(Secret::new("an-api-key")),
        client: client("web", "2.4.1"),
        meta: Some(Meta::new(raw(r#"{"room":"kitchen","tags":["a","b"]}"#)).unwrap()),
        resume: Some(Resume { token: Secret::new("r1.c2Vzc2lvbg"), received: Seq(41) }),
        capabilities: vec!["cbor".into()],
    };
    check(include_str!("../golden/hello.json"), Frame::Hello(full));
    let least = Hello {
        auth: None,
        client: client("sensor", "1"),
        meta: None,
        resume: None,
        capabilities: Vec::new(),
    };
    check(include_str!("../golden/hello_least.json"), Frame::Hello(least));
}

#[test]
fn welcome_stands_on_the_wire_as_it_always_did() {
    let welcome = Welcome {
        session: "s_01J9Z".into(),
        generation: 3,
        resumed: true,
        replay: true,
        token: Secret::new("r2.c2Vzc2lvbg"),
        grace_ms: 120_000,
        beats: Beats { interval_ms: 25_000, timeout_ms: 10_000 },
        received: Seq(17),
        time_ms: 1_790_000_000_000,
        limits: Limits { frame_bytes: 16_384, rate_per_sec: 100 },
        retry: Schedule { base_ms: 1_000, max_ms: 60_000, jitter_ms: 5_000 },
    };
    check(include_str!("../golden/welcome.json"), Frame::Welcome(welcome));
}

#[test]
fn messages_and_acks_stand_on_the_wire_as_they_always_did() {
    // The payload is kept letter by letter: escapes and trailing zeros, too.
    let payload = raw(r#"{"text":"\u00e9t\u00e9 \"1\"","n":[1,2.50,null]}"#);
    let tracked = Message { seq: Some(Seq(42)), payload };
    check(include_str!("../golden/msg.json"), Frame::Message(tracked));
    let untracked = Message { seq: None, payload: raw("null") };
    check(include_str!("../golden/msg_untracked.json"), Frame::Message(untracked));
    check(include_str!("../golden/ack.json"), Frame::Ack(Ack { seq: Seq(42) }));
}

#[test]
fn pings_and_pongs_stand_on_the_wire_as_they_always_did() {
    let sent_us = 1_790_000_000_123_456;
    check(include_str!("../golden/ping.json"), Frame::Ping(Ping { number: 7, sent_us }));
    let view = View { rtt_ms: 35, loss: Ratio::from_ppm(62_500) };
    let client_time_ms = Some(1_790_000_000_140);
    let full = Pong { number: 7, sent_us, client_time_ms, view: Some(view) };
    check(include_str!("../golden/pong.json"), Frame::Pong(full));
    let least = Pong { number: 0, sent_us: 0, client_time_ms: None, view: None };
    check(include_str!("../golden/pong_least.json"), Frame::Pong(least));
}

#[test]
fn what_changes_in_a_session_stands_on_the_wire_as_it_always_did() {
    let beats = Beats { interval_ms: 10_000, timeout_ms: 20_000 };
    let beat = Beat { beats, quality: Quality::Poor };
    check(include_str!("../golden/hb.json"), Frame::Beat(beat));
    let meta = Meta::new(raw(r#"{"room":"kitchen"}"#)).unwrap();
    check(include_str!("../golden/meta.json"), Frame::Describe(Describe { meta }));
    let rest = |for_ms| Frame::Suspend(Suspend { for_ms });
    check(include_str!("../golden/suspend.json"), rest(Some(600_000)));
    check(include_str!("../golden/suspend_least.json"), rest(None));
    check(
        include_str!("../golden/auth_expires.json"),
        Frame::Auth(Auth::Expires { in_ms: 60_000 }),
    );
    check(
        include_str!("../golden/auth_renewed.json"),
        Frame::Auth(Auth::Renewed(Secret::new("another-key"))),
    );
}

#[test]
fn a_grade_of_a_newer_version_is_unknown() {
    let text = r#"{"t":"hb","interval_ms":1,"timeout_ms":2,"quality":"SUPERB"}"#;
    let beats = Beats { interval_ms: 1, timeout_ms: 2 };
    let beat = Frame::Beat(Beat { beats, quality: Quality::Unknown });
    assert_eq!(decode(text, FRAME_MAX), Ok(Decoded::Known(beat)));
}

#[test]
fn byes_and_errors_stand_on_the_wire_as_they_always_did() {
    let retry = Some(Retry { after_ms: 2_000, jitter_ms: 3_000 });
    let full = Bye { code: 4101, reason: "shutting_down".into(), retry };
    check(include_str!("../golden/bye.json"), Frame::Bye(full));
    let least = Bye { code: 4203, reason: "superseded".into(), retry: None };
    check(include_str!("../golden/bye_least.json"), Frame::Bye(least));
    let message = "too fast:\n\"slow\" down".into();
    let full = Fault { id: Some(12), code: 429, message, temporary: true };
    check(include_str!("../golden/err.json"), Frame::Fault(full));
    let least = Fault { id: None, code: 500, message: String::new(), temporary: false };
    check(include_str!("../golden/err_least.json"), Frame::Fault(least));
}
