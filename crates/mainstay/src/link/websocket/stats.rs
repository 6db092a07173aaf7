use serde::Serialize;

/// What a WebSocket link has carried, over all its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SocketStats {
    /// Messages written.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Messages that were taken and never sent: too old, displaced, or left over at the end.
    pub dropped: u64,
    /// Messages received that the application was too slow to take.
    pub missed: u64,
    /// Messages that wait to be sent now.
    pub queued: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Messages that wait for the application now.
    pub waiting: u64,
}
