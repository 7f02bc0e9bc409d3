//! What the API is, for people: the OpenAPI document as a page that loads nothing from elsewhere.

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::openapi;

static PAGE: LazyLock<String> = LazyLock::new(|| render(&openapi()));

pub(in crate::http::api) async fn page() -> Response {
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
        let content = &response["content"];
        let events = &content["text/event-stream"]["schema"]["contentSchema"];
        let kind = if events.is_null() {
            kind(&content["application/json"]["schema"])
        } else {
            format!("stream of {}", kind(events))
        };
        let meaning = code(&text(&response["description"]));
        section.extend([format!("<tr><td>{}<td>{meaning}<td>{kind}", escape(status))]);
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

/// The fields of an object, as a table; behind those of all objects those that only some have
fn fields(schema: &Value) -> String {
    let some = schema["anyOf"].as_array().into_iter().flatten();
    let some = some.map(|one| rows(one, &code(&text(&one["description"]))));
    format!("<table>{}{}</table>", rows(schema, ""), some.collect::<String>())
}

/// A row for each field of an object, or of those objects that are described so
fn rows(schema: &Value, of: &str) -> String {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let rows = schema["properties"].as_object().into_iter().flatten().map(|(name, schema)| {
        let must = if required.contains(&name.as_str()) { of } else { "optional" };
        format!(
            "<tr><td><code>{}</code><td>{}<td>{must}<td>{}",
            escape(name),
            kind(schema),
            text(&schema["description"])
        )
    });
    rows.collect()
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

/// Text between back quotes, as code
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
