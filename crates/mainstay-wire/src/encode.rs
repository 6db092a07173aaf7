use core::fmt::Write;

use mainstay_core::config::Ratio;
use mainstay_core::session::quality::Quality;

use crate::VERSION;
use crate::frame::{Auth, Beat, Beats, Bye, Fault, Frame, Hello, Message, Pong, Retry, Welcome};

/// Appends `frame` to `out`, as one line of JSON without spaces.
///
/// Fields that are absent are left out. It cannot fail: what a [`Frame`] holds is checked where it
/// is made. Whether the frame is too long for the peer is for the caller to see
/// ([`Limits::frame_bytes`](crate::Limits::frame_bytes)).
pub fn encode(frame: &Frame, out: &mut String) {
    let mut object = Object::open(out);
    object.text("t", frame.tag());
    match frame {
        Frame::Hello(hello) => write_hello(&mut object, hello),
        Frame::Welcome(welcome) => write_welcome(&mut object, welcome),
        Frame::Message(Message { seq, payload }) => {
            object.maybe("s", seq.map(|seq| seq.0));
            object.raw("d", payload.as_str());
        }
        Frame::Ack(ack) => object.number("s", ack.seq.0),
        Frame::Ping(ping) => {
            object.number("n", ping.number.into());
            object.number("ts", ping.sent_us);
        }
        Frame::Pong(pong) => write_pong(&mut object, pong),
        Frame::Beat(Beat { beats: Beats { interval_ms, timeout_ms }, quality }) => {
            object.number("interval_ms", *interval_ms);
            object.number("timeout_ms", *timeout_ms);
            object.text("quality", grade(*quality));
        }
        Frame::Describe(describe) => object.raw("meta", describe.meta.as_str()),
        Frame::Suspend(suspend) => object.maybe("for_ms", suspend.for_ms),
        Frame::Auth(Auth::Expires { in_ms }) => object.number("in_ms", *in_ms),
        Frame::Auth(Auth::Renewed(secret)) => object.text("auth", secret.expose()),
        Frame::Bye(Bye { code, reason, retry }) => {
            object.number("code", (*code).into());
            object.text("reason", reason);
            if let Some(Retry { after_ms, jitter_ms }) = retry {
                object.numbers("retry", &[("after_ms", *after_ms), ("jitter_ms", *jitter_ms)]);
            }
        }
        Frame::Fault(Fault { id, code, message, temporary }) => {
            object.maybe("id", *id);
            object.number("code", (*code).into());
            object.text("message", message);
            object.flag("temporary", *temporary);
        }
    }
    object.close();
}

fn write_hello(object: &mut Object<'_>, hello: &Hello) {
    object.number("v", VERSION.into());
    if let Some(auth) = &hello.auth {
        object.text("auth", auth.expose());
    }
    let mut client = object.object("client");
    client.text("type", &hello.client.kind);
    client.text("version", &hello.client.version);
    client.close();
    if let Some(meta) = &hello.meta {
        object.raw("meta", meta.as_str());
    }
    if let Some(resume) = &hello.resume {
        let mut inner = object.object("resume");
        inner.text("token", resume.token.expose());
        inner.number("recv", resume.received.0);
        inner.close();
    }
    if !hello.capabilities.is_empty() {
        object.texts("caps", &hello.capabilities);
    }
}

fn write_welcome(object: &mut Object<'_>, welcome: &Welcome) {
    object.text("session", &welcome.session);
    object.number("gen", welcome.generation);
    object.flag("resumed", welcome.resumed);
    object.flag("replay", welcome.replay);
    object.text("token", welcome.token.expose());
    object.number("grace_ms", welcome.grace_ms);
    let beats = welcome.beats;
    object.numbers("hb", &[("interval_ms", beats.interval_ms), ("timeout_ms", beats.timeout_ms)]);
    object.number("recv", welcome.received.0);
    object.number("time", welcome.time_ms);
    let limits = welcome.limits;
    let (frame, rate) = (limits.frame_bytes.into(), limits.rate_per_sec.into());
    object.numbers("limits", &[("frame", frame), ("rate", rate)]);
    let retry = welcome.retry;
    object.numbers(
        "retry",
        &[("base_ms", retry.base_ms), ("max_ms", retry.max_ms), ("jitter_ms", retry.jitter_ms)],
    );
}

fn write_pong(object: &mut Object<'_>, pong: &Pong) {
    object.number("n", pong.number.into());
    object.number("ts", pong.sent_us);
    object.maybe("ct", pong.client_time_ms);
    if let Some(view) = pong.view {
        let mut inner = object.object("q");
        inner.number("rtt_ms", view.rtt_ms.into());
        inner.share("loss", view.loss);
        inner.close();
    }
}

const fn grade(quality: Quality) -> &'static str {
    match quality {
        Quality::Unknown => "UNKNOWN",
        Quality::Critical => "CRITICAL",
        Quality::Poor => "POOR",
        Quality::Good => "GOOD",
        Quality::Excellent => "EXCELLENT",
    }
}

/// A JSON object that is being written.
struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    fn close(self) {
        self.out.push('}');
    }

    /// Names are ours and need no escapes.
    fn name(&mut self, name: &str) {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    fn object(&mut self, name: &str) -> Object<'_> {
        self.name(name);
        Object::open(self.out)
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        quote(self.out, text);
    }

    fn texts(&mut self, name: &str, texts: &[String]) {
        self.name(name);
        let mut before = '[';
        for text in texts {
            self.out.push(before);
            quote(self.out, text);
            before = ',';
        }
        self.out.push(']');
    }

    fn flag(&mut self, name: &str, flag: bool) {
        self.raw(name, if flag { "true" } else { "false" });
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        write!(self.out, "{number}").expect("a String takes everything");
    }

    fn maybe(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    fn numbers(&mut self, name: &str, numbers: &[(&str, u64)]) {
        let mut inner = self.object(name);
        for (name, number) in numbers {
            inner.number(name, *number);
        }
        inner.close();
    }

    /// A share above one is one: a peer would refuse it.
    fn share(&mut self, name: &str, share: Ratio) {
        self.name(name);
        let share = share.min(Ratio::ONE).as_f64();
        write!(self.out, "{share}").expect("a String takes everything");
    }
}

/// `text` as a JSON string.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\x1f' => {
                write!(out, "\\u{:04x}", u32::from(char)).expect("a String takes everything");
            }
            _ => out.push(char),
        }
    }
    out.push('"');
}
