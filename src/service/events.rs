//! Events: what the log says, who hears of it, and where in it a listener is.

mod changes;
mod cursor;
mod listener;
mod log;
mod view;

pub use changes::{Changes, changes, mark};
pub use cursor::{Cursors, Found, ResetReason, newest, reaches_back};
pub use listener::{Listener, Moved, Narrowing};
pub use log::{About, By, Filter, FilterActor, LogEntry, Looked, Place, ROWS, look_through};
pub use view::{EventConversation, EventMessage, EventUser, EventView, Subject, Told, views};

use std::collections::HashMap;

use crate::error::Result;
use crate::model::{EventKey, EventKind, UserKey};
use crate::store::Tx;
use crate::store::events::{self, EventRow, Position};

/// An event and who hears of it besides those whom it names.
#[derive(Clone, Debug)]
pub struct Entry {
    pub row: EventRow,
    pub audience: Vec<UserKey>,
}

/// The events behind a place in the log, in its order, at most `limit`
pub fn after(tx: &mut Tx<'_>, position: Position, limit: i64) -> Result<Vec<Entry>> {
    let rows = events::after(tx, position, limit)?;
    entries(tx, rows)
}

/// The events behind a place in the log up to another up to which it is known to be complete, in its order, at most `limit`
pub fn between(tx: &mut Tx<'_>, position: Position, up_to: Position, limit: i64) -> Result<Vec<Entry>> {
    let rows = events::between(tx, position, up_to, limit)?;
    entries(tx, rows)
}

fn entries(tx: &mut Tx<'_>, rows: Vec<EventRow>) -> Result<Vec<Entry>> {
    let with_audience = |row: &&EventRow| {
        matches!(row.kind, EventKind::ConversationCreated | EventKind::ConversationDeleted | EventKind::UserDeleted)
            || row.kind == EventKind::MessageDeleted && row.conversation.is_none()
    };
    let keys: Vec<EventKey> = rows.iter().filter(with_audience).map(|row| row.position.key).collect();
    let mut audiences: HashMap<EventKey, Vec<UserKey>> = HashMap::new();
    if !keys.is_empty() {
        for (event, user) in events::audiences(tx, keys)? {
            audiences.entry(event).or_default().push(user);
        }
    }
    let entry = |row: EventRow| Entry { audience: audiences.remove(&row.position.key).unwrap_or_default(), row };
    Ok(rows.into_iter().map(entry).collect())
}
