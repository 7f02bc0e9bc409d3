//! Removing what a fixture does not name.

use std::collections::BTreeSet;

use super::{Action, Plan};
use crate::error::Result;
use crate::model::{Actor, ConversationKey, ConversationSelector, MessageKey, MessageSelector, UserKey, UserSelector};
use crate::service;
use crate::store::{Tx, bulk};
use crate::transfer::existing::ExistingRows;
use crate::transfer::records::{Entry, Record};

/// What the records of a fixture are or refer to.
///
/// What a record only refers to stays as it is: a message with who sent it and its conversation, a conversation with who
/// takes part in it.
pub(super) struct Kept {
    messages: Vec<MessageKey>,
    pub(super) conversations: BTreeSet<ConversationKey>,
    pub(super) users: BTreeSet<UserKey>,
}

/// What will be removed, and gave its username, email or name away
#[derive(Default)]
pub(super) struct Doomed {
    pub(super) users: BTreeSet<UserKey>,
    pub(super) conversations: BTreeSet<ConversationKey>,
}

impl Kept {
    pub(super) fn find(tx: &mut Tx<'_>, existing: &ExistingRows, entries: &[Entry]) -> Result<Self> {
        let messages = existing.messages().map(|message| message.key).collect();
        let mut conversations = existing.named_conversations(entries);
        conversations.extend(existing.messages().map(|message| message.conversation));
        let mut users = existing.named_users(entries);
        users.extend(existing.messages().filter_map(|message| message.sender));
        let listed: BTreeSet<ConversationKey> = entries
            .iter()
            .filter_map(|entry| match &entry.record {
                Record::Conversation(record) => {
                    existing.conversation_of(entry, record).map(|place| place.conversation.key)
                }
                _ => None,
            })
            .collect();
        let unlisted: Vec<ConversationKey> = conversations.difference(&listed).copied().collect();
        users.extend(bulk::participants(tx, unlisted)?.into_iter().map(|(_, user, _)| user));
        Ok(Self { messages, conversations, users })
    }
}

/// Removes the users, conversations and messages that no record is or refers to, once every record is there.
pub(super) fn prune(tx: &mut Tx<'_>, actor: &Actor, entries: &[Entry], doomed: &Doomed, plan: &mut Plan) -> Result<()> {
    let mut existing = ExistingRows::find(tx, entries)?;
    existing.settle(tx, entries)?;
    let Kept { messages, conversations, users } = Kept::find(tx, &existing, entries)?;
    let users: Vec<UserKey> = users.difference(&doomed.users).copied().collect();
    let conversations: Vec<ConversationKey> = conversations.difference(&doomed.conversations).copied().collect();
    let others = bulk::users_except(tx, &users)?;
    for person in &others {
        plan.note(Action::Removed, "user", &person.username, Vec::new());
    }
    let removed: Vec<UserSelector> = others.iter().map(|person| UserSelector::Id(person.user_id)).collect();
    let mut gone = 0;
    if !removed.is_empty() {
        let receipt = service::accounts::delete(tx, actor, &removed)?;
        gone += receipt.messages_sent + receipt.messages_received + receipt.messages_of_groups;
    }
    for (id, name) in bulk::conversations_except(tx, &conversations)? {
        gone += service::conversations::delete(tx, actor, &ConversationSelector::Id(id))?.message_count;
        plan.note(Action::Removed, "conversation", &name.unwrap_or_else(|| id.to_string()), Vec::new());
    }
    let others = bulk::messages_except(tx, &messages)?;
    for (id, key) in &others {
        plan.note(Action::Removed, "message", &key.clone().unwrap_or_else(|| id.to_string()), Vec::new());
    }
    let removed: Vec<MessageSelector> = others.iter().map(|(id, _)| MessageSelector::Id(*id)).collect();
    service::messages::delete(tx, actor, &removed)?;
    plan.messages_removed = gone.unsigned_abs() + others.len() as u64;
    Ok(())
}
