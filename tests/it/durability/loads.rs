//! Loads that are killed, interrupted, or not alone: all or nothing, or a beginning of the file that loading again goes on from.

use std::fmt::Write;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tidings::store::Location;

use super::{PROGRAM, number, random_up_to, tally};
use crate::support::{Schema, Shell, is_long, postgres_server};

/// What a used database has already
const THERE: &str = r#"{"type":"user","username":"ann"}
{"type":"user","username":"bob"}
{"type":"conversation","name":"lobby","participants":["ann","bob"],"creator":"ann"}
"#;

/// Conversations that began with their first message, which stands far behind them
const UNDATED: &str = r#"{"type":"user","username":"one"}
{"type":"user","username":"two"}
{"type":"user","username":"three"}
{"type":"conversation","name":"hall","participants":["one",{"user":"two","level":"mentions"},"three"],"creator":"one"}
{"type":"conversation","name":"late","participants":["two","three"]}
{"type":"conversation","participants":["one","two"]}
"#;

/// Messages with and without keys, two of them the same, with revisions, replies, a tombstone and notifications; `N` is a number of six digits
const TALK: &str = r#"{"type":"message","conversation":"hall","sender":"one","content":"question N","timestamp":"2020-01-01T09:00:00Z","key":"qN"}
{"type":"message","conversation":"hall","sender":"one","content":"ping"}
{"type":"message","conversation":"hall","sender":"one","content":"ping"}
{"type":"message","conversation":"hall","sender":"two","content":"answer N","reply_to":"qN","key":"aN","revisions":[{"content":"anser N","edited_by":"two"},{"content":"anwser N","reason":"a slip"}]}
{"type":"notification","user":"one","message":"aN","is_read":true}
{"type":"notification","user":"three","message":"qN"}
{"type":"message","conversation":"hall","deleted":true,"message_id":"00000000-0000-4000-8000-000000N","timestamp":"2020-01-01T09:01:00Z"}
{"type":"message","conversation":"hall","sender":"three","content":"to what is gone","reply_to":"00000000-0000-4000-8000-000000N"}
{"type":"message","conversation":"@two","sender":"one","content":"psst","timestamp":"2021-01-01T09:00:00Z"}
{"type":"message","conversation":"lobby","sender":"bob","content":"hello N","timestamp":"2022-01-01T09:00:00Z"}
"#;

/// Said in the second half only
const LATE: &str = r#"{"type":"message","conversation":"late","sender":"two","content":"late N","timestamp":"2019-01-01T09:00:00Z"}
"#;

/// Records of every kind, seven times as many as messages are made up; each line is one row.
fn records(messages: usize) -> String {
    let shell = Shell::new();
    shell.done(&format!("data seed --users 40 --conversations 30 --messages {messages}"));
    let dump = shell.done("data dump").stdout;
    let mut records = format!("{THERE}{UNDATED}");
    let count = dump.lines().count();
    for (index, line) in dump.lines().enumerate() {
        writeln!(records, "{line}").unwrap();
        if index % 200 == 199 && index > 600 {
            records += &TALK.replace('N', &format!("{index:06}"));
            if index > count / 2 {
                records += &LATE.replace('N', &format!("{index:06}"));
            }
        }
    }
    records
}

/// The engines there are; on PostgreSQL every database is a schema
fn engines() -> Vec<Option<String>> {
    std::iter::once(None).chain(postgres_server().map(Some)).collect()
}

/// A database of its own, and files beside it
struct Place {
    shell: Shell,
    address: String,
    location: Location,
    _schema: Option<Schema>,
}

impl Place {
    fn empty(engine: Option<&String>) -> Self {
        let shell = Shell::new();
        let schema = engine.map(|server| Schema::create(server.clone()));
        let path = shell.path("test.db");
        let (address, location) = match &schema {
            Some(schema) => (schema.url(), Location::parse(&schema.url()).unwrap()),
            None => ("test.db".to_owned(), Location::Sqlite(path)),
        };
        let place = Self { shell, address, location, _schema: schema };
        place.done("db migrate");
        place
    }

    fn used(engine: Option<&String>) -> Self {
        let place = Self::empty(engine);
        place.done("user create ann --no-password");
        place.done("user create bob --no-password");
        place.done("conversation create bob --name lobby --as ann");
        place
    }

    fn done(&self, line: &str) -> String {
        self.shell.done(&format!("{line} --db {}", self.address)).stdout
    }

    fn load(&self, records: &str) {
        fs::write(self.shell.path("records"), records).unwrap();
        self.done("data load records");
    }

    /// Begins to load, in a process that can be killed.
    fn begin(&self, records: &str) -> Child {
        // Not over a file that another load may be reading at this moment.
        fs::write(self.shell.path("records.new"), records).unwrap();
        fs::rename(self.shell.path("records.new"), self.shell.path("records")).unwrap();
        // Whoever started the tests may ignore interrupts, which would be inherited.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", PROGRAM, "--now", "2026-01-01T09:00:00Z", "--seed", "1"]);
        command.args(["--db", &self.address, "data", "load", "records"]).current_dir(self.shell.path(""));
        command.env_remove("TIDINGS_DB").stdout(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0).spawn().unwrap()
    }

    fn dump(&self) -> String {
        self.done("data dump")
    }

    /// Waits until a server is done with what was asked of it by somebody who is gone.
    fn wait_for_server(&self) {
        let locks = "SELECT count(*) FROM pg_locks JOIN pg_class ON pg_class.oid = relation
            WHERE relnamespace = CAST(current_schema() AS regnamespace) AND pid <> pg_backend_pid()";
        let start = Instant::now();
        while matches!(self.location, Location::Postgres(_)) && number(&self.location, locks) > 0 {
            assert!(start.elapsed() < Duration::from_secs(30), "the server goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Fails unless `db check` finds nothing and every conversation has the one event of its beginning.
    fn is_sound(&self) {
        self.done("db check");
        let unheard = "SELECT count(*) FROM conversation
            WHERE (SELECT count(*) FROM event WHERE kind = 4 AND subject_id = conversation.id) <> 1";
        assert_eq!(number(&self.location, unheard), 0, "conversations without their one event");
    }
}

/// Fails where two dumps differ, with the first line that does.
fn must_be_equal(found: &str, expected: &str, what: &str) {
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert_eq!(differs, None, "{what}");
    assert_eq!(found.lines().count(), expected.lines().count(), "{what}");
}

fn send_signal(child: &Child, signal: Signal) {
    // It may be gone already.
    let _ = kill_process_group(Pid::from_child(child), signal);
}

/// Breaks a load off at a moment of that round, all rounds being spread over the whole time it takes.
///
/// `is_visible`: every other one is broken off when others can see something of it; before that it checks the file.
fn break_off(
    place: &Place,
    records: &str,
    signal: Signal,
    whole: Duration,
    (round, rounds): (u32, u32),
    is_visible: bool,
) {
    let mut delay = whole * round / rounds + random_up_to(whole / rounds);
    let mut child = place.begin(records);
    if is_visible && round % 2 == 0 {
        let is_there = || number(&place.location, "SELECT count(*) FROM account WHERE username = 'one'") > 0;
        while !is_there() && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(5));
        }
        delay = random_up_to(whole / 2);
    }
    thread::sleep(delay);
    send_signal(&child, signal);
    let output = child.wait_with_output().unwrap();
    let is_expected = |status: ExitStatus| {
        status.success()
            || status.signal() == Some(signal.as_raw())
            || signal == Signal::INT && status.code() == Some(130)
    };
    println!("round {round}: broken off after {delay:?} of {whole:?}: {}", output.status);
    assert!(is_expected(output.status), "{output:?}");
    if signal == Signal::KILL {
        tally(1, "kills");
    }
    place.wait_for_server();
}

fn is_all_or_nothing(signal: Signal, rounds: u32) {
    let records = records(if is_long() { 2000 } else { 700 });
    for engine in engines() {
        println!("on {}", engine.as_deref().unwrap_or("SQLite"));
        let undisturbed = Place::empty(engine.as_ref());
        let start = Instant::now();
        undisturbed.load(&records);
        let whole = start.elapsed();
        let expected = undisturbed.dump();
        assert_eq!(expected.lines().count(), records.lines().count(), "each line is one row");
        let mut done = 0;
        for round in 0..rounds {
            let place = Place::empty(engine.as_ref());
            break_off(&place, &records, signal, whole, (round, rounds), false);
            let dump = place.dump();
            if !dump.is_empty() {
                must_be_equal(&dump, &expected, "half loaded");
                done += 1;
            }
            place.is_sound();
            place.load(&records);
            must_be_equal(&place.dump(), &expected, "loaded again");
            place.is_sound();
        }
        println!("{done} of {rounds} loads were done");
    }
}

fn is_a_beginning(signal: Signal, rounds: u32) {
    let records = records(if is_long() { 2000 } else { 700 });
    for engine in engines() {
        println!("on {}", engine.as_deref().unwrap_or("SQLite"));
        let undisturbed = Place::used(engine.as_ref());
        let start = Instant::now();
        undisturbed.load(&records);
        let whole = start.elapsed();
        let expected = undisturbed.dump();
        assert_eq!(expected.lines().count(), records.lines().count(), "each line is one row");
        for round in 0..rounds {
            let place = Place::used(engine.as_ref());
            break_off(&place, &records, signal, whole, (round, rounds), true);
            place.is_sound();
            let dump = place.dump();
            let count = dump.lines().count();
            println!("{count} of {} lines are there", records.lines().count());
            let beginning = Place::used(engine.as_ref());
            beginning.load(&records.split_inclusive('\n').take(count).collect::<String>());
            must_be_equal(&dump, &beginning.dump(), "no beginning of the file");
            place.load(&records);
            must_be_equal(&place.dump(), &expected, "loaded again");
            place.is_sound();
        }
    }
}

#[test]
fn a_load_into_an_empty_database_that_is_killed_is_whole_or_nothing() {
    is_all_or_nothing(Signal::KILL, if is_long() { 50 } else { 5 });
}

#[test]
fn a_load_into_a_used_database_that_is_killed_leaves_a_beginning_and_goes_on_from_there() {
    is_a_beginning(Signal::KILL, if is_long() { 50 } else { 5 });
}

#[test]
fn a_load_that_is_interrupted_leaves_a_database_in_which_it_can_be_completed() {
    let rounds = if is_long() { 20 } else { 2 };
    is_all_or_nothing(Signal::INT, rounds);
    is_a_beginning(Signal::INT, rounds);
}

#[test]
fn two_loads_of_one_file_at_once_double_nothing() {
    let records = records(700);
    let rounds = if is_long() { 20 } else { 3 };
    for engine in engines() {
        println!("on {}", engine.as_deref().unwrap_or("SQLite"));
        let undisturbed = Place::used(engine.as_ref());
        undisturbed.load(&records);
        let expected = undisturbed.dump();
        for round in 0..rounds {
            let place = Place::used(engine.as_ref());
            let one = place.begin(&records);
            // The last of them begin at once.
            thread::sleep(random_up_to(Duration::from_millis(200)) * (rounds - 1 - round) / rounds);
            let other = place.begin(&records);
            for child in [one, other] {
                let output = child.wait_with_output().unwrap();
                println!("round {round}: {}", output.status);
                assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
            }
            place.is_sound();
            place.load(&records);
            must_be_equal(&place.dump(), &expected, "loaded once more");
            place.is_sound();
        }
    }
}

#[test]
fn a_load_into_a_used_database_holds_up_no_sender_for_a_second() {
    let records = records(if is_long() { 15_000 } else { 3000 });
    let place = Place::used(None);
    let mut child = place.begin(&records);
    let mut waits = Vec::new();
    let mut sent = Vec::new();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        let before = Instant::now();
        let id = place.done(&format!("message send lobby 'beside {}' --as ann --quiet -o ids", sent.len()));
        waits.push(before.elapsed());
        sent.push(id.trim().to_owned());
    }
    let whole = start.elapsed();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    waits.sort();
    let [middle, longest] = [waits[waits.len() / 2], waits[waits.len() - 1]];
    println!("{} sent in {whole:?}, half of them within {middle:?}, all within {longest:?}", sent.len());
    // Beside other tests on a busy machine: by itself the longest is a third of it.
    assert!(longest < Duration::from_secs(1), "somebody waited for {longest:?}");

    let messages = place.done("message list lobby --limit 1000000 -o ids");
    let kept: Vec<&str> = messages.lines().collect();
    assert!(sent.iter().all(|id| kept.iter().filter(|other| *other == id).count() == 1), "each is there once");
    place.is_sound();
    let before = place.dump();
    assert_eq!(before.lines().count(), records.lines().count() + 2 * sent.len(), "a message and its notification each");
    place.load(&records);
    must_be_equal(&place.dump(), &before, "loaded again");
}
