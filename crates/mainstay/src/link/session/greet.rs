//! `hello` and `welcome`: where the session goes on, or that it begins anew.

use std::time::Duration;

use mainstay_core::link::{Reaction, Wait};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::policy::rate::{RateConfig, RateLimit};
use mainstay_core::session::stream::{self, Epoch, Position, Resume};
use mainstay_wire::{CloseCode, Decoded, Frame, Hello, Limits, Resume as Token, Secret, Welcome};
use mainstay_wire::{decode, reaction};

use super::book::{Book, Line, text};
use super::restart::Why;
use super::shared::{Shared, Wakes, answer};
use crate::link::transport::DialError;
use crate::link::websocket::{Message, Opening, Said};

const USUAL: Reaction = Reaction::Redial { at_least: Wait::Usual };
const FEW: Reaction = Reaction::RedialFew { limit: 3, blames_message: false };

/// What was said in a `hello`.
#[derive(Clone, Copy, Debug)]
struct Asked {
    epoch: Epoch,
    resumes: bool,
}

/// Why a `welcome` leads nowhere.
#[derive(Debug)]
enum Unwelcome {
    /// The session cannot go on; it begins anew with the next connection.
    Impossible,
    /// Another connection has been welcomed meanwhile.
    Overtaken,
    /// It makes no sense.
    Senseless,
}

/// Counts a greeting while it is under way.
struct Greets<'a>(&'a Shared);

impl Drop for Greets<'_> {
    fn drop(&mut self) {
        self.0.book().greetings -= 1;
    }
}

impl Shared {
    pub(super) async fn say_hello(
        &self,
        mut opening: Opening,
        token: Option<String>,
    ) -> Result<Opening, DialError> {
        let (hello, asked) = self.hello(token);
        self.book().greetings += 1;
        let _greets = Greets(self);
        opening.send(Message::Text(text(&Frame::Hello(hello)))).await?;
        let welcome = self.hear_welcome(&mut opening).await?;
        let (result, wakes) = {
            let mut book = self.book();
            let result = welcomed(&mut book, asked, welcome);
            (result, Wakes::all(&mut book))
        };
        self.wake(wakes);
        let (code, what, reaction) = match result {
            Ok(number) => {
                opening.number(number);
                return Ok(opening);
            }
            Err(Unwelcome::Impossible) => {
                (CloseCode::RESUME_IMPOSSIBLE, "the session cannot go on where it was", USUAL)
            }
            Err(Unwelcome::Overtaken) => {
                (CloseCode::SUPERSEDED, "another connection has taken over", USUAL)
            }
            Err(Unwelcome::Senseless) => {
                (CloseCode::BAD_FRAME, "the peer's welcome makes no sense", FEW)
            }
        };
        opening.leave(code.code, code.name).await;
        Err(DialError::new(Outcome::TRANSIENT, what).reaction(reaction))
    }

    fn hello(&self, token: Option<String>) -> (Hello, Asked) {
        let book = self.book();
        let resume = book.token.clone().map(|token| {
            let Position { seq: received, .. } = book.stream.position();
            Token { token, received }
        });
        let asked = Asked { epoch: book.stream.epoch(), resumes: resume.is_some() };
        let hello = Hello {
            auth: token.map(Secret::new).or_else(|| self.config.auth.clone()),
            client: self.config.client.clone(),
            meta: self.config.meta.clone(),
            resume,
            capabilities: Vec::new(),
        };
        (hello, asked)
    }

    /// Waits for the answer to `hello`.
    async fn hear_welcome(&self, opening: &mut Opening) -> Result<Welcome, DialError> {
        loop {
            let message = match opening.hear().await? {
                Said::Message(message) => message,
                Said::Close(code, reason) => return Err(self.turned_away(code, &reason, None)),
            };
            let decoded =
                message.as_text().map(|text| decode(text, self.config.socket.message_max));
            match decoded {
                Some(Ok(Decoded::Known(Frame::Welcome(welcome)))) => return Ok(welcome),
                Some(Ok(Decoded::Known(Frame::Bye(bye)))) => {
                    return Err(self.turned_away(bye.code, &bye.reason, Some(bye.retry)));
                }
                Some(Ok(Decoded::Known(Frame::Ping(ping)))) => {
                    opening.send(Message::Text(text(&Frame::Pong(answer(ping))))).await?;
                }
                Some(Ok(Decoded::Unknown { .. })) => {}
                Some(Ok(Decoded::Known(
                    Frame::Hello(_)
                    | Frame::Message(_)
                    | Frame::Ack(_)
                    | Frame::Pong(_)
                    | Frame::Beat(_)
                    | Frame::Describe(_)
                    | Frame::Suspend(_)
                    | Frame::Auth(_)
                    | Frame::Fault(_),
                )))
                | None => return Err(no_welcome()),
                Some(Err(error)) => return Err(no_welcome().because(error)),
            }
        }
    }

    /// The server said goodbye in place of a welcome.
    fn turned_away(
        &self,
        code: u16,
        reason: &str,
        retry: Option<Option<mainstay_wire::Retry>>,
    ) -> DialError {
        if code == CloseCode::RESUME_IMPOSSIBLE.code {
            let wakes = {
                let mut book = self.book();
                if book.token.is_some() {
                    book.restart(Why::Impossible, false);
                }
                Wakes::all(&mut book)
            };
            self.wake(wakes);
        }
        crate::link::websocket::closed_as(code, reason, reaction(code, retry.flatten()))
    }
}

fn no_welcome() -> DialError {
    DialError::new(Outcome::TRANSIENT, "the peer answered `hello` with no `welcome`").reaction(FEW)
}

/// Goes on, or begins anew; answers the number of the connection.
fn welcomed(book: &mut Book, asked: Asked, welcome: Welcome) -> Result<u64, Unwelcome> {
    if asked.epoch != book.stream.epoch() {
        return Err(Unwelcome::Overtaken);
    }
    let is_same = book.session.as_deref() == Some(&*welcome.session);
    if welcome.resumed && (!asked.resumes || !is_same) {
        return Err(Unwelcome::Senseless);
    }
    if welcome.resumed && welcome.generation < book.generation {
        return Err(Unwelcome::Overtaken);
    }
    let goes_on = welcome.resumed && welcome.replay;
    let frame_max = usize::try_from(welcome.limits.frame_bytes).unwrap_or(usize::MAX);
    let shrinks = frame_max < book.frame_max;
    book.frame_max = frame_max;
    if goes_on {
        go_on(book, welcome.received, shrinks)?;
    } else if asked.resumes {
        let why = if welcome.resumed { Why::NoReplay } else { Why::Forgotten };
        book.restart(why, false);
    } else if shrinks && has_oversize(book) {
        book.restart(Why::Refused, false);
    }
    book.token = Some(welcome.token);
    book.session = Some(welcome.session.into());
    book.generation = welcome.generation;
    book.schedule = Some(welcome.retry);
    book.connections += 1;
    let acknowledged = book.stream.outgoing().last_acknowledged().0;
    let leaving = book.line.leaving;
    book.line = Line::new(book.connections, acknowledged, book.written, leaving);
    book.line.pace = pace(welcome.limits);
    Ok(book.connections)
}

/// The session goes on after `received`, if that fits what we know.
fn go_on(book: &mut Book, received: stream::Seq, shrinks: bool) -> Result<(), Unwelcome> {
    let position = Position { epoch: book.stream.epoch(), seq: received };
    // The first asks whether it was written, the second whether it was not acknowledged before.
    let fits = book.acknowledged(received)
        && matches!(book.stream.resume(position), Resume::Replay { .. });
    if !fits {
        book.restart(Why::Disagreement, false);
        return Err(Unwelcome::Impossible);
    }
    if shrinks && has_oversize(book) {
        book.restart(Why::Refused, false);
        return Err(Unwelcome::Impossible);
    }
    book.stats.resumes += 1;
    Ok(())
}

/// Whether something is held that the server does not take.
fn has_oversize(book: &Book) -> bool {
    book.stream.unacknowledged().any(|(_, message)| message.frame.len() > book.frame_max)
}

/// What keeps to the frames per second that the server takes.
fn pace(limits: Limits) -> Option<RateLimit> {
    let limit = limits.rate_per_sec.min(1_000_000);
    let burst = (limit / 4).max(1);
    let period = Duration::from_secs(1);
    // A limit of nothing at all would be no limit that makes sense.
    RateLimit::new(&RateConfig { limit, period, burst, max_wait: Duration::ZERO }).ok()
}
