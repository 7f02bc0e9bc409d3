//! Random changes by random actors, and listeners of every standing: each hears what a naive reader of the whole log hears.

mod deeds;
mod naive;

use std::collections::BTreeSet;

use tidings::error::Kind;
use tidings::feed::{Delivery, EndReason};
use tidings::model::{Choice, ConversationId, ConversationSelector, EventKind, UserKey};
use tidings::service::events::Narrowing;
use tidings::store;

use super::{Ear, Stage, cursor_of, keys, keys_heard, logged_in, on_every_engine, the_operator};
use crate::support::{NOON, World, is_long};
use deeds::{Chance, NAMES};
use naive::{Account, Naive, Row};

/// Somebody who listens now and then, and goes on where they were
struct Listener {
    /// None: the operator
    name: Option<&'static str>,
    /// The only conversation, by its key
    only: Option<i64>,
    kinds: Vec<EventKind>,
    /// Behind which event they go on; none: they have never listened
    place: Option<(i64, String)>,
    listening: Option<Listening>,
}

/// One connection of a listener
struct Listening {
    ear: Ear,
    /// Behind which event it began
    from: i64,
    /// Whose it is, as of its beginning
    account: Option<Account>,
    /// They hear their only conversation by the right of an admin
    is_granted: bool,
    /// The same, while there is that conversation
    needs_admin: bool,
    /// The event at which the right to listen ended
    last: Option<i64>,
}

/// What happened in all stories
#[derive(Default)]
struct Tally {
    kinds: BTreeSet<i64>,
    heard: usize,
    reconnections: usize,
    from_behind: usize,
    by_bookmark: usize,
    ended: usize,
    granted: usize,
    refused: usize,
}

struct Story<'w> {
    world: &'w World,
    stage: Stage,
    naive: Naive,
    chance: Chance,
    listeners: Vec<Listener>,
}

impl Listening {
    fn hears(&self, only: Option<i64>, kinds: &[EventKind], naive: &Naive, row: &Row) -> bool {
        let is_of = |key: i64| {
            let is_level = row.kind == EventKind::ParticipantUpdated && naive.id_of(key) == Some(&row.subject);
            row.conversation == Some(key) || is_level
        };
        let is_wanted = (kinds.is_empty() || kinds.contains(&row.kind)) && only.is_none_or(is_of);
        let may = |account: &Account| {
            row.hearers.contains(&account.key)
                || self.is_granted
                    && row.kind != EventKind::NotificationUpdated
                    && row.conversation.is_some()
                    && row.conversation == only
        };
        is_wanted && self.account.as_ref().is_none_or(may)
    }
}

impl Story<'_> {
    /// What one who listens is to have heard by now
    fn expected(&self, listener: &Listener, listening: &Listening) -> Vec<i64> {
        let is_there = |row: &&Row| row.key > listening.from && listening.last.is_none_or(|last| row.key <= last);
        let rows = self.naive.rows.iter().filter(is_there);
        rows.filter(|row| listening.hears(listener.only, &listener.kinds, &self.naive, row))
            .map(|row| row.key)
            .collect()
    }

    /// Somebody begins to listen, or comes again.
    fn join(&mut self, index: usize, tally: &mut Tally) {
        let (is_anew, far) = (self.chance.one_in(8), self.chance.one_in(3));
        let oldest = self.chance.below(self.naive.rows.len() + 1);
        let listener = &self.listeners[index];
        let account = listener.name.and_then(|name| self.naive.accounts.get(name)).cloned();
        let who = match (listener.name, &account) {
            (None, _) => the_operator(),
            (Some(_), Some(account)) => {
                logged_in(self.world, account.user_id(), UserKey(account.key), account.generation)
            }
            (Some(_), None) => return,
        };
        let since = match &listener.place {
            Some((_, cursor)) if !is_anew => Some(cursor.clone()),
            // From somewhere in the log, or from now on
            _ if far => Some(cursor_of(self.world, self.naive.key_before(oldest))),
            _ => None,
        };
        let conversation = |key| {
            let id = self.naive.id_of(key).unwrap();
            ConversationSelector::Id(ConversationId(id.parse().unwrap()))
        };
        let narrowing = Narrowing {
            conversations: listener.only.into_iter().map(conversation).collect(),
            kinds: listener.kinds.clone(),
        };
        let user = account.as_ref().map(|account| account.key);
        let takes_part =
            listener.only.zip(user).is_some_and(|(only, user)| self.naive.participants.contains(&(only, user)));
        let administers = account.as_ref().is_none_or(|account| account.is_admin);
        let may_see = listener.only.is_none_or(|only| self.naive.is_there(only) && (takes_part || administers));
        let joined = self.stage.join(&who, &narrowing, since.as_deref());
        let ear = match joined {
            Ok(ear) => ear,
            Err(error) => {
                let is_inactive = account.as_ref().is_some_and(|account| !account.is_active);
                let kind = if is_inactive { Kind::Unauthenticated } else { Kind::NotFound };
                assert!(error.kind() == kind && (is_inactive || !may_see), "{error}");
                tally.refused += 1;
                return;
            }
        };
        assert!(may_see && account.as_ref().is_none_or(|account| account.is_active), "who may not listen does");
        assert_eq!(ear.reset, None);
        if let Some(since) = &since {
            assert_eq!(&*ear.begun, since);
        }
        let from = keys(self.world, [&*ear.begun])[0];
        let newest = self.naive.newest();
        assert!(from <= newest);
        tally.from_behind += usize::from(from < newest);
        tally.reconnections += usize::from(self.listeners[index].place.is_some() && !is_anew);
        let is_granted = listener.only.is_some() && user.is_some() && !takes_part;
        tally.granted += usize::from(is_granted);
        let begun = ear.begun.to_string();
        let listening = Listening { ear, from, account, is_granted, needs_admin: is_granted, last: None };
        let listener = &mut self.listeners[index];
        (listener.place, listener.listening) = (Some((from, begun)), Some(listening));
    }

    /// Fails unless what somebody heard is what they were to hear, from the first on; returns how much is missing.
    fn compare(&self, listener: &Listener, listening: &Listening) -> usize {
        let heard = keys_heard(self.world, &listening.ear);
        let expected = self.expected(listener, listening);
        let who = (listener.name, listener.only, &listener.kinds, listening.is_granted, listening.from);
        assert!(expected.starts_with(&heard), "{who:?} heard {heard:?} in place of {expected:?}");
        for (event, key) in listening.ear.heard.iter().zip(&heard) {
            let row = self.naive.rows.iter().find(|row| row.key == *key).unwrap();
            assert_eq!(event["event"], row.kind.word(), "{event}");
        }
        expected.len() - heard.len()
    }

    /// Somebody stops to listen, wherever they are.
    fn leave(&mut self, index: usize, tally: &mut Tally) {
        let Some(listening) = self.listeners[index].listening.take() else { return };
        let listener = &self.listeners[index];
        self.compare(listener, &listening);
        let mut place = (listening.from, listening.ear.begun.to_string());
        let heard = keys_heard(self.world, &listening.ear);
        if let Some(key) = heard.last() {
            place = (*key, listening.ear.cursor().to_owned());
        }
        let reached = listening.ear.ticket.reached().map(|cursor| cursor.to_string());
        if let Some(reached) = reached.filter(|_| listening.ear.end.is_none()) {
            let key = keys(self.world, [reached.as_str()])[0];
            assert!(key >= place.0, "a bookmark behind what was heard: {key}, {place:?}");
            let passed = self.expected(listener, &listening).into_iter().filter(|passed| *passed <= key);
            assert!(passed.max().unwrap_or(0) <= place.0, "a bookmark before something that was not heard");
            if self.chance.one_in(2) {
                place = (key, reached);
                tally.by_bookmark += 1;
            }
        }
        let rows = self.naive.rows.iter().filter(|row| heard.contains(&row.key));
        tally.kinds.extend(rows.map(|row| row.kind.code()));
        tally.heard += heard.len();
        self.listeners[index].place = Some(place);
    }

    /// Something is done, and noted.
    fn go_on(&mut self, tally: &mut Tally) {
        let deed = self.chance.deed();
        let outcome = self.world.app.write(|tx| deed.work(tx));
        if let Err(error) = &outcome {
            let is_refusal = matches!(error.kind(), Kind::NotFound | Kind::Forbidden | Kind::Conflict | Kind::Invalid);
            assert!(is_refusal, "{deed:?}: {error}");
        }
        let before = self.naive.rows.len();
        self.naive.read(self.world, &deed);
        let (naive, listeners) = (&self.naive, &mut self.listeners);
        let mut is_demoted = false;
        for listener in listeners.iter_mut() {
            let is_there = listener.only.is_none_or(|only| naive.is_there(only));
            let Some(listening) = &mut listener.listening else { continue };
            let Some(account) = &listening.account else { continue };
            listening.needs_admin &= is_there;
            let now = naive.accounts.values().find(|now| now.key == account.key);
            let may_still = now.is_some_and(|now| {
                now.is_active && now.generation == account.generation && (now.is_admin || !listening.needs_admin)
            });
            if !may_still && listening.last.is_none() {
                let ends = |row: &&Row| {
                    row.user == Some(account.key) && matches!(row.kind, EventKind::UserUpdated | EventKind::UserDeleted)
                };
                let end = naive.rows[before..].iter().find(ends);
                listening.last = Some(end.unwrap_or_else(|| panic!("{deed:?} ends {account:?} without a word")).key);
                is_demoted |= now.is_some_and(|now| now.is_active && now.generation == account.generation);
            }
        }
        if self.chance.one_in(2) {
            self.stage.feed.look();
        }
        if is_demoted {
            // Whoever is an admin again before the feed looks was one all the time.
            self.settle(tally);
        }
    }

    /// Everybody takes what there is.
    fn hear(&mut self) {
        self.stage.pump();
        for listening in self.listeners.iter_mut().filter_map(|listener| listener.listening.as_mut()) {
            listening.ear.listen();
        }
    }

    /// Waits until everybody has heard all that they are to hear, and no more.
    fn settle(&mut self, tally: &mut Tally) {
        let start = std::time::Instant::now();
        loop {
            self.hear();
            let is_done = self.listeners.iter().all(|listener| {
                listener.listening.as_ref().is_none_or(|listening| match listening.last {
                    Some(_) => listening.ear.end.is_some(),
                    None => listening.ear.heard.len() >= self.expected(listener, listening).len(),
                })
            });
            if is_done {
                break;
            }
            let missing = || {
                let listening = self.listeners.iter().filter_map(|one| one.listening.as_ref().map(|now| (one, now)));
                let told = listening.map(|(one, now)| {
                    (one.name, one.only, &one.kinds, now.from, now.last, now.ear.end.as_ref(), self.compare(one, now))
                });
                format!("{:?}", told.collect::<Vec<_>>())
            };
            assert!(start.elapsed() < super::PATIENCE, "still to come: {}", missing());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        for index in 0..self.listeners.len() {
            let listener = &self.listeners[index];
            let Some(listening) = &listener.listening else { continue };
            let missing = self.compare(listener, listening);
            match (&listening.ear.end, listening.last) {
                (None, None) => assert_eq!(missing, 0),
                (Some(end), Some(_)) => {
                    assert_eq!(*end, Delivery::End(EndReason::Revoked));
                    tally.ended += 1;
                    self.leave(index, tally);
                }
                (end, last) => panic!("{:?} ended {end:?}, was to end at {last:?}", listener.name),
            }
        }
    }
}

/// Who listens, apart from the operator: any user, to all, to a conversation, to some kinds
fn somebody(chance: &mut Chance, naive: &Naive) -> Listener {
    let name = (!chance.one_in(5)).then(|| NAMES[chance.below(NAMES.len())]);
    let there: Vec<i64> = naive.ids.keys().copied().filter(|key| naive.is_there(*key)).collect();
    let only = (chance.one_in(3) && !there.is_empty()).then(|| there[chance.below(there.len())]);
    let kinds = if chance.one_in(3) {
        EventKind::ALL.iter().copied().filter(|_| chance.one_in(2)).collect()
    } else {
        Vec::new()
    };
    Listener { name, only, kinds, place: None, listening: None }
}

fn tell(world: &World, seed: u64, tally: &mut Tally) {
    println!("seed {seed}");
    let mut chance = Chance::new(seed);
    let mut naive = Naive::begin(world);
    deeds::begin(world);
    for _ in 0..30 {
        let deed = chance.deed();
        let _ = world.app.write(|tx| deed.work(tx));
        naive.read(world, &deed);
    }
    let stage = Stage::open(&world.location);
    let mut story = Story { world, stage, naive, chance, listeners: Vec::new() };
    for step in 0..160 {
        story.go_on(tally);
        if story.chance.one_in(2) {
            story.hear();
        }
        if step % 3 == 0 {
            if story.listeners.len() < 20 {
                let new = somebody(&mut story.chance, &story.naive);
                story.listeners.push(new);
            }
            let index = story.chance.below(story.listeners.len());
            if story.listeners[index].listening.is_some() {
                story.leave(index, tally);
            } else {
                story.join(index, tally);
            }
            // Somebody whose conversation ended comes no more.
            let ended = |listener: &Listener| listener.only.is_some_and(|only| !story.naive.is_there(only));
            let gone = |listener: &Listener| listener.listening.is_none() && ended(listener);
            story.listeners.retain(|listener| !gone(listener));
        }
        if step % 12 == 11 {
            story.settle(tally);
        }
    }
    for index in 0..story.listeners.len() {
        if story.listeners[index].listening.is_none() {
            story.join(index, tally);
        }
    }
    story.settle(tally);
    for index in 0..story.listeners.len() {
        story.leave(index, tally);
    }
    drop(story);
    deeds::clear(world);
    assert_eq!(world.app.read(store::conversations::count).unwrap(), (0, 0));
    assert_eq!(world.app.now(), NOON);
}

#[test]
fn whoever_listens_hears_what_a_naive_reader_of_the_whole_log_does() {
    on_every_engine(|world| {
        let seeds = if is_long() { 60 } else { 6 };
        let mut tally = Tally::default();
        for seed in 0..seeds {
            tell(world, seed, &mut tally);
        }
        let Tally { kinds, heard, reconnections, from_behind, by_bookmark, ended, granted, refused } = tally;
        println!(
            "{heard} heard; {reconnections} came again, {from_behind} behind, {by_bookmark} by a bookmark; {ended} ended, \
             {granted} by an admin's right, {refused} refused"
        );
        assert_eq!(kinds.len(), EventKind::ALL.len(), "{kinds:?}");
        let counts = [heard / 100, reconnections, from_behind, by_bookmark, ended, granted, refused];
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    });
}
