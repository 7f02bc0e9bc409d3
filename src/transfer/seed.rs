//! Believable data, made up from numbers: the same plan gives the same entries on every machine, for ever.
//!
//! Each thing is drawn from a stream of its own: more users or conversations extend what fewer give (who takes part in what
//! depends on how many users there are), and the number of messages changes none of them.

mod calendar;
mod chance;
mod conversations;
mod messages;
mod people;
#[cfg(test)]
mod tests;
mod texts;
mod words;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};

use self::conversations::Conversation;
use self::messages::Messages;
use self::people::{Names, Person};
use super::Tally;
use super::load::{Loaded, Outcome, Write, write_all};
use super::records::{Entry, Record};
use crate::app::App;
use crate::error::{Error, Result};
use crate::model::{Actor, Choice, Timestamp};
use crate::store::bulk;

/// What to make up.
#[derive(Clone, Debug)]
pub struct Plan {
    pub users: u32,
    pub conversations: u32,
    pub messages: u64,
    /// The fewest and the most participants of a group, never more than there are users
    pub group_size: (u32, u32),
    /// How many percent of the conversations are direct
    pub direct: u8,
    /// How many percent of the messages are replies
    pub replies: u8,
    /// How many percent of the messages were edited
    pub edits: u8,
    /// About how many percent of the notifications are read
    pub read: u8,
    /// How far back everything reaches, in seconds; in the first tenth users come, then messages are sent
    pub span: u64,
    pub language: Language,
    /// Decides what chance decides; another than 0 stands behind every name, so that several fit into one database
    pub seed: u64,
    pub now: Timestamp,
}

impl Default for Plan {
    /// A company's chat of three months, up to the beginning of 2026
    fn default() -> Self {
        Self {
            users: 100,
            conversations: 50,
            messages: 10_000,
            group_size: (3, 12),
            direct: 40,
            replies: 20,
            edits: 4,
            read: 90,
            span: 90 * 24 * 60 * 60,
            language: Language::English,
            seed: 0,
            now: Timestamp(1_767_225_600_000_000),
        }
    }
}

/// The language of names and texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    German,
    Spanish,
    French,
    Japanese,
}

impl Choice for Language {
    const ALL: &'static [Self] = &[Self::English, Self::German, Self::Spanish, Self::French, Self::Japanese];

    fn word(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Spanish => "es",
            Self::French => "fr",
            Self::Japanese => "ja",
        }
    }

    fn code(self) -> i64 {
        self as i64
    }
}

/// Creates the data of a plan; existing rows are skipped. `on_progress` is called with the number of messages written.
///
/// # Errors
/// `Invalid` for an impossible plan, a problem if existing data differs.
pub fn seed(app: &App, actor: &Actor, plan: &Plan, on_progress: &mut dyn FnMut(u64)) -> Outcome<Loaded> {
    // A dry run writes, and takes back, what could meet what is there; the messages are only counted.
    let is_trial = app.is_dry_run();
    let at_once = is_trial || app.read(bulk::is_empty)?;
    let count = RefCell::new(Tally::default());
    let made_up = || {
        *count.borrow_mut() = Tally::default();
        let counted = entries(plan)?.inspect(|entry| count.borrow_mut().count(&entry.record));
        let is_wanted =
            move |entry: &Entry| !is_trial || matches!(entry.record, Record::User(_) | Record::Conversation(_));
        Ok(counted.filter(is_wanted).map(Ok))
    };
    let write = Write { actor, notify: false, hashes: &HashMap::new(), is_alone: at_once };
    let written = write_all(app, &write, made_up, &mut |_| on_progress(count.borrow().messages))?;
    let all = count.into_inner();
    if is_trial {
        let Tally { messages, notifications, .. } = all;
        let created = Tally { messages, notifications, ..written };
        return Ok(Loaded { created, skipped: all.users + all.conversations - written.total() });
    }
    Ok(Loaded { created: written, skipped: all.total() - written.total() })
}

impl Plan {
    /// When everything begins
    fn start(&self) -> Timestamp {
        self.before_now(self.span.saturating_mul(1_000_000))
    }

    /// When the first conversations begin
    fn first_conversations(&self) -> Timestamp {
        self.before_now(self.span.saturating_mul(920_000))
    }

    /// From when on messages are sent
    fn first_messages(&self) -> Timestamp {
        self.before_now(self.span.saturating_mul(900_000))
    }

    fn before_now(&self, microseconds: u64) -> Timestamp {
        Timestamp(self.now.0.saturating_sub_unsigned(microseconds))
    }

    /// Checks that the numbers fit each other.
    ///
    /// # Errors
    /// `Invalid`, naming the field that does not fit the others.
    pub fn check(&self) -> Result<()> {
        let refuse = |field, detail: String| Err(Error::invalid(field, detail));
        let (fewest, most) = self.group_size;
        let direct = conversations::direct(self, self.conversations);
        let pairs = conversations::pairs(self.users);
        let rates = [("direct", self.direct), ("replies", self.replies), ("edits", self.edits), ("read", self.read)];
        if let Some((field, rate)) = rates.into_iter().find(|(_, rate)| *rate > 100) {
            refuse(field, format!("The rate “{field}” is {rate} per cent; it is at most 100."))
        } else if fewest < 2 || fewest > most {
            refuse("group_size", format!("A group of {fewest} to {most} people is impossible; it has at least 2."))
        } else if self.messages > 0 && self.conversations == 0 {
            refuse("messages", "Messages need a conversation.".to_owned())
        } else if direct > pairs {
            let users = self.users;
            let detail = format!(
                "Two people have one direct conversation at most; among {users} there can be {pairs}, not {direct}."
            );
            refuse("conversations", detail)
        } else if u64::from(self.conversations) > direct && fewest > self.users {
            refuse("group_size", format!("A group of {fewest} needs more users than {}.", self.users))
        } else if self.span == 0 || self.start().0 < 0 {
            refuse("span", "The time span is empty, or reaches back before 1970.".to_owned())
        } else {
            Ok(())
        }
    }
}

/// Returns users, then conversations, then messages in the order of time, each followed by its notifications. Memory
/// grows with users and conversations, not with messages.
///
/// # Errors
/// `Invalid`, naming the field of the plan that does not fit the others.
pub fn entries(plan: &Plan) -> Result<impl Iterator<Item = Entry> + use<>> {
    plan.check()?;
    Ok(Entries {
        plan: plan.clone(),
        line: 0,
        usernames: Names::new(plan.seed, ""),
        people: Vec::new(),
        group_names: Names::new(plan.seed, "-"),
        conversations: Vec::new(),
        messages: None,
        sent: 0,
        notifications: VecDeque::new(),
    })
}

struct Entries {
    plan: Plan,
    line: u64,
    usernames: Names,
    people: Vec<Person>,
    group_names: Names,
    conversations: Vec<Conversation>,
    /// From the first message on
    messages: Option<Messages>,
    sent: u64,
    /// Those of the last message that are still to come
    notifications: VecDeque<Entry>,
}

impl Entries {
    fn entry(&mut self, id: uuid::Uuid, record: Record) -> Entry {
        self.line += 1;
        Entry::new(self.line, id, record)
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if let Some(entry) = self.notifications.pop_front() {
            return Some(entry);
        }
        let plan = &self.plan;
        let number = u32::try_from(self.people.len()).ok()?;
        if number < plan.users {
            let (id, record, person) = people::user(plan, number, plan.first_conversations(), &mut self.usernames);
            self.people.push(person);
            return Some(self.entry(id.0, Record::User(record)));
        }
        let number = u32::try_from(self.conversations.len()).ok()?;
        if number < plan.conversations {
            let times = (plan.first_conversations(), plan.first_messages());
            let (id, record, conversation) =
                conversations::conversation(plan, number, times, &self.people, &mut self.group_names);
            self.conversations.push(conversation);
            return Some(self.entry(id.0, Record::Conversation(record)));
        }
        if self.sent == plan.messages {
            return None;
        }
        let begin = || Messages::new(plan, plan.first_messages(), &self.conversations);
        let sent = self.messages.get_or_insert_with(begin).send(plan, self.sent, &self.people, &mut self.conversations);
        self.sent += 1;
        let entry = self.entry(sent.id.0, Record::Message(Box::new(sent.record)));
        for notification in sent.notifications {
            let entry = self.entry(sent.id.0, Record::Notification(notification));
            self.notifications.push_back(entry);
        }
        Some(entry)
    }
}
