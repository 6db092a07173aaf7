use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::error::ApiError;
use super::events::KEEP_ALIVE;
use crate::session::Told;
use crate::state::Shared;

/// One listener.
struct Listener {
    told: broadcast::Receiver<Told>,
    stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// What clients say, as it comes, as server-sent events. A listener that is too slow is told how
/// many it lost.
pub(super) async fn stream(State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    let Some(standalone) = &shared.standalone else {
        let text = "what clients say goes to the application of this server";
        return Err(ApiError::NotFound(text.into()));
    };
    let place = shared.streams.clone().try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
    let stopping = shared.stopping.subscribe();
    let listener = Listener { told: standalone.told().subscribe(), stopping, _place: place };
    let messages = stream::unfold(listener, |mut listener| async move {
        let message = next(&mut listener).await?;
        Some((Ok::<_, Infallible>(message), listener))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(axum::response::Sse::new(messages).keep_alive(keep_alive).into_response())
}

/// The next thing to tell; none when the server stops.
async fn next(listener: &mut Listener) -> Option<Sse> {
    let received = tokio::select! {
        biased;
        _ = listener.stopping.wait_for(|stopping| *stopping) => return None,
        received = listener.told.recv() => received,
    };
    let (name, json) = match received {
        Ok(told) => {
            let message = RawValue::from_string(told.payload.as_str().into()).ok()?;
            let (session, user) = (told.session, &told.user);
            let organisation = &told.organisation;
            let json = json!({
                "session": session, "user": user, "organisation": organisation, "message": message,
            });
            ("session.message", json)
        }
        Err(RecvError::Lagged(lost)) => {
            crate::metrics::lagged("messages", lost);
            ("messages.lost", json!({ "lost": lost }))
        }
        Err(RecvError::Closed) => return None,
    };
    Some(Sse::default().event(name).data(json.to_string()))
}
