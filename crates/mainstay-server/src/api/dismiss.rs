//! Many sessions are sent away at once.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use mainstay::core::session::quality::Quality;
use mainstay::core::session::status::{EndReason, Status};
use mainstay_registry::{Cursor, Query as Wanted, SessionId};
use mainstay_wire::Bye;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::audit::Noted;
use super::error::ApiError;
use super::guard::{Who, require};
use super::sessions::{Farewell, ends, named};
use super::time::millis;
use super::words::{QualityWord, StatusWord};
use crate::state::Shared;

/// The longest time over which goodbyes are spread.
const SPREAD_MAX_MS: u64 = 3_600_000;
/// As many are sent away at once where nobody says how to spread them.
const AT_ONCE: usize = 100;
/// Sessions that are looked up under the locks of one page.
const PAGE: usize = 1000;
/// Goodbyes are said in steps this long.
const STEP: Duration = Duration::from_millis(50);
/// Goodbyes of one step before others have their turn.
const PIECE: usize = 256;
/// Changes that may wait to be stored while more goodbyes are said.
const QUEUED: usize = 16_384;

/// Who is sent away, and how: exactly one of `session`, `user`, `organisation`, `filter` and `all`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Dismissal {
    session: Option<String>,
    user: Option<String>,
    organisation: Option<String>,
    filter: Option<Filter>,
    /// Every session there is.
    all: bool,
    /// The code of `bye`, 4000 to 4299: default 4202, which is for good. One below 4200 brings
    /// clients back, and leaves their sessions as they are.
    code: Option<u16>,
    /// The same for people.
    reason: Option<String>,
    /// When they may come back, in milliseconds.
    retry_after_ms: Option<u64>,
    /// What each draws on top of that.
    retry_jitter_ms: Option<u64>,
    /// Over how long the goodbyes are spread, in milliseconds. Default `sessions.retry.drain` for
    /// more than a hundred, and none for fewer.
    spread_ms: Option<u64>,
}

/// Sessions that fit every field that is given; one at least is.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filter {
    user: Option<String>,
    organisation: Option<String>,
    client_type: Option<String>,
    #[schemars(with = "Option<StatusWord>")]
    status: Option<Status>,
    #[schemars(with = "Option<QualityWord>")]
    quality: Option<Quality>,
}

/// How many are sent away.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Dismissed {
    /// Sessions that fitted when it was asked.
    matched: usize,
    /// Over how long they are sent away; none when they have been.
    spread_ms: u64,
}

/// Sends sessions away.
pub(super) async fn disconnect(
    State(shared): State<Arc<Shared>>,
    Who(who): Who,
    Json(dismissal): Json<Dismissal>,
) -> Result<(StatusCode, Extension<Noted>, Json<Dismissed>), ApiError> {
    require(who.role.rules())?;
    let wanted = wanted(&dismissal)?;
    let bye = Farewell {
        code: dismissal.code,
        reason: dismissal.reason.clone(),
        retry_after_ms: dismissal.retry_after_ms,
        retry_jitter_ms: dismissal.retry_jitter_ms,
    }
    .bye()?;
    if let Some(spread) = dismissal.spread_ms.filter(|spread| *spread > SPREAD_MAX_MS) {
        let text = format!("`spread_ms` is {spread}, allowed: 0 to {SPREAD_MAX_MS}");
        return Err(ApiError::BadRequest(text));
    }
    let sessions = matching(&shared, &wanted).await;
    let matched = sessions.len();
    let usual = if matched > AT_ONCE { shared.hub.spread() } else { Duration::ZERO };
    let spread = dismissal.spread_ms.map_or(usual, Duration::from_millis);
    let noted = format!("{matched} sessions, code {}: {}", bye.code, shown(&wanted));
    let noted = Extension(Noted(noted));
    let dismissed = Json(Dismissed { matched, spread_ms: millis(spread) });
    if spread.is_zero() {
        for piece in sessions.chunks(PIECE) {
            send_away(&shared, piece, &bye).await;
        }
        return Ok((StatusCode::OK, noted, dismissed));
    }
    let mut stopping = shared.stopping.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            // Then everybody is sent away.
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = spread_out(&shared, &sessions, &bye, spread) => {}
        }
    });
    Ok((StatusCode::ACCEPTED, noted, dismissed))
}

/// Which sessions are meant.
fn wanted(dismissal: &Dismissal) -> Result<Wanted, ApiError> {
    let Dismissal { session, user, organisation, filter, all, .. } = dismissal;
    let given = [session.is_some(), user.is_some(), organisation.is_some(), filter.is_some(), *all];
    if given.iter().filter(|given| **given).count() != 1 {
        let text = "say exactly one of `session`, `user`, `organisation`, `filter` and `all`";
        return Err(ApiError::BadRequest(text.into()));
    }
    if filter.as_ref().is_some_and(|filter| *filter == Filter::default()) {
        let text = "`filter` has no field; to send everybody away say `all`";
        return Err(ApiError::BadRequest(text.into()));
    }
    let boxed = |text: &Option<String>| text.as_deref().map(Into::into);
    if let Some(filter) = filter {
        return Ok(Wanted {
            user: boxed(&filter.user),
            organisation: boxed(&filter.organisation),
            client_type: boxed(&filter.client_type),
            status: filter.status,
            quality: filter.quality,
            session: None,
        });
    }
    Ok(Wanted {
        user: boxed(user),
        organisation: boxed(organisation),
        session: session.as_deref().map(named).transpose()?,
        ..Wanted::default()
    })
}

/// What was asked for, for the audit log.
fn shown(wanted: &Wanted) -> String {
    let Wanted { user, organisation, client_type, status, quality, session } = wanted;
    let mut parts = Vec::new();
    let texts = [("user", user), ("organisation", organisation), ("client_type", client_type)];
    for (name, text) in texts {
        parts.extend(text.as_ref().map(|text| format!("{name}={text}")));
    }
    parts.extend(status.map(|status| format!("status={status:?}")));
    parts.extend(quality.map(|quality| format!("quality={quality:?}")));
    parts.extend(session.map(|session| format!("session={session}")));
    if parts.is_empty() { "all".into() } else { parts.join(", ") }
}

/// The sessions that fit and are not over.
async fn matching(shared: &Shared, wanted: &Wanted) -> Vec<SessionId> {
    let (mut found, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(from) = cursor {
        let page = shared.hub.find(wanted, from, PAGE);
        let live = page.records.iter().filter(|record| record.ended.is_none());
        found.extend(live.map(|record| record.session));
        cursor = page.next;
        tokio::task::yield_now().await;
    }
    found
}

/// Says the goodbyes one step after the other, as many in each.
async fn spread_out(shared: &Shared, sessions: &[SessionId], bye: &Bye, spread: Duration) {
    let steps = usize::try_from(spread.as_millis() / STEP.as_millis()).unwrap_or(1).max(1);
    let sizes = sizes(sessions.len(), steps);
    let mut left = sessions;
    for (step, size) in sizes.enumerate() {
        if step > 0 {
            sleep(STEP).await;
        }
        let (now, later) = left.split_at(size);
        left = later;
        for piece in now.chunks(PIECE) {
            send_away(shared, piece, bye).await;
        }
    }
}

/// How many of `count` go in each of `steps`: they differ by one at most.
fn sizes(count: usize, steps: usize) -> impl Iterator<Item = usize> {
    (0..steps).map(move |step| count * (step + 1) / steps - count * step / steps)
}

/// Sends some away, once what was done before is stored, or nearly so.
async fn send_away(shared: &Shared, sessions: &[SessionId], bye: &Bye) {
    let mut waits = 0;
    // A store that takes nothing any more must not keep anybody here.
    while waits < 100 && shared.hub.writer_stats().queued_changes > QUEUED {
        sleep(STEP).await;
        waits += 1;
    }
    for session in sessions {
        if ends(bye) {
            shared.hub.end_now(*session, EndReason::Kicked, bye.clone());
        } else {
            shared.hub.dismiss(*session, bye.clone());
        }
    }
    tokio::task::yield_now().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goodbyes_are_spread_evenly() {
        for (count, steps) in [(0, 3), (1, 3), (10, 3), (3, 10), (100_000, 7)] {
            let all: Vec<_> = sizes(count, steps).collect();
            assert_eq!((all.len(), all.iter().sum::<usize>()), (steps, count));
            let (most, least) = (all.iter().max().unwrap(), all.iter().min().unwrap());
            assert!(most - least <= 1, "{all:?}");
        }
    }

    #[test]
    fn it_is_said_who_is_meant_and_in_one_way() {
        let read = |text| wanted(&serde_json::from_str(text).unwrap()).is_ok();
        for fine in [
            r#"{"user":"kim"}"#,
            r#"{"organisation":"acme","code":4101}"#,
            r#"{"filter":{"client_type":"WEB_APP","quality":"POOR"}}"#,
            r#"{"all":true}"#,
        ] {
            assert!(read(fine), "{fine}");
        }
        for wrong in [
            "{}",
            r#"{"filter":{}}"#,
            r#"{"all":false}"#,
            r#"{"user":"kim","all":true}"#,
            r#"{"session":"x"}"#,
        ] {
            assert!(!read(wrong), "{wrong}");
        }
        assert_eq!(shown(&Wanted::default()), "all");
    }
}
