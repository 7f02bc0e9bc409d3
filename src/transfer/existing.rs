//! What the database knows of the names that some records use, looked up for all of them at once.

mod differences;
mod settled;

pub(super) use self::differences::{deleted, said_of};
use self::settled::Settled;

use std::collections::{BTreeSet, HashMap, HashSet};

use super::records::{ConversationRecord, Entry, MessageRecord, Record, UserRecord};
use crate::error::Result;
use crate::model::{
    Conversation, ConversationId, ConversationKey, Kind, Level, MessageId, MessageKey, Number, UserId, UserKey,
    UserRef, fold_case, normalize,
};
use crate::service::rules::{self, pair};
use crate::store::Tx;
use crate::store::bulk::{self, Account, MessageRow};

/// How a record names a user: an id, or a folded username or email
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UserName {
    Id(UserId),
    Name(String),
}

/// Reads how a record names a user.
pub(super) fn user_name(reference: &str) -> UserName {
    match reference.parse() {
        Ok(id) => UserName::Id(id),
        Err(()) => UserName::Name(fold_case(&normalize(reference))),
    }
}

/// How a record names a conversation
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConversationName<'r> {
    Id(ConversationId),
    /// A group, by its folded name
    Name(String),
    /// The direct one of the sender with that user
    With(&'r str),
}

/// Reads how a record names a conversation.
pub(super) fn conversation_name(reference: &str) -> ConversationName<'_> {
    match (reference.strip_prefix('@'), reference.parse()) {
        (Some(user), _) => ConversationName::With(user),
        (None, Ok(id)) => ConversationName::Id(id),
        (None, Err(())) => ConversationName::Name(fold_case(reference)),
    }
}

/// A conversation that is there
#[derive(Clone, Debug)]
pub(super) struct ExistingConversation {
    pub(super) conversation: Conversation,
    pub(super) last_number: Number,
}

/// Users, conversations and messages that are there, by whatever a record may call them
#[derive(Default)]
pub(super) struct ExistingRows {
    users: HashMap<UserKey, Account>,
    user_ids: HashMap<UserId, UserKey>,
    usernames: HashMap<String, UserKey>,
    emails: HashMap<String, UserKey>,
    conversations: HashMap<ConversationKey, ExistingConversation>,
    conversation_ids: HashMap<ConversationId, ConversationKey>,
    names: HashMap<String, ConversationKey>,
    pairs: HashMap<(UserKey, UserKey), ConversationKey>,
    messages: HashMap<MessageKey, MessageRow>,
    message_ids: HashMap<MessageId, MessageKey>,
    keys: HashMap<String, MessageKey>,
    participants: HashMap<ConversationKey, HashMap<UserKey, Level>>,
    revisions: HashMap<MessageKey, Vec<(i64, String)>>,
    notified: HashMap<(MessageKey, UserKey), bool>,
    taken: HashSet<(ConversationKey, Number)>,
    pub(super) settled: Settled,
}

/// Takes everybody whom a record refers to, as it calls them.
fn each_person<'r>(record: &'r Record, mut take: impl FnMut(&'r str)) {
    match record {
        Record::User(_) => {}
        Record::Conversation(conversation) => {
            conversation.creator.iter().for_each(|creator| take(creator));
            conversation.participants.iter().for_each(|participant| take(participant.user()));
        }
        Record::Message(message) => {
            if let (ConversationName::With(user), Some(_)) = (conversation_name(&message.conversation), &message.sender)
            {
                take(user);
            }
            let editors = message.revisions.iter().flat_map(|revision| &revision.edited_by);
            message.sender.iter().chain(&message.receiver).chain(editors).for_each(|user| take(user));
        }
        Record::Notification(notification) => take(&notification.user),
    }
}

/// What records name, each once
#[derive(Default)]
struct Wanted<'r> {
    user_ids: BTreeSet<UserId>,
    usernames: BTreeSet<String>,
    emails: BTreeSet<String>,
    conversation_ids: BTreeSet<ConversationId>,
    names: BTreeSet<String>,
    message_ids: BTreeSet<MessageId>,
    keys: BTreeSet<&'r str>,
    pairs: Vec<(&'r str, &'r str)>,
}

/// Takes note of a name. Nothing is called by one with NUL, and PostgreSQL does not even look for it.
fn insert<T: AsRef<str> + Ord>(names: &mut BTreeSet<T>, name: T) {
    if !name.as_ref().contains('\0') {
        names.insert(name);
    }
}

impl<'r> Wanted<'r> {
    fn of(entries: &'r [Entry]) -> Self {
        let mut wanted = Self::default();
        for entry in entries {
            wanted.entry(entry);
        }
        wanted
    }

    fn user(&mut self, reference: &str) {
        match user_name(reference) {
            UserName::Id(id) => drop(self.user_ids.insert(id)),
            UserName::Name(name) => {
                if name.contains('@') {
                    insert(&mut self.emails, name.clone());
                }
                insert(&mut self.usernames, name);
            }
        }
    }

    fn conversation(&mut self, reference: &'r str, sender: Option<&'r str>) {
        match (conversation_name(reference), sender) {
            (ConversationName::Id(id), _) => drop(self.conversation_ids.insert(id)),
            (ConversationName::Name(name), _) => insert(&mut self.names, name),
            (ConversationName::With(user), Some(sender)) => self.pairs.push((sender, user)),
            (ConversationName::With(_), None) => {}
        }
    }

    fn message(&mut self, reference: &'r str) {
        insert(&mut self.keys, reference);
        self.message_ids.extend(reference.parse::<MessageId>());
    }

    fn entry(&mut self, entry: &'r Entry) {
        each_person(&entry.record, |person| self.user(person));
        match &entry.record {
            Record::User(user) => {
                self.user_ids.extend(user.user_id);
                insert(&mut self.usernames, fold_case(&normalize(&user.username)));
                user.email.iter().for_each(|email| insert(&mut self.emails, fold_case(&normalize(email))));
            }
            Record::Conversation(conversation) => {
                self.conversation_ids.insert(conversation.id(entry));
                conversation.name.iter().for_each(|name| insert(&mut self.names, fold_case(name)));
                if let [one, other] = conversation.participants.as_slice()
                    && conversation.kind_or_usual() == Kind::Direct
                {
                    self.pairs.push((one.user(), other.user()));
                }
            }
            Record::Message(message) => {
                self.message_ids.insert(message.id(entry));
                message.key.iter().for_each(|key| insert(&mut self.keys, key));
                self.conversation(&message.conversation, message.sender.as_deref());
                message.reply_to.iter().for_each(|parent| self.message(parent));
            }
            Record::Notification(notification) => self.message(&notification.message),
        }
    }
}

impl ConversationRecord {
    /// The id its row has or gets
    pub(super) fn id(&self, entry: &Entry) -> ConversationId {
        self.conversation_id.unwrap_or(ConversationId(entry.id))
    }

    pub(super) fn has_names(&self) -> bool {
        self.names() != (None, None)
    }

    /// What it is: as it says, else by who takes part
    pub(super) fn kind_or_usual(&self) -> Kind {
        self.kind.unwrap_or_else(|| rules::kind(self.participants.len(), self.has_names()))
    }
}

impl MessageRecord {
    /// The id its row has or gets
    pub(super) fn id(&self, entry: &Entry) -> MessageId {
        self.message_id.unwrap_or(MessageId(entry.id))
    }
}

impl ExistingRows {
    /// Looks up whatever these records name.
    pub(super) fn find(tx: &mut Tx<'_>, entries: &[Entry]) -> Result<Self> {
        let wanted = Wanted::of(entries);
        let mut existing = Self::default();
        let (usernames, emails): (Vec<_>, Vec<_>) =
            (wanted.usernames.into_iter().collect(), wanted.emails.into_iter().collect());
        for account in bulk::accounts(tx, wanted.user_ids, &usernames, &emails)? {
            existing.learn_user(account);
        }
        let group_names: Vec<_> = wanted.names.into_iter().collect();
        existing.learn_conversations(bulk::conversations(tx, wanted.conversation_ids, &group_names)?);
        existing.find_pairs(tx, &wanted.pairs)?;
        for message in bulk::messages(tx, wanted.message_ids, &wanted.keys.into_iter().collect::<Vec<_>>())? {
            existing.learn_message(message);
        }
        existing.find_details(tx, entries)?;
        Ok(existing)
    }

    /// Looks up the direct conversations of users as they are called.
    fn find_pairs(&mut self, tx: &mut Tx<'_>, pairs: &[(&str, &str)]) -> Result<()> {
        let pairs: BTreeSet<(UserKey, UserKey)> = pairs
            .iter()
            .filter_map(|(one, other)| Some(pair(self.user(one)?, self.user(other)?)))
            .filter(|(lower, higher)| lower != higher)
            .collect();
        self.learn_conversations(bulk::direct_conversations(tx, &pairs.into_iter().collect::<Vec<_>>())?);
        Ok(())
    }

    fn learn_conversations(&mut self, places: Vec<(Conversation, Number)>) {
        for (conversation, last_number) in places {
            self.learn_conversation(ExistingConversation { conversation, last_number });
        }
    }

    /// Looks up what belongs to the rows that are there and are to be compared.
    fn find_details(&mut self, tx: &mut Tx<'_>, entries: &[Entry]) -> Result<()> {
        let (mut conversations, mut edited, mut notified) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut numbered = Vec::new();
        for entry in entries {
            match &entry.record {
                Record::User(_) => {}
                Record::Conversation(record) => {
                    conversations.extend(self.conversation_of(entry, record).map(|place| place.conversation.key));
                }
                Record::Message(record) => match self.message_of(entry, record) {
                    Some(message) if !record.revisions.is_empty() => drop(edited.insert(message.key)),
                    Some(_) => {}
                    None => {
                        let sender = record.sender.as_deref().and_then(|sender| self.user(sender));
                        let place = self.conversation(&record.conversation, sender);
                        // Above the highest that was ever given out, every number is free.
                        let used = record.number.zip(place).filter(|(number, place)| *number <= place.last_number);
                        numbered.extend(used.map(|(number, place)| (place.conversation.key, number)));
                    }
                },
                Record::Notification(record) => {
                    notified.extend(self.message(&record.message).map(|message| message.key));
                }
            }
        }
        if !conversations.is_empty() {
            for (conversation, user, level) in bulk::participants(tx, conversations)? {
                self.participants.entry(conversation).or_default().insert(user, level);
            }
        }
        if !edited.is_empty() {
            for (message, number, content) in bulk::revisions(tx, edited)? {
                self.revisions.entry(message).or_default().push((number, content));
            }
        }
        if !notified.is_empty() {
            self.notified.extend(bulk::notified(tx, notified)?);
        }
        if !numbered.is_empty() {
            self.taken.extend(bulk::taken_numbers(tx, &numbered)?);
        }
        Ok(())
    }

    /// The messages that records name
    pub(super) fn messages(&self) -> impl Iterator<Item = &MessageRow> {
        self.messages.values()
    }

    /// Whether a message of a conversation has a number that another record wants
    pub(super) fn is_taken(&self, conversation: ConversationKey, number: Number) -> bool {
        self.taken.contains(&(conversation, number))
    }

    /// Whether a user has a notification of a message, and whether it is read
    pub(super) fn notified(&self, message: MessageKey, user: UserKey) -> Option<bool> {
        self.notified.get(&(message, user)).copied()
    }

    pub(super) fn learn_notification(&mut self, message: MessageKey, user: UserKey, is_read: bool) {
        self.notified.insert((message, user), is_read);
    }

    /// Who takes part in a conversation that a record is, with which level
    pub(super) fn participants(&self, conversation: ConversationKey) -> impl Iterator<Item = (UserKey, Level)> {
        self.participants.get(&conversation).into_iter().flatten().map(|(user, level)| (*user, *level))
    }

    pub(super) fn learn_participants(&mut self, conversation: ConversationKey, participants: &[(UserKey, Level)]) {
        self.participants.insert(conversation, participants.iter().copied().collect());
    }

    pub(super) fn learn_user(&mut self, account: Account) {
        let person = &account.user.person;
        self.user_ids.insert(person.user_id, person.key);
        self.usernames.insert(fold_case(&person.username), person.key);
        self.emails.extend(account.user.email.as_deref().map(|email| (fold_case(email), person.key)));
        self.users.insert(person.key, account);
    }

    pub(super) fn learn_conversation(&mut self, place: ExistingConversation) {
        let conversation = &place.conversation;
        self.conversation_ids.insert(conversation.id, conversation.key);
        self.names.extend(conversation.name.as_deref().map(|name| (fold_case(name), conversation.key)));
        self.pairs.extend(conversation.pair.map(|pair| (pair, conversation.key)));
        self.conversations.insert(conversation.key, place);
    }

    pub(super) fn learn_message(&mut self, message: MessageRow) {
        self.message_ids.insert(message.id, message.key);
        self.keys.extend(message.key_name.clone().map(|name| (name, message.key)));
        self.messages.insert(message.key, message);
    }

    /// The user a record names
    pub(super) fn user(&self, reference: &str) -> Option<UserKey> {
        match user_name(reference) {
            UserName::Id(id) => self.user_ids.get(&id),
            UserName::Name(name) => self.usernames.get(&name).or_else(|| self.emails.get(&name)),
        }
        .copied()
    }

    /// The user that a record is, by id or else by username
    pub(super) fn user_of(&self, entry: &Entry, record: &UserRecord) -> Option<&Account> {
        if let Some(settled) = self.settled.users.get(&entry.line) {
            return self.users.get(&(*settled)?);
        }
        let by_id = record.user_id.and_then(|id| self.user_ids.get(&id));
        let key = by_id.or_else(|| self.usernames.get(&fold_case(&normalize(&record.username))))?;
        self.users.get(key)
    }

    /// Whose email it is
    pub(super) fn user_with_email(&self, email: &str) -> Option<UserKey> {
        let email = fold_case(email);
        self.settled.emails.kept.get(&email).or_else(|| self.emails.get(&email)).copied()
    }

    /// Whose a username stays that a record wants for another
    pub(super) fn holder_of_username(&self, username: &str) -> Option<&UserRef> {
        let holder = self.settled.usernames.kept.get(&fold_case(username))?;
        Some(&self.users.get(holder)?.user.person)
    }

    /// Whose a group's name stays that a record wants for another
    pub(super) fn holder_of_name(&self, name: &str) -> Option<&Conversation> {
        let holder = self.settled.names.kept.get(&fold_case(name))?;
        Some(&self.conversations.get(holder)?.conversation)
    }

    pub(super) fn account(&self, key: UserKey) -> Option<&Account> {
        self.users.get(&key)
    }

    /// The conversation a record names; of a direct one, the sender says whose
    pub(super) fn conversation(&self, reference: &str, sender: Option<UserKey>) -> Option<&ExistingConversation> {
        let key = match conversation_name(reference) {
            ConversationName::Id(id) => self.conversation_ids.get(&id),
            ConversationName::Name(name) => self.names.get(&name),
            ConversationName::With(user) => self.pairs.get(&pair(sender?, self.user(user)?)),
        }?;
        self.conversations.get(key)
    }

    /// The conversation that a record is, by id, or else by name, or else by its pair
    pub(super) fn conversation_of(&self, entry: &Entry, record: &ConversationRecord) -> Option<&ExistingConversation> {
        if let Some(settled) = self.settled.conversations.get(&entry.line) {
            return self.conversations.get(&(*settled)?);
        }
        let by_id = self.conversation_ids.get(&record.id(entry)).copied();
        let by_name = || record.name.as_deref().and_then(|name| self.names.get(&fold_case(name))).copied();
        self.conversations.get(&by_id.or_else(by_name).or_else(|| self.of_pair(record))?)
    }

    /// The conversation of the two people whom a record of a direct one names
    fn of_pair(&self, record: &ConversationRecord) -> Option<ConversationKey> {
        match record.participants.as_slice() {
            [one, other] if record.kind_or_usual() == Kind::Direct => {
                self.pairs.get(&pair(self.user(one.user())?, self.user(other.user())?)).copied()
            }
            _ => None,
        }
    }

    /// Whether there is a conversation with the id that a record gets which is not there
    pub(super) fn has_id_of(&self, entry: &Entry, record: &ConversationRecord) -> bool {
        self.conversation_ids.contains_key(&record.id(entry))
    }

    /// The message a record names: by key, or else by id
    pub(super) fn message(&self, reference: &str) -> Option<&MessageRow> {
        let by_id = || self.message_ids.get(&reference.parse().ok()?);
        self.messages.get(self.keys.get(reference).or_else(by_id)?)
    }

    /// Who sent a message that is known
    pub(super) fn sender(&self, message: MessageKey) -> Option<UserKey> {
        self.messages.get(&message)?.sender
    }

    /// The message that a record is, by key, or else by id
    pub(super) fn message_of(&self, entry: &Entry, record: &MessageRecord) -> Option<&MessageRow> {
        let by_key = record.key.as_ref().and_then(|key| self.keys.get(key));
        self.messages.get(by_key.or_else(|| self.message_ids.get(&record.id(entry)))?)
    }
}
