//! The log of events as a whole: which log it is, its order where it was moved, and how long events are kept.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidings::app::{App, Options};
use tidings::service::messages;
use tidings::store::events::Retention;
use tidings::store::{Db, Location, events};

use crate::server::Server;
use crate::support::{
    NOON, OLD_ROWS, Schema, Shell, World, brought_along_from, draft, old_file, on_every_engine, postgres_server, texts,
};

fn generation(world: &World) -> [u8; 16] {
    world.app.read(events::generation).unwrap()
}

/// The generation of the log in a file
fn generation_of(shell: &Shell, file: &str) -> [u8; 16] {
    generation(&World::open(Location::Sqlite(shell.path(file))))
}

#[test]
fn a_log_keeps_its_generation_and_no_two_have_the_same() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        // Each with the same seed.
        on_every_engine(|world| {
            world.user("ann");
            assert_eq!(world.later(1).read(events::generation).unwrap(), generation(world));
            assert_ne!(generation(world), [0; 16]);
        });
        let shell = Shell::new();
        seen.push(generation_of(&shell, "test.db"));
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn a_restored_log_has_another_generation_and_a_copied_one_the_same() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    let first = generation_of(&shell, "test.db");
    shell.done("db backup copy.db");
    assert_eq!(generation_of(&shell, "copy.db"), first);
    shell.done("user create bob --no-password");
    shell.done("db restore copy.db --dry-run --yes");
    assert_eq!(generation_of(&shell, "test.db"), first);
    shell.done("db restore copy.db --yes");
    let second = generation_of(&shell, "test.db");
    shell.done("db restore copy.db --db new.db");
    let third = generation_of(&shell, "new.db");
    assert!(first != second && first != third && second != third);
    assert_eq!(generation_of(&shell, "copy.db"), first);
    for file in ["test.db", "new.db"] {
        assert_eq!(shell.done(&format!("user list -o ids --db {file}")).stdout.lines().count(), 1);
        shell.done(&format!("db check --db {file}"));
    }
}

#[test]
fn a_log_of_an_older_version_is_brought_along_and_has_a_generation() {
    let rows = "INSERT INTO event (kind, at, user_key, subject_id) VALUES (3, 5, 1, NULL);";
    for version in 1..=7 {
        brought_along_from(version, &[OLD_ROWS, rows].concat(), "", |world| {
            assert_ne!(generation(world), [0; 16]);
            assert_eq!(texts(&world.location, "SELECT coalesce(CAST(is_read AS TEXT), '-') FROM event"), ["-"]);
            assert_eq!(world.app.read(events::newest).unwrap().0, 1);
        });
    }
}

#[test]
fn a_backup_from_before_logs_had_generations_gets_one() {
    let shell = Shell::new();
    old_file(&shell.path("old.db"), 7, OLD_ROWS);
    let first = generation_of(&shell, "test.db");
    shell.done("db restore old.db --yes");
    assert_eq!(shell.done("user list -o ids").stdout.lines().count(), 2);
    assert_ne!(generation_of(&shell, "test.db"), first);
}

#[test]
fn a_log_that_returns_to_an_earlier_state_has_another_generation_each_time() {
    let shell = Shell::new();
    let location = Location::Sqlite(shell.path("test.db"));
    let world = World::open(location.clone());
    let [ann, bob] = [world.user("ann"), world.user("bob")];
    world.group("team", &ann, &[&bob]);
    drop(world);
    let (db, _) = Db::open(&location, false).unwrap();
    let app = App::new(db, Options { now: Some(NOON), seed: Some(1), dry_run: false });
    let app = app.share(location, true, |_| {}).unwrap();
    let look = || app.read(|tx| Ok((events::generation(tx)?, events::newest(tx)?))).unwrap();
    let send = || {
        let (sender, sent) = mpsc::channel();
        let ann = ann.clone();
        app.write(move |tx| messages::send(tx, &ann, &draft("team", "hi")), move |sent| sender.send(sent).unwrap());
        sent.recv().unwrap().unwrap();
    };
    let mut seen = vec![look().0];
    let mut mark = || {
        app.pool().mark().unwrap();
        let (generation, newest) = look();
        assert_eq!(Some(&generation), seen.last(), "noting a state changes nothing");
        for _ in 0..2 {
            send();
            assert!(look().1 > newest);
            app.pool().return_to_mark().unwrap();
            let (generation, returned) = look();
            assert_eq!(returned, newest);
            assert!(!seen.contains(&generation));
            seen.push(generation);
        }
    };
    mark();
    send();
    mark();
}

#[test]
fn a_log_from_an_older_postgresql_cluster_is_read_in_the_order_of_its_keys() {
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let location = Location::parse(&schema.url()).unwrap();
    let world = World::open(location.clone());
    world.user("ann");
    let first = generation(&world);
    let rows = || texts(&world.location, "SELECT key || ' ' || transaction_id FROM event ORDER BY transaction_id, key");
    let as_it_was = rows();
    drop(World::open(location.clone()));
    assert_eq!((rows(), generation(&world)), (as_it_was, first), "nothing is to be done");
    world.execute(
        "INSERT INTO event (transaction_id, kind, at) VALUES (4000000000000000000, 0, 1), (17, 0, 1), (3000000000000000000, 0, 1)",
    );
    // Who only reads changes nothing.
    drop(Db::open(&location, false).unwrap());
    assert_eq!(generation(&world), first);
    drop(World::open(location.clone()));
    assert_eq!(rows(), ["1 0", "2 0", "3 0", "4 0"]);
    let second = generation(&world);
    assert_ne!(second, first);
    world.user("bob");
    drop(World::open(location));
    assert_eq!(generation(&world), second);
    assert_eq!(rows().last().unwrap().split(' ').next(), Some("5"), "what happens now is the newest");
}

#[test]
fn a_transaction_on_postgresql_that_does_nothing_ends_after_a_minute_or_as_the_operator_says_and_compiles_nothing() {
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let url = schema.url();
    for (address, limit) in
        [(url.clone(), "1min"), (format!("{url}%20-c%20idle_in_transaction_session_timeout=7s"), "7s")]
    {
        let world = World::open(Location::parse(&address).unwrap());
        world.execute(
            "CREATE TABLE IF NOT EXISTS noted (value TEXT); DELETE FROM noted;
             CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN INSERT INTO noted VALUES (current_setting(''idle_in_transaction_session_timeout'') || '' jit '' || current_setting(''jit'')); RETURN NULL; END';
             CREATE OR REPLACE TRIGGER note AFTER INSERT ON account FOR EACH ROW EXECUTE FUNCTION note();",
        );
        world.user(&format!("ann{limit}"));
        assert_eq!(texts(&world.location, "SELECT value FROM noted"), [format!("{limit} jit off")]);
    }
}

/// Adds so many events of a time, each with somebody who hears of it.
fn add_events(world: &World, count: usize, at: i64) {
    world.execute(&format!(
        "WITH RECURSIVE next (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM next WHERE number < {count})
         INSERT INTO event (kind, at) SELECT 0, {at} FROM next;
         INSERT INTO event_audience (event_key, user_key) SELECT key, 1 FROM event WHERE TRUE ON CONFLICT DO NOTHING;"
    ));
}

/// How many events there are, and places in audiences
fn counts(world: &World) -> [i64; 2] {
    ["event", "event_audience"]
        .map(|table| texts(&world.location, &format!("SELECT CAST(count(*) AS TEXT) FROM {table}"))[0].parse().unwrap())
}

const DAY: i64 = 24 * 60 * 60;

#[test]
fn old_events_go_unless_they_are_among_the_newest() {
    on_every_engine(|world| {
        world.user("ann");
        world.execute("DELETE FROM event");
        let past = NOON.plus_seconds(-40 * DAY).0;
        let left = |days, count| {
            world.app.prune_events(Retention { days, count }).unwrap();
            counts(world)
        };
        assert_eq!(left(0, 0), [0, 0]);
        add_events(world, 50, past);
        assert_eq!(left(41, 0), [50, 50], "they are young enough");
        assert_eq!(left(30, 50), [50, 50], "they are among the newest");
        assert_eq!(left(30, 49), [49, 49]);
        add_events(world, 10, NOON.0 - 1);
        assert_eq!(left(30, 30), [30, 30]);
        assert_eq!(left(30, 5), [10, 10]);
        assert_eq!(left(0, 0), [1, 1], "the newest stays");
        let newest = world.app.read(events::newest).unwrap();
        world.user("bob");
        assert_eq!(world.app.read(events::newest).unwrap().0, newest.0 + 1);
    });
}

#[test]
fn events_go_some_at_a_time_and_leave_no_hole() {
    on_every_engine(|world| {
        world.user("ann");
        world.execute("DELETE FROM event");
        let past = NOON.plus_seconds(-40 * DAY).0;
        add_events(world, 1200, past);
        // By a clock that was ahead
        add_events(world, 300, NOON.plus_seconds(1000 * DAY).0);
        add_events(world, 700, past);
        add_events(world, 300, NOON.0);
        let excess = world.app.read(|tx| events::excess(tx, Retention { days: 30, count: 10 })).unwrap().unwrap();
        let step = || (world.app.write(|tx| events::prune(tx, &excess)).unwrap(), counts(world));
        assert_eq!(step(), (true, [1500, 1500]));
        assert_eq!(step(), (true, [500, 500]));
        assert_eq!(step(), (false, [300, 300]));
        assert_eq!(step(), (false, [300, 300]));
        assert_eq!(texts(&world.location, "SELECT CAST(min(at) AS TEXT) FROM event"), [NOON.0.to_string()]);
    });
}

#[test]
fn which_events_are_the_oldest_is_up_to_their_transactions_on_postgresql() {
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let world = World::open(Location::parse(&schema.url()).unwrap());
    world.execute("INSERT INTO event (transaction_id, kind, at) VALUES (3, 0, 1), (1, 0, 1), (2, 0, 1)");
    world.app.prune_events(Retention { days: 30, count: 2 }).unwrap();
    assert_eq!(texts(&world.location, "SELECT CAST(transaction_id AS TEXT) FROM event ORDER BY 1"), ["2", "3"]);
}

#[test]
fn compacting_and_serving_delete_old_events() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    let world = World::open(Location::Sqlite(shell.path("test.db")));
    let add = || add_events(&world, 20, NOON.plus_seconds(-40 * DAY).0);
    add();
    shell.done("db compact");
    assert_eq!(counts(&world)[0], 21, "as many are kept anyway");
    assert_eq!(shell.run_env("db compact --dry-run", &[("TIDINGS_EVENT_COUNT", "7")]).code, 0);
    assert_eq!(counts(&world)[0], 21);
    assert_eq!(shell.run_env("db compact", &[("TIDINGS_EVENT_DAYS", "50"), ("TIDINGS_EVENT_COUNT", "7")]).code, 0);
    assert_eq!(counts(&world)[0], 21, "they are young enough");
    assert_eq!(shell.run_env("db compact", &[("TIDINGS_EVENT_COUNT", "7")]).code, 0);
    assert_eq!(counts(&world)[0], 7);
    let refused = shell.run_env("db compact", &[("TIDINGS_EVENT_DAYS", "many")]);
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.stderr.contains("TIDINGS_EVENT_DAYS=many cannot be used: it is not a whole number."), "{refused}");
    add();
    let server = Server::on(&shell.path(""), &["--event-days", "1", "--event-count", "3"]);
    let start = Instant::now();
    while counts(&world)[0] > 3 {
        assert!(start.elapsed() < Duration::from_secs(20), "{} are left", counts(&world)[0]);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.stop(), Some(0));
}
