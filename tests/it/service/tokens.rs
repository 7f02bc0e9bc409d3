//! Log-ins, access tokens, refresh tokens: which count, and what ends them.

use tidings::app::App;
use tidings::error::Result;
use tidings::model::{Actor, UserSelector};
use tidings::service::tokens::{self, Claims, LIFETIME, LoggedIn, REFRESH_LIFETIME, Secret};
use tidings::service::users::{self, UserChange};
use tidings::service::{accounts, passwords};
use tidings::store::{self, Tx};

use super::races::meanwhile;
use crate::assert_refused;
use crate::support::{NOON, World, on_every_engine, operator, selector};

/// Django's of `correct horse 7`
const HASH: &str = "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=";

/// The same, with another salt
const OTHER_HASH: &str = "$argon2id$v=19$m=102400,t=2,p=8$SkZINUtIUFd4N2FhZHROOWJxYXI3eA$\
                          5jx5Dat1hpY7LlVxOQkPR1cY1qVIRkoq/QOpN69DJW4";

fn secret(number: u8) -> Secret {
    Secret([number; 32])
}

/// A user with a password
fn with_password(world: &World, name: &str) -> Actor {
    let user = world.user(name);
    world.app.write(|tx| users::set_password(tx, &operator(), &selector(&user), Some(HASH))).unwrap();
    user
}

fn log_in(app: &App, name: &str, refresh: u8) -> LoggedIn {
    app.write(|tx| {
        let login = tokens::login(tx, name)?.unwrap();
        tokens::log_in(tx, &login, None, secret(refresh))
    })
    .unwrap()
}

/// Puts a new refresh token in the place of one.
fn refresh(app: &App, token: u8, new: u8) -> Result<LoggedIn> {
    app.write(|tx| tokens::refresh(tx, &secret(token).token(), secret(new)))?.or_refuse()
}

/// What the access token of a log-in says
fn claims(logged_in: &LoggedIn) -> Claims {
    let LoggedIn { user, generation, .. } = logged_in;
    Claims { user: user.person.user_id, generation: *generation, expires_at: NOON.plus_seconds(LIFETIME) }
}

fn acting(app: &App, claims: &Claims) -> Result<Actor> {
    app.read(|tx| tokens::acting(tx, claims))
}

/// How many refresh tokens of a user are kept, whether they count or not
fn kept(world: &World, user: &Actor) -> i64 {
    world.app.read(|tx| store::users::credentials(tx, user.key().unwrap())).unwrap().1
}

#[test]
fn an_account_is_logged_in_to_by_username_or_email_in_any_case() {
    on_every_engine(|world| {
        let [ann, bob] = ["Ännchen", "bob"].map(|name| with_password(world, name));
        for (user, email) in [(&ann, "ann@example.org"), (&bob, "bob@example.org")] {
            let change = UserChange { email: Some(email.to_owned()), ..UserChange::default() };
            world.app.write(|tx| users::update(tx, &operator(), &selector(user), &change)).unwrap();
        }
        let found = |name: &str| {
            let login = world.app.read(|tx| tokens::login(tx, name)).unwrap()?;
            assert!(passwords::verify("correct horse 7", &login.password_hash.unwrap()).unwrap());
            Some(login.user.person.key)
        };
        for name in ["Ännchen", "äNNCHEN", "A\u{308}nnchen", "ann@example.org", "Ann@Example.ORG"] {
            assert_eq!(found(name), ann.key(), "{name}");
        }
        assert_eq!(found("BOB"), bob.key());
        let Actor::User(bob) = bob else { panic!() };
        assert_eq!(found(&bob.person.user_id.to_string()), None, "an id is no name");
    });
}

#[test]
fn nobody_logs_in_to_an_account_that_is_unknown_deactivated_or_without_a_password() {
    on_every_engine(|world| {
        let [bob, _] = [with_password(world, "bob"), world.user("eve")];
        world.app.write(|tx| users::set_active(tx, &operator(), &selector(&bob), false)).unwrap();
        for name in ["nobody", "bob", "eve", "nobody@example.org", "", "a\0b"] {
            assert!(world.app.read(|tx| tokens::login(tx, name)).unwrap().is_none(), "{name:?}");
        }
    });
}

/// What ends a user's tokens
type End = fn(&mut Tx<'_>, &UserSelector) -> Result<()>;

const ENDS: [(&str, End); 5] = [
    ("password", |tx, user| users::set_password(tx, &operator(), user, Some(HASH)).map(drop)),
    ("deactivation", |tx, user| users::set_active(tx, &operator(), user, false).map(drop)),
    ("deactivation for a while", |tx, user| {
        users::set_active(tx, &operator(), user, false)?;
        users::set_active(tx, &operator(), user, true).map(drop)
    }),
    ("revocation", |tx, user| tokens::revoke_all(tx, &operator(), user).map(drop)),
    ("deletion", |tx, user| accounts::delete(tx, &operator(), std::slice::from_ref(user)).map(drop)),
];

#[test]
fn tokens_stop_at_once_when_the_password_changes_or_the_account_is_deactivated_revoked_or_deleted() {
    on_every_engine(|world| {
        let other = with_password(world, "other");
        let others = log_in(&world.app, "other", 99);
        for (number, (what, end)) in (1..).zip(ENDS) {
            let name = format!("user{number}");
            let user = selector(&with_password(world, &name));
            let logged_in = log_in(&world.app, &name, number);
            assert!(acting(&world.app, &claims(&logged_in)).unwrap().key() == Some(logged_in.user.person.key));
            world.app.write(|tx| end(tx, &user)).unwrap();
            println!("{what}");
            assert_refused!(acting(&world.app, &claims(&logged_in)), Unauthenticated);
            assert_refused!(refresh(&world.app, number, number + 100), Unauthenticated);
        }
        assert_eq!(acting(&world.app, &claims(&others)).unwrap().key(), other.key());
        refresh(&world.app, 99, 98).unwrap();
    });
}

#[test]
fn a_log_in_begins_only_where_the_account_is_as_it_was_when_the_password_was_verified() {
    on_every_engine(|world| {
        for (number, (what, end)) in (1..).zip(ENDS) {
            let name = format!("user{number}");
            let user = selector(&with_password(world, &name));
            let login = world.app.read(|tx| tokens::login(tx, &name)).unwrap().unwrap();
            world.app.write(|tx| end(tx, &user)).unwrap();
            println!("{what}");
            assert_refused!(world.app.write(|tx| tokens::log_in(tx, &login, None, secret(number))), Unauthenticated);
        }
    });
}

#[test]
fn each_refresh_token_puts_the_next_in_its_place() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        for number in 1..5 {
            let logged_in = refresh(&world.app, number, number + 1).unwrap();
            assert_eq!(logged_in.refresh.token(), secret(number + 1).token());
            assert_eq!(acting(&world.app, &claims(&logged_in)).unwrap().key(), ann.key());
        }
    });
}

#[test]
fn a_refresh_token_used_again_ends_its_log_in_and_no_other() {
    on_every_engine(|world| {
        let [ann, _] = ["ann", "bob"].map(|name| with_password(world, name));
        log_in(&world.app, "ann", 1);
        log_in(&world.app, "ann", 11);
        log_in(&world.app, "bob", 21);
        refresh(&world.app, 1, 2).unwrap();
        refresh(&world.app, 2, 3).unwrap();
        for token in [1, 2, 3] {
            assert_refused!(refresh(&world.app, token, 4), Unauthenticated);
        }
        assert_eq!(kept(world, &ann), 1, "of the other log-in");
        refresh(&world.app, 11, 12).unwrap();
        refresh(&world.app, 21, 22).unwrap();
    });
}

#[test]
fn a_used_refresh_token_counts_again_while_its_successor_is_unused() {
    on_every_engine(|world| {
        with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        for lost in [2, 3, 4] {
            refresh(&world.app, 1, lost).unwrap();
        }
        refresh(&world.app, 4, 5).unwrap();
        assert_refused!(refresh(&world.app, 1, 6), Unauthenticated);
        assert_refused!(refresh(&world.app, 5, 6), Unauthenticated);
    });
}

#[test]
fn a_successor_that_comes_after_another_took_its_place_ends_the_log_in() {
    on_every_engine(|world| {
        with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        refresh(&world.app, 1, 2).unwrap();
        refresh(&world.app, 1, 3).unwrap();
        assert_refused!(refresh(&world.app, 2, 4), Unauthenticated);
        assert_refused!(refresh(&world.app, 3, 4), Unauthenticated);
    });
}

#[test]
fn an_access_token_counts_for_ten_minutes_and_a_refresh_token_for_thirty_days() {
    on_every_engine(|world| {
        with_password(world, "ann");
        let logged_in = log_in(&world.app, "ann", 1);
        acting(&world.later(LIFETIME - 1), &claims(&logged_in)).unwrap();
        assert_refused!(acting(&world.later(LIFETIME), &claims(&logged_in)), Unauthenticated);
        assert_refused!(refresh(&world.later(REFRESH_LIFETIME), 1, 2), Unauthenticated);
        refresh(&world.later(REFRESH_LIFETIME - 1), 1, 2).unwrap();
        assert_refused!(refresh(&world.later(REFRESH_LIFETIME), 1, 3), Unauthenticated);
        refresh(&world.later(2 * REFRESH_LIFETIME - 2), 2, 3).unwrap();
    });
}

#[test]
fn a_text_that_is_no_refresh_token_is_refused_and_revoked_without_a_word() {
    on_every_engine(|world| {
        with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let genuine = secret(1).token();
        for text in ["", "x", "ä\0", &genuine[1..], &format!("{genuine}="), &secret(9).token(), &"A".repeat(100_000)] {
            let refreshed = world.app.write(|tx| tokens::refresh(tx, text, secret(2))).unwrap();
            assert_refused!(refreshed.or_refuse(), Unauthenticated);
            world.app.write(|tx| tokens::revoke(tx, text)).unwrap();
        }
        refresh(&world.app, 1, 2).unwrap();
    });
}

#[test]
fn revoking_a_refresh_token_used_or_not_ends_its_log_in_alone() {
    on_every_engine(|world| {
        for name in ["ann", "bob"] {
            with_password(world, name);
        }
        for (number, name) in [(1, "ann"), (11, "ann"), (21, "bob")] {
            log_in(&world.app, name, number);
            refresh(&world.app, number, number + 1).unwrap();
        }
        for token in [1, 22] {
            world.app.write(|tx| tokens::revoke(tx, &secret(token).token())).unwrap();
        }
        assert_refused!(refresh(&world.app, 2, 3), Unauthenticated);
        assert_refused!(refresh(&world.app, 22, 23), Unauthenticated);
        assert_eq!(refresh(&world.app, 12, 13).unwrap().user.person.username, "ann");
    });
}

#[test]
fn only_the_operator_and_admins_issue_tokens() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        let issue = |actor: &Actor, user: &str, number: u8| {
            world.app.write(|tx| tokens::issue(tx, actor, &UserSelector(user.to_owned()), secret(number)))
        };
        for (number, actor, user) in [(1, &operator(), "bob"), (2, &ann, "BOB"), (3, &ann, "ann")] {
            let issued = issue(actor, user, number).unwrap();
            acting(&world.app, &claims(&issued)).unwrap();
            refresh(&world.app, number, number + 10).unwrap();
        }
        assert_refused!(issue(&bob, "bob", 4), Forbidden);
        assert_refused!(issue(&bob, "ann", 4), Forbidden);
        assert_refused!(issue(&ann, "nobody", 4), NotFound);
        world.app.write(|tx| users::set_active(tx, &ann, &selector(&eve), false)).unwrap();
        assert_refused!(issue(&operator(), "eve", 4), Forbidden);
    });
}

#[test]
fn one_revokes_ones_own_tokens_and_as_the_operator_or_an_admin_anothers() {
    on_every_engine(|world| {
        let [ann, bob, _] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        let revoke = |actor: &Actor, user: &str| {
            world.app.write(|tx| tokens::revoke_all(tx, actor, &UserSelector(user.to_owned())))
        };
        for (actor, user) in [(&operator(), "ann"), (&ann, "bob"), (&bob, "bob")] {
            assert_eq!(revoke(actor, user).unwrap().0.person.username, user);
        }
        assert_refused!(revoke(&bob, "ann"), Forbidden);
        assert_refused!(revoke(&bob, "eve"), Forbidden);
        assert_refused!(revoke(&ann, "nobody"), NotFound);
    });
}

#[test]
fn revoking_all_tells_how_many_refresh_tokens_did_count() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        let revoke = |app: &App| app.write(|tx| tokens::revoke_all(tx, &operator(), &selector(&ann))).unwrap().1;
        log_in(&world.app, "ann", 1);
        world.app.write(|tx| users::set_password(tx, &operator(), &selector(&ann), Some(HASH))).unwrap();
        log_in(&world.app, "ann", 11);
        log_in(&world.app, "ann", 21);
        refresh(&world.app, 21, 22).unwrap();
        assert_eq!((kept(world, &ann), revoke(&world.app), kept(world, &ann)), (4, 2, 0));
        log_in(&world.app, "ann", 31);
        assert_eq!(revoke(&world.later(REFRESH_LIFETIME)), 0, "expired");
    });
}

#[test]
fn a_better_hash_takes_only_the_place_of_the_one_that_was_verified() {
    on_every_engine(|world| {
        with_password(world, "ann");
        let hash = || world.app.read(|tx| tokens::login(tx, "ann")).unwrap().unwrap().password_hash.unwrap();
        let before = world.app.read(|tx| tokens::login(tx, "ann")).unwrap().unwrap();
        let log_in = |better: &str, number| {
            world.app.write(|tx| tokens::log_in(tx, &before, Some(better), secret(number))).unwrap()
        };
        log_in(OTHER_HASH, 1);
        assert_eq!(hash(), OTHER_HASH);
        log_in(HASH, 2);
        assert_eq!(hash(), OTHER_HASH, "another log-in was first");
        refresh(&world.app, 1, 3).unwrap();
    });
}

#[test]
fn expired_tokens_are_forgotten_two_with_each_that_is_kept() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        for number in 1..=5 {
            log_in(&world.app, "ann", number);
        }
        assert_eq!(kept(world, &ann), 5, "none is expired");
        let later = world.later(REFRESH_LIFETIME + 1);
        log_in(&later, "ann", 11);
        assert_eq!(kept(world, &ann), 4);
        refresh(&later, 11, 12).unwrap();
        assert_eq!(kept(world, &ann), 3);
        refresh(&later, 12, 13).unwrap();
        assert_eq!(kept(world, &ann), 3);
    });
}

#[test]
fn of_two_refreshes_of_one_token_at_once_the_later_counts() {
    on_every_engine(|world| {
        with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let token = secret(1).token();
        let (one, other) =
            meanwhile(world, |tx| tokens::refresh(tx, &token, secret(2)), |tx| tokens::refresh(tx, &token, secret(3)));
        for outcome in [one, other] {
            outcome.unwrap().or_refuse().unwrap();
        }
        refresh(&world.app, 3, 4).unwrap();
        assert_refused!(refresh(&world.app, 2, 5), Unauthenticated);
    });
}

#[test]
fn a_theft_ends_also_what_is_refreshed_at_once() {
    on_every_engine(|world| {
        with_password(world, "ann");
        let of = |first: u8| {
            log_in(&world.app, "ann", first);
            refresh(&world.app, first, first + 1).unwrap();
            refresh(&world.app, first + 1, first + 2).unwrap();
            [first, first + 2].map(|number| secret(number).token())
        };
        let [used, current] = of(1);
        let (stolen, _) =
            meanwhile(world, |tx| tokens::refresh(tx, &used, secret(8)), |tx| tokens::refresh(tx, &current, secret(9)));
        assert_refused!(stolen.unwrap().or_refuse(), Unauthenticated);
        assert_refused!(refresh(&world.app, 9, 10), Unauthenticated);
        let [used, current] = of(21);
        let (_, stolen) = meanwhile(
            world,
            |tx| tokens::refresh(tx, &current, secret(29)),
            |tx| tokens::refresh(tx, &used, secret(28)),
        );
        assert_refused!(stolen.unwrap().or_refuse(), Unauthenticated);
        assert_refused!(refresh(&world.app, 29, 30), Unauthenticated);
    });
}

#[test]
fn a_log_in_that_is_revoked_while_it_is_refreshed_ends() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let token = secret(1).token();
        let refreshed = |tx: &mut Tx<'_>| tokens::refresh(tx, &token, secret(2));
        let (_, revoked) = meanwhile(world, refreshed, |tx| tokens::revoke(tx, &token));
        revoked.unwrap();
        assert_refused!(refresh(&world.app, 2, 3), Unauthenticated);
        log_in(&world.app, "ann", 11);
        let token = secret(11).token();
        let refreshed = |tx: &mut Tx<'_>| tokens::refresh(tx, &token, secret(12));
        let (_, revoked) = meanwhile(world, refreshed, |tx| tokens::revoke_all(tx, &ann, &selector(&ann)));
        assert_eq!(revoked.unwrap().1, 1);
        assert_refused!(refresh(&world.app, 12, 13), Unauthenticated);
        assert_eq!(kept(world, &ann), 0);
    });
}
