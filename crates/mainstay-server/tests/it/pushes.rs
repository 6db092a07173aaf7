//! Jobs that report in to a server that runs.

use std::path::Path;

use mainstay_server::Server;
use mainstay_server::config::{Config, Environment, Flags};
use serde_json::Value;

use crate::running::{Running, run};

const TOKEN: &str = "0123456789-backup";

/// A job that reports every second at the latest, and one that has an hour.
const TEXT: &str = "
    [monitor]
    interval = \"1s\"
    [[push]]
    name = \"backup\"
    every = \"1h\"
    token_env = \"BACKUP\"
    [[push]]
    name = \"hasty\"
    every = \"1s\"
    grace = \"0s\"
    token_env = \"HASTY\"
";

fn config(text: &str, folder: &Path) -> Config {
    let folder = Some(folder.to_str().unwrap().to_owned());
    let flags = Flags { listen: Some("127.0.0.1:0".into()), data_dir: folder, ..Flags::default() };
    let environment = Environment::from([
        ("BACKUP".into(), TOKEN.into()),
        ("HASTY".into(), "0123456789-hasty".into()),
        ("ADMIN".into(), "a-token-of-operators".into()),
    ]);
    Config::parse(text, None, &flags, &environment).unwrap()
}

impl Running {
    async fn report(&self, line: &str, more: &str, body: &str) -> (u16, String) {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}",
            self.address,
            body.len()
        );
        let answer = self.ask(&head).await;
        (answer[9..12].parse().unwrap(), answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    async fn job(&self, name: &str) -> Value {
        let see = "Authorization: Bearer a-token-of-operators\r\n";
        let (status, body) = self.report("GET /api/v1/push", see, "").await;
        assert_eq!(status, 200, "{body}");
        let all: Value = serde_json::from_str(body.trim()).unwrap();
        let mut all = all["pushes"].as_array().unwrap().iter();
        all.find(|one| one["name"] == name).unwrap().clone()
    }
}

#[tokio::test]
async fn a_report_is_kept_over_a_restart_and_a_failure_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[server]\ntoken_env = \"ADMIN\"\n{TEXT}");
    let running = run(Server::bind(&config(&text, folder.path())).await.unwrap());
    assert_eq!(running.job("backup").await["state"], "waiting");
    let path = format!("/api/v1/push/backup/{TOKEN}");
    assert_eq!(running.report(&format!("GET {path}"), "", "").await, (200, "ok\n".into()));
    let good = running.job("backup").await;
    assert_eq!(
        (&good["state"], &good["reports"], &good["message"]),
        (&"ok".into(), &1.into(), &Value::Null)
    );

    let query = format!("POST {path}?status=fail&message=no%20space%0Aleft");
    assert_eq!(running.report(&query, "", "").await.0, 200);
    let failed = running.job("backup").await;
    assert_eq!((&failed["state"], &failed["message"]), (&"failed".into(), &"no space left".into()));
    assert!(failed["late_ms"].as_u64().unwrap() >= 1_000);
    let see = format!("Host: {}\r\nAuthorization: Bearer a-token-of-operators", running.address);
    let page = running.get("/metrics", &see).await;
    let late = page.lines().find_map(|line| {
        line.strip_prefix("mainstay_push_late_seconds{push=\"backup\"} ")?.parse::<f64>().ok()
    });
    assert!(late.is_some_and(|late| late >= 1.0), "{page}");
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let body = "{\"status\":\"fail\",\"message\":\"again\"}";
    assert_eq!(running.report("POST /api/v1/push/backup", &bearer, body).await.0, 200);
    running.end().await;

    let running = run(Server::bind(&config(&text, folder.path())).await.unwrap());
    let kept = running.job("backup").await;
    assert_eq!((&kept["state"], &kept["message"]), (&"failed".into(), &"again".into()));
    assert_eq!((&kept["reports"], &kept["failures"]), (&3.into(), &2.into()));
    assert_eq!(running.report(&format!("GET {path}"), "", "").await.0, 200);
    assert_eq!(running.job("backup").await["state"], "ok");
    running.end().await;
}

#[tokio::test]
async fn a_job_that_does_not_report_is_an_alert_until_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let running = run(Server::bind(&config(TEXT, folder.path())).await.unwrap());
    let alert = running.alert("PUSH_MISSED", |one| one["state"] == "FIRING").await;
    assert_eq!(alert["labels"], serde_json::json!({ "push": "hasty" }));
    let over = async {
        loop {
            let line = "GET /api/v1/push/hasty/0123456789-hasty";
            // It may have reported more often than it may: then it waits as it is told.
            let (status, _) = running.report(line, "", "").await;
            assert!(matches!(status, 200 | 429), "{status}");
            let all = running.see("/api/v1/alerts?rule=PUSH_MISSED").await;
            let found = all["alerts"].as_array().unwrap().iter();
            if found
                .clone()
                .any(|one| one["labels"]["push"] == "hasty" && one["state"] == "RESOLVED")
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(crate::running::PATIENCE, over).await.expect("it ends");
    running.end().await;
}

#[tokio::test]
async fn wrong_tokens_and_names_are_refused_alike_and_floods_are_slowed() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[server]\ntoken_env = \"ADMIN\"\n{TEXT}");
    let running = run(Server::bind(&config(&text, folder.path())).await.unwrap());
    let wrong = running.report("GET /api/v1/push/backup/0123456789-hasty", "", "").await;
    assert_eq!(wrong.0, 401);
    assert_eq!(running.report("GET /api/v1/push/nobody/0123456789-hasty", "", "").await, wrong);
    assert_eq!(running.report("POST /api/v1/push/backup", "", "").await.0, 401);
    let operator = "Authorization: Bearer a-token-of-operators\r\n";
    assert_eq!(running.report("POST /api/v1/push/backup", operator, "").await.0, 401);
    assert_eq!(
        running.report("GET /api/v1/push", "", "").await.0,
        401,
        "the list is for operators"
    );
    assert_eq!(
        running.report(&format!("POST /api/v1/push/backup/{TOKEN}"), "", "no json").await.0,
        400
    );
    assert_eq!(
        running.report(&format!("GET /api/v1/push/backup/{TOKEN}?statu=x"), "", "").await.0,
        400
    );
    assert_eq!(running.job("backup").await["reports"], 0);
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(running.report(&format!("GET /api/v1/push/backup/{TOKEN}"), "", "").await.0);
    }
    assert!(statuses[..5].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    let (_, page) = running.report("GET /metrics", operator, "").await;
    assert!(!page.contains(TOKEN));
    running.end().await;
}
