//! Notifications of one user, listed by their messages.

use std::ops::Deref;

use crate::error::{Error, Result};
use crate::model::{
    Actor, ConversationKey, Event, MessageId, MessageKey, MessageSelector, Notification, Seek, User, UserRef,
    UserSelector,
};
use crate::service::idempotency::{IdempotentRequest, message_meant, once_counted, set};
use crate::service::{self, Place, page::Page};
use crate::store::{self, Tx};

/// A user whose notifications an actor can see and mark: only [`owner`] makes one.
#[derive(Clone, Debug)]
pub struct Owner(UserRef);

impl Deref for Owner {
    type Target = UserRef;

    fn deref(&self) -> &UserRef {
        &self.0
    }
}

/// Whose notifications are meant: the actor's own, or a named user's for the operator.
///
/// # Errors
/// `Invalid` if the operator names nobody, `Forbidden` if a user names another, `NotFound`.
pub fn owner(tx: &mut Tx<'_>, actor: &Actor, named: Option<&UserSelector>) -> Result<Owner> {
    let owner = match (actor, named) {
        (Actor::User(user), None) => user.person.clone(),
        (Actor::Operator(_), Some(selector)) => super::user(tx, actor, selector)?.person,
        (Actor::Operator(_), None) => {
            return Err(Error::invalid("user", "Name a user: the operator has no notifications."));
        }
        (Actor::User(user), Some(selector)) => {
            let named = super::user(tx, actor, selector)?.person;
            if named.key != user.person.key {
                return Err(Error::forbidden("Notifications are shown to their owner and the operator only."));
            }
            named
        }
    };
    Ok(Owner(owner))
}

/// How many unread and how many notifications in all another user has, each up to 10,000, and the newest, for the operator and
/// admins. None becomes read.
///
/// # Errors
/// `Forbidden` for all others.
pub fn newest_of(tx: &mut Tx<'_>, actor: &Actor, user: &User, limit: i64) -> Result<(i64, i64, Vec<Notification>)> {
    super::must_administer(actor)?;
    let owner = Owner(user.person.clone());
    let (unread, all) = count(tx, &owner)?;
    Ok((unread, all, page(tx, &owner, MessageKey(i64::MAX), false, limit)?))
}

/// A user's notifications below one, newest first.
///
/// # Errors
/// `NotFound` if the message `before` does not exist.
pub fn list(
    tx: &mut Tx<'_>,
    actor: &Actor,
    owner: &Owner,
    before: Option<&MessageSelector>,
    unread_only: bool,
    limit: i64,
) -> Result<Vec<Notification>> {
    let before = match before {
        Some(before) => super::message(tx, actor, before)?.key,
        None => MessageKey(i64::MAX),
    };
    page(tx, owner, before, unread_only, limit)
}

/// A page of the actor's own notifications, newest first: all, the read or the unread.
pub fn page_of(
    tx: &mut Tx<'_>,
    owner: &Owner,
    is_read: Option<bool>,
    seek: Option<&Seek<MessageKey>>,
    size: i64,
) -> Result<Page<Notification, MessageKey>> {
    let read = |seek: Option<&Seek<MessageKey>>, limit| {
        let from_the_first = Seek::After(MessageKey(i64::MAX));
        store::notifications::page(tx, owner, seek.unwrap_or(&from_the_first), is_read, limit)
    };
    let page = service::page::page(seek, size, |notification: &Notification| notification.message.key, read)?;
    let (unread, all) = store::notifications::count(tx, owner.key)?;
    Ok(page.of(match is_read {
        None => all,
        Some(false) => unread,
        Some(true) => store::notifications::count_read(tx, owner.key)?,
    }))
}

/// A user's notifications of messages before this key, newest first; that message may be deleted.
pub fn page(
    tx: &mut Tx<'_>,
    owner: &Owner,
    before: MessageKey,
    unread_only: bool,
    limit: i64,
) -> Result<Vec<Notification>> {
    store::notifications::page(tx, owner, &Seek::After(before), unread_only.then_some(false), limit)
}

/// The numbers of a user's unread notifications and of all, each up to 10,000.
pub fn count(tx: &mut Tx<'_>, owner: &Owner) -> Result<(i64, i64)> {
    store::notifications::count(tx, owner.key)
}

/// Makes a user's notifications of these messages read or unread; returns how many changed.
///
/// # Errors
/// `NotFound` if the actor cannot see one of the messages, or the user has no notification of it.
pub fn set_read(
    tx: &mut Tx<'_>,
    actor: &Actor,
    owner: &Owner,
    selectors: &[MessageSelector],
    is_read: bool,
) -> Result<i64> {
    let messages = super::places(tx, actor, "ids", selectors)?;
    let keys: Vec<MessageKey> = messages.iter().map(|place| place.key).collect();
    let notified = store::notifications::notified(tx, owner.key, &keys)?;
    if let Some(Place { selector, .. }) = messages.iter().find(|place| !notified.contains(&place.key)) {
        let detail = format!("{} has no notification of the message “{selector}”.", owner.username);
        return Err(Error::not_found(detail));
    }
    mark(tx, actor, owner, &messages, is_read)
}

/// Makes a user's notifications of these messages read, or all of them, once: the same request with the same key has the same
/// answer. Returns how many were unread.
///
/// # Errors
/// As [`set_read`], `Conflict` if the key was used for another request.
pub fn read_once(
    tx: &mut Tx<'_>,
    actor: &Actor,
    owner: &Owner,
    selectors: Option<&[MessageSelector]>,
    key: Option<&str>,
) -> Result<i64> {
    let request = match (key, selectors) {
        (Some(key), Some(selectors)) => {
            let meant =
                selectors.iter().map(|selector| message_meant(tx, actor, selector)).collect::<Result<Vec<_>>>()?;
            Some(IdempotentRequest::meaning(key, "notifications read", &[&set(meant)]))
        }
        (Some(key), None) => Some(IdempotentRequest::meaning(key, "notifications read all", &[])),
        (None, _) => None,
    };
    once_counted(tx, actor.key(), request.as_ref(), |tx| match selectors {
        Some(selectors) => set_read(tx, actor, owner, selectors, true),
        None => read_all(tx, actor, owner),
    })
}

/// One of a user's notifications.
///
/// # Errors
/// `NotFound` if the user has none of that message.
pub fn show(tx: &mut Tx<'_>, owner: &Owner, message: MessageId) -> Result<Notification> {
    let absent = || Error::not_found(format!("{} has no notification of the message “{message}”.", owner.username));
    let key = store::messages::by_id(tx, message)?.ok_or_else(absent)?.key;
    let next = Seek::After(MessageKey(key.0 + 1));
    let found = store::notifications::page(tx, owner, &next, None, 1)?.pop();
    found.filter(|notification| notification.id == message).ok_or_else(absent)
}

/// Marks all notifications of a user as read; returns how many were unread.
pub fn read_all(tx: &mut Tx<'_>, actor: &Actor, owner: &Owner) -> Result<i64> {
    let count = store::notifications::read_all(tx, owner.key)?;
    tell(tx, actor, owner, count, (None, None), true)
}

pub(super) fn mark(
    tx: &mut Tx<'_>,
    actor: &Actor,
    owner: &Owner,
    messages: &[Place<'_>],
    is_read: bool,
) -> Result<i64> {
    let keys: Vec<MessageKey> = messages.iter().map(|place| place.key).collect();
    let count = store::notifications::mark(tx, owner.key, &keys, is_read)?;
    let conversation = messages.first().map(|first| first.conversation);
    let conversation = conversation.filter(|one| messages.iter().all(|place| place.conversation == *one));
    let only = if let [only] = messages { Some(only.id) } else { None };
    tell(tx, actor, owner, count, (conversation, only), is_read)
}

/// Records that notifications were made read or unread, where any were: one event, however many, about the only conversation or
/// message that they are of. Returns how many.
pub(super) fn tell(
    tx: &mut Tx<'_>,
    actor: &Actor,
    owner: &Owner,
    count: i64,
    (conversation, message): (Option<ConversationKey>, Option<MessageId>),
    is_read: bool,
) -> Result<i64> {
    if count > 0 {
        store::events::record(tx, actor, Event::notifications(owner.key, conversation, message, is_read))?;
    }
    Ok(count)
}
