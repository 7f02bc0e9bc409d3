//! Pages of messages: of one conversation by number, of all one may see by time, of what one has not read.

use super::list::{by_time, viewer};
use super::narrowed;
use crate::error::Result;
use crate::model::{
    Actor, Conversation, ConversationSelector, Message, MessageKey, MessageSelector, Number, Revision, Seek,
    ThreadMessage, Timestamp, UserSelector,
};
use crate::service;
use crate::service::page::{Page, page};
use crate::store::messages::{Filter, Position, Range, Scope};
use crate::store::{self, Tx};

/// How far lists that are not one conversation's are counted
const COUNTED: i64 = 10_000;

/// A filter for pages of messages.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    pub sender: Option<UserSelector>,
    pub receiver: Option<UserSelector>,
    /// Sent at this time or later
    pub since: Option<Timestamp>,
    /// Sent before this time
    pub until: Option<Timestamp>,
}

impl Matching {
    /// Whether every message matches
    pub fn is_all(&self) -> bool {
        self.sender.is_none() && self.receiver.is_none() && !self.is_of_a_time()
    }

    fn is_of_a_time(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    fn filter(&self, tx: &mut Tx<'_>, actor: &Actor) -> Result<Filter> {
        let mut user = |selector: &Option<UserSelector>, field| match selector {
            Some(selector) => {
                let found = service::user(tx, actor, selector).map_err(|error| error.naming(field));
                found.map(|user| Some(user.person.key))
            }
            None => Ok(None),
        };
        Ok(Filter {
            since: self.since.unwrap_or(Timestamp::MIN),
            until: self.until.unwrap_or(Timestamp::MAX),
            sender: user(&self.sender, "sender")?,
            receiver: user(&self.receiver, "receiver")?,
            limit: 0,
        })
    }
}

/// A page of a conversation's messages, highest numbers first, or lowest with `oldest_first`. The count is exact,
/// without tombstones; with a filter it is at most 10,000.
///
/// # Errors
/// `NotFound` if the actor cannot see the conversation, or a user does not exist.
pub fn page_of(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    matching: &Matching,
    seek: Option<&Seek<Number>>,
    (size, oldest_first): (i64, bool),
) -> Result<Page<Message, Number>> {
    let (conversation, _) = service::conversation(tx, actor, selector)?;
    if seek.is_none() && !oldest_first && matching.is_all() {
        return newest_page(tx, &conversation, size);
    }
    let filter = matching.filter(tx, actor)?;
    let read = |seek: Option<&Seek<Number>>, limit| {
        let (bounds, lowest_first) = match (seek, oldest_first) {
            (None, oldest_first) => ((Number(0), Number::MAX), oldest_first),
            (Some(Seek::After(number)), false) | (Some(Seek::Before(number)), true) => ((Number(0), *number), false),
            (Some(Seek::Before(number)), false) | (Some(Seek::After(number)), true) => ((*number, Number::MAX), true),
        };
        let filter = Filter { limit, ..filter };
        if !matching.is_of_a_time() {
            return store::messages::in_conversation(tx, &conversation, bounds, lowest_first, &filter);
        }
        let scope = Scope { conversation: conversation.key, filter, unread_by: None };
        let keys = narrowed::find(tx, &scope, bounds, lowest_first)?;
        store::messages::by_keys(tx, &keys)
    };
    let page = page(seek, size, |message: &Message| message.number, read)?;
    if matching.is_all() {
        return Ok(page.of(conversation.message_count));
    }
    let count = store::messages::count_matching(tx, conversation.key, &filter)?;
    Ok(page.of(count))
}

/// The newest page of a conversation that an actor can see, whoever that is: the page that is asked for most. Whether there is another is known without looking where there are more messages than on it;
/// beside them there may be tombstones.
pub fn newest_page(tx: &mut Tx<'_>, conversation: &Conversation, size: i64) -> Result<Page<Message, Number>> {
    let items = store::messages::newest_in_conversation(tx, conversation, size)?;
    let count = conversation.message_count;
    let living = i64::try_from(items.iter().filter(|message| !message.deleted).count()).unwrap_or(i64::MAX);
    let next = match items.last().map(|last| last.number) {
        Some(last) if living < count || store::messages::has_before(tx, conversation.key, last)? => {
            Some(Seek::After(last))
        }
        _ => None,
    };
    Ok(Page { items, count, next, previous: None })
}

/// A page of all visible messages without tombstones, the last sent first; the count is at most 10,000.
///
/// # Errors
/// `NotFound` if a user is not there.
pub fn page_everywhere(
    tx: &mut Tx<'_>,
    actor: &Actor,
    matching: &Matching,
    seek: Option<&Seek<Position>>,
    size: i64,
) -> Result<Page<Message, Position>> {
    let Filter { since, until, sender, receiver, .. } = matching.filter(tx, actor)?;
    let viewer = viewer(actor);
    let who = (sender, receiver, viewer);
    let range = Range::new(since, until, COUNTED);
    let page =
        page(seek, size, |position: &Position| *position, |seek, limit| by_time(tx, who, &range.from(seek, limit)))?;
    let count = match viewer {
        Some(viewer) if matching.is_all() => store::conversations::count_messages_of(tx, viewer)?.min(COUNTED),
        _ => count(&by_time(tx, who, &range)?),
    };
    page.of(count).map(|positions| {
        let keys: Vec<MessageKey> = positions.iter().map(|(_, key)| *key).collect();
        store::messages::by_keys(tx, &keys)
    })
}

/// A page of the actor's unread messages, most recently received first; the count is at most 10,000.
///
/// # Errors
/// `Forbidden` for the operator, who reads nothing.
pub fn unread_page(
    tx: &mut Tx<'_>,
    actor: &Actor,
    seek: Option<&Seek<MessageKey>>,
    size: i64,
) -> Result<Page<Message, MessageKey>> {
    let owner = service::notifications::owner(tx, actor, None)?;
    let page = page(
        seek,
        size,
        |key: &MessageKey| *key,
        |seek, limit| store::messages::unread_by(tx, owner.key, seek, limit),
    )?;
    let (unread, _) = store::notifications::count(tx, owner.key)?;
    page.of(unread).map(|keys| store::messages::by_keys(tx, &keys))
}

/// A page of the earlier contents of a message, newest first.
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn history_page(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &MessageSelector,
    seek: Option<&Seek<i64>>,
    size: i64,
) -> Result<Page<Revision, i64>> {
    let message = service::message(tx, actor, selector)?;
    let page = page(
        seek,
        size,
        |revision: &Revision| revision.revision,
        |seek, limit| {
            let seek = seek.unwrap_or(&Seek::After(i64::MAX));
            store::messages::history_from(tx, (message.key, message.message_id), seek, limit)
        },
    )?;
    Ok(page.of(message.revision - 1))
}

/// A page of a message and all replies to it, directly or by others, each behind what it replies to.
///
/// A position is that of a message and its place; where the message is gone, the place counts.
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn thread_page(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &MessageSelector,
    seek: Option<&Seek<(MessageKey, i64)>>,
    size: i64,
) -> Result<Page<ThreadMessage, (MessageKey, i64)>> {
    let order = super::thread(tx, actor, selector)?;
    let place = |(key, place): &(MessageKey, i64)| {
        order.iter().position(|(found, _)| found == key).unwrap_or(usize::try_from(*place).unwrap_or(usize::MAX))
    };
    let read = |seek: Option<&Seek<(MessageKey, i64)>>, limit: i64| {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let places: Vec<usize> = match seek {
            None => (0..order.len()).take(limit).collect(),
            Some(Seek::After(position)) => (place(position).saturating_add(1)..order.len()).take(limit).collect(),
            Some(Seek::Before(position)) => (0..place(position).min(order.len())).rev().take(limit).collect(),
        };
        Ok(places)
    };
    let position = |place: &usize| (order[*place].0, i64::try_from(*place).unwrap_or(i64::MAX));
    let page = page(seek, size, position, read)?;
    page.of(count(&order)).map(|places| {
        let keys: Vec<MessageKey> = places.iter().map(|place| order[*place].0).collect();
        let messages = store::messages::by_keys(tx, &keys)?.into_iter();
        Ok(messages.zip(places).map(|(message, place)| ThreadMessage { message, depth: order[place].1 }).collect())
    })
}

fn count<T>(things: &[T]) -> i64 {
    i64::try_from(things.len()).unwrap_or(i64::MAX)
}
