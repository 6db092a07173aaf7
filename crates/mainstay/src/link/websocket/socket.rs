//! The thin line between a link and the library that speaks RFC 6455: another can take its place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream as _;
use futures_sink::Sink as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Error, Utf8Bytes};

use super::message::Message;

/// One WebSocket connection, after its upgrade.
pub(super) trait Socket: Send {
    /// The next frame. Pings are answered by the socket itself, with the next flush.
    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, Broken>>;
    /// Whether it takes another frame.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>>;
    /// Takes a frame to be written with the next flush, or before.
    fn start_send(&mut self, frame: Frame) -> Result<(), Broken>;
    /// Hands everything to the operating system.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>>;
    /// Whether bytes have come since the last time, of whatever kind.
    fn take_heard(&mut self) -> bool;
}

/// What goes over a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Message(Message),
    Ping(Bytes),
    Pong(Bytes),
    /// With the code, 1005 when there was none, and the reason.
    Close(u16, Utf8Bytes),
}

/// Why a WebSocket connection is no more.
#[derive(Debug)]
pub(super) enum Broken {
    /// It ended without a goodbye.
    Ended(Option<io::Error>),
    /// Somebody broke the protocol; the code that tells the peer so.
    Protocol(u16, Error),
}

/// A [`Socket`] of tokio-tungstenite.
pub(super) struct Tungstenite<S>(pub(super) WebSocketStream<Metered<S>>);

/// Knows whether bytes have come, and keeps apart what came behind the answer to the upgrade.
///
/// Who reads the answer would otherwise read on, into a buffer of its own that then stays for the
/// life of the connection.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    heard: bool,
    /// How much of the empty line has come that ends the answer; all of it: the answer is over.
    matched: u8,
    /// What came behind the answer.
    rest: Vec<u8>,
}

const EMPTY_LINE: &[u8; 4] = b"\r\n\r\n";

impl<S> Metered<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, heard: false, matched: 0, rest: Vec::new() }
    }

    /// How many of `bytes` belong to the answer.
    fn answer(&mut self, bytes: &[u8]) -> usize {
        for (index, byte) in bytes.iter().enumerate() {
            let wanted = EMPTY_LINE[usize::from(self.matched)];
            self.matched = match *byte {
                byte if byte == wanted => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if usize::from(self.matched) == EMPTY_LINE.len() {
                return index + 1;
            }
        }
        bytes.len()
    }

    fn is_answered(&self) -> bool {
        usize::from(self.matched) == EMPTY_LINE.len()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for Tungstenite<S> {
    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Frame, Broken>> {
        loop {
            let message = match Pin::new(&mut self.0).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Err(Broken::Ended(None))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(error))),
                Poll::Ready(Some(Ok(message))) => message,
            };
            return Poll::Ready(Ok(match message {
                tungstenite::Message::Text(text) => Frame::Message(Message::Text(text)),
                tungstenite::Message::Binary(bytes) => Frame::Message(Message::Binary(bytes)),
                tungstenite::Message::Ping(bytes) => Frame::Ping(bytes),
                tungstenite::Message::Pong(bytes) => Frame::Pong(bytes),
                tungstenite::Message::Close(None) => Frame::Close(1005, Utf8Bytes::default()),
                tungstenite::Message::Close(Some(close)) => {
                    Frame::Close(close.code.into(), close.reason)
                }
                // Reading never gives a bare frame.
                tungstenite::Message::Frame(_) => continue,
            }));
        }
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Pin::new(&mut self.0).poll_ready(context).map_err(broken)
    }

    fn start_send(&mut self, frame: Frame) -> Result<(), Broken> {
        let message = match frame {
            Frame::Message(Message::Text(text)) => tungstenite::Message::Text(text),
            Frame::Message(Message::Binary(bytes)) => tungstenite::Message::Binary(bytes),
            Frame::Ping(bytes) => tungstenite::Message::Ping(bytes),
            Frame::Pong(bytes) => tungstenite::Message::Pong(bytes),
            Frame::Close(code, reason) => {
                let code = CloseCode::from(code);
                tungstenite::Message::Close(Some(CloseFrame { code, reason }))
            }
        };
        Pin::new(&mut self.0).start_send(message).map_err(broken)
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Pin::new(&mut self.0).poll_flush(context).map_err(broken)
    }

    fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.0.get_mut().heard)
    }
}

fn broken(error: Error) -> Broken {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Broken::Ended(None),
        Error::Io(error) => Broken::Ended(Some(error)),
        Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            Broken::Ended(None)
        }
        Error::Capacity(_) => Broken::Protocol(1009, error),
        Error::Utf8(_) => Broken::Protocol(1007, error),
        Error::Protocol(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => Broken::Protocol(1002, error),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.rest.is_empty() && self.is_answered() {
            let count = self.rest.len().min(buffer.remaining());
            buffer.put_slice(&self.rest[..count]);
            self.rest.drain(..count);
            if self.rest.is_empty() {
                self.rest = Vec::new();
            }
            self.heard = true;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.heard |= buffer.filled().len() > before;
        if !self.is_answered() {
            let count = self.answer(&buffer.filled()[before..]);
            self.rest = buffer.filled()[before + count..].to_vec();
            buffer.set_filled(before + count);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
