//! `watch`: two terminals, scripts that wait, commands that are run.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::shell;
use crate::support::{Shell, words};
use crate::terminal::Terminal;

/// How long a test waits for what has to come
const PATIENCE: Duration = Duration::from_secs(30);

/// A command that goes on, in a process of its own
pub(crate) struct Going {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// What is read from a pipe, by line
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Going {
    pub(crate) fn begin(shell: &Shell, line: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.args(["--db", "test.db"]).args(words(line)).current_dir(shell.path(""));
        command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("USER", "root");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        Self { child, stdout, stderr }
    }

    /// One that has begun to listen
    fn watch(shell: &Shell, options: &str) -> Self {
        let going = Self::begin(shell, &format!("watch {options}"));
        assert_eq!(going.said(), "Watching test.db; Ctrl-C ends it.");
        going
    }

    /// The next line of its output
    pub(crate) fn line(&self) -> String {
        self.stdout
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no more lines: {:?}", self.stderr.try_iter().collect::<Vec<_>>()))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// The next line that it says on stderr
    pub(crate) fn said(&self) -> String {
        self.stderr.recv_timeout(PATIENCE).expect("a word on stderr")
    }

    /// Waits for its end; returns the exit code, and what is left of its output.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>, Vec<String>) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(2));
        };
        (status.code(), self.stdout.iter().collect(), self.stderr.iter().collect())
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_done_in_one_terminal_is_a_line_in_the_other() {
    let shell = shell();
    let (all, bob) = (Going::watch(&shell, ""), Going::watch(&shell, "--as bob"));
    let at = "2026-01-01 09:00:00Z";
    for (line, of_all, of_bob) in [
        ("message send team 'Are you there, @bob?' --as ann", "team#3 · ann · Are you there, @bob?", None),
        ("message send --to bob psst --as ann", "", Some("")),
        ("message send --to ann 'What?' --as bob", "#2 · bob → ann · What?", Some("@ann#2 · bob → ann · What?")),
        ("message edit team#3 Hello --as ann", "team#3 · ann edited (revision 2) · Hello", None),
        ("message delete team#3 --yes", "team · root (operator) deleted a message", None),
        ("user create eve --no-password", "root (operator) created the account of eve", Some("-")),
        ("conversation add team eve --as ann", "team · ann added eve", None),
        ("conversation remove team eve --as eve --yes", "team · eve left", None),
        ("conversation level team none --as bob", "", Some("")),
        ("notifications read --all --as bob", "bob marked several messages as read", None),
        ("conversation update team --title All --as ann", "team · ann changed the conversation · All", None),
        ("user delete eve --yes", "", Some("-")),
    ] {
        shell.done(line);
        let expect = |going: &Going, words: &str| {
            let shown = going.line();
            assert!(words.is_empty() || shown == format!("{at} · {words}"), "{line}: {shown}");
        };
        if line.contains("psst") {
            // The direct conversation began with it.
            expect(&all, "");
            expect(&bob, "");
        }
        expect(&all, of_all);
        if of_bob != Some("-") {
            expect(&bob, of_bob.unwrap_or(of_all));
        }
    }
}

#[test]
fn every_output_format_is_written_as_it_comes() {
    let shell = shell();
    let first = |format: &str| {
        let going =
            Going::watch(&shell, &format!("--count 2 --event message.created notification.updated -o {format}"));
        shell.done("message send team 'a word' --as ann");
        let mut printed = vec![going.line()];
        shell.done("notifications read team#2 --as ann");
        shell.done("notifications unread team#2 --as ann");
        let (code, rest, said) = going.end();
        assert_eq!((code, said.len()), (Some(0), 0), "{format}: {said:?}");
        printed.extend(rest);
        printed
    };
    let json: Value = serde_json::from_str(&first("json").concat()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!((&json[0]["event"], &json[0]["message"]["content"]), (&"message.created".into(), &"a word".into()));
    let jsonl: Vec<Value> = first("jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(jsonl[1]["message"].is_string() && jsonl[1]["event"] == "notification.updated");
    let csv = first("csv --fields event,message.message_id,is_read,actor.username");
    assert_eq!(csv[0], "event,message.message_id,is_read,actor.username");
    assert!(csv[1].starts_with("message.created,") && csv[1].ends_with(",,ann"), "{csv:?}");
    assert!(csv[2].starts_with("notification.updated,") && csv[2].ends_with(",true,ann"), "{csv:?}");
    assert_eq!(csv[2].split(',').nth(1).unwrap().len(), 36);
    assert_eq!(first("tsv").len(), 3);
    let ids = first("ids");
    // Each is a cursor.
    shell.done(&format!("watch --since {} --count 1 -o ids", ids[0]));
    let table = first("table --fields event,conversation");
    assert_eq!(table.len(), 3, "{table:?}");
}

#[test]
fn who_reads_one_line_only_is_served_at_once_also_when_nothing_more_happens() {
    let shell = shell();
    let tidings = env!("CARGO_BIN_EXE_tidings");
    for format in ["table", "json", "jsonl"] {
        let script =
            format!("{{ '{tidings}' --db test.db watch -o {format} 2>said; echo \"$?\" >code; }} | head -n 1 & wait");
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).current_dir(shell.path("")).stdout(Stdio::piped());
        let mut running = bash.spawn().unwrap();
        while fs::read_to_string(shell.path("said")).unwrap_or_default().is_empty() {
            thread::sleep(Duration::from_millis(2));
        }
        shell.done("message send team hi --as ann");
        let start = Instant::now();
        assert!(running.wait().unwrap().success());
        assert!(start.elapsed() < Duration::from_secs(10), "{format}");
        while fs::read_to_string(shell.path("code")).unwrap_or_default().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10), "{format}: it goes on");
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(fs::read_to_string(shell.path("code")).unwrap(), "0\n");
        fs::remove_file(shell.path("said")).unwrap();
        fs::remove_file(shell.path("code")).unwrap();
    }
}

#[test]
fn a_script_that_waits_hears_in_time_or_gets_exit_code_8() {
    let shell = shell();
    let waiting = Going::watch(&shell, "--event message.created --conversation team --count 2 --timeout 30s -o ids");
    shell.done("message send team one --as ann");
    shell.done("conversation update team --title Others --as ann");
    shell.done("message send team two --as ann");
    let (code, ids, said) = waiting.end();
    assert_eq!((code, ids.len(), said.len()), (Some(0), 2, 0));
    let late =
        shell.run(&format!("watch --since {} --count 2 --timeout 300ms --event message.created -o jsonl", ids[0]));
    assert_eq!((late.code, late.stdout.lines().count()), (8, 1), "{late}");
    let problem: Value = serde_json::from_str(late.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&problem["code"], &problem["detail"]),
        (&"timeout".into(), &"Only 1 of 2 events came in 0.3 seconds.".into())
    );
    let silent = shell.run("watch --timeout 0s -o json");
    assert_eq!((silent.code, silent.stdout.as_str()), (8, "[]\n"), "{silent}");
    assert!(silent.stderr.ends_with("\"detail\":\"Nothing was heard in 0 seconds.\"}\n"), "{silent}");
    for wrong in [
        "--timeout soon",
        "--timeout 5y",
        "--count -1",
        "--event nonsense",
        "--keep-going",
        "--dry-run --exec true",
        "--dry-run --cursor-file cursor",
    ] {
        assert_eq!(shell.run(&format!("watch {wrong}")).code, 2, "{wrong}");
    }
    assert!(!shell.path("cursor").exists());
    let some = shell.run(&format!("watch --since {} --timeout 200ms", ids[0]));
    assert!(some.code == 8 && some.stderr.contains("Time is up: 2 events came in 0.2 seconds."), "{some}");
}

#[test]
fn a_command_handles_one_event_after_the_other_from_where_the_last_watch_came_to() {
    let shell = shell();
    let handle = "jq -r '.event + \" \" + (.message.content // \"\")' >>handled";
    // Nothing is handled yet, and nothing is missed between two watches.
    shell.done("watch --count 0 --cursor-file cursor");
    for number in 1..=3 {
        shell.done(&format!("message send team word{number} --as ann"));
    }
    let watch = |options: &str| {
        shell.run_words(&["watch", "--cursor-file", "cursor", "--exec", handle, "--count", options], "")
    };
    let first = watch("2");
    assert_eq!((first.code, first.stdout.as_str()), (0, ""), "{first}");
    let handled = || fs::read_to_string(shell.path("handled")).unwrap();
    assert_eq!(handled(), "message.created word1\nmessage.created word2\n");
    assert_eq!(watch("1").code, 0);
    assert_eq!(handled().lines().count(), 3);
    let late = shell.run_words(&["watch", "--cursor-file", "cursor", "--exec", handle, "--timeout", "200ms"], "");
    assert_eq!((late.code, handled().lines().count()), (8, 3), "{late}");
}

#[test]
fn a_command_that_fails_ends_the_watch_before_the_position_is_kept() {
    let shell = shell();
    shell.done("watch --count 0 --cursor-file cursor");
    shell.done("message send team one --as ann");
    shell.done("message send team two --as ann");
    let run = |exec: &str, options: &str| {
        let mut words = vec!["watch", "--cursor-file", "cursor", "--exec", exec];
        words.extend(options.split(' ').filter(|word| !word.is_empty()));
        shell.run_words(&words, "")
    };
    let before = fs::read_to_string(shell.path("cursor")).unwrap();
    let failed = run("cat >>seen; exit 3", "");
    assert_eq!(failed.code, 1, "{failed}");
    let said =
        "tidings: The command failed with exit code 3, for message.created at 2026-01-01 09:00:00Z; the watch ends.\n";
    assert!(failed.stderr.contains(said) && failed.stderr.contains("hint: With --keep-going"), "{failed}");
    assert_eq!(fs::read_to_string(shell.path("cursor")).unwrap(), before);
    let killed = run("kill -TERM $$", "");
    assert!(killed.code == 1 && killed.stderr.contains("was ended by signal 15"), "{killed}");
    let absent = run("no-such-command-anywhere", "");
    assert!(absent.code == 1 && absent.stderr.contains("exit code 127"), "{absent}");
    // It need not read the event, however long that is.
    shell.done(&format!("message send team '{}' --as ann", "long ".repeat(13_000)));
    let gone_on = run("read line; echo \"$line\" >>seen; false", "--keep-going --count 3");
    assert_eq!((gone_on.code, gone_on.stderr.matches("The command failed").count()), (0, 3), "{gone_on}");
    let seen = fs::read_to_string(shell.path("seen")).unwrap();
    let heard: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let contents: Vec<&str> = heard.iter().map(|event| &event["message"]["content"].as_str().unwrap()[..3]).collect();
    assert_eq!(contents, ["one", "one", "two", "lon"]);
    assert_ne!(fs::read_to_string(shell.path("cursor")).unwrap(), before);
    shell.done("message send team last --as ann");
    assert_eq!(run("exec true", "--count 1").code, 0);
}

#[test]
fn a_command_that_hangs_is_ended_with_all_it_started_when_time_is_up() {
    let shell = shell();
    shell.done("watch --count 0 --cursor-file cursor");
    shell.done("message send team one --as ann");
    let before = fs::read_to_string(shell.path("cursor")).unwrap();
    let start = Instant::now();
    let hung = "sleep 1000 & echo $! >pid; wait";
    let late = shell.run_words(&["watch", "--cursor-file", "cursor", "--exec", hung, "--timeout", "500ms"], "");
    assert!(late.code == 8 && start.elapsed() < Duration::from_secs(20), "{late}");
    assert!(late.stderr.contains("was still running and was ended"), "{late}");
    assert_eq!(fs::read_to_string(shell.path("cursor")).unwrap(), before);
    is_gone(&shell);
}

/// Waits until what a command started is gone.
fn is_gone(shell: &Shell) {
    let pid = fs::read_to_string(shell.path("pid")).unwrap();
    let start = Instant::now();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(start.elapsed() < PATIENCE, "it goes on: {}", state());
        thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(shell.path("pid")).unwrap();
}

#[test]
fn ctrl_c_ends_a_watch_and_its_command_at_once_with_130() {
    let shell = shell();
    let tidings = env!("CARGO_BIN_EXE_tidings");
    for exec in ["", "--exec 'sleep 1000 & echo $! >pid; wait'"] {
        let watch = format!("env --default-signal=INT '{tidings}' --db test.db watch {exec}");
        let script = format!("trap : INT; {watch}; echo \"saw $?\"");
        let mut terminal = Terminal::open(&shell.path(""), &script);
        terminal.wait_for("Watching test.db");
        if !exec.is_empty() {
            shell.done("message send team hi --as ann");
            while fs::read_to_string(shell.path("pid")).unwrap_or_default().is_empty() {
                thread::sleep(Duration::from_millis(2));
            }
        }
        let start = Instant::now();
        terminal.type_in(b"\x03");
        let (seen, _) = terminal.end();
        assert!(seen.contains("saw 130"), "{exec}: {seen}");
        assert!(start.elapsed() < Duration::from_secs(10), "{exec}");
        if !exec.is_empty() {
            is_gone(&shell);
        }
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_ends_no_watch() {
    let shell = shell();
    let script = r#"trap '' HUP; exec "$0" --db test.db watch --exec 'echo handled >>handled' --count 1"#;
    let mut bash = Command::new("bash");
    bash.args(["-c", script, env!("CARGO_BIN_EXE_tidings")]).current_dir(shell.path("")).stderr(Stdio::piped());
    let mut running = bash.spawn().unwrap();
    let said = lines(running.stderr.take().unwrap());
    said.recv_timeout(PATIENCE).unwrap();
    assert!(Command::new("kill").args(["-HUP", &running.id().to_string()]).status().unwrap().success());
    thread::sleep(Duration::from_millis(200));
    shell.done("message send team hi --as ann");
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert_eq!(fs::read_to_string(shell.path("handled")).unwrap(), "handled\n");
}

#[test]
fn a_command_that_the_terminal_stops_is_ended_and_that_is_said() {
    let shell = shell();
    let tidings = env!("CARGO_BIN_EXE_tidings");
    let script = format!("'{tidings}' --db test.db watch --exec 'read word </dev/tty'; echo \"saw $?\"");
    let mut terminal = Terminal::open(&shell.path(""), &script);
    terminal.wait_for("Watching test.db");
    shell.done("message send team hi --as ann");
    let (seen, _) = terminal.end();
    assert!(seen.contains("saw 1") && seen.contains("would read the terminal"), "{seen}");
}

#[test]
fn the_position_is_kept_where_a_link_leads_to_and_as_open_to_others_as_it_was() {
    let shell = shell();
    fs::write(shell.path("real"), "").unwrap();
    fs::set_permissions(shell.path("real"), Permissions::from_mode(0o644)).unwrap();
    symlink("real", shell.path("cursor")).unwrap();
    shell.done("watch --count 0 --cursor-file cursor");
    assert!(shell.path("cursor").is_symlink());
    assert_ne!(fs::read_to_string(shell.path("real")).unwrap(), "");
    assert_eq!(shell.path("real").metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn what_cannot_be_watched_is_said_at_once_with_its_code() {
    let shell = shell();
    fs::write(shell.path("nonsense"), "nonsense\n").unwrap();
    for (line, code, said) in [
        ("watch --db absent.db", 7, "The database absent.db does not exist."),
        ("watch --as nobody", 3, "There is no user “nobody”."),
        ("watch --conversation nowhere", 3, "nowhere"),
        ("watch --since nonsense", 6, "That is not a cursor."),
        ("watch --cursor-file nonsense", 6, "nonsense holds no cursor."),
        ("watch --cursor-file absent/cursor", 7, "The cursor file absent/cursor cannot be written:"),
        ("watch --cursor-file .", 2, "cannot be read"),
    ] {
        let run = shell.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{line}: {run}");
        assert!(run.stderr.starts_with("tidings: ") && run.stderr.contains(said), "{line}: {run}");
        assert!(!shell.path("absent.db").exists(), "{line}");
    }
    shell.done("user create eve --no-password");
    let ended = Going::watch(&shell, "--as eve");
    shell.done("user deactivate eve");
    let (code, lines, said) = ended.end();
    assert_eq!((code, lines.len()), (Some(4), 1), "{said:?}");
    assert!(said[0].contains("deactivated"), "{said:?}");
}

#[test]
fn a_watch_is_in_the_way_of_no_restore_and_follows_what_takes_the_name() {
    let shell = shell();
    shell.done("db backup backup.db");
    let (people, objects) = (Going::watch(&shell, ""), Going::watch(&shell, "-o jsonl --cursor-file cursor"));
    let ids = Going::watch(&shell, "-o ids");
    let reset = || {
        assert!(people.line().starts_with("Reset: "));
        let reset = objects.json();
        assert_eq!((&reset["event"], &reset["reason"]), (&"reset".into(), &"other_log".into()));
        assert!(ids.said().starts_with("Reset: "));
        // A moment later that is where a watch goes on.
        let start = Instant::now();
        while fs::read_to_string(shell.path("cursor")).unwrap().trim() != reset["id"] {
            assert!(start.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(2));
        }
    };
    let hear = |words: &str| {
        shell.done(&format!("message send team {words} --as ann"));
        assert!(people.line().contains(words));
        assert_eq!(objects.json()["message"]["content"], words);
        ids.line();
    };
    for round in 0..5 {
        hear("restored");
        // Right after something happened, while they have it open, and some time later.
        thread::sleep(Duration::from_millis(100 * round));
        shell.done("db restore backup.db --yes");
        reset();
    }
    hear("compact");
    shell.done("db compact");
    hear("replaced");
    // Whoever moves a file by hand does not do so while it is in use: its log would stay behind.
    let until_closed = || {
        let start = Instant::now();
        while [&people, &objects, &ids].into_iter().any(|going| has_open(going, &shell.path("test.db"))) {
            assert!(start.elapsed() < PATIENCE, "they have the file open");
            thread::sleep(Duration::from_millis(5));
        }
    };
    fs::copy(shell.path("backup.db"), shell.path("other.db")).unwrap();
    shell.done("user create zoe --no-password --db other.db");
    shell.done("conversation create ann zoe --name team2 --db other.db");
    until_closed();
    fs::rename(shell.path("other.db"), shell.path("test.db")).unwrap();
    reset();
    until_closed();
    fs::rename(shell.path("test.db"), shell.path("away.db")).unwrap();
    for going in [&people, &objects, &ids] {
        assert_eq!(going.said(), "The database test.db does not exist; waiting for it.");
    }
    shell.done("db restore backup.db --yes");
    for going in [&people, &objects, &ids] {
        let said = going.said();
        assert!(said == "The database is there again." || said.starts_with("Reset"), "{said}");
    }
    assert!(people.line().starts_with("Reset: "));
}

/// Whether a process has a file open
fn has_open(going: &Going, path: &Path) -> bool {
    let path = path.canonicalize().unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", going.child.id())).unwrap();
    open.flatten().any(|file| file.path().read_link().is_ok_and(|target| target == path))
}

#[test]
fn in_a_silence_the_file_is_closed_unless_somebody_is_writing_to_it() {
    let shell = shell();
    let path = shell.path("test.db");
    let going = Going::watch(&shell, "--as bob --event message.created");
    let is_closed = || {
        let start = Instant::now();
        while has_open(&going, &path) {
            assert!(start.elapsed() < PATIENCE, "it has the file open");
            thread::sleep(Duration::from_millis(5));
        }
    };
    for _ in 0..5 {
        is_closed();
        shell.done("message send team again --as ann");
        assert!(going.line().ends_with("again"));
    }
    is_closed();
    // A writer that has changed the log, and is not done yet: nothing in the files will tell when it is.
    let writer = rusqlite::Connection::open(&path).unwrap();
    writer.execute_batch("PRAGMA cache_spill = 1; PRAGMA cache_size = 1; BEGIN IMMEDIATE").unwrap();
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)";
    writer.execute_batch(&format!("{numbers} INSERT INTO event (kind, at) SELECT 10, i FROM n")).unwrap();
    assert!(shell.path("test.db-wal").metadata().unwrap().len() > 100_000, "nothing is in the log yet");
    thread::sleep(Duration::from_millis(500));
    assert!(has_open(&going, &path), "it would not see when the writer is done");
    writer.execute_batch("COMMIT").unwrap();
    is_closed();
    shell.done("message send team after --as ann");
    assert!(going.line().ends_with("after"));
}
