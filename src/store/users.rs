//! Accounts: the table `account`, because `user` is a reserved word in PostgreSQL.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use uuid::Uuid;

use super::tx::Locking;
use super::{Misfolded, Row, Tx};
use crate::error::{Error, Result};
use crate::model::{
    ConversationKey, Role, Seek, User, UserDetails, UserId, UserKey, UserRef, fold_case, skeleton, skeletons,
};

macro_rules! person {
    () => {
        "account.key, account.id, account.username, account.first_name, account.last_name"
    };
}
pub(super) use person;

macro_rules! columns {
    () => {
        concat!($crate::store::users::person!(), ", account.email, account.role, account.is_active, account.created_at")
    };
}
pub(super) use columns;

/// Reads the columns of `person!`, beginning at index `start`.
pub(super) fn read_person(row: &Row<'_>, start: usize) -> Result<UserRef> {
    Ok(UserRef {
        key: row.get(start)?,
        user_id: row.get(start + 1)?,
        username: row.get(start + 2)?,
        first_name: row.get(start + 3)?,
        last_name: row.get(start + 4)?,
    })
}

pub(super) fn read(row: &Row<'_>) -> Result<User> {
    Ok(User {
        person: read_person(row, 0)?,
        email: row.get(5)?,
        role: row.get(6)?,
        is_active: row.get(7)?,
        created_at: row.get(8)?,
    })
}

fn names_folded(details: &UserDetails) -> String {
    fold_names(&details.username, &details.first_name, &details.last_name)
}

/// What a search of the directory looks through
pub(super) fn fold_names(username: &str, first_name: &str, last_name: &str) -> String {
    fold_case(&format!("{username}\n{first_name} {last_name}"))
}

/// Adds an account; none where its username or email is taken.
pub fn insert(tx: &mut Tx<'_>, id: UserId, details: &UserDetails, password_hash: Option<&str>) -> Result<Option<User>> {
    tx.one(
        concat!(
            "INSERT INTO account (id, username, username_folded, email, email_folded, first_name, last_name, names_folded,
                                  skeleton, role, password_hash, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING RETURNING ",
            columns!()
        ),
        &[
            &id,
            &details.username,
            &fold_case(&details.username),
            &details.email,
            &details.email.as_deref().map(fold_case),
            &details.first_name,
            &details.last_name,
            &names_folded(details),
            &skeleton(&details.username),
            &details.role,
            &password_hash,
            &tx.now(),
        ],
        read,
    )
}

/// Replaces the details of an account.
pub fn update(tx: &mut Tx<'_>, user: UserKey, details: &UserDetails) -> Result<User> {
    tx.only(
        concat!(
            "UPDATE account SET username = $1, username_folded = $2, email = $3, email_folded = $4, first_name = $5,
                                last_name = $6, names_folded = $7, skeleton = $8, role = $9
             WHERE key = $10 RETURNING ",
            columns!()
        ),
        &[
            &details.username,
            &fold_case(&details.username),
            &details.email,
            &details.email.as_deref().map(fold_case),
            &details.first_name,
            &details.last_name,
            &names_folded(details),
            &skeleton(&details.username),
            &details.role,
            &user,
        ],
        read,
    )
}

/// Lets accounts act, or not, and ends their sessions; tokens issued before are no longer valid. Returns those that changed.
pub fn set_active(tx: &mut Tx<'_>, users: &[UserKey], is_active: bool) -> Result<Vec<User>> {
    let keys = super::list(users.iter().map(|key| key.0));
    tx.run(
        concat!(
            "DELETE FROM session WHERE user_key IN (SELECT key FROM account WHERE is_active <> $1 AND key IN ",
            list!("$2"),
            ")"
        ),
        &[&is_active, &keys],
    )?;
    tx.all(
        concat!(
            "UPDATE account SET is_active = $1, token_generation = token_generation + 1
             WHERE is_active <> $1 AND key IN ",
            list!("$2"),
            " RETURNING ",
            columns!()
        ),
        &[&is_active, &keys],
        read,
    )
}

/// Replaces an account's password; tokens issued before are no longer valid.
pub fn set_password(tx: &mut Tx<'_>, user: UserKey, password_hash: Option<&str>) -> Result<User> {
    tx.only(
        concat!(
            "UPDATE account SET password_hash = $1, token_generation = token_generation + 1 WHERE key = $2 RETURNING ",
            columns!()
        ),
        &[&password_hash, &user],
        read,
    )
}

/// The user with that id
pub fn by_id(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>> {
    tx.one(concat!("SELECT ", columns!(), " FROM account WHERE id = $1"), &[&id], read)
}

/// The user with that username, whatever its case
pub fn by_username(tx: &mut Tx<'_>, username: &str) -> Result<Option<User>> {
    tx.one(concat!("SELECT ", columns!(), " FROM account WHERE username_folded = $1"), &[&fold_case(username)], read)
}

/// The user with that email, whatever its case
pub fn by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<User>> {
    tx.one(concat!("SELECT ", columns!(), " FROM account WHERE email_folded = $1"), &[&fold_case(email)], read)
}

/// Another account's username that looks like this one; two ASCII names never look alike.
pub fn looking_like(tx: &mut Tx<'_>, username: &str, own: Option<UserKey>) -> Result<Option<String>> {
    tx.one(
        concat!(
            "SELECT username FROM account WHERE skeleton IN ",
            texts!("$1"),
            " AND (CAST($2 AS BIGINT) IS NULL OR key <> $2) AND NOT ($3 AND octet_length(username) = length(username)) LIMIT 1"
        ),
        &[&super::texts(skeletons(username)), &own, &username.is_ascii()],
        |row| row.get(0),
    )
}

/// The usernames of the next accounts, in the order of their keys
pub fn usernames(tx: &mut Tx<'_>, after: UserKey, limit: i64) -> Result<Vec<(UserKey, String)>> {
    tx.all("SELECT key, username FROM account WHERE key > $1 ORDER BY key LIMIT $2", &[&after, &limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Computes the skeletons of the next usernames without one; returns the key of the last.
pub(super) fn add_skeletons(tx: &mut Tx<'_>, after: UserKey, limit: i64) -> Result<Option<UserKey>> {
    let found = usernames(tx, after, limit)?;
    let rows: Vec<(i64, String)> = found.iter().map(|(key, username)| (key.0, skeleton(username))).collect();
    // Who was renamed since has one already.
    let update = tx.split(
        "UPDATE account SET skeleton = known.value ->> 1 FROM json_each($1) AS known
         WHERE account.key = known.value ->> 0 AND account.skeleton IS NULL",
        "UPDATE account SET skeleton = CAST(known.value AS JSON) ->> 1 FROM json_each(CAST($1 AS TEXT)) AS known
         WHERE account.key = CAST(CAST(known.value AS JSON) ->> 0 AS BIGINT) AND account.skeleton IS NULL",
    );
    tx.run(update, &[&serde_json::to_string(&rows).map_err(Error::internal)?])?;
    Ok(found.last().map(|(key, _)| *key))
}

/// One pair for each group of look-alike usernames, and the number of groups
pub fn look_alikes(tx: &mut Tx<'_>, limit: i64) -> Result<(Vec<(String, String)>, i64)> {
    let mut count = 0;
    let alike = tx.all(
        "SELECT min(username), max(username), count(*) OVER () FROM account WHERE skeleton IS NOT NULL
         GROUP BY skeleton HAVING count(*) > 1 ORDER BY skeleton LIMIT $1
         /* scans: the operator asks for every row to be checked */",
        &[&limit],
        |row| {
            count = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?))
        },
    )?;
    Ok((alike, count))
}

/// Whether an account has a password, and how many log-ins of programs: refresh tokens that are valid
pub fn credentials(tx: &mut Tx<'_>, user: UserKey) -> Result<(bool, i64)> {
    tx.only(
        "SELECT password_hash IS NOT NULL, (
             SELECT count(*) FROM refresh_token WHERE user_key = account.key AND successor_hash IS NULL
                 AND expires_at > $1 AND generation = account.token_generation)
         FROM account WHERE key = $2",
        &[&tx.now(), &user],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// How many participations, tokens and sessions an account has
pub fn count_of(tx: &mut Tx<'_>, user: UserKey) -> Result<(i64, i64, i64)> {
    tx.only(
        "SELECT (SELECT count(*) FROM participant WHERE user_key = $1),
                (SELECT count(*) FROM refresh_token WHERE user_key = $1), (SELECT count(*) FROM session WHERE user_key = $1)",
        &[&user],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// Which users a list has
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'s> {
    /// What their names contain
    pub search: Option<&'s str>,
    /// Whether it may also be in their email
    pub by_email: bool,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
}

macro_rules! matching {
    () => {
        "(CAST($2 AS TEXT) IS NULL OR instr(names_folded, $2) > 0 OR ($3 AND instr(email_folded, $2) > 0))
         AND (CAST($4 AS BIGINT) IS NULL OR role = $4) AND (CAST($5 AS BOOLEAN) IS NULL OR is_active = $5)"
    };
}

/// All accounts
macro_rules! everybody {
    () => {
        "account WHERE account.username_folded"
    };
}

/// The admins, who are few: they have an index of their own, from which SQLite begins
macro_rules! admins {
    () => {
        "(SELECT key FROM account WHERE role = 1) AS admin CROSS JOIN account
         WHERE account.key = admin.key AND account.username_folded"
    };
}

macro_rules! page {
    ($from:expr, $compare:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            // What is searched of those that are looked at, which SQLite has in one index, and everything of those that are found
            " FROM (SELECT account.username_folded AS place FROM ",
            $from,
            $compare,
            " $1 AND ",
            matching!(),
            " AND account.username_folded < $6 ORDER BY account.username_folded ",
            $order,
            " LIMIT $7) AS found CROSS JOIN account
             WHERE account.username_folded = found.place
             ORDER BY account.username_folded ",
            $order
        )
    };
}

macro_rules! number {
    ($from:expr) => {
        concat!("SELECT count(*) FROM (SELECT 1 FROM ", $from, " > $1 AND ", matching!(), " LIMIT 10000) AS matching")
    };
}

/// Users of a list after or before a username (an empty one: from the first on), by username; where `beginning_first`, those come
/// first whose usernames begin with what is searched.
pub fn page(
    tx: &mut Tx<'_>,
    seek: &Seek<String>,
    filter: &Filter<'_>,
    beginning_first: bool,
    limit: i64,
) -> Result<Vec<User>> {
    let (first, last) = super::beginning_with("");
    // Of usernames, in the order of the list. Those that begin with the text are found by the index; the others are looked through.
    let ranges = match filter.search.filter(|_| beginning_first) {
        None => vec![(first, last)],
        Some(search) => {
            let (from, below) = super::beginning_with(search);
            vec![(from.clone(), below.clone()), (first, from), (below, last)]
        }
    };
    let (Seek::After(username) | Seek::Before(username)) = seek;
    let place = fold_case(username);
    let is_in = |(from, below): &(String, String)| *from <= place && place < *below;
    let at = ranges.iter().position(is_in).unwrap_or(ranges.len() - 1);
    let all_of = |begin| move |(from, below): &(String, String)| (begin, from.clone(), below.clone());
    let spans: Vec<_> = match seek {
        Seek::After(_) if place.is_empty() => ranges.iter().map(all_of(Begin::At)).collect(),
        Seek::After(_) => {
            let rest = (Begin::Behind, place, ranges[at].1.clone());
            std::iter::once(rest).chain(ranges[at + 1..].iter().map(all_of(Begin::At))).collect()
        }
        Seek::Before(_) => {
            let rest = (Begin::AtEnd, ranges[at].0.clone(), place);
            std::iter::once(rest).chain(ranges[..at].iter().rev().map(all_of(Begin::AtEnd))).collect()
        }
    };
    let mut found = Vec::new();
    for (begin, from, below) in spans {
        let left = limit.saturating_sub(i64::try_from(found.len()).unwrap_or(limit));
        if left > 0 {
            found.extend(of_range(tx, begin, (&from, &below), filter, left)?);
        }
    }
    Ok(found)
}

/// Where in a range of usernames a page begins
#[derive(Clone, Copy)]
enum Begin {
    At,
    /// Behind the username that it begins with
    Behind,
    /// Backwards
    AtEnd,
}

fn of_range(
    tx: &mut Tx<'_>,
    begin: Begin,
    (from, below): (&str, &str),
    filter: &Filter<'_>,
    limit: i64,
) -> Result<Vec<User>> {
    let Filter { search, by_email, role, is_active } = filter;
    let sql = match (role, begin) {
        (Some(Role::Admin), Begin::At) => page!(admins!(), " >=", "ASC"),
        (Some(Role::Admin), Begin::Behind) => page!(admins!(), " >", "ASC"),
        (Some(Role::Admin), Begin::AtEnd) => page!(admins!(), " >=", "DESC"),
        (_, Begin::At) => page!(everybody!(), " >=", "ASC"),
        (_, Begin::Behind) => page!(everybody!(), " >", "ASC"),
        (_, Begin::AtEnd) => page!(everybody!(), " >=", "DESC"),
    };
    tx.all(sql, &[&from, &search.map(fold_case), by_email, role, is_active, &below, &limit], read)
}

/// How many users there are in that list, up to 10,000
pub fn count_matching(tx: &mut Tx<'_>, filter: &Filter<'_>) -> Result<i64> {
    let Filter { search, by_email, role, is_active } = filter;
    let sql = if *role == Some(Role::Admin) { number!(admins!()) } else { number!(everybody!()) };
    tx.only(sql, &[&"", &search.map(fold_case), by_email, role, is_active], |row| row.get(0))
}

/// Users whose usernames begin with a text, ignoring case, by username
pub fn beginning_with(tx: &mut Tx<'_>, prefix: &str, limit: i64) -> Result<Vec<UserRef>> {
    let (from, below) = super::beginning_with(prefix);
    tx.all(
        concat!(
            "SELECT ",
            person!(),
            " FROM account WHERE username_folded >= $1 AND username_folded < $2 ORDER BY username_folded LIMIT $3"
        ),
        &[&from, &below, &limit],
        |row| read_person(row, 0),
    )
}

/// People a user has a direct conversation with, as [`beginning_with`]
pub fn companions_beginning_with(tx: &mut Tx<'_>, user: UserKey, prefix: &str, limit: i64) -> Result<Vec<UserRef>> {
    let (from, below) = super::beginning_with(prefix);
    tx.all(
        concat!(
            "SELECT ",
            person!(),
            " FROM account
             WHERE username_folded >= $1 AND username_folded < $2 AND key IN (
                 SELECT higher_user_key FROM conversation WHERE lower_user_key = $3
                 UNION ALL SELECT lower_user_key FROM conversation WHERE higher_user_key = $3)
             ORDER BY username_folded LIMIT $4"
        ),
        &[&from, &below, &user, &limit],
        |row| read_person(row, 0),
    )
}

/// The people with these ids
pub fn with_ids(tx: &mut Tx<'_>, ids: &[Uuid]) -> Result<Vec<UserRef>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids = super::ids(tx, ids.iter().copied());
    tx.all(by_ids!(tx, concat!("SELECT ", person!(), " FROM account"), "account.id"), &[&ids], |row| {
        read_person(row, 0)
    })
}

/// The people with these emails, folded, and the email of each
pub fn with_emails(tx: &mut Tx<'_>, emails: &[String]) -> Result<Vec<(String, UserRef)>> {
    if emails.is_empty() {
        return Ok(Vec::new());
    }
    tx.all(
        concat!("SELECT email_folded, ", person!(), " FROM account WHERE email_folded IN ", texts!("$1")),
        &[&super::texts(emails)],
        |row| Ok((row.get(0)?, read_person(row, 1)?)),
    )
}

/// The people with these usernames, folded, by username
pub fn called(tx: &mut Tx<'_>, usernames: &[String]) -> Result<Vec<UserRef>> {
    if usernames.is_empty() {
        return Ok(Vec::new());
    }
    tx.all(
        concat!(
            "SELECT ",
            person!(),
            " FROM account WHERE username_folded IN ",
            texts!("$1"),
            " ORDER BY username_folded"
        ),
        &[&super::texts(usernames)],
        |row| read_person(row, 0),
    )
}

macro_rules! one {
    () => {
        concat!("SELECT ", person!(), " FROM account WHERE key = ")
    };
}

/// People by their keys
pub type People = HashMap<UserKey, UserRef, FixedState>;

/// The people with these keys
pub fn people(tx: &mut Tx<'_>, keys: impl IntoIterator<Item = UserKey>) -> Result<People> {
    let mut keys: Vec<i64> = keys.into_iter().map(|key| key.0).collect();
    keys.sort_unstable();
    keys.dedup();
    let people = match keys.as_slice() {
        [] => return Ok(People::default()),
        // Most pages are of a conversation of two: looked up by themselves, they take a quarter of the time of a list.
        [one] => tx.all(concat!(one!(), "$1"), &[one], |row| read_person(row, 0))?,
        [one, two] => tx.all(concat!(one!(), "$1 UNION ALL ", one!(), "$2"), &[one, two], |row| read_person(row, 0))?,
        _ => tx.all(
            concat!("SELECT ", person!(), " FROM account WHERE key IN ", list!("$1")),
            &[&super::list(keys)],
            |row| read_person(row, 0),
        )?,
    };
    Ok(people.into_iter().map(|person| (person.key, person)).collect())
}

/// The last username, in the order of bytes, that is not after a folded text, with its user and whether they are a
/// participant
pub fn last_up_to(
    tx: &mut Tx<'_>,
    text: &str,
    conversation: ConversationKey,
) -> Result<Option<(String, UserKey, bool)>> {
    tx.one(
        "SELECT username_folded, key, EXISTS (
             SELECT 1 FROM participant WHERE user_key = account.key AND conversation_key = $1)
         FROM account WHERE username_folded <= $2 ORDER BY username_folded DESC LIMIT 1",
        &[&conversation, &text],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// The folded usernames of up to `limit` participants of a conversation
pub fn names_of_participants(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    limit: usize,
) -> Result<Vec<(String, UserKey)>> {
    tx.all(
        "SELECT account.username_folded, account.key FROM participant JOIN account ON account.key = participant.user_key
         WHERE participant.conversation_key = $1 ORDER BY participant.user_key LIMIT $2",
        &[&conversation, &i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Keeps everybody else from changing accounts to the end of the transaction; returns those that are there as they are.
pub fn lock_all(tx: &mut Tx<'_>, users: &[UserKey]) -> Result<Vec<User>> {
    const LOCKING: Locking = locking!("SELECT ", columns!(), " FROM account WHERE key IN ", list!("$1"));
    tx.lock(&LOCKING, &[&super::list(users.iter().map(|key| key.0))], read)
}

/// Keeps everybody else from changing an account to the end of the transaction; returns it as it is.
pub fn lock(tx: &mut Tx<'_>, user: UserKey) -> Result<Option<User>> {
    const LOCKING: Locking = locking!("SELECT ", columns!(), " FROM account WHERE key = $1");
    tx.lock_one(&LOCKING, &[&user], read)
}

/// Whether there is another active admin; locks them until the end of the transaction.
pub fn has_other_admin(tx: &mut Tx<'_>, user: UserKey) -> Result<bool> {
    const LOCKING: Locking = locking!("SELECT key, is_active FROM account WHERE role = 1");
    let read = |row: &Row<'_>| Ok((row.get::<UserKey>(0)?, row.get::<bool>(1)?));
    let admins = tx.lock(&LOCKING, &[], read)?;
    Ok(admins.iter().any(|(admin, is_active)| *admin != user && *is_active))
}

/// How many users there are
pub fn count(tx: &mut Tx<'_>) -> Result<i64> {
    tx.only("SELECT count(*) FROM account /* scans: counts every user, for the operator's status */", &[], |row| {
        row.get(0)
    })
}

/// The accounts after a key whose folded columns are wrong.
pub(super) fn misfolded(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Misfolded> {
    let mut last = None;
    let found = tx.all(
        "SELECT key, id, username, email, first_name, last_name, username_folded, email_folded, names_folded, skeleton
         FROM account WHERE key > $1 ORDER BY key LIMIT $2",
        &[&after, &limit],
        |row| {
            last = Some(row.get(0)?);
            let (username, email): (String, Option<String>) = (row.get(2)?, row.get(3)?);
            let (first_name, last_name): (String, String) = (row.get(4)?, row.get(5)?);
            let is_folded = row.get::<String>(6)? == fold_case(&username)
                && row.get::<Option<String>>(7)? == email.as_deref().map(fold_case)
                && row.get::<String>(8)? == fold_names(&username, &first_name, &last_name)
                && row.get::<Option<String>>(9)?.is_none_or(|known| known == skeleton(&username));
            Ok((row.get(1)?, is_folded))
        },
    )?;
    Ok((found.into_iter().filter(|(_, is_folded)| !is_folded).map(|(id, _)| id).collect(), last))
}

/// Deletes an account with its idempotency keys, tokens, sessions and places in audiences. Returns the numbers of tokens and
/// of sessions.
///
/// Its messages, notifications and participations must be gone before.
pub fn delete(tx: &mut Tx<'_>, user: UserKey) -> Result<(i64, i64)> {
    tx.run("UPDATE conversation SET creator_key = NULL WHERE creator_key = $1", &[&user])?;
    tx.run("DELETE FROM idempotency WHERE actor_key = $1", &[&user])?;
    // The key may be an email of theirs.
    tx.run("DELETE FROM idempotency WHERE result_id = (SELECT id FROM account WHERE key = $1)", &[&user])?;
    tx.run("DELETE FROM event_audience WHERE user_key = $1", &[&user])?;
    let tokens = tx.run("DELETE FROM refresh_token WHERE user_key = $1", &[&user])?;
    let sessions = super::sessions::delete_all(tx, user, None)?;
    super::sessions::delete_link(tx, user)?;
    tx.run("DELETE FROM account WHERE key = $1", &[&user])?;
    Ok((tokens, sessions))
}
