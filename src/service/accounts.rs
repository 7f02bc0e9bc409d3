//! Deleting accounts: irreversible, one transaction, everything counted.

use super::Condition;
use super::users::{locked, must_be_own_or_administered, must_not_be_last_admin};
use crate::error::Result;
use crate::model::{Actor, Event, EventKind, MessageKey, Receipt, User, UserId, UserRef, UserSelector};
use crate::store::{self, Tx};

/// Deletes users: each with every message they sent or received, all revisions of those and every revision they wrote
/// elsewhere, their notifications and those about these messages, their participations, tokens and sessions, their
/// direct conversations, and groups that nobody is left in. Others' messages in groups stay; tombstones keep their threads
/// together.
///
/// # Errors
/// `NotFound`, `Forbidden` for another's account and for the last admin's.
pub fn delete(tx: &mut Tx<'_>, actor: &Actor, selectors: &[UserSelector]) -> Result<Receipt> {
    delete_if(tx, actor, selectors, &mut |_, _| Ok(()))
}

/// As [`delete`], with a condition for each.
///
/// # Errors
/// As [`delete`], and those of the condition.
pub fn delete_if(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selectors: &[UserSelector],
    condition: Condition<'_, User>,
) -> Result<Receipt> {
    let mut receipt = Receipt::default();
    let mut users: Vec<User> = Vec::new();
    for selector in selectors {
        let user = locked(tx, actor, selector)?;
        must_be_own_or_administered(actor, &user)?;
        condition(tx, &user)?;
        if users.iter().all(|other| other.person.key != user.person.key) {
            users.push(user);
        }
    }
    let mut tombstones = Vec::new();
    for user in users {
        must_not_be_last_admin(tx, actor, &user, "deleted")?;
        tombstones.extend(delete_one(tx, actor, user.person, &mut receipt)?);
    }
    receipt.deleted_at = tx.now();
    // One may have gone since, with the last reply of somebody deleted later.
    receipt.tombstones = store::messages::count_left(tx, &tombstones)?;
    Ok(receipt)
}

/// Counts what [`delete`] of a user would delete, for whoever has to confirm it; nothing waits for it.
///
/// # Errors
/// As [`delete`].
pub fn receipt(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<Receipt> {
    let user = locked(tx, actor, selector)?;
    must_be_own_or_administered(actor, &user)?;
    must_not_be_last_admin(tx, actor, &user, "deleted")?;
    let key = user.person.key;
    let (messages_sent, messages_received) = store::messages::count_of(tx, key)?;
    let (direct, groups) = store::conversations::ending_with(tx, key)?;
    let messages_of_groups = store::messages::count_of_others(tx, &groups, key)?;
    let ending: Vec<_> = direct.iter().chain(&groups).copied().collect();
    let (revisions, notifications, tombstones) = store::messages::count_going_with(tx, key, &ending)?;
    let (participations, tokens, sessions) = store::users::count_of(tx, key)?;
    Ok(Receipt {
        deleted_at: tx.now(),
        users: vec![user.person],
        messages_sent,
        messages_received,
        messages_of_groups,
        tombstones,
        revisions,
        notifications,
        participations,
        direct_conversations: count(&direct),
        groups: count(&groups),
        tokens,
        sessions,
    })
}

/// Whether there is no account with that id, of which it is known that there was one
pub fn is_deleted(tx: &mut Tx<'_>, user: UserId) -> Result<bool> {
    Ok(store::users::by_id(tx, user)?.is_none())
}

/// Deletes one user, and returns the messages that stay as tombstones.
fn delete_one(tx: &mut Tx<'_>, actor: &Actor, person: UserRef, receipt: &mut Receipt) -> Result<Vec<MessageKey>> {
    let concerned = store::conversations::lock_all_of(tx, person.key)?;
    let (sent, received) = store::messages::count_of(tx, person.key)?;
    let (direct, groups) = store::conversations::ending_with(tx, person.key)?;
    let ending: Vec<_> = direct.iter().chain(&groups).copied().collect();
    receipt.messages_sent += sent;
    receipt.messages_received += received;
    receipt.messages_of_groups += store::messages::count_of_others(tx, &groups, person.key)?;

    store::events::record_ends(tx, actor, &ending, Some(person.key))?;
    store::events::record_departure(tx, actor, person.key, &ending)?;
    store::events::record_deletions_where_absent(tx, actor, person.key, &concerned)?;
    let event = store::events::record(tx, actor, Event::user(EventKind::UserDeleted, &person))?;
    store::events::tell_participants(tx, event, &concerned, Some(person.key))?;

    let ended = store::messages::delete_all_of(tx, &ending)?;
    let remaining = store::messages::keys_of(tx, person.key)?;
    let deleted = store::messages::delete(tx, &remaining)?;
    let revisions = store::messages::delete_revisions_by(tx, person.key)?;
    let notifications = store::notifications::delete_all(tx, person.key)?;
    receipt.revisions += ended.revisions + deleted.revisions + revisions;
    receipt.notifications += ended.notifications + deleted.notifications + notifications;
    receipt.participations += store::conversations::remove_everywhere(tx, person.key)?;
    store::conversations::delete(tx, &ending)?;
    receipt.direct_conversations += count(&direct);
    receipt.groups += count(&groups);
    let (tokens, sessions) = store::users::delete(tx, person.key)?;
    receipt.tokens += tokens;
    receipt.sessions += sessions;
    receipt.users.push(person);
    Ok(deleted.tombstones)
}

fn count<T>(rows: &[T]) -> i64 {
    i64::try_from(rows.len()).unwrap_or(i64::MAX)
}
