//! Rows by the thousand: finds existing ones and inserts the others, with one statement for all of a kind.

use super::tx::{Addition, Row, Tx};
use super::{ids, list, texts, users};
use crate::error::{Error, Result};
use crate::model::{Actor, ConversationKey, Event, MessageKey, User, UserId, UserKey, UserRef, fold_case, skeleton};

/// Many rows of numbers as one parameter
fn tuples<const COLUMNS: usize>(rows: impl IntoIterator<Item = [i64; COLUMNS]>) -> Result<String> {
    serde_json::to_string(&rows.into_iter().map(Vec::from).collect::<Vec<_>>()).map_err(Error::internal)
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
        /// Takes keys for as many new rows, in order; other transactions that add rows meanwhile get others.
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

mod conversations;
mod messages;

pub use self::conversations::{
    ConversationUpdate, NewConversation, add_conversations, conversations, conversations_except, direct_conversations,
    lock_conversations, participants, participating, update_conversations,
};
pub use self::messages::{
    MessageRow, NotificationRow, RevisionRow, add_messages, add_notifications, add_revisions, concerned, messages,
    messages_except, newest_times, notified, revisions, taken_numbers,
};

take_keys!(take_user_keys, UserKey, "account");
take_keys!(take_conversation_keys, ConversationKey, "conversation");
take_keys!(take_message_keys, MessageKey, "message");

/// A user with the private columns of the account.
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
        let by_name = concat!(account!(), " WHERE account.username_folded IN ", texts!("$1"));
        found.extend(tx.all(by_name, &[&texts(names)], read_account)?);
    }
    if !emails.is_empty() {
        let written_to = concat!(account!(), " WHERE account.email_folded IN ", texts!("$1"));
        found.extend(tx.all(written_to, &[&texts(emails)], read_account)?);
    }
    Ok(found)
}

/// Inserts the accounts whose usernames and emails are free.
pub fn add_accounts(tx: &mut Tx<'_>, accounts: &[Account]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "account",
        "key, id, username, username_folded, email, email_folded, first_name, last_name, names_folded, skeleton, role,
         is_active, password_hash, created_at",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14"
    );
    struct Folded<'a> {
        account: &'a Account,
        username: String,
        email: Option<String>,
        names: String,
        skeleton: String,
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
                skeleton: skeleton(&person.username),
            }
        })
        .collect();
    tx.add(&ADDITION, &folded, |Folded { account, username, email, names, skeleton }| {
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
            skeleton,
            role,
            is_active,
            &account.password_hash,
            created_at,
        ]
    })
}

/// Lets others have these users' usernames: within the transaction each gets another, or is deleted.
pub fn free_usernames(tx: &mut Tx<'_>, users: &[UserKey]) -> Result<()> {
    // No username holds a space.
    const FREE: &str =
        concat!("UPDATE account SET username_folded = ' ' || CAST(key AS TEXT) WHERE key IN ", list!("$1"));
    tx.run(FREE, &[&list(users.iter().map(|user| user.0))])?;
    Ok(())
}

/// Lets others have these users' emails, as [`free_usernames`] does.
pub fn free_emails(tx: &mut Tx<'_>, users: &[UserKey]) -> Result<()> {
    const FREE: &str = concat!("UPDATE account SET email_folded = NULL WHERE key IN ", list!("$1"));
    tx.run(FREE, &[&list(users.iter().map(|user| user.0))])?;
    Ok(())
}

/// Lets other groups have the names of these, as [`free_usernames`] does.
pub fn free_names(tx: &mut Tx<'_>, conversations: &[ConversationKey]) -> Result<()> {
    const FREE: &str = concat!("UPDATE conversation SET name_folded = NULL WHERE key IN ", list!("$1"));
    tx.run(FREE, &[&list(conversations.iter().map(|conversation| conversation.0))])?;
    Ok(())
}

/// The people without those with these keys
pub fn users_except(tx: &mut Tx<'_>, keys: &[UserKey]) -> Result<Vec<UserRef>> {
    tx.all(
        concat!(
            "SELECT ",
            users::person!(),
            " FROM account WHERE key > 0 AND key NOT IN ",
            list!("$1"),
            " ORDER BY key /* scans: what is to be the only content is compared with all of it */"
        ),
        &[&list(keys.iter().map(|key| key.0))],
        |row| users::read_person(row, 0),
    )
}

/// Appends events to the log.
pub fn record(tx: &mut Tx<'_>, actor: &Actor, events: &[Event]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "event",
        "kind, at, actor_key, operator, conversation_key, user_key, subject_id, is_read",
        "$1, $2, $3, $4, $5, $6, $7, $8"
    );
    let (now, actor_key, operator) = (tx.now(), actor.key(), actor.operator());
    tx.add(&ADDITION, events, |event| {
        let Event { kind, conversation, user, subject, is_read } = event;
        [kind, &now, &actor_key, &operator, conversation, user, subject, is_read]
    })
}

/// Whether the database is empty
pub fn is_empty(tx: &mut Tx<'_>) -> Result<bool> {
    tx.only(
        "SELECT (SELECT min(key) FROM account WHERE key > 0) IS NULL
             AND (SELECT min(key) FROM conversation WHERE key > 0) IS NULL",
        &[],
        |row| row.get(0),
    )
}
