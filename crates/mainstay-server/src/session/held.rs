//! A session whose client comes over HTTP: one request after another in place of a connection.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay::clock;
use mainstay::core::session::status::{EndReason, LossReason};
use mainstay::core::session::stream::Seq;
use mainstay::core::time::Instant;
use mainstay_registry::{Beat, SessionId};
use mainstay_wire::{Auth, Frame, Message, Secret};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::handler::{Handled, Session};
use super::hub::Hub;
use super::peer::{Fault, text};

/// A session whose client has shown the token of its latest welcome.
#[derive(Debug)]
pub(crate) struct Held {
    session: Session,
    generation: u64,
}

impl Held {
    /// What is to be said after `received`; waits while that is nothing. A poll that is not the
    /// `first` of its request was woken.
    pub(crate) fn fetch(
        &self,
        received: Seq,
        max: usize,
        first: bool,
        context: &Context<'_>,
    ) -> Poll<Result<Vec<Utf8Bytes>, Fault>> {
        let peer = &self.session.peer;
        match peer.fetch(self.generation, received, max, first, context) {
            Err(fault) => Poll::Ready(Err(fault)),
            Ok((frames, None)) if frames.is_empty() => Poll::Pending,
            Ok((mut frames, bye)) => {
                frames.extend(bye.map(|bye| text(&Frame::Bye(bye))));
                Poll::Ready(Ok(frames))
            }
        }
    }

    /// The last message of the client that was processed.
    pub(crate) fn processed(&self) -> Seq {
        self.session.peer.last_processed()
    }
}

/// Takes in one frame of a client.
pub(crate) async fn take(hub: &Hub, held: &Held, now: Instant, frame: Frame) -> Result<(), Fault> {
    let (session, peer) = (&held.session, &held.session.peer);
    let id = session.id();
    match frame {
        Frame::Message(Message { seq, payload }) => {
            let bytes = u32::try_from(payload.as_str().len()).unwrap_or(u32::MAX);
            let at = match seq {
                Some(seq) if !peer.received(held.generation, now, seq)? => return Ok(()),
                Some(seq) => Some(peer.at(seq)),
                None => None,
            };
            if let Handled::Later(work) = hub.message(session, payload) {
                work.await;
            }
            if let Some(at) = at {
                peer.processed(clock::now(), at, bytes);
            }
            Ok(())
        }
        Frame::Ack(ack) => peer.acknowledge(held.generation, ack.seq),
        Frame::Describe(describe) => {
            hub.describe(id, describe.meta.as_str()).map_err(|_| Fault::Refused)
        }
        Frame::Suspend(suspend) => {
            let how_long = suspend.for_ms.map(Duration::from_millis);
            hub.act(id, |registry, now| registry.suspend(now, id, LossReason::Asked, how_long));
            Ok(())
        }
        Frame::Bye(_) => {
            hub.act(id, |registry, now| registry.end(now, id, EndReason::Bye));
            Ok(())
        }
        // Requests show their credentials themselves, and need no pings.
        Frame::Auth(Auth::Renewed(_)) | Frame::Pong(_) | Frame::Ping(_) | Frame::Fault(_) => Ok(()),
        Frame::Hello(_)
        | Frame::Welcome(_)
        | Frame::Beat(_)
        | Frame::Auth(Auth::Expires { .. }) => Err(Fault::Refused),
    }
}

impl Hub {
    /// The session that the token is of; none when it is no token of this session.
    pub(crate) fn held(&self, session: SessionId, token: &str) -> Result<Option<Held>, Fault> {
        let token = self.tokens.verify(&Secret::new(token));
        let Some(token) = token.filter(|token| token.session == session) else { return Ok(None) };
        let Some(record) = self.record(session) else { return Ok(None) };
        if record.generation != token.generation {
            return Err(Fault::Overtaken);
        }
        let generation = token.generation;
        let session = Session::of(self.peer(session), &record);
        Ok(Some(Held { session, generation }))
    }

    /// A session is there, by its client's or its gateway's word.
    pub(crate) fn beat(&self, session: SessionId, rtt: Option<Duration>) -> Option<Beat> {
        rtt.into_iter().for_each(|rtt| self.tally().round_trip(rtt));
        self.registry.heartbeat(clock::now(), session, rtt)
    }

    /// The same for many.
    pub(crate) fn beat_many(&self, beats: &[(SessionId, Option<Duration>)]) -> Vec<Option<Beat>> {
        let rtts = beats.iter().filter_map(|(_, rtt)| *rtt);
        rtts.for_each(|rtt| self.tally().round_trip(rtt));
        self.registry.heartbeat_many(clock::now(), beats)
    }

    /// Messages that wait for a client.
    pub(crate) fn queued(&self, session: SessionId) -> usize {
        self.peers.get(session).map_or(0, |peer: Arc<_>| peer.unacknowledged())
    }
}
