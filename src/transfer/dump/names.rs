//! What users and conversations are called in a dump.

use std::collections::HashMap;

use uuid::Uuid;

use super::pseudonyms::Pseudonyms;
use crate::error::{Error, Result};
use crate::model::{ConversationKey, UserKey};
use crate::store::{self, Tx};
use crate::transfer::records::{ConversationRecord, MessageRecord, UserRecord};

/// How many names are kept: so many that most are read once, so few that they are no matter
const MOST: usize = 50_000;

/// The names of those that were met, and what stands for them where they are not to be known
pub(super) struct Names {
    users: HashMap<UserKey, String>,
    conversations: HashMap<ConversationKey, String>,
    pseudonyms: Option<Pseudonyms>,
}

impl Names {
    pub(super) fn new(pseudonyms: Option<Pseudonyms>) -> Self {
        Self { users: HashMap::new(), conversations: HashMap::new(), pseudonyms }
    }

    /// Forgets what was learnt where that became much; before a page, which learns what it needs.
    pub(super) fn forget(&mut self) {
        if self.users.len() > MOST {
            self.users.clear();
        }
        if self.conversations.len() > MOST {
            self.conversations.clear();
        }
    }

    /// Learns the names of these users.
    pub(super) fn know(&mut self, tx: &mut Tx<'_>, users: impl Iterator<Item = UserKey>) -> Result<()> {
        let known = &self.users;
        let unknown: Vec<UserKey> = users.filter(|user| !known.contains_key(user)).collect();
        if let Some(pseudonyms) = &self.pseudonyms {
            self.users.extend(unknown.into_iter().map(|user| (user, pseudonyms.user(user))));
        } else {
            let people = store::users::people(tx, unknown)?;
            self.users.extend(people.into_iter().map(|(user, person)| (user, person.username)));
        }
        Ok(())
    }

    /// Learns the names of these conversations.
    pub(super) fn know_conversations(
        &mut self,
        tx: &mut Tx<'_>,
        conversations: impl Iterator<Item = ConversationKey>,
    ) -> Result<()> {
        let known = &self.conversations;
        let mut unknown: Vec<ConversationKey> = conversations.filter(|key| !known.contains_key(key)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        for (conversation, id, name) in store::dump::conversation_names(tx, &unknown)? {
            let name = match (&self.pseudonyms, name) {
                (_, None) => self.id(id.0).to_string(),
                (None, Some(name)) => name,
                (Some(pseudonyms), Some(_)) => pseudonyms.group(conversation),
            };
            self.conversations.insert(conversation, name);
        }
        Ok(())
    }

    /// An id as it stands in the dump
    pub(super) fn id(&self, id: Uuid) -> Uuid {
        self.pseudonyms.as_ref().map_or(id, |pseudonyms| pseudonyms.id(id))
    }

    /// The username of a known user
    ///
    /// # Errors
    /// `Unavailable` if the database names one who is not there.
    pub(super) fn user(&self, user: UserKey) -> Result<String> {
        self.users.get(&user).cloned().ok_or_else(|| damaged("user"))
    }

    /// What names a known conversation: its name, or its id
    ///
    /// # Errors
    /// `Unavailable` if the database names one that is not there.
    pub(super) fn conversation(&self, conversation: ConversationKey) -> Result<String> {
        self.conversations.get(&conversation).cloned().ok_or_else(|| damaged("conversation"))
    }

    /// A user as they stand in the dump
    pub(super) fn of_user(&mut self, user: UserKey, record: UserRecord) -> UserRecord {
        let Some(pseudonyms) = &mut self.pseudonyms else { return record };
        pseudonyms.add_user(user);
        let username = pseudonyms.user(user);
        UserRecord {
            email: record.email.map(|_| format!("{username}@example.org")),
            username,
            first_name: record.first_name.map(|_| String::new()),
            last_name: record.last_name.map(|_| String::new()),
            password_hash: None,
            ..record
        }
    }

    /// A conversation as it stands in the dump
    pub(super) fn of_conversation(
        &mut self,
        conversation: ConversationKey,
        record: ConversationRecord,
    ) -> ConversationRecord {
        let Some(pseudonyms) = &mut self.pseudonyms else { return record };
        if record.name.is_some() {
            pseudonyms.add_group(conversation);
        }
        ConversationRecord {
            name: record.name.map(|_| pseudonyms.group(conversation)),
            title: record.title.map(|title| pseudonyms.text(&title)),
            ..record
        }
    }

    /// A message as it stands in the dump
    pub(super) fn of_message(
        &mut self,
        tx: &mut Tx<'_>,
        conversation: ConversationKey,
        mut record: MessageRecord,
    ) -> Result<MessageRecord> {
        let Some(pseudonyms) = &mut self.pseudonyms else { return Ok(record) };
        record.key = record.key.map(|_| pseudonyms.next_key());
        record.content = pseudonyms.content(tx, conversation, &record.content)?;
        for revision in &mut record.revisions {
            revision.content = pseudonyms.content(tx, conversation, &revision.content)?;
            revision.reason = revision.reason.take().map(|reason| pseudonyms.text(&reason));
        }
        Ok(record)
    }
}

fn damaged(missing: &str) -> Error {
    Error::unavailable(format!("The database is damaged: it names a {missing} that is not there."))
        .hint("`tidings db check` says more.")
}
