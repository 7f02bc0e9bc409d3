//! Whatever a file says, there are two ends: it is refused and nothing is written, or all of it is there.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tidings::transfer::Tally;
use tidings::transfer::dump::Request;

use super::dump::text;
use super::load::load;
use crate::support::on_every_engine;

const PEOPLE: [&str; 4] = ["ann", "bob", "eve", "joe"];

/// What the records begin with: enough that many of those that follow are valid
const GROUND: &str = r#"{"type":"user","username":"ann"}
{"type":"user","username":"bob","email":"bob@example.org"}
{"type":"user","username":"eve","is_active":false}
{"type":"conversation","name":"team","participants":["ann","bob","eve"]}
{"type":"conversation","participants":["ann","bob"]}
{"type":"message","key":"k0","conversation":"team","sender":"ann","content":"hello @bob","timestamp":"2020-01-01T09:00:00Z"}
"#;

/// A word of `good`, or sometimes one of `odd`
fn word(good: &'static [&'static str], odd: &'static [&'static str]) -> BoxedStrategy<&'static str> {
    prop_oneof![25 => prop::sample::select(good), 1 => prop::sample::select(odd)].boxed()
}

fn person() -> BoxedStrategy<&'static str> {
    word(&["ann", "bob", "ANN"], &["eve", "joe", "bob@example.org", "", "nobody", "a b", "\\u0000", "\\ud800"])
}

fn time() -> BoxedStrategy<&'static str> {
    word(
        &["null", "\"2020-01-01T09:00:00Z\"", "\"2019-01-01T00:00:00.000001Z\"", "\"2025-06-01T12:00:00+02:00\""],
        &["\"0001-01-01T00:00:00Z\"", "\"9999-12-31T23:59:59.999999Z\"", "\"10000-01-01T00:00:00Z\"", "\"noon\"", "0"],
    )
}

fn number() -> BoxedStrategy<&'static str> {
    word(&["null", "null", "null", "5", "9"], &["0", "-1", "9223372036854775807", "9223372036854775808", "1.5", "1"])
}

fn user() -> BoxedStrategy<String> {
    let id = word(&["null", "\"019b78c9-0a80-7398-89bc-6d63798b4571\""], &["\"\"", "7"]);
    (
        prop::sample::select(&PEOPLE),
        word(&["null", "\"joe@example.org\""], &["\"bob@example.org\"", "\"x\""]),
        id,
        time(),
    )
        .prop_map(|(name, email, id, time)| match name {
            "joe" => {
                format!(r#"{{"type":"user","username":"joe","email":{email},"user_id":{id},"created_at":{time}}}"#)
            }
            name => format!(r#"{{"type":"user","username":"{name}"}}"#),
        })
        .boxed()
}

fn conversation() -> BoxedStrategy<String> {
    let name = word(&["\"room\"", "\"hall\"", "\"hall\"", "null"], &["\"team\"", "\"two words\"", "\"\""]);
    let level = word(&["all", "mentions", "none"], &["some"]);
    (name, vec(person(), 0..3), level, number())
        .prop_map(|(name, people, level, last)| {
            let others: Vec<String> = people.iter().map(|name| format!(",\"{name}\"")).collect();
            format!(
                r#"{{"type":"conversation","name":{name},"last_number":{last},"participants":[{{"user":"eve","level":"{level}"}},"ann"{}]}}"#,
                others.join("")
            )
        })
        .boxed()
}

fn message() -> BoxedStrategy<String> {
    let key = word(&["null", "\"k1\"", "\"k2\"", "\"k3\"", "\"k4\""], &["\"k0\"", "\"\""]);
    let place = word(&["team", "team", "TEAM", "@bob"], &["room", "nowhere", "@ann", "@@", ""]);
    let reply = word(&["null", "null", "\"k0\""], &["\"k1\"", "\"k3\"", "\"gone\""]);
    let text = word(&["hi", "@bob and @eve", "ä\\n\\tb"], &["", " ", "\\u0000", "\\ud800"]);
    let rest = word(
        &["", "", r#","revisions":[{"content":"old"}]"#, r#","receiver":"eve""#],
        &[
            r#","deleted":true"#,
            r#","revision":0"#,
            r#","revision":9223372036854775807"#,
            r#","revisions":[{"revision":9223372036854775807,"content":"a"},{"content":"b"}]"#,
            r#","revisions":[{"content":""}]"#,
            r#","conversation":"team""#,
        ],
    );
    let sender = prop_oneof![Just("\"ann\""), Just("\"ann\""), Just("\"bob\""), Just("null")];
    ((key, place, reply, text), (rest, sender, time(), number()))
        .prop_map(|((key, place, reply, text), (rest, sender, time, number))| {
            let sender = if place == "@bob" { "\"ann\"" } else { sender };
            let deleted = if sender == "null" { ",\"deleted\":true" } else { "" };
            let text = if sender == "null" { "" } else { text };
            format!(
                r#"{{"type":"message","key":{key},"conversation":"{place}","sender":{sender},"reply_to":{reply},"timestamp":{time},"number":{number},"content":"{text}"{rest}{deleted}}}"#
            )
        })
        .boxed()
}

fn notification() -> BoxedStrategy<String> {
    let message = word(&["k0"], &["k1", "k2", "gone"]);
    let kind = word(&["null", "\"mention\"", "\"message\"", "\"reply\""], &["\"shout\""]);
    (word(&["bob", "eve"], &["ann", "joe"]), message, kind, any::<bool>())
        .prop_map(|(user, message, kind, is_read)| {
            format!(
                r#"{{"type":"notification","user":"{user}","message":"{message}","kind":{kind},"is_read":{is_read}}}"#
            )
        })
        .boxed()
}

/// A file: the ground, or sometimes none, and records, with something broken in few
fn file() -> impl Strategy<Value = (String, String)> {
    let broken = prop::sample::select(vec!["{", "[]", "null", "", "{\"type\":\"user\"}", "\u{FEFF}{}", "{\"type\":1}"]);
    let record = prop_oneof![
        8 => user(), 8 => conversation(), 24 => message(), 8 => notification(), 1 => broken.prop_map(ToOwned::to_owned)
    ];
    (vec(record, 0..10), prop::bool::weighted(0.3), prop::bool::weighted(0.95)).prop_map(
        |(records, is_apart, is_grounded)| {
            let records = records.join("\n");
            match (is_grounded, is_apart) {
                (true, true) => (GROUND.to_owned(), records),
                (true, false) => (String::new(), format!("{GROUND}{records}")),
                (false, _) => (String::new(), records),
            }
        },
    )
}

#[test]
fn a_file_is_refused_and_nothing_is_written_or_all_of_it_is_there_and_sound() {
    on_every_engine(|world| {
        let cases = if matches!(world.location, tidings::store::Location::Sqlite(_)) { 150 } else { 60 };
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let (accepted, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let outcome = TestRunner::new(config).run(&file(), |(there, file)| {
            empty(world);
            if !there.is_empty() {
                load(world, &there).unwrap();
            }
            let before = text(world, &Request::default());
            match load(world, &file) {
                Err(problems) => {
                    refused.set(refused.get() + 1);
                    prop_assert!(!problems.is_empty());
                    prop_assert!(
                        problems.iter().all(|(line, _, detail)| *line > 0 && detail.ends_with(['.', '-'])),
                        "{:?}",
                        problems
                    );
                    prop_assert_eq!(text(world, &Request::default()), before);
                }
                Ok(loaded) => {
                    accepted.set(accepted.get() + 1);
                    let lines = file.lines().filter(|line| !line.trim().is_empty()).count() as u64;
                    prop_assert_eq!(loaded.created.total() + loaded.skipped, lines);
                    // By a connection of its own, as `db check` has: FTS5 holds the index against what a connection knew of it
                    // before `empty` changed it through another.
                    let found = world.later(0).check(|_| {}).unwrap();
                    prop_assert!(found.is_empty(), "{:?}", found);
                    let after = text(world, &Request::default());
                    let new = after.lines().count() - before.lines().count();
                    prop_assert_eq!(loaded.created.total(), new as u64);
                    let again = load(world, &file);
                    prop_assert!(again.is_ok(), "{:?}", again);
                    prop_assert_eq!(again.unwrap().created, Tally::default());
                    prop_assert_eq!(text(world, &Request::default()), after);
                }
            }
            Ok(())
        });
        outcome.unwrap();
        // About a fifth is accepted: of 60, three or fewer less than once in a thousand times.
        assert!(accepted.get() > cases / 20 && refused.get() > cases / 20, "{} {}", accepted.get(), refused.get());
    });
}

/// Makes a database empty again, which is quicker than a new one.
fn empty(world: &crate::support::World) {
    let tables = [
        "event_audience",
        "event",
        "notification",
        "revision",
        "message_search",
        "message",
        "participant",
        "conversation",
        "account",
    ];
    world.execute(&tables.map(|table| format!("DELETE FROM {table};")).join("\n"));
}
