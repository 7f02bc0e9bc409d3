//! What everything is called once a fixture is applied: its records may give each other's usernames, emails and names away,
//! and all of them change at once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use super::{ExistingRows, Wanted};
use crate::error::Result;
use crate::model::{ConversationKey, UserKey, fold_case, normalize};
use crate::store::Tx;
use crate::transfer::records::{ConversationRecord, Entry, Record, UserRecord};

/// Which rows the records of a fixture are, and which values change hands.
#[derive(Default)]
pub(in crate::transfer) struct Settled {
    /// By the lines of the records; none for those that are new
    pub(super) users: HashMap<u64, Option<UserKey>>,
    pub(super) conversations: HashMap<u64, Option<ConversationKey>>,
    pub(in crate::transfer) usernames: Changing<UserKey>,
    pub(in crate::transfer) emails: Changing<UserKey>,
    pub(in crate::transfer) names: Changing<ConversationKey>,
}

/// Values that only one row can have, of those that records want for another
pub(in crate::transfer) struct Changing<K> {
    /// The rows that give theirs away
    pub(in crate::transfer) given: Vec<K>,
    /// Whose they stay, though a record wants them
    pub(in crate::transfer) kept: HashMap<String, K>,
}

impl<K> Default for Changing<K> {
    fn default() -> Self {
        Self { given: Vec::new(), kept: HashMap::new() }
    }
}

impl<K: Copy + Eq> Changing<K> {
    /// Lets rows that will be gone give away what they have; returns them.
    pub(in crate::transfer) fn give_up(&mut self, is_gone: impl Fn(&K) -> bool) -> Vec<K> {
        let gone: Vec<K> = self.kept.extract_if(|_, row| is_gone(row)).map(|(_, row)| row).collect();
        self.given.extend(&gone);
        gone
    }
}

/// What a record says of a row's value: nothing, or what it is to be, if anything
type Said = Option<Option<String>>;

/// Finds who has which value once the records that want these are applied.
fn change<K: Copy + Eq + Hash>(
    rows: impl Iterator<Item = (K, Option<String>, Said)>,
    wanted: &HashSet<String>,
) -> (HashMap<String, K>, Changing<K>) {
    let (mut holders, mut changing) = (HashMap::new(), Changing::default());
    for (row, now, said) in rows {
        match (said, now) {
            (Some(then), now) => {
                if now != then && now.is_some_and(|now| wanted.contains(&now)) {
                    changing.given.push(row);
                }
                holders.extend(then.map(|then| (then, row)));
            }
            (None, Some(now)) if wanted.contains(&now) => drop(changing.kept.insert(now, row)),
            (None, now) => holders.extend(now.map(|now| (now, row))),
        }
    }
    (holders, changing)
}

fn username(record: &UserRecord) -> String {
    fold_case(&normalize(&record.username))
}

fn email(record: &UserRecord) -> Said {
    let email = record.email.as_deref()?;
    Some(Some(email).filter(|email| !email.is_empty()).map(|email| fold_case(&normalize(email))))
}

fn name(record: &ConversationRecord) -> Said {
    record.name.as_ref().map(|_| record.names().0.map(fold_case))
}

impl ExistingRows {
    /// From here on everything is called as it will be once these records are applied.
    ///
    /// A record with an id is the row with that id, whatever it is called now; then one with a name is the row of that name,
    /// unless another record calls that one otherwise.
    pub(in crate::transfer) fn settle(&mut self, tx: &mut Tx<'_>, entries: &[Entry]) -> Result<()> {
        self.settle_users(entries);
        self.find_pairs(tx, &Wanted::of(entries).pairs)?;
        self.settle_conversations(entries);
        Ok(())
    }

    fn settle_users(&mut self, entries: &[Entry]) {
        let records: Vec<(u64, &UserRecord)> = entries
            .iter()
            .filter_map(
                |entry| if let Record::User(record) = &entry.record { Some((entry.line, record)) } else { None },
            )
            .collect();
        let mut named: HashMap<UserKey, &UserRecord> = HashMap::new();
        let (with_id, others): (Vec<_>, Vec<_>) =
            records.iter().partition(|(_, record)| record.user_id.is_some_and(|id| self.user_ids.contains_key(&id)));
        for (line, record) in with_id {
            let row = record.user_id.and_then(|id| self.user_ids.get(&id)).copied();
            if let Some(row) = row {
                named.entry(row).or_insert(record);
            }
            self.settled.users.insert(line, row);
        }
        for (line, record) in others {
            let username = username(record);
            let row = self.usernames.get(&username).copied();
            let row = row.filter(|row| named.get(row).is_none_or(|other| self::username(other) == username));
            if let Some(row) = row {
                named.entry(row).or_insert(record);
            }
            self.settled.users.insert(line, row);
        }
        let wanted = records.iter().map(|(_, record)| username(record)).collect();
        let rows = self.users.values().map(|account| {
            let person = &account.user.person;
            (person.key, Some(fold_case(&person.username)), named.get(&person.key).map(|record| Some(username(record))))
        });
        (self.usernames, self.settled.usernames) = change(rows, &wanted);
        let wanted = records.iter().filter_map(|(_, record)| email(record).flatten()).collect();
        let rows = self.users.values().map(|account| {
            let key = account.user.person.key;
            (key, account.user.email.as_deref().map(fold_case), named.get(&key).and_then(|record| email(record)))
        });
        (self.emails, self.settled.emails) = change(rows, &wanted);
    }

    fn settle_conversations(&mut self, entries: &[Entry]) {
        let records: Vec<(&Entry, &ConversationRecord)> = entries
            .iter()
            .filter_map(|entry| match &entry.record {
                Record::Conversation(record) => Some((entry, record)),
                _ => None,
            })
            .collect();
        let mut named: HashMap<ConversationKey, &ConversationRecord> = HashMap::new();
        let said_id = |record: &ConversationRecord, existing: &Self| {
            record.conversation_id.and_then(|id| existing.conversation_ids.get(&id)).copied()
        };
        let (with_id, others): (Vec<_>, Vec<_>) =
            records.iter().partition(|(_, record)| said_id(record, self).is_some());
        for (entry, record) in with_id {
            let row = said_id(record, self);
            if let Some(row) = row {
                named.entry(row).or_insert(record);
            }
            self.settled.conversations.insert(entry.line, row);
        }
        for (entry, record) in others {
            let is_its_own = |row: &ConversationKey| named.get(row).is_none_or(|other| name(other) == name(record));
            let by_name = name(record).flatten().and_then(|name| self.names.get(&name)).copied();
            // The id that was made from the record, when it was new
            let by_id = || self.conversation_ids.get(&record.id(entry)).copied().filter(is_its_own);
            let row = by_name.filter(is_its_own).or_else(by_id).or_else(|| self.of_pair(record));
            if let Some(row) = row {
                named.entry(row).or_insert(record);
            }
            self.settled.conversations.insert(entry.line, row);
        }
        let wanted = records.iter().filter_map(|(_, record)| name(record).flatten()).collect();
        let rows = self.conversations.values().map(|place| {
            let conversation = &place.conversation;
            let said = named.get(&conversation.key).and_then(|record| name(record));
            (conversation.key, conversation.name.as_deref().map(fold_case), said)
        });
        (self.names, self.settled.names) = change(rows, &wanted);
    }

    /// Who the records are or refer to
    pub(in crate::transfer) fn named_users(&self, entries: &[Entry]) -> BTreeSet<UserKey> {
        let mut named = BTreeSet::new();
        for entry in entries {
            if let Record::User(record) = &entry.record {
                named.extend(self.user_of(entry, record).map(|account| account.user.person.key));
            }
            super::each_person(&entry.record, |person| named.extend(self.user(person)));
        }
        named
    }

    /// Which conversations the records are or refer to
    pub(in crate::transfer) fn named_conversations(&self, entries: &[Entry]) -> BTreeSet<ConversationKey> {
        let place = |entry: &Entry| match &entry.record {
            Record::Conversation(record) => self.conversation_of(entry, record),
            Record::Message(record) => {
                self.conversation(&record.conversation, record.sender.as_deref().and_then(|sender| self.user(sender)))
            }
            Record::User(_) | Record::Notification(_) => None,
        };
        entries.iter().filter_map(place).map(|place| place.conversation.key).collect()
    }
}
