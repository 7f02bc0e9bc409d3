//! Sessions in a browser: which are valid, how long, and what ends them.

use tidings::app::App;
use tidings::model::Actor;
use tidings::service::login::{self, Client, Verified};
use tidings::service::sessions::{self, CONFIRMED, LIFETIME, MOST, SEEN, Session, UNUSED};
use tidings::service::tokens::{self, Keys, Secret};
use tidings::service::{accounts, export, users};
use tidings::store::Tx;

use super::races::meanwhile;
use super::tokens::ENDS;
use crate::assert_refused;
use crate::support::{NOON, World, account, on_every_engine, operator, selector, texts};

/// Django's of `correct horse 7`
const HASH: &str = "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=";

fn secret(number: u8) -> Secret {
    Secret([number; 32])
}

fn hash(number: u8) -> [u8; 32] {
    secret(number).hash()
}

fn keys() -> Keys {
    Keys::new(b"a secret of the tests", None).unwrap()
}

/// A user with a password
fn with_password(world: &World, name: &str) -> Actor {
    let user = world.user(name);
    world.app.write(|tx| users::set_password(tx, &operator(), &selector(&user), Some(HASH))).unwrap();
    user
}

fn verified(app: &App, name: &str) -> Verified {
    let attempt = app.read(|tx| login::attempt(tx, &keys(), name, Client::Unknown)).unwrap();
    attempt.verify("correct horse 7", [0; 16]).unwrap().unwrap()
}

fn begin(app: &App, name: &str, number: u8) -> Session {
    let verified = verified(app, name);
    app.write(|tx| login::begin_session(tx, &verified, secret(number), "Firefox on Linux")).unwrap()
}

fn find(app: &App, number: u8) -> Option<Session> {
    app.read(|tx| sessions::find(tx, &hash(number))).unwrap()
}

fn is_valid(app: &App, number: u8) -> bool {
    find(app, number).is_some()
}

/// How many rows there are
fn kept(world: &World) -> usize {
    texts(&world.location, "SELECT browser FROM session").len()
}

/// The newest event: its kind, and whose it is
fn newest(world: &World) -> (i64, i64) {
    let event = texts(&world.location, "SELECT kind || ' ' || user_key FROM event ORDER BY key DESC LIMIT 1").remove(0);
    let (kind, user) = event.split_once(' ').unwrap();
    (kind.parse().unwrap(), user.parse().unwrap())
}

#[test]
fn a_session_is_its_users_and_known_by_its_secret_alone_whose_hash_is_kept() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        let session = begin(&world.app, "ann", 1);
        assert_eq!((session.created_at, session.seen_at, session.confirmed_at), (NOON, NOON, NOON));
        assert_eq!(session.browser, "Firefox on Linux");
        let found = find(&world.app, 1).unwrap();
        assert_eq!((found.actor().key(), found.hash), (ann.key(), hash(1)));
        assert!(!is_valid(&world.app, 2));
        assert_refused!(world.app.read(|tx| sessions::acting(tx, &hash(2)).map(drop)), Unauthenticated);
        assert_ne!(secret(1).hash(), secret(1).0);
    });
}

#[test]
fn a_session_lasts_thirty_days_if_it_is_used_and_twelve_hours_if_not() {
    on_every_engine(|world| {
        with_password(world, "ann");
        begin(&world.app, "ann", 1);
        assert!(is_valid(&world.later(UNUSED - 1), 1));
        assert!(!is_valid(&world.later(UNUSED), 1));
        let mut seconds = 0;
        while seconds + UNUSED / 2 < LIFETIME {
            seconds += UNUSED / 2;
            world.later(seconds).write(|tx| sessions::note_use(tx, &hash(1))).unwrap();
        }
        assert!(is_valid(&world.later(LIFETIME - 1), 1));
        assert!(!is_valid(&world.later(LIFETIME), 1));
        // What is over is not begun anew by its use.
        world.later(LIFETIME).write(|tx| sessions::note_use(tx, &hash(1))).unwrap();
        assert!(find(&world.later(LIFETIME - 1), 1).unwrap().seen_at < NOON.plus_seconds(LIFETIME));
    });
}

#[test]
fn the_use_of_a_session_is_written_every_five_minutes_at_most() {
    on_every_engine(|world| {
        with_password(world, "ann");
        begin(&world.app, "ann", 1);
        for (seconds, seen) in [(SEEN - 1, 0), (SEEN, SEEN), (2 * SEEN - 1, SEEN), (2 * SEEN, 2 * SEEN)] {
            let app = world.later(seconds);
            app.write(|tx| sessions::note_use(tx, &hash(1))).unwrap();
            assert_eq!(find(&app, 1).unwrap().seen_at, NOON.plus_seconds(seen), "{seconds}");
        }
    });
}

#[test]
fn a_session_of_a_clock_that_was_ahead_is_not_valid() {
    on_every_engine(|world| {
        with_password(world, "ann");
        for (number, ahead, counts) in [(1, 60, true), (2, 61, false), (3, 10 * 365 * 24 * 60 * 60, false)] {
            begin(&world.later(ahead), "ann", number);
            assert_eq!(is_valid(&world.app, number), counts, "{ahead}");
        }
    });
}

#[test]
fn what_ends_tokens_ends_sessions_and_log_ins_that_were_about_to_begin_one() {
    on_every_engine(|world| {
        with_password(world, "other");
        begin(&world.app, "other", 99);
        for (number, (what, end)) in (1..).zip(ENDS) {
            println!("{what}");
            let name = format!("user{number}");
            let user = selector(&with_password(world, &name));
            begin(&world.app, &name, number);
            let late = verified(&world.app, &name);
            world.app.write(|tx| end(tx, &user)).unwrap();
            assert!(!is_valid(&world.app, number));
            assert_refused!(world.app.read(|tx| sessions::acting(tx, &hash(number)).map(drop)), Unauthenticated);
            let begun = world.app.write(|tx| login::begin_session(tx, &late, secret(100 + number), "").map(drop));
            assert_refused!(begun, Unauthenticated);
            assert_eq!(kept(world), 1, "that of the other");
        }
        assert!(is_valid(&world.app, 99));
    });
}

#[test]
fn logging_out_ends_that_session_alone_and_tells_whoever_listens_in_it() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        begin(&world.app, "ann", 1);
        begin(&world.app, "ann", 2);
        let log_out = || world.app.write(|tx| sessions::log_out(tx, &hash(1))).unwrap();
        log_out();
        assert_eq!([1, 2].map(|number| is_valid(&world.app, number)), [false, true]);
        let updated = newest(world);
        assert_eq!(updated.1, ann.key().unwrap().0);
        let events = || texts(&world.location, "SELECT 'event' FROM event").len();
        let before = events();
        log_out();
        assert_eq!(events(), before, "a second click tells nobody anything");
    });
}

#[test]
fn everywhere_else_is_every_other_session_and_every_token() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        with_password(world, "bob");
        for number in [1, 2, 3] {
            begin(&world.app, "ann", number);
        }
        begin(&world.app, "bob", 9);
        let issued = world.app.write(|tx| tokens::issue(tx, &operator(), &selector(&ann), secret(50))).unwrap();
        let end = || world.app.write(|tx| sessions::end_others(tx, &hash(2))).unwrap();
        assert_eq!(end(), 2);
        assert_eq!([1, 2, 3, 9].map(|number| is_valid(&world.app, number)), [false, true, false, true]);
        let refresh = |tx: &mut Tx<'_>| tokens::must_be_valid(tx, &issued.refresh.token());
        assert_refused!(world.app.read(refresh), Unauthenticated);
        assert_eq!(end(), 0, "again");
        assert_refused!(world.app.write(|tx| sessions::end_others(tx, &hash(1)).map(drop)), Unauthenticated);
    });
}

#[test]
fn sessions_are_listed_and_ended_by_their_user_and_admins() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| with_password(world, name));
        let admin = world.admin("eve");
        begin(&world.app, "ann", 1);
        begin(&world.later(60), "ann", 2);
        begin(&world.app, "bob", 3);
        let list = |actor: &Actor| world.later(60).read(|tx| sessions::list(tx, actor, account(&ann)));
        for actor in [&ann, &admin, &operator()] {
            let hashes: Vec<_> = list(actor).unwrap().into_iter().map(|session| session.hash).collect();
            assert_eq!(hashes, [hash(2), hash(1)], "the last used first");
        }
        assert_refused!(list(&bob).map(drop), Forbidden);
        let end =
            |actor: &Actor, number| world.app.write(|tx| sessions::end(tx, actor, &selector(&ann), &hash(number)));
        assert_refused!(end(&bob, 1), Forbidden);
        end(&ann, 3).unwrap();
        assert!(is_valid(&world.app, 3), "it is bob's");
        end(&ann, 1).unwrap();
        end(&ann, 1).unwrap();
        end(&admin, 2).unwrap();
        assert!(list(&ann).unwrap().is_empty());
        let ended = world.later(UNUSED).read(|tx| sessions::list(tx, &bob, account(&bob))).unwrap();
        assert!(ended.is_empty(), "one that has expired is none");
    });
}

#[test]
fn the_password_is_asked_for_again_ten_minutes_after_it_was_given() {
    on_every_engine(|world| {
        with_password(world, "ann");
        with_password(world, "bob");
        let session = begin(&world.app, "ann", 1);
        session.must_be_confirmed(NOON.plus_seconds(CONFIRMED - 1)).unwrap();
        assert_refused!(session.must_be_confirmed(NOON.plus_seconds(CONFIRMED)), Invalid);
        let later = world.later(CONFIRMED);
        let bobs = verified(&later, "bob");
        assert_refused!(later.write(|tx| login::confirm(tx, &session, &bobs)).map(drop), Unauthenticated);
        let attempt = later.read(|tx| login::attempt_again(tx, &session, Client::Unknown)).unwrap();
        assert!(attempt.is_familiar, "strangers' failures do not count");
        let anns = attempt.verify("correct horse 7", [0; 16]).unwrap().unwrap();
        let confirmed = later.write(|tx| login::confirm(tx, &session, &anns)).unwrap();
        for session in [confirmed, find(&later, 1).unwrap()] {
            session.must_be_confirmed(NOON.plus_seconds(2 * CONFIRMED - 1)).unwrap();
        }
    });
}

#[test]
fn a_new_password_ends_every_session_and_begins_another_in_its_place() {
    on_every_engine(|world| {
        with_password(world, "ann");
        begin(&world.app, "ann", 1);
        begin(&world.app, "ann", 2);
        let next = keys().next_session(secret(1));
        let change = |tx: &mut Tx<'_>| sessions::change_password(tx, &hash(1), HASH, next);
        let begun = world.later(60).write(change).unwrap();
        assert_eq!((begun.confirmed_at, begun.browser.as_str()), (NOON.plus_seconds(60), "Firefox on Linux"));
        assert_eq!([1, 2].map(|number| is_valid(&world.app, number)), [false, false]);
        assert!(world.later(60).read(|tx| sessions::find(tx, &next.hash())).unwrap().is_some());
        assert_refused!(world.app.write(change).map(drop), Unauthenticated);
        let (one, other) = (keys().next_session(secret(1)), keys().next_session(secret(2)));
        assert_eq!(one.token(), next.token(), "the same for who asks again");
        assert_ne!(one.token(), other.token());
    });
}

#[test]
fn two_new_passwords_at_once_in_one_session_are_one() {
    on_every_engine(|world| {
        with_password(world, "ann");
        begin(&world.app, "ann", 1);
        let next = keys().next_session(secret(1));
        let change = |tx: &mut Tx<'_>| sessions::change_password(tx, &hash(1), HASH, next);
        let (one, other) = meanwhile(world, change, change);
        one.unwrap();
        assert_refused!(other.map(drop), Unauthenticated);
    });
}

#[test]
fn ended_sessions_are_forgotten_two_with_each_that_begins() {
    on_every_engine(|world| {
        with_password(world, "ann");
        for number in 1..=5 {
            begin(&world.app, "ann", number);
        }
        assert_eq!(kept(world), 5);
        let later = world.later(UNUSED + 1);
        begin(&later, "ann", 11);
        assert_eq!(kept(world), 4);
        begin(&later, "ann", 12);
        assert_eq!(kept(world), 3);
    });
}

#[test]
fn an_account_has_a_hundred_sessions_and_no_more() {
    on_every_engine(|world| {
        with_password(world, "ann");
        let first = verified(&world.app, "ann");
        let begin = |app: &App, number: u8| {
            app.write(|tx| login::begin_session(tx, &first, secret(number), "")).unwrap();
        };
        for number in 1..=100 {
            begin(&world.later(number.into()), number);
        }
        assert_eq!(kept(world), usize::try_from(MOST).unwrap());
        let events = || texts(&world.location, "SELECT 'event' FROM event").len();
        let before = events();
        begin(&world.later(101), 101);
        assert_eq!(events(), before + 1, "whoever listens in the one that ended is told");
        let later = world.later(101);
        assert_eq!([1, 2, 101].map(|number| is_valid(&later, number)), [false, true, true]);
    });
}

#[test]
fn the_receipt_of_a_deletion_counts_sessions_and_an_export_names_them() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        begin(&world.app, "ann", 1);
        begin(&world.app, "ann", 2);
        let subject = world.app.read(|tx| export::subject(tx, &ann, &selector(&ann))).unwrap();
        let exported = serde_json::to_value(&subject).unwrap();
        assert_eq!(exported["sessions"][1]["browser"], "Firefox on Linux");
        let later = world.later(UNUSED).read(|tx| export::subject(tx, &ann, &selector(&ann))).unwrap();
        assert_eq!(serde_json::to_value(&later).unwrap()["sessions"], serde_json::json!([]), "they have ended");
        let receipt = world.app.write(|tx| accounts::delete(tx, &ann, &[selector(&ann)])).unwrap();
        assert_eq!((receipt.sessions, kept(world)), (2, 0));
    });
}
