//! What the monitor knows, and whether it is at work.

use mainstay::clock;
use mainstay::core::time::Instant;
use mainstay::monitor::engine::overload::Level;
use mainstay::monitor::engine::summary::Summary;

use super::sessions::one;
use super::{head, line};
use crate::monitor::Monitor;

/// Writes what the page says of alerts, and of this machine. All labels are of lists that never
/// grow.
pub(crate) fn monitor(page: &mut String, monitor: &Monitor) {
    let summary = monitor.summary();
    alerts(page, &summary);
    system(page, &summary);
    let last: Option<Instant> = *monitor.evaluated().borrow();
    if let Some(last) = last {
        let help = "How long ago alerts were last judged.";
        let age = clock::now().since(last).as_secs_f64();
        one(page, "mainstay_monitor_last_evaluation_age_seconds", "gauge", help, &age);
    }
}

fn alerts(page: &mut String, summary: &Summary) {
    let (name, by) = ("mainstay_alerts_firing", summary.alerts.by_severity);
    head(page, name, "gauge", "Alerts that fire, by severity.");
    for (severity, count) in
        [("low", by.low), ("medium", by.medium), ("high", by.high), ("critical", by.critical)]
    {
        line(page, format_args!("{name}{{severity=\"{severity}\"}} {count}"));
    }
    let help = "Alerts that fire and nobody sees to.";
    let open = summary.alerts.unacknowledged;
    one(page, "mainstay_alerts_unacknowledged", "gauge", help, &open);
    let help = "Alerts whose condition has not held for long enough.";
    one(page, "mainstay_alerts_pending", "gauge", help, &summary.alerts.pending);
}

fn system(page: &mut String, summary: &Summary) {
    let system = &summary.system;
    let level = match system.level {
        Level::Normal => 0,
        Level::Elevated => 1,
        Level::Overloaded => 2,
    };
    let help = "0 normal, 1 elevated, 2 overloaded.";
    one(page, "mainstay_system_overload", "gauge", help, &level);
    let help = "How much clients are spared, 0 to 7.";
    one(page, "mainstay_system_stress", "gauge", help, &system.stress);
    let help = "How late our own timers fire, 99th percentile of the last cycle.";
    let lag = system.lag_p99_ms / 1_000.0;
    one(page, "mainstay_system_lag_p99_seconds", "gauge", help, &lag);
    for (name, help, value) in [
        ("mainstay_process_resident_memory_bytes", "Memory of this process.", system.memory_bytes),
        ("mainstay_process_open_fds", "File descriptors of this process.", system.fds),
        ("mainstay_process_max_fds", "How many it may have.", system.fds_max),
    ] {
        if let Some(value) = value {
            one(page, name, "gauge", help, &value);
        }
    }
    for (name, help, percent) in [
        ("cpu", "Share of time that something waited for a processor.", system.cpu_some_percent),
        ("memory", "Share of time that something waited for memory.", system.memory_some_percent),
        ("io", "Share of time that everything waited for disks.", system.io_full_percent),
    ] {
        if let Some(percent) = percent {
            let name = format!("mainstay_system_{name}_pressure_ratio");
            one(page, &name, "gauge", help, &(percent / 100.0));
        }
    }
}
