//! How everything is, and what changes, as server-sent events or over a WebSocket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse as _, Response};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::error::ApiError;
use super::events::KEEP_ALIVE;
use crate::live::{Listener, Told};
use crate::session::{handshake, switching};
use crate::state::Shared;

/// What a browser says that comes back: the `id` of the last event it has seen.
const LAST: &str = "last-event-id";
/// How long somebody may take to read what is written to it.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// Nobody has anything to say here.
const READ_MAX: usize = 4 << 10;

/// Where to go on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Resuming {
    /// Behind the event with this `id`, where that is still kept; the header `Last-Event-ID` wins.
    last_event_id: Option<String>,
}

/// A listener, if there is a place for it.
fn listener(
    shared: Arc<Shared>,
    headers: &HeaderMap,
    resuming: &Resuming,
) -> Result<Listener, ApiError> {
    let place = shared.streams.clone().try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
    let shown = headers.get(LAST).and_then(|value| value.to_str().ok());
    let last = shown.or(resuming.last_event_id.as_deref());
    Ok(Listener::new(shared, place, last))
}

/// A `snapshot` of everything, then a `delta` whenever something changes: at most four a second, each
/// with all that changed. Whoever comes back with the last `id` gets what it missed, or a new
/// snapshot where that is not kept any more.
pub(super) async fn stream(
    State(shared): State<Arc<Shared>>,
    Query(resuming): Query<Resuming>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let listener = listener(shared, &headers, &resuming)?;
    let events = stream::unfold(listener, |mut listener| async move {
        let Told { event, id, data } = listener.next().await?;
        let told = Sse::default().event(event).id(id).data(&*data);
        Some((Ok::<_, Infallible>(told), listener))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(axum::response::Sse::new(events).keep_alive(keep_alive).into_response())
}

/// The same over a WebSocket.
pub(super) async fn socket(
    State(shared): State<Arc<Shared>>,
    Query(resuming): Query<Resuming>,
    mut request: Request,
) -> Result<Response, ApiError> {
    let key = handshake(request.headers(), None)?;
    let listener = listener(shared, request.headers(), &resuming)?;
    tokio::spawn(serve(listener, hyper::upgrade::on(&mut request)));
    Ok(switching(&key, None))
}

/// What goes over a WebSocket.
#[derive(Serialize)]
struct Framed<'a> {
    event: &'a str,
    id: &'a str,
    data: &'a RawValue,
}

fn framed(told: &Told) -> Option<Message> {
    let data = serde_json::from_str(&told.data).ok()?;
    let framed = Framed { event: told.event, id: &told.id, data };
    Some(Message::text(serde_json::to_string(&framed).ok()?))
}

/// Tells until the server stops, or until the other end has gone or reads nothing.
async fn serve(mut listener: Listener, upgrade: OnUpgrade) {
    let Ok(Ok(upgraded)) = timeout(WRITE_WITHIN, upgrade).await else { return };
    let config =
        WebSocketConfig::default().max_message_size(Some(READ_MAX)).max_frame_size(Some(READ_MAX));
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    loop {
        let message = tokio::select! {
            told = listener.next() => match told.as_ref().and_then(framed) {
                Some(message) => message,
                None => break,
            },
            said = socket.next() => match said {
                // Its answer is ready, and has to be written.
                Some(Ok(Message::Ping(_))) => Message::Ping(Bytes::new()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(
                    Message::Text(_) | Message::Binary(_) | Message::Pong(_) | Message::Frame(_),
                )) => continue,
            },
            () = tokio::time::sleep(KEEP_ALIVE) => Message::Ping(Bytes::new()),
        };
        if !matches!(timeout(WRITE_WITHIN, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
    let _said: Result<Result<(), _>, _> = timeout(WRITE_WITHIN, socket.close(None)).await;
}
