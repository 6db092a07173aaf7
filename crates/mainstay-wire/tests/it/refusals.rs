//! What is no frame, and that saying so gives nothing away.

use mainstay_wire::{
    CloseCode, DecodeError, Decoded, FRAME_MAX, META_MAX, Meta, NESTING_MAX, Problem, Raw, decode,
};

#[track_caller]
fn refused(text: &str) -> DecodeError {
    decode(text, FRAME_MAX).expect_err("it is no frame")
}

#[track_caller]
fn check_field(text: &str, path: &str, problem: Problem) {
    let expected = DecodeError::Field { path: path.into(), problem };
    assert_eq!(refused(text), expected, "{text}");
}

#[test]
fn a_newer_peer_is_understood_as_far_as_it_can_be() {
    let unknown = |tag: &str| Ok(Decoded::Unknown { tag: tag.into() });
    assert_eq!(decode(r#"{"t":"hint","interval_ms":"soon"}"#, FRAME_MAX), unknown("hint"));
    assert_eq!(decode(r#"{"n":{"t":1},"t":"new","s":-1}"#, FRAME_MAX), unknown("new"));
    assert_eq!(decode(r#"{"t":""}"#, FRAME_MAX), unknown(""));
    let long = format!(r#"{{"t":"{}"}}"#, "é".repeat(40));
    assert_eq!(decode(&long, FRAME_MAX), unknown(&"é".repeat(32)));
    // Unknown fields, twice even, and known ones that belong to other frames.
    let plain = decode(r#"{"t":"ack","s":1}"#, FRAME_MAX);
    let more = r#" {"x":[1],"x":2, "s":1,"\u0074":"a\u0063k","d":{"t":"bye"},"v":"2"} "#;
    assert_eq!(decode(more, FRAME_MAX), plain);
    // Null is absent where a field may be absent.
    let nulls = r#"{"t":"pong","n":0,"ts":0,"ct":null,"q":null}"#;
    assert_eq!(decode(nulls, FRAME_MAX), decode(r#"{"t":"pong","n":0,"ts":0}"#, FRAME_MAX));
}

#[test]
fn what_is_not_an_object_of_json_is_told_by_place() {
    for text in ["[]", "1", "null", "true", "\"t\"", "[{\"t\":\"ack\",\"s\":1}]"] {
        assert_eq!(refused(text), DecodeError::NotAnObject, "{text}");
    }
    for (text, line, column) in [
        ("", 1, 0),
        ("{", 1, 1),
        ("{\"t\":\"ack\",\n \"s\":1,}", 2, 8),
        ("{\"t\":\"ack\",\"s\":1}{}", 1, 18),
        ("{\"t\":\"ack\",\"s\":01}", 1, 17),
        ("{'t':'ack'}", 1, 2),
    ] {
        assert_eq!(refused(text), DecodeError::Syntax { line, column }, "{text}");
    }
}

#[test]
fn a_missing_field_is_named_with_its_place() {
    for (text, path) in [
        (r#"{"s":1}"#, "t"),
        (r#"{"t":"ack"}"#, "ack.s"),
        (r#"{"t":"msg","s":1}"#, "msg.d"),
        (r#"{"t":"hello"}"#, "hello.v"),
        (r#"{"t":"hello","v":1}"#, "hello.client"),
        (r#"{"t":"hello","v":1,"client":{"type":"a"}}"#, "hello.client.version"),
        (r#"{"t":"bye","code":1,"reason":"","retry":{"after_ms":1}}"#, "bye.retry.jitter_ms"),
    ] {
        check_field(text, path, Problem::Missing);
    }
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    check_field(r#"{"t":"ack","s":1,"t":"msg"}"#, "t", Problem::Twice);
    check_field(r#"{"t":"ack","t":"ack","s":1}"#, "t", Problem::Twice);
    check_field(r#"{"t":"ack","s":1,"s":1}"#, "s", Problem::Twice);
    let inner = r#"{"t":"pong","n":0,"ts":0,"q":{"loss":0,"rtt_ms":1,"loss":1}}"#;
    check_field(inner, "pong.q.loss", Problem::Twice);
}

#[test]
fn a_wrong_type_and_a_number_out_of_range_are_refused() {
    const WHOLE: Problem = Problem::Not("a whole number from 0 to 18446744073709551615");
    for value in ["\"1\"", "-1", "1.5", "1e3", "18446744073709551616", "1e999", "{}", "true"] {
        check_field(&format!(r#"{{"t":"ack","s":{value}}}"#), "ack.s", WHOLE);
    }
    check_field(r#"{"t":"ack","s":null}"#, "ack.s", WHOLE);
    check_field(r#"{"t":7}"#, "t", Problem::Not("text"));
    check_field(r#"{"t":["ack"],"s":1}"#, "t", Problem::Not("text"));
    let small = Problem::Not("a whole number from 0 to 4294967295");
    check_field(r#"{"t":"ping","n":4294967296,"ts":0}"#, "ping.n", small);
    let code = Problem::Not("a whole number from 0 to 65535");
    check_field(r#"{"t":"bye","code":65536,"reason":""}"#, "bye.code", code);
    let flag = Problem::Not("true or false");
    check_field(r#"{"t":"err","code":1,"message":"","temporary":1}"#, "err.temporary", flag);
    for loss in ["1.1", "-0.1", "\"0\"", "1e400"] {
        let text = format!(r#"{{"t":"pong","n":0,"ts":0,"q":{{"rtt_ms":1,"loss":{loss}}}}}"#);
        check_field(&text, "pong.q.loss", Problem::Not("a number from 0 to 1"));
    }
    let hello = |rest: &str| format!(r#"{{"t":"hello","v":1,{rest}}}"#);
    check_field(&hello(r#""client":[]"#), "hello.client", Problem::Not("an object"));
    let with = |field: &str| hello(&format!(r#""client":{{"type":"","version":""}},{field}"#));
    check_field(&with(r#""meta":[]"#), "hello.meta", Problem::Not("an object"));
    check_field(&with(r#""caps":{"a":1}"#), "hello.caps", Problem::Not("a list of texts"));
    check_field(&with(r#""auth":"\ud800""#), "hello.auth", Problem::Not("text"));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused_before_it_is_parsed() {
    let ack = r#"{"t":"ack","s":1}"#;
    assert!(decode(ack, ack.len()).is_ok());
    let max = ack.len() - 1;
    assert_eq!(decode(ack, max), Err(DecodeError::TooLong { bytes: ack.len(), max }));

    let nested = |levels: usize| {
        format!(r#"{{"t":"msg","d":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    assert!(decode(&nested(NESTING_MAX - 1), FRAME_MAX).is_ok());
    let at = nested(0).len() - 1 + NESTING_MAX - 1;
    assert_eq!(refused(&nested(NESTING_MAX)), DecodeError::TooDeep { at });
    let endless = format!(r#"{{"t":"msg","d":{}"#, "[{\"a\":".repeat(1_000_000));
    assert!(matches!(decode(&endless, usize::MAX), Err(DecodeError::TooDeep { .. })));
    // Neighbours do not nest, and neither do brackets in texts.
    let neighbours = format!(r#"{{"t":"msg","d":[{}0]}}"#, "[{}],".repeat(100));
    assert!(decode(&neighbours, FRAME_MAX).is_ok());
    let text = format!(r#"{{"t":"msg","d":"\"{}"}}"#, "[{".repeat(100));
    assert!(decode(&text, FRAME_MAX).is_ok());

    let deepest = format!("{}{}", "[".repeat(NESTING_MAX - 1), "]".repeat(NESTING_MAX - 1));
    assert!(Raw::new(&deepest).is_ok());
    let at = NESTING_MAX - 1;
    assert_eq!(Raw::new(&format!("[{deepest}]")), Err(DecodeError::TooDeep { at }));
}

#[test]
fn meta_is_an_object_of_four_kibibytes_at_most() {
    let of = |bytes: usize| Raw::new(&format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8))).unwrap();
    assert!(Meta::new(of(META_MAX)).is_ok());
    let too_large = Meta::new(of(META_MAX + 1)).unwrap_err();
    assert_eq!(too_large.to_string(), "`hello.meta` is not at most 4096 bytes");
    assert!(Meta::new(Raw::new("[1]").unwrap()).is_err());
}

#[test]
fn another_version_is_told_apart_from_a_bad_frame_whatever_else_it_says() {
    let error = refused(r#"{"t":"hello","v":2,"client":"web/2"}"#);
    assert_eq!(error, DecodeError::Version { found: 2 });
    assert_eq!(error.close_code(), CloseCode::UNSUPPORTED_VERSION);
    assert_eq!(refused("[]").close_code(), CloseCode::BAD_FRAME);
}

#[test]
fn neither_an_error_nor_debug_shows_a_token_or_a_payload() {
    let secret = "hunter2";
    let texts = [
        format!(r#"{{"t":"hello","v":1,"auth":["{secret}"],"client":{{"type":"","version":""}}}}"#),
        format!(r#"{{"t":"hello","v":"{secret}"}}"#),
        format!(r#"{{"t":"msg","s":"{secret}","d":1}}"#),
        format!(r#"{{"t":"msg","d":"{secret}"#),
        format!(r#"{{"t":"msg","d":{secret}}}"#),
        format!(r#"{{"t":"msg","d":1,"{secret}"}}"#),
        format!(r#"["{secret}"]"#),
        format!(r#""{secret}""#),
    ];
    for text in texts {
        let error = refused(&text);
        let told = format!("{error} {error:?}");
        assert!(!told.contains(secret), "{told}");
    }
    let hello = format!(
        r#"{{"t":"hello","v":1,"auth":"{secret}","client":{{"type":"","version":""}},
        "meta":{{"a":"{secret}"}},"resume":{{"token":"{secret}","recv":0}}}}"#
    );
    let message = format!(r#"{{"t":"msg","d":"{secret}"}}"#);
    for text in [hello, message] {
        let shown = format!("{:?}", decode(&text, FRAME_MAX).unwrap());
        assert!(!shown.contains(secret), "{shown}");
    }
}
