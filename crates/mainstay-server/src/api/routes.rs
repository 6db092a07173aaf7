//! Routes, each with what there is to say about it: so the description of the API has all of them,
//! and no other.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::state::Shared;

/// Routes that are answered, with their description.
pub(super) struct Routes {
    router: Router<Arc<Shared>>,
    described: Vec<Described>,
}

/// A route with what there is to say about it.
#[derive(Debug)]
struct Described {
    method: &'static str,
    path: &'static str,
    about: About,
}

type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What there is to say about a route.
#[derive(Debug)]
pub(super) struct About {
    summary: &'static str,
    who: Who,
    query: Option<Shape>,
    body: Option<Shape>,
    answers: Vec<(u16, &'static str, Option<Shape>)>,
}

/// For whom a route is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who {
    /// Nobody must show anything.
    Anybody,
    /// Clients and gateways.
    Clients,
    /// Operators and admins.
    Operators,
    /// Admins alone.
    Admins,
}

impl Who {
    const fn text(self) -> &'static str {
        match self {
            Self::Anybody => "Nobody must show credentials.",
            Self::Clients => "For every role; sessions are shown by the header `Mainstay-Session`.",
            Self::Operators => "For the roles `operator` and `admin`.",
            Self::Admins => "For the role `admin`.",
        }
    }
}

/// Something about a route that answers with 200 and JSON, or with what is said further on.
pub(super) const fn about(who: Who, summary: &'static str) -> About {
    About { summary, who, query: None, body: None, answers: Vec::new() }
}

impl About {
    /// Its query.
    pub(super) fn asks<T: JsonSchema>(mut self) -> Self {
        self.query = Some(T::json_schema);
        self
    }

    /// Its body.
    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// What it answers when all is well, as JSON.
    pub(super) fn answers<T: JsonSchema>(mut self, status: u16) -> Self {
        self.answers.push((status, JSON, Some(SchemaGenerator::subschema_for::<T>)));
        self
    }

    /// The same of another kind, or empty.
    pub(super) fn answers_other(mut self, status: u16, kind: &'static str) -> Self {
        self.answers.push((status, kind, None));
        self
    }
}

const JSON: &str = "application/json";

impl Routes {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), described: Vec::new() }
    }

    pub(super) fn get<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        about: About,
    ) -> Self {
        self.on("get", MethodFilter::GET, path, handler, about)
    }

    pub(super) fn post<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        about: About,
    ) -> Self {
        self.on("post", MethodFilter::POST, path, handler, about)
    }

    pub(super) fn put<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        about: About,
    ) -> Self {
        self.on("put", MethodFilter::PUT, path, handler, about)
    }

    pub(super) fn delete<H: Handler<T, Arc<Shared>>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        about: About,
    ) -> Self {
        self.on("delete", MethodFilter::DELETE, path, handler, about)
    }

    fn on<H: Handler<T, Arc<Shared>>, T: 'static>(
        mut self,
        method: &'static str,
        filter: MethodFilter,
        path: &'static str,
        handler: H,
        about: About,
    ) -> Self {
        self.described.push(Described { method, path, about });
        Self { router: self.router.route(path, on(filter, handler)), ..self }
    }

    /// Puts something around all routes so far.
    pub(super) fn within(
        self,
        wrap: impl FnOnce(Router<Arc<Shared>>) -> Router<Arc<Shared>>,
    ) -> Self {
        Self { router: wrap(self.router), ..self }
    }

    pub(super) fn merge(mut self, other: Self) -> Self {
        self.described.extend(other.described);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// The routes, their description, and a line for each.
    pub(super) fn finish(self) -> (Router<Arc<Shared>>, Value, String) {
        let lines: Vec<String> = self
            .described
            .iter()
            .map(|one| format!("{} {}", one.method.to_ascii_uppercase(), one.path))
            .collect();
        (self.router, document(&self.described), lines.join(", "))
    }
}

/// The description by OpenAPI 3.1.
fn document(described: &[Described]) -> Value {
    let generator = |contract| {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.contract = contract;
            settings.meta_schema = None;
        });
        settings.into_generator()
    };
    // What is read may leave out what has a default; what is written has it all.
    let (mut read, mut written) =
        (generator(Contract::Deserialize), generator(Contract::Serialize));
    let mut paths = Map::new();
    for one in described {
        let path = paths.entry(one.path).or_insert_with(|| json!({}));
        path[one.method] = operation(one, &mut read, &mut written);
    }
    let mut schemas = read.take_definitions(true);
    schemas.extend(written.take_definitions(true));
    schemas.insert("Problem".into(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstay",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Connections that hold: sessions, links, gates.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "The token of the configuration, an API key, or a JSON Web Token.",
                },
                "session": {
                    "type": "apiKey", "in": "header", "name": "Mainstay-Session",
                    "description": "The token of a client's last `welcome`.",
                },
            },
            "responses": {
                "Problem": {
                    "description": "It is not answered as asked (RFC 9457).",
                    "content": { "application/problem+json": {
                        "schema": { "$ref": "#/components/schemas/Problem" } } },
                },
            },
        },
    })
}

fn operation(one: &Described, read: &mut SchemaGenerator, written: &mut SchemaGenerator) -> Value {
    let about = &one.about;
    let mut responses = Map::new();
    for (status, kind, shape) in &about.answers {
        let mut answer = json!({ "description": about.summary });
        if !kind.is_empty() {
            let schema = shape.map_or_else(|| json!({}), |shape| shape(written).to_value());
            answer["content"] = json!({ *kind: { "schema": schema } });
        }
        responses.insert(status.to_string(), answer);
    }
    responses.insert("default".into(), json!({ "$ref": "#/components/responses/Problem" }));
    let mut operation = json!({
        "operationId": name(one.method, one.path),
        "tags": [tag(one.path)],
        "summary": about.summary,
        "description": about.who.text(),
        "parameters": parameters(one, read),
        "responses": responses,
    });
    if let Some(shape) = about.body {
        let schema = shape(read).to_value();
        operation["requestBody"] = json!({ "content": { JSON: { "schema": schema } } });
    }
    match about.who {
        Who::Anybody => operation["security"] = json!([]),
        Who::Clients => operation["security"] = json!([{ "bearer": [] }, { "session": [] }, {}]),
        Who::Operators | Who::Admins => {}
    }
    operation
}

/// What stands in the path, and what the query may have.
fn parameters(one: &Described, read: &mut SchemaGenerator) -> Vec<Value> {
    let places = one.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = places
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    let query = one.about.query.map(|shape| shape(read).to_value()).unwrap_or_default();
    for (name, schema) in query["properties"].as_object().into_iter().flatten() {
        all.push(json!({ "name": name, "in": "query", "required": false, "schema": schema }));
    }
    all
}

/// Such as `get_sessions_id_events`.
fn name(method: &str, path: &str) -> String {
    let parts = path.split('/').map(|part| part.trim_matches(['{', '}']));
    let parts = parts.filter(|part| !matches!(*part, "" | "api" | "v1"));
    std::iter::once(method).chain(parts).collect::<Vec<_>>().join("_").replace('.', "_")
}

fn tag(path: &str) -> &str {
    path.trim_start_matches("/api/v1").split('/').find(|part| !part.is_empty()).unwrap_or("server")
}

fn problem() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": text, "title": text, "status": { "type": "integer" },
            "code": { "type": "string", "enum": super::error::CODES },
            "detail": text,
        },
    })
}
