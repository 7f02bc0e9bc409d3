//! What the API is, for programs: an OpenAPI 3.1 document. And for people: a page that loads nothing from elsewhere.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

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
#[expect(dead_code, reason = "the shape of what `Error::problem` gives")]
struct Problem {
    r#type: String,
    /// The status in words
    title: String,
    status: u16,
    /// The kind of the error
    code: String,
    /// What happened, in a whole sentence
    detail: String,
    /// What is wrong with each field
    #[schemars(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    errors: std::collections::BTreeMap<String, Vec<String>>,
    /// Whether it happened is not known: the same idempotency key settles it
    #[schemars(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

/// What came of a request, where that is not known
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
    writing.subschema_for::<Problem>();
    let mut schemas = reading.take_definitions(true);
    schemas.extend(writing.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tidings",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Messaging with notifications. Paths work with and without the slash at their end.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
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
            // What is empty counts as absent.
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
    if endpoint.is_repeatable {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$" });
        header("Idempotency-Key", "Carries the request out once within 24 hours, however often it is sent", key);
    }
    if endpoint.is_conditional {
        let tags = json!({ "type": "string", "pattern": "^(\\*|(W/)?\"[!#-~]*\"(, (W/)?\"[!#-~]*\")*)$" });
        header(
            "If-Match",
            "Does it only where what can be changed still is what one of these entity tags says",
            tags.clone(),
        );
        header(
            "If-None-Match",
            "Does it only where none of these is its entity tag, for * where nothing is there",
            tags,
        );
    }
    if endpoint.is_tagged() {
        header("If-None-Match", "Answers 304 where nothing is new", json!({ "type": "string" }));
    }
    if endpoint.answers.iter().any(|(_, meaning, _)| meaning.contains("Prefer")) {
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
        responses.insert(status.to_string(), response);
    }
    if endpoint.is_tagged() {
        responses.insert("304".to_owned(), json!({ "description": "Nothing is new." }));
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
        let problem = json!({
            "description": kind.code(),
            "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        responses.entry(kind.status().to_string()).or_insert(problem);
    }
    responses.sort_keys();
    responses.into()
}

static OPENAPI: LazyLock<Vec<u8>> = LazyLock::new(|| openapi().to_string().into_bytes());

pub(super) async fn schema() -> Response {
    ([(CONTENT_TYPE, "application/vnd.oai.openapi+json;version=3.1")], OPENAPI.as_slice()).into_response()
}

static PAGE: LazyLock<String> = LazyLock::new(|| render(&openapi()));

pub(super) async fn page() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ];
    (headers, PAGE.as_str()).into_response()
}

/// The document as a page
fn render(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>tidings {version}</title><style>{STYLE}</style><h1>tidings {version}</h1><p>{description} Send \
         <code>Authorization: Bearer TOKEN</code> with a token of <a href='#post_token'>POST /api/token/</a>. \
         The same for programs: <a href='/api/schema/'>OpenAPI 3.1</a>.</p>",
        version = text(&document["info"]["version"]),
        description = text(&document["info"]["description"]),
    );
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            page.push_str(&render_operation(path, method, operation, document));
        }
    }
    page.push_str("<h2>Shapes</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        page.extend([format!("<h3 id='{0}'>{0}</h3>{1}", escape(name), fields(schema))]);
    }
    page
}

fn render_operation(path: &str, method: &str, operation: &Value, document: &Value) -> String {
    let mut section = format!(
        "<section id='{id}'><h2><b>{method}</b> <code>{path}</code></h2><p>{summary}. {twin}</p>",
        id = text(&operation["operationId"]),
        method = escape(&method.to_ascii_uppercase()),
        path = escape(path),
        summary = text(&operation["summary"]),
        twin = code(&text(&operation["description"])),
    );
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        section.push_str("<table>");
        for parameter in parameters {
            section.extend([format!(
                "<tr><td><code>{}</code><td>{}<td>{}<td>{}",
                text(&parameter["name"]),
                text(&parameter["in"]),
                kind(&parameter["schema"]),
                text(&parameter["description"]),
            )]);
        }
        section.push_str("</table>");
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        section.extend([format!("<p>Body:</p>{}", fields(resolved(body, document)))]);
    }
    section.push_str("<table>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let schema = &response["content"]["application/json"]["schema"];
        section.extend([format!(
            "<tr><td>{}<td>{}<td>{}",
            escape(status),
            text(&response["description"]),
            kind(schema)
        )]);
    }
    section.push_str("</table></section>");
    section
}

fn resolved<'d>(schema: &'d Value, document: &'d Value) -> &'d Value {
    match schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    }
}

/// The fields of an object, as a table
fn fields(schema: &Value) -> String {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let rows = schema["properties"].as_object().into_iter().flatten().map(|(name, schema)| {
        let must = if required.contains(&name.as_str()) { "" } else { "optional" };
        format!(
            "<tr><td><code>{}</code><td>{}<td>{must}<td>{}",
            escape(name),
            kind(schema),
            text(&schema["description"])
        )
    });
    format!("<table>{}</table>", rows.collect::<String>())
}

/// What a value is, in a word or a link
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return format!("<a href='#{0}'>{0}</a>", escape(name));
    }
    if let Some(words) = schema["enum"].as_array() {
        return escape(&words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" · "));
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if schema["items"].is_object() {
        return format!("list of {}", kind(&schema["items"]));
    }
    let words = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        kind => kind.as_str().unwrap_or_default().to_owned(),
    };
    let format = schema["format"].as_str().filter(|format| !format.starts_with("int") && !format.starts_with("uint"));
    escape(&[words.as_str(), format.unwrap_or_default()].join(" "))
}

/// What stands between back quotes, as code
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;\
    background:#fff}section{border-top:1px solid #ccc;margin-top:1.5rem}h2{font-size:1.1rem}h2 b{color:#06c}h3{font-size:1rem}\
    table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}code{font-size:.95em}\
    @media(prefers-color-scheme:dark){body{color:#ddd;background:#111}a,h2 b{color:#7bf}section{border-color:#444}}";
