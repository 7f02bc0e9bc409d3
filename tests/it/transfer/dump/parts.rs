//! Parts of a dump: what the filters choose, and all that this refers to, so that it can be loaded by itself.

use std::collections::{BTreeMap, BTreeSet};

use tidings::model::{Timestamp, UserSelector};
use tidings::transfer::Tally;
use tidings::transfer::dump::Request;
use tidings::transfer::records::{ConversationRecord, MessageRecord, Record};

use super::{build, counted, edit, records, text};
use crate::support::{NOON, on_every_engine, place};

/// What a conversation is called by what refers to it
fn reference(conversation: &ConversationRecord) -> String {
    conversation.name.clone().unwrap_or_else(|| conversation.conversation_id.unwrap().to_string())
}

/// Fails where a record names something that does not stand before it.
fn assert_stands_by_itself(text: &str) {
    let mut there = BTreeSet::new();
    for record in records(text) {
        let mut named: Vec<String> = Vec::new();
        let user = |name: &String| format!("user {name}");
        let own = match record {
            Record::User(found) => vec![user(&found.username)],
            Record::Conversation(found) => {
                named.extend(found.creator.iter().map(user));
                named.extend(found.participants.iter().map(|participant| user(&participant.user().to_owned())));
                vec![format!("conversation {}", reference(&found))]
            }
            Record::Message(found) => {
                named.extend([&found.sender, &found.receiver].into_iter().flatten().map(user));
                named.extend(found.revisions.iter().filter_map(|earlier| earlier.edited_by.as_ref()).map(user));
                named.push(format!("conversation {}", found.conversation));
                named.extend(found.reply_to.iter().map(|parent| format!("message {parent}")));
                vec![format!("message {}", found.message_id.unwrap())]
            }
            Record::Notification(found) => {
                named.extend([user(&found.user), format!("message {}", found.message)]);
                Vec::new()
            }
        };
        for name in named {
            assert!(there.contains(&name), "{name} is not there: {text}");
        }
        there.extend(own);
    }
}

/// The ids of the messages that a request chooses, and of those with what they reply to, found the simple way
fn expected(all: &[Record], request: &Request, places: Option<&[&str]>) -> (BTreeSet<String>, BTreeSet<String>) {
    let id = |message: &MessageRecord| message.message_id.unwrap().to_string();
    let messages: BTreeMap<String, &MessageRecord> = all
        .iter()
        .filter_map(|record| match record {
            Record::Message(message) => Some((id(message), &**message)),
            _ => None,
        })
        .collect();
    let chosen: BTreeSet<String> = messages
        .iter()
        .filter(|(_, message)| {
            places.is_none_or(|places| places.contains(&message.conversation.as_str()))
                && request.since.is_none_or(|since| message.timestamp.unwrap() >= since)
                && request.until.is_none_or(|until| message.timestamp.unwrap() < until)
        })
        .map(|(id, _)| id.clone())
        .collect();
    let mut threads = chosen.clone();
    for message in &chosen {
        let mut parent = messages[message].reply_to.as_ref();
        while let Some(next) = parent {
            threads.insert(next.clone());
            parent = messages[next].reply_to.as_ref();
        }
    }
    (chosen, threads)
}

/// Conversations and users that are asked for, and the conversations that this comes to; none: all
type Scope<'s> = (&'s [&'s str], &'s [&'s str], Option<&'s [&'s str]>);

#[test]
fn a_partial_dump_is_self_contained_and_minimal() {
    on_every_engine(|world| {
        build(world);
        let whole = text(world, &Request::default());
        assert_stands_by_itself(&whole);
        let all = records(&whole);
        let places: Vec<String> = all
            .iter()
            .filter_map(|record| match record {
                Record::Conversation(found) => Some(reference(found)),
                _ => None,
            })
            .collect();
        let [team, budget, direct] = [0, 1, 2].map(|index| places[index].as_str());
        let scopes: [Scope; 7] = [
            (&[], &[], None),
            (&[team], &[], Some(&[team])),
            (&[direct, budget], &[], Some(&[direct, budget])),
            (&[], &["[[mandrix]]"], Some(&[budget])),
            (&[], &["bob"], Some(&[team, budget, direct])),
            (&[], &["alone"], Some(&[])),
            (&[direct], &["[[mandrix]]", "alone"], Some(&[direct, budget])),
        ];
        let times: Vec<Option<Timestamp>> =
            [0, 1, 3, 4, 6, 9].map(|seconds| Some(NOON.plus_seconds(seconds))).into_iter().chain([None]).collect();
        for ((conversations, users, scope), since, until) in scopes
            .iter()
            .flat_map(|scope| times.iter().map(move |since| (scope, since)))
            .flat_map(|(scope, since)| times.iter().map(move |until| (scope, since, until)))
        {
            let request = Request {
                conversations: conversations.iter().map(|name| place(name)).collect(),
                users: users.iter().map(|name| UserSelector::from((*name).to_owned())).collect(),
                since: *since,
                until: *until,
                pseudonymise: None,
            };
            if (scope, since, until) == (&None, &None, &None) {
                continue;
            }
            let part = text(world, &request);
            assert_stands_by_itself(&part);
            let mut rest = whole.lines();
            assert!(part.lines().all(|line| rest.any(|other| other == line)), "not a part of the whole: {part}");

            let (chosen, threads) = expected(&all, &request, *scope);
            let mut places: BTreeSet<String> = scope.iter().copied().flatten().map(ToString::to_string).collect();
            let mut dumped = BTreeSet::new();
            let mut notified = 0;
            let mut named: BTreeSet<String> = users.iter().map(|user| user.to_lowercase()).collect();
            let mut found_users = BTreeSet::new();
            let mut found_places = BTreeSet::new();
            for record in records(&part) {
                match record {
                    Record::User(found) => drop(found_users.insert(found.username.to_lowercase())),
                    Record::Conversation(found) => {
                        named.extend(found.creator.iter().map(|name| name.to_lowercase()));
                        named.extend(found.participants.iter().map(|found| found.user().to_lowercase()));
                        found_places.insert(reference(&found));
                    }
                    Record::Message(found) => {
                        let editors = found.revisions.iter().filter_map(|earlier| earlier.edited_by.clone());
                        let people = [found.sender.clone(), found.receiver.clone()].into_iter().flatten();
                        named.extend(people.chain(editors).map(|name| name.to_lowercase()));
                        places.insert(found.conversation.clone());
                        dumped.insert(found.message_id.unwrap().to_string());
                    }
                    Record::Notification(found) => {
                        assert!(chosen.contains(&found.message));
                        notified += 1;
                    }
                }
            }
            let all_notified = all
                .iter()
                .filter(|record| matches!(record, Record::Notification(found) if chosen.contains(&found.message)));
            assert_eq!((dumped, found_users, found_places), (threads, named, places), "{request:?}");
            assert_eq!(notified, all_notified.count(), "{request:?}");
        }
    });
}

#[test]
fn what_nothing_fits_is_dumped_as_nothing() {
    on_every_engine(|world| {
        build(world);
        let later = Request { since: Some(NOON.plus_seconds(1000)), ..Request::default() };
        assert_eq!(text(world, &later), "");
        let named = Request { conversations: vec![place("team")], ..later };
        let counts = Tally { users: 3, conversations: 1, ..Tally::default() };
        assert_eq!(counted(&text(world, &named)), counts);
    });
}

#[test]
fn who_edited_a_message_is_in_a_part_though_they_take_no_part_in_its_conversation() {
    on_every_engine(|world| {
        let [ann, bob, _zoe] = [world.user("ann"), world.user("bob"), world.user("zoe")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "hello");
        edit(world, &ann, "team#1", "hello there", None);
        world.execute("UPDATE revision SET editor_key = (SELECT key FROM account WHERE username = 'zoe')");
        let part = text(world, &Request { conversations: vec![place("team")], ..Request::default() });
        assert!(part.contains(r#""edited_by":"zoe""#), "{part}");
        assert_stands_by_itself(&part);
    });
}
