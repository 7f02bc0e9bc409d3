//! Whatever a list is narrowed to, it shows what whoever asks may see of that, and nothing else.

use std::collections::BTreeSet;

use tidings::error::Result;
use tidings::model::{Actor, Message, MessageId, Seek, UserSelector};
use tidings::service::conversations;
use tidings::service::messages::{self, Destination, Draft, List, Matching, Search};
use tidings::service::page::Page;
use tidings::store::Tx;

use crate::assert_refused;
use crate::support::{World, draft, on_every_engine, operator, place, selector};

/// A message, and what decides who sees it in which list
struct Said {
    id: MessageId,
    place: &'static str,
    sender: usize,
    receiver: Option<usize>,
}

/// Who takes part in what, in the end
const PLACES: [(&str, &[usize]); 4] =
    [("team", &[ANN, BOB, EVE]), ("club", &[BOB, EVE]), ("ann and bob", &[ANN, BOB]), ("bob and eve", &[BOB, EVE])];

const ROOT: usize = 0;
const ANN: usize = 1;
const BOB: usize = 2;
const EVE: usize = 3;
const FORMER: usize = 4;
const OPERATOR: usize = 5;

/// Everybody, of whom the first is an admin outside and one has left, and all that is said: in every place everybody says
/// something to all and to each of the others.
struct Talk {
    people: Vec<Actor>,
    said: Vec<Said>,
}

impl Talk {
    fn new(world: &World) -> Self {
        let mut people = vec![world.admin("root")];
        people.extend(["ann", "bob", "eve", "former"].map(|name| world.user(name)));
        people.push(operator());
        world.group("team", &people[ANN], &[&people[BOB], &people[EVE], &people[FORMER]]);
        world.group("club", &people[BOB], &[&people[EVE]]);
        let mut talk = Self { people, said: Vec::new() };
        for (place, present) in [("team", &[ANN, BOB, EVE, FORMER][..]), ("club", &[BOB, EVE])] {
            for &sender in present {
                talk.say(world, place, sender, None, &draft(place, "words"));
                for &receiver in present.iter().filter(|receiver| **receiver != sender) {
                    let to_one = Some(selector(&talk.people[receiver]));
                    talk.say(
                        world,
                        place,
                        sender,
                        Some(receiver),
                        &Draft { receiver: to_one, ..draft(place, "words") },
                    );
                }
            }
        }
        for (place, sender, receiver) in
            [("ann and bob", ANN, BOB), ("ann and bob", BOB, ANN), ("bob and eve", BOB, EVE), ("bob and eve", EVE, BOB)]
        {
            let destination = Destination::User(selector(&talk.people[receiver]));
            talk.say(world, place, sender, Some(receiver), &Draft { destination, ..draft("", "words") });
        }
        let former = &talk.people[FORMER];
        world.app.write(|tx| conversations::remove(tx, former, &place("team"), &[selector(former)])).unwrap();
        talk
    }

    fn say(&mut self, world: &World, place: &'static str, sender: usize, receiver: Option<usize>, draft: &Draft) {
        let sent = world.app.write(|tx| messages::send(tx, &self.people[sender], draft)).unwrap();
        self.said.push(Said { id: sent.message_id, place, sender, receiver });
    }

    fn name(&self, user: usize) -> UserSelector {
        selector(&self.people[user])
    }

    /// Which messages an actor may see of those from one user to another
    fn visible(&self, actor: usize, sender: Option<usize>, receiver: Option<usize>) -> Vec<&Said> {
        let takes_part = |place| PLACES.iter().any(|(name, people)| *name == place && people.contains(&actor));
        let may_see = |said: &&Said| [ROOT, OPERATOR].contains(&actor) || takes_part(said.place);
        let matches = |said: &&Said| {
            sender.is_none_or(|sender| said.sender == sender)
                && receiver.is_none_or(|receiver| said.receiver == Some(receiver))
        };
        self.said.iter().filter(may_see).filter(matches).collect()
    }

    /// Calls it for everybody who may ask, and every sender and receiver that may be asked for.
    fn for_everybody(&self, mut check: impl FnMut(&Actor, usize, Option<usize>, Option<usize>)) {
        let anybody = || std::iter::once(None).chain((ROOT..=FORMER).map(Some));
        for (index, actor) in self.people.iter().enumerate() {
            for sender in anybody() {
                for receiver in anybody() {
                    check(actor, index, sender, receiver);
                }
            }
        }
    }
}

fn ids<'m>(messages: impl IntoIterator<Item = &'m Message>) -> BTreeSet<MessageId> {
    messages.into_iter().map(|message| message.message_id).collect()
}

fn ids_of(said: &[&Said]) -> BTreeSet<MessageId> {
    said.iter().map(|said| said.id).collect()
}

/// Every page of a list, each of seven things, and what all of them say of its length
fn pages<T, P>(world: &World, read: impl Fn(&mut Tx<'_>, Option<&Seek<P>>) -> Result<Page<T, P>>) -> (Vec<T>, i64) {
    let mut items = Vec::new();
    let mut seek = None;
    loop {
        let page = world.app.read(|tx| read(tx, seek.as_ref())).unwrap();
        items.extend(page.items);
        match page.next {
            Some(next) => seek = Some(next),
            None => return (items, page.count),
        }
    }
}

#[test]
fn a_list_by_sender_and_receiver_is_what_one_may_see_of_it() {
    on_every_engine(|world| {
        let talk = Talk::new(world);
        talk.for_everybody(|actor, index, sender, receiver| {
            let asked = format!("{index} asks for what {sender:?} said to {receiver:?}");
            let expected = talk.visible(index, sender, receiver);
            let name = |user: Option<usize>| user.map(|user| talk.name(user));
            let list = List { sender: name(sender), receiver: name(receiver), limit: 1000, ..List::default() };
            let listed = world.app.read(|tx| crate::support::list_messages(tx, actor, &list)).unwrap();
            assert_eq!(ids(&listed), ids_of(&expected), "{asked}");
            assert_eq!(listed.len(), expected.len(), "{asked}");

            let matching = Matching { sender: name(sender), receiver: name(receiver), ..Matching::default() };
            let (found, count) = pages(world, |tx, seek| messages::page_everywhere(tx, actor, &matching, seek, 7));
            assert_eq!(ids(&found), ids_of(&expected), "{asked}");
            assert_eq!((found.len(), usize::try_from(count).unwrap()), (expected.len(), expected.len()), "{asked}");

            let unread = List { unread: true, ..list };
            let others: Vec<&Said> = expected.into_iter().filter(|said| said.sender != index).collect();
            match world.app.read(|tx| crate::support::list_messages(tx, actor, &unread)) {
                Ok(_) if index == OPERATOR => panic!("the operator reads nothing"),
                // An admin sees what is none of theirs, and is not told of it.
                Ok(found) if index == ROOT => assert!(found.is_empty(), "{asked}"),
                Ok(found) => assert_eq!(ids(&found), ids_of(&others), "{asked}"),
                Err(error) => assert!(index == OPERATOR, "{error}"),
            }
        });
    });
}

#[test]
fn a_search_by_sender_is_what_one_may_see_of_it() {
    on_every_engine(|world| {
        let talk = Talk::new(world);
        talk.for_everybody(|actor, index, sender, receiver| {
            if receiver.is_some() {
                return;
            }
            let expected = ids_of(&talk.visible(index, sender, None));
            let sender = sender.map(|sender| talk.name(sender));
            let search = Search { query: "words".to_owned(), sender, limit: 1000, ..Search::default() };
            for ranked in [false, true] {
                let search = Search { ranked, ..search.clone() };
                let found = world.app.read(|tx| messages::search(tx, actor, &search, &|| false)).unwrap();
                assert_eq!(ids(found.messages.iter().map(|found| &found.message)), expected, "{index} {search:?}");
            }
            let search = Search { limit: 7, ..search };
            let page =
                |tx: &mut Tx<'_>, seek: Option<&_>| Ok(messages::search_page(tx, actor, &search, seek, &|| false)?.0);
            let (found, count) = pages(world, page);
            assert_eq!(ids(found.iter().map(|found| &found.message)), expected, "{index} {search:?}");
            assert_eq!(usize::try_from(count).unwrap(), expected.len(), "{index} {search:?}");
        });
    });
}

#[test]
fn the_messages_of_a_conversation_are_listed_and_searched_by_those_who_can_see_it() {
    on_every_engine(|world| {
        let talk = Talk::new(world);
        talk.for_everybody(|actor, index, sender, receiver| {
            let name = |user: Option<usize>| user.map(|user| talk.name(user));
            for (team, people) in &PLACES[..2] {
                let mut expected = talk.visible(index, sender, receiver);
                expected.retain(|said| said.place == *team);
                let list = List {
                    conversation: Some(place(team)),
                    sender: name(sender),
                    receiver: name(receiver),
                    limit: 1000,
                    ..List::default()
                };
                let matching = Matching { sender: name(sender), receiver: name(receiver), ..Matching::default() };
                let listed = world.app.read(|tx| crate::support::list_messages(tx, actor, &list));
                let page =
                    world.app.read(|tx| messages::page_of(tx, actor, &place(team), &matching, None, (100, false)));
                let search = Search {
                    query: "words".to_owned(),
                    conversation: Some(place(team)),
                    sender: name(sender),
                    limit: 1000,
                    ..Search::default()
                };
                let found = world.app.read(|tx| messages::search(tx, actor, &search, &|| false));
                if ![ROOT, OPERATOR].contains(&index) && !people.contains(&index) {
                    assert_refused!(listed, NotFound);
                    assert_refused!(page, NotFound);
                    assert_refused!(found, NotFound);
                    continue;
                }
                assert_eq!(ids(&listed.unwrap()), ids_of(&expected));
                let page = page.unwrap();
                assert_eq!(ids(&page.items), ids_of(&expected));
                assert_eq!(usize::try_from(page.count).unwrap(), expected.len());
                if receiver.is_none() {
                    assert_eq!(ids(found.unwrap().messages.iter().map(|found| &found.message)), ids_of(&expected));
                }
            }
        });
    });
}

#[test]
fn a_list_that_goes_on_shows_nothing_of_what_one_has_left_meanwhile() {
    on_every_engine(|world| {
        let talk = Talk::new(world);
        let [bob, eve] = [&talk.people[BOB], &talk.people[EVE]];
        let list = List { limit: 1000, ..List::default() };
        let (first, others) = world.app.read(|tx| messages::begin(tx, eve, &list, 2)).unwrap();
        assert_eq!((first.len(), others.len()), (2, talk.visible(EVE, None, None).len() - 2));
        let all = talk.visible(EVE, None, None);
        assert_eq!(world.app.read(|tx| messages::resume(tx, eve, &others)).unwrap().len(), all.len() - 2);
        world.app.write(|tx| conversations::remove(tx, bob, &place("club"), &[selector(eve)])).unwrap();
        let resumed = world.app.read(|tx| messages::resume(tx, eve, &others)).unwrap();
        let club: BTreeSet<MessageId> = all.iter().filter(|said| said.place == "club").map(|said| said.id).collect();
        assert!(!club.is_empty() && !ids(&resumed).is_empty());
        assert!(ids(&resumed).is_disjoint(&club), "{resumed:?}");
        // Who sees all goes on seeing all.
        let (_, others) = world.app.read(|tx| messages::begin(tx, &operator(), &list, 2)).unwrap();
        let resumed = world.app.read(|tx| messages::resume(tx, &operator(), &others)).unwrap();
        assert_eq!(resumed.len(), talk.said.len() - 2);
    });
}
