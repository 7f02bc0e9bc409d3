//! Numbers, keys and names that records say or leave out: none is given out twice, and each is refused at its line.

use tidings::transfer::Tally;

use super::load::{load, load_with};
use crate::support::on_every_engine;

const GROUND: &str = r#"{"type":"user","username":"ann"}
{"type":"user","username":"bob"}
{"type":"conversation","name":"team","participants":["ann","bob"]}
"#;

/// A message of ann's in the team, with more fields
fn message(fields: &str) -> String {
    format!(r#"{{"type":"message","conversation":"team","sender":"ann","content":"hi"{fields}}}"#) + "\n"
}

#[test]
fn a_record_that_stands_there_twice_is_loaded_once() {
    on_every_engine(|world| {
        load(world, GROUND).unwrap();
        let twice = message(r#","key":"k""#).repeat(2);
        let loaded = load(world, &twice).unwrap();
        assert_eq!((loaded.created, loaded.skipped), (Tally { messages: 1, ..Tally::default() }, 1));
    });
}

#[test]
fn whatever_number_a_record_says_what_is_dumped_later_can_be_loaded() {
    on_every_engine(|world| {
        let highest = (1_i64 << 53) - 1;
        let ground = |last: i64| GROUND.replace("\"name\"", &format!("\"last_number\":{last},\"name\""));
        assert!(load(world, &ground(highest + 1)).unwrap_err()[0].2.contains("The highest number is 0 to"));
        load(world, &ground(highest - 1)).unwrap();
        let ann = world.app.read(|tx| tidings::service::acting(tx, &"ann".parse().unwrap())).unwrap();
        assert_eq!(world.send(&ann, "team", "the last").number.0, highest);
        let draft = crate::support::draft("team", "one too many");
        let refused = world.app.write(|tx| tidings::service::messages::send(tx, &ann, &draft)).unwrap_err();
        assert_eq!(refused.to_string(), "The conversation has no more message numbers; create another.");
        let dumped = super::dump::text(world, &tidings::transfer::dump::Request::default());
        assert_eq!(load(world, &dumped).unwrap().created, Tally::default());
    });
}

#[test]
fn a_date_alone_is_its_first_moment() {
    on_every_engine(|world| {
        load(world, &format!("{GROUND}{}", message(r#","key":"k","timestamp":"2026-01-01""#))).unwrap();
        let dumped = super::dump::text(world, &tidings::transfer::dump::Request::default());
        assert!(dumped.contains("\"timestamp\":\"2026-01-01T00:00:00.000000Z\""), "{dumped}");
    });
}

#[test]
fn what_is_notified_may_stand_in_a_conversation_that_only_the_database_knows() {
    on_every_engine(|world| {
        load(world, &format!("{GROUND}{}", r#"{"type":"user","username":"eve"}"#)).unwrap();
        let notified = |user: &str| {
            message(r#","key":"k""#) + &format!(r#"{{"type":"notification","user":"{user}","message":"k"}}"#)
        };
        let problems = load(world, &notified("eve")).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].2.contains("“eve” does not take part"), "{problems:?}");
        let loaded = load(world, &notified("bob")).unwrap();
        assert_eq!((loaded.created.messages, loaded.created.notifications), (1, 1));
    });
}

#[test]
fn no_number_is_given_out_twice_whether_it_is_said_or_not() {
    on_every_engine(|world| {
        load(world, &format!("{GROUND}{}", message(r#","number":5"#))).unwrap();
        let refused = |records: &[String]| {
            let problems = load(world, &records.concat()).unwrap_err();
            problems.into_iter().map(|(line, _, detail)| format!("{line}: {detail}")).collect::<Vec<_>>().join("\n")
        };
        let next = || message(r#","key":"next""#);
        assert_eq!(
            refused(&[next(), message(r#","number":6"#)]),
            "2: A message with the number 6 is on line 1 already."
        );
        assert_eq!(refused(&[message(r#","number":5,"key":"other""#)]), "1: Another message has the number 5.");
        assert_eq!(
            refused(&[next(), message(r#","number":3,"reply_to":"next""#)]),
            "2: It is number 3, but replies to number 6."
        );
        let top = "9007199254740991";
        assert_eq!(
            refused(&[message(&format!(r#","number":{top}"#)), next()]),
            format!("2: The number of a message is 1 to {top}.")
        );
        for (field, said) in [
            (r#","number":9223372036854775807"#, "The number of a message is"),
            (r#","number":-1"#, "The number of a message is"),
            (r#","revision":9223372036854775807"#, "The revision of a content is"),
            (r#","revision":0"#, "The revision of a content is"),
            (r#","revisions":[{"content":"x","revision":9223372036854775807}]"#, "do not count up from 1"),
            (r#","revision":1,"revisions":[{"content":"x"}]"#, "but there is a revision 1"),
        ] {
            assert!(refused(&[message(field)]).contains(said), "{field}");
        }
        for number in ["-1", "9223372036854775807"] {
            let group = format!(
                r#"{{"type":"conversation","name":"hall","participants":["ann","bob"],"last_number":{number}}}"#
            );
            assert!(refused(&[group]).contains("The highest number is 0 to 9007199254740991."));
        }
        // Below what others have, every number that is free may be said.
        let loaded = load(world, &[message(r#","number":2"#), next(), message(r#","number":9"#)].concat()).unwrap();
        assert_eq!(loaded.created.messages, 3);
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
    });
}

#[test]
fn names_that_cannot_be_are_refused_at_their_line() {
    on_every_engine(|world| {
        load(world, GROUND).unwrap();
        let id = "019b78c9-0a80-7398-89bc-6d63798b4571";
        for (record, said) in [
            (message(&format!(r#","key":"{id}""#)), "A key is not in the form of an id."),
            (message(r#","key":"a\u0000b""#), "A key has 1 to 255 bytes and no NUL."),
            (message(r#","reply_to":"a\u0000b""#), "There is no message"),
            (message(r#","receiver":"a\u0000b""#), "There is no user"),
            (message("").replace("team", r"te\u0000am"), "There is no conversation"),
            (message("").replace("team", "@bob"), "a direct one needs a record too, with its two people"),
            (r#"{"type":"user","username":"a\u0000b"}"#.to_owned(), "white space or a control character"),
            (r#"{"type":"user","username":"eve","email":"a\u0000@b.c"}"#.to_owned(), "email"),
            (r#"{"type":"conversation","name":"a\u0000b","participants":["ann","bob"]}"#.to_owned(), "1 to 64"),
            (r#"{"type":"conversation","participants":["ann","bob","ANN"]}"#.to_owned(), "“ANN” stands twice"),
            (
                r#"{"type":"conversation","name":"x","participants":["ann",{"user":"ann","level":"none"}]}"#.to_owned(),
                "“ann” is listed twice among the participants.",
            ),
            (message(&format!(r#","receiver":"{}""#, "x".repeat(9999))), "x…” in the database or in earlier records."),
        ] {
            let problems = load(world, &record).unwrap_err();
            assert!(problems.iter().any(|(line, _, detail)| *line == 1 && detail.contains(said)), "{problems:?}");
            assert!(problems.iter().all(|(.., detail)| detail.len() < 300), "{problems:?}");
        }
    });
}

#[test]
fn a_message_that_was_deleted_here_is_told_from_one_that_differs() {
    on_every_engine(|world| {
        let parent = message(r#","message_id":"019b78c9-0a80-7398-89bc-6d63798b4571""#);
        let records = format!("{GROUND}{parent}{}", message(r#","reply_to":"019b78c9-0a80-7398-89bc-6d63798b4571""#));
        load(world, &records).unwrap();
        let first = ["team#1".parse().unwrap()];
        world.app.write(|tx| tidings::service::messages::delete(tx, &crate::support::operator(), &first)).unwrap();
        let problems = load(world, &records).unwrap_err();
        let said: Vec<_> = problems.iter().map(|(line, _, detail)| (*line, detail.as_str())).collect();
        assert_eq!(said, [(4, "The message was deleted here; only a tombstone is left.")]);
    });
}

#[test]
fn what_notifies_is_not_counted_as_there_already() {
    on_every_engine(|world| {
        load(world, GROUND).unwrap();
        let loaded = load_with(world, &format!("{GROUND}{}", message("")), true).unwrap();
        assert_eq!((loaded.created.messages, loaded.created.notifications, loaded.skipped), (1, 1, 3));
    });
}

#[test]
fn a_conversation_did_not_begin_after_it_was_active() {
    on_every_engine(|world| {
        let group = r#"{"type":"conversation","name":"old","participants":["ann","bob"],"active_at":"2020-01-01T00:00:00Z"}"#;
        load(world, &format!("{GROUND}{group}")).unwrap();
        let old = world.app.read(|tx| {
            tidings::service::conversations::show(tx, &crate::support::operator(), &"old".parse().unwrap())
        });
        assert_eq!(old.unwrap().created_at.to_string(), "2020-01-01T00:00:00.000000Z");
    });
}
