//! Searching messages: what is found, in which order, by whom.

use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tidings::app::{App, Options};
use tidings::model::{Actor, Message, MessageSelector, UserSelector};
use tidings::service::messages::{self, Findings, MessageEdit, Partial, Search};
use tidings::service::{accounts, conversations};
use tidings::store::{Db, Location, Tx, maintenance};

use crate::assert_refused;
use crate::support::{NOON, World, brought_along_from, draft, on_every_engine, operator, place, selector};

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
        later.write(|tx| messages::send(tx, &ann, &draft("team", "hello, later"))).unwrap();
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
fn a_user_in_very_many_conversations_finds_messages_of_their_own_only() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        for number in 0..260 {
            world.group(&format!("g{number}"), &ann, &[&bob]);
        }
        world.group("others", &eve, &[&bob]);
        world.send(&bob, "g0", "needle one");
        world.send(&bob, "others", "needle two");
        world.send(&bob, "g259", "needle three");
        world.later(60).write(|tx| messages::send(tx, &bob, &draft("g7", "needle four"))).unwrap();
        // Of the last as many terms that only some of the conversations are searched at once.
        for search in ["needle", "need*", "needle n* ne* nee* need* needl*"] {
            assert_eq!(found(world, &ann, search), ["needle four", "needle three", "needle one"]);
            let newest = Search { limit: 1, ..query(search) };
            assert_eq!(contents(find(world, &ann, &newest)), ["needle four"]);
            assert_eq!(found(world, &eve, search), ["needle two"]);
        }
        let many = query("needle n* ne* nee* need* needl*");
        let late = world.app.read(|tx| messages::search(tx, &ann, &many, &|| true)).unwrap();
        assert_eq!(late.partial, Some(Partial::Time));
        let found: Vec<_> = late.messages.iter().map(|finding| finding.message.content.as_str()).collect();
        assert_eq!(found, ["needle four", "needle three"], "the most active conversations come first");
    });
}

#[test]
fn an_edit_is_found_by_its_new_words_alone() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let sent = world.send(&ann, "team", "tomato soup");
        let change = MessageEdit { content: "potato soup".to_owned(), ..MessageEdit::default() };
        let message = MessageSelector::Id(sent.message_id);
        world.app.write(|tx| messages::edit(tx, &ann, &message, &change)).unwrap();
        assert_eq!(found(world, &bob, "tomato"), Vec::<String>::new());
        assert_eq!(found(world, &bob, "potato soup"), ["potato soup"]);
        world.app.write(|tx| messages::restore(tx, &ann, &message, 1, None)).unwrap();
        assert_eq!(found(world, &bob, "tomato"), ["tomato soup"]);
    });
}

#[test]
fn deleted_messages_are_not_found() {
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
                let sent = messages::send(tx, &bob, &draft("team", "word five"))?;
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
        let draft = draft("team", "phantom");
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
fn all_messages_with_words_that_begin_as_asked_are_found_however_many_words_those_are() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let words: Vec<String> = (0..2000).map(|number| format!("word{number}")).collect();
        for words in words.chunks(50) {
            world.send(&ann, "team", &words.join(" "));
        }
        for actor in [&bob, &operator()] {
            assert_eq!(found(world, actor, "wor*").len(), 40);
            assert_eq!(found(world, actor, "w* wo* word199*").len(), 2, "word199, and word1990 to word1999");
        }
    });
}

/// What a program of that version made, where the search index told of a message what nobody would take for the truth today
fn rows_of(version: i32) -> String {
    let rows = "
        INSERT INTO account (id, username, username_folded, first_name, last_name, names_folded, role, created_at) VALUES
            (gen_random_uuid(), 'ann', 'ann', '', '', 'ann\n ', 0, 1), (gen_random_uuid(), 'bob', 'bob', '', '', 'bob\n ', 0, 1),
            (gen_random_uuid(), 'eve', 'eve', '', '', 'eve\n ', 0, 1);
        INSERT INTO conversation
            (id, kind, name, name_folded, names_folded, creator_key, created_at, active_at, last_number, message_count)
            VALUES (gen_random_uuid(), 1, 'team', 'team', 'team\n', 1, 1, 1, 2, 2);
        INSERT INTO participant (conversation_key, user_key) VALUES (1, 1), (1, 2);
        INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at) VALUES
            (gen_random_uuid(), 1, 1, 1, 'from the old days', 1), (gen_random_uuid(), 1, 2, 1, 'older days', 2);";
    // The first of them is indexed.
    let index = "INSERT INTO maintenance (task, since, position) VALUES (0, 1, 1);";
    format!("{rows}{}", if version > 1 { index } else { "" })
}

#[test]
fn a_database_of_each_older_version_is_indexed_again() {
    for version in 1..=3 {
        let rows = rows_of(version);
        let of_sqlite = "INSERT INTO message_search (rowid, words) VALUES (1, '_1_1 from_1 the_1 old_1 days_1')";
        brought_along_from(version, &rows, if version > 1 { of_sqlite } else { "" }, |world| {
            let actor = |name: &str| {
                world.app.read(|tx| tidings::service::acting(tx, &UserSelector::from(name.to_owned()))).unwrap()
            };
            let [ann, bob, eve] = ["ann", "bob", "eve"].map(actor);
            world.send(&ann, "team", "new days");
            let findings = find(world, &bob, &query("days"));
            assert_eq!(findings.partial, Some(Partial::Index), "nobody said that the index is unfinished");
            assert_eq!(findings.messages.len(), 1, "what the old index knew was found");
            world.app.index().unwrap();
            for search in ["days", "da*"] {
                for actor in [&bob, &operator()] {
                    assert_eq!(found(world, actor, search), ["new days", "older days", "from the old days"]);
                }
                assert_eq!(found(world, &eve, search), Vec::<String>::new());
            }
            assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        });
    }
}

#[test]
fn what_is_edited_while_older_messages_are_indexed_is_found_by_its_new_words() {
    on_every_engine(|world| {
        let Location::Postgres(url) = &world.location else { return };
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("hall", &ann, &[&bob]);
        // In the one as many as are indexed at once, and in the other the one behind them.
        world.insert(
            "INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
                 SELECT gen_random_uuid(), 1, number, 1, 'old', 1 FROM generate_series(1, 2000) AS number;
             INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
                 VALUES (gen_random_uuid(), 2, 1, 1, 'old', 1);
             INSERT INTO maintenance (task, since, position) VALUES (0, 1, 0)",
        );
        let changing = |conversation: i64, change: &str| {
            let lock = format!("SELECT key FROM conversation WHERE key = {conversation} FOR NO KEY UPDATE");
            let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
            client.batch_execute(&format!("BEGIN; {lock}; {change}")).unwrap();
            client
        };
        let mut deleting = changing(1, "DELETE FROM message WHERE conversation_key = 1");
        let mut editing = changing(
            2,
            "UPDATE message SET content = 'new' WHERE conversation_key = 2;
             INSERT INTO message_search (message_key, words, conversation_words)
                 SELECT key, array_to_tsvector(ARRAY['_1', 'new']), array_to_tsvector(ARRAY['_2__1', '_2_new'])
                 FROM message WHERE conversation_key = 2",
        );
        let location = world.location.clone();
        thread::scope(|scope| {
            let indexing = scope.spawn(move || {
                let (db, _) = Db::open(&location, true).unwrap();
                App::new(db, Options::default()).index().unwrap();
            });
            for client in [&mut deleting, &mut editing] {
                thread::sleep(Duration::from_millis(500));
                client.batch_execute("COMMIT").unwrap();
            }
            indexing.join().unwrap();
        });
        assert_eq!(found(world, &bob, "new"), ["new"]);
        assert_eq!(found(world, &bob, "old"), Vec::<String>::new());
    });
}

#[test]
fn an_index_that_is_begun_again_while_it_is_made_is_made_whole() {
    on_every_engine(|world| {
        let Location::Postgres(url) = &world.location else { return };
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for content in ["one", "two", "three"] {
            world.send(&ann, "team", content);
        }
        world.execute(
            "DELETE FROM message_search;
             INSERT INTO maintenance (task, since, position) SELECT 0, 1, max(key) - 1 FROM message",
        );
        let mut other = postgres::Client::connect(url, postgres::NoTls).unwrap();
        other.batch_execute("BEGIN; SELECT key FROM conversation FOR NO KEY UPDATE").unwrap();
        let location = world.location.clone();
        thread::scope(|scope| {
            let indexing = scope.spawn(move || {
                let (db, _) = Db::open(&location, true).unwrap();
                App::new(db, Options::default()).index().unwrap();
            });
            thread::sleep(Duration::from_millis(500));
            world.app.write(maintenance::mend_index).unwrap();
            other.batch_execute("COMMIT").unwrap();
            indexing.join().unwrap();
        });
        for word in ["one", "three"] {
            assert_eq!(found(world, &bob, word), [word]);
        }
    });
}

#[test]
fn a_query_that_is_too_long_is_invalid_and_whom_nobody_knows_is_not_found() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        let search = |search: Search| world.app.read(|tx| messages::search(tx, &ann, &search, &|| false));
        assert_refused!(search(query(&"a ".repeat(101))), Invalid);
        assert_refused!(search(query("a\0b")), Invalid);
        assert_refused!(search(Search { sender: Some(UserSelector::from("eve".to_owned())), ..query("a") }), NotFound);
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

/// Single letters of scripts without spaces, each of them the beginning of words where it is searched for
fn letters() -> Vec<String> {
    let letters = ('\u{E81}'..'\u{EAF}').chain('\u{1000}'..'\u{102A}').chain('\u{1780}'..'\u{17B3}').map(String::from);
    let is_one = |letter: &String| {
        let terms = tidings::model::Terms::parse(letter);
        terms.iter().map(|term| (term.folded.as_str(), term.is_prefix)).eq([(letter.as_str(), true)])
    };
    let letters: Vec<String> = letters.filter(is_one).take(95).collect();
    assert_eq!(letters.len(), 95);
    letters
}

/// Everything that a search answers, as a client reads it; it is late when it asks so many times whether it is.
fn answer(world: &World, actor: &Actor, search: &Search, patience: usize) -> String {
    let asked = std::cell::Cell::new(0);
    let is_late = || {
        asked.set(asked.get() + 1);
        asked.get() > patience
    };
    let read = |tx: &mut Tx<'_>| {
        let Findings { messages, partial } = messages::search(tx, actor, search, &is_late)?;
        asked.set(0);
        let (page, part) = messages::search_page(tx, actor, search, None, &is_late)?;
        let texts = [messages, page.items].map(|found| serde_json::to_string(&found).unwrap());
        Ok(format!("{texts:?} {partial:?} {part:?} {} {:?} {:?}", page.count, page.next, page.previous))
    };
    world.app.read(read).unwrap()
}

/// A world in which `ann` is in very many conversations, `bob` in one of them, and strangers talk among themselves
fn beside_strangers(world: &World) -> ([Actor; 3], Message) {
    let [ann, bob, eve, zoe] = ["ann", "bob", "eve", "zoe"].map(|name| world.user(name));
    for number in 0..260 {
        world.group(&format!("g{number}"), &ann, &[&zoe]);
    }
    world.group("team", &ann, &[&bob]);
    world.send(&bob, "team", &format!("{} sez", letters().join(" ")));
    world.group("foreign", &eve, &[&world.user("mel")]);
    let secret = world.send(&eve, "foreign", "nothing");
    ([ann, bob, eve], secret)
}

#[test]
fn single_letters_beside_a_beginning_do_not_spell_out_what_strangers_say() {
    on_every_engine(|world| {
        let ([_, bob, eve], secret) = beside_strangers(world);
        let change = MessageEdit { content: "sea sec secret see set".to_owned(), ..MessageEdit::default() };
        world.app.write(|tx| messages::edit(tx, &eve, &MessageSelector::Id(secret.message_id), &change)).unwrap();
        for beginning in ["s*", "se*", "sec*", "secret*", "sez*"] {
            let search = query(&format!("{} {beginning}", letters().join(" ")));
            let own = usize::from("sez".starts_with(beginning.trim_end_matches('*')));
            let findings = find(world, &bob, &search);
            assert_eq!((findings.messages.len(), findings.partial), (own, None), "{beginning}");
        }
    });
}

/// What a stranger says: up to some hundred words that begin as one's own do
fn strange() -> impl Strategy<Value = String> {
    let beginnings = proptest::sample::select(vec!["a", "ab", "e", "s", "se", "ກ", "小"]);
    (beginnings, proptest::sample::select(vec![1, 2, 5, 400])).prop_map(|(beginning, count)| {
        let words: Vec<String> = (0..count).map(|number| format!("{beginning}{number} {beginning}")).collect();
        words.join(" ")
    })
}

#[test]
fn no_byte_of_an_answer_depends_on_what_the_searcher_may_not_see() {
    on_every_engine(|world| {
        let ([ann, bob, eve], secret) = beside_strangers(world);
        let few: String = letters().join(" ").chars().take(180).collect();
        let queries = proptest::sample::select(vec!["a*", "s*", "se*", "ab* a", "a* e*", "ກ*", "小", "e* sez"]);
        let search = (queries, any::<bool>(), text(), 1_i64..4, any::<bool>()).prop_map(
            move |(beginnings, is_long, text, limit, ranked)| {
                let query = if is_long { format!("{few} {beginnings}") } else { format!("{beginnings} {text}") };
                Search { query, limit, ranked, ..Search::default() }
            },
        );
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(40));
        let say = |content: &str| {
            let change = MessageEdit { content: content.to_owned(), ..MessageEdit::default() };
            world.app.write(|tx| messages::edit(tx, &eve, &MessageSelector::Id(secret.message_id), &change)).unwrap();
        };
        runner
            .run(&(text(), strange(), strange(), search, 0_usize..4), |(own, one, other, search, patience)| {
                world.send(&ann, "team", &format!("{own} a1 ab2 e sea"));
                let [first, second] = [one, other].map(|content| {
                    say(&content);
                    [&ann, &bob].map(|actor| answer(world, actor, &search, patience))
                });
                prop_assert_eq!(first, second, "{:?}", search);
                Ok(())
            })
            .unwrap();
    });
}

/// How many pages a search reads that has read nothing before; on PostgreSQL, of the search index.
fn pages_read(world: &World, actor: &Actor, search: &Search) -> u64 {
    world.pages_read("message_search", |tx| {
        assert!(!messages::search(tx, actor, search, &|| false)?.messages.is_empty());
        Ok(())
    })
}

#[test]
fn a_search_reads_no_more_of_the_index_however_much_strangers_say() {
    on_every_engine(|world| {
        let [ann, bob, eve, zoe] = ["ann", "bob", "eve", "zoe"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.group("foreign", &eve, &[&zoe]);
        let say = |speaker: &Actor, place: &str, count: usize| {
            let send = |tx: &mut Tx<'_>| {
                for number in 0..count {
                    let words: Vec<String> = (0..40).map(|word| format!("word{}", number * 40 + word)).collect();
                    messages::send(tx, speaker, &draft(place, &words.join(" ")))?;
                }
                Ok(())
            };
            world.app.write(send).unwrap();
        };
        let looked = || {
            if let Location::Postgres(_) = world.location {
                world.execute("ANALYZE message_search");
            }
            ["word7", "wor*", "word1* word2*"].map(|text| pages_read(world, &bob, &query(text)))
        };
        say(&ann, "team", 50);
        let alone = looked();
        say(&eve, "foreign", 1000);
        let among_some = looked();
        say(&eve, "foreign", 2000);
        let among_many = looked();
        println!("{alone:?} {among_some:?} {among_many:?}");
        // Trees grow deeper, and PostgreSQL reads a table of few pages whole.
        for index in 0..3 {
            assert!(among_many[index] <= among_some[index].max(alone[index]) + 12);
        }
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
