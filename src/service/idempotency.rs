//! Idempotency: a client that lost a response repeats its request, which is carried out once.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::model::{Actor, MessageSelector, UserKey, UserSelector};
use crate::service;
use crate::store::{self, Tx};

/// How long a key is remembered, in seconds
pub(super) const REMEMBERED: i64 = 24 * 60 * 60;

/// The user key under which keys of strangers and the operator are stored; no account has it.
pub(super) const NOBODY: UserKey = UserKey(0);

/// The idempotency key of a request, and a hash of the request.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    pub key: String,
    /// The hash of the request; the same key with another hash is a conflict
    pub request: Vec<u8>,
    /// The hash under the previous server key
    pub earlier: Option<Vec<u8>>,
}

impl IdempotentRequest {
    /// A request by its meaning: the operation and the ids of what it names.
    pub(super) fn meaning(key: &str, what: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in [what].iter().chain(parts) {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self { key: key.to_owned(), request: hash.finalize().to_vec(), earlier: None }
    }
}

/// The id of the user; the text as given if there is none, which the operation itself refuses later.
pub(super) fn user_meant(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<String> {
    match service::user(tx, actor, selector) {
        Ok(user) => Ok(user.person.key.0.to_string()),
        Err(error) if error.kind() == Kind::NotFound => Ok(selector.to_string()),
        Err(error) => Err(error),
    }
}

/// The id of the message; the text as given if there is none.
pub(super) fn message_meant(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<String> {
    let MessageSelector::Number(place, number) = selector else { return Ok(selector.to_string()) };
    let found = match service::find_conversation(tx, actor, place)? {
        Some(conversation) => store::messages::by_number(tx, conversation.key, *number)?,
        None => None,
    };
    Ok(found.map_or_else(|| selector.to_string(), |message| message.message_id.to_string()))
}

/// A set as one text, independent of order and repetitions
pub(super) fn set(things: impl IntoIterator<Item = String>) -> String {
    let things: std::collections::BTreeSet<String> = things.into_iter().collect();
    things.into_iter().collect::<Vec<_>>().join(" ")
}

/// Checks a key.
///
/// # Errors
/// `Invalid` if it is too long.
pub(super) fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.len() > 255 || key.contains('\0') {
        return Err(Error::invalid("idempotency_key", "An idempotency key has 1 to 255 bytes and no NUL."));
    }
    Ok(())
}

/// Carries a request out, unless the same request was carried out before: then returns its result. `id` is the id of
/// the result, and `again` finds it by that id, or returns none if it was deleted.
///
/// Failures are not remembered: their rollback removes the key too.
///
/// # Errors
/// `Invalid` if the key is too long, `Conflict` if it was used for another request, or its result was deleted.
pub(super) fn once<T>(
    tx: &mut Tx<'_>,
    actor: Option<UserKey>,
    request: Option<&IdempotentRequest>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
    id: impl FnOnce(&T) -> Uuid,
    again: impl FnOnce(&mut Tx<'_>, Uuid) -> Result<Option<T>>,
) -> Result<T> {
    let Some(IdempotentRequest { key, request, earlier }) = request else { return work(tx) };
    check_key(key)?;
    let actor = actor.unwrap_or(NOBODY);
    let expired = tx.now().plus_seconds(-REMEMBERED);
    store::idempotency::forget(tx, expired)?;
    store::idempotency::forget_one(tx, actor, key, expired)?;
    let Some(first) = store::idempotency::take(tx, actor, key, request)? else {
        let done = work(tx)?;
        store::idempotency::keep(tx, actor, key, id(&done))?;
        return Ok(done);
    };
    let gone = || Error::conflict(format!("The result of the request with the idempotency key “{key}” was deleted."));
    if first.request_hash.is_empty() {
        return Err(gone());
    }
    if first.request_hash != *request && earlier.as_ref() != Some(&first.request_hash) {
        return Err(Error::conflict(format!("The idempotency key “{key}” was used for another request.")));
    }
    again(tx, first.result.ok_or_else(gone)?)?.ok_or_else(gone)
}

/// Carries out what a form asks, which has no result, unless the same form was carried out before.
///
/// # Errors
/// `Invalid` if the key is too long, `Conflict` if it was used for another request; those of the work.
pub fn once_done(
    tx: &mut Tx<'_>,
    actor: &Actor,
    request: Option<&IdempotentRequest>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<()>,
) -> Result<()> {
    once(tx, actor.key(), request, work, |()| Uuid::nil(), |_, _| Ok(Some(())))
}

/// As [`once`], for an operation whose result is a number: the number is stored in place of an id.
pub(super) fn once_counted(
    tx: &mut Tx<'_>,
    actor: Option<UserKey>,
    request: Option<&IdempotentRequest>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<i64>,
) -> Result<i64> {
    let id = |count: &i64| Uuid::from_u128(u128::try_from(*count).unwrap_or_default());
    once(tx, actor, request, work, id, |_, id| Ok(i64::try_from(id.as_u128()).ok()))
}
