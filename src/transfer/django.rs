//! From the original system: what `manage.py dumpdata` writes of its users, conversations, messages, histories and
//! notifications, whatever its apps are called, as records.
//!
//! Ids that are UUIDs stay; others are made from model and primary key, so that importing again finds the same rows. What
//! two people say to each other outside of conversations is their direct conversation. A message is read where its
//! notification is, or where it says so itself and there is none.

mod fields;
mod index;
mod messages;
mod parse;
mod people;
mod places;
mod report;
mod rows;

use std::io::BufRead;

use uuid::Uuid;

use self::index::derived;
use self::people::People;
use self::places::Places;
pub use self::report::NotCarried;
use self::report::Report;
use self::rows::Rows;
use super::records::{Entry, Record};
use crate::error::Result;

/// A dump as records
#[derive(Clone, Debug)]
pub struct Imported {
    /// Users, conversations, then messages, each behind what it replies to and before its notifications
    pub entries: Vec<Entry>,
    /// What could not be carried over, or not as it was
    pub not_carried: Vec<NotCarried>,
}

/// Reads what `manage.py dumpdata` wrote, as JSON or JSON Lines.
///
/// # Errors
/// `Invalid`, with the line, where it is not JSON, and where it is not what `dumpdata` writes.
pub fn read(input: impl BufRead) -> Result<Imported> {
    let mut report = Report::default();
    let mut rows = Rows::default();
    parse::each_row(input, |row| rows.add(row, &mut report))?;

    let (mut people, users) = People::carry(rows.users, &mut report);
    let mut places = Places::carry(rows.conversations, rows.memberships, &rows.messages, &mut people, &mut report);
    let messages =
        messages::carry(rows.messages, rows.histories, rows.notifications, &mut people, &mut places, &mut report);

    let mut entries = Entries(Vec::new());
    for user in users {
        entries.add(user.user_id.map(|id| id.0), Record::User(user));
    }
    for conversation in places.records(&people) {
        entries.add(conversation.conversation_id.map(|id| id.0), Record::Conversation(conversation));
    }
    for (message, notifications) in messages {
        entries.add(message.message_id.map(|id| id.0), Record::Message(Box::new(message)));
        for notification in notifications {
            let id = derived(&["notification", &notification.message, &notification.user]);
            entries.add(Some(id), Record::Notification(notification));
        }
    }
    people.finish(&mut report);
    Ok(Imported { entries: entries.0, not_carried: report.finish() })
}

struct Entries(Vec<Entry>);

impl Entries {
    fn add(&mut self, id: Option<Uuid>, record: Record) {
        let line = self.0.len() as u64 + 1;
        self.0.push(Entry { line, id: id.unwrap_or_default(), record });
    }
}
