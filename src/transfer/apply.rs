//! `data apply`: makes the database match a fixture, in one transaction. Users and groups are matched by name, direct
//! conversations by their two users, messages by key.

mod fixture;
mod lines;
mod prune;

use std::collections::{HashMap, HashSet};

use serde::Serialize;

pub use self::fixture::Fixture;
use self::prune::{Doomed, Kept};
use super::RecordProblem;
use super::existing::{ExistingConversation, ExistingRows, said_of};
use super::load::{Check, Failure, MOST_PROBLEMS, Outcome, Rules, Stage, Told, Undated, Write, hashes, transaction};
use super::records::{ConversationRecord, Entry, MessageRecord, NotificationRecord, Record, UserRecord};
use crate::app::App;
use crate::error::{self, Error, Kind};
use crate::model::{Actor, ConversationSelector, Level, MessageSelector, UserKey, UserSelector};
use crate::service::conversations::ConversationChange;
use crate::service::users::UserChange;
use crate::service::{self, messages};
use crate::store::bulk::{self, Account, MessageRow};
use crate::store::{self, Tx};

/// How a fixture is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Create notifications for new messages, as sending them would
    pub notify: bool,
    /// Delete users, conversations, participants and messages that the fixture does not contain
    pub prune: bool,
}

/// What applying a fixture does, or would do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// In the order in which they are made
    pub changes: Vec<PlannedChange>,
    /// The number of records that match already
    pub unchanged: u64,
    /// The number of messages that pruning deletes, including those of deleted users and conversations
    pub messages_removed: u64,
    /// How many of the new messages are older than one before them in their conversation
    pub older: u64,
}

impl Plan {
    /// How many changes are of that kind
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    fn note(&mut self, action: Action, kind: &'static str, name: &str, fields: Vec<&'static str>) {
        self.changes.push(PlannedChange { action, kind, name: name.to_owned(), fields });
    }
}

/// A planned change of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedChange {
    pub action: Action,
    /// The type of the record
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its name in the fixture, or for what is deleted in the database
    pub name: String,
    /// What is changed of it
    pub fields: Vec<&'static str>,
}

/// The kind of a planned change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Created,
    Changed,
    Removed,
}

/// A fixture that was checked against the database, with the hashes of its new passwords.
pub struct Checked {
    fixture: Fixture,
    hashes: HashMap<u64, String>,
}

impl Checked {
    /// The place of a record: `FILE:LINE`
    pub fn place(&self, place: u64) -> String {
        self.fixture.place(place)
    }
}

/// Checks a fixture, and hashes its passwords before there is a transaction.
///
/// # Errors
/// Every problem of the fixture.
pub fn check(
    app: &App,
    fixture: Fixture,
    mut problems: Vec<RecordProblem>,
    options: Options,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<Checked, Box<(Fixture, Failure)>> {
    let checked = (|| {
        let place = |line: u64| fixture.place(line);
        let mut check = app.read(|tx| {
            let mut check = Check::new(Rules { notify: options.notify, may_differ: true, place: &place })?;
            let (existing, _) = settled(tx, &fixture.entries, options)?;
            check.go_on_beside(tx, &existing, &fixture.entries)?;
            check.end()?;
            Ok(check)
        })?;
        if options.prune && fixture.entries.is_empty() && problems.is_empty() {
            let detail = "The fixture has no records; pruning would remove everybody and everything.";
            return Err(Error::invalid("prune", detail).hint("To start from scratch, use a new database.").into());
        }
        problems.append(&mut check.problems);
        problems.extend(fixture.entries.iter().filter_map(nameless));
        problems.sort_by_key(|problem| problem.line);
        problems.truncate(MOST_PROBLEMS);
        if problems.is_empty() { Ok(hashes(check.passwords, on_stage)?) } else { Err(Failure::Problems(problems)) }
    })();
    match checked {
        Ok(hashes) => Ok(Checked { fixture, hashes }),
        Err(failure) => Err(Box::new((fixture, failure))),
    }
}

/// Refuses a record that would be another one each time.
fn nameless(entry: &Entry) -> Option<RecordProblem> {
    let detail = match &entry.record {
        Record::Message(message) if message.key.is_none() && message.message_id.is_none() => {
            "The message has no key; applying the fixture again would not find it."
        }
        Record::Conversation(conversation)
            if conversation.names().0.is_none()
                && conversation.conversation_id.is_none()
                && conversation.kind_or_usual() == crate::model::Kind::Group =>
        {
            "The group has neither name nor id; applying the fixture again would not find it."
        }
        _ => return None,
    };
    Some(RecordProblem::new(entry.line, Kind::Invalid, detail))
}

/// Applies the fixture; a trial is rolled back.
///
/// # Errors
/// A problem for each record that differs from the database and cannot be changed.
pub fn apply(app: &App, actor: &Actor, checked: &Checked, options: Options, is_trial: bool) -> Outcome<Plan> {
    transaction(app, is_trial, |tx| {
        let (undated, told) = (Undated::new(), Told::new());
        let mut apply = Apply { tx, actor, checked, options, undated, told, plan: Plan::default() };
        let entries = &checked.fixture.entries;
        let doomed = give_away(apply.tx, entries, options)?;
        // What a record refers to is called as the fixture calls it, wherever that stands.
        for kind in ["user", "conversation", "message", "notification"] {
            let entries: Vec<Entry> = entries.iter().filter(|entry| entry.record.kind() == kind).cloned().collect();
            apply.records(&entries)?;
        }
        if options.prune {
            prune::prune(apply.tx, actor, entries, &doomed, &mut apply.plan)?;
        }
        Ok(apply.plan)
    })
}

/// What the database knows of what the records name, called as they call it; and what has no place beside them
fn settled(tx: &mut Tx<'_>, entries: &[Entry], options: Options) -> error::Result<(ExistingRows, Doomed)> {
    let mut existing = ExistingRows::find(tx, entries)?;
    existing.settle(tx, entries)?;
    let mut doomed = Doomed::default();
    if options.prune {
        let kept = Kept::find(tx, &existing, entries)?;
        let is_gone = |user: &UserKey| !kept.users.contains(user);
        doomed.users.extend(existing.settled.usernames.give_up(is_gone));
        doomed.users.extend(existing.settled.emails.give_up(is_gone));
        doomed.conversations.extend(existing.settled.names.give_up(|place| !kept.conversations.contains(place)));
    }
    Ok((existing, doomed))
}

/// Frees the usernames, emails and names that another gets: all of them are given away before the first is taken.
fn give_away(tx: &mut Tx<'_>, entries: &[Entry], options: Options) -> error::Result<Doomed> {
    let (existing, doomed) = settled(tx, entries, options)?;
    bulk::free_usernames(tx, &existing.settled.usernames.given)?;
    bulk::free_emails(tx, &existing.settled.emails.given)?;
    bulk::free_names(tx, &existing.settled.names.given)?;
    Ok(doomed)
}

/// A fixture on its way into the database
struct Apply<'a, 't, 'c> {
    tx: &'t mut Tx<'c>,
    actor: &'a Actor,
    checked: &'a Checked,
    options: Options,
    undated: Undated,
    told: Told,
    plan: Plan,
}

impl Apply<'_, '_, '_> {
    /// Applies records of one kind: new ones together, each of the others by the service that changes it.
    fn records(&mut self, entries: &[Entry]) -> Outcome<()> {
        let mut existing = ExistingRows::find(self.tx, entries)?;
        existing.settle(self.tx, entries)?;
        let mut new: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        for entry in entries {
            let refused = |failure| at_line(entry.line, failure);
            let (name, fields) = match &entry.record {
                Record::User(record) => (
                    record.username.clone(),
                    existing.user_of(entry, record).map(|there| self.user(entry, record, there)),
                ),
                Record::Conversation(record) => {
                    let there = existing.conversation_of(entry, record);
                    (record.called(), there.map(|there| self.conversation(entry, &existing, record, there)))
                }
                Record::Message(record) => {
                    let there = existing.message_of(entry, record);
                    (record.called(), there.map(|there| self.message(entry, &existing, record, there)))
                }
                Record::Notification(record) => {
                    let message = existing.message(&record.message).zip(existing.user(&record.user));
                    let there = message
                        .and_then(|(message, user)| Some((message, user, existing.notified(message.key, user)?)));
                    let name = format!("{} of {}", record.user, record.message);
                    (name, there.map(|(message, _, is_read)| self.notification(record, message, is_read)))
                }
            };
            match fields.transpose().map_err(refused)? {
                // The same record again is the same thing.
                None if !seen.insert(entry.id) => {}
                None => {
                    self.plan.note(Action::Created, entry.record.kind(), &name, Vec::new());
                    let mut entry = entry.clone();
                    if let Record::Conversation(record) = &entry.record
                        && existing.has_id_of(&entry, record)
                    {
                        // A group had the name before, and has another now.
                        entry.id = self.tx.new_id()?;
                    }
                    new.push(entry);
                }
                Some(fields) if fields.is_empty() => self.plan.unchanged += 1,
                Some(fields) => self.plan.note(Action::Changed, entry.record.kind(), &name, fields),
            }
        }
        let write =
            Write { actor: self.actor, notify: self.options.notify, hashes: &self.checked.hashes, is_alone: false };
        self.plan.older += write.records(self.tx, &mut self.undated, &mut self.told, &new)?.older;
        Ok(())
    }

    fn user(&mut self, entry: &Entry, record: &UserRecord, account: &Account) -> Outcome<Vec<&'static str>> {
        let mut fields = ExistingRows::user_differences(record, account);
        must_be_changeable(entry, &fields, &["user_id", "created_at"])?;
        let hash = self.checked.hashes.get(&entry.line).or(record.password_hash.as_ref());
        let selector = UserSelector::Id(account.user.person.user_id);
        let differs = |field: &str| fields.contains(&field);
        if differs("password_hash") || self.checked.hashes.contains_key(&entry.line) {
            service::users::set_password(self.tx, self.actor, &selector, hash.map(String::as_str))?;
        }
        if ["username", "email", "first_name", "last_name", "role"].into_iter().any(differs) {
            let change = UserChange {
                username: Some(record.username.clone()),
                email: record.email.clone(),
                first_name: record.first_name.clone(),
                last_name: record.last_name.clone(),
                role: record.role,
                ..UserChange::default()
            };
            service::users::update(self.tx, self.actor, &selector, &change)?;
        }
        if let Some(is_active) = record.is_active.filter(|_| differs("is_active")) {
            service::users::set_active(self.tx, self.actor, &selector, is_active)?;
        }
        if self.checked.hashes.contains_key(&entry.line) {
            fields.push("password");
        }
        Ok(fields)
    }

    fn conversation(
        &mut self,
        entry: &Entry,
        existing: &ExistingRows,
        record: &ConversationRecord,
        place: &ExistingConversation,
    ) -> Outcome<Vec<&'static str>> {
        let mut fields = existing.conversation_differences(record, place);
        must_be_changeable(entry, &fields, &["conversation_id", "kind", "creator", "created_at"])?;
        let selector = ConversationSelector::Id(place.conversation.id);
        if fields.contains(&"name") || fields.contains(&"title") {
            let change = ConversationChange { name: record.name.clone(), title: record.title.clone() };
            service::conversations::update(self.tx, self.actor, &selector, &change)?;
        }
        if fields.contains(&"participants") && !self.participants(existing, record, place, &selector)? {
            fields.retain(|field| *field != "participants");
        }
        Ok(fields)
    }

    /// Lets those who are named take part, with their levels, and where the fixture is to be all there is nobody else; says
    /// whether anything changed.
    fn participants(
        &mut self,
        existing: &ExistingRows,
        record: &ConversationRecord,
        place: &ExistingConversation,
        selector: &ConversationSelector,
    ) -> Outcome<bool> {
        let there: HashMap<UserKey, Level> = existing.participants(place.conversation.key).collect();
        let mut is_changed = false;
        let mut named = HashSet::new();
        for participant in &record.participants {
            let Some(user) = existing.user(participant.user()) else { continue };
            named.insert(user);
            let who = UserSelector::from(participant.user().to_owned());
            if !there.contains_key(&user) {
                service::conversations::add(self.tx, self.actor, selector, std::slice::from_ref(&who))?;
                is_changed = true;
            }
            if there.get(&user).copied().unwrap_or(Level::All) != participant.level() {
                service::conversations::set_level_of(self.tx, self.actor, &who, selector, participant.level())?;
                is_changed = true;
            }
        }
        if self.options.prune {
            let others = store::users::people(self.tx, there.into_keys().filter(|user| !named.contains(user)))?;
            let others: Vec<UserSelector> =
                others.into_values().map(|person| UserSelector::Id(person.user_id)).collect();
            for others in others.chunks(service::MOST_NAMED) {
                service::conversations::remove(self.tx, self.actor, selector, others)?;
                is_changed = true;
            }
        }
        Ok(is_changed)
    }

    fn message(
        &mut self,
        entry: &Entry,
        existing: &ExistingRows,
        record: &MessageRecord,
        message: &MessageRow,
    ) -> Outcome<Vec<&'static str>> {
        let fields = existing.message_differences(record, message);
        let fixed =
            ["message_id", "key", "conversation", "number", "sender", "receiver", "reply_to", "timestamp", "deleted"];
        must_be_changeable(entry, &fields, &fixed)?;
        if !fields.contains(&"content") {
            must_keep_history(entry, existing, record, message)?;
            return Ok(Vec::new());
        }
        let last = record.revisions.last();
        let editor = match last.and_then(|revision| revision.edited_by.as_ref()).or(record.sender.as_ref()) {
            Some(editor) => Actor::User(service::user(self.tx, self.actor, &UserSelector::from(editor.clone()))?),
            None => self.actor.clone(),
        };
        let change = messages::MessageEdit {
            content: record.content.clone(),
            reason: last.and_then(|revision| revision.reason.clone()),
            if_revision: None,
        };
        let selector = MessageSelector::Id(message.id);
        match messages::edit(self.tx, &editor, &selector, &change) {
            // Nobody but its sender edits a message, who takes part; the operator edits any.
            Err(error) if matches!(error.kind(), Kind::Forbidden | Kind::NotFound) => {
                messages::edit(self.tx, self.actor, &selector, &change)?;
            }
            edited => drop(edited?),
        }
        let existing = ExistingRows::find(self.tx, std::slice::from_ref(entry))?;
        if let Some(message) = existing.message_of(entry, record) {
            must_keep_history(entry, &existing, record, message)?;
        }
        Ok(vec!["content"])
    }

    fn notification(
        &mut self,
        record: &NotificationRecord,
        message: &MessageRow,
        is_read: bool,
    ) -> Outcome<Vec<&'static str>> {
        if is_read == record.is_read {
            return Ok(Vec::new());
        }
        let selector = [MessageSelector::Id(message.id)];
        let named = UserSelector::from(record.user.clone());
        let owner = service::notifications::owner(self.tx, self.actor, Some(&named))?;
        service::notifications::set_read(self.tx, self.actor, &owner, &selector, record.is_read)?;
        Ok(vec!["is_read"])
    }
}

/// Refuses what a record says otherwise than what is there, where that stays as it is.
fn must_be_changeable(entry: &Entry, fields: &[&'static str], fixed: &[&str]) -> Outcome<()> {
    let different: Vec<&str> = fields.iter().filter(|field| fixed.contains(field)).copied().collect();
    if different.is_empty() {
        return Ok(());
    }
    let detail = format!("{} That cannot be changed.", said_of("It", &different));
    Err(RecordProblem::new(entry.line, Kind::Conflict, detail).into())
}

/// Refuses revisions that a message does not have: what was said stays said. Others may have come behind them.
fn must_keep_history(
    entry: &Entry,
    existing: &ExistingRows,
    record: &MessageRecord,
    message: &MessageRow,
) -> Outcome<()> {
    if existing.keeps_history(record, message) {
        return Ok(());
    }
    let detail = "It is there already, and its earlier contents are not these. They cannot be changed.";
    Err(RecordProblem::new(entry.line, Kind::Conflict, detail).into())
}

/// Says at which line a rule refused.
fn at_line(line: u64, failure: Failure) -> Failure {
    match failure {
        Failure::Error(error)
            if matches!(error.kind(), Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Forbidden) =>
        {
            RecordProblem::new(line, error.kind(), error.to_string()).into()
        }
        failure => failure,
    }
}
