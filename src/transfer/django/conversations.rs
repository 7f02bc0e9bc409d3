//! Conversations: who takes part, which are direct, and which two are one.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::fields::Key;
use super::index::{Ids, Index, derived};
use super::people::{Hanging, People};
use super::report::{Origin, Report};
use super::rows::{Conversation, Membership, Message, order};
use crate::model::{ConversationId, Kind, Level, Timestamp};
use crate::service::conversations::check_names;
use crate::transfer::records::{ConversationRecord, Participant};

/// The conversations of a dump
#[derive(Default)]
pub(super) struct Conversations {
    index: Index,
    /// Of each row, the place it is carried to
    fates: Vec<Option<usize>>,
    carried: Vec<CarriedConversation>,
    direct: HashMap<(usize, usize), usize>,
}

/// A conversation that is carried
pub(super) struct CarriedConversation {
    /// Its row, or else that of its first message
    origin: Origin,
    pub(super) id: Uuid,
    pub(super) kind: Kind,
    pub(super) people: BTreeSet<usize>,
    title: Option<String>,
    creator: Option<usize>,
    created: Option<Timestamp>,
}

impl Conversations {
    /// Takes over the conversations of a dump.
    pub(super) fn carry(
        mut conversations: Vec<Conversation>,
        memberships: Vec<Membership>,
        messages: &[Message],
        people: &mut People,
        report: &mut Report,
    ) -> Self {
        // The first of several direct ones of a pair is the oldest.
        conversations
            .sort_by(|one, other| (one.created, order(&one.origin.pk)).cmp(&(other.created, order(&other.origin.pk))));
        let mut carried = Self::default();
        let mut rows: Vec<(Conversation, Vec<(Origin, Key)>)> = Vec::new();
        for conversation in conversations {
            carried.index.add(&conversation.origin, rows.len());
            let named = conversation.participants.iter().map(|key| (conversation.origin.clone(), key.clone()));
            let named = named.collect();
            rows.push((conversation, named));
        }
        for Membership { origin, conversation, user } in memberships {
            let row = conversation.and_then(|key| carried.index.find(&key, origin.app()));
            match (row, user) {
                (Some(row), Some(user)) => rows[row].1.push((origin, user)),
                _ => {
                    report.row(&origin, None, "There is no such conversation, or no user is named.");
                }
            }
        }
        let mut involved: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); rows.len()];
        for message in messages {
            let row = message.conversation.as_ref().and_then(|key| carried.index.find(key, message.origin.app()));
            let sender = message.sender.as_ref().and_then(|key| people.find(key, &message.origin, None).ok());
            if let (Some(row), Some(sender)) = (row, sender) {
                involved[row].insert(sender);
            }
        }
        let mut ids = Ids::default();
        for ((row, named), involved) in rows.into_iter().zip(involved) {
            let fate = carried.carry_one(row, named, &involved, &mut ids, people, report);
            carried.fates.push(fate);
        }
        carried
    }

    fn carry_one(
        &mut self,
        row: Conversation,
        named: Vec<(Origin, Key)>,
        involved: &BTreeSet<usize>,
        ids: &mut Ids,
        people: &mut People,
        report: &mut Report,
    ) -> Option<usize> {
        let Conversation { origin, title, .. } = row;
        let mut participants = BTreeSet::new();
        for (at, key) in named {
            match people.find(&key, &at, Some(Hanging::Participation)) {
                Ok(person) => {
                    participants.insert(person);
                }
                Err(reason) => {
                    report.row(&at, Some("participants"), format!("{reason} They do not take part."));
                }
            }
        }
        if participants.len() < 2 {
            let reason = "A conversation needs at least two people; it is left out, with its messages.";
            report.row(&origin, Some("participants"), reason);
            return None;
        }
        let checked = check_names(None, title.as_deref()).map(|_| ());
        let title = match checked {
            Ok(()) => title.filter(|title| !title.trim().is_empty()),
            Err(error) => {
                report.row(&origin, Some("title"), format!("{error} The conversation is carried without it."));
                None
            }
        };
        let creator = row.creator.and_then(|key| match people.find(&key, &origin, None) {
            Ok(person) => Some(person),
            Err(reason) => {
                report.row(
                    &origin,
                    Some("creator"),
                    format!("{reason} The conversation is carried without a creator."),
                );
                None
            }
        });
        let id = ids.of(&origin, row.id);
        let pair = pair(&participants).filter(|_| title.is_none() && involved.is_subset(&participants));
        if let Some(&first) = pair.and_then(|pair| self.direct.get(&pair)) {
            let one = self.carried[first].id;
            let reason =
                format!("The same two people have the direct conversation {one}; its messages are carried there.");
            report.row(&origin, None, reason);
            return Some(first);
        }
        let place = self.carried.len();
        self.direct.extend(pair.map(|pair| (pair, place)));
        let kind = if pair.is_some() { Kind::Direct } else { Kind::Group };
        self.carried.push(CarriedConversation {
            origin,
            id,
            kind,
            people: participants,
            title,
            creator,
            created: row.created,
        });
        Some(place)
    }

    /// The place that a conversation's key in that row means; else why there is none.
    pub(super) fn find(&self, key: &Key, origin: &Origin) -> Result<usize, String> {
        match self.index.find(key, origin.app()).map(|row| self.fates[row]) {
            None => Err(format!("There is no conversation {}.", key.text())),
            Some(None) => Err(format!("The conversation {} is left out.", key.text())),
            Some(Some(place)) => Ok(place),
        }
    }

    /// The direct conversation of two people, begun by that message where there is none
    pub(super) fn between(&mut self, pair: (usize, usize), first: &Message, people: &People) -> usize {
        let pair = (pair.0.min(pair.1), pair.0.max(pair.1));
        if let Some(&place) = self.direct.get(&pair) {
            return place;
        }
        let mut names = [people.username(pair.0), people.username(pair.1)];
        names.sort();
        let place = self.carried.len();
        self.direct.insert(pair, place);
        self.carried.push(CarriedConversation {
            origin: first.origin.clone(),
            id: derived(&["direct", &names[0], &names[1]]),
            kind: Kind::Direct,
            people: BTreeSet::from([pair.0, pair.1]),
            title: None,
            creator: None,
            created: first.sent,
        });
        place
    }

    pub(super) fn get(&self, place: usize) -> &CarriedConversation {
        &self.carried[place]
    }

    /// The conversations as records
    pub(super) fn records(&self, people: &People) -> Vec<(Origin, ConversationRecord)> {
        let record = |place: &CarriedConversation| ConversationRecord {
            conversation_id: Some(ConversationId(place.id)),
            kind: Some(place.kind),
            title: place.title.clone(),
            creator: place.creator.map(|creator| people.username(creator)),
            participants: place
                .people
                .iter()
                .map(|&user| Participant::new(people.username(user), Level::All))
                .collect(),
            created_at: place.created,
            ..ConversationRecord::default()
        };
        self.carried.iter().map(|place| (place.origin.clone(), record(place))).collect()
    }
}

fn pair(people: &BTreeSet<usize>) -> Option<(usize, usize)> {
    let (first, last) = (people.first()?, people.last()?);
    (people.len() == 2).then_some((*first, *last))
}
