//! What the API is, for programs: an OpenAPI 3.1 document.

mod page;

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub(super) use self::page::page;
use super::endpoint::{Access, Endpoint};
use super::routes::endpoints;
use crate::error::Kind;
use crate::http::server::problem::MEDIA_TYPE;

/// Errors that every endpoint has
const OF_ALL: [Kind; 8] = [
    Kind::NotImplemented,
    Kind::Timeout,
    Kind::Misdirected,
    Kind::HeadersTooLarge,
    Kind::RateLimited,
    Kind::Internal,
    Kind::Unavailable,
    Kind::NoSpace,
];

/// A problem document (RFC 9457)
#[derive(JsonSchema)]
#[schemars(rename = "Problem")]
#[expect(dead_code, reason = "the shape of what `Error::problem` gives")]
struct ProblemSchema {
    r#type: String,
    /// The name of the HTTP status
    title: String,
    status: u16,
    /// The kind of the error
    code: String,
    /// What happened, in one sentence
    detail: String,
    /// The errors of each field
    #[schemars(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    errors: std::collections::BTreeMap<String, Vec<String>>,
    /// `unknown`: the change may have been made; repeat the request with the same idempotency key
    #[schemars(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

/// The outcome of a request that failed at its commit
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[expect(dead_code, reason = "the shape of what `Error::problem` gives")]
enum Outcome {
    Unknown,
}

/// The OpenAPI document
pub fn openapi() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut reading = settings.clone().for_deserialize().into_generator();
    let mut writing = settings.for_serialize().into_generator();
    let mut paths = Map::new();
    for endpoint in endpoints() {
        let operation = operation(&endpoint, &mut reading, &mut writing);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.to_ascii_lowercase()] = operation;
    }
    writing.subschema_for::<ProblemSchema>();
    let mut schemas = reading.take_definitions(true);
    schemas.extend(writing.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tidings",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Messaging with notifications. Paths work with and without the final slash.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "ticket": { "type": "apiKey", "in": "query", "name": "ticket" },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, reading: &mut SchemaGenerator, writing: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "summary": endpoint.summary,
        "operationId": operation_id(endpoint),
        "tags": [endpoint.path.split('/').nth(2).unwrap_or_default()],
        "responses": responses(endpoint, writing),
    });
    if let Some(twin) = endpoint.twin {
        operation["description"] = json!(format!("On the command line: `tidings {twin}`"));
    }
    match endpoint.access {
        Access::User => operation["security"] = json!([{ "bearer": [] }]),
        Access::AnyoneOrUser => operation["security"] = json!([{}, { "bearer": [] }]),
        Access::UserOrTicket => operation["security"] = json!([{ "bearer": [] }, { "ticket": [] }]),
        Access::Anyone => operation["security"] = json!([]),
    }
    let parameters = parameters(endpoint, reading);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some((shape, is_required)) = endpoint.body {
        let schema = shape(reading);
        operation["requestBody"] =
            json!({ "required": is_required, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// `send_a_message`, told apart by the path where two do the same
fn operation_id(endpoint: &Endpoint) -> String {
    let place = endpoint.path.trim_start_matches("/api/").trim_matches('/').replace(['{', '}'], "").replace('/', "_");
    format!("{}_{place}", endpoint.method.to_ascii_lowercase())
}

fn parameters(endpoint: &Endpoint, reading: &mut SchemaGenerator) -> Vec<Value> {
    let id = |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } });
    let mut parameters: Vec<Value> = endpoint.parameters().map(id).collect();
    if let Some(shape) = endpoint.query {
        let schema = shape(reading).to_value();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        for (name, mut schema) in properties {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            without_null(&mut schema);
            // An empty value is treated as absent.
            let mut parameter = json!({
                "name": name, "in": "query", "required": false, "allowEmptyValue": true, "schema": schema,
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameters.push(parameter);
        }
    }
    let mut header = |name: &str, description: &str, schema: Value| {
        parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": schema,
        }));
    };
    if endpoint.takes_idempotency_key {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$" });
        header("Idempotency-Key", "Makes the request safe to repeat: within 24 hours it is carried out once", key);
    }
    if endpoint.is_conditional {
        let tags = json!({ "type": "string", "pattern": "^(\\*|(W/)?\"[!#-~]*\"(, (W/)?\"[!#-~]*\")*)$" });
        header("If-Match", "Carries the request out only if one of these entity tags still matches", tags.clone());
        header(
            "If-None-Match",
            "Carries the request out only if none of these entity tags matches; with *, only if nothing exists",
            tags,
        );
    }
    if endpoint.is_tagged() {
        header("If-None-Match", "Returns 304 if one of these entity tags is current", json!({ "type": "string" }));
    }
    if endpoint.events.is_some() {
        header("Last-Event-ID", "The cursor of the last event that was heard", json!({ "type": "string" }));
    }
    if endpoint.has_receipt {
        header("Prefer", "return=representation: with a receipt", json!({ "type": "string" }));
    }
    parameters
}

/// What is absent from a query is not null.
fn without_null(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array().cloned() {
        let types: Vec<Value> = types.into_iter().filter(|kind| kind != "null").collect();
        schema["type"] = if let [only] = types.as_slice() { only.clone() } else { types.into() };
    }
    if let Some(choices) = schema["anyOf"].as_array().cloned() {
        let choices: Vec<Value> = choices.into_iter().filter(|choice| choice["type"] != "null").collect();
        if let [only] = choices.as_slice() {
            *schema = only.clone();
        }
    }
}

fn responses(endpoint: &Endpoint, writing: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for (status, meaning, shape) in &endpoint.answers {
        let mut response = json!({ "description": meaning });
        if let Some(shape) = shape {
            response["content"] = json!({ "application/json": { "schema": shape(writing) } });
        }
        if let Some(shape) = endpoint.events {
            let stream =
                json!({ "type": "string", "contentMediaType": "text/event-stream", "contentSchema": shape(writing) });
            response["content"] = json!({ "text/event-stream": { "schema": stream } });
        }
        responses.insert(status.to_string(), response);
    }
    if endpoint.is_tagged() {
        responses.insert("304".to_owned(), json!({ "description": "Not modified." }));
    }
    let mut errors: Vec<Kind> = endpoint.errors.iter().copied().chain(OF_ALL).collect();
    if endpoint.access != Access::Anyone {
        errors.push(Kind::Unauthenticated);
    }
    // Any request can have a body or a key that is none.
    errors.extend([Kind::Invalid, Kind::TooLarge]);
    if endpoint.body.is_some() {
        errors.push(Kind::UnsupportedMediaType);
    }
    for kind in errors {
        let mut problem = json!({
            "description": kind.code(),
            "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        if matches!(kind, Kind::RateLimited | Kind::Unavailable) {
            let meaning = "How many seconds to wait before the next attempt, if known";
            problem["headers"] = json!({ "Retry-After": { "description": meaning, "schema": { "type": "integer" } } });
        }
        responses.entry(kind.status().to_string()).or_insert(problem);
    }
    responses.sort_keys();
    responses.into()
}

static OPENAPI: LazyLock<Vec<u8>> = LazyLock::new(|| openapi().to_string().into_bytes());

pub(super) async fn schema() -> Response {
    ([(CONTENT_TYPE, "application/vnd.oai.openapi+json;version=3.1")], OPENAPI.as_slice()).into_response()
}
