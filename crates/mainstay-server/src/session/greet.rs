//! `hello` and `welcome`: a session begins, or goes on.

use std::time::Duration;

use mainstay::clock;
use mainstay::core::session::stream::{Epoch, Position};
use mainstay::core::time::Instant;
use mainstay_registry::{Admitted, Beats as Whose, Key, Refusal, Registration};
use mainstay_wire::{Beats, Bye, CloseCode, Hello, Limits, Meta, Schedule, Welcome};

use super::handler::Session;
use super::hub::{Hub, expiry, unix_ms};
use super::metadata;
use super::peer::Joined;
use super::token::ResumeToken;
use crate::auth::Identity;

/// A connection that was let in.
#[derive(Debug)]
pub(crate) struct Greeted {
    pub(crate) session: Session,
    pub(crate) key: Key,
    pub(crate) welcome: Welcome,
    /// Until when its credentials hold.
    pub(crate) expires: Option<Instant>,
}

/// Whose session it is to be.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) user: Option<Box<str>>,
    pub(crate) organisation: Box<str>,
    /// Until when the credentials hold, in seconds since 1970.
    pub(crate) expires_at: Option<u64>,
}

impl From<&Identity> for Owner {
    fn from(who: &Identity) -> Self {
        Self {
            user: who.user.as_deref().map(Into::into),
            organisation: (&*who.organisation).into(),
            expires_at: who.expires_at,
        }
    }
}

impl Hub {
    /// Answers a `hello`.
    ///
    /// # Errors
    ///
    /// What to say in place of `welcome`.
    pub(crate) async fn greet(
        &self,
        hello: &Hello,
        owner: &Owner,
        beats: Whose,
    ) -> Result<Greeted, Bye> {
        if self.is_draining() {
            return Err(self.bye(CloseCode::SHUTTING_DOWN));
        }
        let text = hello.meta.as_ref().map_or("", Meta::as_str);
        metadata::check(text, self.limits())
            .map_err(|why| Bye { reason: why.to_string(), ..self.bye(CloseCode::BAD_FRAME) })?;
        if let Some(resume) = &hello.resume
            && let Some(token) = self.tokens.verify(&resume.token)
        {
            let is_own = token.user.as_deref() == owner.user.as_deref()
                && *token.organisation == *owner.organisation;
            if !is_own {
                return Err(self.bye(CloseCode::UNAUTHORISED));
            }
            let shown = Position { epoch: token.epoch, seq: resume.received };
            if let Some(greeted) = self.go_on(&token, shown, owner, beats).await? {
                return Ok(greeted);
            }
        }
        self.begin(hello, owner, beats).await
    }

    /// The session that a token names goes on; none when it is no more.
    async fn go_on(
        &self,
        token: &ResumeToken,
        shown: Position,
        owner: &Owner,
        beats: Whose,
    ) -> Result<Option<Greeted>, Bye> {
        let session = token.session;
        if self.record(session).is_none_or(|record| record.ended.is_some()) {
            return Ok(None);
        }
        let replay = self.peer(session).agrees(shown);
        let bits = clock::draw();
        let (resumed, stored) = self.journaled(session, |registry, now| {
            registry.resume(now, bits, session, token.generation, replay, beats)
        });
        let admitted = match resumed {
            Ok(admitted) => admitted,
            Err(Refusal::Unknown | Refusal::Gone(_)) => return Ok(None),
            Err(Refusal::Stale) => return Err(self.bye(CloseCode::RESUME_IMPOSSIBLE)),
            Err(refusal) => return Err(self.refused(refusal)),
        };
        let epoch = Epoch(clock::draw());
        let joined = self.peer(session).join(admitted.key.generation(), Some(shown), epoch);
        let Some(joined) = joined else { return Err(self.bye(CloseCode::SUPERSEDED)) };
        if joined.unknown > 0 {
            let unknown = joined.unknown;
            tracing::debug!(%session, unknown, "messages of which nobody knows what became");
        }
        if let Err(why) = stored.wait().await {
            tracing::warn!(%session, %why, "a session that goes on is not stored yet");
        }
        Ok(Some(self.welcome(&admitted, joined, owner, true)))
    }

    /// A session begins. It is there once it is stored.
    async fn begin(&self, hello: &Hello, owner: &Owner, beats: Whose) -> Result<Greeted, Bye> {
        let registration = Registration {
            user: owner.user.clone(),
            organisation: owner.organisation.clone(),
            client_type: hello.client.kind.as_str().into(),
            client_version: hello.client.version.as_str().into(),
            metadata: hello.meta.as_ref().map_or("", Meta::as_str).into(),
            beats,
        };
        let bits = (u128::from(clock::draw()) << 64) | u128::from(clock::draw());
        let now = clock::now();
        let (registered, effects, stored) = self.journal.write_first(&self.registry, |registry| {
            let registered = registry.register(now, bits, registration);
            let session = registered.as_ref().ok().map(|admitted| admitted.key.session());
            (registered, session)
        });
        self.perform(effects);
        let admitted = registered.map_err(|refusal| self.refused(refusal))?;
        let key = admitted.key;
        if let Err(why) = stored.wait().await {
            tracing::error!(%why, "a session cannot begin: it cannot be stored");
            let (_, _, _undone) =
                self.journal.write(&self.registry, key.session().shard(), |registry| {
                    registry.rolled_back(key)
                });
            return Err(Bye {
                reason: "nothing can be stored at the moment".into(),
                ..self.bye(CloseCode::OVERLOADED)
            });
        }
        self.act(key.session(), |registry, now| registry.committed(now, key));
        let epoch = Epoch(clock::draw());
        let joined = self.peer(key.session()).join(key.generation(), None, epoch);
        let Some(joined) = joined else { return Err(self.bye(CloseCode::SUPERSEDED)) };
        Ok(self.welcome(&admitted, joined, owner, false))
    }

    fn welcome(
        &self,
        admitted: &Admitted,
        joined: Joined,
        owner: &Owner,
        resumed: bool,
    ) -> Greeted {
        let key = admitted.key;
        let session = Session {
            peer: self.peer(key.session()),
            user: owner.user.as_deref().map(Into::into),
            organisation: (&*owner.organisation).into(),
        };
        let now = unix_ms();
        let token = self.tokens.sign(&ResumeToken {
            session: key.session(),
            generation: key.generation(),
            epoch: joined.epoch,
            issued_at: now,
            user: owner.user.as_deref().map(String::from),
            organisation: owner.organisation.to_string(),
        });
        let (limits, retry) = (&self.config.limits, &self.config.retry);
        let welcome = Welcome {
            session: key.session().to_string(),
            generation: key.generation(),
            resumed,
            replay: resumed && joined.replay,
            token,
            grace_ms: millis(admitted.grace),
            beats: Beats {
                interval_ms: millis(admitted.heartbeat.interval),
                timeout_ms: millis(admitted.heartbeat.timeout),
            },
            received: joined.received,
            time_ms: now,
            limits: Limits {
                frame_bytes: u32::try_from(limits.frame_max).unwrap_or(u32::MAX),
                rate_per_sec: limits.rate,
            },
            retry: Schedule {
                base_ms: millis(retry.base),
                max_ms: millis(retry.max),
                jitter_ms: millis(retry.jitter),
            },
        };
        Greeted { session, key, welcome, expires: expiry(owner.expires_at) }
    }

    fn refused(&self, refusal: Refusal) -> Bye {
        let code = match refusal {
            Refusal::TooManyOfUser => CloseCode::CONNECTION_LIMIT,
            Refusal::Stale => CloseCode::RESUME_IMPOSSIBLE,
            Refusal::Unknown | Refusal::Gone(_) | Refusal::Full | _ => CloseCode::OVERLOADED,
        };
        Bye { reason: refusal.to_string(), ..self.bye(code) }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
