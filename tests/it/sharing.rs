//! A database that threads share: writes in line, several in one commit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use tidings::app::{App, Options, SharedApp};
use tidings::error::{Error, Kind};
use tidings::model::Message;
use tidings::service::messages::{self, Search};
use tidings::store::{Db, Location, conversations};

use crate::support::{NOON, World, draft, on_every_engine, operator};

/// How many writes are queued: more than share one commit
const WRITES: usize = 400;

/// The same database for threads, and how many writes shared each commit
fn share(world: &World) -> (SharedApp, Arc<Mutex<Vec<usize>>>) {
    let (db, _) = Db::open(&world.location, false).unwrap();
    let app = App::new(db, Options { now: Some(NOON), seed: None, dry_run: false });
    let commits = Arc::<Mutex<Vec<usize>>>::default();
    let heard = Arc::clone(&commits);
    (app.share(world.location.clone(), false, move |count| heard.lock().unwrap().push(count)).unwrap(), commits)
}

#[test]
fn a_write_that_fails_or_panics_is_undone_alone_and_what_was_acknowledged_is_there() {
    on_every_engine(|world| {
        let (ann, bob) = (world.user("ann"), world.user("bob"));
        world.group("team", &ann, &[&bob]);
        let (app, commits) = share(world);
        let (sender, outcomes) = mpsc::channel();
        // While the writer is held up, the others come.
        app.write(
            |_| {
                std::thread::sleep(Duration::from_millis(100));
                Ok(())
            },
            drop,
        );
        for index in 0..WRITES {
            let (ann, sender) = (ann.clone(), sender.clone());
            let work = move |tx: &mut tidings::store::Tx<'_>| {
                let message = messages::send(tx, &ann, &draft("team", &format!("qq{index} words")))?;
                match index % 4 {
                    0 | 1 => Ok(message),
                    2 => Err(Error::conflict("this one fails")),
                    _ => panic!("this one panics"),
                }
            };
            let end = move |outcome| sender.send((index, outcome)).unwrap();
            // PostgreSQL's are written in the thread of whoever asks, who is the one to panic then.
            let _ = catch_unwind(AssertUnwindSafe(|| app.write(work, end)));
        }
        drop(sender);
        let mut done = 0;
        for (index, outcome) in outcomes {
            match (index % 4, outcome) {
                (0 | 1, Ok(message)) => {
                    is_there(world, &message, index);
                    done += 1;
                }
                (2, Err(error)) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
                (3, Err(error)) => assert_eq!(error.kind(), Kind::Internal, "{error}"),
                (_, outcome) => panic!("{index}: {outcome:?}"),
            }
        }
        assert_eq!(done, WRITES / 2);
        let mut numbers: Vec<i64> = world
            .app
            .read(|tx| messages::search(tx, &operator(), &everything(), &|| false))
            .unwrap()
            .messages
            .iter()
            .map(|found| found.message.number.0)
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=i64::try_from(done).unwrap()).collect::<Vec<_>>(), "numbers without gaps");
        assert_eq!(world.notifications(&bob).len(), done);
        assert!(world.app.check(|_| {}).unwrap().is_empty());
        // The reader that panics takes no connection from the others.
        for _ in 0..40 {
            assert!(
                catch_unwind(AssertUnwindSafe(|| app.read(|_| -> Result<(), Error> { panic!("a reader") }))).is_err()
            );
        }
        app.read(|tx| messages::search(tx, &operator(), &everything(), &|| false)).unwrap();
        if let Location::Sqlite(_) = world.location {
            let commits = commits.lock().unwrap();
            assert_eq!(commits.iter().sum::<usize>(), WRITES + 1);
            assert!(commits.iter().any(|count| *count > 100), "{commits:?}");
        }
    });
}

fn everything() -> Search {
    Search { query: "words".to_owned(), limit: 1000, ..Search::default() }
}

/// Fails unless somebody else sees the message and finds it.
fn is_there(world: &World, message: &Message, index: usize) {
    let search = Search { query: format!("qq{index}"), limit: 9, ..Search::default() };
    let found = world.app.read(|tx| messages::search(tx, &operator(), &search, &|| false)).unwrap().messages;
    let found: Vec<_> = found.iter().map(|found| found.message.message_id).collect();
    assert_eq!(found, [message.message_id], "{index}");
}

#[test]
fn what_was_queued_when_a_pool_is_dropped_is_written_first() {
    on_every_engine(|world| {
        let (ann, bob) = (world.user("ann"), world.user("bob"));
        world.group("team", &ann, &[&bob]);
        let (app, _) = share(world);
        for index in 0..WRITES {
            let ann = ann.clone();
            let work = move |tx: &mut tidings::store::Tx<'_>| {
                messages::send(tx, &ann, &draft("team", &format!("words {index}"))).map(drop)
            };
            app.write(work, |outcome| outcome.unwrap());
        }
        drop(app);
        assert_eq!(world.notifications(&bob).len(), WRITES);
    });
}

#[test]
fn a_message_that_is_deleted_in_the_commit_it_was_sent_in_leaves_nothing_whether_another_write_fails_or_not() {
    on_every_engine(|world| {
        let (ann, bob) = (world.user("ann"), world.user("bob"));
        world.group("team", &ann, &[&bob]);
        for (round, fails) in [(1, false), (2, true)] {
            let (app, commits) = share(world);
            // On SQLite the others wait for it; on PostgreSQL it is written here.
            let (go_on, wait) = mpsc::channel();
            let is_sqlite = matches!(world.location, Location::Sqlite(_));
            app.write(move |_| if is_sqlite { wait.recv().map_err(Error::internal) } else { Ok(()) }, drop);
            let (sender, deleter, refused) = (ann.clone(), ann.clone(), ann.clone());
            app.write(
                move |tx| messages::send(tx, &sender, &draft("team", "short-lived words")).map(drop),
                |outcome| outcome.unwrap(),
            );
            let selector = format!("team#{round}").parse().unwrap();
            app.write(
                move |tx| messages::delete(tx, &deleter, std::slice::from_ref(&selector)).map(drop),
                |outcome| outcome.unwrap(),
            );
            let refuse = move |tx: &mut tidings::store::Tx<'_>| -> Result<(), Error> {
                if fails {
                    messages::send(tx, &refused, &draft("team", "words that are refused"))?;
                }
                Err(Error::conflict("this one fails"))
            };
            app.write(refuse, |outcome| assert_eq!(outcome.unwrap_err().kind(), Kind::Conflict));
            go_on.send(()).unwrap_or_default();
            drop(app);
            if is_sqlite {
                let commits = commits.lock().unwrap();
                assert!(matches!(commits.last(), Some(3 | 4)), "not written together: {commits:?}");
            }
            let found = world.app.read(|tx| messages::search(tx, &operator(), &everything(), &|| false)).unwrap();
            assert_eq!(found.messages.len(), 0);
            assert!(world.notifications(&bob).is_empty());
            assert!(world.app.check(|_| {}).unwrap().is_empty());
        }
    });
}

/// Has so many read at once, and returns the processes of PostgreSQL that they read with.
fn read_at_once(app: &SharedApp, client: &mut postgres::Client, count: usize) -> Vec<i32> {
    let barrier = Barrier::new(count + 1);
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                app.read(|tx| {
                    conversations::count(tx)?;
                    barrier.wait();
                    barrier.wait();
                    Ok(())
                })
                .unwrap();
            });
        }
        barrier.wait();
        let processes = "SELECT DISTINCT pg_locks.pid FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
            WHERE pg_class.relnamespace = to_regnamespace(current_schema()) AND pg_class.relname = 'conversation'";
        let processes = client.query(processes, &[]).unwrap().iter().map(|row| row.get(0)).collect();
        barrier.wait();
        processes
    })
}

#[test]
fn connections_are_kept_after_many_were_used_and_all_are_given_up_when_one_is_lost() {
    on_every_engine(|world| {
        let Location::Postgres(url) = &world.location else { return };
        let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
        let (app, _) = share(world);
        let processes = read_at_once(&app, &mut client, 12);
        assert_eq!(processes.len(), 12);
        let mut kept = || -> i64 {
            let count = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)";
            client.query_one(count, &[&processes]).unwrap().get(0)
        };
        // A connection that is closed is gone within a moment.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(kept(), 12);
        let end = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE pid = ANY($1)";
        client.query(end, &[&processes]).unwrap();
        let failed = (0..12).filter(|_| app.read(conversations::count).is_err()).count();
        assert_eq!(failed, 1);
    });
}
