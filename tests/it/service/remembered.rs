//! What is remembered of a request goes with what it made: a hash of a short text gives the text away.

use tidings::model::{Actor, MessageSelector};
use tidings::service::accounts;
use tidings::service::conversations::{self, NewConversation};
use tidings::service::messages::{self, Draft};
use tidings::store::{idempotency, users};

use crate::assert_refused;
use crate::support::{World, draft, on_every_engine, operator, place, selector};

/// What is remembered of a key: the hash of its request; none where nothing is
fn remembered(world: &World, actor: &Actor, key: &str) -> Option<Vec<u8>> {
    let dry = tidings::app::App::new(
        tidings::store::Db::open(&world.location, true).unwrap().0,
        tidings::app::Options { dry_run: true, ..tidings::app::Options::default() },
    );
    let taken = dry.write(|tx| idempotency::take(tx, actor.key().unwrap(), key, b"a look")).unwrap();
    taken.map(|remembered| remembered.request_hash)
}

fn send(world: &World, sender: &Actor, draft: &Draft, key: &str) {
    let draft = Draft { idempotency_key: Some(key.to_owned()), ..draft.clone() };
    world.app.write(|tx| messages::send(tx, sender, &draft)).unwrap();
}

fn number(conversation: &str, number: i64) -> MessageSelector {
    format!("{conversation}#{number}").parse().unwrap()
}

#[test]
fn the_hash_of_a_request_goes_with_its_message_by_whatever_way_that_goes() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        for name in ["team", "club", "pair"] {
            world.group(name, &ann, &[&bob, &eve]);
        }
        let to_bob = Draft { receiver: Some(selector(&bob)), ..draft("team", "yes") };
        send(world, &ann, &draft("team", "yes"), "deleted");
        send(world, &ann, &draft("team", "yes"), "tombstone");
        send(world, &ann, &draft("team", "yes"), "edited");
        send(world, &ann, &draft("club", "yes"), "of a conversation");
        send(world, &ann, &draft("pair", "yes"), "of a group that ends");
        send(world, &ann, &to_bob, "received");
        send(world, &ann, &draft("team", "yes"), "kept");
        let parent = world.app.read(|tx| messages::show(tx, &ann, &number("team", 2))).unwrap();
        world.reply(&bob, "team", &parent, "a reply");
        let keys = ["deleted", "tombstone", "edited", "of a conversation", "of a group that ends", "received", "kept"];
        let hashes = || keys.map(|key| remembered(world, &ann, key).expect(key).len());
        assert_eq!(hashes(), [32; 7]);

        for gone in [1, 2, 3] {
            world.app.write(|tx| messages::delete(tx, &ann, &[number("team", gone)])).unwrap();
        }
        assert_eq!(hashes(), [0, 0, 0, 32, 32, 32, 32]);
        world.app.write(|tx| conversations::delete(tx, &ann, &place("club"))).unwrap();
        assert_eq!(hashes(), [0, 0, 0, 0, 32, 32, 32]);
        let everybody = [&ann, &bob, &eve].map(selector);
        world.app.write(|tx| conversations::remove(tx, &ann, &place("pair"), &everybody)).unwrap();
        assert_eq!(hashes(), [0, 0, 0, 0, 0, 32, 32]);
        world.app.write(|tx| accounts::delete(tx, &bob, &[selector(&bob)])).unwrap();
        assert_eq!(hashes(), [0, 0, 0, 0, 0, 0, 32]);

        // The keys stay taken: a request that comes late makes nothing anew.
        for key in &keys[..6] {
            let again = Draft { idempotency_key: Some((*key).to_owned()), ..draft("team", "yes") };
            assert_refused!(world.app.write(|tx| messages::send(tx, &ann, &again)), Conflict);
        }
        // With the account go the keys.
        world.app.write(|tx| accounts::delete(tx, &operator(), &[selector(&ann)])).unwrap();
        assert_eq!(keys.map(|key| remembered(world, &ann, key)), [const { None }; 7]);
    });
}

#[test]
fn a_request_that_made_a_conversation_makes_it_once_and_not_anew_when_it_is_gone() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        let new = NewConversation {
            participants: vec![selector(&bob)],
            title: Some("Title".to_owned()),
            ..NewConversation::default()
        };
        let create = |new: &NewConversation| world.app.write(|tx| conversations::create_once(tx, &ann, new, Some("k")));
        let (first, _) = create(&new).unwrap();
        assert_eq!(create(&new).unwrap().0.conversation_id, first.conversation_id);
        assert_refused!(create(&NewConversation { title: Some("Other".to_owned()), ..new.clone() }), Conflict);
        assert_eq!(remembered(world, &ann, "k").expect("k").len(), 32);
        // Another's key is another key.
        let by_bob = NewConversation { participants: vec![selector(&ann)], ..new.clone() };
        let bobs = world.app.write(|tx| conversations::create_once(tx, &bob, &by_bob, Some("k"))).unwrap().0;
        assert_ne!(bobs.conversation_id, first.conversation_id);
        let id = tidings::model::ConversationSelector::Id(first.conversation_id);
        world.app.write(|tx| conversations::delete(tx, &ann, &id)).unwrap();
        assert_eq!(remembered(world, &ann, "k").expect("k").len(), 0);
        assert_refused!(create(&new), Conflict);
        assert_eq!(world.app.read(users::count).unwrap(), 2);
    });
}
