//! What happens to sessions, as it is stored, for whoever goes on listening.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use mainstay_registry::{Event, SessionId};
use mainstay_store::Position;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::error::ApiError;
use super::events::KEEP_ALIVE;
use super::history::{EventJson, name, read};
use super::sessions::named;
use crate::state::Shared;

/// Events that are read at once.
const PIECE: usize = 256;
/// How long it waits after it could not read.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// What a browser says that comes back: the `id` of the last event it has seen.
const LAST: &str = "last-event-id";

/// Whose events, and from where on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Following {
    user: Option<String>,
    organisation: Option<String>,
    session: Option<String>,
    /// What comes behind this `id`; `now`, which is the default, for what happens from now on; 0
    /// for everything that is kept.
    after: Option<String>,
}

/// One listener.
struct Listener {
    shared: Arc<Shared>,
    wanted: Wanted,
    /// The place of the last event that was read.
    position: Position,
    /// Where it came in, until the first events after that were read.
    resumed: Option<Position>,
    read: VecDeque<(Position, Event)>,
    /// Whether it knows where it began.
    is_placed: bool,
    committed: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// Whose events are wanted: those that fit every field that is given.
#[derive(Debug, Default)]
struct Wanted {
    user: Option<String>,
    organisation: Option<String>,
    session: Option<SessionId>,
}

impl Wanted {
    fn fits(&self, event: &Event) -> bool {
        self.user.as_deref().is_none_or(|user| event.user.as_deref() == Some(user))
            && self.organisation.as_deref().is_none_or(|name| *event.organisation == *name)
            && self.session.is_none_or(|session| event.session == session)
    }
}

/// Events of sessions as server-sent events. Each has its place in the history as its `id`: whoever
/// comes back with the last one misses nothing that is still kept. A slow listener is behind, and
/// nothing more.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Query(following): Query<Following>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let place = shared.streams.clone().try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
    let Following { user, organisation, session, after } = following;
    let session = session.as_deref().map(named).transpose()?;
    // It listens before it looks, so that nothing is stored in between unseen.
    let (committed, stopping) = (shared.hub.committed(), shared.stopping.subscribe());
    let shown = headers.get(LAST).and_then(|value| value.to_str().ok());
    let resumed = place_of(shown.or(after.as_deref()))?;
    let position = match resumed {
        Some(position) => position,
        None => read(&shared, |store| store.stats()).await?.position,
    };
    let wanted = Wanted { user, organisation, session };
    let read = VecDeque::new();
    let listener = Listener {
        shared,
        wanted,
        position,
        resumed,
        read,
        is_placed: false,
        committed,
        stopping,
        _place: place,
    };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(axum::response::Sse::new(events).keep_alive(keep_alive).into_response())
}

/// Where to begin; none for now.
fn place_of(after: Option<&str>) -> Result<Option<Position>, ApiError> {
    match after {
        None | Some("now") => Ok(None),
        Some(text) => {
            let wrong = |_| {
                let allowed = "the `id` of an event, 0 or `now`";
                ApiError::BadRequest(format!("`after` is {text:?}, allowed: {allowed}"))
            };
            text.parse().map(|place| Some(Position(place))).map_err(wrong)
        }
    }
}

impl Listener {
    /// The next thing to tell; none when the server stops.
    async fn next(&mut self) -> Option<Sse> {
        if !std::mem::replace(&mut self.is_placed, true) {
            // Then it misses nothing, also when it is cut off before the first event.
            return Some(Sse::default().id(self.position.0.to_string()));
        }
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            let before = self.position;
            while let Some((position, event)) = self.read.pop_front() {
                self.position = position;
                if self.wanted.fits(&event) {
                    return Some(told(position, event));
                }
            }
            if before != self.position {
                // Nothing for this one: it need not look at that again when it comes back.
                return Some(Sse::default().id(self.position.0.to_string()));
            }
            if let Some(lost) = self.refill().await? {
                return Some(lost);
            }
        }
    }

    /// Reads on, or waits until there is more. Answers what to tell first; none when the server
    /// stops.
    async fn refill(&mut self) -> Option<Option<Sse>> {
        let after = self.position;
        let found = read(&self.shared, move |store| store.history(after, PIECE)).await;
        match found {
            Ok(events) if events.is_empty() => {
                tokio::select! {
                    biased;
                    _ = self.stopping.wait_for(|stopping| *stopping) => None,
                    changed = self.committed.changed() => changed.ok().map(|()| None),
                }
            }
            Ok(events) => {
                self.read = events.into();
                Some(self.gap().await)
            }
            Err(_) => {
                tokio::select! {
                    biased;
                    _ = self.stopping.wait_for(|stopping| *stopping) => None,
                    () = tokio::time::sleep(TRY_AGAIN) => Some(None),
                }
            }
        }
    }

    /// What to tell one that comes back after what it has not seen was dropped.
    async fn gap(&mut self) -> Option<Sse> {
        let resumed = self.resumed.take().filter(|place| place.0 > 0)?;
        let (first, _) = self.read.front()?;
        let first = *first;
        if first.0 <= resumed.0.saturating_add(1) {
            return None;
        }
        let oldest = read(&self.shared, |store| store.history(Position(0), 1)).await.ok()?;
        let is_oldest = oldest.first().is_some_and(|(place, _)| *place == first);
        is_oldest.then(|| {
            let json = json!({ "event": "events.lost", "after": resumed.0, "next": first.0 });
            Sse::default().event("events.lost").data(json.to_string())
        })
    }
}

fn told(position: Position, event: Event) -> Sse {
    let name = name(&event.kind);
    let json = serde_json::to_string(&EventJson::from(event)).unwrap_or_default();
    Sse::default().id(position.0.to_string()).event(name).data(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_registry::{EventId, EventKind};

    #[test]
    fn a_place_is_a_number_or_now() {
        let read = |text| place_of(Some(text)).ok();
        assert_eq!(place_of(None).ok(), Some(None));
        assert_eq!(read("now"), Some(None));
        assert_eq!(read("0"), Some(Some(Position(0))));
        assert_eq!(read("17"), Some(Some(Position(17))));
        for wrong in ["", "-1", "x", "NOW"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_event_is_told_to_whoever_asked_for_it() {
        let event = Event {
            id: EventId { unix_ms: 1, nr: 0 },
            session: SessionId::from_bits(5),
            generation: 1,
            seq: 1,
            user: Some("kim".into()),
            organisation: "acme".into(),
            kind: EventKind::Registered,
        };
        let wanted = |user: Option<&str>, organisation: Option<&str>, session: Option<u128>| {
            let (user, organisation) = (user.map(Into::into), organisation.map(Into::into));
            Wanted { user, organisation, session: session.map(SessionId::from_bits) }.fits(&event)
        };
        assert!(wanted(None, None, None));
        assert!(wanted(Some("kim"), Some("acme"), Some(5)));
        assert!(!wanted(Some("lee"), Some("acme"), None));
        assert!(!wanted(Some("kim"), Some("other"), None));
        assert!(!wanted(None, None, Some(6)));
        let anonymous = Event { user: None, ..event };
        let kim = Wanted { user: Some("kim".into()), ..Wanted::default() };
        assert!(!kim.fits(&anonymous));
    }
}
