//! Messages: sending, changing, deleting and reading them, and whom that concerns.

mod list;
mod mentions;
mod narrowed;
mod page;
mod search;
mod send;
mod thread;
mod versions;

pub use list::{List, begin, resume};
pub(in crate::service) use mentions::find as find_mentions;
pub use mentions::mentioned_at;
pub use page::{Matching, history_page, newest_page, page_everywhere, page_of, thread_page, unread_page};
pub use search::{Findings, HitPosition, Partial, Search, search, search_page, search_page_among};
pub use send::{Destination, Draft, notification_kind, notify, send, sent_at};
pub use thread::thread;
pub use versions::{Version, Versions, content_at, versions};

use std::collections::BTreeMap;

use super::Condition;
use super::idempotency::{IdempotentRequest, once_counted};
use crate::error::{Error, Result};
use crate::model::{
    Actor, ConversationKey, ConversationSelector, Event, EventKind, Message, MessageId, MessageKey, MessageSelector,
    Revision, is_blank,
};
use crate::service::notifications::Owner;
use crate::store::{self, Tx};

/// A new content for a message.
#[derive(Clone, Debug, Default)]
pub struct MessageEdit {
    pub content: String,
    /// The reason, for the history
    pub reason: Option<String>,
    /// Refuse unless the message is at this revision
    pub if_revision: Option<i64>,
}

/// Checks a message's content: 1 to 65,536 bytes, not blank, no NUL.
///
/// # Errors
/// `Invalid`, naming the field `content`.
pub fn check_content(content: &str) -> Result<()> {
    check_kept_content(content)?;
    if is_blank(content) { Err(blank()) } else { Ok(()) }
}

/// As [`check_content`], for existing content, which may consist of invisible characters from before the rule.
///
/// # Errors
/// As of [`check_content`].
pub fn check_kept_content(content: &str) -> Result<()> {
    let refuse = |detail: String| Err(Error::invalid("content", detail));
    if content.len() > 65_536 {
        refuse(format!("The message has {} bytes; at most 65,536 are allowed.", content.len()))
    } else if content.trim().is_empty() {
        Err(blank())
    } else if content.contains('\0') {
        refuse("The message contains a NUL character.".to_owned())
    } else {
        Ok(())
    }
}

fn blank() -> Error {
    Error::invalid("content", "The message is blank.")
}

/// Checks why a message was edited: up to 500 characters.
///
/// # Errors
/// `Invalid`, naming the field `reason`.
pub fn check_reason(reason: Option<&str>) -> Result<()> {
    reason.map_or(Ok(()), |reason| super::check_text("reason", reason, 500))
}

/// One message.
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn show(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Message> {
    super::message(tx, actor, selector)
}

/// The earlier contents of a message, newest first, for everybody who can see it.
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn history(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Vec<Revision>> {
    let message = super::message(tx, actor, selector)?;
    store::messages::history(tx, &message)
}

/// Replaces the content of the editor's own message, or of anybody's as the operator, and keeps the old one as a
/// revision. Nobody is notified again, but whom the new content newly mentions.
///
/// # Errors
/// `NotFound` if the editor may not see the message or it was deleted, `Forbidden` if it is somebody else's,
/// `Stale` if `change.if_revision` is not the current one, `Invalid` if the content breaks a rule.
pub fn edit(tx: &mut Tx<'_>, editor: &Actor, selector: &MessageSelector, change: &MessageEdit) -> Result<Message> {
    edit_if(tx, editor, selector, change, &mut |_, _| Ok(()))
}

/// As [`edit`], on a condition.
///
/// # Errors
/// As [`edit`], and those of the condition.
pub fn edit_if(
    tx: &mut Tx<'_>,
    editor: &Actor,
    selector: &MessageSelector,
    change: &MessageEdit,
    condition: Condition<'_, Message>,
) -> Result<Message> {
    let message = super::locked_message(tx, editor, selector)?;
    must_be_editable(editor, &message)?;
    must_be_at(&message, change.if_revision)?;
    condition(tx, &message)?;
    // What stays may be older than the rule.
    if change.content != message.content {
        check_content(&change.content)?;
    }
    check_reason(change.reason.as_deref())?;
    replace(tx, editor, message, &change.content, change.reason.as_deref())
}

/// Makes an earlier content of a message its content again: an edit.
///
/// # Errors
/// As [`edit`], with `if_revision` as there; `NotFound` also where the message has no such earlier revision.
pub fn restore(
    tx: &mut Tx<'_>,
    editor: &Actor,
    selector: &MessageSelector,
    revision: i64,
    if_revision: Option<i64>,
) -> Result<Message> {
    let message = super::locked_message(tx, editor, selector)?;
    must_be_editable(editor, &message)?;
    must_be_at(&message, if_revision)?;
    let content = content_at(tx, &message, revision)?;
    replace(tx, editor, message, &content, Some(&format!("restored revision {revision}")))
}

/// As [`restore`], once: the same request with the same key restores nothing again. Returns the revision that the message had
/// then: `if_revision` where it had this content already.
///
/// # Errors
/// As [`restore`], `Conflict` if the key was used for another request.
pub fn restore_once(
    tx: &mut Tx<'_>,
    editor: &Actor,
    selector: &MessageSelector,
    revision: i64,
    if_revision: Option<i64>,
    request: Option<&IdempotentRequest>,
) -> Result<i64> {
    once_counted(tx, editor.key(), request, |tx| {
        restore(tx, editor, selector, revision, if_revision).map(|message| message.revision)
    })
}

fn must_be_editable(editor: &Actor, message: &Message) -> Result<()> {
    match editor.key() {
        Some(user) if !message.is_from(user) => Err(Error::forbidden("Only its sender edits a message.")),
        _ => Ok(()),
    }
}

fn must_be_at(message: &Message, revision: Option<i64>) -> Result<()> {
    match revision.filter(|meant| *meant != message.revision) {
        None => Ok(()),
        Some(meant) => {
            let detail = format!("The message is at revision {}, not {meant}.", message.revision);
            Err(Error::stale(detail).hint("It was changed meanwhile; read it again."))
        }
    }
}

fn replace(tx: &mut Tx<'_>, editor: &Actor, message: Message, content: &str, reason: Option<&str>) -> Result<Message> {
    if message.content == content {
        return Ok(message);
    }
    let before = mentions::find(tx, message.conversation_key, &message.content)?;
    let mut mentioned = mentions::find(tx, message.conversation_key, content)?;
    mentioned.retain(|user| !before.contains(user) && !message.is_from(*user));
    // Not before it was sent, whatever the clock says.
    let edited_at = sent_at(tx.now(), Some(message.timestamp));
    store::messages::keep_revision(tx, &message, edited_at, editor, reason)?;
    let mut message = store::messages::replace_content(tx, message, content)?;
    if store::notifications::notify_mentioned(tx, &message, &mentioned)? > 0 {
        message.read = false;
    }
    let event = Event::message(EventKind::MessageEdited, message.conversation_key, message.message_id);
    store::events::record(tx, editor, event)?;
    Ok(message)
}

/// Deletes messages: the actor's own, or anybody's as admin or operator. Content, revisions and notifications are gone;
/// a tombstone keeps the place while replies hang on it. Returns their ids.
///
/// # Errors
/// `NotFound` if the actor cannot see one or it was deleted, `Forbidden` if one is somebody else's.
pub fn delete(tx: &mut Tx<'_>, actor: &Actor, selectors: &[MessageSelector]) -> Result<Vec<MessageId>> {
    delete_if(tx, actor, selectors, &mut |_, _| Ok(()))
}

/// As [`delete`], with a condition for each.
///
/// # Errors
/// As [`delete`], and those of the condition.
pub fn delete_if(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selectors: &[MessageSelector],
    condition: Condition<'_, Message>,
) -> Result<Vec<MessageId>> {
    let mut doomed = BTreeMap::new();
    for selector in selectors {
        let message = super::locked_message(tx, actor, selector)?;
        let own = actor.key().is_some_and(|user| message.is_from(user));
        if !own && !actor.administers() {
            return Err(Error::forbidden("Only its sender and admins delete a message."));
        }
        condition(tx, &message)?;
        doomed.insert(message.key, message);
    }
    if doomed.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<MessageKey> = doomed.keys().copied().collect();
    let doomed: Vec<Message> = doomed.into_values().collect();
    tell_of_deletion(tx, actor, &doomed)?;
    store::messages::delete(tx, &keys)?;
    Ok(doomed.into_iter().map(|message| message.message_id).collect())
}

/// Records that messages are deleted: one event for each conversation, about its message where it is only one.
fn tell_of_deletion(tx: &mut Tx<'_>, actor: &Actor, messages: &[Message]) -> Result<()> {
    let mut only: BTreeMap<ConversationKey, Option<MessageId>> = BTreeMap::new();
    for message in messages {
        only.entry(message.conversation_key).and_modify(|only| *only = None).or_insert(Some(message.message_id));
    }
    for (conversation, only) in only {
        store::events::record(tx, actor, Event::messages_deleted(conversation, only))?;
    }
    Ok(())
}

/// Marks the reader's notifications of these messages as read; returns how many were unread.
///
/// # Errors
/// `NotFound` if the actor cannot see one.
pub fn read(tx: &mut Tx<'_>, actor: &Actor, reader: &Owner, selectors: &[MessageSelector]) -> Result<i64> {
    let found = super::places(tx, actor, "message_ids", selectors)?;
    super::notifications::mark(tx, actor, reader, &found, true)
}

/// Makes the notifications a reader has of a conversation read; returns how many were unread.
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn read_conversation(
    tx: &mut Tx<'_>,
    actor: &Actor,
    reader: &Owner,
    selector: &ConversationSelector,
) -> Result<i64> {
    let (conversation, _) = super::conversation(tx, actor, selector)?;
    let count = store::notifications::read_conversation(tx, reader.key, conversation.key)?;
    super::notifications::tell(tx, actor, reader, count, (Some(conversation.key), None), true)
}

/// As [`read_conversation`], once: the same request with the same key has the same answer.
///
/// # Errors
/// As [`read_conversation`], `Conflict` if the key was used for another request.
pub fn read_conversation_once(
    tx: &mut Tx<'_>,
    actor: &Actor,
    reader: &Owner,
    selector: &ConversationSelector,
    key: Option<&str>,
) -> Result<i64> {
    let request = match key {
        Some(key) => {
            let (conversation, _) = super::conversation(tx, actor, selector)?;
            Some(IdempotentRequest::meaning(key, "conversation read", &[&conversation.key.0.to_string()]))
        }
        None => None,
    };
    once_counted(tx, actor.key(), request.as_ref(), |tx| read_conversation(tx, actor, reader, selector))
}
