//! Pages of every list: whoever follows their links sees all, in order, once, in both directions.

use std::fmt::Debug;

use tidings::app::late_after;
use tidings::error::Result;
use tidings::model::{
    Actor, ConversationSelector, MessageSelector, NotificationKind, Number, Role, Seek, Timestamp, UserSelector,
};
use tidings::service::messages::{self, List, Matching, MessageEdit, Search};
use tidings::service::page::Page;
use tidings::service::{conversations, notifications, users};
use tidings::store::Tx;

use crate::support::{NOON, World, draft, list_messages, on_every_engine, operator, place, selector};

/// What a list is made of, read by pages of two: forwards to its end, and backwards from there.
fn walk<T, P: Clone + PartialEq + Debug, I: PartialEq + Debug + Clone>(
    world: &World,
    read: impl Fn(&mut Tx<'_>, Option<&Seek<P>>, i64) -> Result<Page<T, P>>,
    id: impl Fn(&T) -> I,
) -> (Vec<I>, i64) {
    let page = |seek: Option<&Seek<P>>, size| world.app.read(|tx| read(tx, seek, size)).unwrap();
    let ids = |page: &Page<T, P>| page.items.iter().map(&id).collect::<Vec<I>>();
    let whole = page(None, 100);
    assert!(whole.next.is_none() && whole.previous.is_none());
    let mut current = page(None, 2);
    let mut pages = vec![ids(&current)];
    assert_eq!(current.previous, None);
    while let Some(next) = current.next {
        current = page(Some(&next), 2);
        pages.push(ids(&current));
    }
    let count = current.count;
    assert_eq!(pages.concat(), ids(&whole));
    for expected in pages.iter().rev().skip(1) {
        current = page(current.previous.as_ref(), 2);
        assert_eq!(&ids(&current), expected);
    }
    assert_eq!(current.previous, None);
    (ids(&whole), count)
}

/// A group of three, in which two say seven things, of which one is a tombstone, and some smaller conversations
fn talk(world: &World) -> [Actor; 3] {
    let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
    for name in ["one", "two", "three"] {
        world.group(name, &ann, &[&bob]);
    }
    world.group("team", &ann, &[&bob, &eve]);
    let root = world.send(&ann, "team", "hello 1");
    for number in 2..7 {
        let sender = if number % 2 == 0 { &bob } else { &ann };
        world.reply(sender, "team", &root, &format!("hello {number}"));
    }
    world.send(&bob, "one", "hello elsewhere");
    let direct =
        messages::Draft { destination: messages::Destination::User(selector(&eve)), ..draft("", "you there?") };
    world.app.write(|tx| messages::send(tx, &bob, &direct)).unwrap();
    world.app.write(|tx| messages::delete(tx, &ann, &[MessageSelector::Id(root.message_id)])).unwrap();
    [ann, bob, eve]
}

#[test]
fn the_messages_of_a_conversation_go_by_number_either_way() {
    on_every_engine(|world| {
        let [ann, bob, eve] = talk(world);
        for (oldest_first, expected) in [(false, [6, 5, 4, 3, 2, 1]), (true, [1, 2, 3, 4, 5, 6])] {
            let read = |tx: &mut Tx<'_>, seek: Option<&Seek<Number>>, size| {
                messages::page_of(tx, &bob, &place("team"), &Matching::default(), seek, (size, oldest_first))
            };
            let (numbers, count) = walk(world, read, |message| message.number.0);
            assert_eq!((numbers, count), (expected.to_vec(), 5));
        }
        let of_bob = Matching { sender: Some(selector(&bob)), ..Matching::default() };
        let read = |tx: &mut Tx<'_>, seek: Option<&Seek<Number>>, size| {
            messages::page_of(tx, &eve, &place("team"), &of_bob, seek, (size, false))
        };
        assert_eq!(walk(world, read, |message| message.number.0), (vec![6, 4, 2], 3));
        let later = Matching { since: Some(NOON.plus_seconds(1)), ..Matching::default() };
        let none = world.app.read(|tx| messages::page_of(tx, &ann, &place("team"), &later, None, (2, false))).unwrap();
        assert_eq!((none.items.len(), none.count), (0, 0));
    });
}

#[test]
fn the_newest_page_counts_replies_as_every_other_does() {
    on_every_engine(|world| {
        let [ann, bob, _] = talk(world);
        let reply = world.app.read(|tx| messages::show(tx, &ann, &"team#6".parse().unwrap())).unwrap();
        world.reply(&bob, "team", &reply, "to a reply");
        let newest = |size| {
            world.app.read(|tx| messages::page_of(tx, &ann, &place("team"), &Matching::default(), None, (size, false)))
        };
        for size in 1..8 {
            for message in newest(size).unwrap().items {
                let selector = MessageSelector::Id(message.message_id);
                let shown = world.app.read(|tx| messages::show(tx, &ann, &selector)).unwrap();
                assert_eq!(serde_json::to_value(&message).unwrap(), serde_json::to_value(&shown).unwrap());
            }
        }
    });
}

#[test]
fn all_one_may_see_goes_by_time_and_has_no_tombstones() {
    on_every_engine(|world| {
        let [ann, bob, eve] = talk(world);
        let everywhere = |actor: &Actor, matching: Matching| {
            walk(
                world,
                |tx, seek, size| messages::page_everywhere(tx, actor, &matching, seek, size),
                |message| message.content.clone(),
            )
        };
        let (all, count) = everywhere(&bob, Matching::default());
        assert_eq!((all.len(), count), (7, 7));
        assert_eq!(all[..2], ["you there?", "hello elsewhere"]);
        assert_eq!(everywhere(&ann, Matching::default()), (all, 7), "an admin sees everything");
        assert_eq!(everywhere(&eve, Matching::default()).1, 6);
        // The command line lists the same.
        for actor in [&ann, &bob, &eve, &operator()] {
            let list = List { limit: 100, ..List::default() };
            let listed = world.app.read(|tx| list_messages(tx, actor, &list)).unwrap();
            let newest_first: Vec<String> = listed.into_iter().rev().map(|message| message.content).collect();
            assert_eq!(newest_first, everywhere(actor, Matching::default()).0);
        }
        let from = Matching { sender: Some(selector(&bob)), ..Matching::default() };
        assert_eq!(everywhere(&eve, from.clone()).0, ["you there?", "hello 6", "hello 4", "hello 2"]);
        let to = Matching { receiver: Some(selector(&eve)), ..Matching::default() };
        assert_eq!(everywhere(&bob, to.clone()), (vec!["you there?".to_owned()], 1));
        assert_eq!(everywhere(&bob, Matching { sender: from.sender, ..to }).1, 1);
        let nobody = Matching { sender: Some(UserSelector::from("nobody".to_owned())), ..Matching::default() };
        let refused = world.app.read(|tx| messages::page_everywhere(tx, &bob, &nobody, None, 2));
        crate::assert_refused!(refused, NotFound);
    });
}

#[test]
fn what_is_unread_is_listed_from_the_last_to_come_in() {
    on_every_engine(|world| {
        let [_, bob, eve] = talk(world);
        let unread = |actor: &Actor| {
            let read = |tx: &mut Tx<'_>, seek: Option<&Seek<_>>, size| messages::unread_page(tx, actor, seek, size);
            walk(world, read, |message| message.content.clone())
        };
        assert_eq!(unread(&bob), (vec!["hello 5".to_owned(), "hello 3".to_owned()], 2));
        assert_eq!(unread(&eve).1, 6);
        crate::assert_refused!(world.app.read(|tx| messages::unread_page(tx, &operator(), None, 2)), Invalid);
    });
}

#[test]
fn earlier_contents_threads_and_findings_are_paged_too() {
    on_every_engine(|world| {
        let [ann, bob, _] = talk(world);
        let message: MessageSelector = "team#3".parse().unwrap();
        for number in 1..6 {
            let change = MessageEdit { content: format!("edited {number}"), ..MessageEdit::default() };
            world.app.write(|tx| messages::edit(tx, &ann, &message, &change)).unwrap();
        }
        let history =
            |tx: &mut Tx<'_>, seek: Option<&Seek<i64>>, size| messages::history_page(tx, &bob, &message, seek, size);
        assert_eq!(walk(world, history, |revision| revision.revision), (vec![5, 4, 3, 2, 1], 5));
        let root: MessageSelector = "team#1".parse().unwrap();
        let thread = |tx: &mut Tx<'_>, seek: Option<&Seek<_>>, size| messages::thread_page(tx, &bob, &root, seek, size);
        let (numbers, count) = walk(world, thread, |found| (found.message.number.0, found.depth));
        assert_eq!((numbers, count), (vec![(1, 0), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)], 6));
        let search = Search { query: "hello".to_owned(), limit: 2, ..Search::default() };
        let find = |tx: &mut Tx<'_>, seek: Option<&Seek<_>>, size| {
            let search = Search { limit: size, ..search.clone() };
            let (page, partial) =
                messages::search_page(tx, &bob, &search, seek, &late_after(std::time::Duration::MAX))?;
            assert_eq!(partial, None);
            Ok(page)
        };
        let (found, count) = walk(world, find, |finding| finding.message.content.clone());
        assert_eq!((found, count), (["elsewhere", "6", "5", "4", "2"].map(|word| format!("hello {word}")).to_vec(), 5));
    });
}

#[test]
fn of_accounts_that_are_searched_those_come_first_whose_usernames_begin_with_it() {
    on_every_engine(|world| {
        for name in ["zan", "anna", "an", "Bann", "ANN", "other", "a", "ao", "hanna", "\u{10FFFF}an"] {
            world.user(name);
        }
        for name in ["annex", "chan", "zann"] {
            world.admin(name);
        }
        let found = |role: Role, search: Option<&str>| {
            let search = search.map(ToOwned::to_owned);
            let matching = users::Matching { search, role: Some(role), ..users::Matching::default() };
            let accounts = |tx: &mut Tx<'_>, seek: Option<&Seek<String>>, size| {
                users::accounts(tx, &operator(), &matching, seek, size)
            };
            walk(world, accounts, |user| user.person.username.clone()).0
        };
        assert_eq!(found(Role::User, Some("an")), ["an", "ANN", "anna", "Bann", "hanna", "zan", "\u{10FFFF}an"]);
        assert_eq!(found(Role::User, Some("Anna")), ["anna", "hanna"]);
        assert_eq!(found(Role::User, Some("nn")), ["ANN", "anna", "Bann", "hanna"]);
        let all = ["a", "an", "ANN", "anna", "ao", "Bann", "hanna", "other", "zan", "\u{10FFFF}an"];
        assert_eq!(found(Role::User, None), all);
        assert_eq!(found(Role::User, Some("\u{10FFFF}")), ["\u{10FFFF}an"]);
        assert_eq!(found(Role::Admin, Some("an")), ["annex", "chan", "zann"]);
        assert_eq!(found(Role::Admin, Some("nn")), ["annex", "zann"]);
        assert!(found(Role::User, Some("nothing")).is_empty());
    });
}

#[test]
fn people_conversations_and_notifications_are_paged_in_their_orders() {
    on_every_engine(|world| {
        let [ann, bob, _] = talk(world);
        let people = |tx: &mut Tx<'_>, seek: Option<&Seek<String>>, size| {
            users::page(tx, &ann, &users::Matching::default(), seek, size)
        };
        assert_eq!(
            walk(world, people, |user| user.person().username.clone()),
            (vec!["ann".to_owned(), "bob".to_owned(), "eve".to_owned()], 3)
        );
        let found = world.app.read(|tx| users::page(tx, &bob, &crate::support::searched("e"), None, 2)).unwrap();
        assert_eq!((found.items.len(), found.count), (1, 1));
        let own = |tx: &mut Tx<'_>, seek: Option<&Seek<_>>, size| conversations::page_of(tx, &bob, None, seek, size);
        let (names, count) = walk(world, own, |view| view.name.clone().unwrap_or_default());
        assert_eq!((names.len(), count), (5, 5));
        assert_eq!(names[0], "", "the direct one was active last");
        crate::assert_refused!(world.app.read(|tx| conversations::page_of(tx, &operator(), None, None, 2)), Forbidden);
        let team = ConversationSelector::Name("team".to_owned());
        let members =
            |tx: &mut Tx<'_>, seek: Option<&Seek<_>>, size| conversations::participants(tx, &bob, &team, seek, size);
        assert_eq!(walk(world, members, |person| person.username.clone()).1, 3);
        world
            .app
            .write(|tx| {
                let owner = notifications::owner(tx, &bob, None)?;
                notifications::set_read(tx, &bob, &owner, &["team#3".parse().unwrap()], true)
            })
            .unwrap();
        for (is_read, expected) in [(None, vec![5, 3]), (Some(false), vec![5]), (Some(true), vec![3])] {
            let listed = |tx: &mut Tx<'_>, seek: Option<&Seek<_>>, size| {
                let owner = notifications::owner(tx, &bob, None)?;
                notifications::page_of(tx, &owner, is_read, seek, size)
            };
            let (numbers, count) = walk(world, listed, |notification| notification.message.number.0);
            assert_eq!(count, i64::try_from(expected.len()).unwrap());
            assert_eq!(numbers, expected);
        }
        let shown = world.app.read(|tx| {
            let owner = notifications::owner(tx, &bob, None)?;
            let message = messages::show(tx, &bob, &"team#5".parse().unwrap())?;
            notifications::show(tx, &owner, message.message_id)
        });
        assert_eq!(shown.unwrap().kind, NotificationKind::Message);
    });
}

#[test]
fn links_keep_working_while_rows_come_and_go() {
    on_every_engine(|world| {
        let [ann, bob, _] = talk(world);
        let page = |seek: Option<&Seek<(Timestamp, _)>>| {
            world.app.read(|tx| messages::page_everywhere(tx, &bob, &Matching::default(), seek, 2)).unwrap()
        };
        let first = page(None);
        let last = MessageSelector::Id(first.items[1].message_id);
        let next = page(first.next.as_ref());
        world.app.write(|tx| messages::delete(tx, &ann, std::slice::from_ref(&last))).unwrap();
        world.send(&ann, "team", "new");
        let again = page(first.next.as_ref());
        let ids = |page: &Page<tidings::model::Message, _>| {
            page.items.iter().map(|found| found.message_id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&again), ids(&next));
        let back = page(again.previous.as_ref());
        assert_eq!(back.items.len(), 2, "what was deleted is not there, what is new is");
    });
}
