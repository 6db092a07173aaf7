//! Who a client is.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use mainstay_server::auth::KeyHash;
use mainstay_server::core::session::status::Status;
use mainstay_wire::{Auth, Frame, Hello, Secret};
use serde_json::json;

use super::id;
use super::raw::{RawClient, hello, hello_with, resuming};
use crate::running::{Running, config_in, run};
use mainstay_server::Server;
use mainstay_server::config::Environment;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn token(user: &str, organisation: &str, exp: u64) -> String {
    let part = |value: serde_json::Value| B64.encode(value.to_string());
    let head = part(json!({"alg": "HS256"}));
    let claims = part(json!({"sub": user, "org": organisation, "exp": exp}));
    let message = format!("{head}.{claims}");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = B64.encode(ring::hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

async fn serve() -> Running {
    let text = format!(
        "[auth.jwt]\nsecret_env = \"JWT_SECRET\"\nleeway = \"0s\"\n\
         [[auth.key]]\nname = \"till\"\nuser = \"till-7\"\norganisation = \"acme\"\nhash = \"{}\"\n\
         [sessions]\nsessions_per_user_max = 2\n",
        KeyHash::of("msk_till"),
    );
    let environment = Environment::from([("JWT_SECRET".into(), SECRET.into())]);
    run(Server::bind(&config_in(&text, &environment)).await.expect("it starts"))
}

#[tokio::test]
async fn user_and_organisation_come_from_the_credentials() {
    let running = serve().await;
    let (_client, welcome) = RawClient::welcomed(&running.address, hello_with("msk_till")).await;
    let record = running.handle.record(id(&welcome)).unwrap();
    assert_eq!((record.user.as_deref(), &*record.organisation), (Some("till-7"), "acme"));
    let anna = token("anna", "garden", now() + 3_600);
    let (_client, welcome) = RawClient::welcomed(&running.address, hello_with(&anna)).await;
    let record = running.handle.record(id(&welcome)).unwrap();
    assert_eq!((record.user.as_deref(), &*record.organisation), (Some("anna"), "garden"));
}

#[tokio::test]
async fn whoever_shows_nothing_that_holds_is_turned_away() {
    let running = serve().await;
    let refused = async |hello: Hello| RawClient::refused(&running.address, hello).await;
    for shown in ["", "msk_other", "a.b.c", &token("anna", "garden", now() - 1)] {
        let last = refused(hello_with(shown)).await;
        assert_eq!(last.code(), 4201, "{shown}");
        assert!(!last.bye.unwrap().reason.contains("msk_"));
    }
    assert_eq!(refused(hello()).await.code(), 4201);
    assert_eq!(running.handle.counts().total(), 0);
}

#[tokio::test]
async fn an_address_that_keeps_guessing_is_told_to_wait_and_good_credentials_are_not() {
    let running = serve().await;
    let mut codes = Vec::new();
    for guess in 0..40 {
        let last = RawClient::refused(&running.address, hello_with(&format!("msk_{guess}"))).await;
        codes.push(last.code());
        if last.code() == 4105 {
            assert!(last.bye.unwrap().retry.unwrap().after_ms > 0);
        }
    }
    assert_eq!((codes.first(), codes.last()), (Some(&4201), Some(&4105)));
    let _good = RawClient::welcomed(&running.address, hello_with("msk_till")).await;
}

#[tokio::test]
async fn a_session_goes_on_for_its_owner_alone() {
    let running = serve().await;
    let (first, welcome) = RawClient::welcomed(&running.address, hello_with("msk_till")).await;
    drop(first);
    let other = Hello {
        auth: Some(Secret::new(token("eve", "acme", now() + 60))),
        ..resuming(&welcome, 0)
    };
    assert_eq!(RawClient::refused(&running.address, other).await.code(), 4201);
    assert_eq!(RawClient::refused(&running.address, resuming(&welcome, 0)).await.code(), 4201);
    let own = Hello { auth: Some(Secret::new("msk_till")), ..resuming(&welcome, 0) };
    let (_client, again) = RawClient::welcomed(&running.address, own).await;
    assert!(again.resumed && again.session == welcome.session);
}

#[tokio::test]
async fn a_user_has_as_many_sessions_as_one_may_have() {
    let running = serve().await;
    let _first = RawClient::welcomed(&running.address, hello_with("msk_till")).await;
    let _second = RawClient::welcomed(&running.address, hello_with("msk_till")).await;
    let third = RawClient::refused(&running.address, hello_with("msk_till")).await;
    assert_eq!(third.code(), 4205);
    let other = token("anna", "acme", now() + 60);
    let _other = RawClient::welcomed(&running.address, hello_with(&other)).await;
}

#[tokio::test]
async fn credentials_that_expire_are_renewed_or_end_the_connection() {
    let running = serve().await;
    let soon = token("anna", "acme", now() + 3);
    let (mut renewing, one) = RawClient::welcomed(&running.address, hello_with(&soon)).await;
    let (mut other, two) = RawClient::welcomed(&running.address, hello_with(&soon)).await;
    for client in [&mut renewing, &mut other] {
        let Some(Frame::Auth(Auth::Expires { in_ms })) = client.hear_past_pings().await else {
            panic!("it is not told");
        };
        assert!(in_ms <= 3_000, "{in_ms}");
    }
    let later = Secret::new(token("anna", "acme", now() + 3_600));
    renewing.say(&Frame::Auth(Auth::Renewed(later))).await;
    assert_eq!(other.last().await.code(), 4201);
    assert_eq!(running.handle.record(id(&two)).unwrap().status, Status::Suspended);
    assert_eq!(running.handle.record(id(&one)).unwrap().status, Status::Connected);
    let foreign = Secret::new(token("eve", "acme", now() + 3_600));
    renewing.say(&Frame::Auth(Auth::Renewed(foreign))).await;
    assert_eq!(renewing.last().await.code(), 4201);
}
