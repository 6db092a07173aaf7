//! The HTTP API.

mod alerts;
mod asked;
mod attend;
mod audit;
mod dismiss;
pub(crate) mod error;
mod events;
mod fallback;
mod follow;
mod gates;
pub(crate) mod guard;
mod health;
pub(crate) mod history;
mod links;
mod live;
mod messages;
mod monitor;
mod notifications;
mod objectives;
mod operations;
mod push;
mod routes;
mod sessions;
mod settings;
pub(crate) mod time;
mod traced;
mod watched;
mod webhooks;
mod words;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler as _;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use serde_json::{Map, Value};

use crate::dashboard::{self, Page};
use crate::metrics;
use crate::product;
use crate::state::Shared;
pub(crate) use alerts::rows as alert_rows;
use error::ApiError;
pub(crate) use gates::rows as gate_rows;
pub(crate) use links::rows as link_rows;
pub(crate) use monitor::rows as summary_rows;
use routes::Who::{Admins, Anybody, Clients, Operators};
use routes::{Routes, about};
pub(crate) use sessions::rows as session_rows;
pub(crate) use time::now as now_text;

/// A message of the largest frame fits; more than this is not read.
const BODY_MAX: usize = 2 << 20;

const STREAM: &str = "text/event-stream";
const JSON: &str = "application/json";

/// Everything the server answers, with what is built on top.
pub(crate) fn router(shared: Arc<Shared>, product: Option<Router>) -> Router {
    let guarded = from_fn_with_state(shared.clone(), guard::allowed);
    let on_top = shared.clone();
    let product = product.map(|routes| product::guarded(routes, &shared));
    let (router, lines) = build(shared);
    let router = router.merge(product.unwrap_or_default());
    let nothing = format!("there is: {lines}");
    let wrong = nothing.clone();
    let nothing = move || async move { ApiError::NotFound(nothing) };
    let wrong = move || async move { ApiError::MethodNotAllowed(wrong) };
    let nothing = nothing.layer(guarded.clone());
    let pages = move |request: Request| {
        let (nothing, shared) = (nothing.clone(), on_top.clone());
        async move {
            match dashboard::page(&shared, &request) {
                Page::File(file) => file,
                Page::Status => dashboard::status(&shared).await,
                Page::None => nothing.call(request, ()).await,
            }
        }
    };
    let router = router.fallback(pages).method_not_allowed_fallback(wrong.layer(guarded));
    router.layer(from_fn(traced::traced))
}

/// The same for an application that answers everything else.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    build(shared).0.layer(from_fn(traced::traced))
}

/// All routes, and a line for each.
fn build(shared: Arc<Shared>) -> (Router, String) {
    let at_rate = from_fn_with_state(shared.clone(), guard::at_rate);
    let noted = from_fn_with_state(shared.clone(), audit::noted);
    let in_time = from_fn_with_state(shared.clone(), guard::in_time);
    let told = OnceLock::new();
    let told: Arc<OnceLock<Told>> = Arc::new(told);
    let operators = held().merge(watched::routes()).merge(notices());
    let operators = operators.merge(looking()).merge(acting());
    let operators = operators.within(|router| {
        router
            .route_layer(from_fn(guard::operators))
            .route_layer(noted.clone())
            .route_layer(at_rate.clone())
    });
    let health = about(Anybody, "Whether all is well");
    let health = health.answers::<health::Health>(200).answers::<health::Health>(503);
    let jobs = pushing().within(|router| router.route_layer(at_rate.clone()));
    let leave = about(Clients, "Ends a session").answers_other(204, "");
    let leave = Routes::new().delete("/api/v1/sessions/{id}", fallback::leave, leave);
    let document = {
        let told = told.clone();
        move || async move {
            (
                [(CONTENT_TYPE, JSON)],
                told.get().map(|told| told.document.clone()).unwrap_or_default(),
            )
        }
    };
    let described = about(Clients, "This description").answers_other(200, JSON);
    let quick = operators
        .merge(leave.within(|router| router.route_layer(noted)))
        .merge(clients())
        .merge(jobs)
        .get("/api/v1/openapi.json", document, described)
        .get("/health", health::show, health)
        .within(|router| router.layer(in_time));
    let streams = streams()
        .within(|router| router.route_layer(from_fn(guard::operators)).route_layer(at_rate));
    let (router, document, lines) = quick.merge(waiting()).merge(streams).finish();
    // It was empty until now.
    let _first: Result<(), Told> = told.set(Told { document: document.to_string() });
    let router = router
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(shared.clone(), guard::allowed))
        .with_state(shared);
    (router, lines)
}

/// What the server says of itself.
#[derive(Debug)]
struct Told {
    document: String,
}

/// Links, gates and operations, and what is measured.
fn held() -> Routes {
    let answers = |summary| about(Operators, summary).answers::<Value>(200);
    Routes::new()
        .get("/metrics", page, about(Operators, "Metrics").answers_other(200, "text/plain"))
        .get("/api/v1/links", links::list, answers("Every link"))
        .get(
            "/api/v1/links/{name}",
            links::show,
            about(Operators, "One link").answers::<links::LinkJson>(200),
        )
        .get(
            "/api/v1/links/{name}/policy",
            links::policy,
            about(Operators, "What a link goes by").answers::<links::PolicyJson>(200),
        )
        .post("/api/v1/links/{name}/{action}", links::act, answers("Does something with a link"))
        .get(
            "/api/v1/operations",
            operations::list,
            about(Operators, "Retried operations").answers::<operations::OperationsJson>(200),
        )
        .get("/api/v1/gates", gates::list, answers("Every gate"))
        .get(
            "/api/v1/gates/{name}",
            gates::show,
            about(Operators, "One gate").answers::<gates::GateJson>(200),
        )
        .post("/api/v1/gates/{name}/{action}", gates::act, answers("Does something with a gate"))
        .get(
            "/api/v1/settings",
            settings::show,
            about(Operators, "What the configuration says").answers::<settings::SettingsJson>(200),
        )
        .get("/api/v1/webhooks", webhooks::list, answers("Every webhook"))
        .get(
            "/api/v1/webhooks/{name}/dead_letters",
            webhooks::dead,
            about(Admins, "What a webhook could not be told").answers::<Value>(200),
        )
        .post(
            "/api/v1/webhooks/{name}/retry",
            webhooks::again,
            about(Admins, "Tells a webhook again what it could not be told").answers::<Value>(200),
        )
}

/// What jobs do that report in: each shows a token of its own.
fn pushing() -> Routes {
    let report = || {
        let summary = "A job reports in, under the token of its own";
        about(Anybody, summary).asks::<push::Report>().answers_other(200, "text/plain")
    };
    Routes::new()
        .get("/api/v1/push/{name}/{token}", push::by_path, report())
        .post("/api/v1/push/{name}/{token}", push::by_path, report().takes::<push::Report>())
        .post("/api/v1/push/{name}", push::by_header, report().takes::<push::Report>())
}

/// Who is told of alerts.
fn notices() -> Routes {
    let see = |summary| about(Operators, summary);
    Routes::new()
        .get(
            "/api/v1/notifications",
            notifications::list,
            see("Every receiver of notices").answers::<notifications::ReceiversJson>(200),
        )
        .post(
            "/api/v1/notifications/{receiver}/test",
            notifications::test,
            see("Tells a receiver that this is a test").answers::<notifications::TestJson>(200),
        )
        .get(
            "/api/v1/notifications/dead-letters",
            notifications::dead,
            see("What could not be told")
                .asks::<notifications::Of>()
                .answers::<notifications::DeadLettersJson>(200),
        )
        .post(
            "/api/v1/notifications/dead-letters/{id}/retry",
            notifications::again,
            see("Tells it again").answers_other(202, ""),
        )
        .delete(
            "/api/v1/notifications/dead-letters/{id}",
            notifications::forget,
            see("Forgets it").answers_other(204, ""),
        )
}

/// What operators see of sessions.
fn looking() -> Routes {
    let see = |summary| about(Operators, summary);
    Routes::new()
        .get(
            "/api/v1/sessions",
            sessions::list,
            see("The sessions that fit")
                .asks::<sessions::Listing>()
                .answers::<sessions::PageJson>(200),
        )
        .get(
            "/api/v1/sessions/counts",
            sessions::counts,
            see("How many there are").answers::<sessions::CountsJson>(200),
        )
        .get(
            "/api/v1/sessions/{id}",
            sessions::show,
            see("One session").answers::<sessions::OneSessionJson>(200),
        )
        .get(
            "/api/v1/sessions/{id}/events",
            history::of_one,
            see("What happened to a session")
                .asks::<history::OfOne>()
                .answers::<history::OfOneJson>(200),
        )
        .get(
            "/api/v1/sessions/{id}/bars",
            attend::bars,
            see("The minutes of a session that is watched").answers::<attend::BarsJson>(200),
        )
        .get(
            "/api/v1/history",
            history::of_all,
            see("What happened to all sessions")
                .asks::<history::OfAll>()
                .answers::<history::OfAllJson>(200),
        )
        .get(
            "/api/v1/audit",
            audit::show,
            about(Admins, "Who did what").asks::<audit::Asked>().answers::<audit::ActionsJson>(200),
        )
}

/// What operators do to sessions.
fn acting() -> Routes {
    let act = |summary| about(Operators, summary);
    let changed = |summary| act(summary).answers::<sessions::SessionJson>(200);
    Routes::new()
        .post(
            "/api/v1/sessions/{id}/disconnect",
            sessions::disconnect,
            changed("Sends a session away").takes::<sessions::Farewell>(),
        )
        .post(
            "/api/v1/sessions/{id}/suspend",
            sessions::suspend,
            changed("Takes a session's connection").takes::<sessions::Rest>(),
        )
        .post(
            "/api/v1/sessions/{id}/messages",
            sessions::send,
            act("Sends a message").takes::<sessions::Sending>().answers::<sessions::Sent>(202),
        )
        .post(
            "/api/v1/sessions/{id}/reconnect",
            attend::reconnect,
            act("Expects a session back")
                .takes::<attend::Expectation>()
                .answers::<attend::ExpectedJson>(200),
        )
        .put(
            "/api/v1/sessions/{id}/metadata",
            attend::describe,
            changed("What a session says about itself").takes::<Map<String, Value>>(),
        )
        .put(
            "/api/v1/sessions/{id}/watch",
            attend::watch,
            act("Keeps the minutes of a session").answers_other(204, ""),
        )
        .delete(
            "/api/v1/sessions/{id}/watch",
            attend::unwatch,
            act("Keeps them no longer").answers_other(204, ""),
        )
        .post(
            "/api/v1/disconnect",
            dismiss::disconnect,
            about(Admins, "Sends many sessions away")
                .takes::<dismiss::Dismissal>()
                .answers::<dismiss::Dismissed>(200)
                .answers::<dismiss::Dismissed>(202),
        )
}

/// What clients do that hold their sessions over HTTP. Whose session it is, each asks by itself.
fn clients() -> Routes {
    let client = |summary| about(Clients, summary);
    Routes::new()
        .post(
            "/api/v1/sessions",
            fallback::register,
            client("A `hello`; the answer is a `welcome`")
                .takes::<Map<String, Value>>()
                .answers::<Value>(201)
                .answers::<Value>(200),
        )
        .post(
            "/api/v1/sessions/{id}/resume",
            fallback::register,
            client("A `hello` that goes on; the answer is a `welcome`")
                .takes::<Map<String, Value>>()
                .answers::<Value>(200)
                .answers::<Value>(201),
        )
        .post(
            "/api/v1/sessions/{id}/heartbeat",
            fallback::heartbeat,
            client("A client is there")
                .takes::<fallback::Beating>()
                .answers::<fallback::BeatJson>(200),
        )
        .post(
            "/api/v1/sessions/{id}/frames",
            fallback::say,
            client("What a client says").takes::<fallback::Saying>().answers::<Value>(200),
        )
        .post(
            "/api/v1/heartbeats",
            fallback::heartbeats,
            client("A gateway beats for many").takes::<fallback::Batch>().answers::<Value>(200),
        )
}

/// What waits, and takes no place of requests that do not.
fn waiting() -> Routes {
    Routes::new()
        .get(
            "/api/v1/sessions/{id}/poll",
            fallback::poll,
            about(Clients, "Waits for what the server says")
                .asks::<fallback::Polling>()
                .answers::<Value>(200),
        )
        .get(
            "/v1/connect",
            crate::session::connect,
            about(Anybody, "The WebSocket of a session; credentials are in `hello`")
                .answers_other(101, ""),
        )
}

/// What goes on as long as somebody listens.
fn streams() -> Routes {
    let stream = |summary| about(Operators, summary).answers_other(200, STREAM);
    Routes::new()
        .get("/api/v1/events", events::stream, stream("Events of links and gates"))
        .get(
            "/api/v1/monitor/live",
            live::stream,
            stream("How everything is, and what changes").asks::<live::Resuming>(),
        )
        .get(
            "/api/v1/monitor/live/ws",
            live::socket,
            about(Operators, "The same as a WebSocket")
                .asks::<live::Resuming>()
                .answers_other(101, ""),
        )
        .get("/api/v1/messages", messages::stream, stream("What clients say"))
        .get(
            "/api/v1/sessions/events",
            follow::stream,
            stream("Events of sessions").asks::<follow::Following>(),
        )
}

async fn page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> impl IntoResponse {
    // Proxies add lines instead of words.
    let accept: Vec<&str> =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = metrics::Format::accepted(Some(&accept.join(",")));
    ([(CONTENT_TYPE, format.content_type()), (VARY, "Accept")], metrics::page(format, &shared))
}
