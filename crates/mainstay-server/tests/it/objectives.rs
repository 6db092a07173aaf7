//! Error budgets of a server that runs.

use mainstay_server::Server;
use serde_json::{Value, json};

use crate::monitoring::{Service, is_firing, on_disk, wait, watching};
use crate::running::{Running, run, start};

const SLO: &str = "[[slo]]\nname = \"checkout\"\nsignal = \"link.checks\"\nof = \"pay*\"\nobjective = 0.99\nrunbook = \"look\"\n";

/// The one objective there is.
async fn objective(running: &Running) -> Value {
    let all = running.see("/api/v1/monitor/objectives").await;
    let all = all["objectives"].as_array().unwrap();
    assert_eq!(all.len(), 1);
    all[0].clone()
}

fn near(found: &Value, wanted: f64) -> bool {
    (found.as_f64().unwrap() - wanted).abs() < 1e-9
}

#[tokio::test]
async fn a_budget_is_used_up_by_what_fails_and_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(0).await;
    let text = watching(service.port(), SLO);
    let running = run(Server::bind(&on_disk(&text, folder.path())).await.unwrap());
    running.connected().await;
    wait(async || objective(&running).await["all"].as_u64() >= Some(3)).await;
    let well = objective(&running).await;
    assert_eq!((&well["name"], &well["signal"]), (&json!("checkout"), &json!("link.checks")));
    assert_eq!((&well["of"], &well["runbook"]), (&json!("pay*"), &json!("look")));
    assert_eq!((&well["objective"], &well["window_ms"]), (&json!(0.99), &json!(2_592_000_000_u64)));
    assert_eq!((&well["failed"], &well["budget_left"]), (&json!(0), &json!(1.0)));
    assert_eq!((&well["success"], &well["firing"]), (&json!(1.0), &Value::Null));
    assert!(well["since"].is_string());

    drop(service);
    let alert = running.alert("SLO_BURN", is_firing).await;
    let burnt = objective(&running).await;
    let (failed, all) = (burnt["failed"].as_f64().unwrap(), burnt["all"].as_f64().unwrap());
    assert!(failed > 0.0 && failed <= all, "{burnt}");
    assert!(near(&burnt["success"], 1.0 - failed / all), "{burnt}");
    assert!(near(&burnt["budget_left"], 1.0 - failed / all / 0.01), "{burnt}");
    assert!(burnt["alert"] == alert["id"] && burnt["firing"].is_string(), "{burnt}");
    let rates = burnt["rates"].as_array().unwrap();
    assert_eq!((rates.len(), &rates[0]["severity"]), (4, &json!("CRITICAL")));
    assert_eq!((&rates[0]["long_ms"], &rates[0]["short_ms"]), (&json!(3_600_000), &json!(300_000)));
    assert!(rates[0]["long"].as_f64() > Some(1.0), "{burnt}");
    let groups = running.see("/api/v1/monitor/groups").await;
    assert!(groups["groups"].as_array().unwrap().contains(&json!("slo:checkout")), "{groups}");
    running.end().await;

    // What was counted is still there, though the hour is not over.
    let running = run(Server::bind(&on_disk(&text, folder.path())).await.unwrap());
    let after = objective(&running).await;
    assert!(after["failed"].as_u64() >= burnt["failed"].as_u64(), "{after} after {burnt}");
    assert!(after["all"].as_u64() >= burnt["all"].as_u64(), "{after} after {burnt}");
}

#[tokio::test]
async fn nothing_that_happened_is_no_budget_and_no_objective_is_an_empty_list() {
    let running = start(&SLO.replace("pay*", "nobody")).await;
    let found = objective(&running).await;
    assert_eq!((&found["all"], &found["budget_left"]), (&json!(0), &Value::Null));
    assert_eq!((&found["success"], &found["rates"][0]["long"]), (&Value::Null, &Value::Null));
    let none = start("").await;
    let all = none.see("/api/v1/monitor/objectives").await;
    assert_eq!(all, json!({ "objectives": [] }));
}
