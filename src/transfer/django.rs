//! Import from the original system: users, conversations, messages, histories and notifications from `manage.py
//! dumpdata`, whatever the apps are called, as records.
//!
//! Ids that are UUIDs stay; others are made from model and primary key, so that importing again finds the same rows. What
//! two people say to each other outside of conversations is their direct conversation. A message is read where its
//! notification is, or where it says so itself and there is none.

mod conversations;
mod fields;
mod index;
mod messages;
mod parse;
mod people;
mod report;
mod rows;

use std::io::BufRead;

use uuid::Uuid;

use self::conversations::Conversations;
use self::index::derived;
use self::people::People;
pub use self::report::NotCarried;
use self::report::{Origin, Report};
use self::rows::Rows;
use super::RecordProblem;
use super::load::{Loaded, Outcome, Rules, Stage, load_entries};
use super::records::{Entry, Record};
use crate::app::App;
use crate::model::Actor;

/// A dump as records
#[derive(Clone, Debug)]
pub struct Imported {
    /// Users, conversations, then messages, each behind what it replies to and before its notifications
    pub entries: Vec<Entry>,
    /// The row that each entry comes from
    origins: Vec<Origin>,
    /// What could not be carried over, or not as it was
    pub not_carried: Vec<NotCarried>,
}

/// Reads what `manage.py dumpdata` wrote, as JSON or JSON Lines.
///
/// # Errors
/// The first line that is not JSON, or not what `dumpdata` writes.
pub fn read(input: impl BufRead) -> Result<Imported, RecordProblem> {
    let mut report = Report::default();
    let mut rows = Rows::default();
    parse::each_row(input, |row| rows.add(row, &mut report))?;

    let (mut people, users) = People::carry(rows.users, &mut report);
    let mut conversations =
        Conversations::carry(rows.conversations, rows.memberships, &rows.messages, &mut people, &mut report);
    let messages = messages::carry(
        rows.messages,
        rows.histories,
        rows.notifications,
        &mut people,
        &mut conversations,
        &mut report,
    );

    let mut imported = Imported { entries: Vec::new(), origins: Vec::new(), not_carried: Vec::new() };
    for (origin, user) in users {
        imported.add(origin, user.user_id.map(|id| id.0), Record::User(user));
    }
    for (origin, conversation) in conversations.records(&people) {
        imported.add(origin, conversation.conversation_id.map(|id| id.0), Record::Conversation(conversation));
    }
    for (origin, message, notifications) in messages {
        imported.add(origin.clone(), message.message_id.map(|id| id.0), Record::Message(Box::new(message)));
        for notification in notifications {
            let id = derived(&["notification", &notification.message, &notification.user]);
            imported.add(origin.clone(), Some(id), Record::Notification(notification));
        }
    }
    people.finish(&mut report);
    Ok(Imported { not_carried: report.finish(), ..imported })
}

impl Imported {
    fn add(&mut self, origin: Origin, id: Option<Uuid>, record: Record) {
        let line = self.entries.len() as u64 + 1;
        self.entries.push(Entry::new(line, id.unwrap_or_default(), record));
        self.origins.push(origin);
    }

    /// The model and primary key that the entry of a line comes from; of a notification, those of its message
    pub fn place(&self, line: u64) -> String {
        let index = usize::try_from(line).unwrap_or(usize::MAX).wrapping_sub(1);
        self.origins.get(index).map(ToString::to_string).unwrap_or_default()
    }

    /// Loads the records; existing ones are skipped.
    ///
    /// # Errors
    /// All problems of the records, found before anything is written; [`Self::place`] gives the places of their lines.
    pub fn load(&self, app: &App, actor: &Actor, on_stage: &mut dyn FnMut(Stage)) -> Outcome<Loaded> {
        let place = |line| self.place(line);
        let rules = Rules { notify: false, may_differ: false, place: &place };
        load_entries(app, actor, || Ok(self.entries.iter().cloned().map(Ok)), rules, on_stage)
    }
}
