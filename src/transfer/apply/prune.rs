//! Removing what a fixture does not name.

use std::collections::BTreeSet;

use super::{Action, Plan};
use crate::error::Result;
use crate::model::{Actor, ConversationKey, ConversationSelector, MessageSelector, UserKey, UserSelector};
use crate::service;
use crate::store::{Tx, bulk};
use crate::transfer::known::Known;
use crate::transfer::records::{Entry, Record};

/// Removes the users, conversations and messages that no record is or refers to, once every record is there.
///
/// What a record only refers to stays as it is: a message with who sent it and its conversation, a conversation with who
/// takes part in it.
pub(super) fn prune(tx: &mut Tx<'_>, actor: &Actor, entries: &[Entry], plan: &mut Plan) -> Result<()> {
    let known = Known::find(tx, entries)?;
    let messages: Vec<_> = known.messages().map(|message| message.key).collect();
    let mut conversations: BTreeSet<ConversationKey> = known.conversations().collect();
    conversations.extend(known.messages().map(|message| message.conversation));
    let mut users: BTreeSet<UserKey> = known.users().collect();
    users.extend(known.messages().filter_map(|message| message.sender));
    let listed: BTreeSet<ConversationKey> = entries
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Conversation(record) => known.conversation_of(entry, record).map(|place| place.conversation.key),
            _ => None,
        })
        .collect();
    let unlisted: Vec<ConversationKey> = conversations.difference(&listed).copied().collect();
    users.extend(bulk::participants(tx, unlisted)?.into_iter().map(|(_, user, _)| user));

    let others = bulk::users_besides(tx, &users.into_iter().collect::<Vec<_>>())?;
    for person in &others {
        plan.note(Action::Removed, "user", &person.username, Vec::new());
    }
    let doomed: Vec<UserSelector> = others.iter().map(|person| UserSelector(person.user_id.to_string())).collect();
    let mut gone = 0;
    if !doomed.is_empty() {
        let receipt = service::accounts::delete(tx, actor, &doomed)?;
        gone += receipt.messages_sent + receipt.messages_received + receipt.messages_of_groups;
    }
    for (id, name) in bulk::conversations_besides(tx, &conversations.into_iter().collect::<Vec<_>>())? {
        gone += service::conversations::delete(tx, actor, &ConversationSelector::Id(id))?.message_count;
        plan.note(Action::Removed, "conversation", &name.unwrap_or_else(|| id.to_string()), Vec::new());
    }
    let others = bulk::messages_besides(tx, &messages)?;
    for (id, key) in &others {
        plan.note(Action::Removed, "message", &key.clone().unwrap_or_else(|| id.to_string()), Vec::new());
    }
    let doomed: Vec<MessageSelector> = others.iter().map(|(id, _)| MessageSelector::Id(*id)).collect();
    service::messages::delete(tx, actor, &doomed)?;
    plan.messages_removed = gone.unsigned_abs() + others.len() as u64;
    Ok(())
}
