//! Dumps for others: nothing that was written stands in them, and they can still be loaded.

use std::collections::{BTreeMap, BTreeSet};

use tidings::transfer::dump::Request;
use tidings::transfer::records::Record;

use super::{build, counted, records, text};
use crate::support::{World, draft, on_every_engine};

fn pseudonymised(world: &World, secret: u8) -> String {
    text(world, &Request { pseudonymise: Some([secret; 32]), ..Request::default() })
}

/// Every id of a dump, wherever it stands
fn ids(text: &str) -> Vec<String> {
    let words = text.split(['"', ',']).map(ToOwned::to_owned);
    words.filter(|word| word.parse::<uuid::Uuid>().is_ok()).collect()
}

#[test]
fn no_id_name_address_or_word_is_left() {
    on_every_engine(|world| {
        build(world);
        let whole = text(world, &Request::default());
        let made = pseudonymised(world, 7);
        assert_eq!(counted(&made), counted(&whole));
        let folded = made.to_lowercase();
        for word in [
            "ann@",
            "annabel",
            "ångström",
            "mandrix",
            "alone",
            "\"bob\"",
            "\"eve\"",
            "@eve",
            "team",
            "quarterly",
            "budget",
            "harbour",
            "noon",
            "three",
            "0151",
            "2345",
            "zanzibar",
            "between",
            "complaint",
            "typing",
            "nobody",
            "argon2",
            "example.net",
            "\"first\"",
            "call",
        ] {
            assert!(whole.to_lowercase().contains(word) || word == "nobody", "{word} was not there before");
            assert!(!folded.contains(word), "{word}: {made}");
        }
        // Ids become others, each always the same; times and numbers stay, so what refers to what stays too.
        let (old, new) = (ids(&whole), ids(&made));
        let others: BTreeMap<&String, &String> = old.iter().zip(&new).collect();
        assert_eq!((old.len(), others.len()), (new.len(), BTreeSet::from_iter(&new).len()));
        assert!(old.iter().zip(&new).all(|(old, new)| others[old] == new && !old.contains(new.as_str())), "{others:?}");
        assert!(old.iter().all(|id| !made.contains(id)), "{made}");
        for (old, new) in others {
            let (old, new): (uuid::Uuid, uuid::Uuid) = (old.parse().unwrap(), new.parse().unwrap());
            assert_eq!((old.get_version_num(), old.get_timestamp()), (new.get_version_num(), new.get_timestamp()));
        }
        let shapes = |text: &str| -> Vec<String> {
            records(text)
                .iter()
                .map(|record| match record {
                    Record::User(found) => format!("{:?}", found.created_at),
                    Record::Conversation(found) => {
                        format!("{:?} {:?} {}", found.kind, found.last_number, found.participants.len())
                    }
                    Record::Message(found) => format!(
                        "{:?} {:?} {:?} {}",
                        found.number,
                        found.reply_to.is_some(),
                        found.timestamp,
                        found.revisions.len()
                    ),
                    Record::Notification(found) => format!("{:?} {}", found.kind, found.is_read),
                })
                .collect()
        };
        assert_eq!(shapes(&made), shapes(&whole));
    });
}

#[test]
fn the_same_word_becomes_the_same_and_a_mention_stays_one() {
    on_every_engine(|world| {
        build(world);
        let made = records(&pseudonymised(world, 7));
        let mut names = Vec::new();
        let mut contents = Vec::new();
        for record in &made {
            match record {
                Record::User(found) => names.push(found.username.clone()),
                Record::Message(found) => {
                    contents.extend(found.revisions.iter().map(|earlier| earlier.content.clone()));
                    contents.push(found.content.clone());
                }
                _ => {}
            }
        }
        assert_eq!(names, ["user1", "user2", "user3", "user4", "user5"]);
        // “Harbour at noon, @bob?\n\tcall 0151-2345”, “harbour at two”, “Harbour at three”, “HARBOUR at four”; a tombstone
        let [first, small, same, large, tombstone] = [0, 1, 2, 3, 4].map(|index| contents[index].as_str());
        let word = |text: &str| text.split(' ').next().unwrap().to_owned();
        assert!(first.contains(", @user2?\n\t"), "{first}");
        assert_eq!(word(first), word(same));
        assert_eq!((word(first).to_lowercase(), word(first).to_uppercase()), (word(small), word(large)));
        assert!(tombstone.is_empty(), "{contents:?}");
        assert!(contents.iter().any(|content| content.contains("@user4 ")), "{contents:?}");
        assert!(contents.iter().any(|content| content.ends_with("@user3")), "{contents:?}");
        assert_ne!(pseudonymised(world, 8), pseudonymised(world, 7));
        assert_eq!(pseudonymised(world, 7), pseudonymised(world, 7));
    });
}

#[test]
fn an_id_that_was_made_from_what_is_said_becomes_another_too() {
    on_every_engine(|world| {
        let said = r#"{"type":"user","username":"ann"}
{"type":"user","username":"bob"}
{"type":"conversation","participants":["ann","bob"]}
{"type":"message","conversation":"@bob","sender":"ann","content":"a secret","key":"m"}
{"type":"message","conversation":"@ann","sender":"bob","content":"another","reply_to":"m"}
{"type":"notification","user":"bob","message":"m"}
"#;
        crate::transfer::load::load(world, said).unwrap();
        let (old, made) = (ids(&text(world, &Request::default())), pseudonymised(world, 7));
        assert_eq!((old.len(), ids(&made).len()), (9, 9));
        assert!(old.iter().all(|id| !made.contains(id)), "{made}");
    });
}

#[test]
fn what_refers_to_somebody_or_something_uses_the_made_up_name() {
    on_every_engine(|world| {
        build(world);
        let mut users = BTreeSet::new();
        let mut places = BTreeSet::new();
        for record in records(&pseudonymised(world, 7)) {
            match record {
                Record::User(found) => drop(users.insert(found.username)),
                Record::Conversation(found) => {
                    assert!(found.creator.is_none_or(|creator| users.contains(&creator)));
                    assert!(found.participants.iter().all(|participant| users.contains(participant.user())));
                    places.insert(found.name.unwrap_or_else(|| found.conversation_id.unwrap().to_string()));
                }
                Record::Message(found) => {
                    assert!(places.contains(&found.conversation), "{}", found.conversation);
                    assert!(found.sender.is_none_or(|sender| users.contains(&sender)));
                    assert!(found.key.is_none_or(|key| key == "key1"));
                }
                Record::Notification(found) => assert!(users.contains(&found.user)),
            }
        }
        assert!(places.contains("group1"));
    });
}

#[test]
fn no_content_becomes_too_long_and_no_mention_anothers() {
    on_every_engine(|world| {
        let [al, bo, _alan] = [world.user("al"), world.user("bo"), world.user("alan")];
        world.group("team", &al, &[&bo]);
        world.send(&al, "team", &"@al ".repeat(16_000));
        world.send(&al, "team", "@bo2 @bo22b @al, @AL! x@al");
        world.send(&bo, "team", "@alan");
        let contents: Vec<String> = records(&pseudonymised(world, 7))
            .into_iter()
            .filter_map(|record| if let Record::Message(found) = record { Some(found.content) } else { None })
            .collect();
        assert!(contents[0].starts_with("@user1 @user1 ") && contents[0].len() <= 65_536, "{}", contents[0].len());
        assert!(contents[1].starts_with("@user2x @user2xx"), "{}", contents[1]);
        assert!(contents[1].contains(" @user1, @user1! "), "{}", contents[1]);
        assert!(contents[2].starts_with("@user1"), "who takes part comes first: {}", contents[2]);
        let request = draft("team", &contents[0]);
        world.app.write(|tx| tidings::service::messages::send(tx, &al, &request)).unwrap();
    });
}
