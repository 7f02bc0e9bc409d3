//! The parts of a request: path, query, body, headers.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::http::server::problem::Problem;
use crate::service::login::Client;
use crate::service::{IdempotentRequest, MOST_NAMED};

/// The ids in a path; a path with something else is not found.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Problem> {
        let found = <axum::extract::Path<T> as FromRequestParts<Shared>>::from_request_parts(parts, server).await;
        found.map(|axum::extract::Path(ids)| Self(ids)).map_err(|_| not_found().into())
    }
}

/// There is nothing at this path.
pub(super) fn not_found() -> Error {
    Error::not_found("Not found.")
}

/// The parameters after the `?` of a URL.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let query = without_empty(parts.uri.query().unwrap_or_default());
        let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        let read = serde_path_to_error::deserialize(deserializer);
        read.map(Self).map_err(|error| wrong(&error.path().to_string(), &error.inner().to_string()).into())
    }
}

/// Which part of a list to show
#[derive(Deserialize, JsonSchema)]
pub(super) struct Part {
    pub(super) cursor: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    pub(super) page_size: Option<i64>,
}

/// The query without empty parameters
fn without_empty(query: &str) -> Cow<'_, str> {
    let is_empty = |pair: &str| pair.split_once('=').is_none_or(|(_, value)| value.is_empty());
    if !query.split('&').any(is_empty) {
        return Cow::Borrowed(query);
    }
    query.split('&').filter(|pair| !is_empty(pair)).collect::<Vec<_>>().join("&").into()
}

/// The JSON of a body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + JsonSchema> FromRequest<Shared> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let detail = "The body must be JSON, with Content-Type: application/json.";
            return Err(Error::of_request(Kind::UnsupportedMediaType, detail).into());
        }
        // It was read at the entrance, up to the limit there is.
        let content = to_bytes(body, usize::MAX).await.map_err(Error::internal)?;
        Ok(Self(parse(&content)?))
    }
}

impl<T: DeserializeOwned + JsonSchema> OptionalFromRequest<Shared> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Shared) -> Result<Option<Self>, Problem> {
        if hyper::body::Body::is_end_stream(request.body()) {
            return Ok(None);
        }
        <Self as FromRequest<Shared>>::from_request(request, server).await.map(Some)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.starts_with("application/") && media_type.ends_with("+json")
}

/// Parses a body, or reports the errors of each field.
fn parse<T: DeserializeOwned + JsonSchema>(content: &[u8]) -> Result<T, Error> {
    // Some programs begin every text with a mark of its order of bytes.
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    // Fields in a row, without their names, would be taken too.
    if content.trim_ascii_start().first().is_some_and(|byte| b"[\"-0123456789tfn".contains(byte)) {
        return Err(Error::of_fields("The body must be a JSON object.", Vec::new()));
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(content);
    let error = match serde_path_to_error::deserialize(&mut *deserializer) {
        Ok(body) => match deserializer.end() {
            Ok(()) => return Ok(body),
            Err(error) => return Err(no_json(&error)),
        },
        Err(error) => error,
    };
    if !error.inner().is_data() {
        return Err(no_json(error.inner()));
    }
    // All fields that are missing, not only the first.
    let missing = missing_fields::<T>(content);
    if !missing.is_empty() {
        let fields = missing.into_iter().map(|field| (field, vec!["This field is required.".to_owned()])).collect();
        return Err(Error::of_fields("The body lacks fields that are required.", fields));
    }
    Err(wrong(&error.path().to_string(), &without_place(&error.inner().to_string())))
}

fn no_json(error: &serde_json::Error) -> Error {
    Error::of_fields(format!("The body is not JSON: {error}."), Vec::new())
}

fn missing_fields<T: JsonSchema>(content: &[u8]) -> Vec<String> {
    let Ok(Value::Object(body)) = serde_json::from_slice(content) else { return Vec::new() };
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let required = required.iter().filter_map(Value::as_str);
    required.filter(|field| !body.contains_key(*field)).map(ToOwned::to_owned).collect()
}

/// The error for a field that cannot be parsed.
fn wrong(path: &str, message: &str) -> Error {
    let mut letters = message.chars();
    let message: String = letters.next().map(char::to_uppercase).into_iter().flatten().chain(letters).collect();
    let detail = format!("{}.", message.trim_end_matches('.'));
    let fields = if path == "." { Vec::new() } else { vec![(path.to_owned(), vec![detail.clone()])] };
    Error::of_fields(detail, fields)
}

/// Removes the line and column from an error: a program made the body.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}

/// A text without NUL, which PostgreSQL cannot keep
pub(super) const NO_NUL: &str = r"^[^\u0000]*$";

/// The header of a request that is to be carried out once
pub(super) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A text that a change can remove: with null or an empty one.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleared(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Cleared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Some(Option::<String>::deserialize(deserializer)?.unwrap_or_default())))
    }
}

impl JsonSchema for Cleared {
    fn schema_name() -> Cow<'static, str> {
        "Cleared".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "null"] })
    }
}

/// A list of at most as many items as a service accepts; reading ends at the first one beyond.
pub(super) struct Few<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reading<T> {
            type Value = Few<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
                let mut few = Vec::new();
                while let Some(next) = all.next_element()? {
                    if few.len() == MOST_NAMED {
                        return Err(de::Error::custom("at most 1,000 are allowed at once"));
                    }
                    few.push(next);
                }
                Ok(Few(few))
            }
        }

        deserializer.deserialize_seq(Reading(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Few<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("UpTo1000_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<T>::json_schema(generator);
        schema.insert("maxItems".to_owned(), MOST_NAMED.into());
        schema
    }
}

/// The client of a request, as the rate limits count it.
pub(super) struct Address(pub(super) Client);

impl FromRequestParts<Shared> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().copied().unwrap_or(Client::Unknown).network()))
    }
}

/// The idempotency key of a request, if it has one
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(key) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| !key.contains('\t'));
    let invalid = || Error::invalid("idempotency_key", "An idempotency key consists of printable ASCII characters.");
    Ok(Some(key.ok_or_else(invalid)?.to_owned()))
}

/// A request that is carried out once if it has an idempotency key.
pub(super) struct IdempotencyKey(pub(super) Option<IdempotentRequest>);

impl IdempotencyKey {
    /// The key alone, for a service that compares requests by meaning
    pub(super) fn key(self) -> Option<String> {
        self.0.map(|request| request.key)
    }
}

impl FromRequestParts<Shared> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.remove()))
    }
}
