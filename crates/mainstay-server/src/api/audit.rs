//! Actions of operators: noted, and listed.

use std::sync::Arc;

use axum::Json;
use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{limit, moment};
use super::error::{ApiError, Code};
use super::fallback::SESSION;
use super::guard::{Who, require};
use super::history::read;
use super::time::unix;
use crate::accept::From as Source;
use crate::audit::{Action, Key, Wanted, list};
use crate::auth::Role;
use crate::session::unix_ms;
use crate::state::Shared;

/// Actions of a page, unless fewer are asked for.
const PAGE: usize = 100;
/// Actions of a page, at most.
const PAGE_MAX: usize = 1000;
/// Bytes of the name of what an action is done to; more of it is cut off.
const TARGET_MAX: usize = 128;

/// More about an action, said by whoever does it.
#[derive(Clone, Debug)]
pub(super) struct Noted(pub(super) String);

/// Notes what somebody does, or is not let do. What was begun is ended and noted, also when nobody
/// waits for the answer any more.
pub(super) async fn noted(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    // With the token of its session it is a client that leaves.
    let is_client = *request.method() == Method::DELETE && request.headers().contains_key(SESSION);
    let who = request.extensions().get::<Who>().cloned();
    let (false, false, Some(Who(who))) = (reads, is_client, who) else {
        return next.run(request).await;
    };
    let pattern = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let (action, target) =
        called(request.method(), pattern.as_deref().unwrap_or_default(), request.uri().path());
    let address = request.extensions().get::<Source>().map(|from| from.0.ip().to_canonical());
    let work = async move {
        let response = next.run(request).await;
        let found = Action {
            at: unix_ms(),
            who: who.name.to_string(),
            role: who.role,
            address,
            action,
            target,
            status: response.status().as_u16(),
            code: response.extensions().get::<Code>().map(|code| code.0.to_owned()),
            note: response.extensions().get::<Noted>().map(|noted| noted.0.clone()),
        };
        shared.audit.keep(shared.hub.writer(), found).await;
        response
    };
    tokio::spawn(work).await.unwrap_or_else(|_| ApiError::Overloaded.into_response())
}

/// What an action is called, and what it is done to: `POST /api/v1/links/web/pause` is
/// `links.pause` of `web`.
fn called(method: &Method, pattern: &str, path: &str) -> (String, Option<String>) {
    let (mut action, mut target) = (Vec::new(), None);
    for (place, found) in pattern.split('/').zip(path.split('/')) {
        match place {
            "" | "api" | "v1" => {}
            "{action}" => action.push(cut(found)),
            _ if place.starts_with('{') => target = Some(cut(found).to_owned()),
            _ => action.push(place),
        }
    }
    let lower = method.as_str().to_ascii_lowercase();
    if *method != Method::POST {
        action.push(&lower);
    }
    (action.join("."), target)
}

fn cut(text: &str) -> &str {
    text.get(..TARGET_MAX).unwrap_or(text)
}

/// Which part of the log.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    who: Option<String>,
    action: Option<String>,
    target: Option<String>,
    /// From then on: RFC 3339, or milliseconds since 1970.
    from: Option<String>,
    /// Until then, exclusively.
    to: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Something that somebody did, or was not let do.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ActionJson {
    at: String,
    who: String,
    #[schemars(with = "String")]
    role: Role,
    address: Option<String>,
    /// Such as `sessions.disconnect`.
    action: String,
    target: Option<String>,
    /// The status of the answer.
    status: u16,
    /// The code of the answer, where it was a problem.
    code: Option<String>,
    note: Option<String>,
}

impl From<Action> for ActionJson {
    fn from(action: Action) -> Self {
        let Action { at, who, role, address, action, target, status, code, note } = action;
        let address = address.map(|address| address.to_string());
        Self { at: unix(at), who, role, address, action, target, status, code, note }
    }
}

/// A part of the log, the latest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ActionsJson {
    actions: Vec<ActionJson>,
    /// The `cursor` of the next page; none at the end.
    next: Option<String>,
}

/// Who did what.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Who(who): Who,
    Query(asked): Query<Asked>,
) -> Result<Json<ActionsJson>, ApiError> {
    require(who.role.rules())?;
    let limit = limit(asked.limit, PAGE, PAGE_MAX)?;
    let wanted = Wanted {
        from: moment("from", asked.from.as_deref(), 0)?,
        to: moment("to", asked.to.as_deref(), u64::MAX)?,
        who: asked.who,
        action: asked.action,
        target: asked.target,
    };
    let after: Option<Key> = match asked.cursor.as_deref().map(str::parse) {
        None => None,
        Some(Ok(key)) => Some(key),
        Some(Err(())) => return Err(ApiError::BadRequest("`cursor` is none of ours".into())),
    };
    let part = read(&shared, move |store| list(store, &wanted, after, limit)).await?;
    Ok(Json(ActionsJson {
        actions: part.actions.into_iter().map(ActionJson::from).collect(),
        next: part.next.map(|key| key.to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_a_name_and_a_target() {
        let (post, put) = (Method::POST, Method::PUT);
        let cases = [
            (
                &post,
                "/api/v1/links/{name}/{action}",
                "/api/v1/links/web/pause",
                "links.pause",
                Some("web"),
            ),
            (
                &post,
                "/api/v1/sessions/{id}/disconnect",
                "/api/v1/sessions/7/disconnect",
                "sessions.disconnect",
                Some("7"),
            ),
            (&post, "/api/v1/disconnect", "/api/v1/disconnect", "disconnect", None),
            (
                &put,
                "/api/v1/sessions/{id}/watch",
                "/api/v1/sessions/7/watch",
                "sessions.watch.put",
                Some("7"),
            ),
            (
                &Method::DELETE,
                "/api/v1/sessions/{id}",
                "/api/v1/sessions/7",
                "sessions.delete",
                Some("7"),
            ),
        ];
        for (method, pattern, path, action, target) in cases {
            let found = called(method, pattern, path);
            assert_eq!((found.0.as_str(), found.1.as_deref()), (action, target), "{path}");
        }
        let long = format!("/api/v1/sessions/{}/watch", "x".repeat(500));
        let found = called(&put, "/api/v1/sessions/{id}/watch", &long);
        assert_eq!(found.1.map(|target| target.len()), Some(TARGET_MAX));
    }
}
