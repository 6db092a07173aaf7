use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::run;
use crate::server::{Answer, Server};

fn fast<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["call", "--base", "1ms"][..], more].concat()
}

#[test]
fn a_good_answer_goes_to_standard_output() {
    let server = Server::ok();
    let ended = run(&fast(&[&server.url("/")]));
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "hello"));
    assert_eq!(ended.stderr, "attempt 1 of 3: ok\n");
    let ended = run(&fast(&["-i", "-q", &server.url("/")]));
    assert!(ended.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("\r\n\r\nhello") && ended.stderr.is_empty());
}

#[test]
fn what_will_be_the_same_again_is_not_tried_again() {
    let server = Server::new(|_| Answer::Status(404, "", "no such thing"));
    let ended = run(&fast(&[&server.url("/")]));
    assert_eq!((ended.code, ended.stdout.as_str()), (1, "no such thing"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_servers_wish_is_waited_for() {
    let server = Server::new(|number| match number {
        1 => Answer::Status(503, "Retry-After: 1\r\n", ""),
        _ => Answer::Status(200, "", "hello"),
    });
    let begun = Instant::now();
    let ended = run(&fast(&[&server.url("/")]));
    assert_eq!((ended.code, server.requests().len()), (0, 2));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert!(ended.stderr.contains("waiting 1."), "{}", ended.stderr);
}

#[test]
fn a_throttled_call_gives_up_when_its_deadline_comes_first() {
    let server = Server::new(|_| Answer::Status(429, "Retry-After: 9\r\n", "slow down"));
    let begun = Instant::now();
    let ended = run(&fast(&["--deadline", "2s", &server.url("/")]));
    assert_eq!((ended.code, ended.stdout.as_str()), (1, "slow down"));
    assert!(begun.elapsed() < Duration::from_secs(2), "it does not wait in vain");
    assert!(ended.stderr.contains("deadline"), "{}", ended.stderr);
}

#[test]
fn a_connection_that_breaks_is_tried_again() {
    let server = Server::new(|number| match number {
        1 | 2 => Answer::Reset,
        _ => Answer::Status(200, "", "hello"),
    });
    assert_eq!(run(&fast(&[&server.url("/")])).code, 0);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_attempt_that_hangs_is_given_up() {
    let server = Server::new(|number| match number {
        1 => Answer::Hang,
        _ => Answer::Status(200, "", "hello"),
    });
    let ended = run(&fast(&["--attempt-timeout", "200ms", &server.url("/")]));
    assert_eq!(ended.code, 0);
    assert!(ended.stderr.contains("attempt 1 of 3: no answer in time"), "{}", ended.stderr);
}

#[test]
fn a_post_that_may_have_been_sent_is_not_sent_again() {
    for answer in [Answer::Reset, Answer::Hang, Answer::Status(503, "", "")] {
        let server = Server::new(move |_| answer.clone());
        let url = server.url("/");
        let ended = run(&fast(&["-d", "order", "--attempt-timeout", "200ms", &url]));
        assert_eq!(ended.code, 1);
        let requests = server.requests();
        assert_eq!(requests.len(), 1);
        assert!(requests[0].starts_with("POST / ") && requests[0].ends_with("order"));
        assert!(ended.stderr.contains("--idempotency-key allows it"), "{}", ended.stderr);
    }
}

#[test]
fn a_post_that_was_certainly_not_sent_or_has_a_key_is_tried_again() {
    let ended = run(&fast(&["-d", "order", "http://127.0.0.1:1/"]));
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("attempt 3 of 3"), "{}", ended.stderr);
    let server = Server::new(|number| match number {
        1 => Answer::Reset,
        _ => Answer::Status(200, "", ""),
    });
    let url = server.url("/");
    let ended = run(&fast(&["-d", "order", "--idempotency-key", "7f3a", &url]));
    assert_eq!((ended.code, server.requests().len()), (0, 2));
    assert!(server.requests()[1].contains("idempotency-key: 7f3a"));
}

#[test]
fn the_report_has_every_attempt_and_no_secret() {
    let server = Server::new(|number| match number {
        1 => Answer::Status(500, "", ""),
        _ => Answer::Status(200, "", "hello"),
    });
    let url = server.url("/?token=hush").replace("http://", "http://me:hush@");
    let ended = run(&fast(&["--json", "-H", "Authorization: hush", &url]));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["attempts"], 2);
    assert_eq!((&report["verdict"], &report["status"]), (&"succeeded".into(), &200.into()));
    assert_eq!(report["failures"][0]["error"], "500 Internal Server Error");
    assert_eq!(report["url"], server.url("/"));
    assert!(!ended.stdout.contains("hush") && !ended.stderr.contains("hush"));
}

#[test]
fn statuses_to_try_again_and_limits_of_the_body_can_be_chosen() {
    let server = Server::new(|number| match number {
        1 => Answer::Status(404, "", ""),
        _ => Answer::Status(200, "", "hello"),
    });
    assert_eq!(run(&fast(&["--retry-status", "404", &server.url("/")])).code, 0);
    let ended = run(&fast(&["--max-body", "4", &server.url("/")]));
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains("longer than 4 bytes"), "{}", ended.stderr);
}

#[test]
fn a_preset_has_its_own_numbers() {
    let ended = run(&fast(&["--policy", "streamotter", "http://127.0.0.1:1/"]));
    // Three failures in a row open the preset's breaker, which ends the call.
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("attempt 3 of 6"), "{}", ended.stderr);
    assert!(ended.stderr.contains("breaker opened"), "{}", ended.stderr);
}
