//! What a conversation shows to one viewer, and lists of them.

use tidings::model::{Actor, ConversationSelector, ConversationView, Level};
use tidings::service::conversations::{self, NewConversation};
use tidings::service::{messages, notifications};
use tidings::store;

use super::{create, group, show, with};
use crate::support::{draft, on_every_engine, operator, place, selector};

fn names(conversations: &[ConversationView]) -> Vec<&str> {
    conversations.iter().filter_map(|conversation| conversation.name.as_deref()).collect()
}

#[test]
fn a_level_is_all_at_first_and_each_participants_own() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        let quiet = NewConversation { level: Some(Level::Mentions), ..group("team", &[&bob]) };
        assert_eq!(create(world, &ann, &quiet).unwrap().level, Some(Level::Mentions));
        assert_eq!(show(world, &bob, "team").unwrap().level, Some(Level::All));
        world.level(&bob, "team", Level::None);
        assert_eq!(show(world, &bob, "team").unwrap().level, Some(Level::None));
        assert_eq!(show(world, &ann, "team").unwrap().level, Some(Level::Mentions));
        assert_eq!(show(world, &operator(), "team").unwrap().level, None);
        create(world, &ann, &with(&[&bob])).unwrap();
        world.level(&ann, "@bob", Level::None);
        let again = NewConversation { level: Some(Level::All), ..with(&[&bob]) };
        assert_eq!(create(world, &ann, &again).unwrap().level, Some(Level::All), "the one there is gets it too");
    });
}

#[test]
fn the_unread_count_is_the_viewers_own() {
    on_every_engine(|world| {
        let [root, ann, bob] = [world.admin("root"), world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("other", &ann, &[&bob]);
        for conversation in ["team", "team", "team", "other"] {
            world.send(&ann, conversation, "hi");
        }
        let unread = |actor: &Actor| show(world, actor, "team").unwrap().unread_count;
        assert_eq!([unread(&bob), unread(&ann), unread(&root), unread(&operator())], [Some(3), Some(0), None, None]);
        let first = ["team#1".parse().unwrap()];
        let read = world.app.write(|tx| {
            let owner = notifications::owner(tx, &bob, None)?;
            notifications::set_read(tx, &bob, &owner, &first, true)
        });
        assert_eq!(read.unwrap(), 1);
        assert_eq!(unread(&bob), Some(2));
        world.app.write(|tx| messages::delete(tx, &ann, &["team#2".parse().unwrap()])).unwrap();
        assert_eq!(unread(&bob), Some(1));
    });
}

#[test]
fn a_conversation_shows_its_last_message_and_how_many_there_are() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("other", &ann, &[&bob]);
        let last = |conversation: &str| {
            let view = show(world, &bob, conversation).unwrap();
            (view.message_count, view.last_message.map(|message| message.content))
        };
        assert_eq!(last("team"), (0, None));
        for text in ["one", "two", "three"] {
            world.send(&ann, "team", text);
        }
        world.send(&ann, "other", "elsewhere");
        assert_eq!(last("team"), (3, Some("three".to_owned())));
        world.app.write(|tx| messages::delete(tx, &ann, &["team#3".parse().unwrap()])).unwrap();
        assert_eq!(last("team"), (2, Some("two".to_owned())));
        assert_eq!(last("other"), (1, Some("elsewhere".to_owned())));
    });
}

#[test]
fn a_list_has_the_actors_conversations_newest_activity_first_also_for_an_admin() {
    on_every_engine(|world| {
        let [root, ann, bob] = [world.admin("root"), world.user("ann"), world.user("bob")];
        for (minute, name) in ["one", "two", "three"].into_iter().enumerate() {
            let app = world.later(60 * i64::try_from(minute).unwrap());
            app.write(|tx| conversations::create(tx, &ann, &group(name, &[&bob]))).unwrap();
        }
        world.group("adminship", &root, &[&bob]);
        world.later(600).write(|tx| messages::send(tx, &bob, &draft("one", "hi"))).unwrap();
        let list = |actor: &Actor| {
            world.app.read(|tx| crate::support::list_conversations(tx, actor, None, None, None, 100)).unwrap()
        };
        assert_eq!(names(&list(&ann)), ["one", "three", "two"]);
        assert_eq!(names(&list(&root)), ["adminship"]);
        assert_eq!(names(&list(&operator())), ["adminship", "three", "two", "one"], "all, newest first");
        let bobs = world
            .app
            .read(|tx| crate::support::list_conversations(tx, &operator(), Some(&selector(&bob)), None, None, 100))
            .unwrap();
        assert_eq!(names(&bobs), ["one", "three", "two", "adminship"]);
        assert_eq!(bobs[0].level, Some(Level::All));
    });
}

#[test]
fn pages_of_a_list_follow_each_other_without_gap_or_double() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        for name in ["one", "two", "three", "four", "five"] {
            world.group(name, &ann, &[&bob]);
        }
        world.later(60).write(|tx| messages::send(tx, &ann, &draft("two", "hi"))).unwrap();
        let pages = |actor: &Actor| -> Vec<String> {
            let mut all = Vec::new();
            loop {
                let after: Option<ConversationSelector> = all.last().map(|name: &String| place(name));
                let list = |tx: &mut store::Tx<'_>| {
                    crate::support::list_conversations(tx, actor, None, after.as_ref(), None, 2)
                };
                let page = world.app.read(list).unwrap();
                assert!(page.len() <= 2);
                all.extend(names(&page).into_iter().map(str::to_owned));
                if page.is_empty() {
                    return all;
                }
            }
        };
        assert_eq!(pages(&bob), ["two", "five", "four", "three", "one"]);
        assert_eq!(pages(&operator()), ["five", "four", "three", "two", "one"]);
    });
}

#[test]
fn a_list_shows_at_most_10_participants_and_one_conversation_shows_all() {
    on_every_engine(|world| {
        let everybody: Vec<Actor> = (10..22).map(|number| world.user(&format!("user{number}"))).collect();
        let [ann, bob] = [&everybody[11], &everybody[0]];
        world.group("team", ann, &everybody.iter().collect::<Vec<_>>());
        world.group("pair", ann, &[bob]);
        let list = world.app.read(|tx| crate::support::list_conversations(tx, ann, None, None, None, 100)).unwrap();
        let sizes = |view: &ConversationView| (view.participants.len(), view.participant_count);
        assert_eq!(list.iter().map(sizes).collect::<Vec<_>>(), [(2, 2), (10, 12)]);
        assert_eq!(sizes(&show(world, ann, "team").unwrap()), (12, 12));
    });
}

#[test]
fn a_search_finds_what_name_or_title_holds_ignoring_case_and_every_character_is_itself() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        for (name, title) in [("one", "100% Äpfel"), ("two_b", "100 Birnen"), ("three", "back\\slash")] {
            create(world, &ann, &NewConversation { title: Some(title.to_owned()), ..group(name, &[&bob]) }).unwrap();
        }
        let cases =
            [("%", "one"), ("äPF", "one"), ("_", "two_b"), ("TWO", "two_b"), ("\\", "three"), ("100 b", "two_b")];
        for actor in [&ann, &operator()] {
            for (search, expected) in cases {
                let list =
                    |tx: &mut store::Tx<'_>| crate::support::list_conversations(tx, actor, None, None, Some(search), 9);
                assert_eq!(names(&world.app.read(list).unwrap()), [expected], "{search}");
            }
        }
    });
}
