//! What is refused, and in which shape.

use serde_json::{Value, json};

use crate::served::{ANN, Served, config};

#[tokio::test]
async fn nobody_mints_or_reads_the_log_without_a_key_that_holds() {
    let served = Served::new(config()).await;
    let body = json!({ "entity": "PEO" }).to_string();
    for order in ["POST /v1/mint", "POST /v1/mint/batch", "GET /v1/audit"] {
        // A body that makes no sense is not looked at first.
        for body in [body.as_str(), "nonsense"] {
            let none = served.ask(order, None, &[], body).await;
            none.refuses(401, "UNAUTHORIZED", "Authorization: Bearer");
            assert_eq!(none.header("www-authenticate"), Some("Bearer"));
            let wrong = served.ask(order, Some("nobody-has-this-key"), &[], body).await;
            wrong.refuses(401, "UNAUTHORIZED", "invalid API key");
            assert!(!wrong.body.to_string().contains("nobody-has"), "{wrong:?}");
        }
    }
    let other = served.ask("GET /v1/audit", Some(ANN), &[], "").await;
    other.refuses(403, "FORBIDDEN", "admin");
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0001-P-26-A-0", "nothing was minted");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_is_wrong() {
    let served = Served::new(config()).await;
    let deep = (0..40).fold(json!({}), |inner, _| json!({ "a": inner }));
    let long = json!({ "a": "x".repeat(9_993) });
    let cases: [(Value, &str, &str); 12] = [
        (json!({}), "INVALID_REQUEST", "entity"),
        (json!([]), "INVALID_REQUEST", "JSON"),
        (json!({ "entity": 7 }), "INVALID_REQUEST", "string"),
        (json!({ "entity": "PEO", "entityType": "PEO" }), "INVALID_REQUEST", "duplicate"),
        (json!({ "entity": "" }), "INVALID_ENTITY", "Use one of PEO, PLACE, PROP"),
        (json!({ "entity": "PERSON" }), "INVALID_ENTITY", "PERSON"),
        (json!({ "entity": "PEO", "name": "ä".repeat(129) }), "INVALID_NAME", "256 bytes"),
        (json!({ "entity": "PEO", "metadata": [] }), "INVALID_METADATA", "object"),
        (json!({ "entity": "PEO", "metadata": deep }), "INVALID_METADATA", "deeper than 32"),
        (json!({ "entity": "PEO", "metadata": long }), "INVALID_METADATA", "10001 bytes"),
        (
            json!({ "entity": "PEO", "metadata": { "__proto__": 1 } }),
            "INVALID_METADATA",
            "__proto__",
        ),
        (
            json!({ "entity": "PEO", "metadata": { "a": [{ "constructor": 1 }] } }),
            "INVALID_METADATA",
            "constructor",
        ),
    ];
    for (body, code, message) in cases {
        served.post("/v1/mint", ANN, &body).await.refuses(400, code, message);
    }
    let no_json = served.ask("POST /v1/mint", Some(ANN), &[], "{\"entity\":").await;
    no_json.refuses(400, "INVALID_REQUEST", "JSON");
    let text = ["Content-Type: text/plain"];
    let text = served.ask("POST /v1/mint", Some(ANN), &text, "{\"entity\":\"PEO\"}").await;
    text.refuses(415, "UNSUPPORTED_MEDIA_TYPE", "application/json");
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0001-P-26-A-0", "nothing was minted");
}

#[tokio::test]
async fn what_is_as_long_as_may_be_is_taken() {
    let served = Served::new(config()).await;
    let deep = (1..32).fold(json!({}), |inner, _| json!({ "a": inner }));
    for body in [
        json!({ "entity": "PEO", "name": "x".repeat(256), "metadata": { "a": "x".repeat(9_992) } }),
        json!({ "entity": "PEO", "metadata": deep }),
        json!({ "entity": "PEO", "name": null, "metadata": null }),
        json!({ "entity": "PEO", "name": "", "metadata": { "constructors": "x", "p": "prototype" } }),
    ] {
        let answer = served.post("/v1/mint", ANN, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let key = format!("Idempotency-Key: {}", "k".repeat(255));
    let body = json!({ "entity": "PEO" }).to_string();
    assert_eq!(served.ask("POST /v1/mint", Some(ANN), &[&key], &body).await.status, 200);
}

#[tokio::test]
async fn idempotency_keys_that_are_none_are_refused() {
    let served = Served::new(config()).await;
    let body = json!({ "entity": "PEO" }).to_string();
    for key in ["", "a b", "ä", &"k".repeat(256)] {
        let line = format!("Idempotency-Key: {key}");
        let answer = served.ask("POST /v1/mint", Some(ANN), &[&line], &body).await;
        answer.refuses(400, "INVALID_IDEMPOTENCY_KEY", "visible characters");
    }
    assert_eq!(served.mint("PEO").await, "CT-A-CHI-0001-P-26-A-0", "nothing was minted");
}

#[tokio::test]
async fn another_method_and_a_path_that_is_no_text_are_refused_in_the_same_shape() {
    let served = Served::new(config()).await;
    for order in ["GET /v1/mint", "DELETE /v1/mint/batch", "POST /v1/health", "PUT /v1/validate/x"]
    {
        let answer = served.ask(order, Some(ANN), &[], "").await;
        answer.refuses(405, "METHOD_NOT_ALLOWED", "Allow");
        assert!(answer.header("allow").is_some(), "{answer:?}");
    }
    for path in ["/v1/validate/%ff", "/v1/%ff/info"] {
        served.get(path).await.refuses(400, "INVALID_REQUEST", "");
    }
}
