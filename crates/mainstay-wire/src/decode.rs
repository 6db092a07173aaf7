use core::fmt;

use mainstay_core::config::Ratio;
use mainstay_core::session::quality::Quality;
use mainstay_core::session::stream::Seq;

use crate::close::CloseCode;
use crate::frame::{
    Ack, Auth, Beat, Beats, Bye, Client, Describe, Fault, Frame, Hello, Limits, Message, Ping,
    Pong, Resume, Retry, Schedule, Suspend, View, Welcome,
};
use crate::{Meta, NESTING_MAX, Raw, Secret, VERSION};
use fields::Fields;

mod fields;

/// Characters of an unknown tag that are kept.
const TAG_MAX: usize = 32;

/// What a text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Known(Frame),
    /// A frame of a kind that this version does not know: ignore it, the peer is newer.
    Unknown {
        /// Its `t`, or the first 32 characters of it.
        tag: String,
    },
}

/// Why a text is no frame. The peer is at fault: close with [`close_code`](Self::close_code).
///
/// Says where, and never what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than this end takes.
    TooLong {
        /// Its length.
        bytes: usize,
        /// The most allowed.
        max: usize,
    },
    /// Nested deeper than [`NESTING_MAX`].
    TooDeep {
        /// The byte where it goes too deep, counted from 0.
        at: usize,
    },
    /// Not JSON.
    Syntax {
        /// Counted from 1.
        line: usize,
        /// In bytes, counted from 1; 0 before the first.
        column: usize,
    },
    /// JSON, and not an object.
    NotAnObject,
    /// A field is not as it should be.
    Field {
        /// Which one, such as `hello.resume.recv`.
        path: String,
        /// What is wrong.
        problem: Problem,
    },
    /// A `hello` of another version of the protocol.
    Version {
        /// Which one.
        found: u32,
    },
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is not there.
    Missing,
    /// It is there twice.
    Twice,
    /// It is not what it must be.
    Not(&'static str),
}

impl DecodeError {
    /// The code to close the connection with.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Version { .. } => CloseCode::UNSUPPORTED_VERSION,
            Self::TooLong { .. }
            | Self::TooDeep { .. }
            | Self::Syntax { .. }
            | Self::NotAnObject
            | Self::Field { .. } => CloseCode::BAD_FRAME,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes, max } => write!(f, "a frame of {bytes} bytes, allowed: {max}"),
            Self::TooDeep { at } => write!(f, "nested too deep at byte {at}"),
            Self::Syntax { line, column } => write!(f, "not JSON at line {line}, column {column}"),
            Self::NotAnObject => f.write_str("not an object"),
            Self::Field { path, problem: Problem::Missing } => write!(f, "`{path}` is missing"),
            Self::Field { path, problem: Problem::Twice } => write!(f, "`{path}` is there twice"),
            Self::Field { path, problem: Problem::Not(what) } => {
                write!(f, "`{path}` is not {what}")
            }
            Self::Version { found } => {
                write!(f, "version {found} of the protocol, supported: {VERSION}")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Reads one frame of at most `max` bytes; [`FRAME_MAX`](crate::FRAME_MAX) is the usual limit.
///
/// An optional field may be absent or null.
///
/// # Errors
///
/// [`DecodeError`] when it is not a frame.
pub fn decode(text: &str, max: usize) -> Result<Decoded, DecodeError> {
    if text.len() > max {
        return Err(DecodeError::TooLong { bytes: text.len(), max });
    }
    nesting(text, NESTING_MAX)?;
    let mut fields = Fields::read(text)?;
    let tag = fields.text("t")?;
    let frame = match tag.as_str() {
        "hello" => Frame::Hello(hello(fields.of("hello"))?),
        "welcome" => Frame::Welcome(welcome(fields.of("welcome"))?),
        "msg" => Frame::Message(message(fields.of("msg"))?),
        "ack" => Frame::Ack(Ack { seq: fields.of("ack").seq("s")? }),
        "ping" => Frame::Ping(ping(fields.of("ping"))?),
        "pong" => Frame::Pong(pong(fields.of("pong"))?),
        "hb" => Frame::Beat(beat(fields.of("hb"))?),
        "meta" => Frame::Describe(describe(fields.of("meta"))?),
        "suspend" => Frame::Suspend(suspend(fields.of("suspend"))?),
        "auth" => Frame::Auth(auth(fields.of("auth"))?),
        "bye" => Frame::Bye(bye(fields.of("bye"))?),
        "err" => Frame::Fault(fault(fields.of("err"))?),
        other => return Ok(Decoded::Unknown { tag: other.chars().take(TAG_MAX).collect() }),
    };
    Ok(Decoded::Known(frame))
}

fn hello(fields: &Fields<'_>) -> Result<Hello, DecodeError> {
    // First of all: what another version says in its other fields is not ours to judge.
    let found = fields.small("v")?;
    if found != VERSION {
        return Err(DecodeError::Version { found });
    }
    let client = fields.object("client")?;
    let client = Client { kind: client.text("type")?, version: client.text("version")? };
    let resume = fields.maybe("resume", |name| {
        let resume = fields.object(name)?;
        Ok(Resume { token: resume.secret("token")?, received: resume.seq("recv")? })
    })?;
    let meta = fields.maybe("meta", |name| fields.meta(name))?;
    Ok(Hello {
        auth: fields.maybe("auth", |name| fields.secret(name))?,
        client,
        meta,
        resume,
        capabilities: fields.maybe("caps", |name| fields.texts(name))?.unwrap_or_default(),
    })
}

fn welcome(fields: &Fields<'_>) -> Result<Welcome, DecodeError> {
    let beats = fields.object("hb")?;
    let limits = fields.object("limits")?;
    let retry = fields.object("retry")?;
    Ok(Welcome {
        session: fields.text("session")?,
        generation: fields.number("gen")?,
        resumed: fields.flag("resumed")?,
        replay: fields.flag("replay")?,
        token: fields.secret("token")?,
        grace_ms: fields.number("grace_ms")?,
        beats: Beats {
            interval_ms: beats.number("interval_ms")?,
            timeout_ms: beats.number("timeout_ms")?,
        },
        received: fields.seq("recv")?,
        time_ms: fields.number("time")?,
        limits: Limits { frame_bytes: limits.small("frame")?, rate_per_sec: limits.small("rate")? },
        retry: Schedule {
            base_ms: retry.number("base_ms")?,
            max_ms: retry.number("max_ms")?,
            jitter_ms: retry.number("jitter_ms")?,
        },
    })
}

fn message(fields: &Fields<'_>) -> Result<Message, DecodeError> {
    let seq = fields.maybe("s", |name| fields.seq(name))?;
    Ok(Message { seq, payload: Raw::checked(fields.raw("d")?) })
}

fn ping(fields: &Fields<'_>) -> Result<Ping, DecodeError> {
    Ok(Ping { number: fields.small("n")?, sent_us: fields.number("ts")? })
}

fn pong(fields: &Fields<'_>) -> Result<Pong, DecodeError> {
    let view = fields.maybe("q", |name| {
        let view = fields.object(name)?;
        Ok(View { rtt_ms: view.small("rtt_ms")?, loss: view.share("loss")? })
    })?;
    Ok(Pong {
        number: fields.small("n")?,
        sent_us: fields.number("ts")?,
        client_time_ms: fields.maybe("ct", |name| fields.number(name))?,
        view,
    })
}

fn beat(fields: &Fields<'_>) -> Result<Beat, DecodeError> {
    let beats = Beats {
        interval_ms: fields.number("interval_ms")?,
        timeout_ms: fields.number("timeout_ms")?,
    };
    let quality = match fields.text("quality")?.as_str() {
        "EXCELLENT" => Quality::Excellent,
        "GOOD" => Quality::Good,
        "POOR" => Quality::Poor,
        "CRITICAL" => Quality::Critical,
        _ => Quality::Unknown,
    };
    Ok(Beat { beats, quality })
}

fn describe(fields: &Fields<'_>) -> Result<Describe, DecodeError> {
    Ok(Describe { meta: fields.meta("meta")? })
}

fn suspend(fields: &Fields<'_>) -> Result<Suspend, DecodeError> {
    Ok(Suspend { for_ms: fields.maybe("for_ms", |name| fields.number(name))? })
}

fn auth(fields: &Fields<'_>) -> Result<Auth, DecodeError> {
    let renewed = fields.maybe("auth", |name| fields.secret(name))?;
    match renewed {
        Some(secret) => Ok(Auth::Renewed(secret)),
        None => Ok(Auth::Expires { in_ms: fields.number("in_ms")? }),
    }
}

fn bye(fields: &Fields<'_>) -> Result<Bye, DecodeError> {
    let retry = fields.maybe("retry", |name| {
        let retry = fields.object(name)?;
        Ok(Retry { after_ms: retry.number("after_ms")?, jitter_ms: retry.number("jitter_ms")? })
    })?;
    Ok(Bye { code: fields.code("code")?, reason: fields.text("reason")?, retry })
}

fn fault(fields: &Fields<'_>) -> Result<Fault, DecodeError> {
    Ok(Fault {
        id: fields.maybe("id", |name| fields.number(name))?,
        code: fields.small("code")?,
        message: fields.text("message")?,
        temporary: fields.flag("temporary")?,
    })
}

/// Checks that `text` nests at most `max` deep, before any parser goes there.
pub(crate) fn nesting(text: &str, max: usize) -> Result<(), DecodeError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > max {
                    return Err(DecodeError::TooDeep { at });
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Where a text stops being JSON.
pub(crate) fn syntax(error: &serde_json::Error) -> DecodeError {
    DecodeError::Syntax { line: error.line(), column: error.column() }
}
