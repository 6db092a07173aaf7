//! The page of metrics, in Prometheus' text format or as OpenMetrics.
//!
//! What the libraries record comes from the recorder of the process. What a link knows is written at
//! the moment of asking: a link that is gone leaves no stale series behind.

pub(crate) mod buckets;
mod gates;
#[cfg(feature = "otlp")]
mod gathered;
mod monitor;
mod notifications;
mod page;
mod process;
mod recorder;
mod sessions;

use std::sync::Arc;
use std::time::SystemTime;

use mainstay::link::websocket::SocketStats;
use mainstay::link::{Link, LinkStats, StateName};
use mainstay::monitor::days_until;

use crate::engine::Held;
use crate::state::Shared;

#[cfg(feature = "otlp")]
pub(crate) use {
    buckets::Spread,
    gathered::{Gathered, Measured},
};

use page::Page;
pub(crate) use page::{Format, Kind};
pub(crate) use process::lagged;
pub(crate) use recorder::{Recorder, recorder};

/// A number that a link has.
struct Series<T> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&T) -> Option<f64>,
}

const fn count(number: u64) -> Option<f64> {
    Some(whole(number))
}

const LINKS: [Series<LinkStats>; 10] = [
    Series {
        name: "mainstay_link_up",
        kind: Kind::Gauge,
        help: "1 when the link is connected.",
        read: |stats| Some(if stats.is_connected { 1.0 } else { 0.0 }),
    },
    Series {
        name: "mainstay_link_uptime_seconds",
        kind: Kind::Gauge,
        help: "How long the connection has held.",
        read: |stats| Some(stats.uptime.as_secs_f64()),
    },
    Series {
        name: "mainstay_link_connections_total",
        kind: Kind::Counter,
        help: "Connections made.",
        read: |stats| count(stats.total_connections),
    },
    Series {
        name: "mainstay_link_reconnections_total",
        kind: Kind::Counter,
        help: "Connections made after a redial.",
        read: |stats| count(stats.total_reconnections),
    },
    Series {
        name: "mainstay_link_reconnect_attempts_total",
        kind: Kind::Counter,
        help: "Redials begun.",
        read: |stats| count(stats.total_reconnect_attempts),
    },
    Series {
        name: "mainstay_link_failures_total",
        kind: Kind::Counter,
        help: "Connects that failed.",
        read: |stats| count(stats.total_failures),
    },
    Series {
        name: "mainstay_link_health_checks_total",
        kind: Kind::Counter,
        help: "Health checks that ended.",
        read: |stats| count(stats.total_health_checks),
    },
    Series {
        name: "mainstay_link_health_check_failures_total",
        kind: Kind::Counter,
        help: "Health checks that did not go well.",
        read: |stats| count(stats.failed_health_checks),
    },
    Series {
        name: "mainstay_link_rtt_seconds",
        kind: Kind::Gauge,
        help: "Smoothed round-trip time of health checks.",
        read: |stats| stats.rtt.smoothed().map(|rtt| rtt.as_secs_f64()),
    },
    Series {
        name: "mainstay_link_rtt_min_seconds",
        kind: Kind::Gauge,
        help: "Shortest round-trip time of health checks.",
        read: |stats| stats.rtt.min().map(|rtt| rtt.as_secs_f64()),
    },
];

const SOCKETS: [Series<SocketStats>; 7] = [
    Series {
        name: "mainstay_link_messages_sent_total",
        kind: Kind::Counter,
        help: "Messages written to a WebSocket.",
        read: |stats| count(stats.sent),
    },
    Series {
        name: "mainstay_link_sent_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of messages written to a WebSocket.",
        read: |stats| count(stats.sent_bytes),
    },
    Series {
        name: "mainstay_link_messages_received_total",
        kind: Kind::Counter,
        help: "Messages that came over a WebSocket.",
        read: |stats| count(stats.received),
    },
    Series {
        name: "mainstay_link_received_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of messages that came over a WebSocket.",
        read: |stats| count(stats.received_bytes),
    },
    Series {
        name: "mainstay_link_messages_missed_total",
        kind: Kind::Counter,
        help: "Messages that came and were not taken in time.",
        read: |stats| count(stats.missed),
    },
    Series {
        name: "mainstay_link_messages_dropped_total",
        kind: Kind::Counter,
        help: "Messages that were to be sent and never were.",
        read: |stats| count(stats.dropped),
    },
    Series {
        name: "mainstay_link_messages_queued",
        kind: Kind::Gauge,
        help: "Messages that wait to be sent.",
        read: |stats| count(stats.queued),
    },
];

/// The page.
pub(crate) fn page(format: Format, shared: &Shared) -> String {
    let mut page = Page::new(format);
    fill(&mut page, shared);
    page.end()
}

/// What stands on the page, to be written otherwise.
#[cfg(feature = "otlp")]
pub(crate) fn gather(shared: &Shared) -> Vec<Gathered> {
    let mut page = Page::gathering();
    fill(&mut page, shared);
    page.gathered()
}

fn fill(page: &mut Page, shared: &Shared) {
    process::prepare();
    process::process(page, shared);
    links(page, shared);
    let sources = shared.monitor.sources();
    let held = shared.engine.gates().into_iter().map(|gate| gate.view());
    gates::gates(page, &held.chain(sources.gates()).collect::<Vec<_>>());
    gates::caches(page, &sources.caches());
    sessions::sessions(page, &shared.hub);
    monitor::monitor(page, &shared.monitor);
    monitor::pushes(page, &shared.pushes);
    notifications::notifications(page, &shared.notifier);
    shared.recorder.write(page);
}

fn links(page: &mut Page, shared: &Shared) {
    let (links, others) = (&shared.engine.links(), shared.monitor.sources().links());
    let ours = links.iter().map(|(link, _)| (&**link.name(), link.stats()));
    let theirs = others.iter().map(|(name, link)| (&**name, link.stats()));
    let stats: Vec<(&str, LinkStats)> = ours.chain(theirs).collect();
    LINKS.iter().for_each(|series| series.write(page, &stats));
    let sockets: Vec<(&str, SocketStats)> =
        links.iter().filter_map(|(link, held)| Some((&**link.name(), held.socket()?))).collect();
    SOCKETS.iter().for_each(|series| series.write(page, &sockets));
    expiries(page, links, &shared.monitor.sources().certificates());
    let help = "1 for the state that the link is in.";
    let mut family = page.family("mainstay_link_state", Kind::Gauge, help);
    for (link, stats) in &stats {
        for state in StateName::ALL {
            let value = f64::from(u8::from(stats.current_state == state));
            family.sample(&[("link", link), ("state", state.as_str())], value);
        }
    }
}

/// Links to peers that showed a certificate. Below 0 when it is past.
fn expiries(page: &mut Page, links: &[(Link, Held)], others: &[(Arc<str>, SystemTime)]) {
    let name = "mainstay_link_certificate_expiry_seconds";
    let help = "How long the certificate that the peer showed is still valid.";
    let mut family = page.family(name, Kind::Gauge, help);
    let ours =
        links.iter().filter_map(|(link, held)| Some((&**link.name(), held.certificate_expiry()?)));
    let theirs = others.iter().map(|(name, expiry)| (&**name, *expiry));
    for (link, expiry) in ours.chain(theirs) {
        family.sample(&[("link", link)], (days_until(expiry) * 86_400.0).round());
    }
}

impl<T> Series<T> {
    fn write(&self, page: &mut Page, stats: &[(&str, T)]) {
        let mut family = page.family(self.name, self.kind, self.help);
        for (link, stats) in stats {
            if let Some(value) = (self.read)(stats) {
                family.sample(&[("link", link)], value);
            }
        }
    }
}

/// A count as the page has it.
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 may be off by one")]
const fn whole(number: u64) -> f64 {
    number as f64
}

/// A size as the page has it.
fn size(number: usize) -> f64 {
    whole(u64::try_from(number).unwrap_or(u64::MAX))
}
