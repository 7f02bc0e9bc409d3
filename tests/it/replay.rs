//! A real conversation, replayed through the program one process a message, as an operator's shell script would; then
//! edited, deleted, read, and left by the one who said most of it.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::Shell;

const CONVERSATION: &str = "ubuntu-2004-11-15-03";

/// What the database must hold of a message
struct Expected {
    sender: String,
    content: String,
    /// The number of the message it replies to
    parent: Option<usize>,
}

fn records() -> Vec<Value> {
    let data = include_str!("../data/ubuntu-irc.jsonl");
    data.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(record: &Value, field: &str) -> String {
    record[field].as_str().unwrap().to_owned()
}

/// Creates the users and the group, sends every message; returns what must be there, by number.
fn replay(shell: &Shell) -> HashMap<usize, Expected> {
    let records = records();
    let of_type = |name: &'static str| records.iter().filter(move |record| record["type"] == name);
    for user in of_type("user") {
        shell.done_with(&["user", "create", "--no-password", "-q", "--", &text(user, "username")]);
    }
    for conversation in of_type("conversation") {
        let mut words = vec!["conversation", "create", "--name", CONVERSATION, "--"];
        words.extend(conversation["participants"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()));
        shell.done_with(&words);
    }
    let mut ids: HashMap<String, (usize, String)> = HashMap::new();
    let mut expected = HashMap::new();
    for (index, message) in of_type("message").enumerate() {
        let sender = format!("--as={}", text(message, "sender"));
        let content = text(message, "content");
        let parent = message["reply_to"].as_str().map(|key| ids[key].clone());
        let reply_to = parent.as_ref().map(|(_, id)| format!("--reply-to={id}"));
        let mut words = vec!["message", "send", "-q", &sender];
        words.extend(reply_to.as_deref());
        words.extend(["--", CONVERSATION, &content]);
        let id = shell.done_with(&words).stdout.trim().to_owned();
        ids.insert(text(message, "key"), (index + 1, id));
        let sender = text(message, "sender");
        expected.insert(index + 1, Expected { sender, content, parent: parent.map(|(number, _)| number) });
    }
    expected
}

fn count(shell: &Shell, sql: &str) -> i64 {
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Compares every message the program lists with what must be there.
fn check(shell: &Shell, expected: &HashMap<usize, Expected>, tombstones: usize) {
    let listed = shell.done(&format!("message list {CONVERSATION} --limit 1000 -o json")).stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let numbers: HashMap<&str, usize> = listed
        .iter()
        .map(|message| {
            (message["message_id"].as_str().unwrap(), usize::try_from(message["number"].as_u64().unwrap()).unwrap())
        })
        .collect();
    let mut living = 0;
    for message in listed.iter().filter(|message| message["deleted"] == false) {
        let number = numbers[message["message_id"].as_str().unwrap()];
        let wanted = &expected[&number];
        assert_eq!(message["content"], wanted.content.as_str(), "{number}");
        assert_eq!(message["sender"]["username"], wanted.sender.as_str(), "{number}");
        let parent = message["parent_message"].as_str().map(|id| numbers[id]);
        assert_eq!(parent, wanted.parent, "{number}");
        living += 1;
    }
    assert_eq!(living, expected.len());
    assert_eq!(listed.len(), living + tombstones);
    for message in listed.iter().filter(|message| message["deleted"] == true) {
        assert_eq!((&message["content"], &message["sender"]), (&Value::from(""), &Value::Null));
        assert_eq!(message["is_thread"], true, "a tombstone without replies");
    }
}

#[test]
fn a_real_conversation_is_replayed_edited_deleted_read_and_left() {
    let shell = Shell::new();
    let mut expected = replay(&shell);
    check(&shell, &expected, 0);
    assert_eq!(expected.len(), 300);
    assert_eq!(count(&shell, "SELECT count(*) FROM notification"), 300 * 48);
    let replies = expected
        .values()
        .filter(|message| message.parent.is_some_and(|parent| expected[&parent].sender != message.sender));
    let replies = i64::try_from(replies.count()).unwrap();
    let told = count(&shell, "SELECT count(*) FROM notification WHERE kind <> 0");
    assert_eq!(told, replies, "a reply to somebody else notifies them as one; nobody is mentioned with @ here");
    assert_eq!(count(&shell, "SELECT count(*) FROM event WHERE kind = 0"), 300);

    // Every tenth message is edited by its sender.
    for number in (10..=300).step_by(10) {
        let sender = format!("--as={}", expected[&number].sender);
        let content = format!("{} (corrected)", expected[&number].content);
        shell.done_with(&["message", "edit", "-q", &sender, "--", &format!("{CONVERSATION}#{number}"), &content]);
        expected.get_mut(&number).unwrap().content = content;
    }
    check(&shell, &expected, 0);
    assert_eq!(count(&shell, "SELECT count(*) FROM revision"), 30);
    assert_eq!(count(&shell, "SELECT count(*) FROM notification"), 300 * 48, "an edit notifies nobody");

    // Every seventh is deleted by the operator, all at once.
    let doomed: Vec<usize> = (7..=300).step_by(7).collect();
    let names: Vec<String> = doomed.iter().map(|number| format!("{CONVERSATION}#{number}")).collect();
    let mut words = vec!["message", "delete", "--yes", "-q"];
    words.extend(names.iter().map(String::as_str));
    shell.done_with(&words);
    let parents = |expected: &HashMap<usize, Expected>| -> Vec<usize> {
        expected.values().filter_map(|message| message.parent).collect()
    };
    let mut gone: HashMap<usize, Expected> =
        doomed.iter().map(|number| (*number, expected.remove(number).unwrap())).collect();
    check(&shell, &expected, tombstones(&gone, parents(&expected)));
    assert_eq!(count(&shell, "SELECT count(*) FROM revision"), 30 - 4, "70, 140, 210 and 280 had one");
    let left = i64::try_from(expected.len()).unwrap();
    assert_eq!(count(&shell, "SELECT count(*) FROM notification"), left * 48);

    // One reads everything.
    let own = i64::try_from(expected.values().filter(|message| message.sender == "ogra").count()).unwrap();
    let read = shell.done(&format!("message read {CONVERSATION} --as ogra -o json")).stdout;
    assert_eq!(serde_json::from_str::<Value>(&read).unwrap()["count"], left - own);

    // The one who said most leaves for good.
    let mut talkers: HashMap<&str, usize> = HashMap::new();
    for message in expected.values() {
        *talkers.entry(&message.sender).or_default() += 1;
    }
    let (talker, sent) = talkers.into_iter().max_by_key(|(name, sent)| (*sent, (*name).to_owned())).unwrap();
    let talker = talker.to_owned();
    let planned = shell.done_with(&["user", "delete", "--dry-run", "-o", "json", "--", &talker]).stdout;
    check(&shell, &expected, tombstones(&gone, parents(&expected)));
    let receipt = shell.done_with(&["user", "delete", "--yes", "-o", "json", "--", &talker]).stdout;
    assert_eq!(planned, receipt);
    let receipt: Value = serde_json::from_str(&receipt).unwrap();
    let numbers: Vec<usize> =
        expected.iter().filter(|(_, message)| message.sender == talker).map(|(number, _)| *number).collect();
    for number in numbers {
        gone.insert(number, expected.remove(&number).unwrap());
    }
    check(&shell, &expected, tombstones(&gone, parents(&expected)));
    assert_eq!(receipt["messages_sent"], sent);
    let others = i64::try_from(expected.len()).unwrap();
    assert_eq!(receipt["notifications"], i64::try_from(sent).unwrap() * 48 + others);
    assert_eq!(count(&shell, "SELECT count(*) FROM notification"), others * 47);
    assert_eq!(count(&shell, "SELECT message_count FROM conversation"), others);
    assert_eq!(count(&shell, "SELECT count(*) FROM participant"), 48);
    assert_eq!(count(&shell, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/// How many of the messages that are gone must have left a tombstone: those on which, directly or by others that are
/// gone, a living message hangs.
fn tombstones(gone: &HashMap<usize, Expected>, mut parents: Vec<usize>) -> usize {
    let mut kept = std::collections::HashSet::new();
    while let Some(parent) = parents.pop() {
        if let Some(message) = gone.get(&parent)
            && kept.insert(parent)
        {
            parents.extend(message.parent);
        }
    }
    kept.len()
}
