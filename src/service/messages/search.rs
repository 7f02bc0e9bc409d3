//! Searching messages: every word must be there, and nothing is found that the searcher may not see.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::error::Result;
use crate::model::{
    Actor, ConversationKey, ConversationSelector, Message, MessageKey, Number, SearchHit, Seek, Snippet, Task, Terms,
    Timestamp, UserKey, UserSelector, words,
};
use crate::service::{self, page::Page};
use crate::store::search::{Hit, Query};
use crate::store::{self, Tx};

/// Where the messages found first are not enough, of the time asked for or to be sure of their order, so many more are looked at
const MORE: i64 = 10_000;

/// How many the index is asked for at once at the most: on PostgreSQL it goes through all it has, however few are asked for
const MOST: i64 = 100_000;

/// How many messages are looked through at most for those that came in before what was found: a twentieth of a second
const LOOKED_THROUGH: i64 = 100_000;

/// How many of the newest are put in order of rank
const RANKED: i64 = 500;

/// How many messages are read at once
const AT_ONCE: usize = 50;

/// What to search for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Words, of which those that end in `*` are beginnings
    pub query: String,
    /// In one conversation; none: in all one can see
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
    pub messages: Vec<SearchHit>,
    /// Why there may be more
    pub partial: Option<Partial>,
}

/// Why a search did not find everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partial {
    /// There was no time to look everywhere, or there was too much to look through to be sure of the order: there may be more, and
    /// others that come first
    Time,
    /// Messages from before an update are still being indexed
    Index,
}

/// The messages with all the words: newest first, or by rank. Stops when `is_late`.
///
/// # Errors
/// `NotFound` if the conversation is not visible to the actor or the sender is not there, `Invalid` if the query is
/// too long.
pub fn search(tx: &mut Tx<'_>, actor: &Actor, request: &Search, is_late: &dyn Fn() -> bool) -> Result<Findings> {
    let limit = if request.ranked { RANKED } else { request.limit };
    let needed = |found: &[HitPosition]| Some((*found.get(size_of(limit).checked_sub(1)?)?, NEWEST));
    let (mut found, mut partial) = find(tx, actor, request, limit, &needed, is_late)?;
    found.truncate(size_of(limit));
    let terms = Terms::parse(&request.query);
    if request.ranked {
        let is_complete = rank(tx, &mut found, &terms, is_late)?;
        partial = partial.or((!is_complete).then_some(Partial::Time));
        found.truncate(size_of(request.limit));
    }
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
    seek: Option<&Seek<HitPosition>>,
    is_late: &dyn Fn() -> bool,
) -> Result<(Page<SearchHit, HitPosition>, Option<Partial>)> {
    search_page_among(tx, actor, request, seek, (COUNTED, is_late))
}

/// As [`search_page`], among as many of the newest as are wanted: the fewer, the quicker.
///
/// # Errors
/// As [`search`].
pub fn search_page_among(
    tx: &mut Tx<'_>,
    actor: &Actor,
    request: &Search,
    seek: Option<&Seek<HitPosition>>,
    (counted, is_late): (i64, &dyn Fn() -> bool),
) -> Result<(Page<SearchHit, HitPosition>, Option<Partial>)> {
    let size = request.limit;
    // Newest first, so that the positions descend.
    let part = |found: &[HitPosition], seek: Option<&Seek<HitPosition>>, limit: i64| {
        let (newer, older) = match seek {
            None => (0, size_of(limit)),
            Some(Seek::After(position)) => {
                let first = found.partition_point(|found| found >= position);
                (first, first.saturating_add(size_of(limit)))
            }
            Some(Seek::Before(position)) => {
                let end = found.partition_point(|found| found > position);
                (end.saturating_sub(size_of(limit)), end)
            }
        };
        newer..older.min(found.len())
    };
    let needed = |found: &[HitPosition]| {
        let range = part(found, seek, size.saturating_add(1));
        let is_first = range.start == 0;
        let part = &found[range];
        match seek {
            Some(Seek::After(position)) if !is_first => Some((*part.last()?, *position)),
            // There is a page before, whose messages may have come in earlier.
            None | Some(Seek::After(_)) => Some((*part.last()?, NEWEST)),
            Some(Seek::Before(position)) if count(part) > size => Some((*position, *part.first()?)),
            Some(Seek::Before(position)) => Some((*position, NEWEST)),
        }
    };
    let (mut found, partial) = find(tx, actor, request, counted, &needed, is_late)?;
    found.truncate(size_of(counted));
    let terms = Terms::parse(&request.query);
    let read = |seek: Option<&Seek<HitPosition>>, limit: i64| {
        let mut part = found[part(&found, seek, limit)].to_vec();
        if let Some(Seek::Before(_)) = seek {
            part.reverse();
        }
        Ok(part)
    };
    let page = service::page::page(seek, size, |found: &HitPosition| *found, read)?;
    Ok((page.of(count(&found)).map(|found| findings(tx, &found, &terms))?, partial))
}

/// Messages with what was found of them
fn findings(tx: &mut Tx<'_>, found: &[HitPosition], terms: &Terms) -> Result<Vec<SearchHit>> {
    let keys: Vec<MessageKey> = found.iter().map(|(_, key)| *key).collect();
    let hit = |message: Message| SearchHit { snippet: Snippet::new(&message.content, terms), message };
    Ok(store::messages::by_keys(tx, &keys)?.into_iter().map(hit).collect())
}

/// The newest messages with all the words, at least `limit` of them, where there are so many, and why there may be more.
///
/// They are found as they came in, which is not their order where old messages were loaded: `needed` says between which positions
/// the answer lies, of those found. Others that came in before and lie there too are looked at one by one; where that would be too
/// many, more are looked for once, unless 10,000 were asked for anyway, as for pages.
fn find(
    tx: &mut Tx<'_>,
    actor: &Actor,
    request: &Search,
    limit: i64,
    needed: &Needed<'_>,
    is_late: &dyn Fn() -> bool,
) -> Result<(Vec<HitPosition>, Option<Partial>)> {
    service::check_text("query", &request.query, 200)?;
    let conversation = match &request.conversation {
        Some(selector) => Some(service::conversation(tx, actor, selector)?.0.key),
        None => None,
    };
    let sender = request.sender.as_ref().map(|selector| service::user(tx, actor, selector)).transpose();
    let sender = sender.map_err(|error| error.naming("sender"))?.map(|sender| sender.person.key);
    let terms = Terms::parse(&request.query);
    let viewer = super::list::viewer(actor);
    let conversations = match (conversation, viewer) {
        (Some(conversation), _) => Some(vec![conversation]),
        (None, Some(viewer)) => Some(store::conversations::all_of(tx, viewer)?),
        (None, None) => None,
    };
    if terms.is_empty() {
        return Ok((Vec::new(), None));
    }
    let mut seeking = Seeking {
        query: Query::new(&terms, sender),
        since: request.since.unwrap_or(Timestamp::MIN),
        until: request.until.unwrap_or(Timestamp::MAX),
        limit,
        below: MessageKey(i64::MAX),
        found: Vec::new(),
    };
    let place = |hit: &Hit| if conversation.is_some() { hit.number.0 } else { hit.sent_at.0 };
    let (mut found, is_complete) = loop {
        let is_complete = seeking.seek(tx, conversations.as_deref(), is_late)?;
        let mut found: Vec<HitPosition> = seeking.found.iter().map(|hit| (place(hit), hit.key)).collect();
        found.sort_unstable_by(|one, other| other.cmp(one));
        let first = seeking.found.last().filter(|_| count(&found) >= seeking.limit).map(|hit| hit.key);
        let (true, Some(first), Some(needed)) = (is_complete, first, needed(&found)) else {
            break (found, is_complete);
        };
        if let Some(earlier) = seeking.earlier(tx, (conversation, viewer), needed, first)? {
            let (hits, is_complete) = seeking.among(tx, &earlier, (&terms, sender), is_late)?;
            found.extend(hits.iter().map(|hit| (place(hit), hit.key)));
            break (found, is_complete);
        }
        if seeking.limit >= MORE || is_late() {
            break (found, false);
        }
        seeking.below = first;
        seeking.limit += MORE;
    };
    found.sort_unstable_by(|one, other| other.cmp(one));
    let is_indexed = store::maintenance::pending(tx)?.iter().all(|pending| pending.task != Task::Index);
    let partial = match (is_indexed, is_complete) {
        (false, _) => Some(Partial::Index),
        (_, false) => Some(Partial::Time),
        _ => None,
    };
    Ok((found, partial))
}

/// Says between which positions an answer lies, of what was found; none where it is empty.
type Needed<'n> = dyn Fn(&[HitPosition]) -> Option<(HitPosition, HitPosition)> + 'n;

/// Where a message stands among what was found: by number in one conversation, else by time
pub type HitPosition = (i64, MessageKey);

/// Newer than every message
const NEWEST: HitPosition = (i64::MAX, MessageKey(i64::MAX));

/// A search on its way.
struct Seeking {
    query: Query,
    since: Timestamp,
    until: Timestamp,
    limit: i64,
    /// Before which came in what is looked for: of the others all are found
    below: MessageKey,
    /// Those found so far, the last come in first
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

    /// Looks from the last message that came in down to the first found elsewhere, if there are enough of those.
    fn seek_in(
        &mut self,
        tx: &mut Tx<'_>,
        conversations: Option<&[ConversationKey]>,
        is_late: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let limit = size_of(self.limit);
        let above = self.found.last().filter(|_| self.found.len() >= limit).map_or(MessageKey(0), |first| first.key);
        let mut below = self.below;
        let mut at_once = self.limit.min(MOST);
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
            at_once = if at_once < MORE { MORE } else { MOST };
        };
        self.found.append(&mut found);
        self.found.sort_unstable_by_key(|hit| Reverse(hit.key));
        self.found.truncate(limit);
        Ok(is_complete)
    }

    /// The messages between two positions that came in before those found; none where there are too many, or too many to look through.
    fn earlier(
        &self,
        tx: &mut Tx<'_>,
        (conversation, viewer): (Option<ConversationKey>, Option<UserKey>),
        (older, newer): (HitPosition, HitPosition),
        first: MessageKey,
    ) -> Result<Option<Vec<MessageKey>>> {
        let (mut looked_through, mut earlier) = (0, Vec::new());
        let mut look = |key: MessageKey| {
            looked_through += 1;
            if key < first {
                earlier.push(key);
            }
            if count(&earlier) < MORE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        if let Some(conversation) = conversation {
            let between = (Number(older.0), Number(newer.0));
            store::messages::each_between_numbers(tx, conversation, between, LOOKED_THROUGH, &mut look)?;
        } else {
            let older = (Timestamp(older.0), older.1);
            let newer = (Timestamp(newer.0), newer.1).min((self.until, MessageKey(i64::MIN)));
            store::messages::each_between(tx, viewer, (older, newer), LOOKED_THROUGH, &mut look)?;
        }
        Ok((looked_through < LOOKED_THROUGH && count(&earlier) < MORE).then_some(earlier))
    }

    /// Those of these messages that are looked for, and whether it came to its end before it was late: their texts are read, because
    /// the index would have to be asked for each.
    fn among(
        &self,
        tx: &mut Tx<'_>,
        keys: &[MessageKey],
        (terms, sender): (&Terms, Option<UserKey>),
        is_late: &dyn Fn() -> bool,
    ) -> Result<(Vec<Hit>, bool)> {
        let mut hits = Vec::new();
        for part in keys.chunks(AT_ONCE) {
            if is_late() {
                return Ok((hits, false));
            }
            let messages = store::messages::by_keys(tx, part)?.into_iter().filter(|message| {
                (self.since..self.until).contains(&message.timestamp)
                    && sender.is_none_or(|sender| message.is_from(sender))
                    && terms.are_in(&message.content)
            });
            hits.extend(messages.map(|Message { key, number, timestamp, .. }| Hit { key, number, sent_at: timestamp }));
        }
        Ok((hits, true))
    }
}

fn size_of(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn count<T>(things: &[T]) -> i64 {
    i64::try_from(things.len()).unwrap_or(i64::MAX)
}

/// Puts the best of these messages first, by Okapi BM25 with the usual parameters; of equal ones the newer. Says whether it
/// came to its end before it was late; the rest stays behind.
///
/// What is counted are these messages, not all: so both engines agree, and a search costs what it finds. As each of them
/// has every term, none is rarer than another.
fn rank(tx: &mut Tx<'_>, found: &mut [HitPosition], terms: &Terms, is_late: &dyn Fn() -> bool) -> Result<bool> {
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
