//! The contents that a message had, each with who wrote it, as people read a history.

use crate::error::{Error, Result};
use crate::model::{Actor, Message, MessageSelector, Timestamp, UserRef};
use crate::store::messages::Outline;
use crate::store::{self, Tx};

/// A content that a message had, or has.
#[derive(Clone, Debug)]
pub struct Version {
    pub revision: i64,
    /// The first characters of the content
    pub beginning: String,
    /// When it was written; none where that is not known any more
    pub at: Option<Timestamp>,
    /// Who wrote it; none: the operator, or somebody who is gone
    pub by: Option<UserRef>,
    pub by_operator: bool,
    /// The reason that was given for it
    pub reason: Option<String>,
}

/// A page of the contents of a message, newest first.
#[derive(Clone, Debug)]
pub struct Versions {
    pub message: Message,
    pub versions: Vec<Version>,
    /// Whether there are older ones
    pub is_more: bool,
}

/// The contents of a message below a revision, newest first: at most `size`, each as far as its first `shown` characters.
///
/// A row of the history says when and by whom its content was replaced. That is who wrote the next one, so that the first row
/// that is not shown is read, too. Rows may be missing: of a deleted account all revisions are gone.
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn versions(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &MessageSelector,
    below: i64,
    (size, shown): (i64, i64),
) -> Result<Versions> {
    let message = crate::service::message(tx, actor, selector)?;
    let mut rows = store::messages::outlines(tx, message.key, below, (size + 1, shown))?;
    let mut versions = Vec::new();
    if message.revision < below {
        let beginning = message.content.chars().take(usize::try_from(shown).unwrap_or(usize::MAX)).collect();
        versions.push(written(&message, message.revision, beginning, rows.first()));
    }
    for at in 0..rows.len() {
        let beginning = std::mem::take(&mut rows[at].beginning);
        versions.push(written(&message, rows[at].revision, beginning, rows.get(at + 1)));
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let is_more = versions.len() > size;
    versions.truncate(size);
    Ok(Versions { message, versions, is_more })
}

/// A version, written where the row before it says that another content was replaced
fn written(message: &Message, revision: i64, beginning: String, before: Option<&Outline>) -> Version {
    let unknown = Version { revision, beginning, at: None, by: None, by_operator: false, reason: None };
    match before.filter(|before| before.revision == revision - 1) {
        Some(before) => Version {
            at: Some(before.edited_at),
            by: before.edited_by.clone(),
            by_operator: before.edited_by_operator,
            reason: before.reason.clone(),
            ..unknown
        },
        None if revision == 1 => Version { at: Some(message.timestamp), by: message.sender.clone(), ..unknown },
        None => unknown,
    }
}

/// The content of a message at a revision.
///
/// # Errors
/// `NotFound` if it has none such, or not any more.
pub fn content_at(tx: &mut Tx<'_>, message: &Message, revision: i64) -> Result<String> {
    if revision == message.revision && !message.deleted {
        return Ok(message.content.clone());
    }
    let content = store::messages::revision_content(tx, message.key, revision)?;
    content.ok_or_else(|| {
        let detail = format!("The message has no revision {revision}; it is at {}.", message.revision);
        Error::not_found(detail)
    })
}
