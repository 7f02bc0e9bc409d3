//! Sending, editing, deleting, listing.

use tidings::model::{Level, MessageSelector, Number, Timestamp};
use tidings::service::messages::{self, Destination, Draft, List, MessageEdit};

use crate::assert_refused;
use crate::support::{draft, on_every_engine, operator, place, selector};

fn named(text: &str) -> MessageSelector {
    text.parse().unwrap()
}

fn change(content: &str) -> MessageEdit {
    MessageEdit { content: content.to_owned(), ..MessageEdit::default() }
}

fn everything() -> List {
    List { limit: 50, ..List::default() }
}

#[test]
fn messages_are_numbered_from_1_and_a_number_is_never_used_again() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        assert_eq!(world.send(&ann, "team", "one").number, Number(1));
        assert_eq!(world.send(&bob, "team", "two").number, Number(2));
        world.app.write(|tx| messages::delete(tx, &bob, &[named("team#2")])).unwrap();
        assert_eq!(world.send(&ann, "team", "three").number, Number(3));
    });
}

#[test]
fn content_is_kept_to_the_byte() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for content in [" \u{1b}[2J\r\n\ttrailing \n", "e\u{301} is not é", "小明 🎉", &"x".repeat(65_536)] {
            let sent = world.send(&ann, "team", content);
            let kept = world.app.read(|tx| messages::show(tx, &bob, &MessageSelector::Id(sent.message_id))).unwrap();
            assert_eq!(kept.content, content);
        }
    });
}

#[test]
fn content_that_breaks_a_rule_is_refused_and_leaves_no_trace() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for content in ["", " \n\t", "a\0b", &"x".repeat(65_537)] {
            let draft = draft("team", content);
            assert_refused!(world.app.write(|tx| messages::send(tx, &ann, &draft)), Invalid);
        }
        assert_eq!(world.send(&ann, "team", "first").number, Number(1));
        assert_eq!(world.notifications(&bob).len(), 1);
    });
}

#[test]
fn a_direct_message_is_for_the_other_person() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let to_bob = Draft { destination: Destination::User(selector(&bob)), ..draft("", "hi") };
        let sent = world.app.write(|tx| messages::send(tx, &ann, &to_bob)).unwrap();
        assert_eq!(sent.receiver.unwrap().username, "bob");
        let answer = world.send(&bob, "@ann", "hello");
        assert_eq!(answer.receiver.unwrap().username, "ann");
        assert_eq!(answer.conversation, sent.conversation);
        let named = |person: &tidings::model::Actor| Draft { receiver: Some(selector(person)), ..draft("@bob", "hi") };
        let sent = world.app.write(|tx| messages::send(tx, &ann, &named(&bob))).unwrap();
        assert_eq!(sent.receiver.unwrap().username, "bob");
        assert_refused!(world.app.write(|tx| messages::send(tx, &ann, &named(&eve))), Invalid);
        let to_herself = Draft { destination: Destination::User(selector(&ann)), ..draft("", "hi") };
        assert_refused!(world.app.write(|tx| messages::send(tx, &ann, &to_herself)), Invalid);
    });
}

#[test]
fn in_a_group_one_participant_may_be_named_as_receiver() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        assert_eq!(world.send(&ann, "team", "all").receiver, None);
        let for_bob = Draft { receiver: Some(selector(&bob)), ..draft("team", "you") };
        let sent = world.app.write(|tx| messages::send(tx, &ann, &for_bob)).unwrap();
        assert_eq!(sent.receiver.unwrap().username, "bob");
        for nobody in [&eve, &ann] {
            let draft = Draft { receiver: Some(selector(nobody)), ..draft("team", "you") };
            assert_refused!(world.app.write(|tx| messages::send(tx, &ann, &draft)), Invalid);
        }
    });
}

#[test]
fn a_reply_stays_in_its_conversation_and_never_hangs_on_a_tombstone() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("other", &ann, &[&bob]);
        let parent = world.send(&ann, "team", "question");
        let elsewhere = Draft { parent: Some(MessageSelector::Id(parent.message_id)), ..draft("other", "answer") };
        assert_refused!(world.app.write(|tx| messages::send(tx, &bob, &elsewhere)), Invalid);
        let reply = world.reply(&bob, "team", &parent, "answer");
        assert_eq!(reply.parent_message, Some(parent.message_id));
        let parent = world.app.read(|tx| messages::show(tx, &bob, &named("team#1"))).unwrap();
        assert!(parent.is_thread);
        assert_eq!(parent.reply_count, 1);
        world.app.write(|tx| messages::delete(tx, &ann, &[named("team#1")])).unwrap();
        let to_tombstone = Draft { parent: Some(named("team#1")), ..draft("team", "more") };
        assert_refused!(world.app.write(|tx| messages::send(tx, &bob, &to_tombstone)), Invalid);
    });
}

#[test]
fn the_same_idempotency_key_and_request_gets_the_first_message_again_for_24_hours() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let draft = Draft { idempotency_key: Some("k1".to_owned()), ..draft("team", "once") };
        let first = world.app.write(|tx| messages::send(tx, &ann, &draft)).unwrap();
        let again = world.later(24 * 60 * 60 - 1).write(|tx| messages::send(tx, &ann, &draft)).unwrap();
        assert_eq!(again.message_id, first.message_id);
        assert_eq!(world.notifications(&bob).len(), 1);
        let other = Draft { content: "other".to_owned(), ..draft.clone() };
        assert_refused!(world.app.write(|tx| messages::send(tx, &ann, &other)), Conflict);
        let bobs = world.app.write(|tx| messages::send(tx, &bob, &draft)).unwrap();
        assert_ne!(bobs.message_id, first.message_id, "a key is its actor's own");
        let next_day = world.later(24 * 60 * 60 + 1).write(|tx| messages::send(tx, &ann, &draft)).unwrap();
        assert_ne!(next_day.message_id, first.message_id);
    });
}

#[test]
fn an_idempotency_key_with_another_receiver_or_parent_is_a_conflict() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        let [one, two] =
            ["one", "two"].map(|content| MessageSelector::Id(world.send(&bob, "team", content).message_id));
        let mut drafts = Vec::new();
        for parent in [None, Some(&one), Some(&two)] {
            for receiver in [None, Some(selector(&bob)), Some(selector(&eve))] {
                drafts.push(Draft { parent: parent.cloned(), receiver, ..draft("team", "once") });
            }
        }
        let with_key = |draft: &Draft, key: usize| Draft { idempotency_key: Some(format!("k{key}")), ..draft.clone() };
        for (key, draft) in drafts.iter().enumerate() {
            let first = world.app.write(|tx| messages::send(tx, &ann, &with_key(draft, key))).unwrap();
            for (number, other) in drafts.iter().enumerate() {
                let sent = world.app.write(|tx| messages::send(tx, &ann, &with_key(other, key)));
                if number == key {
                    assert_eq!(sent.unwrap().message_id, first.message_id);
                } else {
                    assert_refused!(sent, Conflict);
                }
            }
        }
        assert_eq!(world.app.read(tidings::store::conversations::count).unwrap(), (1, 11));
    });
}

#[test]
fn an_idempotency_key_whose_request_failed_is_not_remembered() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        let draft = Draft { idempotency_key: Some("k1".to_owned()), ..draft("team", "hi") };
        assert_refused!(world.app.write(|tx| messages::send(tx, &ann, &draft)), NotFound);
        world.group("team", &ann, &[&bob]);
        world.app.write(|tx| messages::send(tx, &ann, &draft)).unwrap();
    });
}

#[test]
fn an_edit_keeps_the_old_text_with_who_when_and_why() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "one");
        let edit = MessageEdit { reason: Some("typo".to_owned()), ..change("two") };
        let edited = world.later(60).write(|tx| messages::edit(tx, &ann, &named("team#1"), &edit)).unwrap();
        assert!(edited.edited);
        assert_eq!(edited.revision, 2);
        world.app.write(|tx| messages::edit(tx, &operator(), &named("team#1"), &change("three"))).unwrap();
        let history = world.app.read(|tx| messages::history(tx, &bob, &named("team#1"))).unwrap();
        let texts: Vec<(i64, &str)> = history.iter().map(|old| (old.revision, old.content.as_str())).collect();
        assert_eq!(texts, [(2, "two"), (1, "one")]);
        assert_eq!(history[1].edited_by.as_ref().unwrap().username, "ann");
        assert_eq!(history[1].reason.as_deref(), Some("typo"));
        assert_eq!(history[1].edited_at, Timestamp(crate::support::NOON.0 + 60_000_000));
        assert!(history[0].edited_by_operator && history[0].edited_by.is_none());
    });
}

#[test]
fn an_edit_to_the_same_text_changes_nothing() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "one");
        let edited = world.app.write(|tx| messages::edit(tx, &ann, &named("team#1"), &change("one"))).unwrap();
        assert!(!edited.edited);
        assert_eq!(edited.revision, 1);
    });
}

#[test]
fn an_edit_of_a_stale_revision_is_refused() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "one");
        let first = MessageEdit { if_revision: Some(1), ..change("two") };
        world.app.write(|tx| messages::edit(tx, &ann, &named("team#1"), &first)).unwrap();
        let second = MessageEdit { if_revision: Some(1), ..change("three") };
        assert_refused!(world.app.write(|tx| messages::edit(tx, &ann, &named("team#1"), &second)), Stale);
    });
}

#[test]
fn restoring_a_revision_is_an_edit() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "one");
        world.app.write(|tx| messages::edit(tx, &ann, &named("team#1"), &change("two"))).unwrap();
        let restored = world.app.write(|tx| messages::restore(tx, &ann, &named("team#1"), 1, None)).unwrap();
        assert_eq!((restored.content.as_str(), restored.revision), ("one", 3));
        assert_refused!(world.app.write(|tx| messages::restore(tx, &ann, &named("team#1"), 9, None)), NotFound);
        // As with an edit, whoever saw another revision is refused.
        assert_refused!(world.app.write(|tx| messages::restore(tx, &ann, &named("team#1"), 2, Some(2))), Stale);
        let restored = world.app.write(|tx| messages::restore(tx, &ann, &named("team#1"), 2, Some(3))).unwrap();
        assert_eq!((restored.content.as_str(), restored.revision), ("two", 4));
    });
}

#[test]
fn without_replies_a_deleted_message_goes_row_and_all() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "one");
        world.app.write(|tx| messages::edit(tx, &ann, &named("team#1"), &change("two"))).unwrap();
        assert_eq!(world.app.write(|tx| messages::delete(tx, &ann, &[named("team#1")])).unwrap().len(), 1);
        assert_refused!(world.app.read(|tx| messages::show(tx, &ann, &named("team#1"))), NotFound);
        assert_eq!(world.notifications(&bob), []);
    });
}

#[test]
fn a_tombstone_stays_while_replies_hang_on_it_and_goes_with_the_last() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let root = world.send(&ann, "team", "root");
        let middle = world.reply(&ann, "team", &root, "middle");
        let first = world.reply(&bob, "team", &middle, "first");
        world.reply(&bob, "team", &middle, "second");
        world.app.write(|tx| messages::delete(tx, &ann, &[named("team#1"), named("team#2")])).unwrap();
        let tombstone = world.app.read(|tx| messages::show(tx, &bob, &named("team#2"))).unwrap();
        assert!(tombstone.deleted && tombstone.is_thread && !tombstone.read && !tombstone.edited);
        assert_eq!((tombstone.content.as_str(), tombstone.sender), ("", None));
        assert!(world.app.read(|tx| messages::show(tx, &bob, &named("team#1"))).unwrap().deleted);
        let view = world.app.read(|tx| tidings::service::conversations::show(tx, &bob, &place("team"))).unwrap();
        assert_eq!(view.message_count, 2, "tombstones are not counted");

        world.app.write(|tx| messages::delete(tx, &bob, &[MessageSelector::Id(first.message_id)])).unwrap();
        assert!(world.app.read(|tx| messages::show(tx, &bob, &named("team#2"))).unwrap().deleted);
        world.app.write(|tx| messages::delete(tx, &bob, &[named("team#4")])).unwrap();
        for gone in ["team#1", "team#2", "team#3", "team#4"] {
            assert_refused!(world.app.read(|tx| messages::show(tx, &bob, &named(gone))), NotFound);
        }
    });
}

#[test]
fn a_tombstone_is_neither_edited_nor_deleted_nor_restored() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let root = world.send(&ann, "team", "root");
        world.reply(&bob, "team", &root, "reply");
        world.app.write(|tx| messages::delete(tx, &ann, &[named("team#1")])).unwrap();
        let gone = named("team#1");
        assert_refused!(world.app.write(|tx| messages::edit(tx, &operator(), &gone, &change("x"))), NotFound);
        assert_refused!(world.app.write(|tx| messages::delete(tx, &operator(), std::slice::from_ref(&gone))), NotFound);
        assert_refused!(world.app.write(|tx| messages::restore(tx, &operator(), &gone, 1, None)), NotFound);
        assert!(world.app.read(|tx| messages::history(tx, &bob, &gone)).unwrap().is_empty());
    });
}

#[test]
fn the_last_message_is_never_a_tombstone() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "one");
        world.send(&ann, "team", "two");
        world.app.write(|tx| messages::delete(tx, &ann, &[named("team#2")])).unwrap();
        let view = world.app.read(|tx| tidings::service::conversations::show(tx, &bob, &place("team"))).unwrap();
        assert_eq!(view.last_message.unwrap().content, "one");
    });
}

#[test]
fn a_list_is_the_newest_that_match_oldest_first() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for text in ["1", "2", "3", "4", "5"] {
            world.send(if text == "3" { &bob } else { &ann }, "team", text);
        }
        let texts = |request: &List| -> Vec<String> {
            let page = world.app.read(|tx| crate::support::list_messages(tx, &bob, request)).unwrap();
            page.into_iter().map(|message| message.content).collect()
        };
        let team = List { conversation: Some(place("team")), limit: 2, ..everything() };
        assert_eq!(texts(&team), ["4", "5"]);
        assert_eq!(texts(&List { before: Some(Number(4)), ..team.clone() }), ["2", "3"]);
        assert_eq!(texts(&List { after: Some(Number(2)), ..team.clone() }), ["3", "4"]);
        assert_eq!(texts(&List { sender: Some(selector(&bob)), ..team.clone() }), ["3"]);
        assert_eq!(texts(&List { limit: 0, ..team }), Vec::<String>::new());
        assert_eq!(texts(&List { sender: Some(selector(&bob)), ..everything() }), ["3"]);
    });
}

#[test]
fn without_a_conversation_one_sees_the_newest_of_all_one_takes_part_in() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("one", &ann, &[&bob]);
        world.group("two", &ann, &[&bob, &eve]);
        for (conversation, text) in [("one", "1"), ("two", "2"), ("one", "3"), ("one", "4"), ("two", "5")] {
            world.send(&ann, conversation, text);
        }
        let texts = |actor: &tidings::model::Actor, request: &List| -> Vec<String> {
            let page = world.app.read(|tx| crate::support::list_messages(tx, actor, request)).unwrap();
            page.into_iter().map(|message| message.content).collect()
        };
        assert_eq!(texts(&bob, &everything()), ["1", "2", "3", "4", "5"]);
        assert_eq!(texts(&bob, &List { limit: 3, ..everything() }), ["3", "4", "5"]);
        assert_eq!(texts(&eve, &everything()), ["2", "5"]);
        assert_eq!(texts(&eve, &List { sender: Some(selector(&ann)), ..everything() }), ["2", "5"]);
        assert_eq!(texts(&operator(), &List { limit: 1, ..everything() }), ["5"]);
        assert_eq!(texts(&eve, &List { unread: true, ..everything() }), ["2", "5"]);
        assert_eq!(texts(&bob, &List { unread: true, conversation: Some(place("two")), ..everything() }), ["2", "5"]);
    });
}

#[test]
fn since_is_from_then_on_and_until_is_before_then() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for minute in 0..4 {
            let draft = draft("team", &minute.to_string());
            world.later(minute * 60).write(|tx| messages::send(tx, &ann, &draft)).unwrap();
        }
        let at = |minute: i64| Some(crate::support::NOON.plus_seconds(minute * 60));
        for conversation in [Some(place("team")), None] {
            for actor in [&bob, &operator()] {
                let request = List { conversation: conversation.clone(), since: at(1), until: at(3), ..everything() };
                let page = world.app.read(|tx| crate::support::list_messages(tx, actor, &request)).unwrap();
                assert_eq!(page.iter().map(|found| found.content.as_str()).collect::<Vec<_>>(), ["1", "2"]);
            }
        }
    });
}

#[test]
fn a_message_is_read_when_it_has_recipients_and_none_has_it_unread() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        let is_read = || world.app.read(|tx| messages::show(tx, &ann, &named("team#1"))).unwrap().read;
        world.send(&ann, "team", "hi");
        let read = |reader: &tidings::model::Actor| {
            world.app.write(|tx| {
                let owner = tidings::service::notifications::owner(tx, reader, None)?;
                messages::read_conversation(tx, reader, &owner, &place("team"))
            })
        };
        assert!(!is_read());
        assert_eq!(read(&bob).unwrap(), 1);
        assert!(!is_read());
        assert_eq!(read(&eve).unwrap(), 1);
        assert!(is_read());
        assert_eq!(read(&eve).unwrap(), 0, "reading again changes nothing");

        world.level(&bob, "team", Level::None);
        world.level(&eve, "team", Level::None);
        world.send(&ann, "team", "to nobody");
        assert!(!world.app.read(|tx| messages::show(tx, &ann, &named("team#2"))).unwrap().read);
    });
}
