use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The organisation of whoever belongs to none.
pub const DEFAULT_ORGANISATION: &str = "default";

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Holds sessions of its own.
    Client,
    /// Holds sessions for users that it names, and beats for many of them at once.
    Gateway,
    /// Sees everything, and acts on single sessions, links and gates.
    Operator,
    /// May do everything.
    Admin,
}

/// Somebody whose credentials hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What the audit log calls it: the name of the key, or what kind of credentials it showed.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// The user it is; none for a program or the anonymous.
    pub user: Option<Arc<str>>,
    /// The organisation it belongs to.
    pub organisation: Arc<str>,
    /// Until when, in seconds since 1970; none for ever.
    pub expires_at: Option<u64>,
}

impl Role {
    /// Whether it may name users and organisations that are not its own.
    #[must_use]
    pub const fn declares(self) -> bool {
        matches!(self, Self::Gateway | Self::Admin)
    }

    /// Whether it sees what is not its own.
    #[must_use]
    pub const fn sees(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }

    /// Whether it acts on single sessions, links and gates.
    #[must_use]
    pub const fn acts(self) -> bool {
        matches!(self, Self::Operator | Self::Admin)
    }

    /// Whether it may do what concerns many at once, and read what others did.
    #[must_use]
    pub const fn rules(self) -> bool {
        matches!(self, Self::Admin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

impl Identity {
    fn nobody(name: &str, role: Role) -> Self {
        let organisation = DEFAULT_ORGANISATION.into();
        Self { name: name.into(), role, user: None, organisation, expires_at: None }
    }

    /// Whoever asks a server that asks for nothing: it listens on this machine only.
    pub(super) fn open() -> Self {
        Self::nobody("anonymous", Role::Admin)
    }

    /// Whoever connects to a server that lets clients in without credentials.
    pub(super) fn anonymous() -> Self {
        Self::nobody("anonymous", Role::Client)
    }

    /// Whoever shows the token of the configuration.
    pub(super) fn token() -> Self {
        Self::nobody("server.token", Role::Admin)
    }
}
