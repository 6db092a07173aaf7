use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is wrong with the network. The default is: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// What happens to new connections.
    pub admission: Admission,
    /// From the client to the server.
    pub up: Direction,
    /// From the server to the client.
    pub down: Direction,
}

impl Fault {
    /// Nothing is wrong.
    pub const NONE: Self =
        Self { admission: Admission::Pass, up: Direction::CLEAR, down: Direction::CLEAR };

    /// Both directions alike.
    #[must_use]
    pub const fn both(direction: Direction) -> Self {
        Self { admission: Admission::Pass, up: direction, down: direction }
    }

    /// Bytes vanish both ways and connections stay open: a black hole.
    #[must_use]
    pub const fn black_hole() -> Self {
        Self::both(Direction { flow: Flow::Swallow, ..Direction::CLEAR })
    }

    /// Nothing moves, nothing is lost: a peer that stands still.
    #[must_use]
    pub const fn frozen() -> Self {
        Self::both(Direction { flow: Flow::Freeze, ..Direction::CLEAR })
    }
}

/// What happens to new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// They are made and carried on to the server.
    #[default]
    Pass,
    /// Nobody listens: the operating system refuses them.
    Refuse,
    /// They are taken, and nothing more happens.
    Hang,
    /// They are taken and reset.
    Reset,
    /// They are taken, carried on, and dropped after this time.
    DropAfter(Duration),
}

/// What is wrong with one direction of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Direction {
    /// Whether bytes move at all.
    pub flow: Flow,
    /// How long every piece waits before it is passed on.
    pub delay: Duration,
    /// Up to so much more, in turn from piece to piece. Order is kept.
    pub jitter: Duration,
    /// Bytes a second; `None` is no limit.
    pub bytes_per_sec: Option<u32>,
    /// The largest piece passed on at once, each in a segment of its own; `None` is no limit.
    pub fragment: Option<u32>,
    /// After how many bytes of the connection it is cut, and how.
    pub cut: Option<Cut>,
}

impl Direction {
    /// Nothing is wrong.
    pub const CLEAR: Self = Self {
        flow: Flow::Pass,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        bytes_per_sec: None,
        fragment: None,
        cut: None,
    };
}

/// Whether bytes move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// They do.
    #[default]
    Pass,
    /// They stop, and go on later.
    Freeze,
    /// They are taken and lost.
    Swallow,
}

/// Where and how a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// So many bytes of this direction still pass.
    pub at_byte: u64,
    /// Whether it is reset instead of closed in good order.
    pub reset: bool,
}
