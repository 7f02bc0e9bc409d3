//! Searching messages: every word must be there, and nothing is found that the searcher may not see.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::error::Result;
use crate::model::{
    Actor, ConversationKey, ConversationSelector, Finding, Message, MessageKey, Seek, Snippet, Task, Terms, Timestamp,
    UserSelector, words,
};
use crate::service::{self, page::Page};
use crate::store::search::{Hit, Query};
use crate::store::{self, Tx};

/// Where not enough of the messages found first are of the time asked for, so many more are looked at; then ten times as many
const MORE: i64 = 10_000;

/// How many of the newest are put in order of rank
const RANKED: i64 = 500;

/// How many of them are read at once
const AT_ONCE: usize = 50;

/// What to search for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Words, of which those that end in `*` are beginnings
    pub query: String,
    /// In one conversation; none: in all one may see
    pub conversation: Option<ConversationSelector>,
    pub sender: Option<UserSelector>,
    /// Sent at this time or later
    pub since: Option<Timestamp>,
    /// Sent before this time
    pub until: Option<Timestamp>,
    /// The best of the newest 500 first, instead of the newest
    pub ranked: bool,
    /// How many at most
    pub limit: i64,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Findings {
    pub messages: Vec<Finding>,
    /// Why there may be more
    pub partial: Option<Partial>,
}

/// Why a search did not find everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// There was no time to look everywhere
    Time,
    /// Messages from before an update are still being indexed
    Index,
}

/// The messages with all the words: newest first, or by rank. Stops when `is_late`.
///
/// # Errors
/// `NotFound` where the conversation is not for the actor's eyes or the sender is not there, `Invalid` where the query is
/// too long.
pub fn search(tx: &mut Tx<'_>, actor: &Actor, request: &Search, is_late: &dyn Fn() -> bool) -> Result<Findings> {
    let (found, partial) = find(tx, actor, request, is_late)?;
    let terms = Terms::parse(&request.query);
    Ok(Findings { messages: findings(tx, &found, &terms)?, partial })
}

/// How many of the newest messages found are counted, and can be paged through
const COUNTED: i64 = 10_000;

/// A page of what [`search`] finds among the newest 10,000, and why there may be more.
///
/// # Errors
/// As [`search`].
pub fn search_page(
    tx: &mut Tx<'_>,
    actor: &Actor,
    request: &Search,
    seek: Option<&Seek<Position>>,
    is_late: &dyn Fn() -> bool,
) -> Result<(Page<Finding, Position>, Option<Partial>)> {
    let size = request.limit;
    let (found, partial) = find(tx, actor, &Search { limit: COUNTED, ranked: false, ..request.clone() }, is_late)?;
    let terms = Terms::parse(&request.query);
    // Newest first, so that the positions descend.
    let read = |seek: Option<&Seek<Position>>, limit: i64| {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(match seek {
            Some(Seek::Before(position)) => {
                found.iter().rev().filter(|found| *found > position).take(limit).copied().collect()
            }
            Some(Seek::Behind(position)) => {
                found.iter().filter(|found| *found < position).take(limit).copied().collect()
            }
            None => found.iter().take(limit).copied().collect(),
        })
    };
    let page = service::page::page(seek, size, |found: &Position| *found, read)?;
    Ok((page.of(count(&found)).map(|found| findings(tx, &found, &terms))?, partial))
}

/// Messages with what was found of them
fn findings(tx: &mut Tx<'_>, found: &[Position], terms: &Terms) -> Result<Vec<Finding>> {
    let keys: Vec<MessageKey> = found.iter().map(|(_, key)| *key).collect();
    let finding = |message: Message| Finding { snippet: Snippet::new(&message.content, terms), message };
    Ok(store::messages::by_keys(tx, &keys)?.into_iter().map(finding).collect())
}

/// The messages with all the words, and why there may be more
fn find(
    tx: &mut Tx<'_>,
    actor: &Actor,
    request: &Search,
    is_late: &dyn Fn() -> bool,
) -> Result<(Vec<Position>, Option<Partial>)> {
    service::check_text("query", &request.query, 200)?;
    let conversation = match &request.conversation {
        Some(selector) => Some(service::conversation(tx, actor, selector)?.0.key),
        None => None,
    };
    let sender = request.sender.as_ref().map(|selector| service::user(tx, actor, selector)).transpose();
    let sender = sender.map_err(|error| error.naming("sender"))?;
    let terms = Terms::parse(&request.query);
    let conversations = match (conversation, super::list::viewer(actor)) {
        (Some(conversation), _) => Some(vec![conversation]),
        (None, Some(viewer)) => Some(store::conversations::all_of(tx, viewer)?),
        (None, None) => None,
    };
    if terms.is_empty() {
        return Ok((Vec::new(), None));
    }
    let mut seeking = Seeking {
        query: Query::new(&terms, sender.map(|sender| sender.person.key)),
        since: request.since.unwrap_or(Timestamp::MIN),
        until: request.until.unwrap_or(Timestamp::MAX),
        limit: if request.ranked { RANKED } else { request.limit },
        found: Vec::new(),
    };
    let limit = seeking.limit;
    let mut is_complete = seeking.seek(tx, conversations.as_deref(), is_late)?;
    if let Some(conversation) = conversation
        && seeking.is_out_of_order(tx, conversation)?
    {
        seeking.limit = seeking.limit.max(COUNTED);
        seeking.found.clear();
        is_complete = seeking.seek(tx, conversations.as_deref(), is_late)?;
    }
    let is_indexed = store::maintenance::pending(tx)?.iter().all(|pending| pending.task != Task::Index);
    let place = |hit: &Hit| if conversation.is_some() { hit.number.0 } else { hit.sent_at.0 };
    let mut found: Vec<Position> = seeking.found.iter().map(|hit| (place(hit), hit.key)).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    if request.ranked {
        is_complete &= rank(tx, &mut found, &terms, is_late)?;
        found.truncate(usize::try_from(request.limit).unwrap_or(usize::MAX));
    }
    let partial = match (is_indexed, is_complete) {
        (false, _) => Some(Partial::Index),
        (_, false) => Some(Partial::Time),
        _ => None,
    };
    Ok((found, partial))
}

/// A message's place among what was found: by number in one conversation, else by time
pub type Position = (i64, MessageKey);

/// A search on its way.
struct Seeking {
    query: Query,
    since: Timestamp,
    until: Timestamp,
    limit: i64,
    /// The newest found so far, the last come in first
    found: Vec<Hit>,
}

impl Seeking {
    /// Looks in these conversations, or everywhere. Says whether it came to its end before it was late.
    fn seek(
        &mut self,
        tx: &mut Tx<'_>,
        conversations: Option<&[ConversationKey]>,
        is_late: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let Some(conversations) = conversations else { return self.seek_in(tx, None, is_late) };
        let mut parts = conversations.chunks(self.query.conversations_at_once()).peekable();
        while let Some(part) = parts.next() {
            let is_complete = self.seek_in(tx, Some(part), is_late)?;
            if !is_complete || parts.peek().is_some() && is_late() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks from the newest message down to the oldest found elsewhere, if there are enough of those.
    fn seek_in(
        &mut self,
        tx: &mut Tx<'_>,
        conversations: Option<&[ConversationKey]>,
        is_late: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let above = self.found.last().filter(|_| self.found.len() >= limit).map_or(MessageKey(0), |oldest| oldest.key);
        let mut below = MessageKey(i64::MAX);
        let mut at_once = self.limit;
        let mut found = Vec::new();
        let is_complete = loop {
            let hits = store::search::hits(tx, &self.query, conversations, (above, below), at_once)?;
            found.extend(hits.iter().filter(|hit| (self.since..self.until).contains(&hit.sent_at)));
            let Some(last) = hits.last() else { break true };
            if count(&hits) < at_once || found.len() >= limit {
                break true;
            }
            if is_late() {
                break false;
            }
            below = last.key;
            at_once = if at_once < MORE { MORE } else { at_once * 10 };
        };
        self.found.append(&mut found);
        self.found.sort_unstable_by_key(|hit| Reverse(hit.key));
        self.found.truncate(limit);
        Ok(is_complete)
    }

    /// Whether what was not looked at any more of a conversation may stand before what was found: hits come as the messages came
    /// in.
    fn is_out_of_order(&self, tx: &mut Tx<'_>, conversation: ConversationKey) -> Result<bool> {
        let lowest = self.found.iter().map(|hit| hit.number).min();
        match (lowest, self.found.last()) {
            (Some(lowest), Some(first)) if count(&self.found) >= self.limit => {
                store::messages::is_out_of_order(tx, conversation, lowest, first.key)
            }
            _ => Ok(false),
        }
    }
}

fn count<T>(things: &[T]) -> i64 {
    i64::try_from(things.len()).unwrap_or(i64::MAX)
}

/// Puts the best of these messages first, by Okapi BM25 with the usual parameters; of equal ones the newer. Says whether it
/// came to its end before it was late; the rest stays behind.
///
/// What is counted are these messages, not all: so both engines agree, and a search costs what it finds. As each of them
/// has every term, none is rarer than another.
fn rank(tx: &mut Tx<'_>, found: &mut [Position], terms: &Terms, is_late: &dyn Fn() -> bool) -> Result<bool> {
    let mut counted = HashMap::new();
    let keys: Vec<MessageKey> = found.iter().map(|(_, key)| *key).collect();
    for part in keys.chunks(AT_ONCE) {
        if is_late() {
            break;
        }
        for (key, content) in store::messages::contents(tx, part)? {
            let mut counts = vec![0.0; terms.iter().count()];
            let mut length = 0.0;
            for word in words(&content) {
                length += 1.0;
                if let Some(term) = terms.position(&word) {
                    counts[term] += 1.0;
                }
            }
            counted.insert(key, (counts, length));
        }
    }
    let total: f64 = counted.values().map(|(_, length)| length).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most 500")]
    let average = (total / counted.len() as f64).max(1.0);
    let score = |key: &MessageKey| -> f64 {
        let Some((counts, length)) = counted.get(key) else { return 0.0 };
        counts.iter().map(|count| count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / average))).sum()
    };
    found.sort_by(|one, other| score(&other.1).total_cmp(&score(&one.1)).then(other.cmp(one)));
    Ok(counted.len() == found.len())
}
