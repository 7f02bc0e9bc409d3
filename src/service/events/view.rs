//! Events as listeners get them: made from what is there at delivery, once for all of them.

use std::collections::{BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Cursors, Entry};
use crate::error::Result;
use crate::model::{
    ConversationId, ConversationKey, ConversationView, EventKind, Kind, Level, Message, MessageId, Number, Timestamp,
    UserId, UserKey, UserRef,
};
use crate::service;
use crate::store::events::EventRow;
use crate::store::users::People;
use crate::store::{self, Tx};

/// How many participants of a conversation an event shows, as a list does
const PARTICIPANTS_SHOWN: i64 = 10;

/// An event as a listener gets it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventView {
    /// The cursor behind this event
    pub id: String,
    pub event: EventKind,
    pub at: Timestamp,
    /// Who did it; none: the operator, or somebody who is gone
    pub actor: Option<UserRef>,
    /// The name of the operator's account on the machine
    pub by_operator: Option<String>,
    /// None: of no conversation, or of one that is gone
    pub conversation: Option<ConversationId>,
    /// The name of the group, for output for people
    #[serde(skip)]
    pub conversation_name: Option<String>,
    #[serde(flatten)]
    pub subject: Subject,
}

/// What an event is about
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Subject {
    /// `message.*`
    Message {
        /// None: several messages
        message: Option<Box<EventMessage>>,
        /// Whom the content mentions; not of a deletion
        #[serde(skip_serializing_if = "Option::is_none")]
        mentions: Option<Vec<UserId>>,
    },
    /// `notification.updated`
    Notification {
        /// The id of its message; none: several notifications
        message: Option<MessageId>,
        is_read: bool,
    },
    /// `conversation.*`
    Conversation {
        /// None: it is gone
        details: Option<Box<EventConversation>>,
    },
    /// `participant.*` and `user.*`
    User {
        user: EventUser,
        /// The user's own level, told to that user alone
        #[serde(skip_serializing_if = "Option::is_none")]
        level: Option<Level>,
    },
}

/// A message as events show it: without what changes with no event of its own. One that is gone is a tombstone.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EventMessage {
    pub message_id: MessageId,
    pub conversation: Option<ConversationId>,
    /// For output for people; none: nothing of it is left
    #[serde(skip)]
    pub conversation_kind: Option<Kind>,
    /// None: nothing of it is left
    pub number: Option<Number>,
    pub sender: Option<UserRef>,
    pub receiver: Option<UserRef>,
    pub content: String,
    /// None: nothing of it is left
    pub timestamp: Option<Timestamp>,
    pub edited: bool,
    pub revision: i64,
    pub parent_message: Option<MessageId>,
    pub is_thread: bool,
    pub reply_count: i64,
    pub deleted: bool,
}

/// A conversation as events show it: without what depends on who looks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EventConversation {
    pub conversation_id: ConversationId,
    pub kind: Kind,
    pub name: Option<String>,
    pub title: Option<String>,
    pub creator: Option<UserRef>,
    /// The first ten
    pub participants: Vec<UserRef>,
    pub participant_count: i64,
    pub created_at: Timestamp,
    pub message_count: i64,
}

/// A user as events show them; of one who is gone nothing but the id is left.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EventUser {
    pub user_id: Option<UserId>,
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
}

/// An event as all listeners get it, and as the user whom it is about does, where that differs.
#[derive(Clone, Debug)]
pub struct Told {
    pub to_all: EventView,
    pub to_oneself: Option<(UserKey, EventView)>,
}

impl EventMessage {
    fn of(message: Message) -> Self {
        Self {
            message_id: message.message_id,
            conversation: Some(message.conversation),
            conversation_kind: Some(message.conversation_kind),
            number: Some(message.number),
            sender: message.sender,
            receiver: message.receiver,
            content: message.content,
            timestamp: Some(message.timestamp),
            edited: message.edited,
            revision: message.revision,
            parent_message: message.parent_message,
            is_thread: message.is_thread,
            reply_count: message.reply_count,
            deleted: message.deleted,
        }
    }

    /// What is left of a message whose row is gone
    fn gone(message_id: MessageId, conversation: Option<ConversationId>) -> Self {
        Self {
            message_id,
            conversation,
            conversation_kind: None,
            number: None,
            sender: None,
            receiver: None,
            content: String::new(),
            timestamp: None,
            edited: false,
            revision: 1,
            parent_message: None,
            is_thread: false,
            reply_count: 0,
            deleted: true,
        }
    }
}

impl EventConversation {
    fn of(view: ConversationView) -> Self {
        Self {
            conversation_id: view.conversation_id,
            kind: view.kind,
            name: view.name,
            title: view.title,
            creator: view.creator,
            participants: view.participants,
            participant_count: view.participant_count,
            created_at: view.created_at,
            message_count: view.message_count,
        }
    }
}

impl EventUser {
    fn of(person: Option<&UserRef>, id: Option<UserId>) -> Self {
        Self {
            user_id: person.map(|person| person.user_id).or(id),
            username: person.map(|person| person.username.clone()),
            first_name: person.map(|person| person.first_name.clone()),
            last_name: person.map(|person| person.last_name.clone()),
        }
    }
}

/// What events are about, looked up for many of them together
struct LookedUp {
    people: People,
    messages: HashMap<MessageId, Message>,
    /// Their ids, and the names of groups
    conversations: HashMap<ConversationKey, (ConversationId, Option<String>)>,
    details: HashMap<ConversationKey, ConversationView>,
}

/// What listeners get of events, one for each, in their order.
pub fn views<'e>(
    tx: &mut Tx<'_>,
    cursors: &Cursors,
    entries: impl Iterator<Item = &'e Entry> + Clone,
) -> Result<Vec<Told>> {
    let rows = entries.map(|entry| &entry.row);
    let mut found = look_up(tx, rows.clone())?;
    rows.map(|row| tell(tx, cursors, row, &mut found)).collect()
}

fn look_up<'e>(tx: &mut Tx<'_>, rows: impl Iterator<Item = &'e EventRow> + Clone) -> Result<LookedUp> {
    let people = rows.clone().flat_map(|row| [row.actor, row.user]).flatten();
    let people = store::users::people(tx, people)?;
    let messages: BTreeSet<_> =
        rows.clone().filter(|row| is_of_message(row.kind)).filter_map(|row| row.subject).collect();
    let messages = if messages.is_empty() {
        Vec::new()
    } else {
        store::messages::with_ids(tx, messages.into_iter().map(MessageId))?
    };
    let messages: HashMap<_, _> = messages.into_iter().map(|message| (message.message_id, message)).collect();
    let place = |message: &Message| (message.conversation, message.conversation_name.clone());
    let mut conversations: HashMap<_, _> =
        messages.values().map(|message| (message.conversation_key, place(message))).collect();
    let shown: BTreeSet<_> =
        rows.clone().filter(|row| is_of_conversation(row.kind)).filter_map(|row| row.conversation).collect();
    let missing = rows.filter_map(|row| row.conversation).filter(|key| !conversations.contains_key(key));
    let missing: BTreeSet<_> = missing.chain(shown.iter().copied()).collect();
    let mut details = HashMap::new();
    if !missing.is_empty() {
        let found = store::conversations::by_keys(tx, missing)?;
        conversations.extend(found.iter().map(|found| (found.key, (found.id, found.name.clone()))));
        let found = found.into_iter().filter(|conversation| shown.contains(&conversation.key)).collect();
        let found = service::conversations::views(tx, None, found, PARTICIPANTS_SHOWN)?;
        details.extend(found.into_iter().map(|view| (view.key, view)));
    }
    Ok(LookedUp { people, messages, conversations, details })
}

fn is_of_message(kind: EventKind) -> bool {
    matches!(kind, EventKind::MessageCreated | EventKind::MessageEdited | EventKind::MessageDeleted)
}

fn is_of_conversation(kind: EventKind) -> bool {
    matches!(kind, EventKind::ConversationCreated | EventKind::ConversationUpdated | EventKind::ConversationDeleted)
}

fn tell(tx: &mut Tx<'_>, cursors: &Cursors, row: &EventRow, found: &mut LookedUp) -> Result<Told> {
    let place = row.conversation.and_then(|key| found.conversations.get(&key));
    let mut conversation = place.map(|(id, _)| *id);
    let conversation_name = place.and_then(|(_, name)| name.clone());
    let mut to_oneself = None;
    let subject = match row.kind {
        EventKind::MessageCreated | EventKind::MessageEdited | EventKind::MessageDeleted => {
            let id = row.subject.map(MessageId);
            let message = id.and_then(|id| found.messages.get(&id));
            conversation = conversation.or_else(|| message.map(|message| message.conversation));
            let mentions = match message {
                _ if row.kind == EventKind::MessageDeleted => None,
                Some(message) => Some(mentions(tx, message)?),
                None => Some(Vec::new()),
            };
            let gone = || id.map(|id| EventMessage::gone(id, conversation));
            let message = message.cloned().map(EventMessage::of).or_else(gone);
            Subject::Message { message: message.map(Box::new), mentions }
        }
        EventKind::NotificationUpdated => {
            Subject::Notification { message: row.subject.map(MessageId), is_read: row.is_read.unwrap_or(true) }
        }
        EventKind::ConversationCreated | EventKind::ConversationUpdated | EventKind::ConversationDeleted => {
            conversation = row.subject.map(ConversationId);
            let details = row.conversation.and_then(|key| found.details.get(&key).cloned());
            Subject::Conversation { details: details.map(EventConversation::of).map(Box::new) }
        }
        EventKind::ParticipantAdded | EventKind::ParticipantUpdated | EventKind::ParticipantRemoved => {
            let is_updated = row.kind == EventKind::ParticipantUpdated;
            // That a level changed is told to its user alone, so its row names the conversation as what it is about.
            let id = row.subject.filter(|_| !is_updated).map(UserId);
            conversation = if is_updated { row.subject.map(ConversationId) } else { conversation };
            let user = EventUser::of(row.user.and_then(|user| found.people.get(&user)), id);
            let of = match (row.conversation, conversation) {
                (None, Some(id)) => store::conversations::by_id(tx, id)?.map(|conversation| conversation.key),
                (key, _) => key,
            };
            if let (Some(key), Some(of)) = (row.user, of) {
                let level = store::conversations::level(tx, of, key)?;
                to_oneself = Some((key, Subject::User { user: user.clone(), level }));
            }
            Subject::User { user, level: None }
        }
        EventKind::UserCreated | EventKind::UserUpdated | EventKind::UserDeleted => {
            let user = row.user.and_then(|user| found.people.get(&user));
            Subject::User { user: EventUser::of(user, row.subject.map(UserId)), level: None }
        }
    };
    let to_all = EventView {
        id: cursors.at(Some(row))?,
        event: row.kind,
        at: row.at,
        actor: row.actor.and_then(|actor| found.people.get(&actor).cloned()),
        by_operator: row.operator.clone(),
        conversation,
        conversation_name,
        subject,
    };
    let to_oneself = to_oneself.map(|(user, subject)| (user, EventView { subject, ..to_all.clone() }));
    Ok(Told { to_all, to_oneself })
}

/// Whom a message mentions
fn mentions(tx: &mut Tx<'_>, message: &Message) -> Result<Vec<UserId>> {
    if !message.content.contains('@') {
        return Ok(Vec::new());
    }
    let mentioned = service::messages::find_mentions(tx, message.conversation_key, &message.content)?;
    let people = store::users::people(tx, mentioned)?;
    let mut ids: Vec<UserId> = people.into_values().map(|person| person.user_id).collect();
    ids.sort_unstable();
    Ok(ids)
}
