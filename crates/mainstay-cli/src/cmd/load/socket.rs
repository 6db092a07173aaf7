//! From nothing to a welcome: a connection that holds as little as can be.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use mainstay::core::session::stream::Seq;
use mainstay_wire::{
    Bye, Client, Decoded, FRAME_MAX, Frame, Hello, Resume, SUBPROTOCOL, Secret, Welcome, decode,
    encode,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Longest time from the dial to the welcome.
const WITHIN: Duration = Duration::from_secs(20);
/// What is read and written at once. Small: there are many.
const BUFFER: usize = 2 << 10;
/// Connections from one address of this machine: fewer than it has ports to choose from.
const PER_ADDRESS: u64 = 20_000;

pub(super) type Socket = WebSocketStream<TcpStream>;

/// Where clients connect, and what they show.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) address: SocketAddr,
    pub(super) secret: Option<Secret>,
}

/// Why there is no welcome.
#[derive(Debug)]
pub(super) enum NotWelcome {
    /// There is no connection, or it did not last.
    Broken(String),
    /// The server says why.
    Said(Bye),
}

impl Target {
    /// A connection of client number `client` that was welcomed.
    pub(super) async fn connect(
        &self,
        client: u64,
        resume: Option<(Secret, Seq)>,
    ) -> Result<(Socket, Welcome), NotWelcome> {
        // Boxed: what greeting takes is given back before the long talk begins.
        let greeting = Box::pin(self.greet(client, resume));
        let late = |_| NotWelcome::Broken("no welcome came in time".into());
        timeout(WITHIN, greeting).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    async fn greet(
        &self,
        client: u64,
        resume: Option<(Secret, Seq)>,
    ) -> Result<(Socket, Welcome), NotWelcome> {
        let stream = self.dial(client).await;
        let stream =
            stream.map_err(|error| NotWelcome::Broken(format!("dial: {}", brief(&error))))?;
        let mut socket = self.upgrade(stream).await?;
        let hello = Frame::Hello(Hello {
            auth: self.secret.clone(),
            client: Client { kind: "load".into(), version: env!("CARGO_PKG_VERSION").into() },
            meta: None,
            resume: resume.map(|(token, received)| Resume { token, received }),
            capabilities: Vec::new(),
        });
        let broken = |error: Error| NotWelcome::Broken(format!("hello: {}", why(&error)));
        socket.send(Message::Text(text(&hello))).await.map_err(broken)?;
        loop {
            let item = socket.next().await.ok_or(Error::ConnectionClosed);
            let said = match item.and_then(|item| item).map_err(broken)? {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    let code = frame.map_or(1005, |frame| u16::from(frame.code));
                    return Err(NotWelcome::Broken(format!("hello: closed with {code}")));
                }
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                    continue;
                }
            };
            match decode(&said, FRAME_MAX) {
                Ok(Decoded::Known(Frame::Welcome(welcome))) => return Ok((socket, welcome)),
                Ok(Decoded::Known(Frame::Bye(bye))) => return Err(NotWelcome::Said(bye)),
                Ok(Decoded::Known(_) | Decoded::Unknown { .. }) => {}
                Err(error) => return Err(NotWelcome::Broken(format!("hello: {error}"))),
            }
        }
    }

    async fn dial(&self, client: u64) -> std::io::Result<TcpStream> {
        let stream = match (self.address, source(self.address, client)) {
            (_, Some(source)) => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(source)?;
                socket.connect(self.address).await?
            }
            (address, None) => TcpStream::connect(address).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn upgrade(&self, stream: TcpStream) -> Result<Socket, NotWelcome> {
        let broken = |error: &Error| NotWelcome::Broken(format!("upgrade: {}", why(error)));
        let mut request =
            self.url.as_str().into_client_request().map_err(|error| broken(&error))?;
        let protocol = HeaderValue::from_static(SUBPROTOCOL);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(1 << 20))
            .max_frame_size(Some(1 << 20));
        let upgraded = client_async_with_config(request, stream, Some(config)).await;
        upgraded.map(|(socket, _)| socket).map_err(|error| broken(&error))
    }
}

/// Whence a client dials, where this machine's own address has too few ports for all.
fn source(target: SocketAddr, client: u64) -> Option<SocketAddr> {
    let own = matches!(target.ip(), IpAddr::V4(address) if address.is_loopback());
    let block = client / PER_ADDRESS;
    if !own || block == 0 {
        return None;
    }
    let block = u32::try_from(block).ok().filter(|block| *block < 1 << 16)?;
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + block);
    Some((address, 0).into())
}

/// A frame as text.
pub(super) fn text(frame: &Frame) -> Utf8Bytes {
    let mut text = String::new();
    encode(frame, &mut text);
    text.into()
}

/// An error in few words, so that those of one kind are counted together.
pub(super) fn why(error: &Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's own list, which grows")]
    match error {
        Error::Io(error) => brief(error),
        Error::Http(response) => format!("answered with {}", response.status().as_u16()),
        Error::Protocol(error) => error.to_string(),
        Error::ConnectionClosed | Error::AlreadyClosed => "closed".into(),
        other => other.to_string(),
    }
}

fn brief(error: &std::io::Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's list, which grows")]
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "refused".into(),
        std::io::ErrorKind::ConnectionReset => "reset".into(),
        std::io::ErrorKind::BrokenPipe => "broken".into(),
        std::io::ErrorKind::UnexpectedEof => "ended".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_one_address_has_no_ports_for_come_from_another() {
        let own: SocketAddr = "127.0.0.1:7180".parse().unwrap();
        let of = |client| source(own, client).map(|address| address.ip().to_string());
        assert_eq!((of(0), of(PER_ADDRESS - 1)), (None, None));
        assert_eq!(of(PER_ADDRESS).as_deref(), Some("127.1.0.1"));
        assert_eq!(of(PER_ADDRESS * 300).as_deref(), Some("127.1.1.44"));
        assert_eq!(source("192.0.2.1:80".parse().unwrap(), PER_ADDRESS), None);
        assert_eq!(source("[::1]:80".parse().unwrap(), PER_ADDRESS), None);
    }
}
