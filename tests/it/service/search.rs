//! Searching messages: what is found, in which order, by whom.

use proptest::prelude::*;
use tidings::model::{Actor, Message, MessageSelector, UserSelector};
use tidings::service::messages::{self, Change, Findings, Partial, Search};
use tidings::service::{self, accounts, conversations};
use tidings::store::Location;

use crate::assert_refused;
use crate::support::{NOON, OLD_ROWS, World, brought_along_from, on_every_engine, operator, place, selector};

fn find(world: &World, actor: &Actor, search: &Search) -> Findings {
    world.app.read(|tx| messages::search(tx, actor, search, &|| false)).unwrap()
}

fn query(text: &str) -> Search {
    Search { query: text.to_owned(), limit: 50, ..Search::default() }
}

/// The contents found, newest first
fn found(world: &World, actor: &Actor, text: &str) -> Vec<String> {
    contents(find(world, actor, &query(text)))
}

fn contents(findings: Findings) -> Vec<String> {
    assert_eq!(findings.partial, None);
    findings.messages.into_iter().map(|finding| finding.message.content).collect()
}

#[test]
fn a_search_finds_messages_with_all_the_words_newest_first() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for content in ["Lunch at the Café", "the cafe is closed", "lunch, then", "LUNCH: THE CAFÉ!", "我们在北京见面"]
        {
            world.send(&ann, "team", content);
        }
        assert_eq!(found(world, &bob, "cafe"), ["LUNCH: THE CAFÉ!", "the cafe is closed", "Lunch at the Café"]);
        assert_eq!(found(world, &bob, "CAFÉ lunch"), ["LUNCH: THE CAFÉ!", "Lunch at the Café"]);
        assert_eq!(found(world, &bob, "lun* clo*"), Vec::<String>::new());
        assert_eq!(found(world, &bob, "clos* the"), ["the cafe is closed"]);
        assert_eq!(
            found(world, &bob, "the*"),
            ["LUNCH: THE CAFÉ!", "lunch, then", "the cafe is closed", "Lunch at the Café"]
        );
        assert_eq!(found(world, &bob, "北京"), ["我们在北京见面"]);
        assert_eq!(found(world, &bob, "京"), ["我们在北京见面"]);
        assert_eq!(found(world, &bob, "lunc"), Vec::<String>::new());
        assert_eq!(found(world, &bob, "…!"), Vec::<String>::new());
        let limited = Search { limit: 1, ..query("cafe") };
        assert_eq!(contents(find(world, &bob, &limited)), ["LUNCH: THE CAFÉ!"]);
    });
}

#[test]
fn a_search_can_be_narrowed_to_a_conversation_a_sender_and_a_time() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("club", &ann, &[&bob]);
        world.send(&ann, "team", "hello from ann");
        world.send(&bob, "team", "hello from bob");
        world.send(&bob, "club", "hello, club");
        let later = world.later(60);
        later.write(|tx| messages::send(tx, &ann, &crate::support::draft("team", "hello, later"))).unwrap();
        for word in ["hello", "hel*"] {
            let of = |search: Search| contents(find(world, &ann, &search));
            assert_eq!(of(Search { conversation: Some(place("club")), ..query(word) }), ["hello, club"]);
            assert_eq!(of(Search { sender: Some(selector(&bob)), ..query(word) }), ["hello, club", "hello from bob"]);
            assert_eq!(of(Search { since: Some(NOON.plus_seconds(1)), ..query(word) }), ["hello, later"]);
            let both = Search { conversation: Some(place("team")), sender: Some(selector(&bob)), ..query(word) };
            assert_eq!(of(both.clone()), ["hello from bob"]);
            assert_eq!(contents(find(world, &operator(), &both)), ["hello from bob"]);
        }
    });
}

#[test]
fn nothing_is_found_that_the_searcher_may_not_see() {
    on_every_engine(|world| {
        let [ann, bob, eve, admin] = [world.user("ann"), world.user("bob"), world.user("eve"), world.admin("root")];
        world.group("team", &ann, &[&bob]);
        world.group("club", &eve, &[&bob]);
        world.send(&ann, "team", "a secret");
        for search in ["secret", "secr*", "a secret"] {
            assert_eq!(found(world, &eve, search), Vec::<String>::new());
            for actor in [&ann, &bob, &admin, &operator()] {
                assert_eq!(found(world, actor, search), ["a secret"]);
            }
        }
        let inside = Search { conversation: Some(place("team")), ..query("secret") };
        assert_refused!(world.app.read(|tx| messages::search(tx, &eve, &inside, &|| false)), NotFound);
        world.app.write(|tx| conversations::remove(tx, &bob, &place("team"), &[selector(&bob)])).unwrap();
        assert_eq!(found(world, &bob, "secret"), Vec::<String>::new());
        let nobody = world.user("zoe");
        assert_eq!(found(world, &nobody, "secret"), Vec::<String>::new());
    });
}

#[test]
fn whoever_is_in_very_many_conversations_finds_their_own_and_no_others() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        for number in 0..260 {
            world.group(&format!("g{number}"), &ann, &[&bob]);
        }
        world.group("others", &eve, &[&bob]);
        world.send(&bob, "g0", "needle one");
        world.send(&bob, "others", "needle two");
        world.send(&bob, "g259", "needle three");
        assert_eq!(found(world, &ann, "needle"), ["needle three", "needle one"]);
        assert_eq!(found(world, &ann, "need*"), ["needle three", "needle one"]);
        assert_eq!(found(world, &eve, "needle"), ["needle two"]);
    });
}

#[test]
fn an_edit_is_found_by_its_new_words_alone() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let sent = world.send(&ann, "team", "tomato soup");
        let change = Change { content: "potato soup".to_owned(), ..Change::default() };
        let message = MessageSelector::Id(sent.message_id);
        world.app.write(|tx| messages::edit(tx, &ann, &message, &change)).unwrap();
        assert_eq!(found(world, &bob, "tomato"), Vec::<String>::new());
        assert_eq!(found(world, &bob, "potato soup"), ["potato soup"]);
        world.app.write(|tx| messages::restore(tx, &ann, &message, 1)).unwrap();
        assert_eq!(found(world, &bob, "tomato"), ["tomato soup"]);
    });
}

#[test]
fn what_is_deleted_is_found_no_more() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let word = |actor: &Actor| found(world, actor, "word").len();
        world.group("team", &ann, &[&bob, &eve]);
        world.group("club", &ann, &[&bob]);
        let first = world.send(&ann, "team", "word one");
        world.reply(&bob, "team", &first, "word two");
        world.send(&ann, "team", "word three");
        world.send(&bob, "club", "word four");
        assert_eq!(word(&ann), 4);
        let message = MessageSelector::Id(first.message_id);
        world.app.write(|tx| messages::delete(tx, &ann, std::slice::from_ref(&message))).unwrap();
        assert_eq!(word(&operator()), 3, "a tombstone was found");
        world.app.write(|tx| conversations::delete(tx, &ann, &place("club"))).unwrap();
        assert_eq!(word(&operator()), 2);
        world.app.write(|tx| accounts::delete(tx, &ann, &[selector(&ann)])).unwrap();
        assert_eq!(found(world, &operator(), "word"), ["word two"]);
        world
            .app
            .write(|tx| {
                let sent = messages::send(tx, &bob, &crate::support::draft("team", "word five"))?;
                messages::delete(tx, &bob, &[MessageSelector::Id(sent.message_id)])
            })
            .unwrap();
        assert_eq!(found(world, &operator(), "word"), ["word two"], "sent and deleted in one transaction");
    });
}

#[test]
fn a_failed_or_tried_out_change_is_not_found() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let draft = crate::support::draft("team", "phantom");
        world.app.try_out(|tx| messages::send(tx, &ann, &draft)).unwrap();
        let failed = world.app.write(|tx| {
            messages::send(tx, &ann, &draft)?;
            messages::show(tx, &ann, &"team#9".parse().unwrap())
        });
        assert_refused!(failed, NotFound);
        assert_eq!(found(world, &ann, "phantom"), Vec::<String>::new());
    });
}

#[test]
fn by_rank_the_message_that_says_the_words_most_in_the_fewest_others_comes_first() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for content in
            ["ferry", "the ferry, the ferry: when does the ferry go", "a ferry among very many other words here"]
        {
            world.send(&ann, "team", content);
        }
        let ranked = Search { ranked: true, limit: 2, ..query("ferry") };
        let best = ["ferry", "the ferry, the ferry: when does the ferry go"];
        assert_eq!(contents(find(world, &bob, &ranked)), best);
        let late = world.app.read(|tx| messages::search(tx, &bob, &ranked, &|| true)).unwrap();
        assert_eq!(late.partial, Some(Partial::Time));
    });
}

#[test]
fn a_finding_shows_where_the_words_are() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "Meet me at the Café");
        let findings = find(world, &bob, &query("cafe me*"));
        assert_eq!(findings.messages[0].snippet.to_string(), "**Meet** **me** at the **Café**");
    });
}

#[test]
fn a_search_that_is_late_says_so() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for _ in 0..60 {
            world.send(&ann, "team", "frequent");
        }
        let search = Search { since: Some(NOON.plus_seconds(1)), ..query("frequent") };
        let late = world.app.read(|tx| messages::search(tx, &bob, &search, &|| true)).unwrap();
        assert!(late.partial == Some(Partial::Time) && late.messages.is_empty(), "{late:?}");
        assert!(contents(find(world, &bob, &search)).is_empty());
    });
}

#[test]
fn words_that_begin_alike_are_looked_for_up_to_three_hundred() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let words: Vec<String> = (0..299).map(|number| format!("word{number}")).collect();
        world.send(&ann, "team", &words.join(" "));
        assert_eq!(found(world, &bob, "word*").len(), 1);
        world.send(&ann, "team", "wordless wordy");
        let findings = find(world, &bob, &query("wor*"));
        let is_sqlite = matches!(world.location, Location::Sqlite(_));
        assert_eq!(findings.partial, is_sqlite.then_some(Partial::Beginnings), "PostgreSQL finds all of them");
    });
}

#[test]
fn messages_from_before_there_was_search_are_found_once_the_database_is_up_to_date() {
    brought_along_from(1, OLD_ROWS, "", |world| {
        let bob = world.app.read(|tx| service::acting(tx, &UserSelector("bob".to_owned()))).unwrap();
        assert_eq!(
            find(world, &bob, &query("hello")).partial,
            Some(Partial::Index),
            "nobody said that the index is unfinished"
        );
        world.app.index().unwrap();
        assert_eq!(found(world, &bob, "hello"), ["hello"]);
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
    });
}

#[test]
fn a_query_that_is_too_long_is_invalid_and_whom_nobody_knows_is_not_found() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        let search = |search: Search| world.app.read(|tx| messages::search(tx, &ann, &search, &|| false));
        assert_refused!(search(query(&"a ".repeat(101))), Invalid);
        assert_refused!(search(query("a\0b")), Invalid);
        assert_refused!(search(Search { sender: Some(UserSelector("eve".to_owned())), ..query("a") }), NotFound);
    });
}

/// Texts of few different words, so that they meet
fn text() -> impl Strategy<Value = String> {
    let words =
        proptest::sample::select(vec!["a", "ab", "é", "E", "ab1", "B", "a*", "\"", "-", "*", "小明", "小", "_"]);
    proptest::collection::vec(words, 1..6).prop_map(|words| words.join(" "))
}

#[test]
fn a_search_finds_what_reading_everything_would_find() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        world.group("club", &ann, &[&eve]);
        let mut sent: Vec<Message> = Vec::new();
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
        let sent_cell = std::cell::RefCell::new(&mut sent);
        runner
            .run(&(text(), text(), any::<bool>()), |(content, search, in_club)| {
                let mut sent = sent_cell.borrow_mut();
                sent.push(world.send(&ann, if in_club { "club" } else { "team" }, &content));
                for (actor, sees) in [(&bob, "team"), (&eve, "club"), (&ann, "")] {
                    let terms = tidings::model::Terms::parse(&search);
                    let matches = |message: &&Message| {
                        let words: Vec<_> = tidings::model::words(&message.content).collect();
                        let is_there = |term: &tidings::model::Term| {
                            words.iter().any(|word| {
                                word.folded == term.folded || term.is_prefix && word.folded.starts_with(&term.folded)
                            })
                        };
                        let place = message.conversation_name.as_deref().unwrap_or_default();
                        (sees.is_empty() || place == sees) && !terms.is_empty() && terms.iter().all(is_there)
                    };
                    let expected: Vec<String> =
                        sent.iter().rev().filter(matches).take(50).map(|message| message.content.clone()).collect();
                    prop_assert_eq!(found(world, actor, &search), expected, "{}", search);
                }
                Ok(())
            })
            .unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_a_person_types_breaks_a_search(text in "[^\0]{0,100}") {
        thread_local! {
            static WORLD: (tempfile::TempDir, World) = {
                let folder = tempfile::tempdir().unwrap();
                let world = World::open(Location::Sqlite(folder.path().join("test.db")));
                let ann = world.user("ann");
                world.group("team", &ann, &[&world.user("bob")]);
                (folder, world)
            };
        }
        WORLD.with(|(_, world)| {
            find(world, &operator(), &query(&text));
            find(world, &operator(), &Search { conversation: Some(place("team")), ..query(&text) });
        });
    }
}
