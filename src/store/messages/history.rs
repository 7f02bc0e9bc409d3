//! Revisions: the earlier contents of messages.

use crate::error::Result;
use crate::model::{Message, MessageId, MessageKey, Revision, Seek, Timestamp, UserKey, UserRef};
use crate::store::{Row, Tx, users};

/// The earlier contents of a message, newest first
pub fn history(tx: &mut Tx<'_>, message: &Message) -> Result<Vec<Revision>> {
    history_below(tx, (message.key, message.message_id), i64::MAX, i64::MAX)
}

/// The earlier contents of a message below a revision, newest first
pub fn history_below(
    tx: &mut Tx<'_>,
    message: (MessageKey, MessageId),
    below: i64,
    limit: i64,
) -> Result<Vec<Revision>> {
    history_from(tx, message, &Seek::After(below), limit)
}

macro_rules! history {
    ($compare:literal, $order:literal) => {
        concat!(
            "SELECT revision, content, edited_at, editor_key, by_operator, reason
             FROM revision WHERE message_key = $1 AND revision ",
            $compare,
            " $2 ORDER BY revision ",
            $order,
            " LIMIT $3"
        )
    };
}

/// The earlier contents of a message after or before a revision, newest first
pub fn history_from(
    tx: &mut Tx<'_>,
    (key, id): (MessageKey, MessageId),
    seek: &Seek<i64>,
    limit: i64,
) -> Result<Vec<Revision>> {
    let (sql, position) = match seek {
        Seek::After(revision) => (history!("<", "DESC"), revision),
        Seek::Before(revision) => (history!(">", "ASC"), revision),
    };
    let found = tx.all(sql, &[&key, position, &limit], |row| Ok((read(row, id)?, row.get::<Option<UserKey>>(3)?)))?;
    let people = users::people(tx, found.iter().filter_map(|(_, editor)| *editor))?;
    let with_editor = |(revision, editor): (Revision, Option<UserKey>)| Revision {
        edited_by: editor.and_then(|editor| people.get(&editor).cloned()),
        ..revision
    };
    Ok(found.into_iter().map(with_editor).collect())
}

fn read(row: &Row<'_>, message: MessageId) -> Result<Revision> {
    Ok(Revision {
        message,
        revision: row.get(0)?,
        content: row.get(1)?,
        edited_at: row.get(2)?,
        edited_by: None,
        edited_by_operator: row.get(4)?,
        reason: row.get(5)?,
    })
}

/// An earlier content of a message as a list shows it
pub struct Outline {
    pub revision: i64,
    /// Its first characters
    pub beginning: String,
    /// When, by whom and why it was replaced
    pub edited_at: Timestamp,
    pub edited_by: Option<UserRef>,
    pub edited_by_operator: bool,
    pub reason: Option<String>,
}

/// The earlier contents of a message below a revision, newest first, each as far as its first `shown` characters: nothing is
/// read of what a list does not show, as far as an engine can do that.
pub fn outlines(tx: &mut Tx<'_>, message: MessageKey, below: i64, (limit, shown): (i64, i64)) -> Result<Vec<Outline>> {
    let found = tx.all(
        "SELECT revision, substr(content, 1, CAST(CAST($1 AS BIGINT) AS INTEGER)), edited_at, editor_key, by_operator, reason
         FROM revision WHERE message_key = $2 AND revision < $3 ORDER BY revision DESC LIMIT $4",
        &[&shown, &message, &below, &limit],
        |row| {
            let outline = Outline {
                revision: row.get(0)?,
                beginning: row.get(1)?,
                edited_at: row.get(2)?,
                edited_by: None,
                edited_by_operator: row.get(4)?,
                reason: row.get(5)?,
            };
            Ok((outline, row.get::<Option<UserKey>>(3)?))
        },
    )?;
    let people = users::people(tx, found.iter().filter_map(|(_, editor)| *editor))?;
    let with_editor = |(outline, editor): (Outline, Option<UserKey>)| Outline {
        edited_by: editor.and_then(|editor| people.get(&editor).cloned()),
        ..outline
    };
    Ok(found.into_iter().map(with_editor).collect())
}

/// The earlier contents of others' messages that a user replaced, before one; the newest messages first.
pub fn revisions_by(
    tx: &mut Tx<'_>,
    editor: &UserRef,
    before: (MessageKey, i64),
    limit: i64,
) -> Result<Vec<(MessageKey, Revision)>> {
    tx.all(
        "SELECT revision.revision, revision.content, revision.edited_at, revision.editor_key, revision.by_operator,
             revision.reason, revision.message_key, message.id
         FROM revision JOIN message ON message.key = revision.message_key
         WHERE revision.editor_key = $1 AND (revision.message_key, revision.revision) < ($2, $3)
           AND message.sender_key <> $1
         ORDER BY revision.message_key DESC, revision.revision DESC LIMIT $4",
        &[&editor.key, &before.0, &before.1, &limit],
        |row| {
            let revision = Revision { edited_by: Some(editor.clone()), ..read(row, row.get(7)?)? };
            Ok((row.get(6)?, revision))
        },
    )
}
