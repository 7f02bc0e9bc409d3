//! Dumps: what stands in them, in what order, and what a part of one holds.

mod parts;
mod pseudonyms;

use std::io;

use insta::assert_snapshot;
use tidings::model::{Actor, Level, MessageSelector, Role, UserDetails, UserSelector};
use tidings::service::conversations::{self, NewConversation};
use tidings::service::messages::{self, Destination, Draft, MessageEdit};
use tidings::service::notifications;
use tidings::service::users::{self, NewUser};
use tidings::service::{self, accounts};
use tidings::store::Location;
use tidings::transfer::dump::{Request, dump};
use tidings::transfer::records::Record;
use tidings::transfer::{Interruption, Tally};

use crate::assert_refused;
use crate::support::{World, draft, new_user, on_every_engine, operator, place, selector};

/// A dump as text
pub(super) fn text(world: &World, request: &Request) -> String {
    let mut lines = Vec::new();
    let dumped = world.app.read(|tx| Ok(dump(tx, &operator(), request, &mut lines, &mut |_, _| {})));
    let counts = dumped.unwrap().unwrap();
    let text = String::from_utf8(lines).unwrap();
    assert_eq!(counts, counted(&text));
    text
}

pub(super) fn records(text: &str) -> Vec<Record> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn counted(text: &str) -> Tally {
    let mut counts = Tally::default();
    for record in records(text) {
        match record {
            Record::User(_) => counts.users += 1,
            Record::Conversation(_) => counts.conversations += 1,
            Record::Message(_) => counts.messages += 1,
            Record::Notification(_) => counts.notifications += 1,
        }
    }
    counts
}

fn named(text: &str) -> MessageSelector {
    text.parse().unwrap()
}

fn edit(world: &World, editor: &Actor, message: &str, content: &str, reason: Option<&str>) {
    let change = MessageEdit { content: content.to_owned(), reason: reason.map(ToOwned::to_owned), if_revision: None };
    world.app.write(|tx| messages::edit(tx, editor, &named(message), &change)).unwrap();
}

/// A world with everything in it: Ann, Bob, Eve, somebody with an odd name, and traces of Gil, who is gone
pub(super) fn build(world: &World) {
    let details = UserDetails {
        username: "ann".to_owned(),
        email: Some("ann@example.net".to_owned()),
        first_name: "Annabel".to_owned(),
        last_name: "Ångström".to_owned(),
        role: Role::Admin,
    };
    let new = NewUser { details, password_hash: None, if_not_exists: false };
    let ann = Actor::User(world.app.write(|tx| users::create(tx, &operator(), &new)).unwrap().0);
    let [bob, eve, gil, odd] = ["Bob", "eve", "gil", "[[mandrix]]"].map(|name| world.user(name));
    world.app.write(|tx| users::set_active(tx, &operator(), &selector(&odd), false)).unwrap();
    world.app.write(|tx| users::create(tx, &operator(), &new_user("alone", Role::User))).unwrap();

    world.group("team", &ann, &[&bob, &eve, &gil]);
    world.level(&bob, "team", Level::Mentions);
    let new = NewConversation {
        participants: vec![selector(&eve), selector(&odd), selector(&bob)],
        title: Some("Quarterly “Budget”".to_owned()),
        ..NewConversation::default()
    };
    world.app.write(|tx| conversations::create(tx, &operator(), &new)).unwrap();

    let root = world.send(&ann, "team", "Harbour at noon, @bob?\n\tcall 0151-2345");
    let gone = world.reply(&gil, "team", &root, "said by Gil");
    let last = world.reply(&eve, "team", &gone, "Harbour it is, @[[mandrix]] and @nobody");
    world.reply(&bob, "team", &last, "fine");
    let for_eve = Draft { receiver: Some(selector(&eve)), ..draft("team", "zanzibar for you") };
    world.app.write(|tx| messages::send(tx, &ann, &for_eve)).unwrap();
    let direct = Draft { destination: Destination::User(selector(&bob)), ..draft("", "between us") };
    world.app.write(|tx| messages::send(tx, &ann, &direct)).unwrap();
    for content in ["harbour at one", "harbour at two", "Harbour at three"] {
        edit(world, &ann, "team#1", content, None);
    }
    edit(world, &operator(), "team#1", "HARBOUR at four", Some("a complaint"));
    edit(world, &bob, "team#4", "fine by me, @Eve", Some("typing error"));
    world.level(&eve, "team", Level::None);

    world
        .app
        .write(|tx| {
            let owner = notifications::owner(tx, &bob, None)?;
            notifications::set_read(tx, &bob, &owner, &[named("team#1")], true)?;
            accounts::delete(tx, &operator(), &[selector(&gil)])
        })
        .unwrap();
    // A revision goes with the account of whoever wrote it; the key is that of a record that was loaded.
    world.execute(
        "DELETE FROM revision WHERE revision = 2;
         UPDATE account SET password_hash = '$argon2id$secret' WHERE username = 'ann';
         UPDATE message SET key_name = 'first' WHERE number = 1 AND conversation_key = 1;
         UPDATE message SET sent_at = sent_at + key * 1000000;
         UPDATE conversation SET active_at = active_at + 60000000",
    );
}

#[test]
fn every_field_of_every_record_is_dumped_in_order() {
    on_every_engine(|world| {
        build(world);
        insta::allow_duplicates! { assert_snapshot!(text(world, &Request::default()), @r#"
        {"type":"user","user_id":"019b78c9-0a80-7398-89bc-6d63798b4571","username":"ann","email":"ann@example.net","first_name":"Annabel","last_name":"Ångström","role":"admin","is_active":true,"created_at":"2026-01-01T09:00:00.000000Z","password_hash":"$argon2id$secret"}
        {"type":"user","user_id":"019b78c9-0a80-73dd-ac58-f4b546018d9a","username":"Bob","email":null,"first_name":"","last_name":"","role":"user","is_active":true,"created_at":"2026-01-01T09:00:00.000000Z","password_hash":null}
        {"type":"user","user_id":"019b78c9-0a80-7e20-8d92-8f4200e39ec3","username":"eve","email":null,"first_name":"","last_name":"","role":"user","is_active":true,"created_at":"2026-01-01T09:00:00.000000Z","password_hash":null}
        {"type":"user","user_id":"019b78c9-0a80-7930-ac9a-1d487d21c9db","username":"[[mandrix]]","email":null,"first_name":"","last_name":"","role":"user","is_active":false,"created_at":"2026-01-01T09:00:00.000000Z","password_hash":null}
        {"type":"user","user_id":"019b78c9-0a80-70ac-91f3-2b58a58ec97a","username":"alone","email":null,"first_name":"","last_name":"","role":"user","is_active":true,"created_at":"2026-01-01T09:00:00.000000Z","password_hash":null}
        {"type":"conversation","conversation_id":"019b78c9-0a80-7463-aad7-a454127dadd3","kind":"group","name":"team","title":null,"creator":"ann","participants":["ann",{"user":"Bob","level":"mentions"},{"user":"eve","level":"none"}],"created_at":"2026-01-01T09:00:00.000000Z","active_at":"2026-01-01T09:01:00.000000Z","last_number":5}
        {"type":"conversation","conversation_id":"019b78c9-0a80-7e32-ad7b-03c0facc7bf9","kind":"group","name":null,"title":"Quarterly “Budget”","creator":null,"participants":["Bob","eve","[[mandrix]]"],"created_at":"2026-01-01T09:00:00.000000Z","active_at":"2026-01-01T09:01:00.000000Z","last_number":0}
        {"type":"conversation","conversation_id":"019b78c9-0a80-7b7e-8c6c-aecda9854142","kind":"direct","name":null,"title":null,"creator":"ann","participants":["ann","Bob"],"created_at":"2026-01-01T09:00:00.000000Z","active_at":"2026-01-01T09:01:00.000000Z","last_number":1}
        {"type":"message","message_id":"019b78c9-0a80-7668-80fe-c4ff50e5917d","key":"first","conversation":"team","number":1,"sender":"ann","receiver":null,"reply_to":null,"timestamp":"2026-01-01T09:00:01.000000Z","content":"HARBOUR at four","revision":5,"deleted":false,"revisions":[{"revision":1,"content":"Harbour at noon, @bob?\n\tcall 0151-2345","edited_at":"2026-01-01T09:00:00.000000Z","edited_by":"ann","reason":null},{"revision":3,"content":"harbour at two","edited_at":"2026-01-01T09:00:00.000000Z","edited_by":"ann","reason":null},{"revision":4,"content":"Harbour at three","edited_at":"2026-01-01T09:00:00.000000Z","edited_by":null,"reason":"a complaint"}]}
        {"type":"message","message_id":"019b78c9-0a80-7444-9fee-115e1d6bfd03","key":null,"conversation":"team","number":2,"sender":null,"receiver":null,"reply_to":"019b78c9-0a80-7668-80fe-c4ff50e5917d","timestamp":"2026-01-01T09:00:02.000000Z","content":"","revision":1,"deleted":true,"revisions":[]}
        {"type":"message","message_id":"019b78c9-0a80-710b-a466-647924ff083a","key":null,"conversation":"team","number":3,"sender":"eve","receiver":null,"reply_to":"019b78c9-0a80-7444-9fee-115e1d6bfd03","timestamp":"2026-01-01T09:00:03.000000Z","content":"Harbour it is, @[[mandrix]] and @nobody","revision":1,"deleted":false,"revisions":[]}
        {"type":"message","message_id":"019b78c9-0a80-701b-bf93-068daa9bdc88","key":null,"conversation":"team","number":4,"sender":"Bob","receiver":null,"reply_to":"019b78c9-0a80-710b-a466-647924ff083a","timestamp":"2026-01-01T09:00:04.000000Z","content":"fine by me, @Eve","revision":2,"deleted":false,"revisions":[{"revision":1,"content":"fine","edited_at":"2026-01-01T09:00:00.000000Z","edited_by":"Bob","reason":"typing error"}]}
        {"type":"message","message_id":"019b78c9-0a80-784e-af0e-22fa9438674c","key":null,"conversation":"team","number":5,"sender":"ann","receiver":"eve","reply_to":null,"timestamp":"2026-01-01T09:00:05.000000Z","content":"zanzibar for you","revision":1,"deleted":false,"revisions":[]}
        {"type":"message","message_id":"019b78c9-0a80-79e9-ac58-be7fed5cf74b","key":null,"conversation":"019b78c9-0a80-7b7e-8c6c-aecda9854142","number":1,"sender":"ann","receiver":"Bob","reply_to":null,"timestamp":"2026-01-01T09:00:06.000000Z","content":"between us","revision":1,"deleted":false,"revisions":[]}
        {"type":"notification","user":"Bob","message":"019b78c9-0a80-7668-80fe-c4ff50e5917d","kind":"mention","is_read":true}
        {"type":"notification","user":"eve","message":"019b78c9-0a80-7668-80fe-c4ff50e5917d","kind":"message","is_read":false}
        {"type":"notification","user":"ann","message":"019b78c9-0a80-710b-a466-647924ff083a","kind":"message","is_read":false}
        {"type":"notification","user":"ann","message":"019b78c9-0a80-701b-bf93-068daa9bdc88","kind":"message","is_read":false}
        {"type":"notification","user":"eve","message":"019b78c9-0a80-701b-bf93-068daa9bdc88","kind":"mention","is_read":false}
        {"type":"notification","user":"eve","message":"019b78c9-0a80-784e-af0e-22fa9438674c","kind":"message","is_read":false}
        {"type":"notification","user":"Bob","message":"019b78c9-0a80-79e9-ac58-be7fed5cf74b","kind":"message","is_read":false}
        "#); }
        assert!(world.app.check(|_| {}).unwrap().is_empty());
    });
}

/// A group of that many people, and that many messages of two bytes more than `length`, each for one of them
pub(super) fn crowd(world: &World, people: usize, messages: usize, length: usize) {
    let [ann, bob] = [world.user("ann"), world.user("bob")];
    world.group("crowd", &ann, &[&bob]);
    let id = match &world.location {
        Location::Sqlite(_) => "randomblob(16)",
        Location::Postgres(_) => "gen_random_uuid()",
    };
    let text = "x".repeat(length);
    world.execute(&format!(
        "INSERT INTO account (id, username, username_folded, first_name, last_name, names_folded, role, created_at)
             WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < {people})
             SELECT {id}, 'u' || i, 'u' || i, '', '', 'u' || i, 0, i FROM n;
         INSERT INTO participant (conversation_key, user_key) SELECT 1, key FROM account WHERE key > 2;
         INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {messages})
             SELECT {id}, 1, i, 1, '{text}' || (i % 90 + 10), 1767258000000000 + i FROM n;
         INSERT INTO notification (message_key, user_key, conversation_key, kind) SELECT key, 2, 1, 0 FROM message;
         UPDATE conversation SET last_number = {messages}, message_count = {messages}, active_at = active_at + 90000000"
    ));
}

/// What each line is, and how many of a kind follow each other
fn runs(text: &str) -> Vec<(char, usize)> {
    let kinds: Vec<char> = text.lines().map(|line| line.chars().nth(9).unwrap()).collect();
    kinds.chunk_by(|one, other| one == other).map(|run| (run[0], run.len())).collect()
}

#[test]
fn each_page_of_messages_is_followed_by_its_notifications() {
    on_every_engine(|world| {
        crowd(world, 3, 2500, 1);
        let dumped = text(world, &Request::default());
        let paged = [('u', 3), ('c', 1), ('m', 1000), ('n', 1000), ('m', 1000), ('n', 1000), ('m', 500), ('n', 500)];
        assert_eq!(runs(&dumped), paged);
        // What is left out of a part moves what comes behind it into its place.
        world.execute("DELETE FROM notification WHERE message_key = 7; DELETE FROM message WHERE key = 7");
        let rest = text(world, &Request::default());
        assert_eq!(runs(&rest)[2..6], [('m', 1000), ('n', 1000), ('m', 1000), ('n', 1000)]);
        let all = Request { conversations: vec![place("crowd")], ..Request::default() };
        assert_eq!(text(world, &all), rest);
    });
}

#[test]
fn long_messages_make_short_pages() {
    on_every_engine(|world| {
        crowd(world, 3, 40, 65_534);
        let paged = [('m', 16), ('n', 16), ('m', 16), ('n', 16), ('m', 8), ('n', 8)];
        assert_eq!(runs(&text(world, &Request::default()))[2..], paged);
    });
}

#[test]
fn what_is_too_much_for_one_statement_is_read_in_several() {
    on_every_engine(|world| {
        crowd(world, 6000, 2, 1);
        world.execute(
            "INSERT INTO notification (message_key, user_key, conversation_key, kind)
                 SELECT message.key, account.key, 1, 0 FROM message, account WHERE account.key > 2;
             INSERT INTO revision (message_key, revision, content, edited_at, editor_key, by_operator)
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700)
                 SELECT message.key, i, 'old ' || i, i, 1, FALSE FROM message, n;
             UPDATE message SET revision = 701",
        );
        let dumped = records(&text(world, &Request::default()));
        let revisions = dumped.iter().filter_map(|record| match record {
            Record::Message(message) => Some(message.revisions.iter().filter_map(|earlier| earlier.revision).collect()),
            _ => None,
        });
        assert_eq!(revisions.collect::<Vec<Vec<i64>>>(), vec![(1..=700).collect::<Vec<i64>>(); 2]);
        let notified: Vec<_> = dumped
            .iter()
            .filter_map(|record| match record {
                Record::Notification(found) => Some((found.message.clone(), found.user.clone())),
                _ => None,
            })
            .collect();
        assert_eq!(notified.len(), 2 * 5999);
        let (first, second) = notified.split_at(5999);
        assert!(first.iter().all(|(message, _)| *message == first[0].0) && first[0].0 != second[0].0);
        let users = |half: &[(String, String)]| half.iter().map(|(_, user)| user.clone()).collect::<Vec<_>>();
        assert_eq!(users(first), users(second));
    });
}

/// A reader who sends a message as soon as there is something to read
struct Meddler<'w>(&'w World, Vec<u8>);

impl io::Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let app = self.0.later(100);
        let sent = app.write(|tx| {
            let ann = service::acting(tx, &UserSelector::from("ann".to_owned()))?;
            messages::send(tx, &ann, &draft("crowd", "meanwhile"))
        });
        sent.unwrap();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_dump_is_of_one_moment() {
    on_every_engine(|world| {
        crowd(world, 3, 2500, 1);
        let before = text(world, &Request::default());
        let mut reader = Meddler(world, Vec::new());
        world
            .app
            .read(|tx| Ok(dump(tx, &operator(), &Request::default(), &mut reader, &mut |_, _| {})))
            .unwrap()
            .unwrap();
        assert_eq!(String::from_utf8(reader.1).unwrap(), before);
        assert!(text(world, &Request::default()).contains("meanwhile"));
    });
}

#[test]
fn a_reader_who_goes_away_ends_a_dump() {
    on_every_engine(|world| {
        build(world);
        let mut nobody: &mut [u8] = &mut [0; 100];
        let dumped = world.app.read(|tx| Ok(dump(tx, &operator(), &Request::default(), &mut nobody, &mut |_, _| {})));
        assert!(matches!(dumped, Ok(Err(Interruption::Unwritten(_)))));
    });
}

#[test]
fn who_or_what_is_not_there_cannot_be_dumped() {
    on_every_engine(|world| {
        build(world);
        for request in [
            Request { users: vec![UserSelector::from("gil".to_owned())], ..Request::default() },
            Request { conversations: vec![place("teem")], ..Request::default() },
        ] {
            let dumped = world.app.read(|tx| Ok(dump(tx, &operator(), &request, &mut io::sink(), &mut |_, _| {})));
            let Ok(Err(Interruption::Refused(error))) = dumped else { panic!("{dumped:?}") };
            assert_refused!(Err::<(), _>(error), NotFound);
        }
    });
}
