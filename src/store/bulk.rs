//! Rows by the thousand: what is there already is found, and what is not is added, with one statement for all of a kind.

use uuid::Uuid;

use super::tx::{Addition, Row, Tx};
use super::{conversations, list, search, users};
use crate::error::{Error, Result};
use crate::model::{
    Actor, Conversation, ConversationId, ConversationKey, Event, Level, MessageId, MessageKey, NotificationKind,
    Number, Timestamp, User, UserId, UserKey, UserRef, fold_case,
};

/// Many texts as one parameter, read by `texts!` in the statement.
fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    serde_json::Value::from_iter(texts.into_iter().map(|text| text.as_ref().to_owned())).to_string()
}

macro_rules! texts {
    ($parameter:literal) => {
        concat!("(SELECT value FROM json_each(CAST(", $parameter, " AS TEXT)))")
    };
}

/// Many ids as one parameter: SQLite keeps them as bytes.
fn ids(tx: &Tx<'_>, ids: impl IntoIterator<Item = Uuid>) -> String {
    let text = tx.split::<fn(Uuid) -> String>(|id| id.simple().to_string(), |id| id.to_string());
    texts(ids.into_iter().map(text))
}

/// A statement that finds rows by their ids, on either engine
macro_rules! by_ids {
    ($tx:ident, $select:expr, $column:literal) => {
        $tx.split(
            concat!($select, " WHERE ", $column, " IN (SELECT unhex(value) FROM json_each($1))"),
            concat!($select, " WHERE ", $column, " IN (SELECT CAST(value AS UUID) FROM json_each(CAST($1 AS TEXT)))"),
        )
    };
}

/// Many rows of numbers as one parameter
fn tuples<const COLUMNS: usize>(rows: impl IntoIterator<Item = [i64; COLUMNS]>) -> Result<String> {
    serde_json::to_string(&Vec::from_iter(rows.into_iter().map(Vec::from))).map_err(Error::internal)
}

/// A number of such a row, as each engine reads it from `json_each`
macro_rules! sqlite {
    ($index:literal) => {
        concat!("(value ->> ", $index, ")")
    };
}
macro_rules! postgres {
    ($index:literal) => {
        concat!("CAST(CAST(value AS JSON) ->> ", $index, " AS BIGINT)")
    };
}

/// A statement that finds rows by pairs of numbers, on either engine
macro_rules! by_pairs {
    ($tx:ident, $select:expr, $one:literal, $other:literal) => {
        $tx.split(by_pairs!($select, $one, $other, sqlite), by_pairs!($select, $one, $other, postgres))
    };
    ($select:expr, $one:literal, $other:literal, $number:ident) => {
        concat!(
            $select,
            " JOIN (SELECT ",
            $number!(0),
            " AS one, ",
            $number!(1),
            " AS other
                 FROM json_each(CAST($1 AS TEXT))) AS wanted ON ",
            $one,
            " = wanted.one AND ",
            $other,
            " = wanted.other"
        )
    };
}

/// Takes keys for new rows of a table, in order.
macro_rules! take_keys {
    ($name:ident, $key:ident, $table:literal) => {
        /// Takes keys for as many new rows, in order; whoever else adds rows meanwhile gets others.
        pub fn $name(tx: &mut Tx<'_>, count: usize) -> Result<Vec<$key>> {
            let sql = tx.split(
                concat!(
                    "WITH RECURSIVE next (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM next WHERE place < $1)
                     SELECT coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = '",
                    $table,
                    "'), 0) + place FROM next /* scans: one row for each table */"
                ),
                concat!("SELECT nextval(pg_get_serial_sequence('", $table, "', 'key')) FROM generate_series(1, CAST($1 AS BIGINT))"),
            );
            if count == 0 {
                return Ok(Vec::new());
            }
            let count = i64::try_from(count).map_err(Error::internal)?;
            tx.all(sql, &[&count], |row| row.get(0))
        }
    };
}

take_keys!(take_user_keys, UserKey, "account");
take_keys!(take_conversation_keys, ConversationKey, "conversation");
take_keys!(take_message_keys, MessageKey, "message");

/// A user with what only the account knows.
#[derive(Clone, Debug)]
pub struct Account {
    pub user: User,
    pub password_hash: Option<String>,
}

macro_rules! account {
    () => {
        concat!("SELECT ", users::columns!(), ", account.password_hash FROM account")
    };
}

fn read_account(row: &Row<'_>) -> Result<Account> {
    Ok(Account { user: users::read(row)?, password_hash: row.get(9)? })
}

/// The accounts with these ids, or with these folded usernames or emails
pub fn accounts(
    tx: &mut Tx<'_>,
    user_ids: impl IntoIterator<Item = UserId>,
    names: &[String],
    emails: &[String],
) -> Result<Vec<Account>> {
    let wanted = ids(tx, user_ids.into_iter().map(|id| id.0));
    let mut found = if wanted == "[]" {
        Vec::new()
    } else {
        tx.all(by_ids!(tx, account!(), "account.id"), &[&wanted], read_account)?
    };
    if !names.is_empty() {
        let named = concat!(account!(), " WHERE account.username_folded IN ", texts!("$1"));
        found.extend(tx.all(named, &[&texts(names)], read_account)?);
    }
    if !emails.is_empty() {
        let written_to = concat!(account!(), " WHERE account.email_folded IN ", texts!("$1"));
        found.extend(tx.all(written_to, &[&texts(emails)], read_account)?);
    }
    Ok(found)
}

/// Adds accounts whose usernames and emails are free.
pub fn add_accounts(tx: &mut Tx<'_>, accounts: &[Account]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "account",
        "key, id, username, username_folded, email, email_folded, first_name, last_name, names_folded, role, is_active,
         password_hash, created_at",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13"
    );
    struct Folded<'a> {
        account: &'a Account,
        username: String,
        email: Option<String>,
        names: String,
    }
    let folded: Vec<Folded<'_>> = accounts
        .iter()
        .map(|account| {
            let person = &account.user.person;
            Folded {
                account,
                username: fold_case(&person.username),
                email: account.user.email.as_deref().map(fold_case),
                names: users::fold_names(&person.username, &person.first_name, &person.last_name),
            }
        })
        .collect();
    tx.add(&ADDITION, &folded, |Folded { account, username, email, names }| {
        let User { person, email: address, role, is_active, created_at } = &account.user;
        [
            &person.key,
            &person.user_id,
            &person.username,
            username,
            address,
            email,
            &person.first_name,
            &person.last_name,
            names,
            role,
            is_active,
            &account.password_hash,
            created_at,
        ]
    })
}

macro_rules! conversation {
    () => {
        concat!("SELECT ", conversations::columns!(), ", conversation.last_number FROM conversation")
    };
}

fn read_conversation(row: &Row<'_>) -> Result<(Conversation, Number)> {
    Ok((conversations::read(row)?, row.get(11)?))
}

/// The conversations with these ids or folded names, each with the highest number it ever gave out
pub fn conversations(
    tx: &mut Tx<'_>,
    conversation_ids: impl IntoIterator<Item = ConversationId>,
    names: &[String],
) -> Result<Vec<(Conversation, Number)>> {
    let wanted = ids(tx, conversation_ids.into_iter().map(|id| id.0));
    let mut found = if wanted == "[]" {
        Vec::new()
    } else {
        tx.all(by_ids!(tx, conversation!(), "conversation.id"), &[&wanted], read_conversation)?
    };
    if !names.is_empty() {
        let named = concat!(conversation!(), " WHERE conversation.name_folded IN ", texts!("$1"));
        found.extend(tx.all(named, &[&texts(names)], read_conversation)?);
    }
    Ok(found)
}

/// The direct conversations of these pairs, the lower key first
pub fn direct_conversations(tx: &mut Tx<'_>, pairs: &[(UserKey, UserKey)]) -> Result<Vec<(Conversation, Number)>> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let sql = by_pairs!(tx, conversation!(), "lower_user_key", "higher_user_key");
    tx.all(sql, &[&tuples(pairs.iter().map(|(lower, higher)| [lower.0, higher.0]))?], read_conversation)
}

/// Locks conversations, as `conversations::lock` does one; those that ended meanwhile are left out.
pub fn lock_conversations(tx: &mut Tx<'_>, keys: &[ConversationKey]) -> Result<Vec<(Conversation, Number)>> {
    tx.all(
        concat!(
            "UPDATE conversation SET active_at = active_at WHERE key IN ",
            list!("$1"),
            " RETURNING ",
            conversations::columns!(),
            ", conversation.last_number"
        ),
        &[&list(keys.iter().map(|key| key.0))],
        read_conversation,
    )
}

/// Who takes part in these conversations, with which level
pub fn participants(
    tx: &mut Tx<'_>,
    keys: impl IntoIterator<Item = ConversationKey>,
) -> Result<Vec<(ConversationKey, UserKey, Level)>> {
    tx.all(
        concat!("SELECT conversation_key, user_key, level FROM participant WHERE conversation_key IN ", list!("$1")),
        &[&list(keys.into_iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// A new conversation with who takes part in it.
#[derive(Clone, Debug)]
pub struct NewConversation {
    pub conversation: Conversation,
    pub last_number: Number,
    pub participants: Vec<(UserKey, Level)>,
}

/// Adds conversations whose names and pairs are free.
pub fn add_conversations(tx: &mut Tx<'_>, new: &[NewConversation]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "conversation",
        "key, id, kind, name, name_folded, title, names_folded, creator_key, lower_user_key, higher_user_key, created_at,
         active_at, last_number",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13"
    );
    const PARTICIPANTS: Addition = addition!("participant", "conversation_key, user_key, level", "$1, $2, $3");
    struct Folded<'a> {
        new: &'a NewConversation,
        name: Option<String>,
        names: String,
        pair: (Option<UserKey>, Option<UserKey>),
    }
    let folded: Vec<Folded<'_>> = new
        .iter()
        .map(|new| {
            let Conversation { kind, name, title, pair, .. } = &new.conversation;
            Folded {
                new,
                name: name.as_deref().map(fold_case),
                names: conversations::kept_names(*kind, name.as_deref(), title.as_deref()),
                pair: (pair.map(|pair| pair.0), pair.map(|pair| pair.1)),
            }
        })
        .collect();
    tx.add(&ADDITION, &folded, |Folded { new, name: folded, names, pair: (lower, higher) }| {
        let Conversation { key, id, kind, name, title, creator_key, created_at, active_at, .. } = &new.conversation;
        [key, id, kind, name, folded, title, names, creator_key, lower, higher, created_at, active_at, &new.last_number]
    })?;
    let participants: Vec<(ConversationKey, UserKey, Level)> = new
        .iter()
        .flat_map(|new| new.participants.iter().map(|(user, level)| (new.conversation.key, *user, *level)))
        .collect();
    tx.add(&PARTICIPANTS, &participants, |(conversation, user, level)| [conversation, user, level])
}

/// What changes of a conversation when messages are added to it.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    pub conversation: ConversationKey,
    pub last_number: Number,
    /// How many of the new messages are no tombstones
    pub messages: i64,
    pub created_at: Timestamp,
    pub active_at: Timestamp,
}

/// Lets conversations, which the transaction locked, know of new messages.
pub fn advance(tx: &mut Tx<'_>, advances: impl IntoIterator<Item = Advance>) -> Result<()> {
    macro_rules! sql {
        ($number:ident) => {
            concat!(
                "UPDATE conversation SET last_number = added.last_number, message_count = message_count + added.messages,
                     created_at = added.created_at, active_at = added.active_at
                 FROM (SELECT ",
                $number!(0), " AS key, ", $number!(1), " AS last_number, ", $number!(2), " AS messages, ",
                $number!(3), " AS created_at, ", $number!(4), " AS active_at
                 FROM json_each(CAST($1 AS TEXT))) AS added WHERE conversation.key = added.key"
            )
        };
    }
    let rows = advances
        .into_iter()
        .map(|to| [to.conversation.0, to.last_number.0, to.messages, to.created_at.0, to.active_at.0]);
    tx.run(tx.split(sql!(sqlite), sql!(postgres)), &[&tuples(rows)?])?;
    Ok(())
}

/// A message's row.
#[derive(Clone, Debug)]
pub struct MessageRow {
    pub key: MessageKey,
    pub id: MessageId,
    pub conversation: ConversationKey,
    pub number: Number,
    /// None: a tombstone
    pub sender: Option<UserKey>,
    pub receiver: Option<UserKey>,
    pub parent: Option<MessageKey>,
    pub content: String,
    pub sent_at: Timestamp,
    pub revision: i64,
    /// The `key` of the record it was loaded from
    pub key_name: Option<String>,
}

macro_rules! message {
    () => {
        "SELECT key, id, conversation_key, number, sender_key, receiver_key, parent_key, content, sent_at, revision, key_name
         FROM message"
    };
}

fn read_message(row: &Row<'_>) -> Result<MessageRow> {
    Ok(MessageRow {
        key: row.get(0)?,
        id: row.get(1)?,
        conversation: row.get(2)?,
        number: row.get(3)?,
        sender: row.get(4)?,
        receiver: row.get(5)?,
        parent: row.get(6)?,
        content: row.get(7)?,
        sent_at: row.get(8)?,
        revision: row.get(9)?,
        key_name: row.get(10)?,
    })
}

/// The messages with these ids or keys
pub fn messages(
    tx: &mut Tx<'_>,
    message_ids: impl IntoIterator<Item = MessageId>,
    keys: &[&str],
) -> Result<Vec<MessageRow>> {
    let wanted = ids(tx, message_ids.into_iter().map(|id| id.0));
    let mut found =
        if wanted == "[]" { Vec::new() } else { tx.all(by_ids!(tx, message!(), "id"), &[&wanted], read_message)? };
    if !keys.is_empty() {
        let named = concat!(message!(), " WHERE key_name IN ", texts!("$1"));
        found.extend(tx.all(named, &[&texts(keys)], read_message)?);
    }
    Ok(found)
}

/// Those of these numbers that a message of the conversation has
pub fn taken_numbers(tx: &mut Tx<'_>, wanted: &[(ConversationKey, Number)]) -> Result<Vec<(ConversationKey, Number)>> {
    let sql = by_pairs!(tx, "SELECT conversation_key, number FROM message", "conversation_key", "number");
    let wanted = tuples(wanted.iter().map(|(conversation, number)| [conversation.0, number.0]))?;
    tx.all(sql, &[&wanted], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Adds messages, and lets search know them; their conversations are to be told with [`advance`].
pub fn add_messages(tx: &mut Tx<'_>, messages: &[MessageRow]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "message",
        "key, id, conversation_key, number, sender_key, receiver_key, parent_key, content, sent_at, revision, key_name",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11"
    );
    tx.add(&ADDITION, messages, |message| {
        let MessageRow {
            key,
            id,
            conversation,
            number,
            sender,
            receiver,
            parent,
            content,
            sent_at,
            revision,
            key_name,
        } = message;
        [key, id, conversation, number, sender, receiver, parent, content, sent_at, revision, key_name]
    })?;
    for message in messages {
        if let Some(sender) = message.sender {
            search::index_words(tx, message.key, message.conversation, sender, &message.content);
        }
    }
    // Now, not at the end: one transaction may add more than memory holds.
    search::write_index(tx)
}

/// An earlier content of a message.
#[derive(Clone, Debug)]
pub struct RevisionRow {
    pub message: MessageKey,
    pub revision: i64,
    pub content: String,
    pub edited_at: Timestamp,
    /// None: the operator
    pub editor: Option<UserKey>,
    pub reason: Option<String>,
}

/// Adds revisions.
pub fn add_revisions(tx: &mut Tx<'_>, revisions: &[RevisionRow]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "revision",
        "message_key, revision, content, edited_at, editor_key, by_operator, reason",
        "$1, $2, $3, $4, $5, $6, $7"
    );
    tx.add(&ADDITION, revisions, |row| {
        let RevisionRow { message, revision, content, edited_at, editor, reason } = row;
        let by_operator: &bool = if editor.is_none() { &true } else { &false };
        [message, revision, content, edited_at, editor, by_operator, reason]
    })
}

/// The revisions of these messages: of which, its number and its content
pub fn revisions(
    tx: &mut Tx<'_>,
    messages: impl IntoIterator<Item = MessageKey>,
) -> Result<Vec<(MessageKey, i64, String)>> {
    tx.all(
        concat!(
            "SELECT message_key, revision, content FROM revision WHERE message_key IN ",
            list!("$1"),
            " ORDER BY message_key, revision"
        ),
        &[&list(messages.into_iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// That a message concerns a user.
#[derive(Clone, Copy, Debug)]
pub struct NotificationRow {
    pub message: MessageKey,
    pub user: UserKey,
    pub conversation: ConversationKey,
    pub kind: NotificationKind,
    pub is_read: bool,
}

/// Adds notifications that are not there.
pub fn add_notifications(tx: &mut Tx<'_>, notifications: &[NotificationRow]) -> Result<()> {
    const ADDITION: Addition =
        addition!("notification", "message_key, user_key, conversation_key, kind, is_read", "$1, $2, $3, $4, $5");
    tx.add(&ADDITION, notifications, |row| {
        let NotificationRow { message, user, conversation, kind, is_read } = row;
        [message, user, conversation, kind, is_read]
    })
}

/// Who has a notification of these messages, and whether it is read
pub fn notified(
    tx: &mut Tx<'_>,
    messages: impl IntoIterator<Item = MessageKey>,
) -> Result<Vec<((MessageKey, UserKey), bool)>> {
    tx.all(
        concat!("SELECT message_key, user_key, is_read FROM notification WHERE message_key IN ", list!("$1")),
        &[&list(messages.into_iter().map(|key| key.0))],
        |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
    )
}

/// Appends events to the log.
pub fn record(tx: &mut Tx<'_>, actor: &Actor, events: &[Event]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "event",
        "kind, at, actor_key, operator, conversation_key, user_key, subject_id",
        "$1, $2, $3, $4, $5, $6, $7"
    );
    let (now, actor_key, operator) = (tx.now(), actor.key(), actor.operator());
    tx.add(&ADDITION, events, |event| {
        let Event { kind, conversation, user, subject } = event;
        [kind, &now, &actor_key, &operator, conversation, user, subject]
    })
}

/// Whether nobody and nothing is there yet
pub fn is_empty(tx: &mut Tx<'_>) -> Result<bool> {
    tx.only(
        "SELECT (SELECT min(key) FROM account WHERE key > 0) IS NULL
             AND (SELECT min(key) FROM conversation WHERE key > 0) IS NULL",
        &[],
        |row| row.get(0),
    )
}

/// The people without those with these keys
pub fn users_besides(tx: &mut Tx<'_>, keys: &[UserKey]) -> Result<Vec<UserRef>> {
    tx.all(
        concat!(
            "SELECT ",
            users::person!(),
            " FROM account WHERE key > 0 AND key NOT IN ",
            list!("$1"),
            " ORDER BY key /* scans: whoever wants nothing else there has all of it looked at */"
        ),
        &[&list(keys.iter().map(|key| key.0))],
        |row| users::read_person(row, 0),
    )
}

/// The ids and names of the conversations without those with these keys
pub fn conversations_besides(
    tx: &mut Tx<'_>,
    keys: &[ConversationKey],
) -> Result<Vec<(ConversationId, Option<String>)>> {
    tx.all(
        concat!(
            "SELECT id, name FROM conversation WHERE key > 0 AND key NOT IN ",
            list!("$1"),
            " ORDER BY key /* scans: as above */"
        ),
        &[&list(keys.iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The ids and keys of the messages without those with these keys, tombstones aside
pub fn messages_besides(tx: &mut Tx<'_>, keys: &[MessageKey]) -> Result<Vec<(MessageId, Option<String>)>> {
    tx.all(
        concat!(
            "SELECT id, key_name FROM message WHERE key > 0 AND sender_key IS NOT NULL AND key NOT IN ",
            list!("$1"),
            " ORDER BY key /* scans: as above */"
        ),
        &[&list(keys.iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
