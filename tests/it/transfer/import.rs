//! `data import django`, from the records on into a database

use tidings::service::passwords;
use tidings::transfer::Tally;
use tidings::transfer::django::{Imported, read};
use tidings::transfer::load::{Failure, Loaded, Outcome};

use crate::support::{World, on_every_engine, operator};

const DUMPS: [(&str, &[u8], Tally); 3] = [
    (
        "django.json",
        include_bytes!("../../data/django.json"),
        Tally { users: 5, conversations: 3, messages: 9, notifications: 3, older: 1 },
    ),
    (
        "django-dumpdata.jsonl",
        include_bytes!("../../data/django-dumpdata.jsonl"),
        Tally { users: 2, conversations: 1, messages: 3, notifications: 1, older: 0 },
    ),
    (
        "django-natural.json",
        include_bytes!("../../data/django-natural.json"),
        Tally { users: 2, conversations: 1, messages: 3, notifications: 1, older: 0 },
    ),
];

fn import(world: &World, imported: &Imported) -> Outcome<Loaded> {
    imported.load(&world.app, &operator(), &mut |_| {})
}

#[test]
fn what_django_wrote_is_imported_once_and_leaves_a_sound_database() {
    for (name, dump, created) in DUMPS {
        on_every_engine(|world| {
            let imported = read(dump).unwrap();
            let first = import(world, &imported).unwrap();
            assert_eq!(first, Loaded { created, skipped: 0 }, "{name}");
            assert_eq!(world.app.check(|_| {}).unwrap().len(), 0, "{name}");
            let again = import(world, &read(dump).unwrap()).unwrap();
            assert_eq!(again, Loaded { created: Tally::default(), skipped: created.total() }, "{name}");
        });
    }
}

#[test]
fn who_comes_from_django_logs_in_with_the_same_password() {
    on_every_engine(|world| {
        import(world, &read(DUMPS[1].1).unwrap()).unwrap();
        let found = world.app.read(|tx| tidings::store::bulk::accounts(tx, [], &["alice".to_owned()], &[]));
        let hash = found.unwrap()[0].password_hash.clone().unwrap();
        assert!(passwords::verify("correct horse 7", &hash).unwrap());
    });
}

#[test]
fn a_row_that_differs_from_what_is_there_is_named_by_model_and_key_and_nothing_is_imported() {
    on_every_engine(|world| {
        world.user("ALICE");
        let imported = read(DUMPS[0].1).unwrap();
        let Err(Failure::Problems(problems)) = import(world, &imported) else { panic!("not refused") };
        let places: Vec<String> = problems.iter().map(|problem| imported.place(problem.line)).collect();
        assert_eq!(places, ["chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a001"]);
        assert_eq!(world.app.read(tidings::store::users::count).unwrap(), 1);
    });
}

#[test]
fn every_record_of_an_import_knows_the_row_it_comes_from() {
    let imported = read(DUMPS[0].1).unwrap();
    let origins: Vec<String> = (1..=imported.entries.len() as u64).map(|line| imported.place(line)).collect();
    assert_eq!(origins[0], "chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a001");
    assert_eq!(origins[7], "messaging.message 10", "a direct conversation is that of its first message");
    assert!(origins.iter().all(|origin| !origin.is_empty()));
}
