//! Requests that are carried out once, however often they are sent: a client that got no answer sends its request again.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::model::{Actor, MessageSelector, UserKey, UserSelector};
use crate::service;
use crate::store::{self, Tx};

/// How long a key is remembered, in seconds
pub(super) const REMEMBERED: i64 = 24 * 60 * 60;

/// Whose keys those of strangers and the operator are: nobody's account has this key.
pub(super) const NOBODY: UserKey = UserKey(0);

/// The key of a request, and what it asks for.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    pub key: String,
    /// A hash of the request: the same key with another is a conflict
    pub request: Vec<u8>,
    /// The hash it may have been noted by before
    pub earlier: Option<Vec<u8>>,
}

impl IdempotentRequest {
    /// A request by what it means: what it does, and which things it names, however they were called.
    pub(super) fn meaning(key: &str, what: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in [what].iter().chain(parts) {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Self { key: key.to_owned(), request: hash.finalize().to_vec(), earlier: None }
    }
}

/// Which user is meant; where there is none, what was said: the work will refuse it in its own order.
pub(super) fn user_meant(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<String> {
    match service::user(tx, actor, selector) {
        Ok(user) => Ok(user.person.key.0.to_string()),
        Err(error) if error.kind() == Kind::NotFound => Ok(selector.to_string()),
        Err(error) => Err(error),
    }
}

/// Which message is meant; where there is none, what was said.
pub(super) fn message_meant(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<String> {
    let MessageSelector::Number(place, number) = selector else { return Ok(selector.to_string()) };
    let found = match service::find_conversation(tx, actor, place)? {
        Some(conversation) => store::messages::by_number(tx, conversation.key, *number)?,
        None => None,
    };
    Ok(found.map_or_else(|| selector.to_string(), |message| message.message_id.to_string()))
}

/// A set of things as one text, whatever their order and however often each was named
pub(super) fn set(things: impl IntoIterator<Item = String>) -> String {
    let things: std::collections::BTreeSet<String> = things.into_iter().collect();
    things.into_iter().collect::<Vec<_>>().join(" ")
}

/// Checks a key.
///
/// # Errors
/// `Invalid` where it is too long.
pub(super) fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.len() > 255 || key.contains('\0') {
        return Err(Error::invalid("idempotency_key", "An idempotency key has 1 to 255 bytes and no NUL."));
    }
    Ok(())
}

/// Does the work of a request, unless the same request did it before: then returns what resulted. `id` names that for good,
/// and `again` finds it by that name; none where it is gone.
///
/// Failures are not remembered: with them what is noted here is undone.
///
/// # Errors
/// `Invalid` where the key is too long, `Conflict` where it was used for another request, or for something that is gone.
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

/// As [`once`], for work that comes to a number and makes no row that could be found again: the number is its name.
pub(super) fn once_counted(
    tx: &mut Tx<'_>,
    actor: Option<UserKey>,
    request: Option<&IdempotentRequest>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<i64>,
) -> Result<i64> {
    let id = |count: &i64| Uuid::from_u128(u128::try_from(*count).unwrap_or_default());
    once(tx, actor, request, work, id, |_, id| Ok(i64::try_from(id.as_u128()).ok()))
}
