//! The page of metrics, in Prometheus' text format.
//!
//! Counters and histograms that the library records come from the recorder of the process. What a
//! link knows is written at the moment of asking: a link that is gone leaves no stale series behind.

mod monitor;
mod notifications;
mod sessions;

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use mainstay::link::websocket::SocketStats;
use mainstay::link::{Link, LinkStats, StateName};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::engine::Held;
use crate::monitor::days_until;

pub(crate) use monitor::monitor;
pub(crate) use notifications::notifications;
pub(crate) use sessions::sessions;

static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The process's recorder, installed the first time.
pub(crate) fn recorder() -> Result<PrometheusHandle, String> {
    let mut slot = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*slot {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new().install_recorder().map_err(|error| error.to_string())?;
    *slot = Some(handle.clone());
    Ok(handle)
}

/// A number that a link has.
struct Series<T> {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    read: fn(&T) -> Option<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "counters beyond 2^53 may be off by one")]
const fn count(number: u64) -> Option<f64> {
    Some(number as f64)
}

const LINKS: [Series<LinkStats>; 10] = [
    Series {
        name: "mainstay_link_up",
        kind: "gauge",
        help: "1 when the link is connected.",
        read: |stats| Some(if stats.is_connected { 1.0 } else { 0.0 }),
    },
    Series {
        name: "mainstay_link_uptime_seconds",
        kind: "gauge",
        help: "How long the connection has held.",
        read: |stats| Some(stats.uptime.as_secs_f64()),
    },
    Series {
        name: "mainstay_link_connections_total",
        kind: "counter",
        help: "Connections made.",
        read: |stats| count(stats.total_connections),
    },
    Series {
        name: "mainstay_link_reconnections_total",
        kind: "counter",
        help: "Connections made after a redial.",
        read: |stats| count(stats.total_reconnections),
    },
    Series {
        name: "mainstay_link_reconnect_attempts_total",
        kind: "counter",
        help: "Redials begun.",
        read: |stats| count(stats.total_reconnect_attempts),
    },
    Series {
        name: "mainstay_link_failures_total",
        kind: "counter",
        help: "Connects that failed.",
        read: |stats| count(stats.total_failures),
    },
    Series {
        name: "mainstay_link_health_checks_total",
        kind: "counter",
        help: "Health checks that ended.",
        read: |stats| count(stats.total_health_checks),
    },
    Series {
        name: "mainstay_link_health_check_failures_total",
        kind: "counter",
        help: "Health checks that did not go well.",
        read: |stats| count(stats.failed_health_checks),
    },
    Series {
        name: "mainstay_link_rtt_seconds",
        kind: "gauge",
        help: "Smoothed round-trip time of health checks.",
        read: |stats| stats.rtt.smoothed().map(|rtt| rtt.as_secs_f64()),
    },
    Series {
        name: "mainstay_link_rtt_min_seconds",
        kind: "gauge",
        help: "Shortest round-trip time of health checks.",
        read: |stats| stats.rtt.min().map(|rtt| rtt.as_secs_f64()),
    },
];

const SOCKETS: [Series<SocketStats>; 7] = [
    Series {
        name: "mainstay_link_messages_sent_total",
        kind: "counter",
        help: "Messages written to a WebSocket.",
        read: |stats| count(stats.sent),
    },
    Series {
        name: "mainstay_link_bytes_sent_total",
        kind: "counter",
        help: "Bytes of messages written to a WebSocket.",
        read: |stats| count(stats.sent_bytes),
    },
    Series {
        name: "mainstay_link_messages_received_total",
        kind: "counter",
        help: "Messages that came over a WebSocket.",
        read: |stats| count(stats.received),
    },
    Series {
        name: "mainstay_link_bytes_received_total",
        kind: "counter",
        help: "Bytes of messages that came over a WebSocket.",
        read: |stats| count(stats.received_bytes),
    },
    Series {
        name: "mainstay_link_messages_missed_total",
        kind: "counter",
        help: "Messages that came and were not taken in time.",
        read: |stats| count(stats.missed),
    },
    Series {
        name: "mainstay_link_messages_dropped_total",
        kind: "counter",
        help: "Messages that were to be sent and never were.",
        read: |stats| count(stats.dropped),
    },
    Series {
        name: "mainstay_link_messages_queued",
        kind: "gauge",
        help: "Messages that wait to be sent.",
        read: |stats| count(stats.queued),
    },
];

/// The page.
pub(crate) fn page(prometheus: &PrometheusHandle, links: &[(Link, Held)]) -> String {
    prometheus.run_upkeep();
    let mut page = prometheus.render();
    let stats: Vec<(String, LinkStats)> =
        links.iter().map(|(link, _)| (label(link.name()), link.stats())).collect();
    LINKS.iter().for_each(|series| series.write(&mut page, &stats));
    let sockets: Vec<(String, SocketStats)> = links
        .iter()
        .filter_map(|(link, held)| Some((label(link.name()), held.socket()?)))
        .collect();
    SOCKETS.iter().for_each(|series| series.write(&mut page, &sockets));
    expiries(&mut page, links);
    head(&mut page, STATE, "gauge", "1 for the state that the link is in.");
    for (link, stats) in &stats {
        for state in StateName::ALL {
            let value = u8::from(stats.current_state == state);
            let state = state.as_str();
            line(&mut page, format_args!("{STATE}{{link=\"{link}\",state=\"{state}\"}} {value}"));
        }
    }
    page
}

/// Links to peers that showed a certificate. Below 0 when it is past.
fn expiries(page: &mut String, links: &[(Link, Held)]) {
    const NAME: &str = "mainstay_link_certificate_expiry_seconds";
    head(page, NAME, "gauge", "How long the certificate that the peer showed is still valid.");
    for (link, held) in links {
        if let Some(expiry) = held.certificate_expiry() {
            let (link, left) = (label(link.name()), (days_until(expiry) * 86_400.0).round());
            line(page, format_args!("{NAME}{{link=\"{link}\"}} {left}"));
        }
    }
}

impl<T> Series<T> {
    fn write(&self, page: &mut String, stats: &[(String, T)]) {
        head(page, self.name, self.kind, self.help);
        for (link, stats) in stats {
            if let Some(value) = (self.read)(stats) {
                line(page, format_args!("{}{{link=\"{link}\"}} {value}", self.name));
            }
        }
    }
}

const STATE: &str = "mainstay_link_state";

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    line(page, format_args!("# HELP {name} {help}"));
    line(page, format_args!("# TYPE {name} {kind}"));
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("writing to a string cannot fail");
}

/// `text` as a label's value.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_cannot_break_out_of_their_quotes() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
