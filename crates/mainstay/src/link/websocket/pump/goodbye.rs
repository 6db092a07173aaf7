//! How a connection is left.

use std::task::{Context, Poll};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::link::websocket::socket::{Broken, Frame, Socket};

const GOING_AWAY: (u16, &str) = (1000, "");

/// How far a goodbye has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bye {
    #[default]
    Unsaid,
    Said,
}

/// Says goodbye if that has not been done, after everything that was said before.
pub(super) fn close(
    socket: &mut dyn Socket,
    bye: &mut Bye,
    context: &mut Context<'_>,
) -> Poll<Result<(), Broken>> {
    if *bye == Bye::Unsaid {
        *bye = Bye::Said;
        let (code, reason) = GOING_AWAY;
        socket.start_send(Frame::Close(code, Utf8Bytes::from_static(reason)))?;
    }
    socket.poll_flush(context)
}

/// Says goodbye if that can be done without waiting: the connection is given up in any case.
pub(super) fn leave(
    socket: &mut dyn Socket,
    (code, reason): (u16, &'static str),
    context: &mut Context<'_>,
) {
    let goodbye = Frame::Close(code, Utf8Bytes::from_static(reason));
    if socket.start_send(goodbye).is_ok() {
        drop(socket.poll_flush(context));
    }
}
