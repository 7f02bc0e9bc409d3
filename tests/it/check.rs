//! `db check` finds every damage, on both engines, and nothing where there is none.

use tidings::model::{Actor, MessageSelector, UserSelector};
use tidings::service::messages::{Destination, Draft, MessageEdit, Search};
use tidings::service::{accounts, conversations, messages};
use tidings::store::Location;
use tidings::store::check::Violation;

use crate::support::{World, draft, on_every_engine, operator, place, selector};

/// Runs statements past the program and its engine's checks.
fn damage(world: &World, statements: &str) {
    match &world.location {
        Location::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA writable_schema = ON").unwrap();
            connection.execute_batch(statements).unwrap();
        }
        Location::Postgres(config) => {
            let mut client = postgres::Client::connect(config, postgres::NoTls).unwrap();
            client.batch_execute("SET session_replication_role = replica").unwrap();
            client.batch_execute(statements).unwrap();
        }
    }
}

fn check(world: &World) -> Vec<Violation> {
    world.app.check(|_| {}).unwrap()
}

/// A group with a thread, an edited message and a tombstone; a direct conversation
fn build(world: &World) -> [Actor; 3] {
    let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("Eve")];
    world.group("Team", &ann, &[&bob, &eve]);
    let root = world.send(&ann, "team", "hello, @bob");
    let gone = world.reply(&bob, "team", &root, "hi");
    world.reply(&eve, "team", &gone, "and hi from me");
    let change = MessageEdit { content: "hello, @eve".to_owned(), ..MessageEdit::default() };
    world.app.write(|tx| messages::edit(tx, &ann, &MessageSelector::Id(root.message_id), &change)).unwrap();
    world.app.write(|tx| messages::delete(tx, &bob, &[MessageSelector::Id(gone.message_id)])).unwrap();
    let direct = Draft { destination: Destination::User(selector(&bob)), ..draft("", "just you") };
    world.app.write(|tx| messages::send(tx, &eve, &direct)).unwrap();
    [ann, bob, eve]
}

const DIRECT: &str = "(SELECT key FROM conversation WHERE kind = 0)";

/// A check, and a statement that damages what it looks at
fn damages() -> Vec<(&'static str, String)> {
    let of = |check, statement: &str| (check, statement.replace("DIRECT", DIRECT));
    vec![
        of("references", "UPDATE message SET receiver_key = 999 WHERE number = 1"),
        of("message_count", "UPDATE conversation SET message_count = message_count + 1"),
        of("last_number", "UPDATE conversation SET last_number = 0"),
        of("active_at", "UPDATE conversation SET active_at = active_at - 1"),
        of("direct_conversation", "DELETE FROM participant WHERE conversation_key = DIRECT AND user_key = 2"),
        of(
            "direct_conversation",
            "UPDATE participant SET user_key = 1 WHERE conversation_key = DIRECT AND user_key = 2",
        ),
        of("direct_conversation", "UPDATE conversation SET title = 'us' WHERE kind = 0"),
        of("direct_conversation", "UPDATE conversation SET creator_key = 1 WHERE kind = 0"),
        of("group", "DELETE FROM participant WHERE conversation_key <> DIRECT"),
        of("revision", "UPDATE message SET revision = 1 WHERE revision > 1"),
        of("tombstone", "UPDATE message SET sender_key = NULL, content = '' WHERE number = 3"),
        of("tombstone", "UPDATE message SET receiver_key = 1 WHERE sender_key IS NULL"),
        of(
            "tombstone",
            "INSERT INTO notification (message_key, user_key, conversation_key, kind)
             SELECT key, 1, conversation_key, 0 FROM message WHERE sender_key IS NULL",
        ),
        of(
            "tombstone",
            "INSERT INTO revision (message_key, revision, content, edited_at, by_operator)
             SELECT message.key, 0, 'old', 0, is_active FROM message JOIN account ON account.key = 1 WHERE sender_key IS NULL",
        ),
        of("parent_message", "UPDATE message SET parent_key = (SELECT max(key) FROM message) WHERE number = 3"),
        of("receiver", "UPDATE message SET receiver_key = NULL WHERE conversation_key = DIRECT"),
        of("receiver", "UPDATE message SET receiver_key = sender_key WHERE number = 3"),
        of("notification", "UPDATE notification SET conversation_key = 999"),
        of("notification", "UPDATE notification SET user_key = 999 WHERE user_key = 2"),
        of("notification", "UPDATE notification SET user_key = 1 WHERE message_key = 1 AND user_key = 2"),
        of("notification", "DELETE FROM participant WHERE conversation_key <> DIRECT AND user_key = 2"),
        of("user_names", "UPDATE account SET username_folded = 'Eve' WHERE username = 'Eve'"),
        of("user_names", "UPDATE account SET names_folded = '' WHERE username = 'Eve'"),
        of("conversation_names", "UPDATE conversation SET names_folded = 'Team' WHERE kind = 1"),
    ]
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    on_every_engine(|world| {
        assert!(check(world).is_empty());
        let [ann, bob, eve] = build(world);
        assert!(check(world).is_empty(), "{:?}", check(world));
        world.app.write(|tx| conversations::remove(tx, &bob, &place("team"), &[selector(&bob)])).unwrap();
        assert!(check(world).is_empty(), "{:?}", check(world));
        world.app.write(|tx| accounts::delete(tx, &operator(), &[selector(&ann)])).unwrap();
        assert!(check(world).is_empty(), "{:?}", check(world));
        world.app.write(|tx| accounts::delete(tx, &eve, &[UserSelector::from("eve".to_owned())])).unwrap();
        assert!(check(world).is_empty(), "{:?}", check(world));
    });
}

#[test]
fn every_damage_is_found_by_its_check() {
    for (name, statement) in damages() {
        on_every_engine(|world| {
            build(world);
            damage(world, &statement);
            let problems = check(world);
            let found = problems.iter().find(|problem| problem.check == name);
            let found = found.unwrap_or_else(|| panic!("{name}: {statement}: {problems:?}"));
            assert!(found.problems >= 1 && !found.detail.is_empty() && !found.remedy.is_empty(), "{found:?}");
        });
    }
}

#[test]
fn an_index_that_is_broken_is_found() {
    on_every_engine(|world| {
        build(world);
        damage(
            world,
            match &world.location {
                Location::Sqlite(_) => "DELETE FROM sqlite_schema WHERE name = 'message_by_sender'",
                Location::Postgres(_) => {
                    "UPDATE pg_index SET indisvalid = FALSE
                     WHERE indexrelid = CAST('message_by_sender' AS regclass)"
                }
            },
        );
        let problems = tidings::app::App::new(
            tidings::store::Db::open(&world.location, false).unwrap().0,
            tidings::app::Options::default(),
        )
        .check(|_| {})
        .unwrap();
        // On SQLite an index that is broken is one that is missing, too.
        let expected: &[&str] = match &world.location {
            Location::Sqlite(_) => &["integrity", "schema"],
            Location::Postgres(_) => &["integrity"],
        };
        assert_eq!(problems.iter().map(|problem| problem.check).collect::<Vec<_>>(), expected, "{problems:?}");
    });
}

#[test]
fn a_remedy_in_sql_mends_what_it_is_for() {
    let mut mended = 0;
    for (name, statement) in damages() {
        if !["message_count", "last_number", "active_at", "notification"].contains(&name) {
            continue;
        }
        mended += 1;
        on_every_engine(|world| {
            build(world);
            damage(world, &statement);
            let problems = check(world);
            let problem = problems.iter().find(|problem| problem.check == name).unwrap();
            let (_, remedy) = problem.remedy.split_once("in SQL: ").unwrap();
            damage(world, remedy);
            assert!(check(world).is_empty(), "{name}: {:?}", check(world));
        });
    }
    assert_eq!(mended, 7);
}

#[test]
fn what_search_should_know_and_what_it_should_not_is_found_and_brought_in_order() {
    on_every_engine(|world| {
        let [_, bob, _] = build(world);
        let found = |word: &str| {
            let search = Search { query: word.to_owned(), limit: 9, ..Search::default() };
            world.app.read(|tx| messages::search(tx, &bob, &search, &|| false)).unwrap().messages.len()
        };
        let key = match &world.location {
            Location::Sqlite(_) => "rowid",
            Location::Postgres(_) => "message_key",
        };
        damage(world, &format!("DELETE FROM message_search WHERE {key} = 1"));
        let planted = "VALUES (999, 'planted', '_1_planted')";
        damage(world, &format!("INSERT INTO message_search ({key}, words, conversation_words) {planted}"));
        assert_eq!(found("hello"), 0);
        let problems = check(world);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!((problems[0].check, problems[0].problems), ("search", 2));
        assert!(world.app.compact().unwrap());
        assert!(check(world).is_empty());
        assert_eq!(found("hello"), 1);
    });
}
