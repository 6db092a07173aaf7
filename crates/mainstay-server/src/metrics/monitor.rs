//! What the monitor knows, and whether it is at work.

use mainstay::clock;
use mainstay::core::time::Instant;
use mainstay::monitor::engine::overload::Level;
use mainstay::monitor::engine::summary::Summary;

use super::page::{Kind, Page};
use super::whole;
use crate::monitor::Monitor;
use crate::push::Pushes;

/// Writes what the page says of alerts, and of this machine. All labels are of lists that never
/// grow.
pub(super) fn monitor(page: &mut Page, monitor: &Monitor) {
    let summary = monitor.summary();
    alerts(page, &summary);
    system(page, &summary);
    if let Some(offline) = monitor.is_offline() {
        let help = "1 when this machine reaches none of monitor.connectivity.targets.";
        page.one("mainstay_self_offline", Kind::Gauge, help, f64::from(u8::from(offline)));
    }
    let last: Option<Instant> = *monitor.evaluated().borrow();
    if let Some(last) = last {
        let help = "How long ago alerts were last judged.";
        let age = clock::now().since(last).as_secs_f64();
        page.one("mainstay_monitor_last_evaluation_age_seconds", Kind::Gauge, help, age);
    }
}

/// Writes how late the jobs are that must report.
pub(super) fn pushes(page: &mut Page, pushes: &Pushes) {
    let help = "How long the job has been late to report.";
    let mut family = page.family("mainstay_push_late_seconds", Kind::Gauge, help);
    for view in pushes.views() {
        family.sample(&[("push", &*view.name)], view.late.as_secs_f64());
    }
}

fn alerts(page: &mut Page, summary: &Summary) {
    let by = summary.alerts.by_severity;
    let help = "Alerts that fire, by severity.";
    let mut family = page.family("mainstay_alerts_firing", Kind::Gauge, help);
    for (severity, count) in
        [("low", by.low), ("medium", by.medium), ("high", by.high), ("critical", by.critical)]
    {
        family.sample(&[("severity", severity)], whole(count));
    }
    let help = "Alerts that fire and nobody sees to.";
    let open = whole(summary.alerts.unacknowledged);
    page.one("mainstay_alerts_unacknowledged", Kind::Gauge, help, open);
    let help = "Alerts whose condition has not held for long enough.";
    page.one("mainstay_alerts_pending", Kind::Gauge, help, whole(summary.alerts.pending));
}

fn system(page: &mut Page, summary: &Summary) {
    let system = &summary.system;
    let level = match system.level {
        Level::Normal => 0.0,
        Level::Elevated => 1.0,
        Level::Overloaded => 2.0,
    };
    let help = "0 normal, 1 elevated, 2 overloaded.";
    page.one("mainstay_system_overload", Kind::Gauge, help, level);
    let help = "How much clients are spared, 0 to 7.";
    page.one("mainstay_system_stress", Kind::Gauge, help, f64::from(system.stress));
    let help = "How late our own timers fire, 99th percentile of the last cycle.";
    let lag = system.lag_p99_ms / 1_000.0;
    page.one("mainstay_system_lag_p99_seconds", Kind::Gauge, help, lag);
    for (name, help, value) in [
        ("mainstay_process_resident_memory_bytes", "Memory of this process.", system.memory_bytes),
        ("mainstay_process_open_fds", "File descriptors of this process.", system.fds),
        ("mainstay_process_max_fds", "How many it may have.", system.fds_max),
    ] {
        if let Some(value) = value {
            page.one(name, Kind::Gauge, help, whole(value));
        }
    }
    for (name, help, percent) in [
        ("cpu", "Share of time that something waited for a processor.", system.cpu_some_percent),
        ("memory", "Share of time that something waited for memory.", system.memory_some_percent),
        ("io", "Share of time that everything waited for disks.", system.io_full_percent),
    ] {
        if let Some(percent) = percent {
            let name = format!("mainstay_system_{name}_pressure_ratio");
            page.one(&name, Kind::Gauge, help, percent / 100.0);
        }
    }
}
