//! `data load`: what it accepts, what it refuses and where, and that loading again adds nothing.

use std::collections::HashMap;
use std::io::Write as _;

use tidings::app::App;
use tidings::error::Kind;
use tidings::model::{Level, MessageSelector};
use tidings::service;
use tidings::transfer::Tally;
use tidings::transfer::input::Input;
use tidings::transfer::load::{self, Failure, Loaded, Stage, Told, Undated, Write};

use crate::support::{World, draft, on_every_engine, operator};

/// Loads records, one a line.
pub(crate) fn load(world: &World, records: &str) -> Result<Loaded, Vec<(u64, Kind, String)>> {
    load_with(world, records, false)
}

pub(crate) fn load_with(world: &World, records: &str, notify: bool) -> Result<Loaded, Vec<(u64, Kind, String)>> {
    load_bytes(world, records.as_bytes(), notify)
}

fn load_bytes(world: &World, bytes: &[u8], notify: bool) -> Result<Loaded, Vec<(u64, Kind, String)>> {
    load_by(&world.app, bytes, notify, &mut |_| {})
}

pub(super) fn load_by(
    app: &App,
    bytes: &[u8],
    notify: bool,
    on_stage: &mut dyn FnMut(Stage),
) -> Result<Loaded, Vec<(u64, Kind, String)>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let input = Input::open(file.path()).unwrap();
    match load::load(app, &operator(), &input, notify, on_stage) {
        Ok(loaded) => Ok(loaded),
        Err(Failure::Problems(problems) | Failure::Behind(_, problems)) => {
            Err(problems.into_iter().map(|problem| (problem.line, problem.kind, problem.detail)).collect())
        }
        Err(Failure::Error(error)) => panic!("{error}"),
    }
}

fn created(users: u64, conversations: u64, messages: u64, notifications: u64) -> Tally {
    Tally { users, conversations, messages, notifications, ..Tally::default() }
}

pub(super) const PEOPLE: &str = r#"{"type":"user","username":"ann"}
{"type":"user","username":"bob","email":"bob@example.org"}
{"type":"user","username":"eve","is_active":false}
{"type":"conversation","name":"team","participants":["ann",{"user":"bob","level":"mentions"},"eve"],"creator":"ann"}
{"type":"conversation","participants":["bob","ann"]}
"#;

pub(super) const TALK: &str = r#"{"type":"message","conversation":"team","sender":"ann","content":"hi","timestamp":"2020-01-01T09:00:00Z","key":"m1"}
{"type":"message","conversation":"Team","sender":"bob","content":"hello, @eve","timestamp":"2020-01-01T09:01:00Z","key":"m2","reply_to":"m1","revisions":[{"content":"hallo","edited_by":"bob"},{"content":"helo","reason":"a slip"}]}
{"type":"message","conversation":"@ann","sender":"bob@example.org","content":"just you","timestamp":"2020-01-01T09:02:00Z"}
{"type":"notification","user":"eve","message":"m2"}
{"type":"notification","user":"ann","message":"m2","is_read":true}
"#;

#[test]
fn records_become_rows_with_what_they_do_not_say_filled_in() {
    on_every_engine(|world| {
        let loaded = load(world, &format!("{PEOPLE}{TALK}")).unwrap();
        assert_eq!(loaded, Loaded { created: created(3, 2, 3, 2), skipped: 0 });
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);

        let reply: MessageSelector = "team#2".parse().unwrap();
        let (message, history, ann, eve, team) = world
            .app
            .read(|tx| {
                let ann = service::acting(tx, &"ann".parse().unwrap())?;
                Ok((
                    service::messages::show(tx, &operator(), &reply)?,
                    service::messages::history(tx, &operator(), &reply)?,
                    ann.clone(),
                    service::user(tx, &operator(), &"eve".parse().unwrap())?,
                    service::conversations::show(tx, &ann, &"team".parse().unwrap())?,
                ))
            })
            .unwrap();
        assert_eq!((message.revision, message.edited, message.read), (3, true, false));
        assert_eq!(message.timestamp.to_string(), "2020-01-01T09:01:00.000000Z");
        let editors: Vec<_> = history.iter().map(|one| (one.revision, one.edited_by_operator)).collect();
        assert_eq!(editors, [(2, true), (1, false)]);
        assert!(!eve.is_active);
        assert_eq!(world.notifications(&ann), [("reply".to_owned(), 2, true)]);
        assert_eq!(team.created_at.to_string(), "2020-01-01T09:00:00.000000Z", "it began with its first message");
        assert_eq!((team.message_count, team.level), (2, Some(Level::All)));
    });
}

#[test]
fn loading_again_adds_nothing_whatever_became_of_the_file() {
    on_every_engine(|world| {
        load(world, &format!("{PEOPLE}{TALK}")).unwrap();
        let again = load(world, &format!("{PEOPLE}{TALK}")).unwrap();
        assert_eq!(again, Loaded { created: Tally::default(), skipped: 10 });

        let more = r#"{"type":"message","conversation":"team","sender":"ann","content":"new","key":"m3"}"#;
        let longer = load(world, &format!("{more}\n{PEOPLE}{TALK}")).unwrap();
        assert_eq!(longer, Loaded { created: created(0, 0, 1, 0), skipped: 10 });

        let same = r#"{"type":"message","conversation":"team","sender":"ann","content":"ping"}"#;
        let twice = load(world, &format!("{same}\n{same}\n")).unwrap();
        assert_eq!(twice.created, created(0, 0, 2, 0), "two of the same in one file are two messages");
        assert_eq!(load(world, &format!("{same}\n{same}\n{same}")).unwrap().created, created(0, 0, 1, 0));
    });
}

#[test]
fn what_is_loaded_behind_a_message_far_ahead_of_the_clock_is_counted_and_not_noted_one_by_one() {
    on_every_engine(|world| {
        load(world, PEOPLE).unwrap();
        let ann = world.app.read(|tx| service::acting(tx, &"ann".parse().unwrap())).unwrap();
        world.later(3600).write(|tx| service::messages::send(tx, &ann, &draft("team", "ahead"))).unwrap();
        let record = r#"{"type":"message","conversation":"team","sender":"ann","content":"now"}"#;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(format!("{record}\n").repeat(3).as_bytes()).unwrap();
        let input = Input::open(file.path()).unwrap();
        let mut lines = input.lines().unwrap();
        let entries: Vec<_> = std::iter::from_fn(|| lines.next_record().unwrap()).map(Result::unwrap).collect();
        let (actor, hashes) = (operator(), HashMap::new());
        let write = Write { actor: &actor, notify: false, hashes: &hashes, is_alone: false };
        let written = world.app.write(|tx| {
            let written = write
                .records(tx, &mut Undated::new(), &mut Told::new(), &entries)
                .unwrap_or_else(|failure| panic!("{failure:?}"));
            Ok((written.messages, written.older, tx.take_notes()))
        });
        assert_eq!(written.unwrap(), (3, 3, Vec::<String>::new()));
        assert_eq!(load(world, &format!("{record}\n").repeat(4)).unwrap().created.older, 1);
    });
}

#[test]
fn what_another_load_of_the_same_file_stores_meanwhile_is_there_already() {
    let message = r#"{"type":"message","conversation":"team","sender":"ann","content":"many"}"#;
    let people = format!("{}\n", r#"{"type":"user","username":"zoe"}"#);
    let records = format!("{PEOPLE}{}{TALK}", format!("{message}\n").repeat(5000));
    // It comes in between two looks of the check, between the check and what is written, and between two steps of that.
    for moment in 0..3 {
        on_every_engine(|world| {
            load(world, &people).unwrap();
            let other = world.later(0);
            let mut stages = 0;
            let mut first = None;
            let second = load_by(&world.app, records.as_bytes(), false, &mut |stage| {
                if !matches!(stage, Stage::Hashing(..)) {
                    if stages == moment {
                        first = Some(load_by(&other, records.as_bytes(), false, &mut |_| {}).unwrap());
                    }
                    stages += 1;
                }
            });
            let (first, second) = (first.expect("so many stages"), second.unwrap());
            let created = [first.created, second.created].map(Tally::total);
            assert_eq!(created.iter().sum::<u64>(), 5010, "{first:?} {second:?}");
            assert_eq!((first.skipped, second.skipped), (created[1], created[0]));
            assert_eq!(created[1] > 0, moment == 2, "{second:?}");
            let team = world.app.read(|tx| service::conversations::show(tx, &operator(), &"team".parse().unwrap()));
            assert_eq!(team.unwrap().message_count, 5002);
            assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        });
    }
}

#[test]
fn a_conversation_whose_load_was_broken_off_begins_with_its_first_message_all_the_same() {
    on_every_engine(|world| {
        load(world, PEOPLE).unwrap();
        load(world, &format!("{PEOPLE}{TALK}")).unwrap();
        let team =
            world.app.read(|tx| service::conversations::show(tx, &operator(), &"team".parse().unwrap())).unwrap();
        assert_eq!(team.created_at.to_string(), "2020-01-01T09:00:00.000000Z");
    });
}

#[test]
fn what_differs_from_what_is_there_is_a_conflict_and_changes_nothing() {
    on_every_engine(|world| {
        load(world, &format!("{PEOPLE}{TALK}")).unwrap();
        let records = r#"{"type":"user","username":"new"}
{"type":"user","username":"BOB"}
{"type":"user","username":"cyd","email":"BOB@example.org"}
{"type":"user","username":"ann","role":"admin","first_name":"Ann"}
{"type":"conversation","name":"TEAM","participants":["ann","bob"]}
{"type":"message","conversation":"team","sender":"ann","content":"ho","key":"m1"}
{"type":"message","conversation":"team","sender":"ann","content":"number","number":2}
"#;
        let problems = load(world, records).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|(line, kind, _)| (*line, *kind)).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7].map(|line| (line, Kind::Conflict)), "{problems:?}");
        assert!(problems[2].2.contains("first_name, role"), "{problems:?}");
        assert_eq!(world.app.read(tidings::store::users::count).unwrap(), 3);
    });
}

#[test]
fn every_problem_of_a_file_is_named_with_its_line() {
    on_every_engine(|world| {
        let records = r#"{"type":"user","username":"ann"}
{"type":"user","username":"Ann","email":"ann@example.org"}
{"type":"usr","username":"bob"}
{"type":"user","username":"bob","nick":"b"}
{"type":"user","username":"a b"}

{"type":"user","username":"bob","created_at":"10000-01-01T00:00:00Z"}
{"type":"user","username":"eve","password":"short"}
{"type":"user","username":"joe","password_hash":"md5"}
{"type":"conversation","name":"team","participants":["ann","nobody"]}
{"type":"conversation","name":"two words","participants":["ann","eve"]}
{"type":"conversation","name":"room","participants":["ann","eve"]}
{"type":"message","conversation":"room","sender":"ann","content":"a","key":"a","reply_to":"b"}
{"type":"message","conversation":"room","sender":"ann","content":"b","key":"b","reply_to":"a"}
{"type":"message","conversation":"room","sender":"ann","content":"c","key":"c","reply_to":"c"}
{"type":"message","conversation":"room","sender":"ann","content":"d","key":"d","reply_to":"gone"}
{"type":"message","conversation":"room","sender":"ann","content":" "}
{"type":"message","conversation":"room","content":"from nobody"}
{"type":"message","conversation":"room","deleted":true}
{"type":"message","conversation":"elsewhere","sender":"ann","content":"x"}
{"type":"message","conversation":"room","sender":"ann","content":"x","revisions":[{"revision":2,"content":"y"},{"revision":1,"content":"z"}]}
{"type":"message","conversation":"room","sender":"ann","content":"x","number":0}
{"type":"notification","user":"ann","message":"b"}
{"type":"notification","user":"joe","message":"b"}
{"type":"message","conversation":"room","sender":"ann","content":"x","number":7}
{"type":"message","conversation":"room","sender":"ann","content":"y","number":7}
"type"
{"type":"message","conversation":"room"
"#;
        let problems = load(world, records).unwrap_err();
        let said: Vec<String> = problems.into_iter().map(|(line, _, detail)| format!("{line}: {detail}")).collect();
        insta::allow_duplicates! { insta::assert_snapshot!(said.join("\n"), @r#"
        2: The username “Ann”, whatever its case, is on line 1 already.
        3: This is not a record: unknown word `usr`, expected one of `user`, `conversation`, `message`, `notification`.
        4: This is not a record: unknown field `nick`, expected one of `user_id`, `username`, `email`, `first_name`, `last_name`, `role`, `is_active`, `created_at`, `password`, `password_hash`.
        5: The username holds white space or a control character.
        7: This is not a record: “10000-01-01T00:00:00Z” is not a time like 2026-01-01T09:00:00Z, years 1 to 9999.
        8: The password is too short; it needs at least 8 characters.
        9: That is neither an argon2 hash in PHC form ($argon2id$v=19$…) nor one of Django's (pbkdf2_sha256$…), of usual cost.
        10: There is no user “nobody” in the database or in earlier records.
        10: A conversation needs at least two people; name everybody who takes part.
        11: The name of a conversation is 1 to 64 of the characters A–Z a–z 0–9 . _ -
        13: It refers to “b”, which comes later (line 14): a message stands before what refers to it, so none replies to itself, directly or by others.
        15: It replies to itself.
        16: There is no message “gone” in the database or in earlier records.
        17: The message is blank.
        18: The message has no sender.
        19: The message was deleted, but no reply follows that would keep its place.
        20: There is no conversation “elsewhere” in the database or in earlier records.
        21: The revisions do not count up from 1.
        22: The number of a message is 1 to 9007199254740991.
        23: “ann” sent the message, and is not notified.
        24: “joe” does not take part in the conversation, and is not notified.
        25: A message with the number 7 is on line 19 already.
        26: A message with the number 7 is on line 19 already.
        27: This is not a record: invalid type: string "type", expected an object with a `type`.
        28: This is not JSON: the line ends in the middle of it (column 39).
        "#); }
        assert_eq!(world.app.read(tidings::store::users::count).unwrap(), 0);
    });
}

#[test]
fn a_line_that_is_no_utf_8_and_one_far_down_are_found() {
    on_every_engine(|world| {
        let mut many = b"{\"type\":\"user\",\"username\":\"ann\"}\n".to_vec();
        many.extend(b"\n".repeat(69_998));
        many.extend(b"{\"type\":\"user\",\"username\":\"\xFF\"}\n{\"type\":");
        let problems = load_bytes(world, &many, false).unwrap_err();
        assert_eq!(problems.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [70_000, 70_001], "{problems:?}");
        assert!(problems[0].2.contains("not UTF-8 from byte 28 on"), "{problems:?}");
        assert_eq!(load(world, "\n \n").unwrap(), Loaded::default(), "a dump of nothing is an empty file");
        let cut = "{\"type\":\"user\",\"username\":\"an\r\n{\"type\":\"user\",\"username\":\"ann\"}\n";
        let problems = load(world, cut).unwrap_err();
        let said = "This is not JSON: the line ends in the middle of it (column 29).";
        assert_eq!((problems.len(), problems[0].0, problems[0].2.as_str()), (1, 1, said));
    });
}

#[test]
fn a_load_notifies_those_whom_messages_concern_if_asked_to() {
    on_every_engine(|world| {
        let talk: String =
            TALK.lines().filter(|line| line.contains("\"message\",\"conv")).collect::<Vec<_>>().join("\n");
        let loaded = load_with(world, &format!("{PEOPLE}{talk}"), true).unwrap();
        assert_eq!(loaded.created, created(3, 2, 3, 4));
        let ann = world.app.read(|tx| service::acting(tx, &"ann".parse().unwrap())).unwrap();
        let expected = [("message".to_owned(), 1, false), ("reply".to_owned(), 2, false)];
        assert_eq!(world.notifications(&ann), expected);
        let problems = load_with(world, TALK, true).unwrap_err();
        assert_eq!(problems.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [4, 5], "{problems:?}");
    });
}

#[test]
fn a_notification_without_a_kind_is_what_sending_would_have_made_it() {
    on_every_engine(|world| {
        load(world, &format!("{PEOPLE}{TALK}")).unwrap();
        let of = |name: &str| world.app.read(|tx| service::user(tx, &operator(), &name.parse().unwrap())).unwrap();
        let eve = tidings::model::Actor::User(of("eve"));
        assert_eq!(world.notifications(&eve), [("mention".to_owned(), 2, false)]);
    });
}

#[test]
fn what_is_packed_is_unpacked_and_what_was_made_to_fill_the_disk_is_refused() {
    use flate2::{Compression, write::GzEncoder};
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    on_every_engine(|world| {
        // In two pieces each, as those who append to a file make it.
        let packed = [gzip(PEOPLE.as_bytes()), gzip(TALK.as_bytes())].concat();
        assert_eq!(load_bytes(world, &packed, false).unwrap().created, created(3, 2, 3, 2));
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
        let packed = [zstd(PEOPLE.as_bytes()), zstd(TALK.as_bytes())].concat();
        assert_eq!(load_bytes(world, &packed, false).unwrap().skipped, 10);

        let cut = &packed[..packed.len() - 5];
        assert!(load_bytes(world, cut, false).unwrap_err()[0].2.starts_with("It cannot be read any further"));
        let one_line = gzip(&vec![b'a'; 33 << 20]);
        let problems = load_bytes(world, &one_line, false).unwrap_err();
        assert_eq!(problems[0].2, "It cannot be read any further: the line is longer than 32 MiB.");
        let mut line = vec![b' '; (1 << 20) - 1];
        line.push(b'\n');
        let many_lines = gzip(&line.repeat(80));
        let problems = load_bytes(world, &many_lines, false).unwrap_err();
        assert!(problems[0].2.contains("unpacks to more than 250 times its size"), "{problems:?}");
    });
}

#[test]
fn the_id_of_a_user_tells_nothing_but_the_username() {
    on_every_engine(|world| {
        let id = |name: &str| {
            world.app.read(|tx| service::user(tx, &operator(), &name.parse().unwrap())).unwrap().person.user_id
        };
        let secrets = r#"{"type":"user","username":"Ann","email":"ann@example.org","password":"correct horse 7"}"#;
        load(world, secrets).unwrap();
        let first = id("ann");
        // Whoever had the username before keeps the id.
        world
            .execute("UPDATE account SET username = 'was', username_folded = 'was', email = NULL, email_folded = NULL");
        load(world, secrets).unwrap();
        assert_ne!(id("ann"), first);
        world.execute("DELETE FROM account");
        load(world, r#"{"type":"user","username":"ann"}"#).unwrap();
        assert_eq!(id("ann"), first);
        world.execute("DELETE FROM account");
        let fixture = "- {type: user, username: ANN, password: another good one, email: other@example.org}";
        super::apply::apply_files(world, &[("a.yaml", fixture)], tidings::transfer::apply::Options::default(), false)
            .unwrap();
        assert_eq!(id("ann"), first);
        let again = format!("{secrets}\n{}", secrets.replace('7', "8"));
        let problems = load(world, &again).unwrap_err();
        assert!(problems.iter().any(|(line, ..)| *line == 2), "another password is another record: {problems:?}");
    });
}
