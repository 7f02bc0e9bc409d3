//! The order of the log on PostgreSQL, where keys are given out before they are committed.

use std::time::{Duration, Instant};

use tidings::service::{conversations, messages};
use tidings::store::Tx;

use super::{Database, Stage, connect, keys_heard, log, on_postgres, the_operator, with_token};
use crate::support::{draft, postgres_server, selector};

/// As an event is recorded in a transaction that waited for no other
const INSERT: &str = "INSERT INTO event (kind, at, transaction_id)
    VALUES (10, 7, CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)) RETURNING key";

/// A session of another program
struct Session(postgres::Client);

impl Session {
    fn open(url: &str) -> Self {
        Self(postgres::Client::connect(url, postgres::NoTls).unwrap())
    }

    fn run(&mut self, sql: &str) {
        self.0.batch_execute(sql).unwrap();
    }

    /// Begins a transaction, which has its number from now on.
    fn begin(&mut self) {
        self.run("BEGIN; SELECT pg_current_xact_id()");
    }

    fn insert(&mut self) -> i64 {
        self.0.query_one(INSERT, &[]).unwrap().get(0)
    }
}

#[test]
fn what_an_open_transaction_holds_back_is_heard_after_it_in_order() {
    on_postgres(|world, url| {
        let ann = world.user("ann");
        world.group("team", &ann, &[&world.user("bob")]);
        let mut stage = Stage::open(&world.location);
        let mut ear = stage.listen(&the_operator(), None);
        let mut session = Session::open(url);
        session.begin();
        let mut keys = vec![session.insert()];
        for number in 0..3 {
            world.send(&ann, "team", &format!("{number}"));
        }
        keys.push(session.insert());
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            stage.pump();
            ear.listen();
            assert!(ear.heard.is_empty(), "heard before what comes before it");
        }
        // Who comes meanwhile begins before them, and their cursor is a place before all of them.
        let mut late = stage.listen(&the_operator(), None);
        assert_eq!(late.begun, ear.begun);
        session.run("COMMIT");
        stage.until_heard(&mut ear, 5);
        stage.until_heard(&mut late, 5);
        let heard = keys_heard(world, &ear);
        assert_eq!((heard[..2].to_vec(), heard.as_slice()), (keys, &log(world)[log(world).len() - 5..]));
        assert_eq!(keys_heard(world, &late), heard);
        // One that comes to nothing holds back too, and leaves nothing.
        session.begin();
        session.insert();
        let message = world.send(&ann, "team", "after all");
        session.run("ROLLBACK");
        stage.until_heard(&mut ear, 6);
        assert_eq!(ear.heard[5]["message"]["message_id"], message.message_id.to_string());
    });
}

#[test]
fn of_keys_that_are_committed_out_of_order_none_is_lost_and_a_cursor_between_them_holds() {
    on_postgres(|world, url| {
        world.user("ann");
        let mut stage = Stage::open(&world.location);
        let mut ear = stage.listen(&the_operator(), None);
        let [mut first, mut second] = [(); 2].map(|()| Session::open(url));
        first.begin();
        second.begin();
        // The later transaction has the lower key.
        let lower = second.insert();
        let higher = first.insert();
        assert!(lower < higher);
        first.run("COMMIT");
        stage.until_heard(&mut ear, 1);
        assert_eq!(keys_heard(world, &ear), [higher]);
        let between = ear.cursor().to_owned();
        let mut other = stage.listen(&the_operator(), Some(&between));
        second.run("COMMIT");
        stage.until_heard(&mut ear, 2);
        stage.until_heard(&mut other, 1);
        assert_eq!(keys_heard(world, &other), [lower]);
        let mut again = stage.listen(&the_operator(), Some(&between));
        stage.until_heard(&mut again, 1);
        assert_eq!(keys_heard(world, &again), [lower]);
        assert_eq!(keys_heard(world, &ear), log(world)[1..]);
        // The other way round nobody hears the later one before the earlier is done.
        first.begin();
        second.begin();
        let key = second.insert();
        second.run("COMMIT");
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            stage.pump();
            ear.listen();
            assert_eq!(ear.heard.len(), 2);
        }
        let earlier = first.insert();
        first.run("COMMIT");
        stage.until_heard(&mut ear, 4);
        assert_eq!(keys_heard(world, &ear)[2..], [earlier, key]);
    });
}

#[test]
fn a_transaction_left_open_in_another_database_of_the_cluster_holds_nothing_back() {
    on_postgres(|world, _| {
        let ann = world.user("ann");
        world.group("team", &ann, &[&world.user("bob")]);
        let mut stage = Stage::open(&world.location);
        let database = Database::create(postgres_server().unwrap());
        let mut other = Session::open(&database.url());
        other.begin();
        let mut ear = stage.listen(&the_operator(), None);
        let message = world.send(&ann, "team", "hi");
        stage.until_heard(&mut ear, 1);
        assert_eq!(ear.heard[0]["message"]["message_id"], message.message_id.to_string());
        // Another one comes, and one that began before goes.
        other.run("COMMIT");
        other.begin();
        let mut late = stage.listen(&the_operator(), None);
        world.send(&ann, "team", "hi again");
        stage.until_heard(&mut ear, 2);
        stage.until_heard(&mut late, 1);
        other.run("ROLLBACK");
    });
}

#[test]
fn what_is_done_in_a_conversation_stands_in_the_log_in_that_order_whoever_waited_for_whom() {
    on_postgres(|world, url| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        let mut stage = Stage::open(&world.location);
        let mut root = stage.listen(&the_operator(), None);
        let mut ear = stage.listen(&with_token(world, &bob), None);
        let [mut session, mut watch] = [(); 2].map(|()| Session::open(url));
        session.run("BEGIN; SELECT key FROM conversation FOR UPDATE");
        let mut until_waiting = |count: i64| {
            let waiting = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0";
            let start = Instant::now();
            while watch.0.query_one(waiting, &[]).unwrap().get::<_, i64>(0) < count {
                assert!(start.elapsed() < super::PATIENCE);
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let location = &world.location;
        // Bob is removed, and who sends has waited since before that, with an id that is lower than the removal's.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let team = crate::support::place("team");
                let remove = |tx: &mut Tx<'_>| conversations::remove(tx, &ann, &team, &[selector(&bob)]);
                connect(location).unwrap().write(remove).unwrap();
            });
            until_waiting(1);
            scope.spawn(|| {
                let send = |tx: &mut Tx<'_>| messages::send(tx, &ann, &draft("team", "without bob"));
                connect(location).unwrap().write(send).unwrap();
            });
            until_waiting(2);
            session.run("COMMIT");
        });
        stage.until_heard(&mut root, 2);
        assert_eq!(root.kinds(), ["participant.removed", "message.created"]);
        stage.until_heard(&mut ear, 1);
        assert_eq!(ear.kinds(), ["participant.removed"]);
        let message = world.send(&ann, "team", "more");
        stage.until_heard(&mut root, 3);
        assert_eq!(root.heard[2]["message"]["number"], message.number.0);
        ear.listen();
        assert_eq!(ear.heard.len(), 1);
    });
}
