//! Requests that are carried out once, however often they are sent: whoever got no answer sends again.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::model::UserKey;
use crate::store::{self, Tx};

/// How long a key is remembered, in seconds
const REMEMBERED: i64 = 24 * 60 * 60;

/// Whose keys strangers' are: nobody's account has this key.
const STRANGER: UserKey = UserKey(0);

/// The key of a request, and what it asks for.
#[derive(Clone, Debug)]
pub struct Once {
    pub key: String,
    /// A hash of the request: the same key with another is a conflict
    pub request: Vec<u8>,
    /// The hash it may have been noted by before
    pub earlier: Option<Vec<u8>>,
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
    once: Option<&Once>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
    id: impl FnOnce(&T) -> Uuid,
    again: impl FnOnce(&mut Tx<'_>, Uuid) -> Result<Option<T>>,
) -> Result<T> {
    let Some(Once { key, request, earlier }) = once else { return work(tx) };
    if key.is_empty() || key.len() > 255 || key.contains('\0') {
        return Err(Error::invalid("idempotency_key", "An idempotency key has 1 to 255 bytes and no NUL."));
    }
    let actor = actor.unwrap_or(STRANGER);
    let expired = tx.now().plus_seconds(-REMEMBERED);
    store::idempotency::forget(tx, expired)?;
    store::idempotency::forget_one(tx, actor, key, expired)?;
    let Some(first) = store::idempotency::take(tx, actor, key, request)? else {
        let done = work(tx)?;
        store::idempotency::keep(tx, actor, key, id(&done))?;
        return Ok(done);
    };
    let gone = || Error::conflict(format!("What the request with the idempotency key “{key}” made is there no more."));
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
    request: Option<&Once>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<i64>,
) -> Result<i64> {
    let id = |count: &i64| Uuid::from_u128(u128::try_from(*count).unwrap_or_default());
    once(tx, actor, request, work, id, |_, id| Ok(i64::try_from(id.as_u128()).ok()))
}
