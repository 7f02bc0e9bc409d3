//! Which endpoints there are: one row each, from which come the router, the OpenAPI document and the table of the README.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use tower::util::MapResponseLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::answer::{List, Marked};
use super::problem::Problem;
use super::request::{IDEMPOTENCY_KEY, not_found};
use super::{Shared, conversations, document, health, messages, notifications, testing, tokens, users};
use crate::error::{Error, Kind};
use crate::model::{ConversationView, Message, Notification, Profile, Receipt, Revision, ThreadMessage, User, UserRef};

/// Who may use an endpoint
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody
    Anyone,
    /// Everybody, and users by their token
    AnyoneOrUser,
    /// Users, by their token
    User,
}

/// What something that is sent looks like
type Shape = fn(&mut SchemaGenerator) -> Schema;

/// A method on a path, and what there is to say of it.
pub struct Endpoint {
    pub method: &'static str,
    /// What stands in braces is an id
    pub path: &'static str,
    /// What it does, in the imperative
    pub summary: &'static str,
    /// The command that does the same; none where there is none
    pub twin: Option<&'static str>,
    pub access: Access,
    /// Its own errors, beside those that every endpoint has
    pub errors: Vec<Kind>,
    pub(super) query: Option<Shape>,
    /// What the body looks like, and whether it has to be there
    pub(super) body: Option<(Shape, bool)>,
    /// Status, what it means, what the answer looks like
    pub(super) answers: Vec<(u16, &'static str, Option<Shape>)>,
    /// Whether it is carried out once under a key
    pub(super) is_repeatable: bool,
    /// Whether it is carried out at one revision alone, where that is asked for
    pub(super) is_conditional: bool,
    handler: MethodRouter<Shared>,
}

impl Endpoint {
    fn new<H, T>(
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
            errors: Vec::new(),
            query: None,
            body: None,
            answers: Vec::new(),
            is_repeatable: false,
            is_conditional: false,
            handler: on(filter, handler),
        }
    }

    fn for_anyone(self) -> Self {
        Self { access: Access::Anyone, ..self }
    }

    fn like(self, twin: &'static str) -> Self {
        Self { twin: Some(twin), ..self }
    }

    fn or(mut self, errors: &[Kind]) -> Self {
        self.errors.extend(errors);
        self
    }

    fn asking<T: JsonSchema>(self) -> Self {
        Self { query: Some(|generator| generator.root_schema_for::<T>()), ..self }.or(&[Kind::Invalid])
    }

    fn taking<T: JsonSchema>(self) -> Self {
        Self { body: Some((|generator| generator.subschema_for::<T>(), true)), ..self }.or(&[Kind::Invalid])
    }

    fn giving<T: JsonSchema>(mut self, status: u16, meaning: &'static str) -> Self {
        self.answers.push((status, meaning, Some(|generator| generator.subschema_for::<T>())));
        self
    }

    fn giving_nothing(mut self) -> Self {
        self.answers.push((204, "It is done.", None));
        self
    }

    fn once(self) -> Self {
        Self { is_repeatable: true, ..self }.or(&[Kind::Conflict])
    }

    fn at_a_revision(self) -> Self {
        Self { is_conditional: true, ..self }.or(&[Kind::Stale])
    }

    /// Whether what it shows has an entity tag
    pub(super) fn is_tagged(&self) -> bool {
        self.method == "GET" && self.access == Access::User && !self.path.ends_with("/export/")
    }

    /// The ids in its path
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// A constructor for each method
macro_rules! methods {
    ($($name:ident: $method:literal, $filter:ident;)+) => {$(
        fn $name<H, T>(path: &'static str, summary: &'static str, handler: H) -> Endpoint
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

/// Every endpoint of the API
pub fn endpoints() -> Vec<Endpoint> {
    use Kind::{Conflict, Forbidden, Invalid, NotFound, RateLimited, Unauthenticated};
    vec![
        post("/api/token/", "Log in", tokens::log_in)
            .for_anyone()
            .like("token issue USER")
            .taking::<tokens::Credentials>()
            .giving::<tokens::TokenPair>(200, "Tokens, and whose they are")
            .or(&[Unauthenticated, RateLimited]),
        post("/api/token/refresh/", "Put a new pair of tokens in the place of one", tokens::refresh)
            .for_anyone()
            .taking::<tokens::Refresh>()
            .giving::<tokens::NewTokens>(200, "New tokens; the old refresh token counts no more")
            .or(&[Unauthenticated]),
        post("/api/token/verify/", "Ask whether a token counts", tokens::verify)
            .for_anyone()
            .taking::<tokens::Token>()
            .giving::<tokens::Nothing>(200, "It counts.")
            .or(&[Unauthenticated]),
        post("/api/token/revoke/", "Log out: end what a log-in began", tokens::revoke)
            .for_anyone()
            .like("token revoke USER")
            .taking::<tokens::Refresh>()
            .giving_nothing(),
        post("/api/users/", "Register", users::register)
            .like("user create NAME --password-stdin")
            .taking::<users::Registration>()
            .giving::<User>(201, "The account")
            .once()
            .or(&[Forbidden, Unauthenticated, RateLimited])
            .optional(),
        show("/api/users/", "List users", users::list)
            .like("user list")
            .asking::<users::Listing>()
            .giving::<List<Profile>>(200, "Users by username; for admins with email, role and state"),
        show("/api/users/me/", "Show one's own account", users::show_own)
            .like("user show USER")
            .giving::<User>(200, "The account"),
        patch("/api/users/me/", "Change one's own account", users::change_own)
            .like("user update USER")
            .taking::<users::OwnChange>()
            .giving::<User>(200, "The account")
            .or(&[Conflict, RateLimited]),
        show("/api/users/me/export/", "Export everything about oneself", users::export_own)
            .like("user export USER")
            .giving::<serde_json::Map<String, serde_json::Value>>(200, "See docs/export.schema.json")
            .or(&[RateLimited]),
        show("/api/users/{user_id}/", "Show a user", users::show)
            .like("user show USER")
            .giving::<Profile>(200, "The user")
            .or(&[NotFound]),
        patch("/api/users/{user_id}/", "Change an account, as an admin", users::change)
            .like("user update USER --role ROLE")
            .taking::<users::Change>()
            .giving::<User>(200, "The account")
            .or(&[Forbidden, NotFound, Conflict]),
        delete("/api/users/{user_id}/", "Delete an account, as an admin", users::delete)
            .like("user delete USER --yes")
            .giving_nothing()
            .giving::<Receipt>(200, "What went with it, for `Prefer: return=representation`")
            .or(&[Forbidden, NotFound]),
        delete("/api/user/delete/", "Delete one's own account", users::delete_own)
            .like("user delete USER --yes")
            .giving_nothing()
            .giving::<Receipt>(200, "What went with it, for `Prefer: return=representation`")
            .or(&[Forbidden]),
        show("/api/conversations/", "List one's own conversations", conversations::list)
            .like("conversation list")
            .asking::<conversations::Listing>()
            .giving::<List<ConversationView>>(200, "Newest activity first, each with up to 10 participants"),
        post("/api/conversations/", "Begin a conversation", conversations::create)
            .like("conversation create USER…")
            .taking::<conversations::New>()
            .giving::<ConversationView>(201, "The conversation")
            .giving::<ConversationView>(200, "The direct conversation that there is already")
            .once(),
        show(
            "/api/conversations/{conversation_id}/",
            "Show a conversation and its newest 20 messages",
            conversations::show,
        )
        .like("conversation show CONV")
        .giving::<conversations::Shown>(200, "The conversation")
        .or(&[NotFound]),
        patch("/api/conversations/{conversation_id}/", "Change a group's name or title", conversations::change)
            .like("conversation update CONV --title TITLE")
            .taking::<conversations::Change>()
            .giving::<ConversationView>(200, "The conversation")
            .or(&[Forbidden, NotFound, Conflict]),
        delete(
            "/api/conversations/{conversation_id}/",
            "Delete a conversation, messages and all",
            conversations::delete,
        )
        .like("conversation delete CONV --yes")
        .giving_nothing()
        .or(&[Forbidden, NotFound]),
        show("/api/conversations/{conversation_id}/participants/", "List who takes part", conversations::participants)
            .like("conversation show CONV")
            .asking::<conversations::Part>()
            .giving::<List<UserRef>>(200, "Oldest account first")
            .or(&[NotFound]),
        post("/api/conversations/{conversation_id}/participants/", "Add people to a group", conversations::add)
            .like("conversation add CONV USER…")
            .taking::<conversations::People>()
            .giving::<ConversationView>(200, "The conversation")
            .once()
            .or(&[NotFound]),
        patch(
            "/api/conversations/{conversation_id}/participants/me/",
            "Set which messages notify oneself",
            conversations::set_level,
        )
        .like("conversation level CONV LEVEL")
        .taking::<conversations::OwnPart>()
        .giving::<ConversationView>(200, "The conversation")
        .or(&[NotFound]),
        delete(
            "/api/conversations/{conversation_id}/participants/{user_id}/",
            "Remove somebody, or leave",
            conversations::remove,
        )
        .like("conversation remove CONV USER")
        .giving_nothing()
        .or(&[Invalid, Forbidden, NotFound]),
        post("/api/conversations/{conversation_id}/read/", "Make a conversation's messages read", conversations::read)
            .like("message read CONV")
            .giving::<Marked>(200, "How many were unread")
            .once()
            .or(&[NotFound]),
        show("/api/conversations/{conversation_id}/messages/", "List the messages of a conversation", messages::list)
            .like("message list CONV")
            .asking::<messages::Listing>()
            .giving::<List<Message>>(200, "Newest first; a search adds `snippet` and `partial`")
            .or(&[NotFound]),
        post("/api/conversations/{conversation_id}/messages/", "Send a message", messages::send)
            .like("message send CONV TEXT")
            .taking::<messages::New>()
            .giving::<Message>(201, "The message")
            .once()
            .or(&[Forbidden, NotFound]),
        show("/api/conversations/{conversation_id}/messages/{message_id}/", "Show a message", messages::show)
            .like("message show MSG")
            .giving::<Message>(200, "The message")
            .or(&[NotFound]),
        patch("/api/conversations/{conversation_id}/messages/{message_id}/", "Edit one's own message", messages::edit)
            .like("message edit MSG TEXT")
            .taking::<messages::Edit>()
            .giving::<Message>(200, "The message")
            .at_a_revision()
            .or(&[Forbidden, NotFound]),
        delete("/api/conversations/{conversation_id}/messages/{message_id}/", "Delete a message", messages::delete)
            .like("message delete MSG --yes")
            .giving_nothing()
            .at_a_revision()
            .or(&[Forbidden, NotFound, Invalid]),
        show("/api/messages/", "List all messages one may see", messages::list_everywhere)
            .like("message list")
            .asking::<messages::Everywhere>()
            .giving::<List<Message>>(200, "Newest first; a search adds `snippet` and `partial`"),
        show("/api/messages/unread/", "List the messages one has not read", messages::unread)
            .like("message list --unread")
            .asking::<messages::Part>()
            .giving::<List<Message>>(200, "The last to come in first"),
        patch("/api/messages/unread/", "Make messages read", messages::read)
            .like("message read MSG…")
            .taking::<messages::Which>()
            .giving::<Marked>(200, "How many were unread"),
        show("/api/messages/{message_id}/", "Show a message", messages::show)
            .like("message show MSG")
            .giving::<Message>(200, "The message")
            .or(&[NotFound]),
        patch("/api/messages/{message_id}/", "Edit one's own message", messages::edit)
            .like("message edit MSG TEXT")
            .taking::<messages::Edit>()
            .giving::<Message>(200, "The message")
            .at_a_revision()
            .or(&[Forbidden, NotFound]),
        delete("/api/messages/{message_id}/", "Delete a message", messages::delete)
            .like("message delete MSG --yes")
            .giving_nothing()
            .at_a_revision()
            .or(&[Forbidden, NotFound, Invalid]),
        show("/api/messages/{message_id}/history/", "List the earlier contents of a message", messages::history)
            .like("message history MSG")
            .asking::<messages::Part>()
            .giving::<List<Revision>>(200, "Newest first")
            .or(&[NotFound]),
        show("/api/messages/{message_id}/thread/", "List a message and all replies to it", messages::thread)
            .like("message thread MSG")
            .asking::<messages::Part>()
            .giving::<List<ThreadMessage>>(200, "Each behind what it replies to, with its depth")
            .or(&[NotFound]),
        show("/api/notifications/", "List one's own notifications", notifications::list)
            .like("notifications list")
            .asking::<notifications::Listing>()
            .giving::<List<Notification>>(200, "Newest first"),
        patch("/api/notifications/{message_id}/", "Make a notification read or unread", notifications::change)
            .like("notifications read MSG")
            .taking::<notifications::Change>()
            .giving::<Notification>(200, "The notification")
            .or(&[NotFound]),
        post("/api/notifications/read/", "Make notifications read, some or all", notifications::read)
            .like("notifications read --all")
            .taking::<notifications::Which>()
            .giving::<Marked>(200, "How many were unread")
            .once()
            .optional_body(),
    ]
}

impl Endpoint {
    fn optional(self) -> Self {
        Self { access: Access::AnyoneOrUser, ..self }
    }

    fn optional_body(self) -> Self {
        Self { body: self.body.map(|(shape, _)| (shape, false)), ..self }
    }
}

/// Which endpoint answered
#[derive(Clone, Copy)]
pub(super) struct Route(pub(super) &'static str);

/// What answers each path, with and without the slash at its end.
pub(super) fn router(server: &Shared) -> Router {
    let mut paths: Vec<(&'static str, MethodRouter<Shared>)> = vec![
        ("/api/schema/", get(document::schema)),
        ("/api/docs/", get(document::page)),
        ("/health/live", get(health::live)),
        ("/health/ready", get(health::ready)),
        ("/metrics", get(health::metrics)),
    ];
    if server.options.is_ephemeral {
        paths.push(("/test/checkpoint", on(MethodFilter::POST, testing::checkpoint)));
        paths.push(("/test/rollback", on(MethodFilter::POST, testing::rollback)));
    }
    paths.extend(endpoints().into_iter().map(|Endpoint { path, handler, .. }| (path, handler)));
    let mut router = Router::new();
    for (path, handler) in paths {
        let note = move |mut response: Response| {
            response.extensions_mut().insert(Route(path));
            response
        };
        let handler = handler.layer(MapResponseLayer::new(note));
        let bare = path.trim_end_matches('/');
        router = router.route(path, handler.clone());
        if bare != path {
            router = router.route(bare, handler);
        }
    }
    let router = router
        .method_not_allowed_fallback(async |method: Method| Problem::method_not_allowed(&method))
        .fallback(async || Problem::from(not_found()))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(CompressionLayer::new().compress_when(is_worth_it()));
    match origins(&server.options.origins) {
        Some(origins) => router.layer(origins).with_state(Shared::clone(server)),
        None => router.with_state(Shared::clone(server)),
    }
}

/// A handler that panics fails alone.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::from(Error::internal("a handler panicked")).into_response()
}

/// What is large enough to become smaller
fn is_worth_it() -> impl Predicate {
    SizeAbove::new(1024).and(NotForContentType::const_new("text/event-stream"))
}

/// Whose pages may use the API; none where no other site's may
fn origins(allowed: &[String]) -> Option<CorsLayer> {
    if allowed.is_empty() {
        return None;
    }
    let origins = if allowed.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(allowed.iter().filter_map(|origin| origin.parse().ok()))
    };
    let headers = [AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY_KEY.clone()];
    let methods = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];
    Some(CorsLayer::new().allow_origin(origins).allow_methods(methods).allow_headers(headers).expose_headers([ETAG]))
}
