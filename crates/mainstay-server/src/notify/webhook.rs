use reqwest::{Client, RequestBuilder};

use super::letter::Letter;
use crate::config::Secret;
use crate::session::unix_ms;
use crate::webhook::SigningSecret;

/// A request signed as Standard Webhooks says.
pub(super) fn request(
    http: &Client,
    url: &Secret,
    secret: &SigningSecret,
    letter: &Letter,
) -> RequestBuilder {
    let body = letter.json().to_string();
    let timestamp = unix_ms() / 1000;
    http.post(url.expose())
        .header("content-type", "application/json")
        .header("webhook-id", &letter.id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", secret.sign(&letter.id, timestamp, &body))
        .header("idempotency-key", &letter.id)
        .body(body)
}
