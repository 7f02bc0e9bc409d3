//! The search index: the words of each message and its sender, each with the conversation it was said in.
//!
//! An entry for `Hello, Bob` from the user 3 in the conversation 12 is `_3_12 hello_12 bob_12`. The words of one's own
//! conversations are terms of their own, so what others say costs nothing; a word wherever it was said is the beginning
//! `hello_`.

use super::tx::Tx;
use crate::error::{Error, Result};
use crate::model::{ConversationKey, Message, MessageKey, Number, Terms, Timestamp, UserKey, words};

/// A message that a search found.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    pub key: MessageKey,
    pub conversation: ConversationKey,
    pub number: Number,
    pub sent_at: Timestamp,
}

/// The word that stands for a sender; no word of a text holds `_`.
fn sender_word(sender: UserKey) -> String {
    format!("_{}", sender.0)
}

/// Lets search know a message's content from the end of the transaction on.
pub(super) fn index(tx: &mut Tx<'_>, message: &Message) {
    if let Some(sender) = &message.sender {
        index_words(tx, message.key, message.conversation_key, sender.key, &message.content);
    }
}

/// As [`index`], of a message's parts.
pub(super) fn index_words(
    tx: &mut Tx<'_>,
    message: MessageKey,
    conversation: ConversationKey,
    sender: UserKey,
    content: &str,
) {
    let said_in = format!("_{} ", conversation.0);
    let mut entry = sender_word(sender) + &said_in;
    for word in words(content) {
        entry.push_str(&word.folded);
        entry.push_str(&said_in);
    }
    tx.to_index.insert(message, Some(entry));
}

/// Writes what search shall know: one statement for all messages of a transaction, a fifth of the cost of one for each.
pub(super) fn write_index(tx: &mut Tx<'_>) -> Result<()> {
    let entries: Vec<(i64, String)> =
        std::mem::take(&mut tx.to_index).into_iter().filter_map(|(key, entry)| Some((key.0, entry?))).collect();
    if entries.is_empty() {
        return Ok(());
    }
    let entries = serde_json::to_string(&entries).map_err(Error::internal)?;
    let sql = tx.split(
        "INSERT OR REPLACE INTO message_search (rowid, words) SELECT value ->> 0, value ->> 1 FROM json_each($1)",
        "INSERT INTO message_search (message_key, words)
         SELECT CAST(CAST(value AS JSON) ->> 0 AS BIGINT),
                array_to_tsvector(string_to_array(trim(CAST(value AS JSON) ->> 1), ' '))
         FROM json_each(CAST($1 AS TEXT)) ON CONFLICT (message_key) DO UPDATE SET words = excluded.words",
    );
    tx.run(sql, &[&entries])?;
    Ok(())
}

/// Makes search forget messages.
pub(super) fn forget(tx: &mut Tx<'_>, messages: &[MessageKey]) -> Result<()> {
    tx.to_index.extend(messages.iter().map(|key| (*key, None)));
    let sql = tx.split(
        concat!("DELETE FROM message_search WHERE rowid IN ", list!("$1")),
        concat!("DELETE FROM message_search WHERE message_key IN ", list!("$1")),
    );
    tx.run(sql, &[&super::list(messages.iter().map(|key| key.0))])?;
    Ok(())
}

/// What the engine is asked for
#[derive(Clone, Debug)]
pub struct Query {
    parts: Vec<Part>,
    /// None: everywhere
    conversations: Option<Vec<ConversationKey>>,
    /// A beginning had more words than are looked for
    pub is_cut: bool,
}

/// One term of a query.
#[derive(Clone, Debug)]
enum Part {
    /// One of these words
    Words(Vec<String>),
    /// A beginning, which PostgreSQL finds by itself
    Beginning(String),
}

/// How many words that begin as asked are looked for, all beginnings together: reading one from the index costs some 50 µs.
const MOST_WORDS: usize = 300;

/// With more words times conversations than these, the index is asked for the words wherever they were said.
const MOST_TERMS: usize = 2000;

impl Query {
    /// Messages with all these words, from one sender where there is one; where conversations are named, the index is
    /// asked for them alone if that is few enough words ([`Query::is_within`]).
    pub fn new(
        tx: &mut Tx<'_>,
        terms: &Terms,
        sender: Option<UserKey>,
        conversations: Option<Vec<ConversationKey>>,
    ) -> Result<Self> {
        let mut parts: Vec<Part> = sender.map(|sender| Part::Words(vec![sender_word(sender)])).into_iter().collect();
        let mut is_cut = false;
        let beginnings = terms.iter().filter(|term| term.is_prefix).count();
        let most = MOST_WORDS / beginnings.max(1);
        for term in terms.iter() {
            let part = match (term.is_prefix, tx.split(true, false)) {
                (false, _) => Part::Words(vec![term.folded.clone()]),
                (true, false) => Part::Beginning(term.folded.clone()),
                (true, true) => {
                    let words = words_with(tx, &term.folded, most)?;
                    is_cut |= words.len() == most;
                    Part::Words(words)
                }
            };
            parts.push(part);
        }
        let count = parts.iter().map(|part| if let Part::Words(words) = part { words.len() } else { 0 }).sum::<usize>();
        let is_few = |own: &Vec<ConversationKey>| count > 0 && count * own.len() <= MOST_TERMS;
        Ok(Self { parts, conversations: conversations.filter(is_few), is_cut })
    }

    /// Whether nothing is found but in the conversations named
    pub fn is_within(&self) -> bool {
        self.conversations.is_some()
    }

    /// Whether no message can be found: no word has the beginning
    pub fn is_void(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Words(words) if words.is_empty()))
    }

    /// FTS5's language. Each word is quoted, and holds nothing but letters, digits, marks and `_`.
    fn fts5(&self) -> String {
        self.alternatives(" AND ", " OR ", "\"", " *").join(" OR ")
    }

    /// A list of texts in the language of `tsquery`, each to be looked up by itself: of a long one with `|` PostgreSQL
    /// expects so much that it reads the whole table.
    fn tsqueries(&self) -> String {
        serde_json::json!(self.alternatives(" & ", " | ", "'", ":*")).to_string()
    }

    /// The whole query for each conversation, or once for all.
    fn alternatives(&self, and: &str, or: &str, quote: &str, prefix: &str) -> Vec<String> {
        let begins = |word: &str| format!("{quote}{word}{quote}{prefix}");
        let all = |write: &dyn Fn(&String) -> String| {
            let part = |part: &Part| match part {
                Part::Words(words) => format!("({})", words.iter().map(write).collect::<Vec<_>>().join(or)),
                Part::Beginning(word) => begins(word),
            };
            format!("({})", self.parts.iter().map(part).collect::<Vec<_>>().join(and))
        };
        match &self.conversations {
            Some(conversations) => {
                let said_in = |key: &ConversationKey| all(&|word| format!("{quote}{word}_{}{quote}", key.0));
                conversations.iter().map(said_in).collect()
            }
            None => vec![all(&|word| begins(&format!("{word}_")))],
        }
    }
}

/// The words that begin so, in order, as far as they are looked for. SQLite gathers all messages of a beginning anew for
/// each query, which takes seconds for a single letter.
fn words_with(tx: &mut Tx<'_>, beginning: &str, most: usize) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut next = beginning.to_owned();
    while found.len() < most {
        let term: Option<String> =
            tx.one("SELECT term FROM message_word WHERE term >= $1 LIMIT 1", &[&next], |row| row.get(0))?;
        let Some(term) = term.filter(|term| term.starts_with(beginning)) else { break };
        let word = term.rsplit_once('_').map_or(term.as_str(), |(word, _)| word);
        // `\`` comes right behind `_`: past the word in every conversation.
        next = format!("{word}`");
        found.push(word.to_owned());
    }
    Ok(found)
}

/// The messages below a key that a query finds, the newest first.
///
/// `message_key + 0` keeps PostgreSQL from walking through all messages from the newest down, for words that few have.
pub fn hits(tx: &mut Tx<'_>, query: &Query, below: MessageKey, limit: i64) -> Result<Vec<Hit>> {
    let sql = tx.split(
        "SELECT message.key, message.conversation_key, message.number, message.sent_at
         FROM (SELECT rowid AS key FROM message_search
               WHERE message_search MATCH $1 AND rowid < $2 ORDER BY rowid DESC LIMIT $3) AS hit
         CROSS JOIN message ON message.key = hit.key",
        "SELECT message.key, message.conversation_key, message.number, message.sent_at
         FROM (SELECT found.message_key FROM json_each(CAST($1 AS TEXT)) AS query CROSS JOIN LATERAL (
                   SELECT message_key FROM message_search
                   WHERE words @@ CAST(query.value AS TSQUERY) AND message_key < $2
                   ORDER BY message_key + 0 DESC LIMIT $3) AS found
               ORDER BY found.message_key DESC LIMIT $3) AS hit
         JOIN message ON message.key = hit.message_key ORDER BY message.key DESC",
    );
    let text = tx.split::<fn(&Query) -> String>(Query::fts5, Query::tsqueries)(query);
    tx.all(sql, &[&text, &below, &limit], |row| {
        Ok(Hit { key: row.get(0)?, conversation: row.get(1)?, number: row.get(2)?, sent_at: row.get(3)? })
    })
}

/// Indexes the next messages that were there before search was; returns the key of the last one, none at the end.
pub(super) fn index_older(tx: &mut Tx<'_>, after: MessageKey, limit: i64) -> Result<Option<MessageKey>> {
    let found = tx.all(
        "SELECT key, conversation_key, sender_key, content FROM message WHERE key > $1 ORDER BY key LIMIT $2",
        &[&after, &limit],
        |row| Ok((row.get(0)?, row.get(1)?, row.get::<Option<UserKey>>(2)?, row.get::<String>(3)?)),
    )?;
    let last = found.last().map(|(key, ..)| *key);
    for (key, conversation, sender, content) in found {
        if let Some(sender) = sender {
            index_words(tx, key, conversation, sender, &content);
        }
    }
    Ok(last)
}
