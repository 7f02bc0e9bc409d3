//! Who takes part in conversations.

use std::collections::HashSet;

use crate::error::Result;
use crate::model::{ConversationKey, Level, Seek, UserKey, UserRef};
use crate::store::users::{person, read_person};
use crate::store::{Tx, list};

/// Adds people to a conversation; returns those who were not in it.
pub fn add(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    users: impl IntoIterator<Item = UserKey>,
) -> Result<Vec<UserKey>> {
    tx.all(
        concat!(
            "INSERT INTO participant (conversation_key, user_key) SELECT CAST($1 AS BIGINT), key FROM account WHERE key IN ",
            list!("$2"),
            " ON CONFLICT DO NOTHING RETURNING user_key"
        ),
        &[&conversation, &list(users.into_iter().map(|key| key.0))],
        |row| row.get(0),
    )
}

/// Takes people out of a conversation, with their notifications of it; returns those who were in it.
pub fn remove(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    users: impl IntoIterator<Item = UserKey>,
) -> Result<Vec<UserKey>> {
    let users = list(users.into_iter().map(|key| key.0));
    tx.run(
        concat!(
            "DELETE FROM notification WHERE conversation_key = $1 AND is_read IN (FALSE, TRUE) AND user_key IN ",
            list!("$2")
        ),
        &[&conversation, &users],
    )?;
    tx.all(
        concat!(
            "DELETE FROM participant WHERE conversation_key = $1 AND user_key IN ",
            list!("$2"),
            " RETURNING user_key"
        ),
        &[&conversation, &users],
        |row| row.get(0),
    )
}

/// Which messages notify a participant; none where the user is not one.
pub fn level(tx: &mut Tx<'_>, conversation: ConversationKey, user: UserKey) -> Result<Option<Level>> {
    tx.one(
        "SELECT level FROM participant WHERE conversation_key = $1 AND user_key = $2",
        &[&conversation, &user],
        |row| row.get(0),
    )
}

/// Changes which messages notify a participant; says whether it did: the user takes part, and the level was another.
pub fn set_level(tx: &mut Tx<'_>, conversation: ConversationKey, user: UserKey, level: Level) -> Result<bool> {
    let sql = "UPDATE participant SET level = $1 WHERE conversation_key = $2 AND user_key = $3 AND level <> $1";
    Ok(tx.run(sql, &[&level, &conversation, &user])? == 1)
}

/// Whether anybody takes part in the conversation
pub fn has_participants(tx: &mut Tx<'_>, conversation: ConversationKey) -> Result<bool> {
    tx.only("SELECT EXISTS (SELECT 1 FROM participant WHERE conversation_key = $1)", &[&conversation], |row| row.get(0))
}

/// The first `limit` participants of each of these conversations, oldest account first
pub fn participants(
    tx: &mut Tx<'_>,
    conversations: &[ConversationKey],
    limit: i64,
) -> Result<Vec<(ConversationKey, UserRef)>> {
    tx.all(
        concat!(
            "SELECT participant.conversation_key, ",
            person!(),
            // CROSS JOIN keeps SQLite from looking up the bound once for each participant instead of each conversation.
            " FROM (SELECT CAST(value AS BIGINT) AS key FROM json_each(CAST($1 AS TEXT))) AS wanted
             CROSS JOIN participant JOIN account ON account.key = participant.user_key
             WHERE participant.conversation_key = wanted.key AND participant.user_key <= coalesce(
                 (SELECT last.user_key FROM participant AS last WHERE last.conversation_key = wanted.key
                  ORDER BY last.user_key LIMIT 1 OFFSET $2), 9223372036854775807)
             ORDER BY participant.conversation_key, participant.user_key"
        ),
        &[&list(conversations.iter().map(|key| key.0)), &(limit - 1)],
        |row| Ok((row.get(0)?, read_person(row, 1)?)),
    )
}

macro_rules! page {
    ($compare:literal, $order:literal) => {
        concat!(
            "SELECT ",
            person!(),
            ", participant.level FROM participant JOIN account ON account.key = participant.user_key
             WHERE participant.conversation_key = $1 AND participant.user_key ",
            $compare,
            " $2 ORDER BY participant.user_key ",
            $order,
            " LIMIT $3"
        )
    };
}

/// The participants of a conversation after or before one, oldest account first, and which messages notify each
pub fn participants_from(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    seek: &Seek<UserKey>,
    limit: i64,
) -> Result<Vec<(UserRef, Level)>> {
    let (sql, position) = match seek {
        Seek::After(user) => (page!(">", "ASC"), user),
        Seek::Before(user) => (page!("<", "DESC"), user),
    };
    tx.all(sql, &[&conversation, position, &limit], |row| Ok((read_person(row, 0)?, row.get(5)?)))
}

/// How many participants a conversation has
pub fn count_participants(tx: &mut Tx<'_>, conversation: ConversationKey) -> Result<i64> {
    tx.only("SELECT count(*) FROM participant WHERE conversation_key = $1", &[&conversation], |row| row.get(0))
}

/// The conversations that a user takes part in, the most active first
pub fn all_of(tx: &mut Tx<'_>, user: UserKey) -> Result<Vec<ConversationKey>> {
    tx.all(
        "SELECT conversation.key FROM participant JOIN conversation ON conversation.key = participant.conversation_key
         WHERE participant.user_key = $1 ORDER BY conversation.active_at DESC, conversation.key DESC",
        &[&user],
        |row| row.get(0),
    )
}

/// Those of these conversations that a user takes part in
pub fn those_of(
    tx: &mut Tx<'_>,
    user: UserKey,
    conversations: impl IntoIterator<Item = ConversationKey>,
) -> Result<HashSet<ConversationKey>> {
    let found = tx.all(
        concat!("SELECT conversation_key FROM participant WHERE user_key = $1 AND conversation_key IN ", list!("$2")),
        &[&user, &list(conversations.into_iter().map(|key| key.0))],
        |row| row.get(0),
    )?;
    Ok(found.into_iter().collect())
}

/// Takes a user out of every conversation; returns how many there were.
pub fn remove_everywhere(tx: &mut Tx<'_>, user: UserKey) -> Result<i64> {
    tx.run("DELETE FROM participant WHERE user_key = $1", &[&user])
}
