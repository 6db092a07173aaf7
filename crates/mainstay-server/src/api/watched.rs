//! The routes of the monitor.

use serde_json::Value;

use super::routes::Who::Operators;
use super::routes::{Routes, about};
use super::{alerts, monitor, objectives, push};

/// How everything is, and what is the matter.
pub(super) fn routes() -> Routes {
    seen().merge(alerted())
}

/// How everything is.
fn seen() -> Routes {
    let see = |summary| about(Operators, summary);
    Routes::new()
        .get(
            "/api/v1/monitor/summary",
            monitor::summary,
            see("Everything at a glance").answers::<Value>(200),
        )
        .get(
            "/api/v1/monitor/groups",
            monitor::groups,
            see("What has a history").answers::<Value>(200),
        )
        .get(
            "/api/v1/monitor/series",
            monitor::series_of,
            see("The history of a group")
                .asks::<monitor::Asked>()
                .answers::<monitor::SeriesJson>(200),
        )
        .get(
            "/api/v1/monitor/objectives",
            objectives::list,
            see("Objectives, and what of their error budgets is left")
                .answers::<objectives::ObjectivesJson>(200),
        )
        .get(
            "/api/v1/push",
            push::list,
            see("Every job that must report in").answers::<push::PushesJson>(200),
        )
}

/// What is the matter, and what people do about it.
fn alerted() -> Routes {
    let see = |summary| about(Operators, summary);
    Routes::new()
        .get(
            "/api/v1/alerts",
            alerts::list,
            see("Alerts, the worst first")
                .asks::<alerts::Asked>()
                .answers::<alerts::AlertsJson>(200),
        )
        .get(
            "/api/v1/alerts/history",
            alerts::history,
            see("What happened to alerts").asks::<alerts::Past>().answers::<alerts::PastJson>(200),
        )
        .get(
            "/api/v1/alerts/rules",
            alerts::rules,
            see("Rules and objectives").answers::<Value>(200),
        )
        .get(
            "/api/v1/alerts/{id}",
            alerts::show,
            see("One alert").answers::<alerts::AlertJson>(200),
        )
        .post(
            "/api/v1/alerts/{id}/acknowledge",
            alerts::acknowledge,
            see("Somebody sees to an alert")
                .takes::<alerts::Acknowledging>()
                .answers::<alerts::AlertJson>(200),
        )
        .delete(
            "/api/v1/alerts/{id}/acknowledge",
            alerts::withdraw,
            see("Nobody sees to it after all").answers::<alerts::AlertJson>(200),
        )
        .post(
            "/api/v1/alerts/{id}/silence",
            alerts::silence,
            see("An alert notifies nobody")
                .takes::<alerts::Silencing>()
                .answers::<alerts::AlertJson>(200),
        )
        .delete(
            "/api/v1/alerts/{id}/silence",
            alerts::lift,
            see("It does again").answers::<alerts::AlertJson>(200),
        )
}
