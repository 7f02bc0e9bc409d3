//! The search index: the words of each message and its sender, in two columns: as they are, and prefixed with the conversation.
//!
//! The entry of `Hello, Bob` from user 3 in conversation 12 is `_3 hello bob` and `_12__3 _12_hello _12_bob`. In the sorted index
//! the terms of one conversation are neighbours, and so are those of them with the same prefix. A user who sees only some
//! conversations is answered from the terms of these; the entries of others are not read. The words without a prefix answer those
//! who see everything.

use std::collections::HashSet;
use std::ops::ControlFlow;

use super::Row;
use super::tx::Tx;
use crate::error::{Error, Result};
use crate::model::{ConversationKey, Message, MessageKey, Number, Term, Terms, Timestamp, UserKey, words};

/// A message that a search found.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    pub key: MessageKey,
    pub number: Number,
    pub sent_at: Timestamp,
}

/// The entry of a message: words with spaces between them.
pub(super) struct Entry {
    words: String,
    conversation_words: String,
}

/// The term of a sender. No word of a text contains `_`.
fn sender_word(sender: UserKey) -> String {
    format!("_{}", sender.0)
}

/// The prefix of a conversation's terms
fn place(conversation: ConversationKey) -> String {
    format!("_{}_", conversation.0)
}

/// Indexes a message's content at the end of the transaction.
pub(super) fn index(tx: &mut Tx<'_>, message: &Message) {
    if let Some(sender) = &message.sender {
        index_words(tx, message.key, message.conversation_key, sender.key, &message.content);
    }
}

/// As [`index`], for a message whose parts are given.
pub(super) fn index_words(
    tx: &mut Tx<'_>,
    message: MessageKey,
    conversation: ConversationKey,
    sender: UserKey,
    content: &str,
) {
    let place = place(conversation);
    let sender = sender_word(sender);
    let mut entry = Entry { conversation_words: format!("{place}{sender}"), words: sender };
    for word in words(content) {
        entry.words.extend([" ", &word.folded]);
        entry.conversation_words.extend([" ", &place, &word.folded]);
    }
    tx.to_index.insert(message, Some(entry));
}

/// Writes the entries of a transaction's messages with one statement, which costs a fifth of one for each message.
pub(super) fn write_index(tx: &mut Tx<'_>) -> Result<()> {
    let entries: Vec<(i64, String, String)> = std::mem::take(&mut tx.to_index)
        .into_iter()
        .filter_map(|(key, entry)| entry.map(|entry| (key.0, entry.words, entry.conversation_words)))
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    let entries = serde_json::to_string(&entries).map_err(Error::internal)?;
    let sql = tx.split(
        "INSERT OR REPLACE INTO message_search (rowid, words, conversation_words)
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)",
        "INSERT INTO message_search (message_key, words, conversation_words)
         SELECT CAST(CAST(value AS JSON) ->> 0 AS BIGINT),
                array_to_tsvector(string_to_array(CAST(value AS JSON) ->> 1, ' ')),
                array_to_tsvector(string_to_array(CAST(value AS JSON) ->> 2, ' '))
         FROM json_each(CAST($1 AS TEXT))
         ON CONFLICT (message_key) DO UPDATE
         SET words = excluded.words, conversation_words = excluded.conversation_words",
    );
    tx.run(sql, &[&entries])?;
    Ok(())
}

/// Removes messages from the index.
pub(super) fn forget(tx: &mut Tx<'_>, messages: &[MessageKey]) -> Result<()> {
    tx.to_index.extend(messages.iter().map(|key| (*key, None)));
    let sql = tx.split(
        concat!("DELETE FROM message_search WHERE rowid IN ", list!("$1")),
        concat!("DELETE FROM message_search WHERE message_key IN ", list!("$1")),
    );
    tx.run(sql, &[&super::list(messages.iter().map(|key| key.0))])?;
    Ok(())
}

/// How many terms one statement looks up at most: each takes about 50 µs.
const MOST_TERMS: usize = 1000;

/// A search for messages with all these terms.
#[derive(Clone, Debug)]
pub struct Query(Vec<Term>);

impl Query {
    /// Messages with all these words, of one sender if given
    pub fn new(terms: &Terms, sender: Option<UserKey>) -> Self {
        let sender = sender.map(|sender| Term { folded: sender_word(sender), is_prefix: false });
        Self(sender.into_iter().chain(terms.iter().cloned()).collect())
    }

    /// How many conversations one statement searches
    pub fn conversations_at_once(&self) -> usize {
        (MOST_TERMS / self.0.len().max(1)).max(1)
    }

    /// The query for FTS5. Each term is quoted, and contains only letters, digits, marks and `_`.
    fn fts5(&self, conversations: Option<&[ConversationKey]>) -> String {
        self.alternatives(conversations, " AND ", "\"", " *").join(" OR ")
    }

    /// A JSON list of `tsquery` texts, each looked up by itself: for a long one with `|` PostgreSQL estimates so many rows
    /// that it reads the whole table.
    fn tsqueries(&self, conversations: Option<&[ConversationKey]>) -> String {
        serde_json::json!(self.alternatives(conversations, " & ", "'", ":*")).to_string()
    }

    /// The query once for each conversation, or once for all messages.
    fn alternatives(
        &self,
        conversations: Option<&[ConversationKey]>,
        and: &str,
        quote: &str,
        prefix: &str,
    ) -> Vec<String> {
        let all = |place: &str| {
            let term = |Term { folded, is_prefix }: &Term| {
                format!("{quote}{place}{folded}{quote}{}", if *is_prefix { prefix } else { "" })
            };
            format!("({})", self.0.iter().map(term).collect::<Vec<_>>().join(and))
        };
        match conversations {
            Some(conversations) => conversations.iter().map(|key| all(&place(*key))).collect(),
            None => vec![all("")],
        }
    }
}

macro_rules! postgres_hits {
    ($words:literal) => {
        concat!(
            "SELECT message.key, message.number, message.sent_at
             FROM (SELECT found.message_key FROM json_each(CAST($1 AS TEXT)) AS query CROSS JOIN LATERAL (
                       SELECT message_key FROM message_search
                       WHERE ",
            $words,
            " @@ CAST(query.value AS TSQUERY) AND message_key + 0 > $2 AND message_key + 0 < $3
                       ORDER BY message_key + 0 DESC LIMIT $4) AS found
                   ORDER BY found.message_key DESC LIMIT $4) AS hit
             JOIN message ON message.key = hit.message_key ORDER BY message.key DESC"
        )
    };
}

/// For more hits than this, those among the newest messages are hardly ever enough.
const FEW: i64 = 1000;

/// Hits among the newest 10,000 of all messages, on PostgreSQL, whose index must collect and sort all of a word, at 4 µs each. To look
/// through them takes 6 ms, and is enough where a word is in so many that the index would take longest: 1,000 hits where a tenth have it.
const NEWEST_HITS: &str = "SELECT message.key, message.number, message.sent_at
     FROM (SELECT message_key FROM (SELECT message_key, words FROM message_search
                                    WHERE message_key > $2 AND message_key < $3 ORDER BY message_key DESC LIMIT 10000) AS newest
           WHERE words @@ (SELECT CAST(value AS TSQUERY) FROM json_each(CAST($1 AS TEXT)))
           ORDER BY message_key DESC LIMIT $4) AS hit
     JOIN message ON message.key = hit.message_key ORDER BY message.key DESC";

/// The messages between two keys that a query finds, newest first: in these conversations, or in all where none are given.
///
/// `message_key + 0` keeps PostgreSQL from scanning all messages from the newest down for rare words.
pub fn hits(
    tx: &mut Tx<'_>,
    query: &Query,
    conversations: Option<&[ConversationKey]>,
    (above, below): (MessageKey, MessageKey),
    limit: i64,
) -> Result<Vec<Hit>> {
    let read = |row: &Row<'_>| Ok(Hit { key: row.get(0)?, number: row.get(1)?, sent_at: row.get(2)? });
    if conversations.is_none() && limit <= FEW && tx.split(false, true) {
        let newest = tx.all(NEWEST_HITS, &[&query.tsqueries(None), &above, &below, &limit], read)?;
        if i64::try_from(newest.len()) == Ok(limit) {
            return Ok(newest);
        }
    }
    let of_words = if conversations.is_some() { postgres_hits!("conversation_words") } else { postgres_hits!("words") };
    let sql = tx.split(
        "SELECT message.key, message.number, message.sent_at
         FROM (SELECT rowid AS key FROM message_search
               WHERE message_search MATCH $1 AND rowid > $2 AND rowid < $3 ORDER BY rowid DESC LIMIT $4) AS hit
         CROSS JOIN message ON message.key = hit.key",
        of_words,
    );
    let text = tx.split::<fn(&Query, Option<&[ConversationKey]>) -> String>(Query::fts5, Query::tsqueries);
    tx.all(sql, &[&text(query, conversations), &above, &below, &limit], read)
}

/// The number of bytes of messages indexed at once, plus the message that exceeds it. Their entries are one parameter
/// of a statement, at worst thirty times as long, and the engines' limit is 1 GB.
const INDEXED_AT_ONCE: usize = 1024 * 1024;

/// The last of the next messages behind a key, up to a limit; none at the end
pub(super) fn last_to_index(tx: &mut Tx<'_>, after: MessageKey, limit: i64) -> Result<Option<MessageKey>> {
    tx.only(
        "SELECT max(next.key) FROM (SELECT key FROM message WHERE key > $1 ORDER BY key LIMIT $2) AS next",
        &[&after, &limit],
        |row| row.get(0),
    )
}

/// Indexes the messages behind a key and up to another that were there before their entries were; returns how far it came.
///
/// Those of conversations that are not locked came in since: their own transactions index them.
pub(super) fn index_older(
    tx: &mut Tx<'_>,
    (after, last): (MessageKey, MessageKey),
    locked: &HashSet<ConversationKey>,
) -> Result<MessageKey> {
    let mut found: Vec<(MessageKey, ConversationKey, Option<UserKey>, String)> = Vec::new();
    let mut bytes = 0;
    tx.each(
        "SELECT key, conversation_key, sender_key, content FROM message WHERE key > $1 AND key <= $2 ORDER BY key",
        &[&after, &last],
        |row| {
            let content: String = row.get(3)?;
            bytes += content.len();
            found.push((row.get(0)?, row.get(1)?, row.get(2)?, content));
            Ok(if bytes < INDEXED_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        },
    )?;
    let reached = if bytes < INDEXED_AT_ONCE { last } else { found.last().map_or(last, |(key, ..)| *key) };
    for (key, conversation, sender, content) in found {
        if let Some(sender) = sender.filter(|_| locked.contains(&conversation)) {
            index_words(tx, key, conversation, sender, &content);
        }
    }
    Ok(reached)
}
