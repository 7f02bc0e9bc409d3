//! Everything that writes, at once: a server under load, commands, loads, people who come and go, backups. What each was told is
//! kept, so that whatever is done to them can be audited.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tidings::service::messages::{self, List, Search};
use tidings::store::Location;

use super::served::secret;
use super::{PROGRAM, is_whole, number, texts};
use crate::server::{Connection, Reply, Server};
use crate::support::{Shell, World, operator};

/// How many people there are to be deleted
const VICTIMS: usize = 200;

/// How many messages a load brings
const LOADED: usize = 300;

/// What a write was about
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// A message, by its word
    Message(String),
    /// An account, by its name
    Account(String),
    /// A load, by the word of its messages
    Load(String),
    /// A backup, by the name of its file
    Backup(String),
}

/// How far a subject is in its life
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Made,
    Edited,
    Deleted,
}

/// What whoever asked for a step was told
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    /// It was not done.
    Refused,
    /// Nothing, or that nobody knows
    Unknown,
}

/// What is known of a subject: each step that was asked for, how that was answered, and when
#[derive(Debug, Default)]
struct Story {
    steps: Vec<(Step, Answer, u64)>,
    /// The id and number of a message
    place: Option<(String, i64)>,
}

#[derive(Default)]
struct Known {
    stories: BTreeMap<Subject, Story>,
    /// How often each answer was given
    answers: BTreeMap<String, usize>,
    /// What nobody should be told
    odd: Vec<String>,
}

/// Those who write to one database
pub(super) struct Crowd<'c> {
    shell: &'c Shell,
    address: String,
    /// Of every command
    variables: Vec<(&'static str, String)>,
    /// The current time, in whatever the audit asks by
    moment: Box<dyn Fn() -> u64 + Sync + 'c>,
    known: Mutex<Known>,
    is_over: AtomicBool,
    count: AtomicUsize,
    processes: Mutex<Vec<Pid>>,
    files: tempfile::TempDir,
}

/// What a command came to
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    /// When it said the first of it
    at: u64,
}

/// Tells everybody to end, also where a scene fails.
struct End<'e>(&'e AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Story {
    /// How far it is for certain at a moment
    fn least(&self, until: u64) -> Option<Step> {
        self.steps
            .iter()
            .filter(|(_, answer, at)| *answer == Answer::Done && *at <= until)
            .map(|(step, ..)| *step)
            .max()
    }

    /// How far it may be
    fn most(&self) -> Option<Step> {
        self.steps.iter().filter(|(_, answer, _)| *answer != Answer::Refused).map(|(step, ..)| *step).max()
    }

    /// Whether it may be found so far; none: it is not there.
    fn allows(&self, found: Option<Step>, until: u64) -> bool {
        match found {
            None => self.least(until).is_none() || self.most() == Some(Step::Deleted),
            Some(_) => self.least(until) <= found && found <= self.most(),
        }
    }
}

impl<'c> Crowd<'c> {
    /// Makes the people and their conversations.
    pub(super) fn new(shell: &'c Shell, address: &str, variables: Vec<(&'static str, String)>) -> Self {
        let crowd = Self {
            shell,
            address: address.to_owned(),
            variables,
            moment: Box::new(|| 0),
            known: Mutex::default(),
            is_over: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            processes: Mutex::default(),
            files: tempfile::tempdir().unwrap(),
        };
        let mut records = String::new();
        for name in ["ann", "bob", "eve"] {
            writeln!(records, "{}", json!({ "type": "user", "username": name })).unwrap();
        }
        let team =
            json!({ "type": "conversation", "name": "team", "creator": "ann", "participants": ["ann", "bob", "eve"] });
        writeln!(records, "{team}").unwrap();
        for victim in 0..VICTIMS {
            let name = format!("victim{victim}");
            writeln!(records, "{}", json!({ "type": "user", "username": name })).unwrap();
            writeln!(records, "{}", json!({ "type": "conversation", "participants": ["ann", name] })).unwrap();
            for line in 0..5 {
                let content = format!("{} line {line}", canary(victim));
                let (kind, key) = ("message", format!("{name}-{line}"));
                let message =
                    json!({ "type": kind, "conversation": "@ann", "sender": name, "key": key, "content": content });
                writeln!(records, "{message}").unwrap();
            }
        }
        fs::write(crowd.files.path().join("world"), records).unwrap();
        let file = crowd.files.path().join("world");
        let loaded = crowd.run(&["data", "load", file.to_str().unwrap(), "--notify", "--quiet"]).unwrap();
        assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
        crowd
    }

    /// Tells the time in another way.
    pub(super) fn with_moment(mut self, moment: impl Fn() -> u64 + Sync + 'c) -> Self {
        self.moment = Box::new(moment);
        self
    }

    /// Lets so many post to a server at once while something is done; ends with that.
    pub(super) fn post_while(&self, server: &Server, token: &str, posters: usize, scene: impl FnOnce()) {
        self.work_while(server, token, posters, &[], scene);
    }

    /// Lets everybody work at once while something is done; ends with that.
    pub(super) fn all_work_while(&self, server: &Server, token: &str, scene: impl FnOnce()) {
        let is_file = self.address == "test.db";
        let commands: &[fn(&Self)] = &[Self::send, Self::load, Self::come_and_go, Self::back_up];
        self.work_while(server, token, 8, if is_file { commands } else { &commands[..3] }, scene);
    }

    fn work_while(&self, server: &Server, token: &str, posters: usize, commands: &[fn(&Self)], scene: impl FnOnce()) {
        let address = server.address();
        let messages = super::served::messages_of(server, token);
        self.is_over.store(false, Ordering::Relaxed);
        thread::scope(|scope| {
            let _end = End(&self.is_over);
            for _ in 0..posters {
                scope.spawn(|| self.post(address, token, &messages));
            }
            scope.spawn(|| self.edit(address, token, &messages));
            for command in commands {
                scope.spawn(move || command(self));
            }
            scene();
        });
    }

    /// Kills the server and every command.
    pub(super) fn kill(&self, server: &Server) -> usize {
        let processes = self.processes.lock().unwrap();
        self.is_over.store(true, Ordering::Relaxed);
        server.signal(Signal::KILL);
        for process in processes.iter() {
            // It may have ended.
            let _ = kill_process(*process, Signal::KILL);
        }
        processes.len() + 1
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// A word that nobody used
    fn word(&self, of: &str) -> String {
        format!("qq{of}{}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// What is known, also after an audit has failed with it
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, subject: Subject, step: Step, answer: Answer, at: u64) {
        self.known().stories.entry(subject).or_default().steps.push((step, answer, at));
    }

    fn note_place(&self, subject: &Subject, message: &Value) {
        let place = (message["message_id"].as_str().unwrap().to_owned(), message["number"].as_i64().unwrap());
        self.known().stories.get_mut(subject).unwrap().place = Some(place);
    }

    /// Sends messages over one connection, each until it is known what became of it.
    fn post(&self, address: SocketAddr, token: &str, messages: &str) {
        let mut connection = None;
        while !self.is_over() {
            let word = self.word("posted");
            let subject = Subject::Message(word.clone());
            let body = json!({ "content": format!("{word} as sent") }).to_string();
            let headers = [("Idempotency-Key", word.as_str())];
            loop {
                let reply = ask(&mut connection, address, "POST", messages, &headers, token, &body);
                match self.judge(&subject, Step::Made, reply.as_ref(), 201) {
                    Answer::Done => break self.note_place(&subject, &reply.unwrap().json()),
                    Answer::Refused => break thread::sleep(Duration::from_millis(5)),
                    // The same key settles it.
                    Answer::Unknown if !self.is_over() => thread::sleep(Duration::from_millis(20)),
                    Answer::Unknown => break,
                }
            }
        }
    }

    /// Sends messages, edits them, and deletes every other one.
    fn edit(&self, address: SocketAddr, token: &str, messages: &str) {
        let mut connection = None;
        while !self.is_over() {
            let word = self.word("edited");
            let subject = Subject::Message(word.clone());
            let body = |state: &str| json!({ "content": format!("{word} as {state}") }).to_string();
            let reply = ask(&mut connection, address, "POST", messages, &[], token, &body("sent"));
            if self.judge(&subject, Step::Made, reply.as_ref(), 201) != Answer::Done {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            let message = reply.unwrap().json();
            self.note_place(&subject, &message);
            let path = format!("/api/messages/{}/", message["message_id"].as_str().unwrap());
            let reply = ask(&mut connection, address, "PATCH", &path, &[], token, &body("edited"));
            let is_edited = self.judge(&subject, Step::Edited, reply.as_ref(), 200) == Answer::Done;
            if is_edited && self.count.load(Ordering::Relaxed).is_multiple_of(2) {
                let reply = ask(&mut connection, address, "DELETE", &path, &[], token, "");
                self.judge(&subject, Step::Deleted, reply.as_ref(), 204);
            }
        }
    }

    /// What an answer over REST means; it is noted.
    fn judge(&self, subject: &Subject, step: Step, reply: Option<&Reply>, wanted: u16) -> Answer {
        let at = (self.moment)();
        let (answer, said) = match reply {
            None => (Answer::Unknown, "no answer".to_owned()),
            Some(reply) if reply.status == wanted => (Answer::Done, wanted.to_string()),
            Some(reply) => {
                let problem = reply.json();
                let is_unknown = problem["outcome"] == "unknown";
                if !matches!(reply.status, 503 | 507) {
                    self.known().odd.push(problem.to_string());
                }
                let said = format!("{} {}", reply.status, if is_unknown { "unknown" } else { "refused" });
                (if is_unknown { Answer::Unknown } else { Answer::Refused }, said)
            }
        };
        *self.known().answers.entry(said).or_default() += 1;
        self.note(subject.clone(), step, answer, at);
        answer
    }

    /// Runs a command; none where it is over.
    fn run(&self, arguments: &[&str]) -> Option<Outcome> {
        let mut command = Command::new(PROGRAM);
        command.args(["--db", &self.address]).args(arguments).current_dir(self.shell.path("")).env_clear();
        command.env("HOME", self.shell.path("")).env("USER", "root").envs(secret(&self.address).iter().copied());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = {
            let mut processes = self.processes.lock().unwrap();
            if self.is_over() {
                return None;
            }
            let child = command.spawn().unwrap();
            processes.push(Pid::from_child(&child));
            child
        };
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut stdout).unwrap();
        let at = (self.moment)();
        reader.read_to_string(&mut stdout).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        self.processes.lock().unwrap().retain(|process| *process != Pid::from_child(&child));
        Some(Outcome { code: status.code(), stdout, stderr, at })
    }

    /// What a command's end means; it is noted. None where it is over.
    fn command(&self, subject: &Subject, step: Step, arguments: &[&str]) -> Option<Outcome> {
        let outcome = self.run(&[arguments, &["--output", "jsonl"]].concat())?;
        let answer = match outcome.code {
            Some(0) => Answer::Done,
            None => Answer::Unknown,
            Some(7) if outcome.stderr.contains(r#""outcome":"unknown""#) => Answer::Unknown,
            Some(7) => Answer::Refused,
            Some(code) => {
                self.known().odd.push(format!("{arguments:?}: exit {code}: {}", outcome.stderr));
                Answer::Unknown
            }
        };
        let said = format!("exit {:?}", outcome.code.unwrap_or(-1));
        *self.known().answers.entry(said).or_default() += 1;
        self.note(subject.clone(), step, answer, outcome.at);
        if answer != Answer::Done {
            thread::sleep(Duration::from_millis(5));
        }
        Some(outcome)
    }

    /// Sends by the command line.
    fn send(&self) {
        loop {
            let word = self.word("typed");
            let subject = Subject::Message(word.clone());
            let content = format!("{word} as sent");
            let sent = self.command(&subject, Step::Made, &["message", "send", "team", &content, "--as", "bob"]);
            let Some(outcome) = sent else { return };
            if outcome.code == Some(0) {
                self.note_place(&subject, &serde_json::from_str(&outcome.stdout).unwrap());
            }
        }
    }

    fn load(&self) {
        loop {
            let word = self.word("loaded");
            let message = |line: usize| {
                let content = format!("{word} line {line}");
                let key = format!("{word}-{line}");
                json!({ "type": "message", "conversation": "team", "sender": "eve", "key": key, "content": content })
            };
            let records: String = (0..LOADED).fold(String::new(), |all, line| format!("{all}{}\n", message(line)));
            let file = self.files.path().join(&word);
            fs::write(&file, records).unwrap();
            let arguments = ["data", "load", file.to_str().unwrap(), "--notify"];
            if self.command(&Subject::Load(word), Step::Made, &arguments).is_none() {
                return;
            }
        }
    }

    /// Makes accounts, and deletes others that have said something.
    fn come_and_go(&self) {
        let is_left = |victim: &usize| !self.known().stories.contains_key(&Subject::Account(name_of(*victim)));
        let victims: Vec<usize> = (0..VICTIMS).filter(is_left).collect();
        for victim in victims {
            let name = self.word("comer");
            let subject = Subject::Account(name.clone());
            if self.command(&subject, Step::Made, &["user", "create", &name, "--no-password"]).is_none() {
                return;
            }
            let name = name_of(victim);
            self.note(Subject::Account(name.clone()), Step::Made, Answer::Done, 0);
            let arguments = ["user", "delete", &name, "--yes"];
            if self.command(&Subject::Account(name.clone()), Step::Deleted, &arguments).is_none() {
                return;
            }
        }
    }

    fn back_up(&self) {
        loop {
            let name = format!("{}.db", self.word("copy"));
            let subject = Subject::Backup(name.clone());
            if self.command(&subject, Step::Made, &["db", "backup", &name]).is_none() {
                return;
            }
        }
    }

    /// Fails unless everything is there that was acknowledged until a moment, whole and once, and nothing that was refused;
    /// returns how much that was.
    pub(super) fn audit(&self, shell: &Shell, location: &Location, address: &str, until: u64) -> usize {
        let known = self.known();
        assert!(known.odd.is_empty(), "{} times: {:#?}", known.odd.len(), &known.odd[..known.odd.len().min(5)]);
        let is_gone = |victim: &usize| {
            let story = known.stories.get(&Subject::Account(name_of(*victim)));
            story.is_some_and(|story| story.least(until) == Some(Step::Deleted))
        };
        let gone: BTreeSet<String> = (0..VICTIMS).filter(is_gone).map(canary).collect();
        if matches!(location, Location::Sqlite(_)) {
            let readable: Vec<String> = canaries(shell).intersection(&gone).cloned().collect();
            let pending = shell.done(&format!("db status -o json --db {address}")).stdout;
            assert!(readable.is_empty() || pending.contains("\"erase\""), "{readable:?} is there for good: {pending}");
        }
        is_whole(shell, location, address);
        let opened = World::open(location.clone());
        let all = List { limit: i64::MAX, ..List::default() };
        let all = opened.app.read(|tx| crate::support::list_messages(tx, &operator(), &all)).unwrap();
        let mut found: BTreeMap<&str, Vec<&tidings::model::Message>> = BTreeMap::new();
        for message in &all {
            found.entry(message.content.split(' ').next().unwrap()).or_default().push(message);
        }
        for victim in &gone {
            assert!(!found.contains_key(victim.as_str()), "{victim} was deleted");
        }
        let accounts: BTreeSet<String> = texts(location, "SELECT username FROM account").into_iter().collect();
        let mut searched = 0;
        for (subject, story) in known.stories.iter().rev() {
            let of = |word: &str| found.get(word).map(Vec::as_slice).unwrap_or_default();
            match subject {
                Subject::Message(word) => {
                    let step = match of(word) {
                        [] => None,
                        [message] => Some(step_of(message, word, story)),
                        several => panic!("{word} is there {} times", several.len()),
                    };
                    assert!(story.allows(step, until), "{word}: {step:?} is found, {story:?} until {until}");
                    if searched < 100 {
                        searched += 1;
                        let search = Search { query: word.clone(), limit: 9, ..Search::default() };
                        let hits = opened.app.read(|tx| messages::search(tx, &operator(), &search, &|| false)).unwrap();
                        assert_eq!(hits.messages.len(), usize::from(step.is_some()), "a search for {word}, {story:?}");
                    }
                }
                Subject::Account(name) => {
                    let step = accounts.contains(name).then_some(Step::Made);
                    assert!(story.allows(step, until), "{name}: {step:?} is found, {story:?} until {until}");
                }
                Subject::Load(word) => {
                    let count = of(word).len();
                    let lines: BTreeSet<&str> = of(word).iter().map(|message| message.content.as_str()).collect();
                    assert_eq!(lines.len(), count, "{word} is loaded twice");
                    // One that does not come to its end may leave a beginning.
                    let is_whole = story.least(until).is_none() || count == LOADED;
                    assert!(is_whole, "{count} messages of {word}, {story:?} until {until}");
                }
                Subject::Backup(name) => {
                    let is_there = shell.path(name).exists();
                    let step = is_there.then_some(Step::Made);
                    assert!(story.allows(step, until), "{name}: {step:?}, {story:?} until {until}");
                    if is_there {
                        let backup = Location::Sqlite(shell.path(name));
                        assert_eq!(texts(&backup, "PRAGMA integrity_check"), ["ok"], "{name}");
                        assert!(number(&backup, "SELECT count(*) FROM message") > 0, "{name}");
                    }
                }
            }
        }
        drop(opened);
        shell.done(&format!("message send team on --as ann --db {address}"));
        known
            .stories
            .values()
            .flat_map(|story| &story.steps)
            .filter(|(_, answer, at)| *answer == Answer::Done && *at <= until)
            .count()
    }

    /// How often each answer was given
    pub(super) fn answers(&self) -> String {
        format!("{:?}", self.known().answers)
    }

    /// How much was acknowledged
    pub(super) fn acknowledged(&self) -> usize {
        let known = self.known();
        known.stories.values().flat_map(|story| &story.steps).filter(|(_, answer, _)| *answer == Answer::Done).count()
    }
}

/// A word that only a victim said
fn canary(victim: usize) -> String {
    format!("qqsecret{victim:04}qq")
}

/// The canaries that stand in the file or its log
fn canaries(shell: &Shell) -> BTreeSet<String> {
    let files = ["test.db", "test.db-wal"].map(|file| fs::read(shell.path(file)).unwrap_or_default());
    let text = String::from_utf8_lossy(&files.concat()).into_owned();
    let begin = |(start, _): (usize, &str)| text[start..].chars().take(canary(0).len()).collect();
    text.match_indices("qqsecret").map(begin).collect()
}

fn name_of(victim: usize) -> String {
    format!("victim{victim}")
}

/// How far a message is that was found; it must be the one that was sent.
fn step_of(message: &tidings::model::Message, word: &str, story: &Story) -> Step {
    let found = (message.message_id.to_string(), message.number.0);
    assert!(story.place.as_ref().is_none_or(|place| *place == found), "{word}: {found:?}, {story:?}");
    match message.content.strip_prefix(word) {
        Some(" as sent") if message.revision == 1 => Step::Made,
        Some(" as edited") if message.revision == 2 => Step::Edited,
        _ => panic!("{word} is half done: {message:?}"),
    }
}

/// Asks over a connection, which is made where there is none and given up where there is no answer.
fn ask(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    token: &str,
    body: &str,
) -> Option<Reply> {
    if connection.is_none() {
        *connection = Connection::to(address).ok();
    }
    let reply = connection.as_mut().and_then(|open| open.ask_with(method, path, headers, token, body).ok());
    if reply.is_none() {
        *connection = None;
        thread::sleep(Duration::from_millis(5));
    }
    reply
}
