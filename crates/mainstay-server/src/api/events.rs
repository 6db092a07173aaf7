use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use mainstay::event::Event;
use serde_json::json;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::error::ApiError;
use crate::state::Shared;

/// Proxies drop connections on which nothing comes for 60 s.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// One listener.
struct Listener {
    events: broadcast::Receiver<Arc<Event>>,
    stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// Events as they happen, as server-sent events. A listener that is too slow is told how many it
/// lost.
pub(super) async fn stream(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(place) = shared.streams.clone().try_acquire_owned() else {
        return ApiError::Overloaded.into_response();
    };
    let listener = Listener {
        events: shared.engine.events().subscribe(),
        stopping: shared.stopping.subscribe(),
        _place: place,
    };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = next(&mut listener).await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    axum::response::Sse::new(events).keep_alive(keep_alive).into_response()
}

/// The next thing to tell; none when the server stops.
async fn next(listener: &mut Listener) -> Option<Sse> {
    let received = tokio::select! {
        biased;
        _ = listener.stopping.wait_for(|stopping| *stopping) => return None,
        received = listener.events.recv() => received,
    };
    let (name, json) = match received {
        Ok(event) => (event.kind.name(), serde_json::to_value(&*event).unwrap_or_default()),
        Err(RecvError::Lagged(lost)) => {
            crate::metrics::lagged("events", lost);
            ("events.lost", json!({ "event": "events.lost", "lost": lost }))
        }
        Err(RecvError::Closed) => return None,
    };
    Some(Sse::default().event(name).data(json.to_string()))
}
