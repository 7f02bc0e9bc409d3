//! Eight processes write at once while a ninth deletes a large account.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tidings::store::Location;

use super::{bash, fill, is_whole, number, on_every_address};
use crate::support::{Shell, World, is_long};

const WRITERS: [&str; 8] = ["w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"];

/// Sends to each conversation in turn until the file `stop` is there; notes the id of what was acknowledged.
const WRITER: &str = r#"
db=$1 user=$2
shift 2
count=0
until [[ -e stop ]]; do
    for conversation; do
        count=$((count + 1))
        id=$("$0" --db "$db" message send "$conversation" "$user says number$count" --as "$user" --quiet) || exit
        echo "$id" >>"acknowledged-$user"
    done
done"#;

/// The ids of the messages that a writer was told were sent, as the database writes them
fn acknowledged_to(shell: &Shell, writer: &str) -> Vec<String> {
    let log = fs::read_to_string(shell.path(&format!("acknowledged-{writer}"))).unwrap_or_default();
    log.lines().map(ToOwned::to_owned).collect()
}

fn acknowledged(shell: &Shell) -> Vec<String> {
    WRITERS.iter().flat_map(|writer| acknowledged_to(shell, writer)).collect()
}

/// The ids of all messages
fn stored(shell: &Shell, address: &str) -> Vec<String> {
    let run = shell.run(&format!("message list --limit 1000000 -o ids --db {address}"));
    assert_eq!(run.code, 0, "{run}");
    run.stdout.lines().map(ToOwned::to_owned).collect()
}

/// How many messages a conversation has, and its first and last number
fn count_first_and_last(location: &Location, conversation: &str) -> [i64; 3] {
    let place = format!("(SELECT key FROM conversation WHERE name = '{conversation}')");
    let of = |what| number(location, &format!("SELECT {what} FROM message WHERE conversation_key = {place}"));
    ["count(*)", "min(number)", "max(number)"].map(of)
}

#[test]
fn writers_beside_a_deletion_are_never_told_busy_and_lose_nothing() {
    let (seconds, messages) = if is_long() { (20, 50_000) } else { (3, 2000) };
    on_every_address(|shell, location, address| {
        let world = World::open(location.clone());
        let people: Vec<_> = WRITERS.iter().map(|name| world.user(name)).collect();
        let zoe = world.user("zoe");
        let writers: Vec<_> = people.iter().skip(1).collect();
        world.group("club", &people[0], &writers);
        world.group("team", &people[0], &writers.iter().copied().chain([&zoe]).collect::<Vec<_>>());
        fill(&world, &zoe, "team", messages);

        let start = Instant::now();
        let begin = |writer: &&str| {
            let mut command = bash(shell, WRITER, address, &[writer, "team", "club"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let processes: Vec<_> = WRITERS.iter().map(begin).collect();
        let is_silent = |writer: &&str| acknowledged_to(shell, writer).is_empty();
        while WRITERS.iter().any(is_silent) && start.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(10));
        }
        let before = acknowledged(shell).len();
        let deletion = shell.run(&format!("user delete zoe --yes --db {address}"));
        let end = start.elapsed();
        let meanwhile = acknowledged(shell).len() - before;
        thread::sleep(Duration::from_secs(seconds).saturating_sub(end).max(Duration::from_millis(500)));
        fs::write(shell.path("stop"), "").unwrap();
        for process in processes {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(deletion.code, 0, "{deletion}");

        let known = acknowledged(shell);
        println!("{} sent, {meanwhile} of them beside the deletion, over after {end:?}", known.len());
        let stored = stored(shell, address);
        assert_eq!(stored.len(), known.len(), "each is there once");
        assert_eq!(stored.iter().collect::<BTreeSet<_>>(), known.iter().collect::<BTreeSet<_>>());
        // What the deleted account said had the first numbers of the team.
        for (conversation, deleted) in [("club", 0), ("team", i64::try_from(messages).unwrap())] {
            let [count, first, last] = count_first_and_last(location, conversation);
            assert_eq!((first, last), (deleted + 1, deleted + count), "{conversation} has gaps");
        }
        is_whole(shell, location, address);
    });
}
