//! A connection you open that heals itself.
//!
//! A link dials, watches, notices a failure and dials again: sooner at first, ever later, never in
//! step with others. It tells what it does, and it never gives up on what may pass.
//!
//! ```text
//!                    connect             dial ok
//!  ┌──► Disconnected ───────► Connecting ───────► Connected ──────────┐
//!  │          ▲                  │                 ▲     │            │ disconnect
//!  │          │ disconnect       │ dial failed     │     │ lost,      │
//!  │          │ (from any)       ▼                 │     │ unhealthy  ▼
//!  │          │            Reconnecting ───────────┘     │         Closing ──┐
//!  │          │              │  ▲  ▲  └── dial ok        │            │      │
//!  │          │              │  │  └─────────────────────┘            │      │
//!  │          │              │  │ breaker lets one through            │      │
//!  │          │              ▼  │                                     │      │
//!  │          └────────── Suspended (breaker open · long outage · paused)    │
//!  │                                                                         │
//!  └─────────────────────────────────────────────────────────────────────────┘
//!     Failed (attempts exhausted · refused permanently): from Connecting, Reconnecting,
//!     Suspended and Connected; left by connect, disconnect or reset.
//! ```
//!
//! * *Connected* is the only healthy state. It is unstable at first: attempts start from one again
//!   only after [`LinkConfig::stable_after`], so that a peer that takes every connection and drops
//!   it at once is not dialled at full speed.
//! * *Failed* is terminal. A failure that may pass is never `Failed`.
//! * *Suspended* by a breaker uses up no attempts. By a long outage it dials on, at the longest
//!   wait. By the user it is silent.
//!
//! Health is judged from probes and from real calls alike: [`HealthConfig::down`] failures are a
//! verdict, [`HealthConfig::up`] successes in a row forgive. After the first failure probes come
//! faster. Probes never overlap.
//!
//! Every dial and probe has a [`Generation`]; an answer of an earlier one changes nothing, so a
//! dial that was under way when the user disconnected cannot bring the link back. There is one
//! timer ([`Link::deadline`]) and one scheduler.

mod close;
mod config;
mod endpoints;
mod health;
mod keepalive;
mod lifetime;
mod machine;
mod migrate;
mod outbox;
mod overrides;
mod race;
mod redial;
mod rewind;
mod sleep;
mod state;
mod stats;
mod step;
mod view;

pub use close::{Reaction, Wait, close_code, refused_upgrade};
pub use config::{CircuitConfig, HealthConfig, LinkConfig, ReconnectConfig};
pub use endpoints::{
    ENDPOINTS_MAX, EndpointStrategy, EndpointView, Endpoints, EndpointsConfig, Probed,
};
pub use lifetime::lifetime;
pub use machine::Link;
pub use outbox::{Outbox, OutboxConfig, Overflow, Put, Seq};
pub use overrides::{HealthOverrides, LinkOverrides, ReconnectOverrides};
pub use race::{ADDRESSES_MAX, Race, RaceInput, RaceStep};
pub use sleep::SleepWatch;
pub use state::{FailReason, Generation, ReadyState, Redial, State, StateName, SuspendReason};
pub use stats::LinkStats;
pub use step::{Action, DeadlineReason, EVENTS_MAX, Event, Input, Step};
pub use view::LinkView;

#[cfg(test)]
mod tests;
