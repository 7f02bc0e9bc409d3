//! Everybody's conversations, as admins list them, and who takes part in one.

use tidings::model::{Actor, ConversationId, Level, Seek, UserSelector};
use tidings::service::conversations::{self, ConversationChange, Everywhere, NewConversation};

use crate::assert_refused;
use crate::support::{World, on_every_engine, operator, place, selector};

fn find(
    world: &World,
    (of, search): (Option<&UserSelector>, Option<&str>),
    seek: Option<&Seek<(tidings::model::Timestamp, tidings::model::ConversationKey)>>,
    size: i64,
) -> Everywhere {
    world.app.read(|tx| conversations::page_everywhere(tx, &operator(), (of, search), seek, size)).unwrap()
}

fn names(found: &Everywhere) -> Vec<&str> {
    found.page.items.iter().map(|conversation| conversation.name.as_deref().unwrap_or("direct")).collect()
}

/// Groups of ann and bob, and what bob and eve say to each other
fn filled(world: &World) -> [Actor; 3] {
    let people = ["ann", "bob", "eve"].map(|name| world.user(name));
    for name in ["alpha", "beta", "gamma"] {
        world.group(name, &people[0], &[&people[1]]);
    }
    let pair = NewConversation { participants: vec![selector(&people[2])], ..NewConversation::default() };
    world.app.write(|tx| conversations::create(tx, &people[1], &pair)).unwrap();
    let title = ConversationChange { title: Some("Straße BETA".to_owned()), ..ConversationChange::default() };
    world.app.write(|tx| conversations::update(tx, &people[0], &place("alpha"), &title)).unwrap();
    people
}

#[test]
fn everybodys_conversations_are_listed_page_by_page_the_newest_first() {
    on_every_engine(|world| {
        filled(world);
        let first = find(world, (None, None), None, 3);
        assert_eq!((names(&first), first.page.previous), (vec!["direct", "gamma", "beta"], None));
        let second = find(world, (None, None), first.page.next.as_ref(), 3);
        assert_eq!((names(&second), second.page.next), (vec!["alpha"], None));
        let back = find(world, (None, None), second.page.previous.as_ref(), 3);
        assert_eq!((names(&back), back.page.next), (names(&first), first.page.next));
    });
}

#[test]
fn they_are_found_by_name_or_title_and_by_who_takes_part() {
    on_every_engine(|world| {
        let [ann, bob, eve] = filled(world).map(|user| selector(&user));
        assert_eq!(names(&find(world, (None, Some("beta")), None, 9)), ["beta", "alpha"]);
        assert_eq!(names(&find(world, (None, Some("STRASSE")), None, 9)), ["alpha"]);
        assert_eq!(names(&find(world, (None, Some("%")), None, 9)), [""; 0]);
        assert_eq!(names(&find(world, (Some(&eve), None), None, 9)), ["direct"]);
        assert_eq!(names(&find(world, (Some(&bob), None), None, 9)).len(), 4);
        assert_eq!(names(&find(world, (Some(&ann), Some("gamma")), None, 9)), ["gamma"]);
        let first = find(world, (None, Some("a")), None, 2);
        assert_eq!((names(&first), first.looked_through), (vec!["gamma", "beta"], None));
        let second = find(world, (None, Some("a")), first.page.next.as_ref(), 2);
        assert_eq!((names(&second), second.page.next), (vec!["alpha"], None));
        assert_eq!(names(&find(world, (None, Some("a")), second.page.previous.as_ref(), 2)), ["gamma", "beta"]);
    });
}

#[test]
fn a_search_looks_through_10_000_and_goes_on_behind_them() {
    on_every_engine(|world| {
        filled(world);
        world.insert(
            "INSERT INTO conversation (id, kind, name, name_folded, names_folded, created_at, active_at)
             WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 10000)
             SELECT gen_random_uuid(), 1, 'more-' || number, 'more-' || number, 'more-' || number, 1, 1 FROM numbers",
        );
        let first = find(world, (None, Some("alpha")), None, 5);
        assert_eq!((names(&first), first.looked_through), (vec![], Some(10_000)));
        let second = find(world, (None, Some("alpha")), first.page.next.as_ref(), 5);
        assert_eq!((names(&second), second.looked_through, second.page.next), (vec!["alpha"], None, None));
        // What is found goes on from the last that was found.
        let full = find(world, (None, Some("more")), None, 5);
        assert_eq!((names(&full).len(), full.looked_through), (5, None));
        assert_eq!(names(&find(world, (None, Some("more")), full.page.next.as_ref(), 5))[0], "more-9995");
    });
}

#[test]
fn only_admins_and_the_operator_list_what_is_others() {
    on_every_engine(|world| {
        let [ann, bob, _] = filled(world);
        world.level(&bob, "alpha", Level::Mentions);
        let root = world.admin("root");
        let page = |actor: &Actor| {
            world.app.read(|tx| conversations::page_everywhere(tx, actor, (None, None), None, 9)).map(drop)
        };
        let levels = |actor: &Actor| {
            let page = world.app.read(|tx| conversations::levels(tx, actor, &place("alpha"), None, 9))?;
            let level = |(person, level): &(tidings::model::UserRef, Level)| (person.username.clone(), *level);
            Ok::<_, tidings::error::Error>(page.items.iter().map(level).collect::<Vec<_>>())
        };
        let alpha = world.app.read(|tx| conversations::show(tx, &ann, &place("alpha"))).unwrap().conversation_id;
        let gone = ConversationId(uuid::Uuid::nil());
        let by_id = |actor: &Actor| world.app.read(|tx| conversations::with_ids(tx, actor, [alpha, gone, alpha]));
        let expected = [("ann".to_owned(), Level::All), ("bob".to_owned(), Level::Mentions)];
        for actor in [&root, &operator()] {
            page(actor).unwrap();
            assert_eq!(levels(actor).unwrap(), expected);
            let found = by_id(actor).unwrap();
            assert_eq!(found.iter().map(|found| found.conversation_id).collect::<Vec<_>>(), [alpha]);
        }
        assert_refused!(by_id(&ann), Forbidden);
        assert_refused!(page(&ann), Forbidden);
        assert_refused!(levels(&ann), Forbidden);
        let nobody = UserSelector::from("nobody".to_owned());
        let absent =
            world.app.read(|tx| conversations::page_everywhere(tx, &root, (Some(&nobody), None), None, 9).map(drop));
        assert_refused!(absent, NotFound);
    });
}
