//! What is known of notices of alerts.

use super::page::{Kind, Page};
use super::{size, whole};
use crate::notify::{Notifier, ReceiverView};

type Read = fn(&ReceiverView) -> usize;

/// Writes what the page says of notices; the labels are the receivers of the configuration.
pub(super) fn notifications(page: &mut Page, notifier: &Notifier) {
    let receivers = notifier.receivers();
    let views: Vec<(&str, ReceiverView)> =
        receivers.iter().map(|receiver| (&*receiver.spec.name, receiver.view())).collect();
    let help = "Notices of alerts, by what became of them.";
    let mut family = page.family("mainstay_notifications_total", Kind::Counter, help);
    for (receiver, view) in &views {
        for (outcome, count) in [("delivered", view.sent), ("dead", view.given_up)] {
            family.sample(&[("receiver", receiver), ("outcome", outcome)], whole(count));
        }
    }
    let help = "Rounds of attempts to send a notice that came to nothing.";
    let mut family = page.family("mainstay_notification_failures_total", Kind::Counter, help);
    for (receiver, view) in &views {
        for (reason, count) in &view.failures {
            family.sample(&[("receiver", receiver), ("reason", reason.name())], whole(*count));
        }
    }
    let help = "From when a notice was due to when it was taken.";
    let mut family = page.family("mainstay_notification_seconds", Kind::Histogram, help);
    for receiver in &receivers {
        family.spread(&[("receiver", &receiver.spec.name)], &receiver.took());
    }
    let gauges: [(&str, &str, Read); 2] = [
        ("mainstay_notification_queue", "Notices that wait.", |view| view.queued),
        ("mainstay_notification_dead_letters", "Notices that were given up.", |view| view.dead),
    ];
    for (name, help, read) in gauges {
        let mut family = page.family(name, Kind::Gauge, help);
        for (receiver, view) in &views {
            family.sample(&[("receiver", receiver)], size(read(view)));
        }
    }
    let counts = notifier.counts();
    let help = "Alerts that receivers are told of, or will be.";
    page.one("mainstay_notification_alerts", Kind::Gauge, help, size(counts.alerts));
    for (name, help, count) in [
        ("lost", "Alerts that were not taken because there were too many.", counts.lost),
        ("unkept", "Notices that could not be kept before they were sent.", counts.unkept),
    ] {
        let name = format!("mainstay_notification_{name}_total");
        page.one(&name, Kind::Counter, help, whole(count));
    }
}
