//! Checks records: each by itself, against those before it, and against the database.

mod messages;

use std::collections::{HashMap, HashSet};

use crate::error::{Kind, Result};
use crate::model::{
    ConversationKey, Kind as ConversationKind, Number, Role, UserDetails, UserId, UserKey, fold_case, normalize,
};
use crate::service;
use crate::service::rules::{self, pair};
use crate::store::scratch::{Scratch, SeenRecord};
use crate::store::{Tx, bulk};
use crate::transfer::existing::{
    ConversationName, ExistingConversation, ExistingRows, UserName, conversation_name, said_of, user_name,
};
use crate::transfer::load::Passwords;
use crate::transfer::records::{ConversationRecord, Entry, Record, UserRecord};
use crate::transfer::{RecordProblem, Tally, quoted};

/// More problems are not shown: with these it is the source of the file that needs a look.
pub const MOST_PROBLEMS: usize = 1000;

/// How many names are kept at hand
const MOST_AT_HAND: usize = 20_000;

/// Something the records name: a row that is there by its key, one that is to come by its line, below zero.
type Identity = i64;

fn of_line(line: u64) -> Identity {
    i64::try_from(line).map_or(Identity::MIN, |line| -line)
}

/// What is kept of a record that is no message.
fn seen(line: u64, identity: Identity, content_hash: i64) -> SeenRecord {
    let line = i64::try_from(line).unwrap_or(i64::MAX);
    SeenRecord { line, identity, content_hash, conversation: 0, sender: 0, number: 0 }
}

/// A conversation: which, of a direct one its two people, and the highest number it gave out here
#[derive(Clone, Copy)]
struct Where {
    place: Identity,
    pair: Option<(Identity, Identity)>,
    last_number: i64,
}

/// Somebody who is to be notified, of a message in a conversation that is there: only the database knows whether they
/// take part
struct Notified {
    line: u64,
    conversation: ConversationKey,
    user: UserKey,
    name: String,
}

/// How records are checked.
#[derive(Clone, Copy)]
pub(in crate::transfer) struct Rules<'r> {
    /// Everybody whom a message concerns will be notified
    pub(in crate::transfer) notify: bool,
    /// What is there may differ from the records
    pub(in crate::transfer) may_differ: bool,
    /// What people call the line of a record
    pub(in crate::transfer) place: &'r dyn Fn(u64) -> String,
}

/// Checks records in their order, in bounded memory.
pub(in crate::transfer) struct Check<'r> {
    rules: Rules<'r>,
    scratch: Scratch,
    /// Users that were named lately
    at_hand: HashMap<String, Identity>,
    /// Tombstones that no reply was seen of, and their lines
    unreplied: HashMap<Identity, u64>,
    /// Parents that were not there, the lines that name them and the place of the problem
    missing: Vec<(String, usize)>,
    notified: Vec<Notified>,
    pub(in crate::transfer) problems: Vec<RecordProblem>,
    /// Passwords to be hashed, by the lines they stand on, each with the hash that it may have already
    pub(in crate::transfer) passwords: Passwords,
    /// How many records are there already
    pub(super) there: u64,
}

impl<'r> Check<'r> {
    pub(in crate::transfer) fn new(rules: Rules<'r>) -> Result<Self> {
        Ok(Self {
            rules,
            scratch: Scratch::new()?,
            at_hand: HashMap::new(),
            unreplied: HashMap::new(),
            missing: Vec::new(),
            notified: Vec::new(),
            problems: Vec::new(),
            passwords: Passwords::new(),
            there: 0,
        })
    }

    /// Whether there are more problems than anybody wants to read
    pub(super) fn is_hopeless(&self) -> bool {
        self.problems.len() >= MOST_PROBLEMS
    }

    /// Checks the next records beside what is there, all in one transaction: else what was new in earlier records could be
    /// there by now. Returns how many of each kind are not there.
    pub(super) fn go_on(&mut self, tx: &mut Tx<'_>, is_empty: bool, entries: &[Entry]) -> Result<Tally> {
        let existing = if is_empty { ExistingRows::default() } else { ExistingRows::find(tx, entries)? };
        self.go_on_beside(tx, &existing, entries)
    }

    /// As [`Self::go_on`], beside what is known to be there.
    pub(in crate::transfer) fn go_on_beside(
        &mut self,
        tx: &mut Tx<'_>,
        existing: &ExistingRows,
        entries: &[Entry],
    ) -> Result<Tally> {
        let mut new = Tally::default();
        for entry in entries {
            let is_there = match &entry.record {
                Record::User(record) => self.user(existing, entry, record)?,
                Record::Conversation(record) => self.conversation(existing, entry, record)?,
                Record::Message(record) => self.message(existing, entry, record)?,
                Record::Notification(record) => self.notification(existing, entry, record)?,
            };
            if is_there {
                self.there += 1;
            } else {
                new.count(&entry.record);
            }
        }
        let notified = std::mem::take(&mut self.notified);
        if !notified.is_empty() {
            let pairs: Vec<_> = notified.iter().map(|one| (one.conversation, one.user)).collect();
            let found: HashSet<_> = bulk::participating(tx, &pairs)?.into_iter().collect();
            for one in notified.iter().filter(|one| !found.contains(&(one.conversation, one.user))) {
                self.takes_no_part(one.line, &one.name);
            }
        }
        Ok(new)
    }

    /// Notes what only the end of the records shows.
    pub(in crate::transfer) fn end(&mut self) -> Result<()> {
        for (parent, problem) in std::mem::take(&mut self.missing) {
            if let Some(seen) = self.message_in_file(&parent)? {
                let later = (self.rules.place)(seen.line.unsigned_abs());
                self.problems[problem].detail = format!(
                    "It refers to {}, which comes later ({later}): a message stands before what refers to it, so none \
                     replies to itself, directly or by others.",
                    quoted(&parent)
                );
            }
        }
        let mut lines: Vec<u64> = self.unreplied.values().copied().collect();
        lines.sort_unstable();
        for line in lines {
            self.invalid(line, "The message was deleted, but no reply follows that would keep its place.");
        }
        self.problems.sort_by_key(|problem| problem.line);
        Ok(())
    }

    /// Notes a problem, unless there are enough.
    fn problem(&mut self, line: u64, kind: Kind, detail: impl Into<String>) {
        if !self.is_hopeless() {
            self.problems.push(RecordProblem::new(line, kind, detail));
        }
    }

    fn invalid(&mut self, line: u64, detail: impl Into<String>) {
        self.problem(line, Kind::Invalid, detail);
    }

    /// Notes what a rule says of a record; false where it refuses.
    fn passes<T>(&mut self, line: u64, checked: Result<T>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(line, error.kind(), error.to_string());
                None
            }
        }
    }

    /// Notes a name in the file; none where it is new, else whether the same record stood on an earlier line.
    fn note(&mut self, what: &str, name: &[u8], seen: SeenRecord) -> Result<Option<bool>> {
        let Some(earlier) = self.scratch.add(name, seen)? else { return Ok(None) };
        if earlier.line != seen.line && earlier.content_hash == seen.content_hash {
            return Ok(Some(true));
        }
        let earlier = (self.rules.place)(earlier.line.unsigned_abs());
        self.invalid(seen.line.unsigned_abs(), format!("{what} is on {earlier} already."));
        Ok(Some(false))
    }

    /// Says in what a record differs from the row that is there, or that an earlier one is the same row by another name;
    /// true where neither is so.
    fn is_same(&mut self, what: &str, kind: u8, seen: SeenRecord, differences: &[&str]) -> Result<bool> {
        if self.rules.may_differ {
            return Ok(self.note(what, &number_name(b'r', seen.identity, kind.into()), seen)? != Some(false));
        }
        if !differences.is_empty() {
            self.problem(seen.line.unsigned_abs(), Kind::Conflict, said_of(what, differences));
        }
        Ok(differences.is_empty())
    }

    fn user(&mut self, existing: &ExistingRows, entry: &Entry, record: &UserRecord) -> Result<bool> {
        let line = entry.line;
        let details = UserDetails {
            username: record.username.clone(),
            email: record.email.clone(),
            first_name: record.first_name.clone().unwrap_or_default(),
            last_name: record.last_name.clone().unwrap_or_default(),
            role: record.role.unwrap_or(Role::User),
        };
        let there = existing.user_of(entry, record);
        // A record with an id brings back who had the name.
        let is_kept = match there {
            Some(account) => account.user.person.username == normalize(&details.username),
            None => record.user_id.is_some(),
        };
        let checked = if is_kept {
            service::users::check_kept_details(&details)
        } else {
            service::users::check_details(&details)
        };
        let Some(details) = self.passes(line, checked) else { return Ok(false) };
        let what = format!("The username {}, whatever its case,", quoted(&details.username));
        let identity = there.map_or(of_line(line), |account| account.user.person.key.0);
        let seen = seen(line, identity, entry.content);
        if let Some(is_there) = self.note(&what, &name(b'u', fold_case(&details.username).as_bytes()), seen)? {
            return Ok(is_there);
        }
        // Beside a row whose id was made from the username that it had, a new one gets another.
        if record.user_id.is_some() || there.is_none() && !self.rules.may_differ {
            let id = record.user_id.unwrap_or(UserId(entry.id));
            self.note(&format!("The id {id}"), &name(b'U', id.0.as_bytes()), seen)?;
        }
        if let Some(other) = existing.holder_of_username(&details.username) {
            let detail = format!("The username “{}” is that of {}.", other.username, other.user_id);
            self.problem(line, Kind::Conflict, detail);
        }
        if let Some(email) = &details.email {
            self.note(&format!("The email {email}"), &name(b'e', fold_case(email).as_bytes()), seen)?;
            let owner = existing.user_with_email(email).filter(|owner| owner.0 != identity);
            if let Some(owner) = owner.and_then(|owner| existing.account(owner)) {
                let detail = format!("The email {email} is that of {}.", owner.user.person.username);
                self.problem(line, Kind::Conflict, detail);
            }
        }
        if there.is_none() || self.rules.may_differ {
            let hash = there.and_then(|account| account.password_hash.clone());
            self.password(line, record, &details.username, hash);
        }
        if let Some(account) = there {
            let what = format!("The user “{}”", account.user.person.username);
            return self.is_same(&what, b'u', seen, &ExistingRows::user_differences(record, account));
        }
        Ok(false)
    }

    fn password(&mut self, line: u64, record: &UserRecord, username: &str, hash: Option<String>) {
        match (&record.password, &record.password_hash) {
            (Some(_), Some(_)) => self.invalid(line, "It has both a password and a password hash; one is enough."),
            (Some(password), None) => {
                if self.passes(line, service::passwords::check(password, username)).is_some() {
                    self.passwords.insert(line, (password.clone(), hash));
                }
            }
            (None, Some(hash)) => drop(self.passes(line, service::passwords::check_hash(hash))),
            (None, None) => {}
        }
    }

    /// Finds a user that a record refers to; a problem if they do not exist.
    fn find_user(&mut self, existing: &ExistingRows, line: u64, reference: &str) -> Result<Option<Identity>> {
        if let Some(identity) = self.at_hand.get(reference) {
            return Ok(Some(*identity));
        }
        let found = match existing.user(reference) {
            Some(UserKey(key)) => Some(key),
            None => match user_name(reference) {
                UserName::Id(id) => self.scratch.find(&name(b'U', id.0.as_bytes()))?,
                UserName::Name(folded) => match self.scratch.find(&name(b'u', folded.as_bytes()))? {
                    None if folded.contains('@') => self.scratch.find(&name(b'e', folded.as_bytes()))?,
                    found => found,
                },
            }
            .map(|seen| seen.identity),
        };
        match found {
            Some(identity) => {
                if self.at_hand.len() >= MOST_AT_HAND {
                    self.at_hand.clear();
                }
                self.at_hand.insert(reference.to_owned(), identity);
            }
            None => self.invalid(
                line,
                format!("There is no user {} in the database or in earlier records.", quoted(reference)),
            ),
        }
        Ok(found)
    }

    fn conversation(&mut self, existing: &ExistingRows, entry: &Entry, record: &ConversationRecord) -> Result<bool> {
        let line = entry.line;
        let checked = service::conversations::check_names(record.name.as_deref(), record.title.as_deref());
        let Some((group_name, _)) = self.passes(line, checked) else { return Ok(false) };
        let there = existing.conversation_of(entry, record);
        let mut people = Vec::with_capacity(record.participants.len());
        let mut named = HashSet::new();
        for participant in &record.participants {
            if let Some(person) = self.find_user(existing, line, participant.user())? {
                people.push(person);
                if !named.insert(person) {
                    let name = quoted(participant.user());
                    self.invalid(line, format!("{name} is listed twice among the participants."));
                }
            }
        }
        let creator = match &record.creator {
            Some(creator) => self.find_user(existing, line, creator)?,
            None => None,
        };
        let kind = record.kind.or_else(|| there.map(|place| place.conversation.kind));
        let kind = kind.unwrap_or_else(|| record.kind_or_usual());
        let is_direct = kind == ConversationKind::Direct;
        // A group that is brought back may have been left by all but one.
        let is_left = !is_direct && record.kind.is_some() && people.len() == 1;
        if !is_left
            && self.passes(line, rules::check_people(kind, people.len(), record.has_names())).is_none()
            && is_direct
        {
            return Ok(false);
        }
        if is_direct && creator.is_some_and(|creator| !people.contains(&creator)) {
            self.invalid(line, "A direct conversation is created by one of its two people, or by the operator.");
        }
        if record.created_at.zip(record.active_at).is_some_and(|(created_at, active_at)| active_at < created_at) {
            self.invalid(line, "It was active before it was created.");
        }
        if record.last_number.is_some_and(|number| !(0..=Number::HIGHEST).contains(&number.0)) {
            self.invalid(line, format!("The highest number is 0 to {}.", Number::HIGHEST));
        }
        let identity = there.map_or(of_line(line), |place| place.conversation.key.0);
        let what = group_name.map_or("The conversation".to_owned(), |name| format!("The conversation “{name}”"));
        let seen = seen(line, identity, entry.content);
        let is_made = record.conversation_id.is_none() && self.rules.may_differ;
        if !is_made && let Some(is_there) = self.note(&what, &name(b'C', record.id(entry).0.as_bytes()), seen)? {
            return Ok(is_there);
        }
        if let Some(other) = group_name.and_then(|group_name| existing.holder_of_name(group_name)) {
            self.problem(line, Kind::Conflict, format!("{what} is there already, with the id {}.", other.id));
        }
        if let Some(group_name) = group_name
            && let Some(is_there) = self.note(&what, &name(b'c', fold_case(group_name).as_bytes()), seen)?
        {
            return Ok(is_there);
        }
        let pair = is_direct.then(|| pair(people[0], people[1]));
        if let Some(pair) = pair {
            if let Some(is_there) = self.note("The conversation of the two", &pair_name(pair), seen)? {
                return Ok(is_there);
            }
            self.scratch.add_pair(&number_name(b'd', identity, 0), pair)?;
        }
        for person in people {
            // That there is a number says that they take part.
            self.scratch.raise(&number_name(b'm', identity, person), 0)?;
        }
        self.scratch.raise(&number_name(b'h', identity, 0), record.last_number.map_or(0, |number| number.0))?;
        let Some(place) = there else { return Ok(false) };
        self.is_same(&what, b'c', seen, &existing.conversation_differences(record, place))
    }

    /// Finds the conversation of a message; a problem if it does not exist.
    fn find_conversation(
        &mut self,
        existing: &ExistingRows,
        line: u64,
        reference: &str,
        sender: Option<Identity>,
    ) -> Result<Option<Where>> {
        let of_place = |place: &ExistingConversation| Where {
            place: place.conversation.key.0,
            pair: place.conversation.pair.map(|(lower, higher)| (lower.0, higher.0)),
            last_number: place.last_number.0,
        };
        let sender_key = sender.filter(|sender| *sender > 0).map(UserKey);
        if let Some(place) = existing.conversation(reference, sender_key) {
            return Ok(Some(of_place(place)));
        }
        let seen = match (conversation_name(reference), sender) {
            (ConversationName::Id(id), _) => self.scratch.find(&name(b'C', id.0.as_bytes()))?,
            (ConversationName::Name(folded), _) => self.scratch.find(&name(b'c', folded.as_bytes()))?,
            (ConversationName::With(user), Some(sender)) => match self.find_user(existing, line, user)? {
                Some(user) => self.scratch.find(&pair_name(pair(sender, user)))?,
                None => return Ok(None),
            },
            (ConversationName::With(_), None) => None,
        };
        let Some(SeenRecord { identity: place, .. }) = seen else {
            let with =
                if reference.starts_with('@') { "; a direct one needs a record too, with its two people" } else { "" };
            self.invalid(
                line,
                format!("There is no conversation {} in the database or in earlier records{with}.", quoted(reference)),
            );
            return Ok(None);
        };
        let pair = self.scratch.pair(&number_name(b'd', place, 0))?;
        Ok(Some(Where { place, pair, last_number: 0 }))
    }
}

fn name(kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind], name].concat()
}

fn number_name(kind: u8, one: Identity, other: i64) -> Vec<u8> {
    [&[kind][..], &one.to_be_bytes(), &other.to_be_bytes()].concat()
}

fn pair_name((lower, higher): (Identity, Identity)) -> Vec<u8> {
    number_name(b'p', lower, higher)
}
