//! Removing what a fixture does not name.

use super::{Action, Plan};
use crate::error::Result;
use crate::model::{Actor, ConversationSelector, MessageSelector, UserSelector};
use crate::service;
use crate::store::{Tx, bulk};
use crate::transfer::known::Known;
use crate::transfer::records::{Entry, Record};

/// Removes the users, conversations and messages that no record is, once every record is there.
pub(super) fn prune(tx: &mut Tx<'_>, actor: &Actor, entries: &[Entry], plan: &mut Plan) -> Result<()> {
    let known = Known::find(tx, entries)?;
    let (mut users, mut conversations, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        match &entry.record {
            Record::User(record) => users.extend(known.user_of(record).map(|account| account.user.person.key)),
            Record::Conversation(record) => {
                conversations.extend(known.conversation_of(entry, record).map(|place| place.conversation.key));
            }
            Record::Message(record) => messages.extend(known.message_of(entry, record).map(|message| message.key)),
            Record::Notification(_) => {}
        }
    }
    let others = bulk::users_besides(tx, &users)?;
    for person in &others {
        plan.note(Action::Removed, "user", &person.username, Vec::new());
    }
    let doomed: Vec<UserSelector> = others.iter().map(|person| UserSelector(person.user_id.to_string())).collect();
    if !doomed.is_empty() {
        service::accounts::delete(tx, actor, &doomed)?;
    }
    for (id, name) in bulk::conversations_besides(tx, &conversations)? {
        service::conversations::delete(tx, actor, &ConversationSelector::Id(id))?;
        plan.note(Action::Removed, "conversation", &name.unwrap_or_else(|| id.to_string()), Vec::new());
    }
    let others = bulk::messages_besides(tx, &messages)?;
    for (id, key) in &others {
        plan.note(Action::Removed, "message", &key.clone().unwrap_or_else(|| id.to_string()), Vec::new());
    }
    let doomed: Vec<MessageSelector> = others.iter().map(|(id, _)| MessageSelector::Id(*id)).collect();
    service::messages::delete(tx, actor, &doomed)?;
    Ok(())
}
