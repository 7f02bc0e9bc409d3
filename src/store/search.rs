//! The search index: the words of each message and its sender, found by where the message stands.

use std::collections::HashSet;

use super::tx::Tx;
use crate::error::{Error, Result};
use crate::model::{ConversationKey, Message, MessageKey, Number, Terms, Timestamp, UserKey, words};

/// Where a message stands among all: its conversation, then its number. So a conversation is one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub i64);

impl Place {
    /// Before every place there is
    pub const MIN: Self = Self(0);
    /// After every place there is
    pub const MAX: Self = Self(i64::MAX);

    fn new(conversation: ConversationKey, number: Number) -> Result<Self> {
        let place = (conversation.0 << 32) | number.0;
        let fits = (0..1 << 31).contains(&conversation.0) && (0..1 << 32).contains(&number.0);
        if fits {
            Ok(Self(place))
        } else {
            Err(Error::internal("more conversations or messages than search can number"))
        }
    }

    /// Before the first message of a conversation
    pub fn start_of(conversation: ConversationKey) -> Self {
        Self(conversation.0 << 32)
    }

    /// After the last message of a conversation
    pub fn end_of(conversation: ConversationKey) -> Self {
        Self((conversation.0 + 1) << 32)
    }
}

/// A message that a search found.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    pub key: MessageKey,
    pub conversation: ConversationKey,
    pub place: Place,
    pub sent_at: Timestamp,
}

/// The word that stands for a sender: it begins with a character that no word of a text has.
fn sender_word(sender: UserKey) -> String {
    format!("\u{E000}{}", sender.0)
}

/// Lets search know a message's content from the end of the transaction on.
pub(super) fn index(tx: &mut Tx<'_>, message: &Message) -> Result<()> {
    let Some(sender) = &message.sender else { return Ok(()) };
    index_words(tx, Place::new(message.conversation_key, message.number)?, sender.key, &message.content);
    Ok(())
}

fn index_words(tx: &mut Tx<'_>, place: Place, sender: UserKey, content: &str) {
    let mut entry = sender_word(sender);
    for word in words(content) {
        entry.push(' ');
        entry.push_str(&word.folded);
    }
    tx.to_index.insert(place, entry);
}

/// Writes what search shall know: one statement for all messages of a transaction, a fifth of the cost of one for each.
pub(super) fn write_index(tx: &mut Tx<'_>) -> Result<()> {
    if tx.to_index.is_empty() {
        return Ok(());
    }
    let entries: Vec<(i64, String)> =
        std::mem::take(&mut tx.to_index).into_iter().map(|(place, entry)| (place.0, entry)).collect();
    let entries = serde_json::to_string(&entries).map_err(Error::internal)?;
    let sql = tx.split(
        "INSERT OR REPLACE INTO message_search (rowid, words) SELECT value ->> 0, value ->> 1 FROM json_each($1)",
        "INSERT INTO message_search (place, words)
         SELECT CAST(CAST(value AS JSON) ->> 0 AS BIGINT),
                array_to_tsvector(string_to_array(CAST(value AS JSON) ->> 1, ' '))
         FROM json_each(CAST($1 AS TEXT)) ON CONFLICT (place) DO UPDATE SET words = excluded.words",
    );
    tx.run(sql, &[&entries])?;
    Ok(())
}

/// Makes search forget messages, which are still there.
pub(super) fn forget(tx: &mut Tx<'_>, keys: &str) -> Result<()> {
    let places =
        tx.all(concat!("SELECT conversation_key, number FROM message WHERE key IN ", list!("$1")), &[&keys], |row| {
            Place::new(row.get(0)?, row.get(1)?)
        })?;
    let places: HashSet<Place> = places.into_iter().collect();
    tx.to_index.retain(|place, _| !places.contains(place));
    let sql = tx.split(
        concat!("DELETE FROM message_search WHERE rowid IN ", list!("$1")),
        concat!("DELETE FROM message_search WHERE place IN ", list!("$1")),
    );
    tx.run(sql, &[&super::list(places.iter().map(|place| place.0))])?;
    Ok(())
}

/// Makes search forget conversations, whose messages are still there.
pub(super) fn forget_conversations(tx: &mut Tx<'_>, conversations: &[ConversationKey]) -> Result<()> {
    tx.to_index.retain(|place, _| conversations.iter().all(|key| key.0 != place.0 >> 32));
    let sql = tx.split(
        concat!(
            "DELETE FROM message_search WHERE rowid IN (
                 SELECT (conversation_key << 32) + number FROM message WHERE conversation_key IN ",
            list!("$1"),
            ")"
        ),
        concat!(
            "DELETE FROM message_search WHERE place IN (
                 SELECT (conversation_key << 32) + number FROM message WHERE conversation_key IN ",
            list!("$1"),
            ")"
        ),
    );
    tx.run(sql, &[&super::list(conversations.iter().map(|key| key.0))])?;
    Ok(())
}

/// What the engine is asked for
#[derive(Clone, Debug)]
pub struct Query {
    terms: Terms,
    sender: Option<UserKey>,
}

impl Query {
    /// Messages with all these words, from one sender where there is one
    pub fn new(terms: Terms, sender: Option<UserKey>) -> Self {
        Self { terms, sender }
    }

    /// FTS5's language. Each word is quoted, and holds nothing but letters, digits and marks.
    fn fts5(&self) -> String {
        self.text(" AND ", "\"", " *")
    }

    /// The language of `tsquery`
    fn tsquery(&self) -> String {
        self.text(" & ", "'", ":*")
    }

    fn text(&self, and: &str, quote: &str, prefix: &str) -> String {
        let sender = self.sender.map(|sender| format!("{quote}{}{quote}", sender_word(sender)));
        let terms = self.terms.iter().map(|term| {
            let suffix = if term.is_prefix { prefix } else { "" };
            format!("{quote}{}{quote}{suffix}", term.folded)
        });
        terms.chain(sender).collect::<Vec<_>>().join(and)
    }
}

/// What a search finds from one place up to another, the highest places first
pub fn hits(tx: &mut Tx<'_>, query: &Query, from: Place, below: Place, limit: i64) -> Result<Vec<Hit>> {
    let sql = tx.split(
        "SELECT message.key, message.conversation_key, hit.place, message.sent_at
         FROM (SELECT rowid AS place FROM message_search
               WHERE message_search MATCH $1 AND rowid >= $2 AND rowid < $3 ORDER BY rowid DESC LIMIT $4) AS hit
         CROSS JOIN message
         WHERE message.conversation_key = hit.place >> 32 AND message.number = hit.place & 4294967295",
        "SELECT message.key, message.conversation_key, hit.place, message.sent_at
         FROM (SELECT place FROM message_search
               WHERE words @@ CAST(CAST($1 AS TEXT) AS TSQUERY) AND place >= $2 AND place < $3
               ORDER BY place DESC LIMIT $4) AS hit
         JOIN message ON message.conversation_key = (hit.place >> 32) AND message.number = (hit.place & 4294967295)
         ORDER BY hit.place DESC",
    );
    let text = tx.split::<fn(&Query) -> String>(Query::fts5, Query::tsquery)(query);
    tx.all(sql, &[&text, &from, &below, &limit], |row| {
        Ok(Hit { key: row.get(0)?, conversation: row.get(1)?, place: row.get(2)?, sent_at: row.get(3)? })
    })
}

/// A user's conversations, or all, the most active first, each with the time of its newest message
pub fn conversations_of(tx: &mut Tx<'_>, user: Option<UserKey>) -> Result<Vec<(ConversationKey, Timestamp)>> {
    let Some(user) = user else {
        return tx.all(
            "SELECT key, active_at FROM conversation ORDER BY active_at DESC, key DESC
             /* scans: an operator's search for a frequent word orders all conversations */",
            &[],
            |row| Ok((row.get(0)?, row.get(1)?)),
        );
    };
    tx.all(
        "SELECT conversation.key, conversation.active_at
         FROM participant JOIN conversation ON conversation.key = participant.conversation_key
         WHERE participant.user_key = $1 ORDER BY conversation.active_at DESC, conversation.key DESC",
        &[&user],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Indexes the next messages that were there before search was; returns the key of the last one, none at the end.
pub(super) fn index_older(tx: &mut Tx<'_>, after: MessageKey, limit: i64) -> Result<Option<MessageKey>> {
    let found = tx.all(
        "SELECT key, conversation_key, number, sender_key, content FROM message WHERE key > $1 ORDER BY key LIMIT $2",
        &[&after, &limit],
        |row| {
            Ok((
                row.get(0)?,
                Place::new(row.get(1)?, row.get(2)?)?,
                row.get::<Option<UserKey>>(3)?,
                row.get::<String>(4)?,
            ))
        },
    )?;
    let last = found.last().map(|(key, ..)| *key);
    for (_, place, sender, content) in found {
        if let Some(sender) = sender {
            index_words(tx, place, sender, &content);
        }
    }
    Ok(last)
}
