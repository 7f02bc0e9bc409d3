//! Searching messages: every word must be there, and nothing is found that the searcher may not see.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::model::{
    Actor, ConversationKey, ConversationSelector, Finding, MessageKey, Snippet, Task, Terms, Timestamp, UserSelector,
    words,
};
use crate::service;
use crate::store::search::{Hit, Place, Query};
use crate::store::{self, Tx};

/// Up to so many messages of all with the words are looked at one by one; beyond that conversation by conversation.
const FEW: i64 = 1_000;

/// As [`FEW`], where a word is a beginning, which the engine gathers anew for each conversation
const FEW_BEGINNINGS: i64 = 10_000;

/// How many messages of one conversation are looked at in one go
const AT_ONCE: i64 = 10;

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

/// The messages with all the words: newest first (in each conversation by number), or by rank. Stops when `is_late`.
///
/// # Errors
/// `NotFound` where the conversation is not for the actor's eyes or the sender is not there, `Invalid` where the query is
/// too long.
pub fn search(tx: &mut Tx<'_>, actor: &Actor, request: &Search, is_late: &dyn Fn() -> bool) -> Result<Findings> {
    service::check_text("query", &request.query, 200)?;
    let conversation = match &request.conversation {
        Some(selector) => Some(service::conversation(tx, actor, selector)?.0),
        None => None,
    };
    let sender = request.sender.as_ref().map(|selector| service::user(tx, selector)).transpose()?;
    let terms = Terms::parse(&request.query);
    let is_indexing = store::maintenance::pending(tx)?.iter().any(|pending| pending.task == Task::Index);
    if terms.is_empty() {
        return Ok(Findings { messages: Vec::new(), partial: false });
    }
    let mut walk = Walk {
        query: Query::new(terms.clone(), sender.map(|sender| sender.person.key)),
        since: request.since.unwrap_or(Timestamp::MIN),
        limit: if request.ranked { RANKED } else { request.limit },
        found: Vec::new(),
        is_late,
    };
    let partial = match conversation {
        Some(conversation) => walk.visit(tx, &[(conversation.key, conversation.active_at)])?,
        None => everywhere(tx, actor, &terms, &mut walk)?,
    };
    let keys: Vec<MessageKey> = walk.found.iter().map(|hit| hit.key).collect();
    let keys = if request.ranked { ranked(tx, &keys, &terms, request.limit)? } else { keys };
    let mut messages: HashMap<MessageKey, _> =
        store::messages::by_keys(tx, keys.iter().copied())?.into_iter().map(|message| (message.key, message)).collect();
    let finding = |key| {
        let message = messages.remove(key)?;
        let snippet = Snippet::new(&message.content, &terms);
        Some(Finding { message, snippet })
    };
    Ok(Findings { messages: keys.iter().filter_map(finding).collect(), partial: partial || is_indexing })
}

/// Searches all conversations the actor may see; says whether that was cut short.
fn everywhere(tx: &mut Tx<'_>, actor: &Actor, terms: &Terms, walk: &mut Walk<'_>) -> Result<bool> {
    let viewer = super::list::viewer(actor);
    let few = if terms.iter().any(|term| term.is_prefix) { FEW_BEGINNINGS } else { FEW };
    let hits = store::search::hits(tx, &walk.query, Place::MIN, Place::MAX, few + 1)?;
    if i64::try_from(hits.len()).is_ok_and(|count| count > few) {
        let conversations = store::search::conversations_of(tx, viewer)?;
        return walk.visit(tx, &conversations);
    }
    let visible = match viewer {
        Some(viewer) => {
            let places: HashSet<ConversationKey> = hits.iter().map(|hit| hit.conversation).collect();
            Some(store::conversations::those_of(tx, viewer, places)?)
        }
        None => None,
    };
    walk.keep(hits.into_iter().filter(|hit| visible.as_ref().is_none_or(|keys| keys.contains(&hit.conversation))));
    Ok(false)
}

/// A walk through conversations, the most active first, that keeps the newest messages found.
struct Walk<'w> {
    query: Query,
    since: Timestamp,
    limit: i64,
    /// Newest first
    found: Vec<Hit>,
    is_late: &'w dyn Fn() -> bool,
}

impl Walk<'_> {
    /// Looks through conversations until nothing newer can come; says whether that was cut short.
    fn visit(&mut self, tx: &mut Tx<'_>, conversations: &[(ConversationKey, Timestamp)]) -> Result<bool> {
        let at_once = if conversations.len() == 1 { self.limit } else { AT_ONCE };
        for (conversation, active_at) in conversations {
            if *active_at < self.oldest() {
                break;
            }
            let mut below = Place::end_of(*conversation);
            loop {
                if (self.is_late)() {
                    return Ok(true);
                }
                let hits = store::search::hits(tx, &self.query, Place::start_of(*conversation), below, at_once)?;
                let is_end = i64::try_from(hits.len()).is_ok_and(|count| count < at_once);
                let Some(last) = hits.last().copied() else { break };
                self.keep(hits);
                if is_end || last.sent_at < self.oldest() {
                    break;
                }
                below = last.place;
            }
        }
        Ok(false)
    }

    /// What is older than this is not looked for
    fn oldest(&self) -> Timestamp {
        let is_full = i64::try_from(self.found.len()).is_ok_and(|count| count >= self.limit);
        self.found.last().filter(|_| is_full).map_or(self.since, |hit| hit.sent_at)
    }

    fn keep(&mut self, hits: impl IntoIterator<Item = Hit>) {
        self.found.extend(hits.into_iter().filter(|hit| hit.sent_at >= self.since));
        self.found.sort_by_key(|hit| Reverse((hit.sent_at, hit.key)));
        self.found.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
    }
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
