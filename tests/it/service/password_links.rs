//! Links that set a password: whose, how often, how long.

use tidings::app::App;
use tidings::error::Result;
use tidings::model::{Actor, Timestamp, User};
use tidings::service::IdempotentRequest;
use tidings::service::password_links::{self, Found, LIFETIME};
use tidings::service::passwords::NOBODYS;
use tidings::service::tokens::{self, Secret};
use tidings::service::{accounts, users};
use tidings::store::Tx;

use super::races::meanwhile;
use super::told::newest;
use crate::assert_refused;
use crate::support::{NOON, World, on_every_engine, operator, selector, texts};

fn secret(number: u8) -> Secret {
    Secret([number; 32])
}

fn make(world: &World, actor: &Actor, user: &Actor, number: u8) -> Result<(User, Timestamp)> {
    world.app.write(|tx| password_links::make(tx, actor, &selector(user), secret(number)))
}

fn set(app: &App, number: u8) -> Result<User> {
    app.write(|tx| password_links::set_password(tx, secret(number), NOBODYS))
}

fn is_valid(app: &App, number: u8) -> bool {
    matches!(app.read(|tx| password_links::find(tx, secret(number))), Ok(Found::Valid(..)))
}

#[test]
fn a_link_sets_the_password_of_its_user_once() {
    on_every_engine(|world| {
        let bob = world.user("bob");
        let (user, expires_at) = make(world, &operator(), &bob, 1).unwrap();
        assert_eq!((user.person.username.as_str(), expires_at), ("bob", NOON.plus_seconds(LIFETIME)));
        assert!(is_valid(&world.app, 1) && !is_valid(&world.app, 2));
        let hash = || texts(&world.location, "SELECT password_hash FROM account WHERE username = 'bob'");
        assert_eq!(set(&world.app, 1).unwrap().person.username, "bob");
        assert_eq!(hash(), [NOBODYS]);
        assert_refused!(set(&world.app, 1).map(drop), NotFound);
        // Who sends the form twice is known again by the password.
        let again = world.app.read(|tx| password_links::find(tx, secret(1))).unwrap();
        assert!(matches!(again, Found::Ended(user, Some(hash)) if hash == NOBODYS && user.person.username == "bob"));
        let actor = texts(&world.location, "SELECT 'bob' FROM event WHERE actor_key = user_key");
        assert_eq!(actor, ["bob"], "the log names who set it");
    });
}

#[test]
fn a_request_that_comes_again_makes_no_other_link_and_none_once_its_link_is_over() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        let make_once = |actor: &Actor, user: &Actor, number: u8| {
            let request = IdempotentRequest { key: format!("k{number}"), request: vec![number], earlier: None };
            world.app.write(|tx| password_links::make_once(tx, actor, &selector(user), secret(number), Some(&request)))
        };
        let (_, expires_at) = make_once(&ann, &bob, 1).unwrap();
        let before = newest(world);
        assert_eq!(make_once(&ann, &bob, 1).unwrap().1, expires_at);
        assert_eq!(newest(world), before, "nothing was done");
        make_once(&ann, &bob, 2).unwrap();
        assert_refused!(make_once(&ann, &bob, 1), Conflict);
        assert_eq!([1, 2].map(|number| is_valid(&world.app, number)), [false, true], "the newer one stays");
        set(&world.app, 2).unwrap();
        assert_refused!(make_once(&ann, &bob, 2), Conflict);
        assert!(!is_valid(&world.app, 2), "what was used stays so");
        assert_refused!(make_once(&eve, &bob, 3), Forbidden);
    });
}

#[test]
fn a_link_is_valid_for_a_day_by_a_clock_that_goes_right() {
    on_every_engine(|world| {
        let bob = world.user("bob");
        make(world, &operator(), &bob, 1).unwrap();
        assert!(is_valid(&world.later(LIFETIME - 1), 1));
        let late = world.later(LIFETIME);
        assert!(!is_valid(&late, 1));
        assert_refused!(set(&late, 1).map(drop), NotFound);
        assert!(is_valid(&world.later(-60), 1));
        assert_refused!(set(&world.later(-61), 1).map(drop), NotFound);
    });
}

/// What ends a user's tokens
type End = fn(&mut Tx<'_>, &Actor) -> Result<()>;

#[test]
fn what_ends_tokens_ends_links_and_a_newer_one_takes_the_place_of_an_older() {
    let ends: [(&str, End); 4] = [
        ("password", |tx, user| users::set_password(tx, &operator(), &selector(user), Some(NOBODYS)).map(drop)),
        ("deactivation", |tx, user| users::set_active(tx, &operator(), &selector(user), false).map(drop)),
        ("revocation", |tx, user| tokens::revoke_all(tx, &operator(), &selector(user)).map(drop)),
        ("deletion", |tx, user| accounts::delete(tx, &operator(), &[selector(user)]).map(drop)),
    ];
    on_every_engine(|world| {
        for (number, (what, end)) in (1..).zip(ends) {
            println!("{what}");
            let user = world.user(&format!("user{number}"));
            make(world, &operator(), &user, number).unwrap();
            world.app.write(|tx| end(tx, &user)).unwrap();
            assert!(!is_valid(&world.app, number));
            assert_refused!(set(&world.app, number).map(drop), NotFound);
        }
        let bob = world.user("bob");
        make(world, &operator(), &bob, 11).unwrap();
        make(world, &operator(), &bob, 12).unwrap();
        assert_eq!([11, 12].map(|number| is_valid(&world.app, number)), [false, true]);
    });
}

#[test]
fn links_are_made_by_the_operator_and_admins_for_those_who_can_log_in() {
    on_every_engine(|world| {
        let (ann, bob, eve) = (world.admin("ann"), world.user("bob"), world.user("eve"));
        make(world, &ann, &bob, 1).unwrap();
        let newest = "SELECT 'ann' FROM event WHERE key = (SELECT max(key) FROM event) AND actor_key <> user_key";
        assert_eq!(texts(&world.location, newest), ["ann"], "the log names who made it");
        assert_refused!(make(world, &bob, &bob, 2).map(drop), Forbidden);
        assert_refused!(make(world, &bob, &ann, 2).map(drop), Forbidden);
        world.app.write(|tx| users::set_active(tx, &ann, &selector(&eve), false)).unwrap();
        assert_refused!(make(world, &ann, &eve, 2).map(drop), Forbidden);
        let nobody = "nobody".to_owned().into();
        let absent = world.app.write(|tx| password_links::make(tx, &ann, &nobody, secret(3)));
        assert_refused!(absent.map(drop), NotFound);
    });
}

#[test]
fn of_two_who_use_a_link_at_once_one_sets_the_password() {
    on_every_engine(|world| {
        let bob = world.user("bob");
        make(world, &operator(), &bob, 1).unwrap();
        let set = |tx: &mut Tx<'_>| password_links::set_password(tx, secret(1), NOBODYS);
        let (one, other) = meanwhile(world, set, set);
        one.unwrap();
        assert_refused!(other.map(drop), NotFound);
    });
}

#[test]
fn expired_links_are_forgotten() {
    on_every_engine(|world| {
        for (number, name) in (1..).zip(["ann", "bob", "eve"]) {
            make(world, &operator(), &world.user(name), number).unwrap();
        }
        let max = world.user("max");
        let later = world.later(LIFETIME + 1);
        later.write(|tx| password_links::make(tx, &operator(), &selector(&max), secret(9))).unwrap();
        assert_eq!(texts(&world.location, "SELECT 'link' FROM password_link").len(), 2);
    });
}
