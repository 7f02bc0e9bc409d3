//! Databases that a program of an older version made: what is in them stays, and is what it would be today.

use tidings::model::{UserKey, UserSelector};
use tidings::service::login::{self, Client};
use tidings::service::tokens::{self, Keys, Secret};
use tidings::service::{accounts, password_links, passwords};
use tidings::store;

use crate::support::{OLD_ROWS, brought_along_from, operator};

/// One of two people is logged in; three requests were carried out under keys
const ROWS: &str = "
    INSERT INTO refresh_token (hash, user_key, family, generation, created_at, expires_at, successor_hash)
        VALUES ('\\x72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793', 1, gen_random_uuid(), 1, 1, 1768122000000000, NULL);
    INSERT INTO idempotency (actor_key, key, request_hash, result_id, created_at)
        SELECT 0, 'ann@example.org', '\\x00', id, 1 FROM account WHERE username = 'ann';
    INSERT INTO idempotency (actor_key, key, request_hash, result_id, created_at)
        SELECT 1, 'bob', '\\x00', id, 1 FROM account WHERE username = 'bob';
    INSERT INTO idempotency (actor_key, key, request_hash, result_id, created_at)
        SELECT 1, 'hello', '\\x00', id, 1 FROM message WHERE number = 1;";

#[test]
fn a_database_of_an_older_version_is_brought_along_with_its_log_ins_and_without_hashes_over_passwords() {
    // What a shell can leave: a notification of no message.
    let stray = "PRAGMA foreign_keys = OFF;
        INSERT INTO notification (message_key, user_key, conversation_key, kind) VALUES (999, 1, 1, 0);";
    for version in [1, 2, 3] {
        // The messages were indexed by no program.
        let pending =
            if version > 1 { "INSERT INTO maintenance (task, since, position) VALUES (0, 5, 0);" } else { "" };
        brought_along_from(
            version,
            &[OLD_ROWS, ROWS, pending].concat(),
            if version < 3 { stray } else { "" },
            |world| {
                world.app.index().unwrap();
                assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
                let find = |owner, key: &str| {
                    world.app.read(|tx| store::idempotency::find(tx, UserKey(owner), key)).unwrap().is_some()
                };
                assert_eq!(
                    [(0, "ann@example.org"), (1, "bob"), (1, "hello")].map(|(of, key)| find(of, key)),
                    [false, false, true]
                );
                let keys = Keys::new(b"a secret of the tests", None).unwrap();
                let token = Secret([1; 32]).token();
                let refresh = || world.app.write(|tx| tokens::refresh(tx, &keys, &token, Client::Socket)).unwrap();
                let refreshed = refresh().or_refuse().unwrap();
                assert_eq!(refreshed.user.person.username, "ann");
                assert_eq!(refresh().or_refuse().unwrap().refresh.token(), refreshed.refresh.token());
                let ann = UserSelector::from("ann".to_owned());
                let receipt =
                    world.app.write(|tx| accounts::delete(tx, &operator(), std::slice::from_ref(&ann))).unwrap();
                assert_eq!(receipt.tokens, 2);
            },
        );
    }
}

#[test]
fn a_database_from_before_there_were_pages_is_brought_along_and_has_sessions() {
    for version in [7, 8] {
        brought_along_from(version, OLD_ROWS, "", |world| {
            let ann = UserSelector::from("ann".to_owned());
            let (link, session) = (Secret([1; 32]), Secret([2; 32]));
            world.app.write(|tx| password_links::make(tx, &operator(), &ann, link)).unwrap();
            let hash = passwords::hash("correct horse 7", [7; 16]).unwrap();
            world.app.write(|tx| password_links::set_password(tx, link, &hash)).unwrap();
            let keys = Keys::new(b"a secret of the tests", None).unwrap();
            let attempt = world.app.read(|tx| login::attempt(tx, &keys, "ann", Client::Socket)).unwrap();
            let verified = attempt.verify("correct horse 7", [7; 16]).unwrap().unwrap();
            world.app.write(|tx| login::begin_session(tx, &verified, session, "a browser")).unwrap();
            let receipt = world.app.write(|tx| accounts::delete(tx, &operator(), std::slice::from_ref(&ann))).unwrap();
            assert_eq!(receipt.sessions, 1);
            assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        });
    }
}
