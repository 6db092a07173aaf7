//! The way to a connection that is ready: address, stream, upgrade, handshake, subscriptions.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, SEC_WEBSOCKET_PROTOCOL};
use mainstay_core::link::Reaction;
use mainstay_core::policy::outcome::Outcome;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig as Buffers;
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::Address;
use super::config::Ending;
use super::ending::refused;
use super::opening::Opening;
use super::provide::{Offer, ProvideError};
use super::socket::{Metered, Tungstenite};
use super::targets::{Choice, Guarded};
use super::transport::WebSocketTransport;
use crate::clock;
use crate::link::stream::Stream;
use crate::link::transport::DialError;
use crate::retry_after::retry_after;

/// Bytes read at a time. Small, because every idle connection holds them: two kilobytes less what is
/// held beside them, so that a link stays below six.
const READ_BUFFER: usize = 2 * 1024 - 96;
/// Bytes written together before the operating system gets them.
const WRITE_BUFFER: usize = 16 * 1024;

/// How an upgrade ended that did not end in a connection.
enum Refused {
    Redirected(String),
    Failed(DialError),
}

impl WebSocketTransport {
    /// A connection over which the application's messages may go.
    pub(super) async fn reach(&self, choice: Choice) -> Result<Opening, DialError> {
        let mut offer = self.offer().await?;
        // A layer says the token itself, and need not have it said twice.
        let token = if self.layer.is_some() { offer.token.take() } else { None };
        let address = self.address(&offer, choice)?;
        let guarded = Guarded::admit(&self.config, &address)?;
        let reached = self.reach_at(address, &offer, token).await;
        guarded.record(reached.as_ref().map(|_| ()));
        reached
    }

    async fn reach_at(
        &self,
        mut address: Address,
        offer: &Offer,
        token: Option<String>,
    ) -> Result<Opening, DialError> {
        let mut redirects = self.config.redirects;
        let opening = loop {
            match self.upgrade(&address, offer).await {
                Ok(opening) => break opening,
                Err(Refused::Failed(error)) => return Err(error),
                Err(Refused::Redirected(location)) => {
                    let next = address.redirected(&location).filter(|_| redirects > 0);
                    let Some(next) = next else {
                        let what = "the peer redirects to where must not be followed";
                        return Err(DialError::new(Outcome::Permanent, what));
                    };
                    let permitted = next.permit(self.config.allow_plain);
                    permitted.map_err(|error| permanent("the redirect").because(error))?;
                    (address, redirects) = (next, redirects - 1);
                }
            }
        };
        let limit = self.config.handshake_timeout;
        within(limit, "the application's handshake", self.greet(opening, token)).await
    }

    /// Says what has to be said before anything that waits: handshake, then subscriptions.
    async fn greet(&self, opening: Opening, token: Option<String>) -> Result<Opening, DialError> {
        if let Some(layer) = &self.layer {
            return layer.greet(opening, token).await;
        }
        let mut opening = match &self.config.handshake {
            Some(handshake) => handshake.shake(opening).await?,
            None => opening,
        };
        let (wanted, subscribed) = self.config.subscriptions.all(clock::now());
        opening.subscribed = subscribed;
        if !wanted.is_empty() {
            for message in wanted {
                opening.feed(message).await?;
            }
            opening.flush().await?;
        }
        Ok(opening)
    }

    /// What the provider offers for this attempt.
    async fn offer(&self) -> Result<Offer, DialError> {
        let Some(provider) = &self.config.provider else { return Ok(Offer::default()) };
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let asking = provider.ask(attempt, self.refresh.load(Ordering::Relaxed));
        let Ok(answer) = timeout(self.config.provider_timeout, asking).await else {
            return Err(timed_out("the provider of credentials", self.config.provider_timeout));
        };
        let offer = answer.map_err(|error| match error {
            ProvideError::Temporary(_) => {
                DialError::new(Outcome::TRANSIENT, "the provider failed").because(error)
            }
            ProvideError::Unauthorized => {
                DialError::new(Outcome::Refused, "the provider refused").because(error)
            }
        })?;
        self.refresh.store(false, Ordering::Relaxed);
        Ok(offer)
    }

    fn address(&self, offer: &Offer, choice: Choice) -> Result<Address, DialError> {
        let Some(url) = &offer.url else { return Ok(self.targets.address(choice).clone()) };
        let address = Address::parse(url).and_then(|address| {
            address.permit(self.config.allow_plain)?;
            Ok(address)
        });
        address.map_err(|error| permanent("the provider's address").because(error))
    }

    async fn upgrade(&self, address: &Address, offer: &Offer) -> Result<Opening, Refused> {
        let request = self.request(address, offer).map_err(Refused::Failed)?;
        let stream = self.stream(address).await.map_err(Refused::Failed)?;
        let tls = matches!(stream, Stream::Tls(_));
        let buffers = Buffers::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(Some(self.config.message_max))
            .max_frame_size(Some(self.config.message_max));
        let upgrade = client_async_with_config(request, Metered::new(stream), Some(buffers));
        let limit = self.config.upgrade_timeout;
        let Ok(upgraded) = timeout(limit, upgrade).await else {
            return Err(Refused::Failed(timed_out("the upgrade", limit)));
        };
        let (socket, response) =
            upgraded.map_err(|error| self.upgrade_failed(error, address, tls))?;
        let subprotocol = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
        let subprotocol = subprotocol.and_then(|name| name.to_str().ok()).map(str::to_owned);
        // Made anew, without the buffer in which the answer was read; what came behind it is kept.
        let stream = socket.into_inner();
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(buffers)).await;
        Ok(Opening::new(Box::new(Tungstenite(socket)), subprotocol, self.config.clone()))
    }

    fn request(&self, address: &Address, offer: &Offer) -> Result<Request, DialError> {
        let bad = |what: &str| permanent(what);
        let request = address.uri().clone().into_client_request();
        let mut request = request.map_err(|error| bad("the address").because(error))?;
        let headers = request.headers_mut();
        if let Some(more) = &self.config.headers {
            add(headers, more);
        }
        add(headers, &offer.headers);
        if let Some(token) = &offer.token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_| bad("a token with forbidden characters"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if !self.config.subprotocols.is_empty() {
            let names = HeaderValue::try_from(&*self.config.subprotocols);
            let names = names.map_err(|_| bad("the subprotocols"))?;
            headers.insert(SEC_WEBSOCKET_PROTOCOL, names);
        }
        Ok(request)
    }

    async fn stream(&self, address: &Address) -> Result<Stream, DialError> {
        let tls = if address.tls {
            let tls = self.targets.tls(&self.config);
            Some(tls.map_err(|error| permanent("TLS").because(error))?)
        } else {
            None
        };
        let stream = self.dialer.connect(&address.authority, tls).await?;
        if let Some(certificate) = stream.certificate() {
            self.targets.expiry.note(certificate);
        }
        Ok(stream)
    }

    fn tls_failed(&self, address: &Address, source: std::io::Error) -> Refused {
        Refused::Failed(match self.targets.tls(&self.config) {
            Ok(tls) => tls.failed(&address.authority, source),
            Err(error) => permanent("TLS").because(error),
        })
    }

    fn upgrade_failed(&self, error: Error, address: &Address, tls: bool) -> Refused {
        let error = match error {
            Error::Http(response) => return self.answered(&response),
            // A peer that speaks TLS 1.3 refuses our certificate only now.
            Error::Io(source) if tls => return self.tls_failed(address, source),
            Error::Io(source) => {
                DialError::new(Outcome::TRANSIENT, "the upgrade broke off").because(source)
            }
            Error::Protocol(ProtocolError::HandshakeIncomplete) | Error::ConnectionClosed => {
                DialError::new(Outcome::TRANSIENT, "the peer closed during the upgrade")
            }
            Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
                permanent("the peer speaks none of the subprotocols").because(error)
            }
            // Whatever answers there is not the server, but something in its place may come.
            Error::Protocol(_)
            | Error::HttpFormat(_)
            | Error::Capacity(_)
            | Error::Utf8(_)
            | Error::AttackAttempt
            | Error::AlreadyClosed
            | Error::Tls(_)
            | Error::WriteBufferFull(_)
            | Error::Url(_) => {
                let what = "what answers speaks no WebSocket";
                let few = Reaction::RedialFew { limit: 3, blames_message: false };
                DialError::new(Outcome::TRANSIENT, what).because(error).reaction(few)
            }
        };
        Refused::Failed(error)
    }

    fn answered(&self, response: &Response) -> Refused {
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        if let (301..=303 | 307 | 308, Some(location), true) =
            (status, location, self.config.redirects > 0)
        {
            return Refused::Redirected(location.to_owned());
        }
        let hint = retry_after(response.headers(), SystemTime::now());
        let ending = Ending::Refused { status, retry_after: hint };
        Refused::Failed(refused(status, hint, self.config.reaction(&ending)))
    }
}

/// Puts `more` over `headers`: a name that occurs in both has the new values only.
fn add(headers: &mut HeaderMap, more: &HeaderMap) {
    for name in more.keys() {
        headers.remove(name);
    }
    for (name, value) in more {
        headers.append(name, value.clone());
    }
}

async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(timed_out(what, limit)),
    }
}

fn timed_out(what: &str, limit: Duration) -> DialError {
    DialError::new(Outcome::TRANSIENT, format!("{what} took longer than {limit:?}"))
}

fn permanent(what: &str) -> DialError {
    DialError::new(Outcome::Permanent, format!("{what} cannot be used"))
}
