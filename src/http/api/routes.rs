//! Which endpoints there are: one row each, from which come the router, the OpenAPI document and the table of docs/rest.md.

use super::answer::{List, Marked};
use super::changes::Empty;
use super::endpoint::{Endpoint, delete, patch, post, show};
use super::request::Part;
use super::{conversations, messages, notifications, tokens, users};
use crate::error::Kind;
use crate::model::{ConversationView, Message, Notification, Profile, Receipt, Revision, ThreadMessage, User, UserRef};
use crate::service::tokens::TokenPair;

/// Every endpoint of the API
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn endpoints() -> Vec<Endpoint> {
    use Kind::{Conflict, Forbidden, Invalid, NotFound, RateLimited, Unauthenticated};
    vec![
        post("/api/token/", "Log in", tokens::log_in)
            .for_anyone()
            .limited_by(|limits| &limits.log_ins)
            .like("token issue USER")
            .taking::<tokens::Credentials>()
            .giving::<TokenPair>(200, "Tokens and their user")
            .or(&[Unauthenticated]),
        post("/api/token/refresh/", "Exchange a refresh token for a new pair", tokens::refresh)
            .for_anyone()
            .taking::<tokens::Refresh>()
            .giving::<tokens::NewTokens>(
                200,
                "New tokens; the same again within 30 seconds, and later until the new refresh token is used",
            )
            .or(&[Unauthenticated]),
        post("/api/token/verify/", "Check whether a token is valid", tokens::verify)
            .for_anyone()
            .taking::<tokens::Token>()
            .giving::<tokens::Nothing>(200, "The token is valid.")
            .or(&[Unauthenticated]),
        post("/api/token/revoke/", "Log out: end a log-in", tokens::revoke)
            .for_anyone()
            .like("token revoke USER")
            .taking::<tokens::Refresh>()
            .giving_nothing(),
        post("/api/users/", "Register", users::register)
            .like("user create NAME --password-stdin")
            .taking::<users::Registration>()
            .giving::<User>(201, "The account")
            .once()
            .or(&[Forbidden, Unauthenticated])
            .limited_by(|limits| &limits.registrations)
            .optional(),
        show("/api/users/", "List users", users::list)
            .like("user list")
            .asking::<users::Listing>()
            .giving::<List<Profile>>(200, "Users by username; for admins with email, role and state"),
        show("/api/users/me/", "Show your account", users::show_own)
            .like("user show USER")
            .giving::<User>(200, "The account"),
        patch("/api/users/me/", "Change your account", users::change_own)
            .like("user update USER")
            .taking::<users::OwnChange>()
            .giving::<User>(200, "The account")
            .on_condition()
            .or(&[Conflict, RateLimited]),
        show("/api/users/me/export/", "Export everything about you", users::export_own)
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
            .on_condition()
            .or(&[Forbidden, NotFound, Conflict]),
        delete("/api/users/{user_id}/", "Delete an account, as an admin", users::delete)
            .like("user delete USER --yes")
            .giving_nothing()
            .on_condition()
            .giving::<Receipt>(200, "The receipt, for `Prefer: return=representation`")
            .or(&[Forbidden, NotFound]),
        delete("/api/user/delete/", "Delete your account", users::delete_own)
            .like("user delete USER --yes")
            .giving_nothing()
            .on_condition()
            .giving::<Receipt>(200, "The receipt, for `Prefer: return=representation`")
            .or(&[Forbidden]),
        show("/api/conversations/", "List your conversations", conversations::list)
            .like("conversation list")
            .asking::<conversations::Listing>()
            .giving::<List<ConversationView>>(200, "Newest activity first, each with up to 10 participants"),
        post("/api/conversations/", "Create a conversation", conversations::create)
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
            .on_condition()
            .or(&[Forbidden, NotFound, Conflict]),
        delete(
            "/api/conversations/{conversation_id}/",
            "Delete a conversation with its messages",
            conversations::delete,
        )
        .like("conversation delete CONV --yes")
        .giving_nothing()
        .on_condition()
        .or(&[Forbidden, NotFound]),
        show("/api/conversations/{conversation_id}/participants/", "List participants", conversations::participants)
            .like("conversation show CONV")
            .asking::<Part>()
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
            "Set which messages notify you",
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
        post("/api/conversations/{conversation_id}/read/", "Mark a conversation as read", conversations::read)
            .like("message read CONV")
            .taking::<Empty>()
            .optional_body()
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
        patch("/api/conversations/{conversation_id}/messages/{message_id}/", "Edit your message", messages::edit)
            .like("message edit MSG TEXT")
            .taking::<messages::Edit>()
            .giving::<Message>(200, "The message")
            .on_condition()
            .or(&[Forbidden, NotFound]),
        delete("/api/conversations/{conversation_id}/messages/{message_id}/", "Delete a message", messages::delete)
            .like("message delete MSG --yes")
            .giving_nothing()
            .on_condition()
            .or(&[Forbidden, NotFound, Invalid]),
        show("/api/messages/", "List all visible messages", messages::list_everywhere)
            .like("message list")
            .asking::<messages::Everywhere>()
            .giving::<List<Message>>(200, "Newest first; a search adds `snippet` and `partial`"),
        show("/api/messages/unread/", "List unread messages", messages::unread)
            .like("message list --unread")
            .asking::<Part>()
            .giving::<List<Message>>(200, "The last to come in first"),
        patch("/api/messages/unread/", "Mark messages as read", messages::read)
            .like("message read MSG…")
            .taking::<messages::Which>()
            .giving::<Marked>(200, "How many were unread"),
        show("/api/messages/{message_id}/", "Show a message", messages::show)
            .like("message show MSG")
            .giving::<Message>(200, "The message")
            .or(&[NotFound]),
        patch("/api/messages/{message_id}/", "Edit your message", messages::edit)
            .like("message edit MSG TEXT")
            .taking::<messages::Edit>()
            .giving::<Message>(200, "The message")
            .on_condition()
            .or(&[Forbidden, NotFound]),
        delete("/api/messages/{message_id}/", "Delete a message", messages::delete)
            .like("message delete MSG --yes")
            .giving_nothing()
            .on_condition()
            .or(&[Forbidden, NotFound, Invalid]),
        show("/api/messages/{message_id}/history/", "List the earlier contents of a message", messages::history)
            .like("message history MSG")
            .asking::<Part>()
            .giving::<List<Revision>>(200, "Newest first")
            .or(&[NotFound]),
        show("/api/messages/{message_id}/thread/", "List a message and all replies to it", messages::thread)
            .like("message thread MSG")
            .asking::<Part>()
            .giving::<List<ThreadMessage>>(200, "Each behind what it replies to, with its depth")
            .or(&[NotFound]),
        show("/api/notifications/", "List your notifications", notifications::list)
            .like("notifications list")
            .asking::<notifications::Listing>()
            .giving::<List<Notification>>(200, "Newest first"),
        patch("/api/notifications/{message_id}/", "Mark a notification as read or unread", notifications::change)
            .like("notifications read MSG")
            .taking::<notifications::Change>()
            .giving::<Notification>(200, "The notification")
            .or(&[NotFound]),
        post("/api/notifications/read/", "Mark notifications as read, some or all", notifications::read)
            .like("notifications read --all")
            .taking::<notifications::Which>()
            .giving::<Marked>(200, "How many were unread")
            .once()
            .optional_body(),
    ]
}
