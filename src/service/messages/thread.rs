//! A message and all that hangs on it.

use std::collections::HashMap;

use crate::error::Result;
use crate::model::{Actor, MessageKey, MessageSelector};
use crate::store::{self, Tx};

/// A message and all replies to it, directly or by others: each behind what it replies to, oldest first, with its depth
/// (0 for the message itself). They are read by [`super::resume`].
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn thread(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Vec<(MessageKey, usize)>> {
    let root = crate::service::message(tx, actor, selector)?;
    let mut replies: HashMap<MessageKey, Vec<MessageKey>> = HashMap::new();
    for (key, parent) in store::messages::thread(tx, root.key)? {
        if let Some(parent) = parent {
            replies.entry(parent).or_default().push(key);
        }
    }
    let mut order = Vec::new();
    let mut open = vec![(root.key, 0)];
    while let Some((key, depth)) = open.pop() {
        order.push((key, depth));
        open.extend(replies.remove(&key).unwrap_or_default().into_iter().rev().map(|reply| (reply, depth + 1)));
    }
    Ok(order)
}
