//! What is known of notices of alerts.

use super::{head, label, line};
use crate::notify::{Notifier, ReceiverView};

type Read = fn(&ReceiverView) -> usize;

/// Writes what the page says of notices; the labels are the receivers of the configuration.
pub(crate) fn notifications(page: &mut String, notifier: &Notifier) {
    let views: Vec<(String, ReceiverView)> = notifier
        .receivers()
        .iter()
        .map(|receiver| (label(&receiver.spec.name), receiver.view()))
        .collect();
    let name = "mainstay_notifications_total";
    head(page, name, "counter", "Notices of alerts, by what became of them.");
    for (receiver, view) in &views {
        for (outcome, count) in [("delivered", view.sent), ("dead", view.given_up)] {
            let labels = format!("receiver=\"{receiver}\",outcome=\"{outcome}\"");
            line(page, format_args!("{name}{{{labels}}} {count}"));
        }
    }
    let name = "mainstay_notification_failures_total";
    head(page, name, "counter", "Rounds of attempts to send a notice that came to nothing.");
    for (receiver, view) in &views {
        for (reason, count) in &view.failures {
            let labels = format!("receiver=\"{receiver}\",reason=\"{}\"", reason.name());
            line(page, format_args!("{name}{{{labels}}} {count}"));
        }
    }
    let name = "mainstay_notification_seconds";
    head(page, name, "summary", "From when a notice was due to when it was taken.");
    for (receiver, view) in &views {
        let took = view.took.as_secs_f64();
        line(page, format_args!("{name}_sum{{receiver=\"{receiver}\"}} {took}"));
        line(page, format_args!("{name}_count{{receiver=\"{receiver}\"}} {}", view.sent));
    }
    let gauges: [(&str, &str, Read); 2] = [
        ("mainstay_notification_queue", "Notices that wait.", |view| view.queued),
        ("mainstay_notification_dead_letters", "Notices that were given up.", |view| view.dead),
    ];
    for (name, help, read) in gauges {
        head(page, name, "gauge", help);
        for (receiver, view) in &views {
            line(page, format_args!("{name}{{receiver=\"{receiver}\"}} {}", read(view)));
        }
    }
    let counts = notifier.counts();
    let name = "mainstay_notification_alerts";
    head(page, name, "gauge", "Alerts that receivers are told of, or will be.");
    line(page, format_args!("{name} {}", counts.alerts));
    for (name, help, count) in [
        ("lost", "Alerts that were not taken because there were too many.", counts.lost),
        ("unkept", "Notices that could not be kept before they were sent.", counts.unkept),
    ] {
        let name = format!("mainstay_notification_{name}_total");
        head(page, &name, "counter", help);
        line(page, format_args!("{name} {count}"));
    }
}
