use mainstay_core::config::ConfigError;
use mainstay_core::session::stream::StreamConfig;
use mainstay_wire::{Client, Meta, SUBPROTOCOL, Secret};

use crate::link::websocket::WebSocketConfig;

/// What a [`super::SessionLink`] is made of.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The WebSocket under it. Its subprotocol is set to `mainstay.v1`; it may have neither a
    /// handshake nor subscriptions of its own. A token of its provider goes into `hello` and not
    /// into a header. Of its limits on messages that wait for the application, `slow` does not
    /// apply: nothing that is tracked is dropped. When there is no room, the connection is given up
    /// and resumed. With a server whose window is like ours that does not happen.
    pub socket: WebSocketConfig,
    /// What the server asks for, if the provider gives no token. Default nothing.
    pub auth: Option<Secret>,
    /// Which program connects.
    pub client: Client,
    /// What else it says about itself. Default nothing.
    pub meta: Option<Meta>,
    /// What is held, and when it is acknowledged. Default 256 messages of 64 KiB together,
    /// acknowledged after 64 messages, 32 KiB or 1 s.
    pub stream: StreamConfig,
}

impl SessionConfig {
    /// The defaults, for the program `kind` of that version and the server at `url`.
    #[must_use]
    pub fn new(
        url: impl Into<String>,
        kind: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        Self {
            socket: WebSocketConfig::new(url),
            auth: None,
            client: Client { kind: kind.into(), version: version.into() },
            meta: None,
            stream: StreamConfig::default(),
        }
    }

    /// Checks what a WebSocket alone would allow, and makes it one that speaks the protocol.
    pub(super) fn checked(mut self) -> Result<Self, ConfigError> {
        let bad = |field, value| Err(ConfigError::new(field, value, "none: a session has its own"));
        if self.socket.handshake.is_some() {
            return bad("socket.handshake", "a handshake");
        }
        if !self.socket.subscriptions.keys().is_empty() {
            return bad("socket.subscriptions", "subscriptions");
        }
        self.socket.subprotocols = vec![SUBPROTOCOL.to_owned()];
        Ok(self)
    }
}
