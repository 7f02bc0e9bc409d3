//! The rows of a dump as what they are, by the usual names of models and fields.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::fields::{Fields, Key, primary};
use super::parse::Row;
use super::report::{Origin, Report};
use crate::model::Timestamp;

/// All rows that are known
#[derive(Default)]
pub(super) struct Rows {
    pub(super) users: Vec<User>,
    pub(super) conversations: Vec<Conversation>,
    /// Rows of the table between conversations and users, where the project made one itself
    pub(super) memberships: Vec<Membership>,
    pub(super) messages: Vec<Message>,
    pub(super) histories: Vec<History>,
    pub(super) notifications: Vec<Notification>,
    models: BTreeSet<Arc<str>>,
    /// Model and primary key of those that have one
    keys: HashSet<(Arc<str>, String)>,
}

pub(super) struct User {
    pub(super) origin: Origin,
    /// An id besides the primary key
    pub(super) id: Option<Uuid>,
    pub(super) username: Option<String>,
    pub(super) email: Option<String>,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) password: Option<String>,
    pub(super) is_admin: bool,
    pub(super) is_active: bool,
    pub(super) created: Option<Timestamp>,
}

pub(super) struct Conversation {
    pub(super) origin: Origin,
    pub(super) id: Option<Uuid>,
    pub(super) title: Option<String>,
    pub(super) creator: Option<Key>,
    pub(super) participants: Vec<Key>,
    pub(super) created: Option<Timestamp>,
}

pub(super) struct Membership {
    pub(super) origin: Origin,
    pub(super) conversation: Option<Key>,
    pub(super) user: Option<Key>,
}

pub(super) struct Message {
    pub(super) origin: Origin,
    pub(super) id: Option<Uuid>,
    pub(super) sender: Option<Key>,
    pub(super) receiver: Option<Key>,
    pub(super) conversation: Option<Key>,
    pub(super) content: String,
    pub(super) sent: Option<Timestamp>,
    pub(super) edited: bool,
    pub(super) edited_at: Option<Timestamp>,
    pub(super) edited_by: Option<Key>,
    pub(super) read: Option<bool>,
    pub(super) parent: Option<Key>,
}

pub(super) struct History {
    pub(super) origin: Origin,
    pub(super) message: Option<Key>,
    pub(super) content: String,
    pub(super) edited_at: Option<Timestamp>,
    pub(super) edited_by: Option<Key>,
}

pub(super) struct Notification {
    pub(super) origin: Origin,
    pub(super) user: Option<Key>,
    pub(super) message: Option<Key>,
    pub(super) is_read: bool,
}

impl Rows {
    /// Takes in a row; of those with the same key the first.
    pub(super) fn add(&mut self, row: Row, report: &mut Report) {
        let model = row.model.to_lowercase();
        let name = model.rsplit_once('.').map_or(model.as_str(), |(_, name)| name).to_owned();
        let origin = Origin { model: self.model(model), pk: primary(&row.pk).unwrap_or_default() };
        if !origin.pk.is_empty() && !self.keys.insert((Arc::clone(&origin.model), origin.pk.clone())) {
            report.row(&origin, None, "The row is in the file twice; the first is carried.");
            return;
        }
        let has_password = row.fields.keys().any(|field| field.to_lowercase().starts_with("password"));
        let mut fields = Fields { origin: &origin, left: row.fields, report };
        match name.as_str() {
            "user" | "users" => self.users.push(user(&mut fields)),
            name if has_password
                && (name.ends_with("user") || name.ends_with("users") || name.ends_with("account")) =>
            {
                self.users.push(user(&mut fields));
            }
            "conversation" | "conversations" | "chat" | "chatroom" | "room" | "thread" => {
                self.conversations.push(conversation(&mut fields));
            }
            "conversationparticipant" | "conversationmember" | "participant" | "participants" | "membership" => {
                self.memberships.push(membership(&mut fields));
            }
            "message" | "messages" | "chatmessage" | "directmessage" | "privatemessage" => {
                self.messages.push(message(&mut fields));
            }
            "messagehistory" | "messagehistories" | "messageedit" | "messageedithistory" | "messagerevision"
            | "messageversion" | "edithistory" => self.histories.push(history(&mut fields)),
            "notification" | "notifications" | "messagenotification" => {
                self.notifications.push(notification(&mut fields));
            }
            _ => {
                fields.report.unknown(&origin, None);
                return;
            }
        }
        fields.leave();
    }

    /// The name of a model, kept once
    fn model(&mut self, name: String) -> Arc<str> {
        if let Some(known) = self.models.get(name.as_str()) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.models.insert(Arc::clone(&name));
        name
    }
}

fn user(fields: &mut Fields<'_>) -> User {
    let is_superuser = fields.flag(&["is_superuser"]) == Some(true);
    let role = fields.text(&["role"]).filter(|role| !role.is_empty());
    let is_admin = is_superuser || role.as_deref().is_some_and(|role| role.eq_ignore_ascii_case("admin"));
    if fields.flag(&["is_staff"]) == Some(true) && !is_admin {
        fields.report.unknown(fields.origin, Some("is_staff"));
    }
    if role.is_some_and(|role| !["admin", "user"].contains(&role.to_lowercase().as_str())) {
        fields.report.unknown(fields.origin, Some("role"));
    }
    User {
        origin: fields.origin.clone(),
        id: fields.id("user_id"),
        username: fields.text(&["username"]),
        email: fields.text(&["email"]),
        first_name: fields.text(&["first_name"]).unwrap_or_default(),
        last_name: fields.text(&["last_name"]).unwrap_or_default(),
        password: fields
            .text(&["password"])
            .filter(|text| !text.is_empty())
            .or_else(|| fields.text(&["password_hash"])),
        is_admin,
        is_active: fields.flag(&["is_active"]).unwrap_or(true),
        created: fields.instant(&["date_joined", "created_at", "created"]),
    }
}

fn conversation(fields: &mut Fields<'_>) -> Conversation {
    Conversation {
        origin: fields.origin.clone(),
        id: fields.id("conversation_id"),
        title: fields.text(&["title", "name", "topic", "subject"]),
        creator: fields.reference(&["creator", "created_by", "owner"]),
        participants: fields.references(&["participants", "participant", "members", "users"]),
        created: fields.instant(&["created_at", "created", "timestamp"]),
    }
}

fn membership(fields: &mut Fields<'_>) -> Membership {
    Membership {
        origin: fields.origin.clone(),
        conversation: fields.reference(&["conversation", "chat", "room", "thread"]),
        user: fields.reference(&["user", "participant", "member"]),
    }
}

fn message(fields: &mut Fields<'_>) -> Message {
    Message {
        origin: fields.origin.clone(),
        id: fields.id("message_id"),
        sender: fields.reference(&["sender", "from_user", "author"]),
        receiver: fields.reference(&["receiver", "recipient", "to_user"]),
        conversation: fields.reference(&["conversation", "chat", "room", "thread"]),
        content: fields.text(&["content", "message_body", "body", "text", "message"]).unwrap_or_default(),
        sent: fields.instant(&["timestamp", "sent_at", "created_at", "created"]),
        edited: fields.flag(&["edited", "is_edited"]) == Some(true),
        edited_at: fields.instant(&["edited_at", "last_edited"]),
        edited_by: fields.reference(&["edited_by"]),
        read: fields.flag(&["read", "is_read"]),
        parent: fields.reference(&["parent_message", "parent", "reply_to"]),
    }
}

fn history(fields: &mut Fields<'_>) -> History {
    History {
        origin: fields.origin.clone(),
        message: fields.reference(&["message", "original_message"]),
        content: fields.text(&["old_content", "previous_content", "content", "old_body", "body"]).unwrap_or_default(),
        edited_at: fields.instant(&["edited_at", "changed_at", "timestamp", "created_at"]),
        edited_by: fields.reference(&["edited_by", "editor", "changed_by"]),
    }
}

fn notification(fields: &mut Fields<'_>) -> Notification {
    Notification {
        origin: fields.origin.clone(),
        user: fields.reference(&["user", "recipient", "receiver"]),
        message: fields.reference(&["message"]),
        is_read: fields.flag(&["is_read", "read", "seen"]) == Some(true),
    }
}

/// Sorts as numbers do where keys are numbers, else as texts.
pub(super) fn order(pk: &str) -> (u64, &str) {
    (pk.parse().unwrap_or(u64::MAX), pk)
}
