use std::collections::BTreeSet;

use serde_json::Value;

use super::asking::{CLIENT, ask, ask_as, with_keys};
use crate::running::{Running, start};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];
const NONE: Value = Value::Null;

async fn document(running: &Running) -> Value {
    let answer = ask(running, "GET", "/api/v1/openapi.json", &NONE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Calls `each` with every object of the document.
fn walk(value: &Value, each: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            each(fields);
            fields.values().for_each(|value| walk(value, each));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_description_is_valid_and_whole_in_itself() {
    let running = start("").await;
    let document = document(&running).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'), "{path}");
        let places: Vec<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for (method, operation) in methods.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            let name = operation["operationId"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} stands twice");
            assert!(operation["summary"].is_string() && operation["tags"][0].is_string());
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path = parameters.iter().filter(|one| one["in"] == "path");
            let in_path: Vec<&str> = in_path.map(|one| one["name"].as_str().unwrap()).collect();
            assert_eq!(in_path, places, "{method} {path}");
            assert!(
                parameters.iter().all(|one| one["schema"].is_object() || one["schema"] == true)
            );
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.len() > 1 && responses.contains_key("default"), "{method} {path}");
            assert!(responses.keys().all(|key| key == "default" || key.parse::<u16>().is_ok()));
            assert!(method != "get" || operation.get("requestBody").is_none(), "{path}");
        }
    }
    // Everything that is referred to is there.
    let mut missing = Vec::new();
    walk(&document, &mut |fields| {
        if let Some(Value::String(reference)) = fields.get("$ref") {
            let place = reference.strip_prefix('#').and_then(|place| document.pointer(place));
            if place.is_none() {
                missing.push(reference.clone());
            }
        }
        if let Some(Value::Array(schemes)) = fields.get("security") {
            for name in schemes.iter().flat_map(|one| one.as_object().unwrap().keys()) {
                assert!(document["components"]["securitySchemes"][name].is_object(), "{name}");
            }
        }
    });
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn every_route_is_described_and_what_is_described_is_answered() {
    let running = start("").await;
    let document = document(&running).await;
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_ascii_uppercase()));
        }
    }
    // What the router itself says there is.
    let nothing = ask(&running, "GET", "/nothing/here", &NONE).await;
    assert_eq!(nothing.status, 404);
    let there = nothing.body["detail"].as_str().unwrap().strip_prefix("there is: ").unwrap();
    let there: BTreeSet<String> = there.split(", ").map(String::from).collect();
    assert_eq!(described, there);
    // Each method of each path is routed, and no other method of it.
    for path in document["paths"].as_object().unwrap().keys() {
        let filled = path.replace("{id}", "01900000-0000-7000-8000-000000000000");
        let filled = filled.replace("{name}", "x").replace("{action}", "x");
        let filled = filled.replace("{receiver}", "x");
        let streams = [
            "/api/v1/events",
            "/api/v1/messages",
            "/api/v1/sessions/events",
            "/api/v1/monitor/live",
        ];
        for method in METHODS {
            let line = format!("{} {path}", method.to_ascii_uppercase());
            if described.contains(&line) {
                if !streams.contains(&path.as_str()) {
                    let answer = ask(&running, &method.to_ascii_uppercase(), &filled, &NONE).await;
                    let detail = answer.body["detail"].as_str().unwrap_or_default();
                    assert!(answer.status != 405 && !detail.starts_with("there is: GET"), "{line}");
                }
            } else {
                let answer = ask(&running, &method.to_ascii_uppercase(), &filled, &NONE).await;
                assert_eq!(answer.status, 405, "{line} is answered and not described");
            }
        }
    }
}

#[tokio::test]
async fn bodies_and_answers_have_their_shapes() {
    let running = start("").await;
    let document = document(&running).await;
    let paths = &document["paths"];
    let bodies = [
        ("/api/v1/disconnect", "post"),
        ("/api/v1/sessions/{id}/reconnect", "post"),
        ("/api/v1/sessions/{id}/messages", "post"),
        ("/api/v1/sessions/{id}/metadata", "put"),
        ("/api/v1/heartbeats", "post"),
    ];
    for (path, method) in bodies {
        let schema = &paths[path][method]["requestBody"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path}");
    }
    let schema = |name: &str| &document["components"]["schemas"][name]["properties"];
    assert_eq!(schema("SessionJson")["status"]["$ref"], "#/components/schemas/Status");
    assert!(schema("EventJson")["within_ms"].is_object());
    assert!(schema("Dismissal")["spread_ms"].is_object());
    let codes = schema("Problem")["code"]["enum"].as_array().unwrap();
    assert!(codes.contains(&Value::from("STORAGE")));
    // What is answered fits what is described, as far as names go.
    let audit = ask(&running, "GET", "/api/v1/sessions/counts", &NONE).await.body;
    let named: BTreeSet<&String> = schema("CountsJson").as_object().unwrap().keys().collect();
    assert_eq!(audit.as_object().unwrap().keys().collect::<BTreeSet<_>>(), named);
    let health = ask(&running, "GET", "/health", &NONE).await.body;
    let named: BTreeSet<&String> = schema("Health").as_object().unwrap().keys().collect();
    assert_eq!(health.as_object().unwrap().keys().collect::<BTreeSet<_>>(), named);
}

#[tokio::test]
async fn every_role_may_read_the_description() {
    let running = with_keys("").await;
    let answer = ask_as(&running, CLIENT, "GET", "/api/v1/openapi.json", &NONE).await;
    assert_eq!(answer.status, 200);
    assert_eq!(ask(&running, "GET", "/api/v1/openapi.json", &NONE).await.status, 401);
}
