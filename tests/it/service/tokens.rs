//! Log-ins, access tokens, refresh tokens: which count, and what ends them.

use tidings::app::App;
use tidings::error::Result;
use tidings::model::{Actor, UserSelector};
use tidings::service::accounts;
use tidings::service::login::{self, Attempt, Client, Subject};
use tidings::service::tokens::{self, AGAIN, Claims, Keys, LIFETIME, LoggedIn, REFRESH_LIFETIME, Secret};
use tidings::service::users::{self, UserChange};
use tidings::store::tokens::Login;
use tidings::store::{self, Tx};

use super::races::meanwhile;
use crate::assert_refused;
use crate::support::{NOON, World, account, on_every_engine, operator, selector};

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

fn keys() -> Keys {
    Keys::new(b"a secret of the tests", None).unwrap()
}

/// An address
fn at(address: &str) -> Client {
    Client::At(address.parse().unwrap())
}

/// A log-in to an account that is tried
fn attempt(world: &World, name: &str) -> Attempt {
    world.app.read(|tx| login::attempt(tx, &keys(), name, Client::Unknown)).unwrap()
}

/// An account as a log-in needs it
fn login(tx: &mut Tx<'_>, username: &str) -> Result<Login> {
    Ok(store::tokens::login_by_username(tx, username)?.unwrap())
}

fn log_in(app: &App, name: &str, refresh: u8) -> LoggedIn {
    log_in_at(app, name, refresh, Client::Unknown)
}

fn log_in_at(app: &App, name: &str, refresh: u8, client: Client) -> LoggedIn {
    app.write(|tx| {
        let login = login(tx, name)?;
        let address = keys().hash_address(login.user.person.user_id, client).map(|(hash, _)| hash);
        tokens::log_in(tx, &login, None, secret(refresh), address.as_ref())
    })
    .unwrap()
}

/// Puts the next refresh token in the place of one.
fn refresh(app: &App, token: Secret) -> Result<LoggedIn> {
    app.write(|tx| refreshed(tx, token))?.or_refuse()
}

fn refreshed(tx: &mut Tx<'_>, token: Secret) -> Result<tokens::Refreshed> {
    tokens::refresh(tx, &keys(), &token.token(), Client::Unknown)
}

/// The refresh token that takes the place of one
fn next(token: Secret) -> Secret {
    keys().successors(token).0
}

/// What the access token of a log-in says
fn claims(logged_in: &LoggedIn) -> Claims {
    let LoggedIn { user, login, generation, .. } = logged_in;
    Claims {
        user: user.person.user_id,
        login: *login,
        generation: *generation,
        expires_at: NOON.plus_seconds(LIFETIME),
    }
}

fn acting(app: &App, claims: &Claims) -> Result<Actor> {
    app.read(|tx| tokens::acting(tx, claims))
}

/// How many refresh tokens of a user are kept, whether they count or not
fn kept(world: &World, user: &Actor) -> i64 {
    world.app.read(|tx| store::users::count_of(tx, user.key().unwrap())).unwrap().1
}

#[test]
fn an_account_is_logged_in_to_by_username_or_email_in_any_case() {
    on_every_engine(|world| {
        let [ann, bob] = ["Ännchen", "bob"].map(|name| with_password(world, name));
        for (user, email) in [(&ann, "ann@example.org"), (&bob, "bob@example.org")] {
            let change = UserChange { email: Some(email.to_owned()), ..UserChange::default() };
            world.app.write(|tx| users::update(tx, &operator(), &selector(user), &change)).unwrap();
        }
        let found = |name: &str| match attempt(world, name).subject {
            Subject::Account(user) => Some(user),
            Subject::Nobody(_) => None,
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
            let verified = attempt(world, name).verify("correct horse 7", [0; 16]).unwrap();
            assert!(verified.is_none(), "{name:?}");
        }
    });
}

/// What ends whatever is logged in to an account
pub(super) type End = fn(&mut Tx<'_>, &UserSelector) -> Result<()>;

pub(super) const ENDS: [(&str, End); 5] = [
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
            assert_refused!(refresh(&world.app, secret(number)), Unauthenticated);
        }
        assert_eq!(acting(&world.app, &claims(&others)).unwrap().key(), other.key());
        refresh(&world.app, secret(99)).unwrap();
    });
}

#[test]
fn a_log_in_begins_only_where_the_account_is_as_it_was_when_the_password_was_verified() {
    on_every_engine(|world| {
        for (number, (what, end)) in (1..).zip(ENDS) {
            let name = format!("user{number}");
            let user = selector(&with_password(world, &name));
            let login = world.app.read(|tx| login(tx, &name)).unwrap();
            world.app.write(|tx| end(tx, &user)).unwrap();
            println!("{what}");
            let begun = world.app.write(|tx| tokens::log_in(tx, &login, None, secret(number), None));
            assert_refused!(begun, Unauthenticated);
        }
    });
}

#[test]
fn each_refresh_token_puts_the_next_in_its_place() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        let mut token = log_in(&world.app, "ann", 1).refresh;
        for _ in 1..5 {
            let logged_in = refresh(&world.app, token).unwrap();
            assert_eq!(logged_in.refresh.token(), next(token).token());
            assert_eq!(acting(&world.app, &claims(&logged_in)).unwrap().key(), ann.key());
            token = logged_in.refresh;
        }
    });
}

#[test]
fn a_program_that_is_logged_in_counts_once_however_often_it_refreshes_and_no_more_when_its_log_in_ends() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        let programs = |app: &App| app.read(|tx| users::credentials(tx, &ann, account(&ann))).unwrap();
        assert_eq!(programs(&world.app), (true, 0));
        let mut token = log_in(&world.app, "ann", 1).refresh;
        log_in(&world.app, "ann", 11);
        for _ in 0..3 {
            token = refresh(&world.app, token).unwrap().refresh;
        }
        assert_eq!((programs(&world.app), kept(world, &ann)), ((true, 2), 5));
        assert_eq!(programs(&world.later(REFRESH_LIFETIME)), (true, 0), "expired");
        world.app.write(|tx| tokens::revoke(tx, &token.token())).unwrap();
        assert_eq!(programs(&world.app), (true, 1));
        world.app.write(|tx| users::set_active(tx, &operator(), &selector(&ann), false)).unwrap();
        assert_eq!((programs(&world.app), kept(world, &ann)), ((true, 0), 1), "of an earlier generation");
    });
}

#[test]
fn a_refresh_token_that_comes_again_at_once_gives_the_same_successor_used_or_not() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let second = next(secret(1));
        for seconds in [0, 1, AGAIN - 1] {
            let again = refresh(&world.later(seconds), secret(1)).unwrap();
            assert_eq!(again.refresh.token(), second.token(), "two tabs");
        }
        let third = refresh(&world.later(AGAIN - 1), second).unwrap().refresh;
        assert_eq!(refresh(&world.later(AGAIN - 1), secret(1)).unwrap().refresh.token(), second.token());
        assert_eq!(refresh(&world.later(AGAIN), second).unwrap().refresh.token(), third.token(), "the slower tab");
        assert_eq!(kept(world, &ann), 3);
    });
}

#[test]
fn a_repeated_refresh_token_is_valid_later_only_while_its_successor_is_unused() {
    on_every_engine(|world| {
        with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let second = refresh(&world.app, secret(1)).unwrap().refresh;
        for seconds in [AGAIN, 1_000_000] {
            let again = refresh(&world.later(seconds), secret(1)).unwrap();
            assert_eq!(again.refresh.token(), second.token(), "the answer was lost");
        }
        let third = refresh(&world.later(1_000_000), second).unwrap().refresh;
        assert_refused!(refresh(&world.later(1_000_000), secret(1)), Unauthenticated);
        assert_refused!(refresh(&world.later(1_000_000), third), Unauthenticated);
    });
}

#[test]
fn a_refresh_token_used_again_ends_its_log_in_and_no_other() {
    on_every_engine(|world| {
        let [ann, _] = ["ann", "bob"].map(|name| with_password(world, name));
        log_in(&world.app, "ann", 1);
        log_in(&world.app, "ann", 11);
        log_in(&world.app, "bob", 21);
        let second = refresh(&world.app, secret(1)).unwrap().refresh;
        let third = refresh(&world.app, second).unwrap().refresh;
        let later = world.later(AGAIN);
        for token in [secret(1), second, third] {
            assert_refused!(refresh(&later, token), Unauthenticated);
        }
        assert_eq!(kept(world, &ann), 1, "of the other log-in");
        refresh(&later, secret(11)).unwrap();
        refresh(&later, secret(21)).unwrap();
    });
}

#[test]
fn a_successor_is_found_again_under_the_previous_key_and_under_no_other() {
    on_every_engine(|world| {
        with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let second = refresh(&world.app, secret(1)).unwrap().refresh;
        let under = |keys: &Keys, token: Secret| {
            world.app.write(|tx| tokens::refresh(tx, keys, &token.token(), Client::Unknown)).unwrap().or_refuse()
        };
        let changed = Keys::new(b"another secret of the tests", Some(b"a secret of the tests")).unwrap();
        assert_eq!(under(&changed, secret(1)).unwrap().refresh.token(), second.token());
        let other = Keys::new(b"another secret of the tests", None).unwrap();
        assert_refused!(under(&other, secret(1)), Unauthenticated);
        // But that ends nothing: the successor counts.
        under(&other, second).unwrap();
    });
}

#[test]
fn who_is_logged_in_at_an_address_is_known_there_as_long_as_the_log_in_lasts() {
    on_every_engine(|world| {
        let user = with_password(world, "ann");
        let is_known_by = |keys: &Keys, app: &App, name: &str, client: Client| {
            app.read(|tx| login::attempt(tx, keys, name, client)).unwrap().is_familiar
        };
        let is_known = |app: &App, client: Client| is_known_by(&keys(), app, "ANN", client);
        let [home, away] = ["192.0.2.1", "192.0.2.2"].map(at);
        assert!(!is_known(&world.app, home));
        log_in_at(&world.app, "ann", 1, home);
        assert!(is_known(&world.app, home) && !is_known(&world.app, away) && !is_known(&world.app, Client::Unknown));
        with_password(world, "bob");
        assert!(!is_known_by(&keys(), &world.app, "bob", home), "another account");
        let changed = Keys::new(b"another secret of the tests", Some(b"a secret of the tests")).unwrap();
        assert!(is_known_by(&changed, &world.app, "ann", home));
        assert!(!is_known_by(&Keys::new(b"another secret of the tests", None).unwrap(), &world.app, "ann", home));
        assert!(!is_known(&world.later(REFRESH_LIFETIME), home), "expired");
        // Whoever moves is known where they are now.
        world.app.write(|tx| tokens::refresh(tx, &keys(), &secret(1).token(), away)).unwrap().or_refuse().unwrap();
        assert!(is_known(&world.app, away) && !is_known(&world.app, home));
        world.app.write(|tx| tokens::revoke_all(tx, &user, &selector(&user))).unwrap();
        assert!(!is_known(&world.app, away), "revoked");
        log_in_at(&world.app, "ann", 2, Client::Socket);
        assert!(is_known(&world.app, Client::Socket));
        world.app.write(|tx| users::set_password(tx, &operator(), &selector(&user), Some(HASH))).unwrap();
        assert!(!is_known(&world.app, Client::Socket), "of an earlier generation");
        log_in_at(&world.app, "ann", 3, Client::Unknown);
        assert!(!is_known(&world.app, Client::Unknown), "nobody knows where that is");
    });
}

#[test]
fn a_log_in_counts_against_the_account_whichever_of_its_names_it_names() {
    on_every_engine(|world| {
        let bob = with_password(world, "Bób");
        let change = UserChange { email: Some("bob@example.org".to_owned()), ..UserChange::default() };
        world.app.write(|tx| users::update(tx, &operator(), &selector(&bob), &change)).unwrap();
        let subject = |name: &str| attempt(world, name).subject;
        let account = Subject::Account(bob.key().unwrap());
        for name in ["Bób", "BÓB", "Bo\u{301}b", "bob@example.org", "BOB@Example.org"] {
            assert_eq!(subject(name), account, "{name}");
        }
        world.app.write(|tx| users::set_active(tx, &operator(), &selector(&bob), false)).unwrap();
        assert_eq!(subject("bob@example.org"), account, "deactivated");
        for name in ["nób", "NÓB", "No\u{301}b"] {
            assert_eq!(subject(name), Subject::Nobody("nób".to_owned()), "{name}");
        }
    });
}

#[test]
fn an_access_token_is_valid_for_ten_minutes_and_a_refresh_token_for_thirty_days() {
    on_every_engine(|world| {
        with_password(world, "ann");
        let logged_in = log_in(&world.app, "ann", 1);
        acting(&world.later(LIFETIME - 1), &claims(&logged_in)).unwrap();
        assert_refused!(acting(&world.later(LIFETIME), &claims(&logged_in)), Unauthenticated);
        let revoked = |seconds| world.later(seconds).read(|tx| tokens::must_not_be_revoked(tx, &claims(&logged_in)));
        revoked(LIFETIME).unwrap();
        assert_refused!(refresh(&world.later(REFRESH_LIFETIME), secret(1)), Unauthenticated);
        let second = refresh(&world.later(REFRESH_LIFETIME - 1), secret(1)).unwrap().refresh;
        assert_refused!(refresh(&world.later(REFRESH_LIFETIME), secret(1)), Unauthenticated);
        refresh(&world.later(2 * REFRESH_LIFETIME - 2), second).unwrap();
    });
}

#[test]
fn a_text_that_is_no_refresh_token_is_refused_and_revoked_without_a_word() {
    on_every_engine(|world| {
        with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let genuine = secret(1).token();
        for text in ["", "x", "ä\0", &genuine[1..], &format!("{genuine}="), &secret(9).token(), &"A".repeat(100_000)] {
            let refreshed = world.app.write(|tx| tokens::refresh(tx, &keys(), text, Client::Unknown)).unwrap();
            assert_refused!(refreshed.or_refuse(), Unauthenticated);
            world.app.write(|tx| tokens::revoke(tx, text)).unwrap();
        }
        refresh(&world.app, secret(1)).unwrap();
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
            refresh(&world.app, secret(number)).unwrap();
        }
        for token in [secret(1), next(secret(21))] {
            world.app.write(|tx| tokens::revoke(tx, &token.token())).unwrap();
        }
        assert_refused!(refresh(&world.app, next(secret(1))), Unauthenticated);
        assert_refused!(refresh(&world.app, next(secret(21))), Unauthenticated);
        assert_eq!(refresh(&world.app, next(secret(11))).unwrap().user.person.username, "ann");
    });
}

#[test]
fn only_the_operator_and_admins_issue_tokens() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        let issue = |actor: &Actor, user: &str, number: u8| {
            world.app.write(|tx| tokens::issue(tx, actor, &UserSelector::from(user.to_owned()), secret(number)))
        };
        for (number, actor, user) in [(1, &operator(), "bob"), (2, &ann, "BOB"), (3, &ann, "ann")] {
            let issued = issue(actor, user, number).unwrap();
            acting(&world.app, &claims(&issued)).unwrap();
            refresh(&world.app, secret(number)).unwrap();
        }
        assert_refused!(issue(&bob, "bob", 4), Forbidden);
        assert_refused!(issue(&bob, "ann", 4), Forbidden);
        assert_refused!(issue(&ann, "nobody", 4), NotFound);
        world.app.write(|tx| users::set_active(tx, &ann, &selector(&eve), false)).unwrap();
        assert_refused!(issue(&operator(), "eve", 4), Forbidden);
    });
}

#[test]
fn users_revoke_their_own_tokens_and_admins_and_the_operator_anothers() {
    on_every_engine(|world| {
        let [ann, bob, _] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        let revoke = |actor: &Actor, user: &str| {
            world.app.write(|tx| tokens::revoke_all(tx, actor, &UserSelector::from(user.to_owned())))
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
        refresh(&world.app, secret(21)).unwrap();
        assert_eq!((kept(world, &ann), revoke(&world.app), kept(world, &ann)), (4, 2, 0));
        log_in(&world.app, "ann", 31);
        assert_eq!(revoke(&world.later(REFRESH_LIFETIME)), 0, "expired");
    });
}

#[test]
fn a_better_hash_takes_only_the_place_of_the_one_that_was_verified() {
    on_every_engine(|world| {
        with_password(world, "ann");
        let hash = || world.app.read(|tx| login(tx, "ann")).unwrap().password_hash.unwrap();
        let before = world.app.read(|tx| login(tx, "ann")).unwrap();
        let log_in = |better: &str, number| {
            world.app.write(|tx| tokens::log_in(tx, &before, Some(better), secret(number), None)).unwrap()
        };
        log_in(OTHER_HASH, 1);
        assert_eq!(hash(), OTHER_HASH);
        log_in(HASH, 2);
        assert_eq!(hash(), OTHER_HASH, "another log-in was first");
        refresh(&world.app, secret(1)).unwrap();
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
        refresh(&later, secret(11)).unwrap();
        assert_eq!(kept(world, &ann), 3);
        refresh(&later, next(secret(11))).unwrap();
        assert_eq!(kept(world, &ann), 3);
    });
}

#[test]
fn two_refreshes_of_one_token_at_once_give_the_same_successor() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let (one, other) = meanwhile(world, |tx| refreshed(tx, secret(1)), |tx| refreshed(tx, secret(1)));
        for outcome in [one, other] {
            assert_eq!(outcome.unwrap().or_refuse().unwrap().refresh.token(), next(secret(1)).token());
        }
        assert_eq!(kept(world, &ann), 2);
        refresh(&world.app, next(secret(1))).unwrap();
    });
}

#[test]
fn a_theft_ends_also_what_is_refreshed_at_once() {
    on_every_engine(|world| {
        with_password(world, "ann");
        let of = |first: u8| {
            let earlier = world.later(-AGAIN);
            let used = log_in(&earlier, "ann", first).refresh;
            let second = refresh(&earlier, used).unwrap().refresh;
            (used, refresh(&earlier, second).unwrap().refresh)
        };
        let (used, current) = of(1);
        let (stolen, _) = meanwhile(world, |tx| refreshed(tx, used), |tx| refreshed(tx, current));
        assert_refused!(stolen.unwrap().or_refuse(), Unauthenticated);
        assert_refused!(refresh(&world.app, next(current)), Unauthenticated);
        let (used, current) = of(21);
        let (_, stolen) = meanwhile(world, |tx| refreshed(tx, current), |tx| refreshed(tx, used));
        assert_refused!(stolen.unwrap().or_refuse(), Unauthenticated);
        assert_refused!(refresh(&world.app, next(current)), Unauthenticated);
    });
}

#[test]
fn a_log_in_that_is_revoked_while_it_is_refreshed_ends() {
    on_every_engine(|world| {
        let ann = with_password(world, "ann");
        log_in(&world.app, "ann", 1);
        let token = secret(1).token();
        let (_, revoked) = meanwhile(world, |tx| refreshed(tx, secret(1)), |tx| tokens::revoke(tx, &token));
        revoked.unwrap();
        assert_refused!(refresh(&world.app, next(secret(1))), Unauthenticated);
        log_in(&world.app, "ann", 11);
        let revoke = |tx: &mut Tx<'_>| tokens::revoke_all(tx, &ann, &selector(&ann));
        let (_, revoked) = meanwhile(world, |tx| refreshed(tx, secret(11)), revoke);
        assert_eq!(revoked.unwrap().1, 1);
        assert_refused!(refresh(&world.app, next(secret(11))), Unauthenticated);
        assert_eq!(kept(world, &ann), 0);
    });
}

#[test]
fn a_refresh_token_of_a_clock_that_was_ahead_does_not_count() {
    on_every_engine(|world| {
        with_password(world, "ann");
        for (number, ahead, counts) in [(1, 60, true), (3, 61, false), (5, 10 * 365 * 24 * 60 * 60, false)] {
            log_in(&world.later(ahead), "ann", number);
            let token = secret(number).token();
            assert_eq!(world.app.read(|tx| tokens::must_be_valid(tx, &token)).is_ok(), counts, "{ahead}");
            assert_eq!(refresh(&world.app, secret(number)).is_ok(), counts, "{ahead}");
        }
    });
}
