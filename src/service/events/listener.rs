//! Who hears of which events.

use std::collections::HashSet;

use super::Entry;
use crate::error::{Error, Result};
use crate::model::{Actor, ConversationId, ConversationKey, ConversationSelector, EventKind, UserKey};
use crate::service;
use crate::store::events::{Position, membership_changes};
use crate::store::{self, Tx};

/// What part of what somebody may hear they want to hear; nothing: all.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    pub conversations: Vec<ConversationSelector>,
    pub kinds: Vec<EventKind>,
}

/// Somebody who listens, as of a place in the log: which events they hear depends on where they take part at each.
#[derive(Clone, Debug)]
pub struct Listener {
    /// None: the operator, who hears everything
    user: Option<UserKey>,
    /// Where the user takes part
    conversations: HashSet<ConversationKey>,
    /// Conversations that an admin hears without taking part
    granted: HashSet<ConversationKey>,
    /// The only conversations to hear of; none: all
    only: Vec<(ConversationKey, ConversationId)>,
    /// The only kinds to hear of; none: all
    kinds: Vec<EventKind>,
}

impl Listener {
    /// Somebody who listens from a place in the log on.
    ///
    /// # Errors
    /// `NotFound` for a conversation that the actor may not see.
    pub fn new(tx: &mut Tx<'_>, actor: &Actor, narrowing: &Narrowing, from: Position) -> Result<Self> {
        let mut listener = Self {
            user: actor.key(),
            conversations: HashSet::new(),
            granted: HashSet::new(),
            only: Vec::new(),
            kinds: narrowing.kinds.clone(),
        };
        for selector in &narrowing.conversations {
            let (conversation, takes_part) = service::conversation(tx, actor, selector)?;
            listener.only.push((conversation.key, conversation.id));
            if !takes_part {
                listener.granted.insert(conversation.key);
            }
        }
        listener.set_out(tx, from)?;
        Ok(listener)
    }

    /// The same who listens, from a place in another log on.
    ///
    /// # Errors
    /// As of [`Listener::new`].
    pub fn anew(&self, tx: &mut Tx<'_>, actor: &Actor, from: Position) -> Result<Self> {
        let conversations = self.only.iter().map(|(_, id)| ConversationSelector::Id(*id)).collect();
        Self::new(tx, actor, &Narrowing { conversations, kinds: self.kinds.clone() }, from)
    }

    /// Goes to a place in the log: to where the user took part there.
    fn set_out(&mut self, tx: &mut Tx<'_>, from: Position) -> Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        self.conversations = store::conversations::all_of(tx, user)?.into_iter().collect();
        for change in membership_changes(tx, user, from)? {
            if change.was_in {
                self.conversations.insert(change.conversation);
            } else {
                self.conversations.remove(&change.conversation);
            }
        }
        Ok(())
    }

    /// Who listens; none: the operator
    pub fn user(&self) -> Option<UserKey> {
        self.user
    }

    /// Whether only a part is wanted of what the listener may hear
    pub fn is_narrowed(&self) -> bool {
        !self.kinds.is_empty() || !self.only.is_empty()
    }

    /// The conversations of which the listener hears, each once
    pub fn conversations(&self) -> impl Iterator<Item = ConversationKey> {
        self.conversations.union(&self.granted).copied()
    }

    /// Refuses somebody who hears conversations by the right of an admin and is none any more.
    ///
    /// # Errors
    /// `Forbidden`
    pub fn must_be_allowed_to(&self, actor: &Actor) -> Result<()> {
        if self.granted.is_empty() || actor.administers() {
            return Ok(());
        }
        Err(Error::forbidden("Only admins hear of conversations in which they do not participate."))
    }

    /// Whether the listener hears of an event.
    pub fn hears(&self, Entry { row, audience }: &Entry) -> bool {
        let is_of = |(key, id): &(ConversationKey, ConversationId)| {
            // A level is changed in a conversation that only the subject names.
            row.conversation == Some(*key) || row.kind == EventKind::ParticipantUpdated && row.subject == Some(id.0)
        };
        let is_wanted = (self.kinds.is_empty() || self.kinds.contains(&row.kind))
            && (self.only.is_empty() || self.only.iter().any(is_of));
        let is_in = |key: &ConversationKey| self.conversations.contains(key) || self.granted.contains(key);
        is_wanted
            && self.user.is_none_or(|user| {
                row.heard_in().as_ref().is_some_and(is_in) || row.user == Some(user) || audience.contains(&user)
            })
    }

    /// Follows an event: returns the conversation that it took the user into, or out of.
    pub fn follow(&mut self, Entry { row, audience }: &Entry) -> Option<Moved> {
        let (user, conversation) = (self.user?, row.conversation?);
        let is_self = row.user == Some(user);
        match row.kind {
            EventKind::ParticipantAdded if is_self => self.enter(conversation),
            EventKind::ConversationCreated if audience.contains(&user) => self.enter(conversation),
            EventKind::ParticipantRemoved if is_self => self.leave(conversation),
            EventKind::ConversationDeleted => {
                let was_granted = self.granted.remove(&conversation);
                let was_in = self.conversations.remove(&conversation);
                (was_granted || was_in).then_some(Moved::OutOf(conversation))
            }
            _ => None,
        }
    }

    fn enter(&mut self, conversation: ConversationKey) -> Option<Moved> {
        let is_new = self.conversations.insert(conversation);
        (is_new && !self.granted.contains(&conversation)).then_some(Moved::Into(conversation))
    }

    fn leave(&mut self, conversation: ConversationKey) -> Option<Moved> {
        let was_in = self.conversations.remove(&conversation);
        (was_in && !self.granted.contains(&conversation)).then_some(Moved::OutOf(conversation))
    }
}

/// What an event did to where a listener takes part
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Into(ConversationKey),
    OutOf(ConversationKey),
}
