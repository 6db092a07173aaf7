use mainstay_core::config::Ratio;
use mainstay_core::session::quality::Quality;
use mainstay_core::session::stream::Seq;

use crate::{Meta, Raw, Secret};

/// One message of the protocol.
///
/// Names are ours; what stands on the wire is given in each field's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `hello`: the first frame, from whoever opened the connection.
    Hello(Hello),
    /// `welcome`: the answer to it.
    Welcome(Welcome),
    /// `msg`: what the application has to say.
    Message(Message),
    /// `ack`: what was processed.
    Ack(Ack),
    /// `ping`: are you there?
    Ping(Ping),
    /// `pong`: the answer to it.
    Pong(Pong),
    /// `hb`: from now on the server looks at other times whether the client is there.
    Beat(Beat),
    /// `meta`: what the client says about itself now.
    Describe(Describe),
    /// `suspend`: the client rests for a while, and its session stays.
    Suspend(Suspend),
    /// `auth`: new credentials are wanted, or here they are.
    Auth(Auth),
    /// `bye`: the connection ends, and what to do then. A WebSocket close with the same code
    /// follows.
    Bye(Bye),
    /// `err`: something failed, and the connection stays.
    Fault(Fault),
}

impl Frame {
    /// Its name on the wire, in the field `t`.
    #[must_use]
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Welcome(_) => "welcome",
            Self::Message(_) => "msg",
            Self::Ack(_) => "ack",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Beat(_) => "hb",
            Self::Describe(_) => "meta",
            Self::Suspend(_) => "suspend",
            Self::Auth(_) => "auth",
            Self::Bye(_) => "bye",
            Self::Fault(_) => "err",
        }
    }
}

/// Who connects, and what it wants to go on with. It states the version 1 in the field `v`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// `auth`: a token or key; absent where the server asks for none.
    pub auth: Option<Secret>,
    /// `client`: what program connects.
    pub client: Client,
    /// `meta`: what else it says about itself; absent means nothing.
    pub meta: Option<Meta>,
    /// `resume`: the session to go on with; absent for a new one.
    pub resume: Option<Resume>,
    /// `caps`: what it can do beyond the least, by name; absent means nothing.
    pub capabilities: Vec<String>,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `type`: which one.
    pub kind: String,
    /// `version`: of the program, not of the protocol.
    pub version: String,
}

/// The session to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// `token`: the one of the last [`Welcome`].
    pub token: Secret,
    /// `recv`: the last message of the server that was processed; 0 for none.
    pub received: Seq,
}

/// The session, and what holds in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// `session`: its public name.
    pub session: String,
    /// `gen`: which connection of the session this is; a later one replaces an earlier one.
    pub generation: u64,
    /// `resumed`: whether it is the session that was asked for.
    pub resumed: bool,
    /// `replay`: whether its messages go on where they stopped. If not, both ends count from 1
    /// again, and what was not acknowledged is unknown.
    pub replay: bool,
    /// `token`: the secret to resume with; another one each time.
    pub token: Secret,
    /// `grace_ms`: how long the session outlives its connection, in milliseconds.
    pub grace_ms: u64,
    /// `hb`: when the server looks whether the client is there.
    pub beats: Beats,
    /// `recv`: the last message of the client that was processed; 0 for none.
    pub received: Seq,
    /// `time`: the server's wall clock, in milliseconds since 1970. For people.
    pub time_ms: u64,
    /// `limits`: what the server takes.
    pub limits: Limits,
    /// `retry`: how to reconnect if the connection breaks without a `bye`.
    pub retry: Schedule,
}

/// When one end looks whether the other is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beats {
    /// `interval_ms`: from one ping to the next, in milliseconds.
    pub interval_ms: u64,
    /// `timeout_ms`: how long an answer may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `frame`: bytes of one frame.
    pub frame_bytes: u32,
    /// `rate`: frames per second.
    pub rate_per_sec: u32,
}

/// How to reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// `base_ms`: ceiling of the first wait, in milliseconds.
    pub base_ms: u64,
    /// `max_ms`: ceiling of every wait, in milliseconds.
    pub max_ms: u64,
    /// `jitter_ms`: drawn at random and added to the first wait, in milliseconds.
    pub jitter_ms: u64,
}

/// What an application says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `s`: its number, if it is tracked.
    pub seq: Option<Seq>,
    /// `d`: any JSON.
    pub payload: Raw,
}

impl Message {
    /// How long the frame of a message is, in bytes, without writing it.
    ///
    /// ```
    /// use mainstay_wire::{Frame, Message, Raw, encode};
    ///
    /// let message = Message { seq: None, payload: Raw::new("[1]").unwrap() };
    /// let mut text = String::new();
    /// encode(&Frame::Message(message.clone()), &mut text);
    /// assert_eq!(Message::frame_bytes(message.seq, &message.payload), text.len());
    /// ```
    #[must_use]
    pub fn frame_bytes(seq: Option<Seq>, payload: &Raw) -> usize {
        let digits = |seq: Seq| seq.0.checked_ilog10().map_or(1, |tens| tens as usize + 1);
        let number = seq.map_or(0, |seq| ",\"s\":".len() + digits(seq));
        "{\"t\":\"msg\",\"d\":}".len() + number + payload.as_str().len()
    }
}

/// Everything up to a number was processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// `s`: the number.
    pub seq: Seq,
}

/// Are you there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// `n`: counts the pings.
    pub number: u32,
    /// `ts`: when it was sent, in microseconds of a clock of its sender's; means nothing to others.
    pub sent_us: u64,
}

/// The answer to a [`Ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// `n`: as in the ping.
    pub number: u32,
    /// `ts`: as in the ping.
    pub sent_us: u64,
    /// `ct`: the client's wall clock, in milliseconds since 1970. Shows its skew; decides nothing.
    pub client_time_ms: Option<u64>,
    /// `q`: how the client sees the connection.
    pub view: Option<View>,
}

/// How a client sees its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// `rtt_ms`: the smoothed round trip, in milliseconds.
    pub rtt_ms: u32,
    /// `loss`: the share of pings without an answer, 0 to 1.
    pub loss: Ratio,
}

/// The server looks at other times whether the client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// `interval_ms`, `timeout_ms`: when.
    pub beats: Beats,
    /// `quality`: how good the server finds the connection. A grade that this version does not know
    /// is [`Quality::Unknown`].
    pub quality: Quality,
}

/// What a client says about itself, in place of what it said before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Describe {
    /// `meta`: the whole of it.
    pub meta: Meta,
}

/// A client rests, such as a phone that is put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspend {
    /// `for_ms`: how long the session is to wait for it, in milliseconds; absent means the grace
    /// of `welcome`.
    pub for_ms: Option<u64>,
}

/// New credentials while the connection stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `in_ms`, from the server: those in use expire then, in milliseconds.
    Expires {
        /// How long they still hold.
        in_ms: u64,
    },
    /// `auth`, from the client: the new ones.
    Renewed(Secret),
}

/// The connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// `code`: why; [`CloseCode`](crate::CloseCode) lists them.
    pub code: u16,
    /// `reason`: the same for people.
    pub reason: String,
    /// `retry`: when to come back.
    pub retry: Option<Retry>,
}

/// When to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// `after_ms`: not before this, in milliseconds.
    pub after_ms: u64,
    /// `jitter_ms`: drawn at random and added to it, in milliseconds.
    pub jitter_ms: u64,
}

/// Something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `id`: what it is the answer to, if to anything.
    pub id: Option<u64>,
    /// `code`: which failure.
    pub code: u32,
    /// `message`: the same for people.
    pub message: String,
    /// `temporary`: whether the same may succeed later.
    pub temporary: bool,
}
