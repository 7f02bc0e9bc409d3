//! A dump: the database, or a self-contained part of it, as records.
//!
//! Users come first, then conversations, then messages in pages, each page followed by its notifications; all in the order
//! of their keys, which the loader gives anew in the order of the lines. Where a page ends depends on what is in it alone:
//! so a dump of what was loaded from a dump is the same.

mod keys;
mod names;
mod pseudonyms;
mod selection;

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;

use self::names::Names;
use self::pseudonyms::Pseudonyms;
use self::selection::Selection;
use super::records::{
    ConversationRecord, MessageRecord, NotificationRecord, Participant, Record, RevisionRecord, UserRecord,
};
use super::{Interruption, Tally};
use crate::error::{Error, Result};
use crate::model::{
    Actor, ConversationId, ConversationKey, ConversationSelector, MessageId, MessageKey, Timestamp, UserId, UserKey,
    UserSelector,
};
use crate::store::bulk::MessageRow;
use crate::store::{self, Tx};

/// How many users or messages are read at once
const PAGE: i64 = 1000;

/// How many conversations are read at once: each may have thousands of participants
const CONVERSATIONS: i64 = 100;

/// How many bytes the contents of a page have, but for its last message: what is kept in memory
const PAGE_BYTES: usize = 1 << 20;

/// How many notifications are read at once
const NOTIFICATIONS: i64 = 5000;

/// How many earlier contents are read at once, unless one message has more
const REVISIONS: i64 = 500;

/// How many bytes are handed on at once
const CHUNK: usize = 1 << 16;

/// What a dump is asked to hold; nothing named: everything.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub conversations: Vec<ConversationSelector>,
    /// All conversations they take part in
    pub users: Vec<UserSelector>,
    /// Messages sent at this time or later
    pub since: Option<Timestamp>,
    /// Messages sent before this time
    pub until: Option<Timestamp>,
    /// Replaces ids, names, addresses and texts by pseudonyms computed with this secret
    pub pseudonymise: Option<[u8; 32]>,
}

/// Writes the requested records, one per line; `progress` is called now and then with the numbers of messages written
/// and of all.
///
/// A partial dump contains everything it refers to: the messages that its messages reply to, their conversations with
/// all participants, and all named users.
///
/// # Errors
/// `NotFound` if the request names a user or conversation that is not there.
pub fn dump(
    tx: &mut Tx<'_>,
    actor: &Actor,
    request: &Request,
    to: &mut dyn io::Write,
    progress: &mut dyn FnMut(u64, u64),
) -> std::result::Result<Tally, Interruption> {
    let selection = Selection::find(tx, actor, request)?;
    let names = Names::new(request.pseudonymise.map(Pseudonyms::new));
    let mut dump = Dump { selection, names, to, lines: Vec::with_capacity(2 * CHUNK), counts: Tally::default() };
    dump.users(tx)?;
    dump.conversations(tx)?;
    dump.messages(tx, progress)?;
    dump.hand_on()?;
    Ok(dump.counts)
}

/// A dump while it is written
struct Dump<'d> {
    selection: Selection,
    names: Names,
    to: &'d mut dyn io::Write,
    /// What is not yet handed on
    lines: Vec<u8>,
    counts: Tally,
}

type Outcome = std::result::Result<(), Interruption>;

impl Dump<'_> {
    fn write(&mut self, record: &Record) -> Outcome {
        self.counts.count(record);
        serde_json::to_writer(&mut self.lines, record).map_err(Error::internal)?;
        self.lines.push(b'\n');
        if self.lines.len() >= CHUNK { self.hand_on() } else { Ok(()) }
    }

    fn hand_on(&mut self) -> Outcome {
        self.to.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }

    fn users(&mut self, tx: &mut Tx<'_>) -> Outcome {
        let mut last = 0;
        while let Some(after) = self.selection.users_after(last) {
            let page = store::dump::users(tx, UserKey(after), PAGE)?;
            let Some((user, _)) = page.last() else { break };
            last = user.person.key.0;
            for (user, password_hash) in page {
                if self.selection.has_user(user.person.key.0) {
                    let record = UserRecord {
                        user_id: Some(UserId(self.names.id(user.person.user_id.0))),
                        username: user.person.username,
                        email: user.email,
                        first_name: Some(user.person.first_name),
                        last_name: Some(user.person.last_name),
                        role: Some(user.role),
                        is_active: Some(user.is_active),
                        created_at: Some(user.created_at),
                        password: None,
                        password_hash,
                    };
                    let record = self.names.of_user(user.person.key, record);
                    self.write(&Record::User(record))?;
                }
            }
        }
        Ok(())
    }

    fn conversations(&mut self, tx: &mut Tx<'_>) -> Outcome {
        let mut last = 0;
        while let Some(after) = self.selection.conversations_after(last) {
            let mut page = store::dump::conversations(tx, ConversationKey(after), CONVERSATIONS)?;
            let Some((conversation, _)) = page.last() else { break };
            last = conversation.key.0;
            page.retain(|(conversation, _)| self.selection.has_conversation(conversation.key.0));
            let keys: Vec<ConversationKey> = page.iter().map(|(conversation, _)| conversation.key).collect();
            let found = store::dump::participants(tx, &keys)?;
            let people = found.iter().map(|(_, user, _)| *user);
            self.names.forget();
            self.names.know(tx, people.chain(page.iter().filter_map(|(conversation, _)| conversation.creator_key)))?;
            let mut participants: HashMap<ConversationKey, Vec<Participant>> = HashMap::new();
            for (conversation, user, level) in found {
                let participant = Participant::new(self.names.user(user)?, level);
                participants.entry(conversation).or_default().push(participant);
            }
            for (conversation, last_number) in page {
                let record = ConversationRecord {
                    conversation_id: Some(ConversationId(self.names.id(conversation.id.0))),
                    kind: Some(conversation.kind),
                    name: conversation.name,
                    title: conversation.title,
                    creator: conversation.creator_key.map(|creator| self.names.user(creator)).transpose()?,
                    participants: participants.remove(&conversation.key).unwrap_or_default(),
                    created_at: Some(conversation.created_at),
                    active_at: Some(conversation.active_at),
                    last_number: Some(last_number),
                };
                let record = self.names.of_conversation(conversation.key, record);
                self.write(&Record::Conversation(record))?;
            }
        }
        Ok(())
    }

    fn messages(&mut self, tx: &mut Tx<'_>, progress: &mut dyn FnMut(u64, u64)) -> Outcome {
        let total = match self.selection.message_count() {
            Some(count) => count,
            None => store::conversations::count(tx)?.1,
        }
        .unsigned_abs();
        let mut last = MessageKey(0);
        loop {
            let page = self.page(tx, &mut last)?;
            let Some(range) = page.first().zip(page.last()).map(|(first, last)| first.key..last.key) else { break };
            let ids: Vec<(MessageKey, MessageId)> =
                page.iter().map(|message| (message.key, MessageId(self.names.id(message.id.0)))).collect();
            self.write_messages(tx, page)?;
            self.notifications(tx, range.start, range.end, &ids)?;
            progress(self.counts.messages, total);
        }
        Ok(())
    }

    /// The next page of messages: up to [`PAGE`], or until they have [`PAGE_BYTES`]
    fn page(&self, tx: &mut Tx<'_>, last: &mut MessageKey) -> Result<Vec<MessageRow<MessageId>>> {
        let mut page = Vec::new();
        let mut bytes = 0;
        let is_full = |count: usize, bytes: usize| i64::try_from(count) == Ok(PAGE) || bytes >= PAGE_BYTES;
        while !is_full(page.len(), bytes)
            && let Some(after) = self.selection.messages_after(last.0)
        {
            let is_wanted = |key: MessageKey| self.selection.has_message(key.0);
            let looked_at = store::dump::messages(tx, MessageKey(after), PAGE, is_wanted, |message| {
                bytes += message.content.len();
                page.push(message);
                if is_full(page.len(), bytes) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            let Some(looked_at) = looked_at else { break };
            *last = looked_at;
        }
        Ok(page)
    }

    fn write_messages(&mut self, tx: &mut Tx<'_>, page: Vec<MessageRow<MessageId>>) -> Outcome {
        self.names.forget();
        let people = page.iter().flat_map(|message| [message.sender, message.receiver]).flatten();
        self.names.know(tx, people)?;
        self.names.know_conversations(tx, page.iter().map(|message| message.conversation))?;
        let edited: Vec<(MessageKey, i64)> =
            page.iter().filter(|message| message.revision > 1).map(|message| (message.key, message.revision)).collect();
        let mut history = History::new(edited);
        for message in page {
            let revisions =
                if message.revision > 1 { history.of(tx, &mut self.names, message.key)? } else { Vec::new() };
            let record = MessageRecord {
                message_id: Some(MessageId(self.names.id(message.id.0))),
                key: message.key_name,
                conversation: self.names.conversation(message.conversation)?,
                number: Some(message.number),
                sender: message.sender.map(|sender| self.names.user(sender)).transpose()?,
                receiver: message.receiver.map(|receiver| self.names.user(receiver)).transpose()?,
                reply_to: message.parent.map(|parent| self.names.id(parent.0).to_string()),
                timestamp: Some(message.sent_at),
                content: message.content,
                revision: Some(message.revision),
                deleted: message.sender.is_none(),
                revisions,
            };
            let record = self.names.of_message(tx, message.conversation, record)?;
            self.write(&Record::Message(Box::new(record)))?;
        }
        Ok(())
    }

    /// Writes the notifications of a page of messages.
    fn notifications(
        &mut self,
        tx: &mut Tx<'_>,
        first: MessageKey,
        last: MessageKey,
        ids: &[(MessageKey, MessageId)],
    ) -> Outcome {
        let mut after = (first, UserKey(0));
        let mut ids = ids.iter().peekable();
        let mut id = String::new();
        loop {
            let found = store::dump::notifications(tx, after, last, NOTIFICATIONS)?;
            let Some(newest) = found.last() else { break };
            after = (newest.message, newest.user);
            let wanted = || found.iter().filter(|found| self.selection.has_notifications_of(found.message.0));
            self.names.forget();
            self.names.know(tx, wanted().map(|found| found.user))?;
            for found in wanted().copied().collect::<Vec<_>>() {
                while let Some((_, message)) = ids.next_if(|(key, _)| *key <= found.message) {
                    id = message.to_string();
                }
                self.write(&Record::Notification(NotificationRecord {
                    user: self.names.user(found.user)?,
                    message: id.clone(),
                    kind: Some(found.kind),
                    is_read: found.is_read,
                }))?;
            }
            if i64::try_from(found.len()) != Ok(NOTIFICATIONS) {
                break;
            }
        }
        Ok(())
    }
}

/// The earlier contents of a page of messages, read as they are needed
struct History {
    /// The messages that were edited and their revisions, the next one last
    edited: Vec<(MessageKey, i64)>,
    known: HashMap<MessageKey, Vec<RevisionRecord>>,
}

impl History {
    fn new(mut edited: Vec<(MessageKey, i64)>) -> Self {
        edited.reverse();
        Self { edited, known: HashMap::new() }
    }

    /// The earlier contents of a message; it is asked for each in turn.
    fn of(&mut self, tx: &mut Tx<'_>, names: &mut Names, message: MessageKey) -> Result<Vec<RevisionRecord>> {
        while self.edited.last().is_some_and(|(next, _)| *next <= message) {
            self.read_on(tx, names)?;
        }
        Ok(self.known.remove(&message).unwrap_or_default())
    }

    fn read_on(&mut self, tx: &mut Tx<'_>, names: &mut Names) -> Result<()> {
        let mut messages = Vec::new();
        let mut count = 0;
        while let Some((message, revision)) =
            self.edited.pop_if(|(_, revision)| count == 0 || count + *revision <= REVISIONS)
        {
            messages.push(message);
            count += revision;
        }
        let found = store::dump::revisions(tx, &messages)?;
        names.know(tx, found.iter().filter_map(|revision| revision.editor))?;
        for revision in found {
            self.known.entry(revision.message).or_default().push(RevisionRecord {
                revision: Some(revision.revision),
                content: revision.content,
                edited_at: Some(revision.edited_at),
                edited_by: revision.editor.map(|editor| names.user(editor)).transpose()?,
                reason: revision.reason,
            });
        }
        Ok(())
    }
}
