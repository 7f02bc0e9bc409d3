//! kill -9 at random moments: what was acknowledged is there, and nothing is half done.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tidings::model::MessageSelector;
use tidings::service::messages::{self, Search};
use tidings::store::{Location, Tx};

use super::crowd::Crowd;
use super::served::{serve, token};
use super::{PROGRAM, bash, fill, is_whole, number, on_every_address, random_up_to, tally};
use crate::erasure::left;
use crate::support::{Shell, World, is_long, operator};

/// Two people send, edit and delete until they are killed; each notes what was acknowledged: who, what, id, word.
const LOOP: &str = r#"
db=$1 round=$2
go_on() {
    local user=$1 count id word
    act() { "$0" --db "$db" message "$@" --as "$user" --quiet -o ids; }
    for ((count = 1; ; count++)); do
        word=$round$user$count
        id=$(act send team "$word as sent") || exit
        echo "$round$user sent $id $word" >>acknowledged
        act edit "$id" "$word as edited" >/dev/null || exit
        echo "$round$user edited $id $word" >>acknowledged
        ((count % 2)) && continue
        act delete "$id" --yes >/dev/null || exit
        echo "$round$user deleted $id $word" >>acknowledged
    done
}
go_on ann & go_on bob & wait"#;

/// Kills a process and all it started, and waits for its end.
fn kill(mut child: Child) {
    // It may be gone already.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    child.wait().unwrap();
}

/// What is known of a message, in the order of its life
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Step {
    Sent,
    Edited,
    Deleted,
}

/// A message somebody was told of
#[derive(Debug)]
struct Known {
    step: Step,
    word: String,
    /// The last its sender was told of: one step more may have been done without a word
    is_last: bool,
}

fn acknowledged(shell: &Shell) -> BTreeMap<String, Known> {
    let log = fs::read_to_string(shell.path("acknowledged")).unwrap_or_default();
    let mut known = BTreeMap::new();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for line in log.lines() {
        let [sender, step, id, word] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let step = match step {
            "sent" => Step::Sent,
            "edited" => Step::Edited,
            _ => Step::Deleted,
        };
        known.insert(id.to_owned(), Known { step, word: word.to_owned(), is_last: false });
        last.insert(sender, id);
    }
    for id in last.values() {
        known.get_mut(*id).unwrap().is_last = true;
    }
    known
}

/// Fails unless the message is as far as its sender was told, or one step further where that was the last they heard.
fn is_there(world: &World, id: &str, known: &Known) {
    let search = Search { query: known.word.clone(), limit: 9, ..Search::default() };
    let selector: MessageSelector = id.parse().unwrap();
    // At one moment: a server may be about to commit what a client asked for before it was killed.
    let look = |tx: &mut Tx<'_>| {
        let shown = messages::show(tx, &operator(), &selector).ok();
        Ok((shown, messages::search(tx, &operator(), &search, &|| false)?.messages))
    };
    let (shown, found) = world.app.read(look).unwrap();
    let found: Vec<String> = found.iter().map(|found| found.message.message_id.to_string()).collect();
    let step = match &shown {
        Some(message) if message.content == format!("{} as sent", known.word) && message.revision == 1 => Step::Sent,
        Some(message) if message.content == format!("{} as edited", known.word) && message.revision == 2 => {
            Step::Edited
        }
        Some(message) => panic!("{known:?} is half done: {message:?}"),
        None => Step::Deleted,
    };
    let next = match known.step {
        Step::Sent => Step::Edited,
        _ => Step::Deleted,
    };
    assert!(step == known.step || known.is_last && step == next, "{id}: {known:?} is {step:?}");
    assert_eq!(found, if step == Step::Deleted { vec![] } else { vec![id.to_owned()] }, "{known:?} is {step:?}");
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_and_whole() {
    let rounds = if is_long() { 50 } else { 6 };
    on_every_address(|shell, location, address| {
        {
            let world = World::open(location.clone());
            let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
            world.group("team", &ann, &[&bob, &eve]);
        }
        let mut round = 0;
        // A round on a busy machine may be over before anything was done.
        while round < rounds || acknowledged(shell).len() < rounds && round < 10 * rounds {
            round += 1;
            let delay = Duration::from_millis(5) + random_up_to(Duration::from_millis(145));
            println!("round {round}: killed after {delay:?}");
            let mut command = bash(shell, LOOP, address, &[&format!("round{round}")]);
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
            thread::sleep(delay);
            kill(child);
            // Whoever comes next opens what was left: nobody else has it open.
            let world = World::open(location.clone());
            let known = acknowledged(shell);
            for (id, known) in &known {
                is_there(&world, id, known);
            }
            drop(world);
            is_whole(shell, location, address);
            let mute = "SELECT count(*) FROM event AS created
                WHERE kind = 0 AND NOT EXISTS (SELECT 1 FROM message WHERE message.id = created.subject_id)
                AND (SELECT count(*) FROM event AS deleted WHERE kind = 2 AND deleted.subject_id = created.subject_id) <> 1";
            assert_eq!(number(location, mute), 0, "deletions without their event");
            let mute = "SELECT count(*) FROM message
                WHERE (SELECT count(*) FROM event WHERE kind = 1 AND subject_id = message.id) <> message.revision - 1";
            assert_eq!(number(location, mute), 0, "edits without their event");
        }
        tally(round, "kills");
        tally(acknowledged(shell).len(), "acknowledged writes");
    });
}

#[test]
fn what_was_acknowledged_before_everything_was_killed_at_once_is_there() {
    let rounds = if is_long() { 15 } else { 2 };
    on_every_address(|shell, location, address| {
        let crowd = Crowd::new(shell, address, Vec::new());
        let token = token(shell, address, "ann");
        let mut kills = 0;
        for round in 0..rounds {
            let mut server = serve(shell, address);
            crowd.all_work_while(&server, &token, || {
                thread::sleep(Duration::from_millis(100) + random_up_to(Duration::from_millis(600)));
                kills += crowd.kill(&server);
            });
            server.process.wait().unwrap();
            println!("round {round}: {}", crowd.answers());
            crowd.audit(shell, location, address, u64::MAX);
        }
        tally(kills, "kills");
        tally(crowd.acknowledged(), "acknowledged writes");
    });
}

/// The deletion of a large account, in a process that can be killed
fn deletion(shell: &Shell) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(["--db", "test.db", "user", "delete", "zoe", "--yes"]).current_dir(shell.path("")).env_clear();
    command.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn().unwrap()
}

#[test]
fn a_deletion_that_is_killed_is_done_or_not_and_what_is_deleted_can_be_scrubbed_later() {
    let (rounds, messages) = if is_long() { (50, 10_000) } else { (6, 2000) };
    let shell = Shell::new();
    let location = Location::Sqlite(shell.path("test.db"));
    {
        let world = World::open(location.clone());
        let [ann, bob, zoe] = ["ann", "bob", "zoe"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &zoe]);
        fill(&world, &zoe, "team", messages);
        world.send(&ann, "team", "harmless words");
        // Where most of an index is deleted the engine scrubs it by itself; in a large one it does not.
        world.execute("INSERT INTO message_search (message_search, rank) VALUES ('deletemerge', 0)");
    }
    shell.done("db backup full.db");
    let count = |what: &str| number(&location, &format!("SELECT count(*) FROM {what}"));
    let [all_messages, all_notifications] = ["message", "notification"].map(count);
    let before = Instant::now();
    shell.done("user delete zoe --dry-run");
    let whole = before.elapsed();
    let (mut undone, mut done) = (0, 0);
    for round in 0..rounds {
        for file in ["test.db-wal", "test.db-shm"] {
            let _ = fs::remove_file(shell.path(file));
        }
        fs::copy(shell.path("full.db"), shell.path("test.db")).unwrap();
        shell.done("db migrate");
        let mut child = deletion(&shell);
        // In every other round what is interrupted is the scrubbing: the receipt is out.
        let is_acknowledged = round % 2 == 1;
        let longest = if is_acknowledged {
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            Duration::from_millis(100)
        } else {
            whole
        };
        let delay = random_up_to(longest);
        println!("round {round}: killed after {delay:?} of {longest:?}");
        thread::sleep(delay);
        kill(child);

        if is_acknowledged {
            // The first to open what was left
            shell.done("db compact");
        }
        let is_deleted = count("account WHERE username = 'zoe'") == 0;
        assert!(is_deleted || !is_acknowledged, "what was acknowledged is undone");
        let expected = if is_deleted { [1, 1] } else { [all_messages, all_notifications] };
        assert_eq!(["message", "notification"].map(count), expected, "half deleted");
        shell.done("db check");
        shell.done("db compact");
        let planted = left(&shell, &["qqplanted"]);
        assert_eq!(planted.is_empty(), is_deleted, "{planted:?}");
        if is_deleted { done += 1 } else { undone += 1 }
    }
    println!("{done} deletions were done, {undone} were not");
    tally(rounds, "kills");
}
