//! Out and in again: what is dumped, loaded into an empty database and dumped again is the same to the byte.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tidings::model::{Actor, ConversationKey, Level, MessageSelector, UserSelector};
use tidings::service::conversations;
use tidings::service::{self, messages};
use tidings::transfer::Tally;
use tidings::transfer::apply::Options;
use tidings::transfer::dump::Request;
use tidings::transfer::load::{Failure, Loaded};
use tidings::transfer::records::Record;
use tidings::transfer::seed::{Language, Plan, seed};

use super::apply::apply_files;
use super::dump::{build, crowd, records, text};
use super::load::{PEOPLE, load};
use crate::support::{NOON, OLD_ROWS, World, brought_along_from, on_every_engine, operator, place, selector};

/// Loads a dump into an empty database on every engine, finds it sound and shows it.
fn carry(dump: &str, show: impl Fn(&World)) {
    on_every_engine(|world| {
        let loaded = load(world, dump).unwrap();
        assert_eq!(loaded.created.total(), dump.lines().count() as u64);
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        show(world);
    });
}

/// Fails at the first line where two dumps differ; whole, they would fill a screen.
fn assert_same(one: &str, other: &str) {
    for (line, other) in one.lines().zip(other.lines()) {
        assert_eq!(line, other);
    }
    assert_eq!(one.len(), other.len());
}

fn assert_comes_back(dump: &str) {
    carry(dump, |world| {
        assert_same(&text(world, &Request::default()), dump);
        assert_eq!(load(world, dump).unwrap().created, Tally::default(), "loaded again");
        assert_same(&text(world, &Request::default()), dump);
    });
}

fn delete(world: &World, messages: &[&str]) {
    let messages: Vec<MessageSelector> = messages.iter().map(|message| message.parse().unwrap()).collect();
    world.app.write(|tx| messages::delete(tx, &operator(), &messages)).unwrap();
}

fn remove(world: &World, conversation: &str, user: &Actor) {
    world.app.write(|tx| conversations::remove(tx, &operator(), &place(conversation), &[selector(user)])).unwrap();
}

/// The world of the other tests of dumps, with whatever else a database can hold
fn everything(world: &World) {
    build(world);
    let who = |name: &str| world.app.read(|tx| service::acting(tx, &UserSelector::from(name.to_owned()))).unwrap();
    let [ann, bob, eve] = ["ann", "Bob", "eve"].map(who);

    world.group("deep", &ann, &[&bob, &eve]);
    let mut parent = world.send(&ann, "deep", "the first of a thread");
    for number in 2..=6 {
        parent = world.reply(&bob, "deep", &parent, &format!("the {number}th of it"));
    }
    // 1, 3 and 4 are tombstones; nothing hangs on 7.
    let lone = world.send(&eve, "deep", "nobody replies to it");
    world.send(&eve, "deep", "after a gap");
    assert_eq!(lone.number.0, 7);
    delete(world, &["deep#1", "deep#3", "deep#4", "deep#7"]);

    world.group("past", &ann, &[&bob, &eve]);
    let said = world.send(&bob, "past", "said by somebody who went");
    world.reply(&ann, "past", &said, "and answered, @Bob");
    remove(world, "past", &bob);

    world.group("lonely", &ann, &[&bob]);
    world.send(&bob, "lonely", "is anybody here?");
    remove(world, "lonely", &bob);
    world.level(&ann, "lonely", Level::None);

    world.group("emptied", &ann, &[&eve]);
    world.send(&ann, "emptied", "one");
    world.send(&ann, "emptied", "two");
    delete(world, &["emptied#1", "emptied#2"]);

    let hash = service::passwords::hash("a password", [1; 16]).unwrap();
    let django = "pbkdf2_sha256$1000$salt$Zhf4BSYGKMQ0wZDoaxhaTEySAt1rDXvzrDXzT3P+9MA=";
    world.execute(&format!(
        "UPDATE account SET password_hash = '{hash}' WHERE username = 'ann';
         UPDATE account SET password_hash = '{django}' WHERE username = 'eve';
         UPDATE notification SET is_read = TRUE WHERE user_key = 1 AND message_key > 9;
         UPDATE message SET key_name = 'Last “one” \\ here' WHERE content = 'after a gap';"
    ));
    assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
}

#[test]
fn whatever_a_database_holds_comes_back_to_the_byte_on_either_engine() {
    on_every_engine(|world| {
        everything(world);
        let dump = text(world, &Request::default());
        let count = |wanted: &dyn Fn(&Record) -> bool| records(&dump).iter().filter(|record| wanted(record)).count();
        assert_eq!(count(&|record| matches!(record, Record::Message(message) if message.deleted)), 4);
        let alone = |record: &Record| matches!(record, Record::Conversation(found) if found.participants.len() == 1);
        assert_eq!(count(&alone), 1);
        assert_comes_back(&dump);
    });
}

/// What was allowed before every character of a username had to be seen, and something of a text
const UNSEEN: &str = "
    UPDATE account SET username = 'ann\u{200b}', username_folded = 'ann\u{200b}', names_folded = 'ann\u{200b}\n ' WHERE key = 1;
    UPDATE account SET username = '\u{2800}', username_folded = '\u{2800}', names_folded = '\u{2800}\n ' WHERE key = 2;
    UPDATE conversation SET title = '\u{200b}', names_folded = 'team\n\u{200b}' WHERE key = 1;
    UPDATE conversation SET name = NULL, name_folded = NULL, title = '\u{2800}', names_folded = '\n\u{2800}' WHERE key = 2;
    UPDATE message SET content = '\u{200b}', revision = 2 WHERE key = 1;
    INSERT INTO revision (message_key, revision, content, edited_at, editor_key, by_operator)
        VALUES (1, 1, '\u{2060}', 1767258000000000, 1, FALSE);
    UPDATE message SET key_name = 'm2', content = '\u{2800}' WHERE key = 2;";

#[test]
fn what_an_older_version_allowed_comes_back_to_the_byte_and_what_is_new_is_refused() {
    // A title of nothing that is seen makes it a group of two; what is not said is what is there.
    let named = "{\"type\":\"user\",\"username\":\"ANN\u{200b}\"}\n{\"type\":\"user\",\"username\":\"\u{2800}\"}
{\"type\":\"conversation\",\"name\":\"team\",\"title\":\"\u{200b}\",\"participants\":[\"ann\u{200b}\",\"\u{2800}\"]}
{\"type\":\"message\",\"conversation\":\"team\",\"sender\":\"ann\u{200b}\",\"content\":\"\u{2800}\",\"key\":\"m2\"}\n"
        .replace("ANN", "ann");
    brought_along_from(3, &[OLD_ROWS, UNSEEN].concat(), "", |world| {
        world.app.index().unwrap();
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        let dump = text(world, &Request::default());
        assert_eq!(load(world, &dump).unwrap().skipped, 8, "all of it is there");
        assert_eq!(load(world, &named).unwrap().skipped, 4, "by names and keys too");
        for records in [&dump, &named] {
            let plan = apply_files(world, &[("all.jsonl", records)], Options::default(), false).unwrap();
            assert_eq!(plan.changes, []);
        }
        assert_same(&text(world, &Request::default()), &dump);
        assert_comes_back(&dump);
        on_every_engine(|other| {
            let applied = apply_files(other, &[("all.jsonl", &dump)], Options::default(), false).unwrap();
            assert_eq!((applied.changes.len(), applied.unchanged), (8, 0));
            assert_same(&text(other, &Request::default()), &dump);
            let (unseen, count) = other.app.unseen().unwrap();
            assert_eq!((unseen.as_slice(), count), (["ann\u{200b}".to_owned(), "\u{2800}".to_owned()].as_slice(), 2));
        });
        let part = text(world, &Request { pseudonymise: Some([7; 32]), ..Request::default() });
        carry(&part, |other| assert_same(&text(other, &Request::default()), &part));
    });
    on_every_engine(|world| {
        let problems = |records: &str| -> Vec<(u64, String)> {
            load(world, records).unwrap_err().into_iter().map(|(line, _, detail)| (line, detail)).collect()
        };
        let users = ["The username holds a character that is not seen.", "The username holds nothing that is seen."];
        let users = |found: &[(u64, String)]| found.iter().take(2).map(|(_, detail)| detail.clone()).eq(users);
        assert!(users(&problems(&named)), "{:?}", problems(&named));
        load(world, PEOPLE).unwrap();
        let new = "{\"type\":\"message\",\"conversation\":\"team\",\"sender\":\"ann\",\"content\":\"\u{200b}\",\"key\":\"m9\"}";
        assert_eq!(problems(new), [(1, "The message is blank.".to_owned())]);
        let edited =
            new.replace("\"key\"", "\"revisions\":[{\"content\":\"\u{2060}\"}],\"key\"").replace('\u{200b}', "x");
        assert_eq!(problems(&edited), [(1, "The message is blank.".to_owned())]);
        // A title of nothing that is seen is none, so that the two have the conversation that they have already.
        let titled =
            r#"{"type":"conversation","participants":["bob","ann"],"title":"TITLE"}"#.replace("TITLE", "\u{200b}");
        assert_eq!(load(world, &titled).unwrap().skipped, 1);
    });
}

#[test]
fn nobody_is_given_what_an_older_version_allowed() {
    on_every_engine(|world| {
        load(world, PEOPLE).unwrap();
        let dump = text(world, &Request::default());
        let renamed = dump.replace(r#""username":"ann""#, "\"username\":\"ann\u{200b}\"");
        let renamed = renamed.replace(r#"["ann","#, "[\"ann\u{200b}\",").replace(r#","ann"]"#, ",\"ann\u{200b}\"]");
        let renamed = renamed.replace(r#""creator":"ann""#, "\"creator\":\"ann\u{200b}\"");
        let problems = apply_files(world, &[("all.jsonl", &renamed)], Options::default(), false).unwrap_err();
        assert_eq!(problems[0].2, "The username holds a character that is not seen.", "{problems:?}");
        let titled = dump.replace(r#""title":null,"creator":"#, "\"title\":\"\u{200b}\",\"creator\":");
        let titled = titled.lines().find(|line| line.contains(r#""name":"team""#)).unwrap();
        let plan = apply_files(world, &[("team.jsonl", titled)], Options::default(), false).unwrap();
        assert_eq!(plan.changes, [], "a title of nothing that is seen is none: {titled}");
    });
}

#[test]
fn pages_that_are_full_come_back_to_the_byte() {
    on_every_engine(|world| {
        crowd(world, 3, 2500, 400);
        world.execute(
            "DELETE FROM notification WHERE message_key = 7; DELETE FROM message WHERE key = 7;
             UPDATE conversation SET message_count = message_count - 1",
        );
        let dump = text(world, &Request::default());
        let carried = load_elsewhere(&dump);
        assert_same(&carried, &dump);
    });
}

/// What a dump becomes in an empty database of the first engine
fn load_elsewhere(dump: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(tidings::store::Location::Sqlite(folder.path().join("other.db")));
    load(&world, dump).unwrap();
    text(&world, &Request::default())
}

#[test]
fn a_part_of_a_dump_and_one_with_made_up_words_load_into_an_empty_database() {
    on_every_engine(|world| {
        everything(world);
        let requests = [
            Request { conversations: vec![place("deep")], ..Request::default() },
            Request { users: vec![UserSelector::from("[[mandrix]]".to_owned())], ..Request::default() },
            Request { since: Some(NOON.plus_seconds(4)), ..Request::default() },
            Request { until: Some(NOON.plus_seconds(5)), ..Request::default() },
            Request { pseudonymise: Some([7; 32]), ..Request::default() },
        ];
        for request in requests {
            let part = text(world, &request);
            carry(&part, |other| assert_same(&text(other, &Request::default()), &part));
        }
    });
}

#[test]
fn what_was_loaded_can_be_used_on() {
    on_every_engine(|world| {
        everything(world);
        let dump = text(world, &Request::default());
        carry(&dump, |other| {
            let other = &World { app: other.later(100), location: other.location.clone() };
            let ann = other.app.read(|tx| service::acting(tx, &UserSelector::from("ann".to_owned()))).unwrap();
            let numbers = ["deep", "emptied", "lonely"].map(|name| other.send(&ann, name, "more").number.0);
            assert_eq!(numbers, [9, 3, 2], "numbers go on where they were");
            let new = other.user("new");
            other.group("newest", &ann, &[&new]);
            let first = other.send(&new, "newest", "hello");
            assert!(first.conversation_key > ConversationKey(6));
            assert_eq!(other.app.check(|_| {}).unwrap().len(), 0);
        });
    });
}

fn plan() -> impl Strategy<Value = Plan> {
    let language = prop::sample::select(vec![
        Language::English,
        Language::German,
        Language::Spanish,
        Language::French,
        Language::Japanese,
    ]);
    let rates = (0_u8..=100, 0_u8..=100, 0_u8..=100, 0_u8..=100);
    let sizes = (4_u32..12, 1_u32..6, 0_u64..80, 2_u32..4);
    (sizes, rates, language, any::<u64>(), 1_u64..10_000_000).prop_map(
        |((users, conversations, messages, fewest), (direct, replies, edits, read), language, seed, span)| Plan {
            users,
            conversations,
            messages,
            group_size: (fewest, 5),
            direct,
            replies,
            edits,
            read,
            span,
            language,
            seed,
            now: NOON,
        },
    )
}

fn sown(world: &World, plan: &Plan) -> Loaded {
    match seed(&world.app, &operator(), plan, &mut |_| {}) {
        Ok(made) => made,
        Err(Failure::Error(error)) => panic!("{error}: {plan:?}"),
        Err(Failure::Problems(problems) | Failure::Behind(_, problems)) => panic!("{problems:?}: {plan:?}"),
    }
}

#[test]
fn what_is_made_up_is_the_same_on_every_engine_sound_and_comes_back() {
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&plan(), |plan| {
        let first = std::cell::RefCell::new(None::<String>);
        on_every_engine(|world| {
            let made = sown(world, &plan);
            let dump = text(world, &Request::default());
            assert_eq!(made.created.total(), dump.lines().count() as u64);
            assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
            let again = sown(world, &plan);
            assert_eq!(again, Loaded { created: Tally::default(), skipped: made.created.total() });
            assert_same(&text(world, &Request::default()), &dump);
            match &*first.borrow() {
                Some(first) => return assert_same(first, &dump),
                None => assert_comes_back(&dump),
            }
            first.replace(Some(dump));
        });
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn another_seed_makes_up_others_beside_them() {
    on_every_engine(|world| {
        let plan = Plan { users: 8, conversations: 4, messages: 40, now: NOON, ..Plan::default() };
        let one = sown(world, &plan);
        let other = sown(world, &Plan { seed: 5, language: Language::Japanese, ..plan });
        assert_eq!((other.created.users, other.created.messages, other.skipped), (8, 40, 0));
        let dump = text(world, &Request::default());
        assert_eq!(dump.lines().count() as u64, one.created.total() + other.created.total());
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        assert_comes_back(&dump);
    });
}
