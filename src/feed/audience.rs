//! Who listens, and who of them hears of an event.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;

use super::Who;
use super::outlet::{ListenerId, Outlet};
use crate::model::{ConversationKey, EventKind, UserKey};
use crate::service::events::{Entry, Listener, Moved};
use crate::store::events::Position;

type Map<K, V> = HashMap<K, V, FixedState>;

/// Where a listener is in the log
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Where the feed is
    Live,
    /// Behind it
    Behind(Position),
}

/// Somebody who listens
pub(super) struct Member {
    pub(super) listener: Listener,
    pub(super) who: Who,
    pub(super) outlet: Outlet,
    pub(super) state: State,
}

/// All who listen to a feed. Those who are not behind are found by what they hear of.
#[derive(Default)]
pub(super) struct Audience {
    members: Map<ListenerId, Member>,
    by_conversation: Map<ConversationKey, Vec<ListenerId>>,
    by_user: Map<UserKey, Vec<ListenerId>>,
    /// Who hears everything
    operators: Vec<ListenerId>,
    /// Where they listen, and how many in each
    outlets: Vec<(Outlet, usize)>,
}

impl Audience {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn add(&mut self, id: ListenerId, member: Member) {
        match member.listener.user() {
            Some(user) => self.by_user.entry(user).or_default().push(id),
            None => self.operators.push(id),
        }
        match self.outlets.iter_mut().find(|(outlet, _)| outlet.is(&member.outlet)) {
            Some((_, count)) => *count += 1,
            None => self.outlets.push((member.outlet.clone(), 1)),
        }
        self.members.insert(id, member);
        self.find_by_conversations(id);
    }

    pub(super) fn remove(&mut self, id: ListenerId) -> Option<Member> {
        self.forget_conversations(id);
        let member = self.members.remove(&id)?;
        match member.listener.user() {
            Some(user) => forget(&mut self.by_user, &user, id),
            None => self.operators.retain(|other| *other != id),
        }
        self.outlets.iter_mut().filter(|(outlet, _)| outlet.is(&member.outlet)).for_each(|(_, count)| *count -= 1);
        self.outlets.retain(|(_, count)| *count > 0);
        Some(member)
    }

    pub(super) fn member(&mut self, id: ListenerId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    pub(super) fn into_members(self) -> impl Iterator<Item = (ListenerId, Member)> {
        self.members.into_iter()
    }

    /// The outlets in which anybody listens
    pub(super) fn outlets(&self) -> impl Iterator<Item = &Outlet> {
        self.outlets.iter().map(|(outlet, _)| outlet)
    }

    /// The listeners of a user, also those who are behind
    pub(super) fn of(&self, user: UserKey) -> &[ListenerId] {
        self.by_user.get(&user).map_or(&[], Vec::as_slice)
    }

    /// Lets a member hear what comes from where the feed is.
    pub(super) fn catch_up(&mut self, id: ListenerId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.state = State::Live;
            self.find_by_conversations(id);
        }
    }

    /// Who of those who are not behind hears of an event. It moves them where it says.
    pub(super) fn hear(&mut self, entry: &Entry) -> Vec<ListenerId> {
        let row = &entry.row;
        let of_conversation = row.conversation.and_then(|key| self.by_conversation.get(&key));
        let mut heard = of_conversation.cloned().unwrap_or_default();
        let named = row.user.iter().chain(&entry.audience).filter_map(|user| self.by_user.get(user)).flatten();
        let others = heard.len();
        heard.extend(named.chain(&self.operators));
        if heard.len() > others {
            heard.sort_unstable();
            heard.dedup();
        }
        let members = &mut self.members;
        let mut moved = Vec::new();
        let is_move = moves(row.kind);
        heard.retain(|id| {
            let Some(member) = members.get_mut(id).filter(|member| member.state == State::Live) else { return false };
            let is_told = member.listener.hears(entry);
            if is_move {
                moved.extend(member.listener.follow(entry).map(|moved| (*id, moved)));
            }
            is_told
        });
        for (id, moved) in moved {
            match moved {
                Moved::Into(conversation) => self.by_conversation.entry(conversation).or_default().push(id),
                Moved::OutOf(conversation) => forget(&mut self.by_conversation, &conversation, id),
            }
        }
        heard
    }

    fn find_by_conversations(&mut self, id: ListenerId) {
        let Some(member) = self.members.get(&id).filter(|member| member.state == State::Live) else { return };
        for conversation in member.listener.conversations() {
            self.by_conversation.entry(conversation).or_default().push(id);
        }
    }

    fn forget_conversations(&mut self, id: ListenerId) {
        let Some(member) = self.members.get(&id).filter(|member| member.state == State::Live) else { return };
        for conversation in member.listener.conversations() {
            forget(&mut self.by_conversation, &conversation, id);
        }
    }
}

/// Whether an event of this kind may take somebody into a conversation, or out of one
pub(super) fn moves(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ParticipantAdded
            | EventKind::ParticipantRemoved
            | EventKind::ConversationCreated
            | EventKind::ConversationDeleted
    )
}

fn forget<K: Eq + Hash>(found: &mut Map<K, Vec<ListenerId>>, key: &K, id: ListenerId) {
    if let Some(ids) = found.get_mut(key) {
        if let Some(place) = ids.iter().position(|other| *other == id) {
            ids.swap_remove(place);
        }
        if ids.is_empty() {
            found.remove(key);
        }
    }
}
