//! Disks that fail: the Nth operation of each command, and for a while under a server.

use std::path::Path;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde_json::{Value, json};
use tidings::store::Location;

use super::crowd::Crowd;
use super::deeds::{self, DEEDS, Deed, States};
use super::served::{messages_of, serve_with, token};
use super::shim::{CHANGE, Fault, OPEN, READ, REMOVE, SYNC, Shim, TRUNCATE, WRITE};
use super::{Chance, random_up_to, tally};
use crate::server::Server;
use crate::support::{Shell, is_long};

/// Whether a command that met with a fault left what it may, and said so
fn look(deed: &Deed, fault: Fault, output: &Output, folder: &Path, states: &States) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let state = deeds::state(folder)?;
    let is_after = state == states.after;
    let problem: Value = said.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    match output.status.code() {
        Some(0) if is_after => return Ok(()),
        Some(0) => return Err(format!("it says that it is done, and is not: {said}")),
        Some(7) if states.allow(&state) || is_after && problem["outcome"] == "unknown" => {}
        Some(7) if is_after => return Err(format!("it says that it failed, and is done: {said}")),
        Some(7) => return Err(format!("it is half done: {said}")),
        code => return Err(format!("exit code {code:?}: {said}")),
    }
    if !matches!(problem["code"].as_str(), Some("unavailable" | "no_space")) {
        return Err(format!("of a wrong kind: {said}"));
    }
    if fault.kinds == WRITE && crate::layers::files(folder).iter().any(|path| deeds::is_partial(path)) {
        return Err(format!("something is left: {said}"));
    }
    if is_after && states.before != states.after {
        return Ok(());
    }
    let again = deed.run(folder, &[]);
    if again.status.code() != Some(0) {
        return Err(format!("after {said} it cannot be done again: {}", String::from_utf8_lossy(&again.stderr)));
    }
    if deeds::state(folder)? != states.after {
        return Err(format!("after {said} done again it comes to something else"));
    }
    Ok(())
}

#[test]
fn whichever_operation_fails_a_command_is_done_or_not_and_says_which() {
    let Some(shim) = Shim::compile("I/O errors under commands") else { return };
    let template = deeds::template();
    let mut chance = Chance::new();
    let folder = deeds::folder();
    let folder = folder.path();
    let is_short_for = ["send", "back up", "first start"];
    let picks = if is_long() { 8 } else { 2 };
    let mut faults = 0;
    let mut wrong = Vec::new();
    for deed in DEEDS.iter().filter(|deed| is_long() || is_short_for.contains(&deed.name)) {
        let states = deed.states(&template, folder);
        let run_under = |prepare: &dyn Fn()| {
            deeds::clear(folder);
            deeds::copy(&template, folder);
            prepare();
            let output = deed.run(folder, &shim.failing(folder));
            let (seen, failed) = shim.end();
            (output, seen, failed)
        };
        for kinds in [CHANGE, WRITE] {
            let (output, operations, _) = run_under(&|| shim.count(kinds));
            assert!(output.status.success() && operations > 0, "{}: {operations}, {output:?}", deed.name);
            println!("{}: {operations} operations", deed.name);
            for error in [Errno::IO, Errno::NOSPC] {
                for (count, is_short) in [(1, false), (0, false), (1, true)] {
                    for first in chance.sample(picks, usize::try_from(operations).unwrap()) {
                        let first = i32::try_from(first + 1).unwrap();
                        let fault = Fault { error, kinds, first, count, is_short };
                        let (output, _, failed) = run_under(&|| shim.fail(fault));
                        faults += usize::try_from(failed).unwrap();
                        if let Err(what) = look(deed, fault, &output, folder, &states) {
                            println!("{}: {fault:?}: {what}", deed.name);
                            wrong.push(format!("{}: {fault:?}: {what}", deed.name));
                        }
                    }
                }
            }
        }
    }
    tally(faults, "I/O errors");
    assert!(wrong.is_empty(), "{} of {faults}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Fails unless a message is sent again, and the server is ready, within some seconds.
fn works_again(server: &Server, messages: &str, token: &str) {
    let start = Instant::now();
    loop {
        let sent = server.post(messages, token, &json!({ "content": "again" }));
        let ready = server.get("/health/ready", "");
        if sent.status == 201 && ready.status == 200 {
            return;
        }
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(10), "{waited:?} after it: {sent:?}, {ready:?}, {}", server.log());
        thread::sleep(Duration::from_millis(50));
    }
}

/// What fails under a server: its name, which operations, whether half is written
const WAYS: [(&str, i32, bool); 8] = [
    ("sync", SYNC, false),
    ("write", WRITE, false),
    ("everything", CHANGE | READ, false),
    ("open", OPEN, false),
    ("read", READ, false),
    ("half a write", WRITE, true),
    ("write and open", WRITE | OPEN, false),
    ("sync, truncate and remove", SYNC | TRUNCATE | REMOVE, false),
];

#[test]
fn a_server_whose_disk_fails_for_a_while_loses_nothing_and_works_again() {
    let Some(shim) = Shim::compile("I/O errors under a server") else { return };
    let rounds = if is_long() { 40 } else { 3 };
    let memory = deeds::folder();
    let shell = Shell::new_in(memory.path());
    let location = Location::Sqlite(shell.path("test.db"));
    let crowd = Crowd::new(&shell, "test.db", Vec::new());
    let token = token(&shell, "test.db", "ann");
    let variables = shim.failing(&shell.path(""));
    let mut server = serve_with(&shell, "test.db", &variables);
    let mut chance = Chance::new();
    let (mut faults, mut kills) = (0, 0);
    for round in 0..rounds {
        let (name, kinds, is_short) = WAYS[round % WAYS.len()];
        let error = [Errno::IO, Errno::NOSPC, Errno::ROFS][round % 3];
        let messages = messages_of(&server, &token);
        // In every fourth round it is killed while the disk fails.
        let is_killed = round % 4 == 3;
        crowd.post_while(&server, &token, 6, || {
            thread::sleep(Duration::from_millis(100));
            let first = i32::try_from(chance.below(40) + 1).unwrap();
            shim.fail(Fault { error, kinds, first, count: 0, is_short });
            thread::sleep(Duration::from_millis(100) + random_up_to(Duration::from_millis(700)));
            if is_killed {
                kills += crowd.kill(&server);
            }
            let (_, failed) = shim.end();
            println!("round {round}: {name}, {error}, {failed} times; killed: {is_killed}");
            faults += usize::try_from(failed).unwrap();
            if !is_killed {
                works_again(&server, &messages, &token);
            }
        });
        if is_killed {
            server.process.wait().unwrap();
            server = serve_with(&shell, "test.db", &variables);
        }
        println!("{}", crowd.answers());
        if round % 4 == 3 || round + 1 == rounds {
            crowd.audit(&shell, &location, "test.db", u64::MAX);
        }
    }
    assert_eq!(server.stop(), Some(0));
    let acknowledged = crowd.audit(&shell, &location, "test.db", u64::MAX);
    tally(faults, "I/O errors");
    tally(kills, "kills");
    tally(acknowledged, "acknowledged writes");
    assert!(faults > 0 && acknowledged > 0);
}
