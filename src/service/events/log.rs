//! The log as admins look through it: the newest events first, some of them, with what they are about.

use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{
    Actor, Conversation, ConversationId, ConversationKey, ConversationSelector, EventKind, Kind, MessageId,
    MessageSelector, Timestamp, UserId, UserRef, UserSelector, isolated, uuid,
};
use crate::service;
use crate::store::events::{Doer, EventRow, Object, Position, Sought, Stretch, last_looked, newest_sought, place_of};
use crate::store::users::People;
use crate::store::{self, Tx};

/// How many events one call looks through at the most
pub const ROWS: i64 = 10_000;

/// How far times may fall in the log, in seconds, without events being missed by their time: clocks are set back, and transactions
/// get their times and their places at different moments. A day covers a clock that showed local time.
const NEAR: i64 = 24 * 60 * 60;

/// Which events to look for; what is absent may be anything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub actor: Option<FilterActor>,
    pub kind: Option<EventKind>,
    /// A user, a conversation or a message, by a name or an id. Of what is gone, those events are found that have its id, and not
    /// those that have its key, which nothing says any more.
    pub object: Option<String>,
    /// From this time on, by the clock of whoever recorded it: what a clock was set back by, up to a day, hides nothing.
    pub since: Option<Timestamp>,
    /// Before this time, likewise
    pub until: Option<Timestamp>,
}

/// Who did it
#[derive(Clone, Debug)]
pub enum FilterActor {
    Operator,
    User(UserSelector),
}

/// What looking through the log found.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The newest first
    pub entries: Vec<LogEntry>,
    /// Below which place it goes on; none: that was all
    pub next: Option<Position>,
    /// The time of the last event that was looked at, where it stopped because there were so many
    pub reached: Option<Timestamp>,
}

/// An event of the log, with the names of what it is about.
#[derive(Clone, Debug)]
pub struct LogEntry {
    pub position: Position,
    pub kind: EventKind,
    pub at: Timestamp,
    pub by: By,
    pub user: Option<About<UserRef, UserId>>,
    pub conversation: Option<About<Place, ConversationId>>,
    pub message: Option<About<MessageId, MessageId>>,
    /// What notifications became
    pub is_read: Option<bool>,
}

impl LogEntry {
    /// Whether the conversation itself is what it is about
    pub fn is_of_conversation(&self) -> bool {
        self.user.is_none() && subject_of(self.kind) == Subject::Conversation
    }
}

/// Who did something
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// With the name of their account on the machine, where it was kept
    Operator(Option<String>),
    User(UserRef),
    /// Somebody whose account is deleted
    Gone,
}

/// What an event is about
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About<T, I> {
    There(T),
    /// Deleted; its id, if the event has it
    Gone(Option<I>),
}

/// A conversation by its name
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub id: ConversationId,
    /// The title or the name of a group; the two people of a direct conversation
    pub name: String,
    /// The name of a group that is called by its title
    pub handle: Option<String>,
}

/// Looks through at most [`ROWS`] events, below a place in the log or from its end on, until `size` of them are found.
///
/// Who goes on page by page sees all that was committed when they began. On PostgreSQL what is committed meanwhile may have its place
/// among what they have seen already, and is there for who begins anew: to hold back what comes behind until then, as streams do,
/// would show nothing new for as long as anybody writes.
///
/// # Errors
/// `Forbidden` for all but the operator and admins; `NotFound` if the actor or the object is not there, naming the field.
pub fn look_through(
    tx: &mut Tx<'_>,
    actor: &Actor,
    filter: &Filter,
    below: Option<Position>,
    size: i64,
) -> Result<Looked> {
    service::must_administer(actor)?;
    let sought = sought(tx, actor, filter)?;
    let from = filter.since.map(|since| place_of(tx, since.plus_seconds(-NEAR))).transpose()?;
    let until = filter.until.map(|until| place_of(tx, until.plus_seconds(NEAR))).transpose()?;
    let below = below.unwrap_or(Position::END).min(until.unwrap_or(Position::END));
    let stretch = Stretch { from: from.unwrap_or(Position::START), below };
    let last = last_looked(tx, &stretch, ROWS)?;
    let looked = Stretch { from: last.map_or(stretch.from, |(place, _)| place), below };
    let mut rows = newest_sought(tx, &looked, &sought, size + 1)?;
    let is_more = i64::try_from(rows.len()).is_ok_and(|found| found > size);
    rows.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let (next, reached) = match rows.last() {
        Some(last) if is_more => (Some(last.position), None),
        _ => last.unzip(),
    };
    Ok(Looked { entries: entries(tx, rows)?, next, reached })
}

fn sought(tx: &mut Tx<'_>, actor: &Actor, filter: &Filter) -> Result<Sought> {
    let doer = match &filter.actor {
        None => None,
        Some(FilterActor::Operator) => Some(Doer::Operator),
        Some(FilterActor::User(selector)) => {
            let user = service::user(tx, actor, selector).map_err(|error| error.naming("actor"))?;
            Some(Doer::User(user.person.key))
        }
    };
    let object = filter.object.as_ref().map(|object| find_object(tx, actor, object)).transpose()?;
    let (since, until) = (filter.since.unwrap_or(Timestamp::MIN), filter.until.unwrap_or(Timestamp::MAX));
    Ok(Sought { actor: doer, kind: filter.kind, object, since, until })
}

fn find_object(tx: &mut Tx<'_>, actor: &Actor, text: &str) -> Result<Object> {
    if let Some(id) = uuid(text) {
        let user = store::users::by_id(tx, UserId(id))?.map(|user| user.person.key);
        let conversation = store::conversations::by_id(tx, ConversationId(id))?.map(|conversation| conversation.key);
        return Ok(Object { user, conversation, id });
    }
    if let Some(user) = if_there(service::user(tx, actor, &UserSelector::Name(text.to_owned())))? {
        return Ok(Object { user: Some(user.person.key), conversation: None, id: user.person.user_id.0 });
    }
    if let Ok(selector) = text.parse::<ConversationSelector>()
        && let Some((conversation, _)) = if_there(service::conversation(tx, actor, &selector))?
    {
        return Ok(Object { user: None, conversation: Some(conversation.key), id: conversation.id.0 });
    }
    if let Ok(selector) = text.parse::<MessageSelector>()
        && let Some(message) = if_there(service::message(tx, actor, &selector))?
    {
        return Ok(Object { user: None, conversation: None, id: message.message_id.0 });
    }
    let absent = "There is no user, conversation or message of that name. \
                  Of what is deleted, the events that name its id are found by the id.";
    Err(Error::not_found(absent).naming("object"))
}

fn if_there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// What events are about, looked up for all of them together
struct LookedUp {
    people: People,
    conversations: HashMap<ConversationKey, Conversation>,
    /// The keys of those that events name by their ids alone
    keys: HashMap<ConversationId, ConversationKey>,
    messages: HashSet<MessageId>,
}

fn entries(tx: &mut Tx<'_>, rows: Vec<EventRow>) -> Result<Vec<LogEntry>> {
    let subjects = |of: Subject| -> BTreeSet<Uuid> {
        rows.iter().filter(|row| subject_of(row.kind) == of).filter_map(|row| row.subject).collect()
    };
    let (places, messages) = (subjects(Subject::Conversation), subjects(Subject::Message));
    let keys: BTreeSet<ConversationKey> = rows.iter().filter_map(|row| row.conversation).collect();
    let mut conversations = Vec::new();
    if !keys.is_empty() {
        conversations.extend(store::conversations::by_keys(tx, keys)?);
    }
    if !places.is_empty() {
        conversations.extend(store::conversations::with_ids(tx, places.into_iter().map(ConversationId))?);
    }
    let messages = if messages.is_empty() {
        HashSet::new()
    } else {
        let found = store::messages::places(tx, messages.into_iter().map(MessageId))?;
        found.into_iter().map(|(_, id, _)| id).collect()
    };
    let people = rows.iter().flat_map(|row| [row.actor, row.user]).flatten();
    let pairs = conversations.iter().filter_map(|conversation| conversation.pair).flat_map(|(one, other)| [one, other]);
    let people = store::users::people(tx, people.chain(pairs))?;
    let found = LookedUp {
        people,
        keys: conversations.iter().map(|conversation| (conversation.id, conversation.key)).collect(),
        conversations: conversations.into_iter().map(|conversation| (conversation.key, conversation)).collect(),
        messages,
    };
    Ok(rows.into_iter().map(|row| entry(row, &found)).collect())
}

/// What the id of an event is of
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    User,
    Conversation,
    Message,
}

/// That a level changed is told to its user alone, so its event names the conversation as what it is about.
fn subject_of(kind: EventKind) -> Subject {
    match kind {
        EventKind::MessageCreated
        | EventKind::MessageEdited
        | EventKind::MessageDeleted
        | EventKind::NotificationUpdated => Subject::Message,
        EventKind::ConversationCreated
        | EventKind::ConversationUpdated
        | EventKind::ConversationDeleted
        | EventKind::ParticipantUpdated => Subject::Conversation,
        EventKind::ParticipantAdded
        | EventKind::ParticipantRemoved
        | EventKind::UserCreated
        | EventKind::UserUpdated
        | EventKind::UserDeleted => Subject::User,
    }
}

fn entry(row: EventRow, found: &LookedUp) -> LogEntry {
    let by = match row.actor {
        None => By::Operator(row.operator),
        Some(key) => found.people.get(&key).cloned().map_or(By::Gone, By::User),
    };
    let subject = |of: Subject| row.subject.filter(|_| subject_of(row.kind) == of);
    let user = row.user.map(|key| match found.people.get(&key) {
        Some(person) => About::There(person.clone()),
        None => About::Gone(subject(Subject::User).map(UserId)),
    });
    let place = subject(Subject::Conversation).map(ConversationId);
    let key = row.conversation.or_else(|| place.and_then(|id| found.keys.get(&id).copied()));
    let conversation = match key.and_then(|key| found.conversations.get(&key)) {
        Some(conversation) => Some(About::There(named(conversation, &found.people))),
        None if row.conversation.is_some() || place.is_some() => Some(About::Gone(place)),
        None => None,
    };
    let message = subject(Subject::Message).map(MessageId);
    let message = message.map(|id| if found.messages.contains(&id) { About::There(id) } else { About::Gone(Some(id)) });
    let (kind, at, is_read) = (row.kind, row.at, row.is_read);
    LogEntry { position: row.position, kind, at, by, user, conversation, message, is_read }
}

fn named(conversation: &Conversation, people: &People) -> Place {
    let name = match (conversation.kind, conversation.pair) {
        (Kind::Direct, Some((one, other))) => {
            let names = [one, other]
                .map(|key| people.get(&key).map_or("a deleted user".to_owned(), |person| isolated(&person.username)));
            names.join(" and ")
        }
        _ => conversation.title.clone().or_else(|| conversation.name.clone()).unwrap_or_else(|| "group".to_owned()),
    };
    let handle = conversation.name.clone().filter(|_| conversation.title.is_some());
    Place { id: conversation.id, name, handle }
}
