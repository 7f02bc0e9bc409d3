//! Several people in one command: it is done to all of them or to none, and the last admin among them is kept, in whatever
//! order they are named.

use tidings::model::{Actor, Role, UserSelector};
use tidings::service::users::{self, UserChange};
use tidings::service::{accounts, conversations};

use crate::assert_refused;
use crate::support::{World, on_every_engine, operator, place, selector};

fn is_there(world: &World, user: &Actor) -> bool {
    world.app.read(|tx| users::show(tx, &operator(), &selector(user))).is_ok()
}

#[test]
fn an_admin_does_not_delete_the_last_two_at_once() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.admin("bob"), world.user("eve")];
        let delete = |actor: &Actor, users: &[&Actor]| {
            let selectors: Vec<UserSelector> = users.iter().map(|user| selector(user)).collect();
            world.app.write(|tx| accounts::delete(tx, actor, &selectors))
        };
        for users in [[&ann, &bob], [&bob, &ann]] {
            for actor in [&ann, &bob] {
                assert_refused!(delete(actor, &users), Forbidden);
            }
        }
        for users in [[&eve, &ann, &bob], [&ann, &eve, &bob], [&bob, &ann, &eve]] {
            assert_refused!(delete(&ann, &users), Forbidden);
        }
        assert!([&ann, &bob, &eve].iter().all(|user| is_there(world, user)), "nobody was deleted");
        // One who is not active is no admin who could stand in.
        let gus = world.admin("gus");
        world.app.write(|tx| users::set_active(tx, &ann, &selector(&gus), false)).unwrap();
        assert_refused!(delete(&ann, &[&ann, &bob]), Forbidden);
        assert_refused!(delete(&ann, &[&gus, &ann, &bob]), Forbidden);
        delete(&ann, &[&gus, &bob]).unwrap();
        assert_refused!(delete(&ann, &[&ann]), Forbidden);
        delete(&operator(), &[&ann, &eve]).unwrap();
    });
}

#[test]
fn no_row_of_changes_leaves_an_admin_without_another() {
    on_every_engine(|world| {
        let [ann, bob] = [world.admin("ann"), world.admin("bob")];
        let change = |actor: &Actor, user: &Actor, change: &UserChange| {
            world.app.write(|tx| users::update(tx, actor, &selector(user), change))
        };
        let demote = UserChange { role: Some(Role::User), ..UserChange::default() };
        let deactivate = UserChange { is_active: Some(false), ..UserChange::default() };
        let both = UserChange { role: Some(Role::User), is_active: Some(false), ..UserChange::default() };
        // In one transaction: what the first step did counts for the second.
        let two_steps = world.app.write(|tx| {
            users::update(tx, &ann, &selector(&bob), &demote)?;
            accounts::delete(tx, &ann, &[selector(&ann)])
        });
        assert_refused!(two_steps, Forbidden);
        assert_eq!(world.app.read(|tx| users::show(tx, &ann, &selector(&bob))).unwrap().person().username, "bob");
        change(&ann, &bob, &both).unwrap();
        let back = UserChange { role: Some(Role::Admin), is_active: Some(true), ..UserChange::default() };
        for last in [&demote, &deactivate, &both] {
            assert_refused!(change(&bob, &ann, last), Forbidden);
        }
        change(&ann, &bob, &back).unwrap();
        change(&bob, &ann, &deactivate).unwrap();
    });
}

#[test]
fn of_several_people_added_or_removed_all_are_or_none() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        let nobody = UserSelector::from("nobody".to_owned());
        let add = |people: &[UserSelector]| world.app.write(|tx| conversations::add(tx, &ann, &place("team"), people));
        let remove =
            |people: &[UserSelector]| world.app.write(|tx| conversations::remove(tx, &ann, &place("team"), people));
        let people = || {
            let view = world.app.read(|tx| conversations::show(tx, &ann, &place("team"))).unwrap();
            let mut names: Vec<String> = view.participants.into_iter().map(|person| person.username).collect();
            names.sort();
            names
        };
        assert_refused!(add(&[selector(&eve), nobody.clone()]), NotFound);
        assert_eq!(people(), ["ann", "bob"]);
        assert_refused!(remove(&[selector(&bob), nobody]), NotFound);
        assert_refused!(remove(&[selector(&bob), selector(&eve)]), NotFound);
        assert_eq!(people(), ["ann", "bob"]);
    });
}
