//! Which endpoints there are: one row each, from which come the router, the OpenAPI document and the table of docs/rest.md.

use super::answer::{List, Marked};
use super::changes::Empty;
use super::endpoint::{Endpoint, delete, patch, post, show};
use super::request::Part;
use super::{conversations, events, messages, notifications, tokens, users};
use crate::error::Kind;
use crate::model::{ConversationView, Message, Notification, Profile, Receipt, Revision, ThreadMessage, User, UserRef};
use crate::service::events::EventView;
use crate::service::tokens::TokenPair;

/// Where events are streamed
pub(super) const EVENTS: &str = "/api/events/";

/// Every endpoint of the API
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn endpoints() -> Vec<Endpoint> {
    use Kind::{Conflict, Forbidden, Invalid, NotFound, RateLimited, Unauthenticated, Unavailable};
    vec![
        post("/api/token/", "Log in", tokens::log_in)
            .for_anyone()
            .limited_by(|limits| &limits.log_ins)
            .cli("token issue USER")
            .body::<tokens::Credentials>()
            .response::<TokenPair>(200, "Tokens and their user")
            .or(&[Unauthenticated]),
        post("/api/token/refresh/", "Exchange a refresh token for a new pair", tokens::refresh)
            .for_anyone()
            .body::<tokens::Refresh>()
            .response::<tokens::NewTokens>(
                200,
                "New tokens; the same again within 30 seconds, and later until the new refresh token is used",
            )
            .or(&[Unauthenticated]),
        post("/api/token/verify/", "Check whether a token is valid", tokens::verify)
            .for_anyone()
            .body::<tokens::Token>()
            .response::<tokens::Nothing>(200, "The token is valid.")
            .or(&[Unauthenticated]),
        post("/api/token/revoke/", "Log out: end a log-in", tokens::revoke)
            .for_anyone()
            .cli("token revoke USER")
            .body::<tokens::Refresh>()
            .no_content(),
        post("/api/users/", "Register", users::register)
            .cli("user create NAME --password-stdin")
            .body::<users::Registration>()
            .response::<User>(201, "The account")
            .idempotency_key()
            .or(&[Forbidden, Unauthenticated])
            .limited_by(|limits| &limits.registrations)
            .optional(),
        show("/api/users/", "List users", users::list)
            .cli("user list")
            .query::<users::Listing>()
            .response::<List<Profile>>(200, "Users by username; for admins with email, role and state"),
        show("/api/users/me/", "Show your account", users::show_own)
            .cli("user show USER")
            .response::<User>(200, "The account"),
        patch("/api/users/me/", "Change your account", users::change_own)
            .cli("user update USER")
            .body::<users::OwnChange>()
            .response::<User>(200, "The account")
            .on_condition()
            .or(&[Conflict, RateLimited]),
        show("/api/users/me/export/", "Export everything about you", users::export_own)
            .cli("user export USER")
            .response::<serde_json::Map<String, serde_json::Value>>(200, "See docs/export.schema.json")
            .or(&[RateLimited]),
        show("/api/users/{user_id}/", "Show a user", users::show)
            .cli("user show USER")
            .response::<Profile>(200, "The user")
            .or(&[NotFound]),
        patch("/api/users/{user_id}/", "Change an account, as an admin", users::change)
            .cli("user update USER --role ROLE")
            .body::<users::AccountPatch>()
            .response::<User>(200, "The account")
            .on_condition()
            .or(&[Forbidden, NotFound, Conflict]),
        delete("/api/users/{user_id}/", "Delete an account, as an admin", users::delete)
            .cli("user delete USER --yes")
            .no_content()
            .on_condition()
            .receipt::<Receipt>()
            .or(&[Forbidden, NotFound]),
        delete("/api/user/delete/", "Delete your account", users::delete_own)
            .cli("user delete USER --yes")
            .no_content()
            .on_condition()
            .receipt::<Receipt>()
            .or(&[Forbidden]),
        show("/api/conversations/", "List your conversations", conversations::list)
            .cli("conversation list")
            .query::<conversations::Listing>()
            .response::<List<ConversationView>>(200, "Newest activity first, each with up to 10 participants"),
        post("/api/conversations/", "Create a conversation", conversations::create)
            .cli("conversation create USER…")
            .body::<conversations::New>()
            .response::<ConversationView>(201, "The conversation")
            .response::<ConversationView>(200, "The existing direct conversation")
            .idempotency_key(),
        show(
            "/api/conversations/{conversation_id}/",
            "Show a conversation and its newest 20 messages",
            conversations::show,
        )
        .cli("conversation show CONV")
        .response::<conversations::Shown>(200, "The conversation")
        .or(&[NotFound]),
        patch("/api/conversations/{conversation_id}/", "Change a group's name or title", conversations::change)
            .cli("conversation update CONV --title TITLE")
            .body::<conversations::ConversationPatch>()
            .response::<ConversationView>(200, "The conversation")
            .on_condition()
            .or(&[Forbidden, NotFound, Conflict]),
        delete(
            "/api/conversations/{conversation_id}/",
            "Delete a conversation with its messages",
            conversations::delete,
        )
        .cli("conversation delete CONV --yes")
        .no_content()
        .on_condition()
        .or(&[Forbidden, NotFound]),
        show("/api/conversations/{conversation_id}/participants/", "List participants", conversations::participants)
            .cli("conversation show CONV")
            .query::<Part>()
            .response::<List<UserRef>>(200, "Oldest account first")
            .or(&[NotFound]),
        post("/api/conversations/{conversation_id}/participants/", "Add people to a group", conversations::add)
            .cli("conversation add CONV USER…")
            .body::<conversations::People>()
            .response::<ConversationView>(200, "The conversation")
            .idempotency_key()
            .or(&[NotFound]),
        patch(
            "/api/conversations/{conversation_id}/participants/me/",
            "Set which messages notify you",
            conversations::set_level,
        )
        .cli("conversation level CONV LEVEL")
        .body::<conversations::OwnPart>()
        .response::<ConversationView>(200, "The conversation")
        .or(&[NotFound]),
        delete(
            "/api/conversations/{conversation_id}/participants/{user_id}/",
            "Remove somebody, or leave",
            conversations::remove,
        )
        .cli("conversation remove CONV USER")
        .no_content()
        .or(&[Invalid, Forbidden, NotFound]),
        post("/api/conversations/{conversation_id}/read/", "Mark a conversation as read", conversations::read)
            .cli("message read CONV")
            .body::<Empty>()
            .optional_body()
            .response::<Marked>(200, "The number that was unread")
            .idempotency_key()
            .or(&[NotFound]),
        show("/api/conversations/{conversation_id}/messages/", "List the messages of a conversation", messages::list)
            .cli("message list CONV")
            .query::<messages::Listing>()
            .response::<List<Message>>(200, "Newest first; a search adds `snippet` and `partial`")
            .or(&[NotFound]),
        post("/api/conversations/{conversation_id}/messages/", "Send a message", messages::send)
            .cli("message send CONV TEXT")
            .body::<messages::New>()
            .response::<Message>(201, "The message")
            .idempotency_key()
            .or(&[Forbidden, NotFound]),
        show("/api/conversations/{conversation_id}/messages/{message_id}/", "Show a message", messages::show)
            .cli("message show MSG")
            .response::<Message>(200, "The message")
            .or(&[NotFound]),
        patch("/api/conversations/{conversation_id}/messages/{message_id}/", "Edit your message", messages::edit)
            .cli("message edit MSG TEXT")
            .body::<messages::Edit>()
            .response::<Message>(200, "The message")
            .on_condition()
            .or(&[Forbidden, NotFound]),
        delete("/api/conversations/{conversation_id}/messages/{message_id}/", "Delete a message", messages::delete)
            .cli("message delete MSG --yes")
            .no_content()
            .on_condition()
            .or(&[Forbidden, NotFound, Invalid]),
        show("/api/messages/", "List all visible messages", messages::list_everywhere)
            .cli("message list")
            .query::<messages::Everywhere>()
            .response::<List<Message>>(200, "Newest first; a search adds `snippet` and `partial`"),
        show("/api/messages/unread/", "List unread messages", messages::unread)
            .cli("message list --unread")
            .query::<Part>()
            .response::<List<Message>>(200, "Most recently received first"),
        patch("/api/messages/unread/", "Mark messages as read", messages::read)
            .cli("message read MSG…")
            .body::<messages::Which>()
            .response::<Marked>(200, "The number that was unread"),
        show("/api/messages/{message_id}/", "Show a message", messages::show)
            .cli("message show MSG")
            .response::<Message>(200, "The message")
            .or(&[NotFound]),
        patch("/api/messages/{message_id}/", "Edit your message", messages::edit)
            .cli("message edit MSG TEXT")
            .body::<messages::Edit>()
            .response::<Message>(200, "The message")
            .on_condition()
            .or(&[Forbidden, NotFound]),
        delete("/api/messages/{message_id}/", "Delete a message", messages::delete)
            .cli("message delete MSG --yes")
            .no_content()
            .on_condition()
            .or(&[Forbidden, NotFound, Invalid]),
        show("/api/messages/{message_id}/history/", "List the earlier contents of a message", messages::history)
            .cli("message history MSG")
            .query::<Part>()
            .response::<List<Revision>>(200, "Newest first")
            .or(&[NotFound]),
        show("/api/messages/{message_id}/thread/", "List a message and all replies to it", messages::thread)
            .cli("message thread MSG")
            .query::<Part>()
            .response::<List<ThreadMessage>>(200, "Each reply after the message it replies to, with its depth")
            .or(&[NotFound]),
        show("/api/notifications/", "List your notifications", notifications::list)
            .cli("notifications list")
            .query::<notifications::Listing>()
            .response::<List<Notification>>(200, "Newest first"),
        patch("/api/notifications/{message_id}/", "Mark a notification as read or unread", notifications::change)
            .cli("notifications read MSG")
            .body::<notifications::NotificationPatch>()
            .response::<Notification>(200, "The notification")
            .or(&[NotFound]),
        post("/api/notifications/read/", "Mark notifications as read, some or all", notifications::read)
            .cli("notifications read --all")
            .body::<notifications::Which>()
            .response::<Marked>(200, "The number that was unread")
            .idempotency_key()
            .optional_body(),
        show(EVENTS, "Stream what happens (server-sent events)", events::stream)
            .query::<events::Listening>()
            .streams::<EventView>("Server-sent events: `event` is a kind, `bookmark`, `reset` or `end`")
            .or(&[NotFound, RateLimited, Unauthenticated, Unavailable]),
        post(
            "/api/events/ticket/",
            "Get a ticket for one stream, for clients that cannot send headers",
            events::ticket,
        )
        .response::<events::NewTicket>(201, "The ticket, valid for 30 seconds and once"),
    ]
}
