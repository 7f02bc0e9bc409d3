//! Every statement of the store is looked at before it runs: debug builds refuse one that reads a whole table, or whose
//! parameters are out of order. Here all of them run.

#![cfg(debug_assertions)]

use std::fs;
use std::path::Path;

use tidings::model::{ConversationSelector, Level, MessageSelector, UserSelector};
use tidings::service::conversations::ConversationChange;
use tidings::service::messages::{Change, Draft, List};
use tidings::service::users::UserChange;
use tidings::service::{accounts, conversations, messages, notifications, users};
use tidings::store;

use crate::layers::files;
use crate::support::{draft, on_every_engine, operator, place, selector};

/// How many statements the files of the store hold: one for each call that runs one
fn statements_in_the_source() -> usize {
    let calls = ["tx.all(", "tx.one(", "tx.only(", "tx.run("];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let texts = files(&folder).into_iter().map(|file| fs::read_to_string(file).unwrap());
    texts.map(|text| calls.iter().map(|call| text.matches(call).count()).sum::<usize>()).sum()
}

#[test]
fn no_statement_of_the_store_reads_a_whole_table() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        let app = &world.app;
        world.group("team", &ann, &[&bob, &eve]);
        let root = world.send(&ann, "team", "hello, @bob");
        world.reply(&bob, "team", &root, "hi");
        let once = Draft { idempotency_key: Some("k".to_owned()), ..draft("team", "once") };
        for _ in 0..2 {
            app.write(|tx| messages::send(tx, &ann, &once)).unwrap();
        }
        let direct = Draft { destination: messages::Destination::User(selector(&bob)), ..draft("", "just you") };
        app.write(|tx| messages::send(tx, &eve, &direct)).unwrap();

        let first: MessageSelector = "team#1".parse().unwrap();
        let by_id = MessageSelector::Id(root.message_id);
        let change = Change { content: "hello, @eve".to_owned(), ..Change::default() };
        app.write(|tx| messages::edit(tx, &ann, &first, &change)).unwrap();
        app.write(|tx| messages::restore(tx, &ann, &first, 1)).unwrap();
        app.read(|tx| messages::history(tx, &bob, &by_id)).unwrap();

        let all = List { conversation: None, limit: 10, ..List::default() };
        let team = List { conversation: Some(place("team")), ..all.clone() };
        for request in [
            all.clone(),
            List { sender: Some(selector(&ann)), ..all.clone() },
            List { receiver: Some(selector(&bob)), ..all.clone() },
            List { unread: true, ..all.clone() },
            List { unread: true, ..team.clone() },
            List { before: Some(tidings::model::Number(9)), ..team.clone() },
            List { after: Some(tidings::model::Number(1)), ..team.clone() },
            team,
        ] {
            app.read(|tx| messages::list(tx, &bob, &request)).unwrap();
        }
        app.read(|tx| messages::list(tx, &operator(), &all)).unwrap();

        app.write(|tx| {
            let owner = notifications::owner(tx, &bob, None)?;
            notifications::set_read(tx, &bob, &owner, std::slice::from_ref(&first), true)?;
            notifications::list(tx, &bob, &owner, None, false, 10)?;
            notifications::list(tx, &bob, &owner, None, true, 10)?;
            notifications::count(tx, &owner)?;
            messages::read_conversation(tx, &bob, &owner, &place("team"))?;
            notifications::read_all(tx, &bob, &owner)
        })
        .unwrap();

        app.read(|tx| {
            conversations::list(tx, &bob, None, None, Some("t"), 10)?;
            conversations::list(tx, &operator(), None, None, None, 10)?;
            conversations::show(tx, &bob, &ConversationSelector::Id(root.conversation))?;
            users::list(tx, &bob, "", Some("a"), 10)?;
            let sender = root.sender.as_ref().map(|sender| UserSelector(sender.user_id.to_string()));
            users::show(tx, &bob, &sender.unwrap())?;
            store::users::count(tx)?;
            store::conversations::count(tx)
        })
        .unwrap();
        app.write(|tx| {
            conversations::set_level(tx, &bob, &place("team"), Level::None)?;
            let title = ConversationChange { title: Some("Title".to_owned()), ..ConversationChange::default() };
            conversations::update(tx, &ann, &place("team"), &title)?;
            conversations::remove(tx, &ann, &place("team"), &[selector(&eve)])?;
            let email = UserChange { email: Some("bob@example.org".to_owned()), ..UserChange::default() };
            users::update(tx, &operator(), &selector(&bob), &email)?;
            users::set_password(tx, &operator(), &UserSelector("bob@example.org".to_owned()), None)?;
            users::set_active(tx, &ann, &selector(&bob), false)?;
            users::update(
                tx,
                &operator(),
                &selector(&ann),
                &UserChange { role: Some(tidings::model::Role::User), ..UserChange::default() },
            )?;
            users::update(
                tx,
                &operator(),
                &selector(&ann),
                &UserChange { role: Some(tidings::model::Role::Admin), ..UserChange::default() },
            )
        })
        .unwrap();
        app.write(|tx| messages::delete(tx, &ann, std::slice::from_ref(&first))).unwrap();
        world.group("other", &ann, &[&bob]);
        app.write(|tx| conversations::delete(tx, &ann, &place("other"))).unwrap();
        let last_admin = app.write(|tx| accounts::delete(tx, &ann, &selector(&ann)));
        crate::assert_refused!(last_admin, Forbidden);
        app.write(|tx| accounts::delete(tx, &operator(), &selector(&ann))).unwrap();
    });
    let checked = store::checked_statements();
    let expected = statements_in_the_source();
    assert!(checked.len() >= expected, "{} statements of {expected} ran: {checked:#?}", checked.len());
}
