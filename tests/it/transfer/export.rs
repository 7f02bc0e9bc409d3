//! All there is about a person: whose it may be, and that nothing is missing however long it is

use serde_json::Value;
use tidings::model::{Actor, MessageSelector};
use tidings::service::messages::{self, MessageEdit};
use tidings::service::{accounts, conversations};
use tidings::transfer::Interruption;
use tidings::transfer::export::export;

use crate::support::{World, on_every_engine, operator, place, selector};

fn exported(world: &World, actor: &Actor, user: &Actor) -> Result<Value, Interruption> {
    let mut document = Vec::new();
    export(&world.app, actor, &selector(user), None, &mut document)?;
    Ok(serde_json::from_slice(&document).unwrap())
}

fn len(document: &Value, part: &str) -> usize {
    document[part].as_array().unwrap().len()
}

#[test]
fn only_the_person_admins_and_the_operator_get_an_export() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.admin("ann"), world.user("bob"), world.user("eve")];
        for actor in [&ann, &bob, &operator()] {
            assert_eq!(exported(world, actor, &bob).unwrap()["user"]["username"], "bob");
        }
        match exported(world, &eve, &bob) {
            Err(Interruption::Refused(error)) => {
                crate::assert_refused!(Err::<(), _>(error), Forbidden);
            }
            other => panic!("not refused: {other:?}"),
        }
    });
}

#[test]
fn an_export_holds_every_page_of_what_deleting_the_account_would_take_away() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        let root = world.send(&ann, "team", "hello, @bob");
        for number in 0..250 {
            world.send(&bob, "team", &format!("number {number}"));
        }
        for number in 0..120 {
            let edit = MessageEdit { content: format!("hello {number}"), ..MessageEdit::default() };
            let by = if number == 7 { operator() } else { ann.clone() };
            let message = MessageSelector::Id(root.message_id);
            world.app.write(|tx| messages::edit(tx, &by, &message, &edit)).unwrap();
        }
        // As an importer may bring it: somebody changed what another said.
        world.execute(
            "UPDATE revision SET editor_key = (SELECT key FROM account WHERE username = 'eve') WHERE revision <= 110",
        );
        let of_ann = exported(world, &ann, &ann).unwrap();
        let history = of_ann["messages_sent"][0]["revisions"].as_array().unwrap();
        assert_eq!(history.len(), 120);
        assert!(history.iter().zip((1..=120).rev()).all(|(revision, number)| revision["revision"] == number));
        assert_eq!(len(&of_ann, "notifications"), 250);
        assert_eq!(of_ann["conversations"][0]["participants"].as_array().unwrap().len(), 3);

        let of_eve = exported(world, &eve, &eve).unwrap();
        assert_eq!((len(&of_eve, "messages_sent"), len(&of_eve, "revisions")), (0, 110));

        world.app.write(|tx| conversations::remove(tx, &bob, &place("team"), &[selector(&bob)])).unwrap();
        let of_bob = exported(world, &bob, &bob).unwrap();
        assert_eq!((len(&of_bob, "conversations"), len(&of_bob, "notifications")), (0, 0));
        assert_eq!(len(&of_bob, "messages_sent"), 250, "one's own words stay one's own after leaving");
        let numbers = of_bob["messages_sent"].as_array().unwrap().iter().map(|sent| sent["number"].as_i64().unwrap());
        assert!(numbers.eq((2..=251).rev()), "newest first, each once");
        for user in [&ann, &bob, &eve] {
            let document = exported(world, user, user).unwrap();
            let receipt = world.app.try_out(|tx| accounts::delete(tx, user, &[selector(user)])).unwrap();
            assert_eq!(receipt.messages_sent, i64::try_from(len(&document, "messages_sent")).unwrap());
            assert_eq!(receipt.messages_received, i64::try_from(len(&document, "messages_received")).unwrap());
            assert_eq!(receipt.participations, i64::try_from(len(&document, "conversations")).unwrap());
        }
    });
}
