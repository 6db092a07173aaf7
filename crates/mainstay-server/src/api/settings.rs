//! What the configuration in force says.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::time;
use crate::state::Shared;

/// What the configuration says, without secrets.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SettingsJson {
    /// When it was put in force.
    applied_at: String,
    settings: Vec<SettingJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SettingJson {
    name: String,
    value: String,
    /// `default`, a file with its line, a variable or a flag.
    source: String,
}

/// Every setting with where it was taken from.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Json<SettingsJson> {
    let settings = shared.settings.load();
    let settings = settings.iter().map(|one| SettingJson {
        name: one.name.clone(),
        value: one.value.clone(),
        source: one.source.clone(),
    });
    Json(SettingsJson { settings: settings.collect(), applied_at: time::text(shared.applied_at()) })
}
