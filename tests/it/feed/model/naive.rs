//! The log as a naive reader has it: all of it, and who took part where, followed event by event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use tidings::model::{Choice, EventKind, UserId};
use tidings::store::Location;

use crate::feed::log;
use crate::support::{World, texts};

/// An event, and who hears of it
#[derive(Debug)]
pub(super) struct Row {
    pub(super) key: i64,
    pub(super) kind: EventKind,
    pub(super) conversation: Option<i64>,
    pub(super) user: Option<i64>,
    /// An id, or nothing
    pub(super) subject: String,
    pub(super) hearers: BTreeSet<i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) key: i64,
    pub(super) id: String,
    pub(super) is_admin: bool,
    pub(super) is_active: bool,
    pub(super) generation: i64,
}

#[derive(Default)]
pub(super) struct Naive {
    /// What comes behind this event is read
    base: i64,
    pub(super) rows: Vec<Row>,
    /// Who takes part where, by what the log says
    members: BTreeSet<(i64, i64)>,
    /// Who takes part where
    pub(super) participants: BTreeSet<(i64, i64)>,
    /// The ids of all conversations there ever were
    pub(super) ids: BTreeMap<i64, String>,
    there: BTreeSet<i64>,
    pub(super) accounts: BTreeMap<String, Account>,
}

impl Account {
    pub(super) fn user_id(&self) -> UserId {
        UserId(self.id.parse().unwrap())
    }
}

impl Naive {
    /// From here on; nobody takes part in anything yet.
    pub(super) fn begin(world: &World) -> Self {
        let mut naive = Self { base: log(world).last().copied().unwrap_or(0), ..Self::default() };
        naive.read(world, &"the beginning");
        naive
    }

    /// The newest event
    pub(super) fn newest(&self) -> i64 {
        self.rows.last().map_or(self.base, |row| row.key)
    }

    /// The event at a place, or the one before all
    pub(super) fn key_before(&self, place: usize) -> i64 {
        place.checked_sub(1).map_or(self.base, |place| self.rows[place].key)
    }

    /// The id of a conversation
    pub(super) fn id_of(&self, conversation: i64) -> Option<&String> {
        self.ids.get(&conversation)
    }

    pub(super) fn is_there(&self, conversation: i64) -> bool {
        self.there.contains(&conversation)
    }

    /// Reads what came to the log, and follows it; what it says of who takes part must be so.
    pub(super) fn read(&mut self, world: &World, after: &dyn Debug) {
        let (events, truth) = look(world, self.newest());
        self.participants = truth.participants;
        self.there = truth.conversations.keys().copied().collect();
        self.ids.extend(truth.conversations);
        self.accounts = truth.accounts;
        for (row, audience) in events {
            self.follow(row, &audience);
        }
        assert_eq!(self.members, self.participants, "the log says otherwise after {after:?}");
    }

    fn follow(&mut self, mut row: Row, audience: &BTreeSet<i64>) {
        let of = |members: &BTreeSet<(i64, i64)>, conversation: Option<i64>| -> BTreeSet<i64> {
            members.iter().filter(|(key, _)| Some(*key) == conversation).map(|(_, user)| *user).collect()
        };
        // Who has read what is told to them alone.
        let heard_in = row.conversation.filter(|_| row.kind != EventKind::NotificationUpdated);
        row.hearers = &of(&self.members, heard_in) | audience;
        row.hearers.extend(row.user);
        match (row.kind, row.conversation, row.user) {
            (EventKind::ParticipantAdded, Some(key), Some(user)) => {
                self.members.insert((key, user));
            }
            (EventKind::ParticipantRemoved, Some(key), Some(user)) => {
                self.members.remove(&(key, user));
            }
            // Nobody came or went in the transaction that began it.
            (EventKind::ConversationCreated, Some(key), _) => {
                self.members.extend(self.participants.iter().filter(|(of, _)| *of == key));
            }
            (EventKind::ConversationDeleted, Some(key), _) => self.members.retain(|(of, _)| *of != key),
            _ => {}
        }
        row.hearers.extend(of(&self.members, heard_in));
        self.rows.push(row);
    }
}

/// What is there
#[derive(Default)]
struct Truth {
    participants: BTreeSet<(i64, i64)>,
    conversations: BTreeMap<i64, String>,
    accounts: BTreeMap<String, Account>,
}

/// The log behind an event, and what is there, as the tables have it
fn look(world: &World, after: i64) -> (Vec<(Row, BTreeSet<i64>)>, Truth) {
    let (id, many) = match world.location {
        Location::Sqlite(_) => ("lower(hex(@))", "group_concat(user_key)"),
        Location::Postgres(_) => ("replace(CAST(@ AS TEXT), '-', '')", "string_agg(CAST(user_key AS TEXT), ',')"),
    };
    let [subject, own] = ["subject_id", "id"].map(|column| id.replace('@', column));
    let rows = texts(
        &world.location,
        &format!(
            "SELECT 'e|' || key || '|' || kind || '|' || coalesce(CAST(conversation_key AS TEXT), '') || '|'
                 || coalesce(CAST(user_key AS TEXT), '') || '|' || coalesce({subject}, '') || '|'
                 || coalesce((SELECT {many} FROM event_audience WHERE event_key = event.key), '')
             FROM event WHERE key > {after}
             UNION ALL SELECT 'p|' || conversation_key || '|' || user_key || '||||' FROM participant
             UNION ALL SELECT 'c|' || key || '|' || {own} || '||||' FROM conversation
             UNION ALL SELECT 'a|' || key || '|' || {own} || '|' || username || '|' || role || '|'
                 || CASE WHEN is_active THEN 1 ELSE 0 END || '|' || token_generation FROM account"
        ),
    );
    let (mut events, mut truth) = (Vec::new(), Truth::default());
    for row in &rows {
        let fields: Vec<&str> = row.split('|').collect();
        let [what, key, first, second, third, fourth, fifth] = fields.try_into().unwrap();
        let key: i64 = key.parse().unwrap();
        let number = |text: &str| text.parse::<i64>().ok();
        match what {
            "e" => {
                let kind = *EventKind::ALL.iter().find(|kind| Some(kind.code()) == number(first)).unwrap();
                let (conversation, user, subject) = (number(second), number(third), fourth.to_owned());
                let audience = fifth.split(',').filter_map(number).collect();
                events.push((Row { key, kind, conversation, user, subject, hearers: BTreeSet::new() }, audience));
            }
            "p" => drop(truth.participants.insert((key, number(first).unwrap()))),
            "c" => drop(truth.conversations.insert(key, first.to_owned())),
            _ => {
                let (is_admin, is_active) = (third == "1", fourth == "1");
                let generation = number(fifth).unwrap();
                let account = Account { key, id: first.to_owned(), is_admin, is_active, generation };
                truth.accounts.insert(second.to_owned(), account);
            }
        }
    }
    events.sort_unstable_by_key(|(row, _)| row.key);
    (events, truth)
}
