//! Whether messages and notifications can be loaded.

use super::{Check, Identity, Notified, Where, name, number_name, of_line, seen};
use crate::error::{Error, Kind, Result};
use crate::model::{ConversationKey, MessageId, MessageKey, Number, UserKey};
use crate::service;
use crate::service::rules;
use crate::store::bulk::MessageRow;
use crate::store::scratch::SeenRecord;
use crate::transfer::existing::{ExistingRows, deleted};
use crate::transfer::quoted;
use crate::transfer::records::{Entry, MessageRecord, NotificationRecord, RevisionRecord};

/// A message that a record refers to
struct Referred {
    identity: Identity,
    conversation: Identity,
    /// None of a deleted message
    sender: Option<Identity>,
    number: Number,
}

impl Check<'_> {
    pub(super) fn message_in_file(&self, reference: &str) -> Result<Option<SeenRecord>> {
        let by_key = self.scratch.find(&name(b'k', reference.as_bytes()))?;
        match (by_key, reference.parse::<MessageId>()) {
            (None, Ok(id)) => self.scratch.find(&name(b'M', id.0.as_bytes())),
            (found, _) => Ok(found),
        }
    }

    /// Finds a message that a record refers to; a problem if it does not exist.
    fn find_message(&mut self, existing: &ExistingRows, line: u64, reference: &str) -> Result<Option<Referred>> {
        if let Some(message) = existing.message(reference) {
            return Ok(Some(Referred {
                identity: message.key.0,
                conversation: message.conversation.0,
                sender: message.sender.map(|sender| sender.0),
                number: message.number,
            }));
        }
        if let Some(SeenRecord { identity, conversation, sender, number, .. }) = self.message_in_file(reference)? {
            let sender = (sender != 0).then_some(sender);
            return Ok(Some(Referred { identity, conversation, sender, number: Number(number) }));
        }
        if !self.is_hopeless() {
            self.missing.push((reference.to_owned(), self.problems.len()));
        }
        self.invalid(line, format!("There is no message {} in the database or in earlier records.", quoted(reference)));
        Ok(None)
    }

    /// The highest number that a conversation has given out so far, here or in the file
    fn last_number(&self, conversation: Where) -> Result<i64> {
        let raised = self.scratch.number(&number_name(b'h', conversation.place, 0))?;
        Ok(raised.unwrap_or(0).max(conversation.last_number))
    }

    pub(super) fn message(&mut self, existing: &ExistingRows, entry: &Entry, record: &MessageRecord) -> Result<bool> {
        let line = entry.line;
        let before = self.problems.len();
        let there = existing.message_of(entry, record);
        let identity = there.map_or(of_line(line), |message| message.key.0);
        self.contents(line, record, there);
        let sender = match &record.sender {
            Some(sender) => self.find_user(existing, line, sender)?,
            None => None,
        };
        let receiver = match &record.receiver {
            Some(receiver) => self.find_user(existing, line, receiver)?,
            None => None,
        };
        for editor in record.revisions.iter().filter_map(|revision| revision.edited_by.as_deref()) {
            self.find_user(existing, line, editor)?;
        }
        let Some(conversation) = self.find_conversation(existing, line, &record.conversation, sender)? else {
            return Ok(false);
        };
        let what = record.key.as_deref().map_or("The message".to_owned(), |key| format!("The message {}", quoted(key)));
        let number = match (there, record.number) {
            (Some(message), _) => message.number.0,
            (None, Some(number)) => number.0,
            (None, None) => self.last_number(conversation)?.saturating_add(1),
        };
        let seen = SeenRecord {
            conversation: conversation.place,
            sender: sender.unwrap_or(0),
            number,
            ..seen(line, identity, entry.content)
        };
        if let Some(key) = &record.key {
            self.passes(line, check_key(key));
            if let Some(is_there) = self.note(&what, &name(b'k', key.as_bytes()), seen)? {
                return Ok(is_there);
            }
        }
        if record.message_id.is_some() || record.key.is_none() {
            let id = record.id(entry);
            if let Some(is_there) = self.note(&what, &name(b'M', id.0.as_bytes()), seen)? {
                return Ok(is_there);
            }
        }
        if !(1..=Number::HIGHEST).contains(&number) {
            self.invalid(line, format!("The number of a message is 1 to {}.", Number::HIGHEST));
        }
        if there.is_none() {
            let taken = format!("A message with the number {number}");
            self.note(&taken, &number_name(b'n', conversation.place, number), seen)?;
            self.scratch.raise(&number_name(b'h', conversation.place, 0), number)?;
        }
        if let Some(sender) = sender {
            let checked = rules::check_sender(conversation.pair, sender).and_then(|()| match receiver {
                Some(receiver) => rules::check_receiver(conversation.pair, sender, receiver),
                None => Ok(()),
            });
            self.passes(line, checked);
        }
        if let Some(parent) = &record.reply_to
            && let Some(parent) = self.find_message(existing, line, parent)?
        {
            if parent.identity == identity {
                self.invalid(line, "It replies to itself.");
            } else {
                let (own, parent) = ((conversation.place, Number(number)), (parent.conversation, parent.number));
                self.passes(line, rules::check_parent(own, parent));
            }
            self.unreplied.remove(&parent.identity);
        }
        let Some(message) = there else {
            if record.deleted {
                self.unreplied.insert(identity, line);
            }
            if existing.is_taken(ConversationKey(conversation.place), Number(number)) {
                self.problem(line, Kind::Conflict, format!("Another message has the number {number}."));
            }
            return Ok(false);
        };
        if message.sender.is_none() && !record.deleted {
            self.problem(line, Kind::Conflict, deleted(&what));
        }
        if self.problems.len() > before {
            return Ok(false);
        }
        self.is_same(&what, b'm', seen, &existing.message_differences(record, message))
    }

    /// What a message says, now and earlier
    fn contents(&mut self, line: u64, record: &MessageRecord, there: Option<&MessageRow>) {
        if record.deleted {
            let MessageRecord { key, sender, receiver, content, revision, revisions, .. } = record;
            let is_bare = key.is_none() && sender.is_none() && receiver.is_none() && content.is_empty();
            if !is_bare || revisions.len() + usize::from(revision.is_some_and(|revision| revision != 1)) > 0 {
                self.invalid(line, "A deleted message has neither sender, receiver, key, content nor revisions.");
            }
            return;
        }
        if record.sender.is_none() {
            self.invalid(line, "The message has no sender.");
        }
        // A record with an id brings back what was said.
        let is_kept = there.map_or(record.message_id.is_some(), |message| message.content == record.content);
        self.content(line, &record.content, is_kept);
        let is_kept = there.is_some() || record.message_id.is_some();
        let mut last = 0;
        for (number, revision) in record.numbered_revisions() {
            if number <= last || number > Number::HIGHEST {
                self.invalid(line, "The revisions do not count up from 1.");
            }
            last = number;
            let RevisionRecord { content, reason, .. } = revision;
            self.content(line, content, is_kept);
            self.passes(line, service::messages::check_reason(reason.as_deref()));
        }
        let current = record.current_revision();
        if !(1..=Number::HIGHEST).contains(&current) {
            self.invalid(line, format!("The revision of a content is 1 to {}.", Number::HIGHEST));
        } else if current <= last {
            self.invalid(line, format!("The content is revision {current}, but there is a revision {last}."));
        }
    }

    fn content(&mut self, line: u64, content: &str, is_kept: bool) {
        let check = if is_kept { service::messages::check_kept_content } else { service::messages::check_content };
        self.passes(line, check(content));
    }

    pub(super) fn notification(
        &mut self,
        existing: &ExistingRows,
        entry: &Entry,
        record: &NotificationRecord,
    ) -> Result<bool> {
        let line = entry.line;
        if self.rules.notify {
            self.invalid(line, "The records contain notifications; leave out --notify.");
            return Ok(false);
        }
        let user = self.find_user(existing, line, &record.user)?;
        let message = self.find_message(existing, line, &record.message)?;
        let (Some(user), Some(message)) = (user, message) else { return Ok(false) };
        let Referred { identity: message, conversation: place, sender, .. } = message;
        if existing.notified(MessageKey(message), UserKey(user)).is_some() {
            return Ok(true);
        }
        let takes_part = self.scratch.number(&number_name(b'm', place, user))?.is_some();
        match sender {
            None => self.invalid(line, "The message was deleted; nobody is notified of it."),
            Some(sender) if sender == user => {
                self.invalid(line, format!("{} sent the message, and is not notified.", quoted(&record.user)));
            }
            _ if takes_part => {}
            _ if place > 0 && user > 0 => {
                let (conversation, user) = (ConversationKey(place), UserKey(user));
                self.notified.push(Notified { line, conversation, user, name: record.user.clone() });
            }
            _ => self.takes_no_part(line, &record.user),
        }
        Ok(false)
    }

    pub(super) fn takes_no_part(&mut self, line: u64, user: &str) {
        let user = quoted(user);
        self.invalid(line, format!("{user} does not take part in the conversation, and is not notified."));
    }
}

/// Checks the name of a message that records refer to it by.
///
/// # Errors
/// `Invalid`, naming the field `key`.
fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.len() > 255 || key.contains('\0') {
        return Err(Error::invalid("key", "A key has 1 to 255 bytes and no NUL."));
    }
    // Records refer to messages by key or id: what looks like an id is one.
    if key.parse::<MessageId>().is_ok() {
        return Err(Error::invalid("key", "A key is not in the form of an id."));
    }
    Ok(())
}
