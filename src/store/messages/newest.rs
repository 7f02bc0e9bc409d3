//! The newest page of a conversation, the most frequent request.

use std::collections::HashMap;

use super::{Found, with_people};
use crate::error::Result;
use crate::model::{Conversation, ConversationKey, Message, MessageId, MessageKey, Number, UserKey};
use crate::store::{Row, Tx, list};

/// The newest messages of a conversation, the highest number first.
///
/// Its own columns are not read again for each of them, nor are parents that none has. Replies have higher numbers than what
/// they reply to, so that those to these messages are among them, and need not be looked for.
pub fn newest_in_conversation(tx: &mut Tx<'_>, conversation: &Conversation, limit: i64) -> Result<Vec<Message>> {
    let mut found = tx.all(
        concat!(
            "SELECT key, parent_key, id, number, sender_key, receiver_key, content, sent_at, revision, ",
            is_read!(),
            " FROM message WHERE conversation_key = $1 ORDER BY number DESC LIMIT $2"
        ),
        &[&conversation.key, &limit],
        |row| read(row, conversation),
    )?;
    count_replies(&mut found);
    name_parents(tx, &mut found)?;
    with_people(tx, found)
}

/// Whether a conversation has a message with a lower number, be it a tombstone
pub fn has_before(tx: &mut Tx<'_>, conversation: ConversationKey, number: Number) -> Result<bool> {
    let found = tx.one(
        "SELECT number FROM message WHERE conversation_key = $1 AND number < $2 ORDER BY number DESC LIMIT 1",
        &[&conversation, &number],
        |row| row.get::<Number>(0),
    )?;
    Ok(found.is_some())
}

fn read(row: &Row<'_>, conversation: &Conversation) -> Result<Found> {
    let sender: Option<UserKey> = row.get(4)?;
    let revision = row.get(8)?;
    let message = Message {
        key: row.get(0)?,
        conversation_key: conversation.key,
        parent_key: row.get(1)?,
        conversation_name: conversation.name.clone(),
        conversation_kind: conversation.kind,
        parent_number: None,
        message_id: row.get(2)?,
        conversation: conversation.id,
        number: row.get(3)?,
        sender: None,
        receiver: None,
        content: row.get(6)?,
        timestamp: row.get(7)?,
        edited: revision > 1,
        revision,
        parent_message: None,
        is_thread: false,
        reply_count: 0,
        read: row.get(9)?,
        deleted: sender.is_none(),
    };
    Ok(Found { message, sender, receiver: row.get(5)? })
}

fn count_replies(found: &mut [Found]) {
    for reply in 0..found.len() {
        let Some(parent) = found[reply].message.parent_key else { continue };
        let is_living = found[reply].sender.is_some();
        // Behind the reply: the list goes down.
        if let Some(parent) = found[reply..].iter_mut().find(|found| found.message.key == parent) {
            parent.message.is_thread = true;
            parent.message.reply_count += i64::from(is_living);
        }
    }
}

fn name_parents(tx: &mut Tx<'_>, found: &mut [Found]) -> Result<()> {
    let keys: Vec<i64> = found.iter().filter_map(|found| found.message.parent_key).map(|key| key.0).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let parents =
        tx.all(concat!("SELECT key, id, number FROM message WHERE key IN ", list!("$1")), &[&list(keys)], |row| {
            Ok((row.get::<MessageKey>(0)?, (row.get::<MessageId>(1)?, row.get::<Number>(2)?)))
        })?;
    let parents: HashMap<_, _> = parents.into_iter().collect();
    for Found { message, .. } in found {
        if let Some((id, number)) = message.parent_key.and_then(|parent| parents.get(&parent)) {
            (message.parent_message, message.parent_number) = (Some(*id), Some(*number));
        }
    }
    Ok(())
}
