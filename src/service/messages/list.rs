//! Listing messages: one conversation's or all one may see, always the newest that match.

use std::collections::BTreeSet;

use super::narrowed;
use crate::error::{Error, Result};
use crate::model::{
    Actor, ConversationKey, ConversationSelector, Message, MessageKey, Number, Timestamp, UserKey, UserSelector,
};
use crate::service;
use crate::store::messages::{Filter, Position, Range, Scope};
use crate::store::{self, Tx};

/// Which messages to list.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// One conversation; none: all one can see
    pub conversation: Option<ConversationSelector>,
    /// In one conversation: the page just before this number
    pub before: Option<Number>,
    /// In one conversation: the page just after this number
    pub after: Option<Number>,
    /// Sent at this time or later
    pub since: Option<Timestamp>,
    /// Sent before this time
    pub until: Option<Timestamp>,
    pub sender: Option<UserSelector>,
    pub receiver: Option<UserSelector>,
    /// Only what the viewer has not read
    pub unread: bool,
    /// How many at most
    pub limit: i64,
}

/// The newest messages that match, or the oldest after a number, oldest first: up to `size` of them, and the keys of the others,
/// for [`resume`].
///
/// # Errors
/// `NotFound` if the actor cannot see the conversation or a user does not exist, `Invalid` if parts of the request
/// contradict each other.
pub fn begin(tx: &mut Tx<'_>, actor: &Actor, request: &List, size: usize) -> Result<(Vec<Message>, Vec<MessageKey>)> {
    let mut keys = keys(tx, actor, request)?;
    let others = keys.split_off(size.min(keys.len()));
    Ok((store::messages::by_keys(tx, &keys)?, others))
}

/// The next messages of a list that was begun earlier, without those that were deleted or became invisible meanwhile.
pub fn resume(tx: &mut Tx<'_>, actor: &Actor, keys: &[MessageKey]) -> Result<Vec<Message>> {
    let mut messages = store::messages::by_keys(tx, keys)?;
    if let Some(viewer) = viewer(actor) {
        let places: BTreeSet<ConversationKey> = messages.iter().map(|message| message.conversation_key).collect();
        let visible = store::conversations::those_of(tx, viewer, places)?;
        messages.retain(|message| visible.contains(&message.conversation_key));
    }
    Ok(messages)
}

/// The keys of the messages that match, in the order of the list
fn keys(tx: &mut Tx<'_>, actor: &Actor, request: &List) -> Result<Vec<MessageKey>> {
    let conversation = match &request.conversation {
        Some(selector) => Some(service::conversation(tx, actor, selector)?.0.key),
        None => None,
    };
    let mut user = |selector: &Option<UserSelector>| -> Result<Option<UserKey>> {
        selector.as_ref().map(|selector| Ok(service::user(tx, actor, selector)?.person.key)).transpose()
    };
    let filter = Filter {
        since: request.since.unwrap_or(Timestamp::MIN),
        until: request.until.unwrap_or(Timestamp::MAX),
        sender: user(&request.sender)?,
        receiver: user(&request.receiver)?,
        limit: request.limit,
    };
    let unread_by = if request.unread { Some(reader(actor, request)?) } else { None };
    if let Some(conversation) = conversation {
        return numbered(tx, request, &Scope { conversation, filter, unread_by });
    }
    if request.after.is_some() || request.before.is_some() {
        return Err(Error::invalid("before", "Before and after need a conversation."));
    }
    let mut page = if let Some(user) = unread_by {
        store::messages::newest_unread(tx, user, &filter)?
    } else {
        let range = Range::new(filter.since, filter.until, filter.limit);
        let found = by_time(tx, (filter.sender, filter.receiver, viewer(actor)), &range)?;
        found.into_iter().map(|(_, key)| key).collect()
    };
    page.reverse();
    Ok(page)
}

/// Those of one conversation, whose order is by number
fn numbered(tx: &mut Tx<'_>, request: &List, scope: &Scope) -> Result<Vec<MessageKey>> {
    let (after, before) = (request.after.unwrap_or(Number(0)), request.before.unwrap_or(Number::MAX));
    let lowest_first = request.after.is_some();
    let is_narrowed = request.unread || request.since.is_some() || request.until.is_some();
    let mut page = if is_narrowed {
        narrowed::find(tx, scope, (after, before), lowest_first)?
    } else {
        store::messages::between_numbers(tx, scope.conversation, (after, before), lowest_first, &scope.filter)?
    };
    if !lowest_first {
        page.reverse();
    }
    Ok(page)
}

/// Those of several conversations, whose order is by time: from one user or to one, or all that a viewer can see, or all
pub(super) fn by_time(
    tx: &mut Tx<'_>,
    who: (Option<UserKey>, Option<UserKey>, Option<UserKey>),
    range: &Range,
) -> Result<Vec<Position>> {
    match who {
        (Some(sender), receiver, viewer) => store::messages::sent_by_one(tx, sender, receiver, viewer, range),
        (None, Some(receiver), viewer) => store::messages::received_by_one(tx, receiver, viewer, range),
        (None, None, Some(viewer)) => store::messages::visible(tx, viewer, range),
        (None, None, None) => store::messages::everywhere(tx, range),
    }
}

/// Whose conversations bound what is visible; none for those who see all
pub(super) fn viewer(actor: &Actor) -> Option<UserKey> {
    actor.key().filter(|_| !actor.administers())
}

/// Whose unread messages are asked for
fn reader(actor: &Actor, request: &List) -> Result<UserKey> {
    let Some(user) = actor.key() else {
        return Err(Error::invalid("unread", "The operator has no unread messages; act as a user."));
    };
    if request.before.is_some() || request.after.is_some() {
        return Err(Error::invalid("unread", "Unread messages cannot be combined with before and after."));
    }
    Ok(user)
}
