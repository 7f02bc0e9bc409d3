//! The description of an endpoint: a row of the table in [`super::routes`].

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::error::Kind;
use crate::http::server::Shared;
use crate::http::server::limits::{Limit, Limits};
use crate::service::login::Client;

/// Who may use an endpoint
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody
    Anyone,
    /// Everybody, and users by their token
    AnyoneOrUser,
    /// Users, by their token
    User,
    /// Users, by their token or by a ticket
    UserOrTicket,
}

/// The limit that applies to an endpoint's clients
pub(super) type Limited = fn(&Limits) -> &Limit<Client>;

/// Makes the JSON Schema of a query, a body or a response.
type Shape = fn(&mut SchemaGenerator) -> Schema;

/// A method on a path, with its description.
pub struct Endpoint {
    pub method: &'static str,
    /// Its ids in braces: `/api/users/{user_id}/`
    pub path: &'static str,
    /// What it does, in the imperative
    pub summary: &'static str,
    /// The command that does the same, if there is one
    pub twin: Option<&'static str>,
    pub access: Access,
    /// How often a client may use it; checked before the body is read
    pub(super) limit: Option<Limited>,
    /// Its errors, without those that every endpoint has
    pub errors: Vec<Kind>,
    pub(super) query: Option<Shape>,
    /// The schema of the body, and whether a body is required
    pub(super) body: Option<(Shape, bool)>,
    /// The responses: status, meaning, schema
    pub(super) answers: Vec<(u16, &'static str, Option<Shape>)>,
    /// The schema of what the events of its stream say
    pub(super) events: Option<Shape>,
    /// Whether it takes an `Idempotency-Key`
    pub(super) takes_idempotency_key: bool,
    /// Whether it takes `If-Match` and `If-None-Match`
    pub(super) is_conditional: bool,
    /// Whether `Prefer: return=representation` asks for a receipt
    pub(super) has_receipt: bool,
    pub(super) handler: MethodRouter<Shared>,
}

impl Endpoint {
    pub(super) fn new<H, T>(
        (method, filter): (&'static str, MethodFilter),
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        Self {
            method,
            path,
            summary,
            twin: None,
            access: Access::User,
            limit: None,
            errors: Vec::new(),
            query: None,
            body: None,
            answers: Vec::new(),
            events: None,
            takes_idempotency_key: false,
            is_conditional: false,
            has_receipt: false,
            handler: on(filter, handler),
        }
    }

    pub(super) fn for_anyone(self) -> Self {
        Self { access: Access::Anyone, ..self }
    }

    pub(super) fn limited_by(self, limit: Limited) -> Self {
        Self { limit: Some(limit), ..self }.or(&[Kind::RateLimited])
    }

    pub(super) fn cli(self, twin: &'static str) -> Self {
        Self { twin: Some(twin), ..self }
    }

    pub(super) fn or(mut self, errors: &[Kind]) -> Self {
        self.errors.extend(errors);
        self
    }

    pub(super) fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(SchemaGenerator::root_schema_for::<T>), ..self }.or(&[Kind::Invalid])
    }

    pub(super) fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some((|generator| generator.subschema_for::<T>(), true)), ..self }.or(&[Kind::Invalid])
    }

    pub(super) fn response<T: JsonSchema>(mut self, status: u16, meaning: &'static str) -> Self {
        self.answers.push((status, meaning, Some(SchemaGenerator::subschema_for::<T>)));
        self
    }

    /// Answers with a receipt if the client prefers one.
    pub(super) fn receipt<T: JsonSchema>(self) -> Self {
        let answered = self.response::<T>(200, "The receipt, for `Prefer: return=representation`");
        Self { has_receipt: true, ..answered }
    }

    /// Answers with a stream of events; a ticket takes the place of a token.
    pub(super) fn streams<T: JsonSchema>(mut self, meaning: &'static str) -> Self {
        self.answers.push((200, meaning, None));
        Self { access: Access::UserOrTicket, events: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    pub(super) fn no_content(mut self) -> Self {
        self.answers.push((204, "It is done.", None));
        self
    }

    pub(super) fn idempotency_key(self) -> Self {
        Self { takes_idempotency_key: true, ..self }.or(&[Kind::Conflict])
    }

    pub(super) fn on_condition(self) -> Self {
        Self { is_conditional: true, ..self }.or(&[Kind::Stale])
    }

    pub(super) fn optional(self) -> Self {
        Self { access: Access::AnyoneOrUser, ..self }
    }

    pub(super) fn optional_body(self) -> Self {
        Self { body: self.body.map(|(shape, _)| (shape, false)), ..self }
    }

    /// Whether its response has an entity tag
    pub(super) fn is_tagged(&self) -> bool {
        self.method == "GET" && self.access == Access::User && !self.path.ends_with("/export/")
    }

    /// The names of the ids in its path
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// A constructor for each method.
macro_rules! methods {
    ($($name:ident: $method:literal, $filter:ident;)+) => {$(
        pub(super) fn $name<H, T>(path: &'static str, summary: &'static str, handler: H) -> Endpoint
        where
            H: Handler<T, Shared>,
            T: 'static,
        {
            Endpoint::new(($method, MethodFilter::$filter), path, summary, handler)
        }
    )+};
}

methods! {
    show: "GET", GET;
    post: "POST", POST;
    patch: "PATCH", PATCH;
    delete: "DELETE", DELETE;
}
