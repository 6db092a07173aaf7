//! From a request to a session: the upgrade to a WebSocket, and the greeting.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use mainstay::clock;
use mainstay::core::policy::rate::{RateConfig, RateLimit};
use mainstay::core::session::status::LossReason;
use mainstay_registry::Beats;
use mainstay_wire::{Bye, CloseCode, Decoded, Frame, Hello, Retry, SUBPROTOCOL, decode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::addresses::{Counted, network};
use super::connection::{Connection, End};
use super::greet::{Greeted, Owner};
use super::hub::{Hub, unix_ms};
use super::peer::text;
use super::presence::Present;
use crate::accept::source;
use crate::api::error::ApiError;
use crate::api::guard::trusted;
use crate::state::Shared;

/// Bytes read at once. Small: an idle connection keeps it.
const READ_BUFFER: usize = 1 << 10;
/// Bytes that are gathered before they are written, unless all is said before: what one turn has to
/// say goes out at once. The buffer grows as far as it is used, and an idle connection keeps that.
const WRITE_BUFFER: usize = 4 << 10;
/// How long the end of a connection may take: the last words, and the other end's answer.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Talk = Connection<TokioIo<Upgraded>>;

/// `GET /v1/connect`.
pub(crate) async fn connect(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    match admit(&shared, &mut request) {
        Ok((entry, upgrade, key)) => {
            tokio::spawn(serve(shared, entry, upgrade));
            switching(&key, Some(SUBPROTOCOL))
        }
        Err(error) => error.into_response(),
    }
}

/// What a connection holds before it has said who it is, and after.
struct Entry {
    pending: OwnedSemaphorePermit,
    counted: Counted,
    present: Present,
    from: IpAddr,
}

fn admit(
    shared: &Shared,
    request: &mut Request,
) -> Result<(Entry, OnUpgrade, HeaderValue), ApiError> {
    trusted(shared, request)?;
    let key = handshake(request.headers(), Some(SUBPROTOCOL))?;
    if shared.hub.is_draining() {
        return Err(ApiError::Overloaded);
    }
    let limits = shared.hub.limits();
    // An application that does not say so has one address for all.
    let from = source(request.extensions()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let counted = shared.addresses.enter(from, limits.per_address_max);
    let counted = counted.ok_or_else(|| {
        ApiError::TooMany("there are as many connections from this address as may be".into(), 10)
    })?;
    let pending = shared.pending.clone().try_acquire_owned();
    let pending = pending.map_err(|_| ApiError::Overloaded)?;
    Ok((
        Entry { pending, counted, present: shared.hub.presence.enter(), from },
        hyper::upgrade::on(request),
        key,
    ))
}

/// The key of a handshake by RFC 6455 that asks for this protocol, if for any.
pub(crate) fn handshake(
    headers: &HeaderMap,
    protocol: Option<&str>,
) -> Result<HeaderValue, ApiError> {
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut tokens = values.flat_map(|value| value.split(','));
        tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
    };
    let upgrades = has(CONNECTION, "upgrade") && has(UPGRADE, "websocket");
    if !upgrades || !has(SEC_WEBSOCKET_VERSION, "13") {
        return Err(ApiError::BadRequest("that is for WebSockets (RFC 6455, version 13)".into()));
    }
    if let Some(protocol) = protocol.filter(|name| !has(SEC_WEBSOCKET_PROTOCOL, name)) {
        let text = format!("send the header `Sec-WebSocket-Protocol: {protocol}`");
        return Err(ApiError::BadRequest(text));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| !key.is_empty()).cloned();
    key.ok_or_else(|| ApiError::BadRequest("`Sec-WebSocket-Key` is missing".into()))
}

/// The answer to such a handshake.
pub(crate) fn switching(key: &HeaderValue, protocol: Option<&'static str>) -> Response {
    let accept = derive_accept_key(key.as_bytes());
    let headers =
        [(CONNECTION, "upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_ACCEPT, &accept)];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
    if let Some(protocol) = protocol {
        let chosen = HeaderValue::from_static(protocol);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    response
}

async fn serve(shared: Arc<Shared>, entry: Entry, upgrade: OnUpgrade) {
    let Entry { pending, counted, present, from } = entry;
    // What greeting takes is given back before the long wait begins, and so is what the end takes
    // asked for only then.
    let connection = Box::pin(open(&shared, from, upgrade)).await;
    drop(pending);
    if let Some(mut connection) = connection {
        let end = connection.run().await;
        Box::pin(finish(&shared.hub, connection, end)).await;
    }
    drop((counted, present));
}

/// A connection whose client has said who it is, and was welcomed.
async fn open(shared: &Shared, from: IpAddr, upgrade: OnUpgrade) -> Option<Box<Talk>> {
    let hub = &shared.hub;
    let within = hub.limits().hello_within;
    let upgraded = timeout(within, upgrade).await.ok()?.ok()?;
    let frame_max = hub.limits().frame_max;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(4 * frame_max.max(READ_BUFFER))
        .max_message_size(Some(frame_max))
        .max_frame_size(Some(frame_max));
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    let greeted = match timeout(within, hear(&mut socket, frame_max)).await {
        Ok(Some(Ok(hello))) => welcome(shared, from, &hello).await,
        Ok(Some(Err(code))) => Err(hub.bye(code)),
        Ok(None) => return None,
        Err(_) => Err(Bye { reason: "no hello came".into(), ..hub.bye(CloseCode::NO_PONG) }),
    };
    match greeted {
        Ok(greeted) => {
            let welcome = text(&Frame::Welcome(greeted.welcome.clone()));
            if socket.send(Message::Text(welcome)).await.is_err() {
                hub.lost(greeted.key, LossReason::Lost);
                return None;
            }
            Some(Box::new(connection(hub, socket, greeted)))
        }
        Err(bye) => {
            hub.tally().refused(bye.code);
            close(&mut socket, Some(bye)).await;
            None
        }
    }
}

/// The first frame: a hello, or the code to close with.
async fn hear(socket: &mut Socket, frame_max: usize) -> Option<Result<Hello, CloseCode>> {
    loop {
        let text = match socket.next().await?.ok()? {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            Message::Binary(_) => return Some(Err(CloseCode::BAD_FRAME)),
            Message::Close(_) => return None,
        };
        return Some(match decode(&text, frame_max) {
            Ok(Decoded::Known(Frame::Hello(hello))) => Ok(hello),
            Ok(Decoded::Known(_) | Decoded::Unknown { .. }) => Err(CloseCode::BAD_FRAME),
            Err(error) => Err(error.close_code()),
        });
    }
}

async fn welcome(shared: &Shared, from: IpAddr, hello: &Hello) -> Result<Greeted, Bye> {
    let hub = &shared.hub;
    let shown = hello.auth.as_ref().map(mainstay_wire::Secret::expose);
    let who = hub.auth.load().identify(shown, unix_ms() / 1000);
    let who = who.map_err(|why| {
        let failures = &shared.rates.load().failures;
        match shown.map(|_| failures.admit(clock::now(), network(from))) {
            Some(Err(seconds)) => {
                let retry = Some(Retry { after_ms: u64::from(seconds) * 1000, jitter_ms: 5_000 });
                let reason = "too many wrong credentials come from this address".into();
                Bye { reason, retry, ..hub.bye(CloseCode::RATE_LIMITED) }
            }
            Some(Ok(())) | None => {
                Bye { reason: why.to_string(), ..hub.bye(CloseCode::UNAUTHORISED) }
            }
        }
    })?;
    hub.greet(hello, &Owner::from(&who), Beats::Server).await
}

/// The connection of a session that was welcomed.
fn connection(hub: &Arc<Hub>, socket: Socket, greeted: Greeted) -> Talk {
    let Greeted { session, key, expires, .. } = greeted;
    let limits = hub.limits();
    let rate = RateLimit::new(&RateConfig {
        limit: limits.rate,
        period: Duration::from_secs(1),
        burst: limits.burst,
        max_wait: Duration::ZERO,
    });
    Connection::new(socket, hub.clone(), session, key, expires, rate.ok())
}

/// Says what became of the session, and goodbye.
async fn finish(hub: &Hub, mut connection: Box<Talk>, end: End) {
    let key = connection.key;
    let last = match end {
        End::Lost => {
            hub.lost(key, LossReason::Lost);
            None
        }
        End::Bye => {
            hub.left(key);
            None
        }
        End::Rest(how_long) => {
            hub.rests(key, how_long);
            None
        }
        End::Violation(code) => {
            hub.lost(key, loss(code));
            Some(hub.bye(code))
        }
        End::Leave(bye) => {
            let restarts = hub.is_draining();
            hub.lost(key, if restarts { LossReason::Restarted } else { LossReason::Operator });
            Some(bye)
        }
        End::Overtaken => Some(hub.bye(CloseCode::SUPERSEDED)),
    };
    close(&mut connection.socket, last).await;
}

/// What the registry is told of a connection that broke a rule.
const fn loss(code: CloseCode) -> LossReason {
    match code.code {
        4103 => LossReason::Silent,
        4104 => LossReason::SlowConsumer,
        _ => LossReason::Misbehaved,
    }
}

/// Says goodbye, and waits a little for the other end to have heard it.
async fn close(socket: &mut Socket, bye: Option<Bye>) {
    let talk = async {
        let code = bye.as_ref().map_or(1000, |bye| bye.code);
        let reason = bye.as_ref().map_or("", |bye| &bye.reason);
        // A close frame holds 123 bytes of reason.
        let cut = (0..=reason.len().min(123)).rev().find(|at| reason.is_char_boundary(*at));
        let reason = reason[..cut.unwrap_or(0)].into();
        if let Some(bye) = bye.as_ref() {
            socket.feed(Message::Text(text(&Frame::Bye(bye.clone())))).await.ok()?;
        }
        let frame = CloseFrame { code: code.into(), reason };
        socket.close(Some(frame)).await.ok()?;
        while let Some(Ok(_)) = socket.next().await {}
        Some(())
    };
    let _heard: Result<Option<()>, _> = timeout(CLOSE_WITHIN, talk).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_of<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_an_idle_connection_keeps_is_small() {
        let (task, connection) = (future_of(serve), size_of::<Connection<TokioIo<Upgraded>>>());
        let peer = size_of::<super::super::peer::Peer>();
        assert!(task <= 512, "{task} bytes of a task");
        assert!(connection <= 640, "{connection} bytes of a connection");
        assert!(peer <= 512, "{peer} bytes of messages");
    }
}
