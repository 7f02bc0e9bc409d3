//! What a dump holds: what its filters choose, and all that this refers to.

use super::keys::Keys;
use super::{PAGE, Request};
use crate::error::Result;
use crate::model::{Actor, ConversationKey, Timestamp, UserKey};
use crate::service;
use crate::store::{self, Tx};

/// What a dump holds; none: everything
pub(super) struct Selection(Option<Chosen>);

#[derive(Default)]
struct Chosen {
    users: Keys,
    conversations: Keys,
    /// Those the filters chose
    messages: Keys,
    /// Those, and what they reply to
    threads: Keys,
}

impl Selection {
    /// Finds what a request asks for.
    ///
    /// # Errors
    /// `NotFound` if a named user or conversation does not exist.
    pub(super) fn find(tx: &mut Tx<'_>, actor: &Actor, request: &Request) -> Result<Self> {
        let Request { conversations, users, since, until, .. } = request;
        let has_place = !(conversations.is_empty() && users.is_empty());
        if !has_place && since.is_none() && until.is_none() {
            return Ok(Self(None));
        }
        let mut chosen = Chosen::default();
        for conversation in conversations {
            chosen.conversations.insert(service::conversation(tx, actor, conversation)?.0.key.0);
        }
        for user in users {
            let user = service::user(tx, actor, user)?.person.key;
            chosen.users.insert(user.0);
            let theirs = store::conversations::all_of(tx, user)?;
            for conversation in theirs {
                chosen.conversations.insert(conversation.0);
            }
        }
        let sent = since.unwrap_or(Timestamp::MIN)..until.unwrap_or(Timestamp::MAX);
        let Chosen { conversations, messages, .. } = &mut chosen;
        if has_place {
            for conversation in conversations.iter() {
                store::dump::keys_of(tx, ConversationKey(conversation), &sent, |key| messages.insert(key.0))?;
            }
        } else {
            store::dump::keys(tx, &sent, |key| messages.insert(key.0))?;
        }
        chosen.threads = messages.clone();
        chosen.add_links(tx)?;
        chosen.add_participants(tx)?;
        Ok(Self(Some(chosen)))
    }

    pub(super) fn has_user(&self, key: i64) -> bool {
        self.0.as_ref().is_none_or(|chosen| chosen.users.contains(key))
    }

    pub(super) fn has_conversation(&self, key: i64) -> bool {
        self.0.as_ref().is_none_or(|chosen| chosen.conversations.contains(key))
    }

    pub(super) fn has_message(&self, key: i64) -> bool {
        self.0.as_ref().is_none_or(|chosen| chosen.threads.contains(key))
    }

    /// Whether the notifications of that message are asked for: not those of what a chosen message replies to
    pub(super) fn has_notifications_of(&self, message: i64) -> bool {
        self.0.as_ref().is_none_or(|chosen| chosen.messages.contains(message))
    }

    /// Where to look for the next user behind a key; none: nowhere
    pub(super) fn users_after(&self, key: i64) -> Option<i64> {
        self.after(key, |chosen| &chosen.users)
    }

    /// Where to look for the next conversation behind a key; none: nowhere
    pub(super) fn conversations_after(&self, key: i64) -> Option<i64> {
        self.after(key, |chosen| &chosen.conversations)
    }

    /// Where to look for the next message behind a key; none: nowhere
    pub(super) fn messages_after(&self, key: i64) -> Option<i64> {
        self.after(key, |chosen| &chosen.threads)
    }

    /// How many messages there are; none: all
    pub(super) fn message_count(&self) -> Option<i64> {
        self.0.as_ref().map(|chosen| chosen.threads.count())
    }

    fn after(&self, key: i64, of: impl FnOnce(&Chosen) -> &Keys) -> Option<i64> {
        match &self.0 {
            Some(chosen) => of(chosen).next_after(key).map(|next| next - 1),
            None => Some(key),
        }
    }
}

impl Chosen {
    /// Adds what the messages refer to. A reply has a higher key than the message it replies to, so from the highest key
    /// down each message is added before it is come to.
    fn add_links(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let Self { users, conversations, messages, threads } = self;
        for window in (0..threads.windows()).rev() {
            let Some(keys) = threads.window(window) else { continue };
            let mut is_edited = false;
            store::dump::links(tx, &keys, |links| {
                if !threads.contains(links.message.0) {
                    return;
                }
                if let Some(parent) = links.parent {
                    threads.insert(parent.0);
                }
                conversations.insert(links.conversation.0);
                [links.sender, links.receiver].into_iter().flatten().for_each(|user| users.insert(user.0));
                is_edited |= links.is_edited;
            })?;
            if is_edited {
                store::dump::editors(tx, &keys, |message, editor| {
                    if threads.contains(message.0) {
                        users.insert(editor.0);
                    }
                })?;
            }
            if messages.window(window).is_some() {
                store::dump::notified(tx, &keys, |message, user| {
                    if messages.contains(message.0) {
                        users.insert(user.0);
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Adds who takes part in the conversations, and who created them.
    fn add_participants(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let mut add = |user: UserKey| self.users.insert(user.0);
        let mut place = 0;
        while let Some(next) = self.conversations.next_after(place) {
            let page = store::dump::conversations(tx, ConversationKey(next - 1), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            place = last.key.0;
            let chosen = page.iter().map(|(found, _)| found).filter(|found| self.conversations.contains(found.key.0));
            chosen.clone().filter_map(|conversation| conversation.creator_key).for_each(&mut add);
            let keys: Vec<ConversationKey> = chosen.map(|conversation| conversation.key).collect();
            store::dump::participants(tx, &keys)?.into_iter().for_each(|(_, user, _)| add(user));
        }
        Ok(())
    }
}
