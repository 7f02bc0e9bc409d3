//! Writes checked records; existing ones are skipped.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::error::{self, Kind};
use crate::model::{
    Actor, Conversation, ConversationKey, Event, EventKind, Kind as ConversationKind, MessageKey, Number, Role,
    Timestamp, User, UserId, UserKey, UserRef, normalize,
};
use crate::service;
use crate::service::rules::pair;
use crate::store::bulk::{
    self, Account, ConversationUpdate, MessageRow, NewConversation, NotificationRow, RevisionRow,
};
use crate::store::{Tx, events};
use crate::transfer::existing::{ExistingConversation, ExistingRows, deleted, said_of};
use crate::transfer::load::Outcome;
use crate::transfer::records::{ConversationRecord, Entry, MessageRecord, NotificationRecord, Record, UserRecord};
use crate::transfer::{RecordProblem, Tally, quoted};

/// How records are written.
pub struct Write<'w> {
    pub actor: &'w Actor,
    /// Create notifications for messages, as sending them would
    pub notify: bool,
    /// The hashes of passwords, by the line they stand on
    pub hashes: &'w HashMap<u64, String>,
    /// Nobody else changes what the records refer to: nothing was there before
    pub is_alone: bool,
}

/// Conversations that were written without saying when they began: it is when their first message was sent.
pub type Undated = HashSet<ConversationKey>;

/// Conversations of whose beginning or change an event of the transaction tells.
pub type Told = HashSet<ConversationKey>;

/// Some records on their way into the database
struct Batch<'w, 't, 'c> {
    write: &'w Write<'w>,
    tx: &'t mut Tx<'c>,
    existing: ExistingRows,
    undated: &'t mut Undated,
    told: &'t mut Told,
    events: Vec<Event>,
    begun: Vec<ConversationKey>,
    written: Tally,
}

impl Write<'_> {
    /// Writes records, in their order; returns how many of each kind were not there, or the first that cannot be written.
    ///
    /// A conversation that is new, or to which something is added, is told of once in a transaction, however much that is.
    pub fn records(
        &self,
        tx: &mut Tx<'_>,
        undated: &mut Undated,
        told: &mut Told,
        entries: &[Entry],
    ) -> Outcome<Tally> {
        let existing = ExistingRows::find(tx, entries)?;
        let (events, begun, written) = (Vec::new(), Vec::new(), Tally::default());
        let mut batch = Batch { write: self, tx, existing, undated, told, events, begun, written };
        // By kind, many at once: whatever a record refers to stands before it, and is of a kind that comes before its own.
        macro_rules! of_kind {
            ($kind:ident) => {
                entries.iter().filter_map(|entry| match &entry.record {
                    Record::$kind(record) => Some((entry, record)),
                    _ => None,
                })
            };
        }
        batch.users(of_kind!(User).collect())?;
        batch.conversations(of_kind!(Conversation).collect())?;
        batch.messages(of_kind!(Message).map(|(entry, record)| (entry, &**record)).collect())?;
        batch.notifications(of_kind!(Notification).collect())?;
        let Batch { events: recorded, begun, written, .. } = batch;
        let before = events::newest(tx)?;
        bulk::record(tx, self.actor, &recorded)?;
        if !begun.is_empty() {
            events::tell_first_participants(tx, before, &begun)?;
        }
        Ok(written)
    }
}

fn absent(entry: &Entry, what: &str, reference: &str) -> RecordProblem {
    RecordProblem::new(entry.line, Kind::Conflict, format!("The {what} {} no longer exists.", quoted(reference)))
}

/// Refuses a record that differs from the database.
fn must_be_same(entry: &Entry, what: &str, differences: &[&str]) -> Result<(), RecordProblem> {
    if differences.is_empty() {
        return Ok(());
    }
    Err(RecordProblem::new(entry.line, Kind::Conflict, said_of(what, differences)))
}

impl Batch<'_, '_, '_> {
    fn user(&self, entry: &Entry, reference: &str) -> Result<UserKey, RecordProblem> {
        self.existing.user(reference).ok_or_else(|| absent(entry, "user", reference))
    }

    fn user_if_named(&self, entry: &Entry, reference: Option<&str>) -> Result<Option<UserKey>, RecordProblem> {
        reference.map(|reference| self.user(entry, reference)).transpose()
    }

    fn users(&mut self, records: Vec<(&Entry, &UserRecord)>) -> Outcome<()> {
        let keys = bulk::take_user_keys(self.tx, records.len())?;
        let taken = self.taken_ids(&records)?;
        let mut new = Vec::new();
        for ((entry, record), key) in records.into_iter().zip(keys) {
            if let Some(account) = self.existing.user_of(entry, record) {
                must_be_same(entry, "The user", &ExistingRows::user_differences(record, account))?;
                continue;
            }
            let owner = record.email.as_deref().and_then(|email| self.existing.user_with_email(&normalize(email)));
            if let Some(owner) = owner.and_then(|owner| self.existing.account(owner)) {
                let email = record.email.as_deref().unwrap_or_default();
                let detail = format!("The email {email} is that of {}.", owner.user.person.username);
                return Err(RecordProblem::new(entry.line, Kind::Conflict, detail).into());
            }
            let id = match record.user_id.unwrap_or(UserId(entry.id)) {
                // Somebody had the username before, and has another now.
                id if record.user_id.is_none() && taken.contains(&id) => UserId(self.tx.new_id()?),
                id => id,
            };
            let account = self.account(entry, record, key, id);
            self.events.push(Event::user(EventKind::UserCreated, &account.user.person));
            self.existing.learn_user(account.clone());
            new.push(account);
        }
        bulk::add_accounts(self.tx, &new)?;
        self.written.users += new.len() as u64;
        Ok(())
    }

    /// Which of the ids that are made from usernames somebody has already
    fn taken_ids(&mut self, records: &[(&Entry, &UserRecord)]) -> error::Result<HashSet<UserId>> {
        let made = records
            .iter()
            .filter(|(entry, record)| record.user_id.is_none() && self.existing.user_of(entry, record).is_none());
        let made: Vec<UserId> = made.map(|(entry, _)| UserId(entry.id)).collect();
        let found = if made.is_empty() { Vec::new() } else { bulk::accounts(self.tx, made, &[], &[])? };
        Ok(found.into_iter().map(|account| account.user.person.user_id).collect())
    }

    fn account(&self, entry: &Entry, record: &UserRecord, key: UserKey, id: UserId) -> Account {
        let hash = self.write.hashes.get(&entry.line).or(record.password_hash.as_ref());
        Account {
            user: User {
                person: UserRef {
                    key,
                    user_id: id,
                    username: normalize(&record.username),
                    first_name: record.first_name.clone().unwrap_or_default(),
                    last_name: record.last_name.clone().unwrap_or_default(),
                },
                email: record.email.as_deref().filter(|email| !email.is_empty()).map(normalize),
                role: record.role.unwrap_or(Role::User),
                is_active: record.is_active.unwrap_or(true),
                created_at: record.created_at.unwrap_or_else(|| self.tx.now()),
            },
            password_hash: hash.cloned(),
        }
    }

    fn conversations(&mut self, records: Vec<(&Entry, &ConversationRecord)>) -> Outcome<()> {
        let keys = bulk::take_conversation_keys(self.tx, records.len())?;
        let mut new = Vec::new();
        for ((entry, record), key) in records.into_iter().zip(keys) {
            if let Some(place) = self.existing.conversation_of(entry, record) {
                let differences = self.existing.conversation_differences(record, place);
                must_be_same(entry, "The conversation", &differences)?;
                let found = &place.conversation;
                // A load that was broken off has written it, but not its first message.
                if record.is_undated() && found.id == record.id(entry) && is_unused(place, record) {
                    self.undated.insert(found.key);
                }
                continue;
            }
            let added = self.conversation(entry, record, key)?;
            if record.is_undated() {
                self.undated.insert(key);
            }
            self.tell(EventKind::ConversationCreated, &added.conversation);
            self.begun.push(key);
            self.existing.learn_participants(key, &added.participants);
            self.existing.learn_conversation(ExistingConversation {
                conversation: added.conversation.clone(),
                last_number: added.last_number,
            });
            new.push(added);
        }
        bulk::add_conversations(self.tx, &new)?;
        self.written.conversations += new.len() as u64;
        Ok(())
    }

    fn conversation(
        &self,
        entry: &Entry,
        record: &ConversationRecord,
        key: ConversationKey,
    ) -> Result<NewConversation, RecordProblem> {
        let mut participants = Vec::with_capacity(record.participants.len());
        for participant in &record.participants {
            participants.push((self.user(entry, participant.user())?, participant.level()));
        }
        let kind = record.kind_or_usual();
        let (name, title) = record.names();
        // It did not begin after something was sent to it.
        let created_at = record.created_at.or(record.active_at).unwrap_or_else(|| self.tx.now());
        let conversation = Conversation {
            key,
            id: record.id(entry),
            kind,
            name: name.map(ToOwned::to_owned),
            title: title.map(ToOwned::to_owned),
            creator_key: self.user_if_named(entry, record.creator.as_deref())?,
            pair: match participants.as_slice() {
                [(one, _), (other, _)] if kind == ConversationKind::Direct => Some(pair(*one, *other)),
                _ => None,
            },
            created_at,
            active_at: record.active_at.unwrap_or(created_at),
            message_count: 0,
            last_number: record.last_number.unwrap_or(Number(0)),
            last_sent_at: None,
        };
        Ok(NewConversation { last_number: conversation.last_number, conversation, participants })
    }

    fn messages(&mut self, records: Vec<(&Entry, &MessageRecord)>) -> Outcome<()> {
        let mut new = Vec::with_capacity(records.len());
        let mut ids = HashSet::new();
        for (entry, record) in records {
            if let Some(message) = self.existing.message_of(entry, record) {
                if message.sender.is_none() && !record.deleted {
                    return Err(RecordProblem::new(entry.line, Kind::Conflict, deleted("The message")).into());
                }
                must_be_same(entry, "The message", &self.existing.message_differences(record, message))?;
                // Another load of the same file was faster, and has dated it.
                self.undated.remove(&message.conversation);
                continue;
            }
            // The same record may stand there twice.
            if !ids.insert(record.id(entry)) {
                continue;
            }
            let sender = self.user_if_named(entry, record.sender.as_deref())?;
            let Some(place) = self.existing.conversation(&record.conversation, sender) else {
                return Err(absent(entry, "conversation", &record.conversation).into());
            };
            new.push((entry, record, sender, place.conversation.key));
        }
        // Locks these conversations: what is read of them now is still true at the commit.
        let wanted: BTreeSet<ConversationKey> = new.iter().map(|(.., conversation)| *conversation).collect();
        let locked = bulk::lock_conversations(self.tx, &wanted.into_iter().collect::<Vec<_>>())?;
        self.tell_of_additions(&locked);
        let mut places: HashMap<ConversationKey, (Conversation, ConversationUpdate)> = locked
            .into_iter()
            .map(|(conversation, number)| (conversation.key, update_of(conversation, number)))
            .collect();
        let numbered = new.iter().filter_map(|(_, record, _, conversation)| Some((*conversation, record.number?)));
        let mut taken = self.taken(numbered.collect(), &places)?;
        let keys = bulk::take_message_keys(self.tx, new.len())?;
        let mut rows = Vec::with_capacity(new.len());
        let mut revisions = Vec::new();
        let (mut appended, mut may_be_older) = (Vec::new(), false);
        for ((entry, record, sender, conversation), key) in new.into_iter().zip(keys) {
            let Some((conversation, update)) = places.get_mut(&conversation) else {
                return Err(absent(entry, "conversation", &record.conversation).into());
            };
            let last_number = update.last_number;
            let row = self.message(entry, record, (key, sender), conversation, update)?;
            if !taken.insert((conversation.key, row.number)) {
                let detail = format!("Another message has the number {}.", row.number.0);
                return Err(RecordProblem::new(entry.line, Kind::Conflict, detail).into());
            }
            if self.undated.remove(&conversation.key) {
                update.created_at = row.sent_at;
                update.active_at = row.sent_at;
            }
            if row.number > last_number {
                appended.push((row.conversation, row.sent_at));
                // What a conversation says of its activity may not be that of a message.
                may_be_older |= row.sent_at < update.active_at;
            }
            update.active_at = update.active_at.max(row.sent_at);
            for (revision, one) in record.numbered_revisions() {
                revisions.push(RevisionRow {
                    message: key,
                    revision,
                    content: one.content.clone(),
                    edited_at: one.edited_at.unwrap_or(row.sent_at),
                    editor: self.user_if_named(entry, one.edited_by.as_deref())?,
                    reason: one.reason.clone(),
                });
            }
            self.existing.learn_message(row.clone());
            rows.push(row);
        }
        if may_be_older {
            self.count_older(&appended)?;
        }
        bulk::add_messages(self.tx, &rows)?;
        bulk::add_revisions(self.tx, &revisions)?;
        bulk::update_conversations(self.tx, places.values().map(|(_, update)| *update))?;
        self.written.messages += rows.len() as u64;
        if self.write.notify {
            for row in &rows {
                let Some(sender) = row.sender else { continue };
                let message = (row.key, row.conversation);
                let parent = row.parent.and_then(|parent| self.existing.sender(parent));
                let count = service::messages::notify(self.tx, message, sender, parent, &row.content)?;
                self.written.notifications += count.unsigned_abs();
            }
        }
        Ok(())
    }

    /// Counts those of new messages, each with the highest number of its conversation, that are older than one before them.
    fn count_older(&mut self, appended: &[(ConversationKey, Timestamp)]) -> Outcome<()> {
        let places: BTreeSet<ConversationKey> = appended.iter().map(|(conversation, _)| *conversation).collect();
        let mut newest: HashMap<_, _> = bulk::newest_times(self.tx, places)?.into_iter().collect();
        for (conversation, sent_at) in appended {
            let newest = newest.entry(*conversation).or_insert(*sent_at);
            self.written.older += u64::from(sent_at < newest);
            *newest = (*newest).max(*sent_at);
        }
        Ok(())
    }

    /// Those of these numbers that messages have by now
    fn taken(
        &mut self,
        mut numbered: Vec<(ConversationKey, Number)>,
        places: &HashMap<ConversationKey, (Conversation, ConversationUpdate)>,
    ) -> Outcome<HashSet<(ConversationKey, Number)>> {
        // Above the highest that was ever given out, every number is free.
        numbered.retain(|(conversation, number)| {
            places.get(conversation).is_some_and(|(_, update)| *number <= update.last_number)
        });
        if self.write.is_alone || numbered.is_empty() {
            return Ok(HashSet::new());
        }
        Ok(bulk::taken_numbers(self.tx, &numbered)?.into_iter().collect())
    }

    fn message(
        &self,
        entry: &Entry,
        record: &MessageRecord,
        (key, sender): (MessageKey, Option<UserKey>),
        conversation: &Conversation,
        update: &mut ConversationUpdate,
    ) -> Result<MessageRow, RecordProblem> {
        let named = self.user_if_named(entry, record.receiver.as_deref())?;
        let other = sender.and_then(|sender| conversation.other(sender));
        let parent = match record.reply_to.as_deref() {
            Some(parent) => Some(self.existing.message(parent).ok_or_else(|| absent(entry, "message", parent))?),
            None => None,
        };
        let number = record.number.unwrap_or(Number(update.last_number.0 + 1));
        if let Some(parent) = parent.filter(|parent| parent.number >= number) {
            let detail = format!("It would be number {}, but replies to {}.", number.0, parent.number.0);
            return Err(RecordProblem::new(entry.line, Kind::Invalid, detail));
        }
        update.last_number = update.last_number.max(number);
        update.messages += i64::from(sender.is_some());
        Ok(MessageRow {
            key,
            id: record.id(entry),
            conversation: conversation.key,
            number,
            sender,
            receiver: named.or(other),
            parent: parent.map(|parent| parent.key),
            content: record.content.clone(),
            sent_at: match record.timestamp {
                Some(sent_at) => sent_at,
                None => service::messages::sent_at(self.tx.now(), conversation.last_sent_at),
            },
            revision: record.current_revision(),
            key_name: record.key.clone(),
        })
    }

    fn notifications(&mut self, records: Vec<(&Entry, &NotificationRecord)>) -> Outcome<()> {
        let mut new = Vec::with_capacity(records.len());
        for (entry, record) in records {
            let user = self.user(entry, &record.user)?;
            let Some(message) = self.existing.message(&record.message) else {
                return Err(absent(entry, "message", &record.message).into());
            };
            if self.existing.notified(message.key, user).is_some() {
                continue;
            }
            let (message, conversation) = (message.key, message.conversation);
            self.existing.learn_notification(message, user, record.is_read);
            new.push((entry, record, message, conversation, user));
        }
        if !self.write.is_alone {
            self.must_concern(&new)?;
        }
        let mut rows = Vec::with_capacity(new.len());
        for (_, record, message, conversation, user) in new {
            let kind = match record.kind {
                Some(kind) => kind,
                None => service::messages::notification_kind(self.tx, message, user)?,
            };
            rows.push(NotificationRow { message, user, conversation, kind, is_read: record.is_read });
        }
        bulk::add_notifications(self.tx, &rows)?;
        self.written.notifications += rows.len() as u64;
        Ok(())
    }
}

impl Batch<'_, '_, '_> {
    /// Refuses notifications that a message cannot cause any more, after locking its conversation, and notes that these are changed.
    fn must_concern(&mut self, new: &[NewNotification<'_>]) -> Outcome<()> {
        let conversations: BTreeSet<ConversationKey> = new.iter().map(|(.., conversation, _)| *conversation).collect();
        let locked = bulk::lock_conversations(self.tx, &conversations.into_iter().collect::<Vec<_>>())?;
        let pairs: Vec<_> = new.iter().map(|(_, _, message, _, user)| (*message, *user)).collect();
        let concerned: HashSet<_> = bulk::concerned(self.tx, &pairs)?.into_iter().collect();
        let gone = new.iter().find(|(_, _, message, _, user)| !concerned.contains(&(*message, *user)));
        if let Some((entry, record, ..)) = gone {
            let user = quoted(&record.user);
            let detail = format!("The message was deleted meanwhile, or {user} is no longer a participant.");
            return Err(RecordProblem::new(entry.line, Kind::Conflict, detail).into());
        }
        self.tell_of_additions(&locked);
        Ok(())
    }

    /// Notes that something is added to conversations that were there.
    fn tell_of_additions(&mut self, locked: &[(Conversation, Number)]) {
        for (conversation, _) in locked {
            self.tell(EventKind::ConversationUpdated, conversation);
        }
    }

    /// Notes an event of a conversation of which none tells yet.
    fn tell(&mut self, kind: EventKind, conversation: &Conversation) {
        if self.told.insert(conversation.key) {
            self.events.push(Event::conversation(kind, conversation));
        }
    }
}

/// A notification that is not there: its record, its message, the conversation of that, and whom it is for
type NewNotification<'r> = (&'r Entry, &'r NotificationRecord, MessageKey, ConversationKey, UserKey);

/// Whether nothing was ever sent to a conversation, as far as its record says
fn is_unused(place: &ExistingConversation, record: &ConversationRecord) -> bool {
    place.conversation.message_count == 0 && place.last_number == record.last_number.unwrap_or(Number(0))
}

/// A conversation that was locked, and how it changes
fn update_of(conversation: Conversation, last_number: Number) -> (Conversation, ConversationUpdate) {
    let Conversation { key, created_at, active_at, .. } = conversation;
    (conversation, ConversationUpdate { conversation: key, last_number, messages: 0, created_at, active_at })
}
