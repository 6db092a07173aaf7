use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chittyid::{ChecksumStatus, ChittyId, EntityType};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::Anyone;
use super::error::{Problem, at, timestamp};
use crate::{Authority, Caller, Verdict};

#[derive(Debug, Deserialize)]
pub(super) struct ValidateBody {
    #[serde(alias = "chittyId", alias = "chitty_id")]
    id: String,
}

pub(super) async fn named(
    State(authority): State<Arc<Authority>>,
    Anyone { caller, .. }: Anyone,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let id = named_id(id)?;
    validate(authority, id, caller).await
}

pub(super) async fn posted(
    State(authority): State<Arc<Authority>>,
    Anyone { caller, .. }: Anyone,
    body: Result<Json<ValidateBody>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(ValidateBody { id }) = body.map_err(|error| Problem::body(&error))?;
    validate(authority, id, caller).await
}

/// 200 whatever comes of it: that an id is not valid is an answer.
async fn validate(
    authority: Arc<Authority>,
    id: String,
    caller: Caller,
) -> Result<Json<Value>, Problem> {
    let verdict = verdict(&authority, &id).await?;
    let (mut answer, outcome) = match &verdict {
        Verdict::Issued(minted) => (
            json!({
                "valid": true,
                "entity": minted.entity,
                "issuedAt": at(minted.minted_at),
            }),
            "valid",
        ),
        Verdict::NotIssued(_) => {
            (json!({ "valid": false, "error": "this authority has not issued it" }), "unknown")
        }
        Verdict::Mismatch(found) => (mismatch(found), "invalid"),
        Verdict::Malformed(error) => {
            (json!({ "valid": false, "error": error.to_string() }), "invalid")
        }
    };
    metrics::counter!("chittyid_validated_total", "outcome" => outcome).increment(1);
    authority.note("validate", &id, outcome, &caller);
    if let Some(id) = parsed(&verdict) {
        answer["profile"] = json!(id.profile());
        answer["checksum"] = json!(checksum(id.checksum()));
    }
    // What is no id is not repeated at length.
    answer["chittyId"] = json!(id.chars().take(chittyid::MAX_LEN).collect::<String>());
    answer["timestamp"] = json!(timestamp());
    Ok(Json(answer))
}

pub(super) async fn info(
    State(authority): State<Arc<Authority>>,
    Anyone { caller, is_known }: Anyone,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let id = named_id(id)?;
    let minted = match verdict(&authority, &id).await? {
        Verdict::Issued(minted) => minted,
        Verdict::NotIssued(_) => {
            authority.note("info", &id, "unknown", &caller);
            let message = "this authority has not issued it".to_owned();
            return Err(Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", message));
        }
        Verdict::Mismatch(found) => {
            authority.note("info", &id, "invalid", &caller);
            let message = mismatch(&found)["error"].as_str().unwrap_or_default().to_owned();
            return Err(Problem::new(StatusCode::BAD_REQUEST, "INVALID_ID", message));
        }
        Verdict::Malformed(error) => {
            authority.note("info", &id, "invalid", &caller);
            return Err(Problem::new(StatusCode::BAD_REQUEST, "INVALID_ID", error.to_string()));
        }
    };
    authority.note("info", &id, "valid", &caller);
    let mut answer = json!({
        "chittyId": minted.id,
        "entity": minted.entity,
        "description": minted.entity.description(),
        "issuedAt": at(minted.minted_at),
        "profile": minted.id.profile(),
        "checksum": checksum(minted.id.checksum()),
        "components": components(&minted.id, minted.entity),
        "timestamp": timestamp(),
    });
    // What was said about it is for those who show credentials.
    if is_known {
        answer["name"] = json!(minted.name);
        answer["metadata"] = json!(minted.metadata);
    }
    Ok(Json(answer))
}

fn named_id(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(id)| id).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", error.body_text())
    })
}

fn components(id: &ChittyId, entity: EntityType) -> Value {
    json!({
        "version": id.version(),
        "generation": id.generation(),
        "location": id.location(),
        "sequence": id.sequence(),
        "type": id.entity_letter(),
        "entity": entity,
        "yearMonth": id.year_month(),
        "category": id.category(),
        "extension": id.extension(),
    })
}

fn mismatch(id: &ChittyId) -> Value {
    let error = match id.checksum() {
        ChecksumStatus::Mismatch { expected, found } => {
            format!("its check digits are {found:02}, and must be {expected:02}")
        }
        ChecksumStatus::Valid | ChecksumStatus::NotDefined | ChecksumStatus::NeedsContext => {
            "its check digits are wrong".to_owned()
        }
    };
    json!({ "valid": false, "error": error })
}

const fn checksum(status: ChecksumStatus) -> &'static str {
    match status {
        ChecksumStatus::Valid => "valid",
        ChecksumStatus::Mismatch { .. } => "mismatch",
        ChecksumStatus::NotDefined => "not_defined",
        ChecksumStatus::NeedsContext => "needs_context",
    }
}

fn parsed(verdict: &Verdict) -> Option<&ChittyId> {
    match verdict {
        Verdict::Issued(minted) => Some(&minted.id),
        Verdict::NotIssued(id) | Verdict::Mismatch(id) => Some(id),
        Verdict::Malformed(_) => None,
    }
}

async fn verdict(authority: &Arc<Authority>, id: &str) -> Result<Verdict, Problem> {
    let (authority, id) = (authority.clone(), id.to_owned());
    let done = spawn_blocking(move || authority.verdict(&id)).await;
    done.map_err(|_| Problem::stopping())?.map_err(Problem::from)
}
