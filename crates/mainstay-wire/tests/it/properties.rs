use mainstay_core::config::Ratio;
use mainstay_core::session::quality::Quality;
use mainstay_core::session::stream::Seq;
use mainstay_wire::{
    Ack, Auth, Beat, Beats, Bye, Client, Decoded, Describe, Fault, Frame, Hello, Limits, Message,
    Meta, Ping, Pong, Raw, Resume, Retry, Schedule, Secret, Suspend, View, Welcome, decode, encode,
};
use proptest::option::of;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_assert, prop_assert_eq};
use proptest::prelude::{prop_oneof, proptest};

/// Any JSON, with the spaces and escapes that a peer may write.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_string()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        Just("-1.50e+7".to_string()),
        quoted(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| format!("[{}]", values.join(" ,\n"))),
            object(inner),
        ]
    })
}

fn object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let pair = (quoted(), inner).prop_map(|(name, value)| format!("{name}\t: {value}"));
    proptest::collection::vec(pair, 0..4).prop_map(|pairs| format!("{{{}}}", pairs.join(",")))
}

fn quoted() -> impl Strategy<Value = String> {
    let plain = any::<String>().prop_map(|text| {
        let kept: String = text.chars().filter(|c| !matches!(c, '"' | '\\' | ..' ')).collect();
        format!("\"{kept}\"")
    });
    prop_oneof![plain, Just(r#""\u00e9 \" \\ {[""#.to_string())]
}

fn secret() -> impl Strategy<Value = Secret> {
    any::<String>().prop_map(Secret::new)
}

fn seq() -> impl Strategy<Value = Seq> {
    any::<u64>().prop_map(Seq)
}

fn meta() -> impl Strategy<Value = Meta> {
    object(json())
        .prop_filter_map("small", |text| Meta::new(Raw::new(&text).expect("it is JSON")).ok())
}

/// What changes while a session goes on.
fn change() -> impl Strategy<Value = Frame> {
    let grades =
        [Quality::Unknown, Quality::Critical, Quality::Poor, Quality::Good, Quality::Excellent];
    let beat = (any::<[u64; 2]>(), proptest::sample::select(grades.to_vec())).prop_map(
        |([interval_ms, timeout_ms], quality)| {
            Frame::Beat(Beat { beats: Beats { interval_ms, timeout_ms }, quality })
        },
    );
    prop_oneof![
        beat,
        meta().prop_map(|meta| Frame::Describe(Describe { meta })),
        any::<Option<u64>>().prop_map(|for_ms| Frame::Suspend(Suspend { for_ms })),
        any::<u64>().prop_map(|in_ms| Frame::Auth(Auth::Expires { in_ms })),
        secret().prop_map(|secret| Frame::Auth(Auth::Renewed(secret))),
    ]
}

fn hello() -> impl Strategy<Value = Frame> {
    let client = any::<(String, String)>().prop_map(|(kind, version)| Client { kind, version });
    let resume = (secret(), seq()).prop_map(|(token, received)| Resume { token, received });
    let meta = meta();
    let capabilities = proptest::collection::vec(any::<String>(), 0..4);
    (of(secret()), client, of(meta), of(resume), capabilities).prop_map(
        |(auth, client, meta, resume, capabilities)| {
            Frame::Hello(Hello { auth, client, meta, resume, capabilities })
        },
    )
}

fn welcome() -> impl Strategy<Value = Frame> {
    let texts = (any::<String>(), secret());
    let rest = any::<([u64; 9], [u32; 2], [bool; 2])>();
    (texts, seq(), rest).prop_map(|((session, token), received, (n, small, flags))| {
        Frame::Welcome(Welcome {
            session,
            generation: n[0],
            resumed: flags[0],
            replay: flags[1],
            token,
            grace_ms: n[1],
            beats: Beats { interval_ms: n[2], timeout_ms: n[3] },
            received,
            time_ms: n[4],
            limits: Limits { frame_bytes: small[0], rate_per_sec: small[1] },
            retry: Schedule { base_ms: n[5], max_ms: n[6], jitter_ms: n[7] },
        })
    })
}

fn pong() -> impl Strategy<Value = Frame> {
    let view = (any::<u32>(), 0..=1_000_000_u32)
        .prop_map(|(rtt_ms, ppm)| View { rtt_ms, loss: Ratio::from_ppm(ppm) });
    (any::<(u32, u64, Option<u64>)>(), of(view)).prop_map(|((number, sent_us, ct), view)| {
        Frame::Pong(Pong { number, sent_us, client_time_ms: ct, view })
    })
}

fn frame() -> BoxedStrategy<Frame> {
    let message = (of(seq()), json()).prop_map(|(seq, text)| {
        Frame::Message(Message { seq, payload: Raw::new(&text).expect("it is JSON") })
    });
    let ping =
        any::<(u32, u64)>().prop_map(|(number, sent_us)| Frame::Ping(Ping { number, sent_us }));
    let retry = any::<(u64, u64)>().prop_map(|(after_ms, jitter_ms)| Retry { after_ms, jitter_ms });
    let bye = (any::<(u16, String)>(), of(retry))
        .prop_map(|((code, reason), retry)| Frame::Bye(Bye { code, reason, retry }));
    let fault =
        any::<(Option<u64>, u32, String, bool)>().prop_map(|(id, code, message, temporary)| {
            Frame::Fault(Fault { id, code, message, temporary })
        });
    let ack = seq().prop_map(|seq| Frame::Ack(Ack { seq }));
    prop_oneof![hello(), welcome(), message, ack, ping, pong(), change(), bye, fault].boxed()
}

fn encoded(frame: &Frame) -> String {
    let mut out = String::new();
    encode(frame, &mut out);
    out
}

/// Pieces of frames, so that arbitrary text comes near to one.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\"t\":",
            "\"ack\"",
            "\"msg\"",
            "\"s\":",
            "\"d\":",
            "\"hello\"",
            "\"v\":1",
            "null",
            "1e999",
            "-0",
            "\\ud800",
            " ",
            "\n",
            "\u{0}",
        ])
        .prop_map(String::from),
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_frame_reads_back_as_it_was_written(frame in frame()) {
        let text = encoded(&frame);
        prop_assert_eq!(decode(&text, usize::MAX), Ok(Decoded::Known(frame)));
    }

    #[test]
    fn the_length_of_a_message_is_known_before_it_is_written(
        seq in of(any::<u64>()), zeros in 0..20_u32, payload in "[ä-ü0-9]{0,40}"
    ) {
        let seq = seq.map(|seq| Seq(seq.checked_div(10_u64.pow(zeros)).unwrap_or(seq)));
        let payload = Raw::new(&format!("{payload:?}")).expect("it is JSON");
        let bytes = Message::frame_bytes(seq, &payload);
        prop_assert_eq!(bytes, encoded(&Frame::Message(Message { seq, payload })).len());
    }

    #[test]
    fn no_frame_that_was_cut_short_is_taken_for_a_whole_one(frame in frame(), at: usize) {
        let text = encoded(&frame);
        let boundary = (0..=at % text.len()).rev().find(|at| text.is_char_boundary(*at));
        let cut = boundary.expect("0 is one");
        prop_assert!(decode(&text[..cut], usize::MAX).is_err());
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_can_be_written(text in nearly()) {
        if let Ok(Decoded::Known(frame)) = decode(&text, 1 << 16) {
            prop_assert_eq!(decode(&encoded(&frame), usize::MAX), Ok(Decoded::Known(frame)));
        }
    }

    #[test]
    fn any_bytes_in_a_frame_are_read_or_refused(
        frame in frame(),
        wounds in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encoded(&frame).into_bytes();
        for (at, byte) in wounds {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(Decoded::Known(frame)) = decode(&text, usize::MAX) {
            prop_assert_eq!(decode(&encoded(&frame), usize::MAX), Ok(Decoded::Known(frame)));
        }
    }
}
