//! What events change of the newest page of a conversation, and of who may see it.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::model::{ConversationKey, EventKind, UserKey};
use crate::store::events::{self, Mark, Trace};
use crate::store::{self, Tx};

/// More events than this are not looked through one by one.
const MOST: usize = 1000;

/// For more people than this it is not looked up where they take part.
const MOST_READERS: usize = 16;

/// What may be otherwise now
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Everything
    All,
    Of {
        /// Their pages
        conversations: BTreeSet<ConversationKey>,
        /// The pages that show them
        people: BTreeSet<UserKey>,
        /// Whether somebody may no longer see what they could see
        rights: bool,
    },
}

/// The state of the log that a transaction sees
pub fn mark(tx: &mut Tx<'_>) -> Result<Mark> {
    events::mark(tx)
}

/// What changed from one state of the log to the one that the transaction sees.
///
/// Every change that a page shows, and every right that ends, has to leave an event that says so here.
pub fn changes(tx: &mut Tx<'_>, before: &Mark, now: &Mark) -> Result<Changes> {
    if !now.is_of_log_of(before) || now.key() <= before.key() {
        return Ok(Changes::All);
    }
    let Some(traces) = events::traces(tx, before, MOST)? else { return Ok(Changes::All) };
    let (mut conversations, mut people, mut readers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut rights = false;
    for Trace { kind, conversation, user } in traces {
        // One that this program does not know may change anything.
        let Some(kind) = kind else { return Ok(Changes::All) };
        // A role, a token that is revoked; whoever may see more than before is looked up anyway.
        rights |=
            matches!(kind, EventKind::UserUpdated | EventKind::ConversationDeleted | EventKind::ParticipantRemoved);
        match (kind, conversation, user) {
            // A level changes no message, and nobody has shown somebody who is new.
            (EventKind::ParticipantUpdated | EventKind::UserCreated, ..) => {}
            (EventKind::UserUpdated, _, Some(user)) => {
                people.insert(user);
            }
            // Of several conversations: at the time of the event the user took part in them. What has been left since is told of too.
            (EventKind::NotificationUpdated, None, Some(user)) => {
                readers.insert(user);
            }
            (
                EventKind::MessageCreated
                | EventKind::MessageEdited
                | EventKind::MessageDeleted
                | EventKind::NotificationUpdated
                | EventKind::ConversationCreated
                | EventKind::ConversationUpdated
                | EventKind::ConversationDeleted
                | EventKind::ParticipantAdded
                | EventKind::ParticipantRemoved,
                Some(conversation),
                _,
            ) => {
                conversations.insert(conversation);
            }
            // An account takes its messages along, also from where its user had left: an earlier version does not tell where.
            _ => return Ok(Changes::All),
        }
    }
    if readers.len() > MOST_READERS {
        return Ok(Changes::All);
    }
    for user in readers {
        conversations.extend(store::conversations::all_of(tx, user)?);
    }
    Ok(Changes::Of { conversations, people, rights })
}
