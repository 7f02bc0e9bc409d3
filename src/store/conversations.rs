//! Conversations and who takes part in them.

mod participants;

pub use participants::{
    add, all_of, count_participants, has_participants, level, participants, participants_from, remove,
    remove_everywhere, set_level, those_of,
};

use super::tx::Locking;
use super::{Misfolded, Row, Tx};
use crate::error::{Error, Result};
use crate::model::{
    Conversation, ConversationId, ConversationKey, Kind, Level, Number, Seek, Timestamp, UserKey, fold_case,
};

macro_rules! columns {
    () => {
        "conversation.key, conversation.id, conversation.kind, conversation.name, conversation.title,
         conversation.creator_key, conversation.lower_user_key, conversation.higher_user_key,
         conversation.created_at, conversation.active_at, conversation.message_count, conversation.last_number,
         conversation.last_sent_at"
    };
}
pub(super) use columns;

pub(super) fn read(row: &Row<'_>) -> Result<Conversation> {
    Ok(Conversation {
        key: row.get(0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        name: row.get(3)?,
        title: row.get(4)?,
        creator_key: row.get(5)?,
        pair: row.get::<Option<_>>(6)?.zip(row.get(7)?),
        created_at: row.get(8)?,
        active_at: row.get(9)?,
        message_count: row.get(10)?,
        last_number: row.get(11)?,
        last_sent_at: row.get(12)?,
    })
}

/// What a search of conversations looks through
pub(super) fn kept_names(kind: Kind, name: Option<&str>, title: Option<&str>) -> String {
    match kind {
        Kind::Direct => String::new(),
        Kind::Group => names_folded(name, title),
    }
}

fn names_folded(name: Option<&str>, title: Option<&str>) -> String {
    fold_case(&[name.unwrap_or_default(), title.unwrap_or_default()].join("\n"))
}

/// Adds a group; none where its name is taken.
pub fn insert_group(
    tx: &mut Tx<'_>,
    id: ConversationId,
    creator: Option<UserKey>,
    name: Option<&str>,
    title: Option<&str>,
) -> Result<Option<Conversation>> {
    tx.one(
        concat!(
            "INSERT INTO conversation (id, kind, name, name_folded, title, names_folded, creator_key, created_at, active_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT DO NOTHING RETURNING ",
            columns!()
        ),
        &[&id, &Kind::Group, &name, &name.map(fold_case), &title, &names_folded(name, title), &creator, &tx.now()],
        read,
    )
}

/// Inserts the direct conversation of two users, the lower key first; none if they have one.
pub fn insert_direct(
    tx: &mut Tx<'_>,
    id: ConversationId,
    creator: Option<UserKey>,
    pair: (UserKey, UserKey),
) -> Result<Option<Conversation>> {
    tx.one(
        concat!(
            "INSERT INTO conversation
                 (id, kind, names_folded, creator_key, lower_user_key, higher_user_key, created_at, active_at)
             VALUES ($1, $2, '', $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING RETURNING ",
            columns!()
        ),
        &[&id, &Kind::Direct, &creator, &pair.0, &pair.1, &tx.now()],
        read,
    )
}

/// The conversation with that id
pub fn by_id(tx: &mut Tx<'_>, id: ConversationId) -> Result<Option<Conversation>> {
    tx.one(concat!("SELECT ", columns!(), " FROM conversation WHERE id = $1"), &[&id], read)
}

/// The conversations with these keys, in any order; one that is gone is left out.
pub fn by_keys(tx: &mut Tx<'_>, keys: impl IntoIterator<Item = ConversationKey>) -> Result<Vec<Conversation>> {
    tx.all(
        concat!("SELECT ", columns!(), " FROM conversation WHERE key IN ", list!("$1")),
        &[&super::list(keys.into_iter().map(|key| key.0))],
        read,
    )
}

/// The conversations with these ids, in any order; one that is gone is left out.
pub fn with_ids(tx: &mut Tx<'_>, ids: impl IntoIterator<Item = ConversationId>) -> Result<Vec<Conversation>> {
    let ids = super::ids(tx, ids.into_iter().map(|id| id.0));
    tx.all(by_ids!(tx, concat!("SELECT ", columns!(), " FROM conversation"), "id"), &[&ids], read)
}

/// The conversation with that id, and whether a user is a participant: one statement for the most frequent question
pub fn by_id_for(tx: &mut Tx<'_>, id: ConversationId, user: UserKey) -> Result<Option<(Conversation, bool)>> {
    tx.one(
        concat!(
            "SELECT ",
            columns!(),
            ", participant.user_key IS NOT NULL
             FROM conversation LEFT JOIN participant
                 ON participant.conversation_key = conversation.key AND participant.user_key = $1
             WHERE conversation.id = $2"
        ),
        &[&user, &id],
        |row| Ok((read(row)?, row.get(13)?)),
    )
}

/// The group with that name, whatever its case
pub fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Conversation>> {
    tx.one(concat!("SELECT ", columns!(), " FROM conversation WHERE name_folded = $1"), &[&fold_case(name)], read)
}

/// The direct conversation of two people, the lower key first
pub fn by_pair(tx: &mut Tx<'_>, pair: (UserKey, UserKey)) -> Result<Option<Conversation>> {
    tx.one(
        concat!("SELECT ", columns!(), " FROM conversation WHERE lower_user_key = $1 AND higher_user_key = $2"),
        &[&pair.0, &pair.1],
        read,
    )
}

macro_rules! of_user {
    ($select:expr, $where:expr, $tail:expr) => {
        concat!(
            "SELECT ",
            $select,
            " FROM participant JOIN conversation ON conversation.key = participant.conversation_key
             WHERE participant.user_key = $1
               AND (CAST($2 AS TEXT) IS NULL OR instr(conversation.names_folded, $2) > 0
                    OR (conversation.kind = 0 AND EXISTS (
                        SELECT 1 FROM participant AS companion JOIN account ON account.key = companion.user_key
                        WHERE companion.conversation_key = conversation.key AND companion.user_key <> $1
                          AND instr(account.names_folded, $2) > 0)))",
            $where,
            $tail
        )
    };
}

macro_rules! page_of {
    ($compare:literal, $order:literal) => {
        of_user!(
            columns!(),
            concat!(" AND (conversation.active_at, conversation.key) ", $compare, " ($3, $4)"),
            concat!(" ORDER BY conversation.active_at ", $order, ", conversation.key ", $order, " LIMIT $5")
        )
    };
}

/// A user's conversations after or before a position, latest activity first, as far as their name, title or, in a
/// direct one, the other person's names contain `search`
pub fn page_of(
    tx: &mut Tx<'_>,
    user: UserKey,
    seek: &Seek<(Timestamp, ConversationKey)>,
    search: Option<&str>,
    limit: i64,
) -> Result<Vec<Conversation>> {
    let (sql, position) = match seek {
        Seek::After(position) => (page_of!("<", "DESC"), position),
        Seek::Before(position) => (page_of!(">", "ASC"), position),
    };
    tx.all(sql, &[&user, &search.map(fold_case), &position.0, &position.1, &limit], read)
}

/// How many conversations there are in that list, up to 10,000
pub fn count_of(tx: &mut Tx<'_>, user: UserKey, search: Option<&str>) -> Result<i64> {
    tx.only(
        concat!("SELECT count(*) FROM (", of_user!("1", "", " LIMIT 10000"), ") AS matching"),
        &[&user, &search.map(fold_case)],
        |row| row.get(0),
    )
}

/// How many messages there are in a user's conversations
pub fn count_messages_of(tx: &mut Tx<'_>, user: UserKey) -> Result<i64> {
    tx.only(
        "SELECT CAST(coalesce(sum(conversation.message_count), 0) AS BIGINT)
         FROM participant JOIN conversation ON conversation.key = participant.conversation_key
         WHERE participant.user_key = $1",
        &[&user],
        |row| row.get(0),
    )
}

/// A user's conversations created before one, newest first, with their level in each
pub fn newest_of(
    tx: &mut Tx<'_>,
    user: UserKey,
    before: ConversationKey,
    limit: i64,
) -> Result<Vec<(Conversation, Level)>> {
    tx.all(
        concat!(
            "SELECT ",
            columns!(),
            ", participant.level
             FROM participant JOIN conversation ON conversation.key = participant.conversation_key
             WHERE participant.user_key = $1 AND participant.conversation_key < $2
             ORDER BY participant.conversation_key DESC LIMIT $3"
        ),
        &[&user, &before, &limit],
        |row| Ok((read(row)?, row.get(13)?)),
    )
}

/// Everybody's conversations made before one, newest first, searched as `page_of`
pub fn page(tx: &mut Tx<'_>, before: ConversationKey, search: Option<&str>, limit: i64) -> Result<Vec<Conversation>> {
    tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM conversation
             /* scans: a search of the operator's, for which PostgreSQL reads all names once */
             WHERE key < $1
               AND (CAST($2 AS TEXT) IS NULL OR instr(names_folded, $2) > 0
                    OR (kind = 0 AND EXISTS (
                        SELECT 1 FROM participant JOIN account ON account.key = participant.user_key
                        WHERE participant.conversation_key = conversation.key
                          AND instr(account.names_folded, $2) > 0)))
             ORDER BY key DESC LIMIT $3"
        ),
        &[&before, &search.map(fold_case), &limit],
        read,
    )
}

macro_rules! everywhere {
    ($compare:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM conversation WHERE key ",
            $compare,
            " $1 ORDER BY key ",
            $order,
            " LIMIT $2"
        )
    };
}

macro_rules! found_everywhere {
    ($compare:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            // The names of those that are looked at, and everything of those that are found
            " FROM (SELECT key AS place, names_folded AS names FROM conversation WHERE key ",
            $compare,
            " $1 ORDER BY key ",
            $order,
            " LIMIT $2) AS looked_at CROSS JOIN conversation
             WHERE instr(looked_at.names, $3) > 0 AND conversation.key = looked_at.place
             ORDER BY conversation.key ",
            $order,
            " LIMIT $4"
        )
    };
}

/// Everybody's conversations after or before one, newest first; of a search those among the next `looked_at` whose name or title
/// holds it.
pub fn page_everywhere(
    tx: &mut Tx<'_>,
    seek: &Seek<ConversationKey>,
    search: Option<&str>,
    (looked_at, limit): (i64, i64),
) -> Result<Vec<Conversation>> {
    let (is_after, position) = match seek {
        Seek::After(position) => (true, position),
        Seek::Before(position) => (false, position),
    };
    let Some(search) = search.map(fold_case) else {
        let sql = if is_after { everywhere!("<", "DESC") } else { everywhere!(">", "ASC") };
        return tx.all(sql, &[position, &limit], read);
    };
    let sql = if is_after { found_everywhere!("<", "DESC") } else { found_everywhere!(">", "ASC") };
    tx.all(sql, &[position, &looked_at, &search, &limit], read)
}

/// The conversation so many below a position, where there are more behind it
pub fn nth_below(tx: &mut Tx<'_>, from: ConversationKey, count: i64) -> Result<Option<ConversationKey>> {
    let found = tx.all(
        "SELECT key FROM conversation WHERE key < $1 ORDER BY key DESC LIMIT 2 OFFSET $2",
        &[&from, &(count - 1)],
        |row| row.get::<ConversationKey>(0),
    )?;
    Ok(found.first().copied().filter(|_| found.len() > 1))
}

/// Groups whose names begin with a text, ignoring case, by name
pub fn beginning_with(tx: &mut Tx<'_>, prefix: &str, limit: i64) -> Result<Vec<Conversation>> {
    let (from, below) = super::beginning_with(prefix);
    tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM conversation WHERE name_folded >= $1 AND name_folded < $2 ORDER BY name_folded LIMIT $3"
        ),
        &[&from, &below, &limit],
        read,
    )
}

/// A user's groups, as [`beginning_with`]
pub fn beginning_with_of(tx: &mut Tx<'_>, user: UserKey, prefix: &str, limit: i64) -> Result<Vec<Conversation>> {
    let (from, below) = super::beginning_with(prefix);
    tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM participant JOIN conversation ON conversation.key = participant.conversation_key
             WHERE participant.user_key = $1 AND conversation.name_folded >= $2 AND conversation.name_folded < $3
             ORDER BY conversation.name_folded LIMIT $4"
        ),
        &[&user, &from, &below, &limit],
        read,
    )
}

/// Replaces a group's name and title.
pub fn rename(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    name: Option<&str>,
    title: Option<&str>,
) -> Result<Conversation> {
    tx.only(
        concat!(
            "UPDATE conversation SET name = $1, name_folded = $2, title = $3, names_folded = $4 WHERE key = $5 RETURNING ",
            columns!()
        ),
        &[&name, &name.map(fold_case), &title, &names_folded(name, title), &conversation],
        read,
    )
}

/// Locks a conversation and its participants until the end of the transaction; none if it was deleted meanwhile. What a
/// rule reads after this is still true at the commit.
pub fn lock(tx: &mut Tx<'_>, conversation: ConversationKey) -> Result<Option<Conversation>> {
    const LOCKING: Locking = locking!("SELECT ", columns!(), " FROM conversation WHERE key = $1");
    tx.lock_one(&LOCKING, &[&conversation], read)
}

/// Locks, as [`lock`] does, every conversation a user takes part in, sent a message to or received one in.
pub fn lock_all_of(tx: &mut Tx<'_>, user: UserKey) -> Result<Vec<ConversationKey>> {
    const LOCKING: Locking = locking!(
        "SELECT key FROM conversation WHERE key IN (
             SELECT conversation_key FROM participant WHERE user_key = $1
             UNION SELECT conversation_key FROM message WHERE sender_key = $1
             UNION SELECT conversation_key FROM message WHERE receiver_key = $1)"
    );
    tx.lock(&LOCKING, &[&user], |row| row.get(0))
}

/// A place in line for a message to a conversation.
pub struct Turn {
    pub number: Number,
    /// When the message before it was sent
    pub last_sent_at: Option<Timestamp>,
}

/// Takes the next message number of a conversation, for `messages::insert`; none if it was deleted meanwhile. Nobody
/// else can send to it until the end of the transaction, whose time is taken after the lock.
///
/// SQLite has its lock from the beginning, so what was read of the conversation is still true.
///
/// # Errors
/// `Conflict` if the highest number was given out: a dump with a higher one could not be read everywhere.
pub fn take_number(tx: &mut Tx<'_>, conversation: &Conversation) -> Result<Option<Turn>> {
    let last = if tx.split(true, false) {
        Some((conversation.last_number, conversation.last_sent_at))
    } else {
        lock(tx, conversation.key)?.map(|locked| (locked.last_number, locked.last_sent_at))
    };
    match last {
        Some((number, _)) if number.0 >= Number::HIGHEST => {
            Err(Error::conflict("The conversation has no more message numbers; create another."))
        }
        last => Ok(last.map(|(number, last_sent_at)| Turn { number: Number(number.0 + 1), last_sent_at })),
    }
}

/// The state of a conversation for one viewer.
pub struct ViewerState {
    pub conversation: ConversationKey,
    pub participant_count: i64,
    /// None for a viewer who does not take part
    pub level: Option<Level>,
    /// Up to 1,000
    pub unread_count: i64,
}

/// The states of these conversations for one viewer
pub fn viewer_states(
    tx: &mut Tx<'_>,
    viewer: Option<UserKey>,
    conversations: &[ConversationKey],
) -> Result<Vec<ViewerState>> {
    tx.all(
        concat!(
            "SELECT conversation.key,
                 (SELECT count(*) FROM participant WHERE participant.conversation_key = conversation.key),
                 (SELECT level FROM participant
                  WHERE participant.conversation_key = conversation.key AND participant.user_key = $1),
                 (SELECT count(*) FROM (
                     SELECT 1 FROM notification
                     WHERE notification.user_key = $1 AND notification.conversation_key = conversation.key
                       AND notification.is_read = FALSE
                     LIMIT 1000) AS unread)
             FROM conversation WHERE conversation.key IN ",
            list!("$2")
        ),
        &[&viewer, &super::list(conversations.iter().map(|key| key.0))],
        |row| {
            Ok(ViewerState {
                conversation: row.get(0)?,
                participant_count: row.get(1)?,
                level: row.get(2)?,
                unread_count: row.get(3)?,
            })
        },
    )
}

/// The conversations to delete with a user's account: the direct ones, then the groups without others.
pub fn ending_with(tx: &mut Tx<'_>, user: UserKey) -> Result<(Vec<ConversationKey>, Vec<ConversationKey>)> {
    let direct = tx.all(
        "SELECT key FROM conversation WHERE lower_user_key = $1
         UNION ALL SELECT key FROM conversation WHERE higher_user_key = $1",
        &[&user],
        |row| row.get(0),
    )?;
    let groups = tx.all(
        "SELECT conversation.key FROM participant JOIN conversation ON conversation.key = participant.conversation_key
         WHERE participant.user_key = $1 AND conversation.kind = 1 AND NOT EXISTS (
             SELECT 1 FROM participant AS companion
             WHERE companion.conversation_key = conversation.key AND companion.user_key <> $1)",
        &[&user],
        |row| row.get(0),
    )?;
    Ok((direct, groups))
}

/// The numbers of conversations and of their messages
pub fn count(tx: &mut Tx<'_>) -> Result<(i64, i64)> {
    tx.only(
        "SELECT count(*), CAST(coalesce(sum(message_count), 0) AS BIGINT) FROM conversation
         /* scans: counts every conversation, for the operator's status */",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The conversations after a key whose folded columns are wrong.
pub(super) fn misfolded(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Misfolded> {
    let mut last = None;
    let found = tx.all(
        "SELECT key, id, kind, name, title, name_folded, names_folded FROM conversation
         WHERE key > $1 ORDER BY key LIMIT $2",
        &[&after, &limit],
        |row| {
            last = Some(row.get(0)?);
            let (kind, name, title): (Kind, Option<String>, Option<String>) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let names = kept_names(kind, name.as_deref(), title.as_deref());
            let is_folded =
                row.get::<Option<String>>(5)? == name.as_deref().map(fold_case) && row.get::<String>(6)? == names;
            Ok((row.get(1)?, is_folded))
        },
    )?;
    Ok((found.into_iter().filter(|(_, is_folded)| !is_folded).map(|(id, _)| id).collect(), last))
}

/// Removes conversations that have no messages left.
pub fn delete(tx: &mut Tx<'_>, conversations: &[ConversationKey]) -> Result<()> {
    let keys = super::list(conversations.iter().map(|key| key.0));
    super::idempotency::blank_conversations(tx, &keys)?;
    tx.run(concat!("DELETE FROM participant WHERE conversation_key IN ", list!("$1")), &[&keys])?;
    tx.run(concat!("DELETE FROM conversation WHERE key IN ", list!("$1")), &[&keys])?;
    Ok(())
}
