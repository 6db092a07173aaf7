//! Answers that are not what the API answers.

use std::error::Error as _;
use std::time::Duration;

use chittyid_client::{
    ApiKey, Client, ClientConfig, Credentials, EntityType, Error, LimitedBy, Profile, Unreachable,
    Verdict, Who,
};
use serde_json::Value;

use crate::odd::{Odd, Reply, json, mint, reply};
use crate::world::{KEY, MS, config};

const CLIENT_V1: &str = "CT-A-CHI-1234-I-24-A-0";

#[tokio::test]
async fn the_id_is_read_from_each_name_that_services_give_to_it() {
    for body in [
        r#"{"chittyId":"CT-A-CHI-1234-I-24-A-0","id":"other"}"#,
        r#"{"chitty_id":"CT-A-CHI-1234-I-24-A-0","id":7}"#,
        r#"{"id":"CT-A-CHI-1234-I-24-A-0","success":true}"#,
    ] {
        let (id, requests) = mint(vec![json(body)]).await;
        assert_eq!((id.unwrap().as_str(), requests), (CLIENT_V1, 1), "{body}");
    }
    let created = reply("201 Created", "", r#"{"chittyId":"CT-A-CHI-1234-I-24-A-0"}"#);
    assert_eq!(mint(vec![created]).await.0.unwrap(), CLIENT_V1);
}

#[tokio::test]
async fn an_answer_without_an_id_is_an_error() {
    for body in ["{}", r#"{"success":true}"#, r#"{"chittyId":null}"#, r#"{"chittyId":""}"#, "[]"] {
        let (result, requests) = mint(vec![json(body)]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NoId), "{body}: {error}");
        assert_eq!((error.who(), requests), (Who::Service, 1));
    }
    let body = r#"{"success":false,"error":{"code":"VRF_GENERATION_FAILED","message":"no luck"}}"#;
    let error = mint(vec![json(body)]).await.0.unwrap_err();
    let Error::Service(said) = error else { panic!("{error}") };
    assert_eq!(said.code.as_deref(), Some("VRF_GENERATION_FAILED"));
    assert_eq!(said.message.as_deref(), Some("no luck"));
}

#[tokio::test]
async fn an_id_of_every_other_profile_is_named_and_refused() {
    for (id, profile) in [
        ("01-C-INF-0177-I-2510-7-23", Profile::ServiceV1),
        ("03-1-USA-5537-P-2602-0-38", Profile::Canonical03),
        ("03-1-USA-0001-P-251-3-79", Profile::Canonical03Short),
        ("CP-A-001-1234-P-2509-I-82", Profile::FoundationV2),
        ("03-C-GEN-0001-P-259-3-10", Profile::Vrf),
        ("CHITTY-PEO-00001-A1B2C3", Profile::Legacy),
        ("AA-C-TSK-1234-I-25-7-X", Profile::HybridTechnical),
        ("01-N-USA-1234-P-25-3-X", Profile::HybridLegal),
        ("01-C-ACT-4829-PEO-Q5-7-0", Profile::CanonSpec),
        ("03-1-USA-0001-P-Q5-3-7", Profile::Gateway),
        ("01-1-USA-0001-P-202510-3-7", Profile::Router),
        ("02-C-DOC-1234-I-2B-7-A", Profile::Express),
    ] {
        let body = format!(r#"{{"chittyId":"{id}"}}"#);
        let error = mint(vec![json(&body)]).await.0.unwrap_err();
        let Error::FormatMismatch { detected, found, .. } = &error else { panic!("{error}") };
        assert_eq!((*detected, &**found), (Some(profile), id));
        let text = error.to_string();
        assert!(text.contains(profile.name()) && text.contains("only client-v1"), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_id_is_refused_and_not_shown_at_length() {
    let long = "x".repeat(10_000);
    for id in ["chitty_1234", "ct-a-chi-1234-i-24-a-0", "CT-A-CHI-1234-I-24-A-0 ", &long] {
        let body = format!(r#"{{"chittyId":"{id}"}}"#);
        let error = mint(vec![json(&body)]).await.0.unwrap_err();
        assert!(matches!(error, Error::FormatMismatch { detected: None, .. }), "{error}");
        assert!(error.to_string().len() < 300, "{error}");
    }
}

#[tokio::test]
async fn an_accepted_id_with_wrong_check_digits_is_refused() {
    let server = Odd::new(vec![json(r#"{"chittyId":"03-1-USA-1234-P-2601-3-42"}"#)]).await;
    let client = Client::new(server.config().interop()).unwrap();
    let error = client.mint(EntityType::Person, Value::Null).await.unwrap_err();
    assert!(matches!(error, Error::Checksum(_)), "{error}");
}

#[tokio::test]
async fn what_is_no_json_is_said_to_be_that() {
    for body in ["", "OK", "{\"chittyId\":", "\u{0}\u{1}"] {
        let (result, requests) = mint(vec![json(body)]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{body:?}: {error}");
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn cloudflares_error_1000_is_said_by_its_name() {
    let html = "<!DOCTYPE html><html><head>\n<title>DNS points to prohibited IP | id.chitty.cc | \
                Cloudflare</title></head><body><h1>Error <b>1000</b></h1></body></html>";
    let page = reply("403 Forbidden", "server: cloudflare\r\ncontent-type: text/html\r\n", html);
    let plain = reply("409 Conflict", "content-type: text/plain\r\n", "error code: 1000");
    for answer in [page, plain] {
        let (result, requests) = mint(vec![answer]).await;
        let error = result.unwrap_err();
        assert!(
            error.to_string().ends_with("Cloudflare error 1000 DNS points to prohibited IP"),
            "{error}"
        );
        assert_eq!((error.who(), requests), (Who::Service, 1), "it would be the same again");
    }
}

#[tokio::test]
async fn a_page_in_place_of_an_answer_is_known_whatever_its_status_says() {
    let html = "<html><title>502 Bad Gateway</title></html>";
    for (status, requests_made) in [("200 OK", 1), ("404 Not Found", 1), ("502 Bad Gateway", 3)] {
        let (result, requests) = mint(vec![reply(status, "", html)]).await;
        let error = result.unwrap_err();
        let Error::Page(page) = &error else { panic!("{error}") };
        assert_eq!(page.title.as_deref(), Some("502 Bad Gateway"));
        assert_eq!(requests, requests_made, "{status}");
    }
}

#[tokio::test]
async fn pages_count_against_the_service() {
    for status in ["200 OK", "403 Forbidden", "404 Not Found"] {
        let server = Odd::new(vec![reply(status, "", "<html>Sign in</html>")]).await;
        let client = server.client();
        for _ in 0..5 {
            let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
            assert!(matches!(error, Error::Page(_)), "{error}");
        }
        let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
        assert!(matches!(error, Error::CircuitOpen { .. }), "{status}: {error}");
    }
}

#[tokio::test]
async fn what_strangers_bring_about_opens_no_breaker_for_others() {
    let page = "<html>Request Header Or Cookie Too Large</html>";
    let looped = r#"{"error":"LOOP_DETECTED","message":"too many gateways"}"#;
    for (status, body) in [("400 x", page), ("403 x", page), ("508 Loop Detected", looped)] {
        let server = Odd::new(vec![reply(status, "", body)]).await;
        let client = server.client();
        let passed = Credentials::Passed { key: None, via: "1.1 a".into() };
        let stranger = client.with_credentials(passed);
        for number in 1..=10 {
            let error = stranger.mint(EntityType::Fact, Value::Null).await.unwrap_err();
            assert!(matches!(error, Error::Page(_) | Error::Service(_)), "{status}: {error}");
            assert_eq!(server.requests(), number, "it would be the same again");
        }
        assert_eq!(client.circuit_breaker_status().failures, 0, "{status}");
    }
    let server = Odd::new(vec![reply("502 Bad Gateway", "", page)]).await;
    let client = server.client();
    let stranger = client.with_credentials(Credentials::Anonymous);
    for _ in 0..5 {
        let error = stranger.mint(EntityType::Fact, Value::Null).await.unwrap_err();
        assert!(matches!(error, Error::Page(_)), "{error}");
    }
    assert_eq!(client.circuit_breaker_status().state, "OPEN", "that is the service's own failure");
}

#[tokio::test]
async fn each_status_has_its_error_and_is_tried_again_or_not() {
    let body = r#"{"error":"A_CODE","message":"a sentence","timestamp":"now"}"#;
    type Is = fn(&Error) -> bool;
    let cases: [(&str, usize, Is); 15] = [
        ("400 Bad Request", 1, |error| matches!(error, Error::Refused(_))),
        ("401 x", 1, |error| matches!(error, Error::Unauthorized(_))),
        ("403 x", 1, |error| matches!(error, Error::Forbidden(_))),
        ("404 x", 1, |error| matches!(error, Error::NotFound(_))),
        ("408 x", 3, |error| matches!(error, Error::Service(_))),
        ("409 x", 1, |error| matches!(error, Error::Conflict(_))),
        ("413 x", 1, |error| matches!(error, Error::Refused(_))),
        ("418 x", 1, |error| matches!(error, Error::Refused(_))),
        ("425 x", 3, |error| matches!(error, Error::Service(_))),
        ("500 x", 3, |error| matches!(error, Error::Service(_))),
        ("501 x", 1, |error| matches!(error, Error::Service(_))),
        ("502 x", 3, |error| matches!(error, Error::Service(_))),
        ("503 x", 3, |error| matches!(error, Error::Service(_))),
        ("504 x", 3, |error| matches!(error, Error::Service(_))),
        ("530 x", 1, |error| matches!(error, Error::Service(_))),
    ];
    for (status, attempts, is_it) in cases {
        let (result, requests) = mint(vec![reply(status, "", body)]).await;
        let error = result.unwrap_err();
        assert!(is_it(&error), "{status}: {error:?}");
        assert_eq!(requests, attempts, "{status}");
        let text = error.to_string();
        assert!(text.contains("A_CODE: a sentence") && text.contains(&status[..3]), "{text}");
    }
}

#[tokio::test]
async fn reason_words_are_ours_where_the_service_has_none() {
    let unauthorized = mint(vec![reply("401 ", "", "")]).await.0.unwrap_err().to_string();
    assert!(unauthorized.contains("authentication failed"), "{unauthorized}");
    assert!(unauthorized.contains("HTTP 401 Unauthorized"), "{unauthorized}");
    let limited = reply("429 ", "retry-after: 3600\r\n", "");
    let limited = mint(vec![limited]).await.0.unwrap_err().to_string();
    assert!(limited.contains("rate limit: too many requests"), "{limited}");
    assert!(limited.contains("HTTP 429 Too Many Requests"), "{limited}");
}

#[tokio::test]
async fn a_wish_for_a_pause_is_followed_when_it_is_short_and_told_when_it_is_long() {
    let good = json(r#"{"chittyId":"CT-A-CHI-1234-I-24-A-0"}"#);
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let soon = reply(status, "retry-after-ms: 60\r\n", "{}");
        let server = Odd::new(vec![soon, good.clone()]).await;
        let begun = std::time::Instant::now();
        server.client().mint(EntityType::Fact, Value::Null).await.unwrap();
        assert!(begun.elapsed() >= 60 * MS && server.requests() == 2, "{status}");
        let late = reply(status, "retry-after: 3600\r\n", "{}");
        let (result, requests) = mint(vec![late, good.clone()]).await;
        let error = result.unwrap_err();
        assert_eq!((error.retry_after(), requests), (Some(Duration::from_secs(3600)), 1));
    }
}

#[tokio::test]
async fn what_the_service_says_cannot_break_a_line_of_a_log_and_never_holds_the_key() {
    let body = format!(
        "{{\"error\":\"{KEY}\",\"message\":\"you sent Bearer {KEY}\\r\\nforged: line {}\"}}",
        "x".repeat(5_000)
    );
    let page = format!("<title>you sent {KEY}</title>");
    let json = ["400 x", "401 x", "429 x", "500 x", "200 OK"].map(|status| (status, &body));
    for (status, body) in json.into_iter().chain([("403 x", &page)]) {
        let server = Odd::new(vec![reply(status, "retry-after: 3600\r\n", body)]).await;
        let error = server.client().mint(EntityType::Fact, Value::Null).await.unwrap_err();
        let text = format!("{error} {error:?} {:?}", error.source().map(ToString::to_string));
        assert!(!text.contains(KEY), "{status}: {text}");
        assert!(!error.to_string().contains(['\r', '\n']), "{error}");
        assert!(error.to_string().len() < 600, "{error}");
        assert!(server.heads()[0].contains(KEY), "though it was sent");
    }
}

#[tokio::test]
async fn the_key_is_never_shown() {
    let config =
        ClientConfig { api_key: Some(ApiKey::new(KEY).unwrap()), ..config("http://127.0.0.1:1") };
    let written = toml::to_string(&config).unwrap();
    let client = Client::new(config.clone()).unwrap();
    let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    let verdict = client.validate(CLIENT_V1).await;
    let health = serde_json::to_string(&client.get_service_health()).unwrap();
    for shown in [
        format!("{config:?}"),
        written,
        format!("{client:?} {:?}", client.config()),
        format!("{error:?} {error} {verdict:?}"),
        health,
    ] {
        assert!(!shown.contains(KEY) && !shown.contains("9f2b6c"), "{shown}");
    }
}

#[tokio::test]
async fn an_endless_answer_ends_at_its_limit() {
    let (result, requests) = mint(vec![Reply::Endless]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit: 1_048_576 }), "{error}");
    assert_eq!(requests, 1, "it would be as long again");
}

#[tokio::test]
async fn an_answer_shorter_than_it_says_is_asked_for_again() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"chittyId\":".to_vec();
    let (result, requests) = mint(vec![Reply::Bytes(cut.clone())]).await;
    let error = result.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { why: Unreachable::Broken, attempts: 3, .. }),
        "{error:?}"
    );
    assert_eq!(requests, 3);
    let good = json(r#"{"chittyId":"CT-A-CHI-1234-I-24-A-0"}"#);
    let (result, requests) = mint(vec![Reply::Bytes(cut), Reply::Reset, good]).await;
    assert_eq!((result.unwrap().as_str(), requests), (CLIENT_V1, 3));
}

#[tokio::test]
async fn what_is_no_http_at_all_is_an_error() {
    let (result, requests) = mint(vec![Reply::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!((1..=3).contains(&requests));
}

#[tokio::test]
async fn an_answer_that_comes_too_slowly_is_given_up_though_its_head_was_there() {
    for slow in [Reply::Drip(20 * MS), Reply::Hang] {
        let server = Odd::new(vec![slow]).await;
        let config = ClientConfig { timeout: 300 * MS, ..server.config() };
        let client = Client::new(config).unwrap();
        let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { attempts: 3, .. }), "{error:?}");
        assert!(server.requests() > 0);
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_whatever_its_attempts() {
    let server = Odd::new(vec![Reply::Hang]).await;
    let config = ClientConfig { deadline: 300 * MS, ..server.config() };
    let error = Client::new(config).unwrap().mint(EntityType::Fact, Value::Null).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { attempts: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn no_redirect_is_followed_with_the_key() {
    let thief = Odd::new(vec![json(r#"{"chittyId":"CT-A-CHI-1234-I-24-A-0"}"#)]).await;
    let to = format!("location: http://{}/v1/mint?token=hush\r\n", thief.address);
    for status in ["301 x", "302 x", "307 Temporary Redirect", "308 x"] {
        let server = Odd::new(vec![reply(status, &to, "")]).await;
        let client = server.client();
        let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
        let Error::Redirected { to: Some(to), .. } = &error else { panic!("{error}") };
        assert_eq!(**to, format!("http://{}", thief.address));
        let verdict = client.validate(CLIENT_V1).await;
        assert!(matches!(verdict, Verdict::Unverified { .. }), "{verdict:?}");
        assert_eq!(client.circuit_breaker_status().failures, 2, "it is no answer");
    }
    assert_eq!(thief.requests(), 0);
}

#[tokio::test]
async fn a_name_without_an_address_is_said_to_be_that() {
    // A resolver without a network may think for long.
    let (long, longer) = (Duration::from_secs(100), Duration::from_secs(400));
    let config = ClientConfig {
        connect_timeout: long,
        timeout: long,
        deadline: longer,
        ..config("http://id.chitty.invalid")
    };
    let client = Client::new(config).unwrap();
    let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { why: Unreachable::Name, attempts: 3, .. }),
        "{error:?}"
    );
    assert_eq!(error.who(), Who::Operator);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_said_to_be_that_and_not_tried_again() {
    let server = Odd::with_tls(vec![json(r#"{"chittyId":"CT-A-CHI-1234-I-24-A-0"}"#)]).await;
    let url = format!("https://localhost:{}", server.address.port());
    let client = Client::new(config(&url)).unwrap();
    let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { why: Unreachable::Tls, attempts: 1, .. }),
        "{error:?}"
    );
    assert_eq!((error.who(), server.requests()), (Who::Operator, 0), "and no key was sent");
}

#[tokio::test]
async fn a_connection_that_is_refused_is_said_to_be_that() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let client = Client::new(config(&format!("http://{address}"))).unwrap();
    let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { why: Unreachable::Refused, attempts: 3, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_limit_of_the_service_is_tried_again_after_its_pause() {
    let (result, requests) = mint(vec![reply("429 x", "retry-after-ms: 1\r\n", "{}")]).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::RateLimited { by: LimitedBy::Service, .. }), "{error}");
    assert_eq!(requests, 3);
}
