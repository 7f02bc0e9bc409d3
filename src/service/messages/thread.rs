//! A message and all that hangs on it.

use std::collections::HashMap;

use crate::error::Result;
use crate::model::{Actor, Message, MessageKey, MessageSelector, ThreadMessage};
use crate::store::{self, Tx};

/// How many messages are read at once
const AT_ONCE: usize = 1000;

/// A message and all replies to it, directly or by others: each behind what it replies to, oldest first.
///
/// # Errors
/// `NotFound` where the actor may not see it.
pub fn thread(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Vec<ThreadMessage>> {
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
    let keys: Vec<MessageKey> = order.iter().map(|(key, _)| *key).collect();
    let depths: HashMap<MessageKey, usize> = order.into_iter().collect();
    let mut messages = Vec::with_capacity(keys.len());
    for part in keys.chunks(AT_ONCE) {
        let with_depth = |message: Message| ThreadMessage { depth: depths[&message.key], message };
        messages.extend(store::messages::by_keys(tx, part)?.into_iter().map(with_depth));
    }
    Ok(messages)
}
