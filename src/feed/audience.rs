//! Who listens, and who of them hears of an event.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;

use super::Who;
use super::outlet::ListenerId;
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
    pub(super) state: State,
}

/// Where a listener is found. It says what most events need, so that only few look at the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: ListenerId,
    pub(super) user: Option<UserKey>,
    /// Not behind, and not narrowed: hears of every event that it is found by
    hears_all: bool,
}

/// All who listen to a feed. Those who are not behind are found by what they hear of.
#[derive(Default)]
pub(super) struct Audience {
    members: Map<ListenerId, Member>,
    by_conversation: Map<ConversationKey, Vec<Place>>,
    by_user: Map<UserKey, Vec<Place>>,
    /// Who hears everything
    operators: Vec<Place>,
}

impl Audience {
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn add(&mut self, id: ListenerId, member: Member) {
        let place = place(id, &member);
        self.found_by_user(place.user).push(place);
        self.members.insert(id, member);
        self.find_by_conversations(place);
    }

    pub(super) fn remove(&mut self, id: ListenerId) -> Option<Member> {
        self.forget_conversations(id);
        let member = self.members.remove(&id)?;
        match member.listener.user() {
            Some(user) => forget(&mut self.by_user, &user, id),
            None => self.operators.retain(|other| other.id != id),
        }
        Some(member)
    }

    pub(super) fn member(&mut self, id: ListenerId) -> Option<&mut Member> {
        self.members.get_mut(&id)
    }

    pub(super) fn into_members(self) -> impl Iterator<Item = (ListenerId, Member)> {
        self.members.into_iter()
    }

    /// The listeners of a user, also those who are behind
    pub(super) fn of(&self, user: UserKey) -> impl Iterator<Item = ListenerId> {
        self.by_user.get(&user).into_iter().flatten().map(|place| place.id)
    }

    /// Lets a member hear what comes from where the feed is.
    pub(super) fn catch_up(&mut self, id: ListenerId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.state = State::Live;
        let user = member.listener.user();
        let Some(found) = self.found_by_user(user).iter().position(|place| place.id == id) else { return };
        let place = place(id, &self.members[&id]);
        self.found_by_user(user)[found] = place;
        self.find_by_conversations(place);
    }

    /// Who of those who are not behind hears of an event. It moves them where it says.
    pub(super) fn hear(&mut self, entry: &Entry) -> Vec<Place> {
        let row = &entry.row;
        let of_conversation = row.heard_in().and_then(|key| self.by_conversation.get(&key));
        let mut heard = of_conversation.cloned().unwrap_or_default();
        let named = row.user.iter().chain(&entry.audience).filter_map(|user| self.by_user.get(user)).flatten();
        let others = heard.len();
        heard.extend(named.chain(&self.operators));
        if heard.len() > others {
            heard.sort_unstable_by_key(|place| place.id);
            heard.dedup_by_key(|place| place.id);
        }
        let members = &mut self.members;
        let mut moved = Vec::new();
        let is_move = moves(row.kind);
        heard.retain(|place| {
            if place.hears_all && !is_move {
                return true;
            }
            let member = members.get_mut(&place.id).filter(|member| member.state == State::Live);
            let Some(member) = member else { return false };
            let is_told = member.listener.hears(entry);
            if is_move {
                moved.extend(member.listener.follow(entry).map(|moved| (*place, moved)));
            }
            is_told
        });
        for (place, moved) in moved {
            match moved {
                Moved::Into(conversation) => self.by_conversation.entry(conversation).or_default().push(place),
                Moved::OutOf(conversation) => forget(&mut self.by_conversation, &conversation, place.id),
            }
        }
        heard
    }

    /// Where the listeners of a user are found, or those of the operator
    fn found_by_user(&mut self, user: Option<UserKey>) -> &mut Vec<Place> {
        match user {
            Some(user) => self.by_user.entry(user).or_default(),
            None => &mut self.operators,
        }
    }

    fn find_by_conversations(&mut self, place: Place) {
        let member = self.members.get(&place.id).filter(|member| member.state == State::Live);
        for conversation in member.into_iter().flat_map(|member| member.listener.conversations()) {
            self.by_conversation.entry(conversation).or_default().push(place);
        }
    }

    fn forget_conversations(&mut self, id: ListenerId) {
        let Some(member) = self.members.get(&id).filter(|member| member.state == State::Live) else { return };
        for conversation in member.listener.conversations() {
            forget(&mut self.by_conversation, &conversation, id);
        }
    }
}

fn place(id: ListenerId, member: &Member) -> Place {
    let hears_all = member.state == State::Live && !member.listener.is_narrowed();
    Place { id, user: member.listener.user(), hears_all }
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

fn forget<K: Eq + Hash>(found: &mut Map<K, Vec<Place>>, key: &K, id: ListenerId) {
    if let Some(places) = found.get_mut(key) {
        if let Some(place) = places.iter().position(|other| other.id == id) {
            places.swap_remove(place);
        }
        if places.is_empty() {
            found.remove(key);
        }
    }
}
