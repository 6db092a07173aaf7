use mainstay::core::config::duration;
use serde::Serialize;
use serde_json::Value;

use super::place::Document;
use super::{Config, Origin};

/// A setting as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// Its path, such as `sessions.limits.rate`.
    pub name: String,
    /// What it says; a secret is only said to be set.
    pub value: String,
    /// Where it was taken from: `default`, a file with its line, a variable, a flag.
    pub source: String,
}

impl Config {
    /// What it says, without secrets, with where each value was taken from: the settings of the
    /// server and the log, who is let in, and the limits of the API, the sessions and the store.
    #[must_use]
    pub fn report(&self) -> Vec<Reported> {
        let mut all: Vec<Reported> = self
            .settings
            .iter()
            .map(|setting| Reported {
                name: setting.name.into(),
                value: setting.value.clone(),
                source: setting.origin.to_string(),
            })
            .collect();
        // It was read before.
        let document = Document::parse(self.text.expose(), self.file.as_deref()).ok();
        let source = |section: &str, field: &str| {
            let said = document.as_ref().and_then(|document| document.origin(section, field));
            said.unwrap_or(Origin::Default).to_string()
        };
        let mut add = |section: &str, field: &str, value: String| {
            let source = source(section, field);
            all.push(Reported { name: format!("{section}.{field}"), value, source });
        };
        let (server, sessions) = (&self.server, &self.sessions);
        add("server", "tls_cert_file", said(server.tls.is_some()).into());
        add("server", "allowed_origins", server.allowed_origins.join(", "));
        add("server", "status_page", server.status_page.to_string());
        add("auth", "key", format!("{} keys", self.auth.keys.len()));
        add("auth", "jwt", said(self.auth.build().jwt.is_some()).into());
        add("auth", "anonymous_clients", self.auth.anonymous_clients.to_string());
        for (section, fields) in [
            ("api", fields(&self.api)),
            ("sessions.limits", fields(&sessions.limits)),
            ("sessions.retry", fields(&sessions.retry)),
        ] {
            for (field, value) in fields {
                add(section, &field, value);
            }
        }
        add("store", "engine", text(&serde_json::to_value(self.store.engine).unwrap_or_default()));
        let otlp = self.otlp.as_ref();
        add("otlp", "endpoint", otlp.map_or("none", |otlp| &otlp.endpoint).into());
        if let Some(otlp) = otlp {
            add("otlp", "headers_env", format!("{} headers", otlp.headers.len()));
            add("otlp", "traces", otlp.traces.to_string());
            add("otlp", "metrics", otlp.metrics.to_string());
            add("otlp", "interval", duration::text(otlp.interval));
            add("otlp", "sample", otlp.sample.to_string());
        }
        all
    }
}

const fn said(is_set: bool) -> &'static str {
    if is_set { "set" } else { "none" }
}

/// The fields of a section as text.
fn fields(section: &impl Serialize) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(section) else { return Vec::new() };
    fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
