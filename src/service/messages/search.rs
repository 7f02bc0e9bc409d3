//! Searching messages: every word must be there, and nothing is found that the searcher may not see.

use std::collections::HashSet;

use crate::error::Result;
use crate::model::{
    Actor, ConversationKey, ConversationSelector, Finding, Message, MessageKey, Snippet, Task, Terms, Timestamp,
    UserKey, UserSelector, words,
};
use crate::service;
use crate::store::search::{Hit, Query};
use crate::store::{self, Tx};

/// In so many conversations the index is asked for one's own alone; with more, everywhere, and what is not one's own is
/// left out.
const CONVERSATIONS: i64 = 256;

/// How many messages found everywhere are looked at first; then ten times as many
const AT_FIRST: i64 = 1_000;

/// How many of the newest are put in order of rank
const RANKED: i64 = 500;

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
    /// The best of the newest 500 first, instead of the newest
    pub ranked: bool,
    /// How many at most
    pub limit: i64,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Findings {
    pub messages: Vec<Finding>,
    /// There was no time to look everywhere
    pub partial: bool,
}

/// The messages with all the words: newest first, or by rank. Stops when `is_late`.
///
/// # Errors
/// `NotFound` where the conversation is not for the actor's eyes or the sender is not there, `Invalid` where the query is
/// too long.
pub fn search(tx: &mut Tx<'_>, actor: &Actor, request: &Search, is_late: &dyn Fn() -> bool) -> Result<Findings> {
    service::check_text("query", &request.query, 200)?;
    let conversation = match &request.conversation {
        Some(selector) => Some(service::conversation(tx, actor, selector)?.0.key),
        None => None,
    };
    let sender = request.sender.as_ref().map(|selector| service::user(tx, selector)).transpose()?;
    let terms = Terms::parse(&request.query);
    let viewer = super::list::viewer(actor);
    let own = match (conversation, viewer) {
        (Some(conversation), _) => Some(vec![conversation]),
        (None, Some(viewer)) => Some(store::conversations::some_of(tx, viewer, CONVERSATIONS + 1)?),
        (None, None) => None,
    };
    if terms.is_empty() || own.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Findings { messages: Vec::new(), partial: false });
    }
    let own = own.filter(|own| i64::try_from(own.len()).is_ok_and(|count| count <= CONVERSATIONS));
    let query = Query::new(tx, &terms, sender.map(|sender| sender.person.key), own)?;
    let is_cut = query.is_cut;
    let mut seeking = Seeking {
        query,
        conversation,
        viewer,
        since: request.since.unwrap_or(Timestamp::MIN),
        limit: if request.ranked { RANKED } else { request.limit },
        found: Vec::new(),
    };
    let is_complete = seeking.seek(tx, is_late)?;
    let is_indexed = store::maintenance::pending(tx)?.iter().all(|pending| pending.task != Task::Index);
    let keys = if request.ranked { ranked(tx, &seeking.found, &terms, request.limit)? } else { seeking.found };
    let finding = |message: Message| Finding { snippet: Snippet::new(&message.content, &terms), message };
    let messages = store::messages::by_keys(tx, &keys)?.into_iter().map(finding).collect();
    Ok(Findings { messages, partial: is_cut || !is_complete || !is_indexed })
}

/// A search on its way from the newest message down.
struct Seeking {
    query: Query,
    /// The only conversation to look in
    conversation: Option<ConversationKey>,
    /// Whose conversations bound what is visible
    viewer: Option<UserKey>,
    since: Timestamp,
    limit: i64,
    found: Vec<MessageKey>,
}

impl Seeking {
    /// Says whether it came to its end before it was late.
    fn seek(&mut self, tx: &mut Tx<'_>, is_late: &dyn Fn() -> bool) -> Result<bool> {
        if self.query.is_void() {
            return Ok(true);
        }
        let mut below = MessageKey(i64::MAX);
        let mut at_once = if self.query.is_within() { self.limit } else { self.limit.max(AT_FIRST) };
        loop {
            let hits = store::search::hits(tx, &self.query, below, at_once)?;
            let is_end = count(&hits) < at_once;
            let Some(last) = hits.last() else { return Ok(true) };
            below = last.key;
            self.keep(tx, &hits)?;
            if is_end || count(&self.found) >= self.limit {
                return Ok(true);
            }
            if is_late() {
                return Ok(false);
            }
            at_once = at_once.max(AT_FIRST) * 10;
        }
    }

    fn keep(&mut self, tx: &mut Tx<'_>, hits: &[Hit]) -> Result<()> {
        let visible = match self.viewer {
            Some(viewer) if !self.query.is_within() => {
                let places: HashSet<ConversationKey> = hits.iter().map(|hit| hit.conversation).collect();
                Some(store::conversations::those_of(tx, viewer, places)?)
            }
            _ => None,
        };
        let is_sought = |hit: &&Hit| {
            hit.sent_at >= self.since
                && self.conversation.is_none_or(|only| only == hit.conversation)
                && visible.as_ref().is_none_or(|visible| visible.contains(&hit.conversation))
        };
        let sought = hits.iter().filter(is_sought).map(|hit| hit.key);
        let missing = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_sub(self.found.len());
        self.found.extend(sought.take(missing).collect::<Vec<_>>());
        Ok(())
    }
}

fn count<T>(things: &[T]) -> i64 {
    i64::try_from(things.len()).unwrap_or(i64::MAX)
}

/// The best of these messages first, by Okapi BM25 with the usual parameters; of equal ones the newer first.
///
/// What is counted are these messages, not all: so both engines agree, and a search costs what it finds. As each of them
/// has every term, none is rarer than another.
fn ranked(tx: &mut Tx<'_>, keys: &[MessageKey], terms: &Terms, limit: i64) -> Result<Vec<MessageKey>> {
    let contents = store::messages::contents(tx, keys.iter().copied())?;
    let counted: Vec<(MessageKey, Vec<f64>, f64)> = contents
        .iter()
        .map(|(key, content)| {
            let mut counts = vec![0.0; terms.iter().count()];
            let mut length = 0.0;
            for word in words(content) {
                length += 1.0;
                if let Some(term) = terms.position(&word) {
                    counts[term] += 1.0;
                }
            }
            (*key, counts, length)
        })
        .collect();
    let total: f64 = counted.iter().map(|(_, _, length)| length).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most 500")]
    let average = (total / counted.len() as f64).max(1.0);
    let score = |counts: &[f64], length: f64| -> f64 {
        counts.iter().map(|count| count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / average))).sum()
    };
    let mut scored: Vec<(f64, MessageKey)> =
        counted.iter().map(|(key, counts, length)| (score(counts, *length), *key)).collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0).then(other.1.cmp(&one.1)));
    scored.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(scored.into_iter().map(|(_, key)| key).collect())
}
