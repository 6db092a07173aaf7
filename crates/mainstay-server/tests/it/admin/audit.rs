use serde_json::{Value, json};

use super::asking::{ADMIN, CLIENT, OPERATOR, ask, ask_as, id, register, with_keys};
use crate::running::{Running, config, start};

const NONE: Value = Value::Null;

async fn log(running: &Running, rest: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit{rest}");
    let answer = ask_as(running, ADMIN, "GET", &path, &NONE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["actions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_operators_do_is_kept_with_who_from_where_and_how_it_went() {
    let link = "[[link]]\nname = \"web\"\nurl = \"tcp://127.0.0.1:1\"\nconnect = false\n\
                policy = \"default\"\n";
    let running = with_keys(link).await;
    let post =
        async |key: &str, path: &str| ask_as(&running, key, "POST", path, &NONE).await.status;
    assert_eq!(post(OPERATOR, "/api/v1/links/web/pause").await, 200);
    assert_eq!(post(ADMIN, "/api/v1/gates/web/force_open").await, 200);
    let some = "/api/v1/sessions/01900000-0000-7000-8000-000000000000";
    assert_eq!(post(OPERATOR, &format!("{some}/disconnect")).await, 404);
    assert_eq!(post(CLIENT, "/api/v1/links/web/resume").await, 403);
    let body = json!({"organisation": "acme", "reason": "hush-hush"});
    assert_eq!(ask_as(&running, ADMIN, "POST", "/api/v1/disconnect", &body).await.status, 200);
    // Looking is no action.
    ask_as(&running, OPERATOR, "GET", "/api/v1/sessions", &NONE).await;
    let actions = log(&running, "").await;
    let short: Vec<_> = actions
        .iter()
        .map(|a| json!([a["who"], a["action"], a["target"], a["status"], a["code"]]))
        .collect();
    let target = "01900000-0000-7000-8000-000000000000";
    let wanted = [
        json!(["admin", "disconnect", null, 200, null]),
        json!(["client", "links.resume", "web", 403, "FORBIDDEN"]),
        json!(["operator", "sessions.disconnect", target, 404, "NOT_FOUND"]),
        json!(["admin", "gates.force_open", "web", 200, null]),
        json!(["operator", "links.pause", "web", 200, null]),
    ];
    assert_eq!(short, wanted);
    assert_eq!(actions[0]["note"], "0 sessions, code 4202: organisation=acme");
    assert_eq!(
        (&actions[0]["role"], &actions[0]["address"]),
        (&json!("admin"), &json!("127.0.0.1"))
    );
    for secret in [ADMIN, OPERATOR, CLIENT] {
        assert!(!json!(actions).to_string().contains(secret));
    }
    assert_eq!(log(&running, "?who=operator").await.len(), 2);
    assert_eq!(log(&running, "?action=links.pause&target=web").await.len(), 1);
    assert_eq!(log(&running, "?to=1000").await.len(), 0);
    let page = ask_as(&running, ADMIN, "GET", "/api/v1/audit?limit=3", &NONE).await.body;
    let next = page["next"].as_str().unwrap();
    let rest = log(&running, &format!("?limit=3&cursor={next}")).await;
    assert_eq!((rest.len(), &rest[0]["action"]), (2, &json!("gates.force_open")));
}

#[tokio::test]
async fn a_client_that_leaves_is_no_action_of_an_operator() {
    let running = start("").await;
    let welcome = register(&running, "kim", "acme").await;
    let other = id(&register(&running, "lee", "acme").await);
    let path = format!("/api/v1/sessions/{}", id(&welcome));
    let token = format!("Mainstay-Session: {}\r\n", welcome["token"].as_str().unwrap());
    let left = super::asking::ask_with(&running, "DELETE", &path, &token, &NONE).await;
    assert_eq!(left.status, 204);
    let path = format!("/api/v1/sessions/{other}");
    assert_eq!(ask(&running, "DELETE", &path, &NONE).await.status, 204);
    let body = ask(&running, "GET", "/api/v1/audit", &NONE).await.body;
    let actions = body["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 1, "{actions:?}");
    assert_eq!(
        (&actions[0]["action"], &actions[0]["target"]),
        (&json!("sessions.delete"), &json!(other))
    );
}

#[tokio::test]
async fn the_log_outlives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[server]\ndata_dir = {:?}\n[store]\n", folder.path());
    let serve = async || {
        let server = mainstay_server::Server::bind(&config(&text)).await.unwrap();
        let (stop, asked) = tokio::sync::oneshot::channel::<()>();
        let (address, handle) = (server.address().to_string(), server.handle());
        let task = tokio::spawn(server.run(async move { drop(asked.await) }));
        Running { address, handle, stop, task }
    };
    let running = serve().await;
    let body = json!({"all": true});
    assert_eq!(ask(&running, "POST", "/api/v1/disconnect", &body).await.status, 200);
    running.end().await;
    let running = serve().await;
    let body = ask(&running, "GET", "/api/v1/audit", &NONE).await.body;
    assert_eq!(body["actions"][0]["action"], "disconnect", "{body}");
    running.end().await;
}
