//! In what records differ from what is there; what a record does not say is not compared.

use std::collections::HashMap;

use super::{ExistingConversation, ExistingRows};
use crate::model::{Level, UserKey, is_blank, normalize};
use crate::store::bulk::{Account, MessageRow};
use crate::transfer::records::{ConversationRecord, MessageRecord, UserRecord};

impl ExistingRows {
    /// In what a record differs from the account that is there, in the words of its fields; what it does not say is not
    /// compared, and a password in plain text cannot be.
    pub(in crate::transfer) fn user_differences(record: &UserRecord, account: &Account) -> Vec<&'static str> {
        let user = &account.user;
        let person = &user.person;
        let email = record.email.as_deref().map(normalize);
        let differences = [
            ("user_id", record.user_id.is_some_and(|id| id != person.user_id)),
            ("username", normalize(&record.username) != person.username),
            ("email", email.is_some_and(|email| email != user.email.as_deref().unwrap_or_default())),
            ("first_name", record.first_name.as_ref().is_some_and(|name| *name != person.first_name)),
            ("last_name", record.last_name.as_ref().is_some_and(|name| *name != person.last_name)),
            ("role", record.role.is_some_and(|role| role != user.role)),
            ("is_active", record.is_active.is_some_and(|is_active| is_active != user.is_active)),
            ("created_at", record.created_at.is_some_and(|created_at| created_at != user.created_at)),
            ("password_hash", record.password_hash.is_some() && record.password_hash != account.password_hash),
        ];
        different(&differences)
    }

    /// In what a record differs from the conversation that is there, and those who take part in it
    pub(in crate::transfer) fn conversation_differences(
        &self,
        record: &ConversationRecord,
        place: &ExistingConversation,
    ) -> Vec<&'static str> {
        let conversation = &place.conversation;
        let (name, _) = record.names();
        // What is there may be from before a title of nothing but invisible characters was none.
        let is_title_there = |title: &str| {
            let there = conversation.title.as_deref();
            there == Some(title) || there == Some(title).filter(|title| !is_blank(title))
        };
        let participants = self.participants.get(&conversation.key).cloned().unwrap_or_default();
        let named: HashMap<Option<UserKey>, Level> =
            record.participants.iter().map(|one| (self.user(one.user()), one.level())).collect();
        let is_as_named = named.len() == participants.len()
            && participants.iter().all(|(user, level)| named.get(&Some(*user)) == Some(level));
        let creator = record.creator.as_deref().map(|creator| self.user(creator));
        let differences = [
            ("conversation_id", record.conversation_id.is_some_and(|id| id != conversation.id)),
            ("kind", record.kind.is_some_and(|kind| kind != conversation.kind)),
            ("name", record.name.is_some() && name != conversation.name.as_deref()),
            ("title", record.title.as_deref().is_some_and(|title| !is_title_there(title))),
            ("creator", creator.is_some_and(|creator| creator != conversation.creator_key)),
            ("participants", !is_as_named),
            ("created_at", record.created_at.is_some_and(|created_at| created_at != conversation.created_at)),
        ];
        different(&differences)
    }

    /// Whether the revisions of a message begin with those of the record: what came behind them may have come later
    pub(in crate::transfer) fn keeps_history(&self, record: &MessageRecord, message: &MessageRow) -> bool {
        let mut kept = self.revisions.get(&message.key).into_iter().flatten();
        record.revision.is_none_or(|revision| revision <= message.revision)
            && record
                .numbered_revisions()
                .all(|(number, one)| kept.next().is_some_and(|kept| (kept.0, &kept.1) == (number, &one.content)))
    }

    /// In what a record differs from the message that is there and its revisions
    pub(in crate::transfer) fn message_differences(
        &self,
        record: &MessageRecord,
        message: &MessageRow,
    ) -> Vec<&'static str> {
        let sender = record.sender.as_deref().map(|sender| self.user(sender));
        let place = self.conversation(&record.conversation, message.sender);
        let receiver = record.receiver.as_deref().map(|receiver| self.user(receiver));
        let parent = record.reply_to.as_deref().map(|parent| self.message(parent).map(|parent| parent.key));
        let said: Vec<(i64, &str)> = record.numbered_revisions().map(|(number, one)| (number, &*one.content)).collect();
        let kept = self.revisions.get(&message.key).into_iter().flatten();
        let kept = kept.map(|(number, content)| (*number, content.as_str()));
        let differences = [
            ("message_id", record.message_id.is_some_and(|id| id != message.id)),
            ("key", record.key.is_some() && record.key != message.key_name),
            ("conversation", place.is_none_or(|place| place.conversation.key != message.conversation)),
            ("number", record.number.is_some_and(|number| number != message.number)),
            ("sender", sender.is_some_and(|sender| sender != message.sender)),
            ("receiver", receiver.is_some_and(|receiver| receiver != message.receiver)),
            ("reply_to", parent.is_some_and(|parent| parent != message.parent)),
            ("timestamp", record.timestamp.is_some_and(|timestamp| timestamp != message.sent_at)),
            ("content", record.content != message.content),
            ("revision", record.revision.is_some_and(|revision| revision != message.revision)),
            ("deleted", record.deleted != message.sender.is_none()),
            ("revisions", !said.is_empty() && !said.iter().copied().eq(kept)),
        ];
        different(&differences)
    }
}

/// What is said of fields in which a record differs from what is there
pub(in crate::transfer) fn said_of(what: &str, differences: &[&str]) -> String {
    format!("{what} is there already; it differs in {}.", differences.join(", "))
}

/// What is said of a message that was deleted since a record spoke of it
pub(in crate::transfer) fn deleted(what: &str) -> String {
    format!("{what} was deleted here; only a tombstone is left.")
}

fn different(differences: &[(&'static str, bool)]) -> Vec<&'static str> {
    differences.iter().filter(|(_, differs)| *differs).map(|(field, _)| *field).collect()
}
