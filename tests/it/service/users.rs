//! Names, emails, roles, passwords; who may act; finding people.

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, password_hash};
use tidings::error::Result;
use tidings::model::{Actor, Profile, Role, User, UserDetails, UserId, UserSelector, normalize};
use tidings::service::users::{self, NewUser, UserChange};
use tidings::service::{self, accounts, conversations, messages, notifications, passwords};

use crate::assert_refused;
use crate::support::{World, account, draft, new_user, on_every_engine, operator, place, selector};

fn named(text: &str) -> UserSelector {
    UserSelector::from(text.to_owned())
}

fn with_email(name: &str, email: &str) -> NewUser {
    let new = new_user(name, Role::User);
    NewUser { details: UserDetails { email: Some(email.to_owned()), ..new.details }, ..new }
}

fn rename(name: &str) -> UserChange {
    UserChange { username: Some(name.to_owned()), ..UserChange::default() }
}

fn new_email(email: &str) -> UserChange {
    UserChange { email: Some(email.to_owned()), ..UserChange::default() }
}

fn new_role(role: Role) -> UserChange {
    UserChange { role: Some(role), ..UserChange::default() }
}

fn create(world: &World, new: &NewUser) -> Result<User> {
    world.app.write(|tx| Ok(users::create(tx, &operator(), new)?.0))
}

fn update(world: &World, actor: &Actor, user: &str, change: &UserChange) -> Result<User> {
    world.app.write(|tx| users::update(tx, actor, &named(user), change))
}

fn found(world: &World, actor: &Actor, search: &str) -> Vec<String> {
    let page = world.app.read(|tx| users::list(tx, actor, "", &crate::support::searched(search), 100)).unwrap();
    page.iter().map(|profile| profile.person().username.clone()).collect()
}

#[test]
fn usernames_are_as_odd_as_real_ones_and_kept_as_given() {
    on_every_engine(|world| {
        let longest = "é".repeat(150);
        for name in ["|trey|", "[[mandrix]]", "encKe`", "--help", "a%_\\b", "o'n\"eil", "小明", "🎉", "<b>", &longest]
        {
            create(world, &new_user(name, Role::User)).unwrap();
            let profile = world.app.read(|tx| users::show(tx, &operator(), &named(name))).unwrap();
            assert_eq!(profile.person().username, name);
        }
    });
}

#[test]
fn a_username_that_breaks_a_rule_is_refused() {
    on_every_engine(|world| {
        world.user("ann");
        let [white, uuids] = [
            ["a b", " a", "a\n", "a\u{a0}b", "a\u{3000}b"],
            ["", "0199f3c2-0000-7000-8000-00000000000a", "0199F3C2-0000-7000-8000-00000000000A", "a@b.c", "@a"],
        ];
        let long = "é".repeat(151);
        let others = ["a\0b", "a\u{7}b", "a\u{85}b", "a/b", "a#1", "a:b", &long];
        for name in white.iter().chain(&uuids).chain(&others) {
            assert_refused!(create(world, &new_user(name, Role::User)), Invalid);
            assert_refused!(update(world, &operator(), "ann", &rename(name)), Invalid);
        }
        assert_eq!(found(world, &operator(), ""), ["ann"]);
    });
}

#[test]
fn a_username_is_kept_in_nfc_and_found_in_any_form() {
    on_every_engine(|world| {
        let created = create(world, &new_user("Andre\u{301}", Role::User)).unwrap();
        assert_eq!(created.person.username, "André");
        for form in ["Andre\u{301}", "andré", "ANDRÉ"] {
            let profile = world.app.read(|tx| users::show(tx, &operator(), &named(form))).unwrap();
            assert_eq!(profile.person().user_id, created.person.user_id);
        }
        let decomposed = "e\u{301}".repeat(150);
        assert_eq!(create(world, &new_user(&decomposed, Role::User)).unwrap().person.username, normalize(&decomposed));
    });
}

#[test]
fn usernames_are_unique_ignoring_case_beyond_ascii() {
    on_every_engine(|world| {
        world.user("other");
        for (name, same) in [("Ann", "aNN"), ("Ärger", "äRGER"), ("straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος")]
        {
            create(world, &new_user(name, Role::User)).unwrap();
            assert_refused!(create(world, &new_user(same, Role::User)), Conflict);
            assert_refused!(update(world, &operator(), "other", &rename(same)), Conflict);
            let renamed = update(world, &operator(), name, &rename(same)).unwrap();
            assert_eq!(renamed.person.username, same, "one's own name in another case is free");
        }
        create(world, &new_user("resume", Role::User)).unwrap();
        create(world, &new_user("résumé", Role::User)).unwrap();
    });
}

#[test]
fn an_email_is_optional_and_checked() {
    on_every_engine(|world| {
        assert_eq!(create(world, &new_user("ann", Role::User)).unwrap().email, None);
        let bob = create(world, &with_email("bob", "Bob.O'Neil+x@mail.example.org")).unwrap();
        assert_eq!(bob.email.as_deref(), Some("Bob.O'Neil+x@mail.example.org"));
        for email in ["eve", "@b.c", "eve@", "e ve@b.c", "eve@b..c", "eve@b@c", "eve@b.c\n", "e\0e@b.c", " eve@b.c"] {
            assert_refused!(create(world, &with_email("eve", email)), Invalid);
            assert_refused!(update(world, &operator(), "bob", &new_email(email)), Invalid);
        }
    });
}

#[test]
fn emails_are_unique_ignoring_case() {
    on_every_engine(|world| {
        create(world, &with_email("ann", "Jürgen@example.org")).unwrap();
        assert_refused!(create(world, &with_email("bob", "JÜRGEN@EXAMPLE.ORG")), Conflict);
        assert_refused!(world.app.read(|tx| users::show(tx, &operator(), &named("bob"))), NotFound);
        create(world, &with_email("bob", "bob@example.org")).unwrap();
        assert_refused!(update(world, &operator(), "bob", &new_email("jürgen@Example.org")), Conflict);
        let own = update(world, &operator(), "ann", &new_email("JÜRGEN@example.org")).unwrap();
        assert_eq!(own.email.as_deref(), Some("JÜRGEN@example.org"));
    });
}

#[test]
fn an_empty_email_is_removed_and_free_for_others() {
    on_every_engine(|world| {
        create(world, &with_email("ann", "ann@example.org")).unwrap();
        assert_eq!(
            update(world, &operator(), "ann", &rename("Ann")).unwrap().email.as_deref(),
            Some("ann@example.org")
        );
        assert_eq!(update(world, &operator(), "ann", &new_email("")).unwrap().email, None);
        create(world, &with_email("bob", "ann@example.org")).unwrap();
    });
}

#[test]
fn a_username_holds_an_at_sign_only_while_it_is_its_users_own_email() {
    on_every_engine(|world| {
        create(world, &with_email("Ann@example.org", "ann@Example.org")).unwrap();
        create(world, &with_email("bob", "bob@example.org")).unwrap();
        assert_refused!(create(world, &with_email("eve@example.org", "eve@example.com")), Invalid);
        assert_refused!(update(world, &operator(), "bob", &rename("ann@example.org")), Invalid);
        let ann = "ann@example.org";
        assert_refused!(update(world, &operator(), ann, &new_email("")), Invalid);
        assert_refused!(update(world, &operator(), ann, &new_email("ann@example.com")), Invalid);
        let both = UserChange { username: Some("ann@example.com".to_owned()), ..new_email("ann@example.com") };
        assert_eq!(update(world, &operator(), ann, &both).unwrap().person.username, "ann@example.com");
    });
}

#[test]
fn first_and_last_names_have_at_most_150_characters() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        let first = |name: &str| UserChange { first_name: Some(name.to_owned()), ..UserChange::default() };
        let last = |name: &str| UserChange { last_name: Some(name.to_owned()), ..UserChange::default() };
        for change in [first, last] {
            update(world, &ann, "ann", &change(&"é".repeat(150))).unwrap();
            assert_refused!(update(world, &ann, "ann", &change(&"é".repeat(151))), Invalid);
            assert_refused!(update(world, &ann, "ann", &change("a\0b")), Invalid);
        }
        let person = update(world, &ann, "ann", &first("")).unwrap().person;
        assert_eq!((person.first_name.as_str(), person.last_name), ("", "é".repeat(150)));
    });
}

#[test]
fn nobody_sets_their_own_role() {
    on_every_engine(|world| {
        let [ann, root, _] = [world.user("ann"), world.admin("root"), world.admin("other")];
        assert_refused!(update(world, &ann, "ann", &new_role(Role::Admin)), Forbidden);
        assert_refused!(update(world, &root, "root", &new_role(Role::User)), Forbidden);
        assert_eq!(update(world, &root, "ann", &new_role(Role::Admin)).unwrap().role, Role::Admin);
        assert_eq!(update(world, &root, "other", &new_role(Role::User)).unwrap().role, Role::User);
    });
}

#[test]
fn the_last_active_admin_goes_only_by_the_operator() {
    on_every_engine(|world| {
        let [ann, bob] = [world.admin("ann"), world.admin("bob")];
        let active = |actor: &Actor, user: &Actor, is_active: bool| {
            world.app.write(|tx| users::set_active(tx, actor, &selector(user), is_active))
        };
        active(&ann, &bob, false).unwrap();
        assert_refused!(world.app.write(|tx| accounts::delete(tx, &ann, &[selector(&ann)])), Forbidden);
        assert_refused!(active(&ann, &ann, false), Forbidden);
        assert_refused!(update(world, &bob, "ann", &new_role(Role::User)), Forbidden);
        assert_refused!(active(&bob, &ann, false), Forbidden);

        active(&operator(), &ann, false).unwrap();
        active(&operator(), &ann, true).unwrap();
        update(world, &operator(), "ann", &new_role(Role::User)).unwrap();
        update(world, &operator(), "ann", &new_role(Role::Admin)).unwrap();
        world.app.write(|tx| accounts::delete(tx, &operator(), &[selector(&ann)])).unwrap();
    });
}

#[test]
fn an_admin_who_is_not_the_last_may_go() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.admin("bob"), world.admin("eve")];
        world.app.write(|tx| users::set_active(tx, &ann, &selector(&bob), false)).unwrap();
        update(world, &ann, "bob", &new_role(Role::User)).unwrap();
        world.app.write(|tx| accounts::delete(tx, &ann, &[selector(&ann)])).unwrap();
        assert_refused!(world.app.write(|tx| accounts::delete(tx, &eve, &[selector(&eve)])), Forbidden);
    });
}

#[test]
fn a_password_has_8_characters_to_1024_bytes() {
    for password in ["żółć小明🎉x", "a b\tc\0d!", &"é".repeat(512)] {
        passwords::check(password, "ann").unwrap();
    }
    for password in ["", "żółć小明🎉", &"x".repeat(1025), &"é".repeat(513)] {
        assert_refused!(passwords::check(password, "ann"), Invalid);
    }
}

#[test]
fn a_password_is_neither_a_common_one_nor_the_username() {
    for password in ["password", "PassWord", "12345678", "Qwerty123", "Ärgerlich", "äRGERLICH", "A\u{308}rgerlich"] {
        assert_refused!(passwords::check(password, "ärgerlich"), Invalid);
    }
    passwords::check("Ärgerlicher", "ärgerlich").unwrap();
}

#[test]
fn a_hash_is_argon2id_salted_and_verifies_its_password_alone() {
    on_every_engine(|world| {
        let hash = tidings::app::hash_password("correct horse", "ann").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, tidings::app::hash_password("correct horse", "ann").unwrap());
        let verify =
            |password: &str| Argon2::default().verify_password(password.as_bytes(), &PasswordHash::new(&hash).unwrap());
        assert_eq!(verify("correct horse"), Ok(()));
        assert_eq!(verify("correct horsf"), Err(password_hash::Error::PasswordInvalid));
        let new = NewUser { password_hash: Some(hash.clone()), ..new_user("ann", Role::User) };
        create(world, &new).unwrap();
        assert_refused!(tidings::app::hash_password("short", "ann"), Invalid);
    });
}

#[test]
fn what_is_no_argon2_hash_is_no_password_hash() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        let bcrypt = "$2b$12$LQv3c1yqBWVHxkd0LHAkCOYz6TtxMQJqhN8/LewY5GyYqZ0rXy2Ce";
        for hash in ["", "correct horse", bcrypt, "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ"] {
            assert_refused!(world.app.write(|tx| users::set_password(tx, &ann, &selector(&ann), Some(hash))), Invalid);
            let new = NewUser { password_hash: Some(hash.to_owned()), ..new_user("bob", Role::User) };
            assert_refused!(create(world, &new), Invalid);
        }
        world.app.write(|tx| users::set_password(tx, &ann, &selector(&ann), None)).unwrap();
    });
}

#[test]
fn who_is_deactivated_cannot_act_keeps_everything_and_still_receives() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&bob, "team", "mine");
        let set = |is_active: bool| {
            world.app.write(|tx| users::set_active(tx, &operator(), &selector(&bob), is_active)).unwrap()
        };
        assert!(!set(false).is_active);
        assert_refused!(world.app.read(|tx| service::acting(tx, &selector(&bob))), Forbidden);
        world.send(&ann, "team", "for @bob");
        let view = world.app.read(|tx| conversations::show(tx, &ann, &place("team"))).unwrap();
        assert_eq!((view.participant_count, view.message_count), (2, 2));
        assert!(set(true).is_active);
        let again = world.app.read(|tx| service::acting(tx, &selector(&bob))).unwrap();
        assert_eq!(world.notifications(&again), [("mention".to_owned(), 2, false)]);
        world.app.write(|tx| messages::send(tx, &again, &draft("team", "back"))).unwrap();
    });
}

#[test]
fn if_not_exists_returns_the_existing_user_unchanged() {
    on_every_engine(|world| {
        let ann = create(world, &with_email("ann", "ann@example.org")).unwrap();
        let again = NewUser { if_not_exists: true, ..with_email("ANN", "other@example.org") };
        assert_eq!(world.app.write(|tx| users::create(tx, &operator(), &again)).unwrap(), (ann, false));
        let new = NewUser { if_not_exists: true, ..new_user("bob", Role::User) };
        assert!(world.app.write(|tx| users::create(tx, &operator(), &new)).unwrap().1);
        let taken = NewUser { if_not_exists: true, ..with_email("eve", "ANN@example.org") };
        assert_refused!(create(world, &taken), Conflict);
    });
}

#[test]
fn a_list_is_in_the_order_of_usernames_and_goes_on_after_one() {
    on_every_engine(|world| {
        for name in ["zoë", "Émile", "|trey|", "小明", "bob", "Ann", "_x", "[[m]]", "🎉", "Zoe"] {
            world.user(name);
        }
        let page = |after: &str| -> Vec<String> {
            let page =
                world.app.read(|tx| users::list(tx, &operator(), after, &users::Matching::default(), 4)).unwrap();
            page.iter().map(|profile| profile.person().username.clone()).collect()
        };
        assert_eq!(page(""), ["[[m]]", "_x", "Ann", "bob"]);
        assert_eq!(page("BOB"), ["Zoe", "zoë", "|trey|", "Émile"]);
        assert_eq!(page("émile"), ["小明", "🎉"]);
        assert_eq!(page("bobby"), page("bob"), "after a name that is not there");
    });
}

#[test]
fn a_search_finds_what_names_hold_ignoring_case_and_every_character_is_itself() {
    on_every_engine(|world| {
        for name in ["a%b", "a_b", "a\\b", "axb", "Ärger"] {
            world.user(name);
        }
        let names = UserChange {
            first_name: Some("Zoë".to_owned()),
            last_name: Some("O'Neil".to_owned()),
            ..UserChange::default()
        };
        update(world, &operator(), "axb", &names).unwrap();
        for (search, expected) in
            [("%", "a%b"), ("_", "a_b"), ("\\", "a\\b"), ("ÄRG", "Ärger"), ("zOË", "axb"), ("'neil", "axb")]
        {
            assert_eq!(found(world, &operator(), search), [expected], "{search}");
        }
        assert!(found(world, &operator(), "%b%").is_empty());
        assert_eq!(found(world, &operator(), "a").len(), 4);
    });
}

#[test]
fn emails_are_found_and_seen_by_admins_and_the_operator_only() {
    on_every_engine(|world| {
        let ann = Actor::User(create(world, &with_email("ann", "ann@secret.org")).unwrap());
        let [bob, root] = [world.user("bob"), world.admin("root")];
        assert_eq!(found(world, &root, "SECRET"), ["ann"]);
        assert_eq!(found(world, &operator(), "secret"), ["ann"]);
        assert!(found(world, &bob, "secret").is_empty());
        for (actor, sees) in [(&bob, false), (&ann, true), (&root, true), (&operator(), true)] {
            let shown = world.app.read(|tx| users::show(tx, actor, &selector(&ann))).unwrap();
            let listed =
                world.app.read(|tx| users::list(tx, actor, "", &crate::support::searched("ann"), 1)).unwrap().remove(0);
            assert!([shown, listed].iter().all(|profile| matches!(profile, Profile::Full(_)) == sees));
        }
    });
}

#[test]
fn a_user_is_named_by_id_username_or_email() {
    on_every_engine(|world| {
        let ann = create(world, &with_email("ann@example.org", "Ann@example.org")).unwrap();
        let bob = create(world, &with_email("bob", "bjørn@example.org")).unwrap();
        let id = ann.person.user_id.to_string();
        for (name, user) in [
            (id.as_str(), &ann),
            (&id.to_uppercase(), &ann),
            ("ANN@EXAMPLE.ORG", &ann),
            ("BOB", &bob),
            ("BJØRN@example.org", &bob),
        ] {
            assert_eq!(world.app.read(|tx| service::user(tx, &operator(), &named(name))).unwrap(), *user, "{name}");
        }
    });
}

#[test]
fn who_is_not_there_is_not_found_whatever_the_name() {
    on_every_engine(|world| {
        let id = "0199f3c2-0000-7000-8000-00000000000a";
        for name in ["ann", "", "%", id, "ann@example.org", "a b", "@ann"] {
            assert_refused!(world.app.read(|tx| service::user(tx, &operator(), &named(name))), NotFound);
            assert!(found(world, &operator(), name).is_empty());
        }
    });
}

#[test]
fn a_name_with_a_nul_finds_nobody_and_a_search_for_one_is_refused() {
    on_every_engine(|world| {
        world.user("ann");
        for name in ["\0", "a\0n", "ann\0@example.org"] {
            assert_refused!(world.app.read(|tx| service::user(tx, &operator(), &named(name))), NotFound);
            assert_refused!(
                world.app.read(|tx| users::list(tx, &operator(), "", &crate::support::searched(name), 100)),
                Invalid
            );
        }
    });
}

#[test]
fn nobody_takes_a_name_by_themselves_that_looks_like_anothers() {
    on_every_engine(|world| {
        let alice = Actor::User(world.register("alice").unwrap());
        for name in ["\u{430}li\u{441}e", "ａｌｉｃｅ", "\u{410}LICE", "a\u{406}ice", "alice\u{2800}"] {
            assert_refused!(world.register(name), Conflict);
            let eve = Actor::User(world.register("eve").unwrap());
            let renamed = UserChange { username: Some(name.to_owned()), ..UserChange::default() };
            assert_refused!(update(world, &eve, "eve", &renamed), Conflict);
            world.app.write(|tx| accounts::delete(tx, &eve, &[named("eve")])).unwrap();
        }
        world.register("bj\u{f8}rn").unwrap();
        world.register("bjorn").unwrap();
        for name in ["tom", "torn", "user1", "userl", "小明"] {
            world.register(name).unwrap();
        }
        let itself = UserChange { username: Some("\u{410}lice".to_owned()), ..UserChange::default() };
        update(world, &alice, "alice", &itself).unwrap();
        assert_refused!(world.register("alice"), Conflict);
        let back = UserChange { username: Some("alice".to_owned()), ..UserChange::default() };
        update(world, &alice, &itself.username.clone().unwrap(), &back).unwrap();
        world.register("\u{410}\u{432}").unwrap();
    });
}

#[test]
fn the_operator_and_admins_give_names_that_look_alike() {
    on_every_engine(|world| {
        world.register("alice").unwrap();
        let root = world.admin("root");
        for (at, (actor, name)) in
            [(operator(), "\u{430}lice"), (root.clone(), "a\u{4cf}ice"), (root, "ａlice")].into_iter().enumerate()
        {
            let new = new_user(&format!("x{at}"), Role::User);
            world.app.write(|tx| users::create(tx, &actor, &new)).unwrap();
            let renamed = UserChange { username: Some(name.to_owned()), ..UserChange::default() };
            update(world, &actor, &format!("x{at}"), &renamed).unwrap();
        }
        assert_refused!(world.register("ali\u{441}e"), Conflict);
        let (alike, count) = world.app.look_alikes().unwrap();
        assert_eq!((alike.len(), count), (1, 1));
        assert!(world.app.check(|_| {}).unwrap().is_empty());
    });
}

#[test]
fn a_name_from_before_there_was_a_rule_keeps_nobody_from_changing_the_rest() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        world.execute("UPDATE account SET username = 'ann' || '\u{200b}', username_folded = 'ann' || '\u{200b}'");
        let Actor::User(person) = &ann else { panic!() };
        let id = person.person.user_id.to_string();
        let renamed = |name: &str| UserChange { username: Some(name.to_owned()), ..UserChange::default() };
        let change = UserChange { first_name: Some("Ann".to_owned()), ..renamed("ann\u{200b}") };
        assert_eq!(update(world, &operator(), &id, &change).unwrap().person.first_name, "Ann");
        for actor in [&ann, &operator()] {
            assert_refused!(update(world, actor, &id, &renamed("ann\u{200b}\u{200b}")), Invalid);
        }
        update(world, &ann, &id, &renamed("ann")).unwrap();
    });
}

#[test]
fn a_list_has_the_users_of_a_role_and_a_state_for_those_who_administer() {
    on_every_engine(|world| {
        let [ann, bob] = [world.admin("ann"), world.user("bob")];
        world.user("carl");
        world.app.write(|tx| users::set_active(tx, &ann, &selector(&bob), false)).unwrap();
        let list = |actor: &Actor, role: Option<Role>, is_active: Option<bool>| {
            let matching = users::Matching { search: None, role, is_active };
            let page = world.app.read(|tx| users::list(tx, actor, "", &matching, 100))?;
            Ok(page.iter().map(|profile| profile.person().username.clone()).collect::<Vec<_>>())
        };
        for actor in [&ann, &operator()] {
            assert_eq!(list(actor, Some(Role::Admin), None).unwrap(), ["ann"]);
            assert_eq!(list(actor, Some(Role::User), None).unwrap(), ["bob", "carl"]);
            assert_eq!(list(actor, None, Some(false)).unwrap(), ["bob"]);
            assert_eq!(list(actor, Some(Role::User), Some(true)).unwrap(), ["carl"]);
        }
        let carl = world.app.read(|tx| service::acting(tx, &named("carl"))).unwrap();
        let refused: Result<Vec<String>> = list(&carl, Some(Role::Admin), None);
        assert_refused!(refused, Forbidden);
        assert_refused!(list(&carl, None, Some(true)), Forbidden);
        assert_refused!(
            world.app.read(|tx| users::accounts(tx, &carl, &users::Matching::default(), None, 9)),
            Forbidden
        );
    });
}

#[test]
fn several_accounts_are_deactivated_at_once_or_none() {
    on_every_engine(|world| {
        let [ann, eve] = [world.admin("ann"), world.admin("eve")];
        let [bob, carl] = ["bob", "carl"].map(|name| world.user(name));
        let ids = |users: &[&Actor]| -> Vec<UserId> {
            let id = |user: &&Actor| match user {
                Actor::User(user) => user.person.user_id,
                Actor::Operator(_) => panic!("the operator is nobody"),
            };
            users.iter().map(id).collect()
        };
        let set = |actor: &Actor, users: &[&Actor], is_active: bool| {
            world.app.write(|tx| users::set_all_active(tx, actor, &ids(users), is_active, None))
        };
        let active = || {
            let all =
                world.app.read(|tx| users::accounts(tx, &operator(), &users::Matching::default(), None, 9)).unwrap();
            all.items.iter().filter(|user| user.is_active).map(|user| user.person.username.clone()).collect::<Vec<_>>()
        };
        let newest = || world.app.read(tidings::store::events::newest).unwrap().0;
        assert_refused!(set(&bob, &[&carl], false), Forbidden);
        assert_refused!(set(&ann, &[&bob, &ann], false), Forbidden);
        assert_eq!(active(), ["ann", "bob", "carl", "eve"]);
        let before = newest();
        assert_eq!(set(&ann, &[&bob, &carl, &eve, &bob], false).unwrap(), 3);
        assert_eq!((newest() - before, active()), (3, vec!["ann".to_owned()]));
        assert_eq!(set(&ann, &[&bob, &carl], false).unwrap(), 0, "who is deactivated already does not count");
        assert_eq!(set(&ann, &[&bob], true).unwrap(), 1);
        let mut many = ids(&[&carl]);
        many.resize(service::MOST_NAMED + 1, many[0]);
        assert_refused!(world.app.write(|tx| users::set_all_active(tx, &ann, &many, true, None)), Invalid);
        assert_eq!(active(), ["ann", "bob"]);
    });
}

#[test]
fn only_those_who_administer_look_at_the_conversations_and_notifications_of_another() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &bob, &[&eve]);
        world.send(&eve, "team", "hello");
        let conversations = |actor: &Actor| {
            let page = world.app.read(|tx| conversations::page_of_user(tx, actor, account(&bob), None, 9))?;
            Ok(page.items.into_iter().map(|view| (view.name, view.unread_count)).collect::<Vec<_>>())
        };
        let newest = |actor: &Actor| world.app.read(|tx| notifications::newest_of(tx, actor, account(&bob), 9));
        for actor in [&ann, &operator()] {
            assert_eq!(conversations(actor).unwrap(), [(Some("team".to_owned()), Some(1))]);
            let (unread, all, told) = newest(actor).unwrap();
            assert_eq!((unread, all, told.len()), (1, 1, 1), "it stays unread");
        }
        for actor in [&bob, &eve] {
            let refused: Result<Vec<(Option<String>, Option<i64>)>> = conversations(actor);
            assert_refused!(refused, Forbidden);
            assert_refused!(newest(actor), Forbidden);
        }
    });
}

#[test]
fn admins_are_listed_without_a_look_at_everybody() {
    on_every_engine(|world| {
        world.admin("zoe");
        let add = |first: i64, last: i64| {
            world.insert(&format!(
                "WITH RECURSIVE step (number) AS (SELECT {first} UNION ALL SELECT number + 1 FROM step WHERE number < {last})
                 INSERT INTO account (id, username, username_folded, first_name, last_name, names_folded, role, created_at)
                 SELECT gen_random_uuid(), 'u' || number, 'u' || number, '', '', '{}', 0, 0 FROM step",
                "words ".repeat(40)
            ));
        };
        let looked = || {
            world.pages_read("account", |tx| {
                let admins = users::Matching { role: Some(Role::Admin), ..users::Matching::default() };
                let page = users::accounts(tx, &operator(), &admins, None, 50)?;
                assert_eq!(page.items.iter().map(|user| &*user.person.username).collect::<Vec<_>>(), ["zoe"]);
                Ok(())
            })
        };
        add(1, 2_000);
        let some = looked();
        add(2_001, 20_000);
        let many = looked();
        assert!(many <= some + 50, "{some} {many}");
    });
}
