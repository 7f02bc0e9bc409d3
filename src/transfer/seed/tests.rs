use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::error;
use crate::model::{Kind, Level, NotificationKind, Role, fold_case, uuid};
use crate::transfer::records::{ConversationRecord, MessageRecord, NotificationRecord, Participant};

fn small() -> Plan {
    Plan { users: 12, conversations: 8, messages: 300, ..Plan::default() }
}

fn lines(plan: &Plan) -> String {
    entries(plan)
        .unwrap()
        .fold(String::new(), |lines, entry| lines + &serde_json::to_string(&entry.record).unwrap() + "\n")
}

fn plans() -> impl Strategy<Value = Plan> {
    let numbers = (12..40_u32, 1..30_u32, 0..400_u64, 2..6_u32, 0..20_u32);
    let rates = (0..=100_u8, 0..=100_u8, 0..=100_u8, 0..=100_u8);
    let others = (1..40_000_000_u64, 0..5_usize, any::<u64>());
    (numbers, rates, others).prop_map(|(numbers, rates, others)| {
        let (users, conversations, messages, fewest, more) = numbers;
        let (direct, replies, edits, read) = rates;
        let (span, language, seed) = others;
        let group_size = (fewest, fewest + more);
        let language = Language::ALL[language];
        let now = Plan::default().now;
        Plan { users, conversations, messages, group_size, direct, replies, edits, read, span, language, seed, now }
    })
}

/// The usernames a content mentions, by the contract's rule: the longest participant's behind each `@`
fn mentioned<'a>(content: &str, participants: &[&'a str]) -> HashSet<&'a str> {
    let starts = content.match_indices('@').map(|(at, _)| at);
    let may_begin = |at: &usize| !content[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    let longest = |at: usize| {
        let behind = content[at + 1..].to_lowercase();
        let fitting = participants.iter().copied().filter(move |name| behind.starts_with(*name));
        fitting.max_by_key(|name| name.len())
    };
    starts.filter(may_begin).filter_map(longest).collect()
}

/// What has been seen of the entries of a plan
#[derive(Default)]
struct World {
    users: HashMap<String, Timestamp>,
    emails: HashSet<String>,
    names: HashSet<String>,
    pairs: HashSet<Vec<String>>,
    conversations: HashMap<String, ConversationRecord>,
    /// How many there are of each conversation
    numbers: HashMap<String, i64>,
    messages: HashMap<String, MessageRecord>,
    sent_at: Timestamp,
    /// Whom the last message has to notify, and of what kind
    due: BTreeMap<String, NotificationKind>,
    /// The last message, and its conversation
    last: (String, String),
    /// Who has not read all of which conversation
    behind: HashSet<(String, String)>,
    ids: HashSet<uuid::Uuid>,
}

impl World {
    fn see(&mut self, plan: &Plan, entry: Entry) {
        if !matches!(entry.record, Record::Notification(_)) {
            assert!(self.due.is_empty(), "nobody notified {:?}", self.due);
            assert!(self.ids.insert(entry.id));
            assert_eq!(entry.id.get_version_num(), 7);
        }
        let time = match &entry.record {
            Record::User(user) => user.created_at,
            Record::Conversation(conversation) => conversation.created_at,
            Record::Message(message) => message.timestamp,
            Record::Notification(_) => None,
        };
        if let Some(time) = time {
            assert!(plan.start() <= time && time <= plan.now, "{time}");
            let (seconds, nanoseconds) = entry.id.get_timestamp().unwrap().to_unix();
            assert_eq!(seconds * 1000 + u64::from(nanoseconds / 1_000_000), u64::try_from(time.0).unwrap() / 1000);
        }
        match entry.record {
            Record::User(user) => {
                assert!(self.conversations.is_empty());
                assert_eq!(user.user_id.unwrap().0, entry.id);
                assert!(!user.username.is_empty() && user.username.len() <= 150 && uuid(&user.username).is_none());
                assert!(user.username.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter)));
                if let Some(email) = user.email {
                    assert!(email.ends_with("@example.org") && self.emails.insert(fold_case(&email)));
                }
                assert_eq!(fold_case(&user.username), user.username);
                assert_eq!(self.users.insert(user.username, user.created_at.unwrap()), None);
            }
            Record::Conversation(conversation) => self.see_conversation(plan, conversation),
            Record::Message(message) => self.see_message(plan, *message),
            Record::Notification(notification) => self.see_notification(&notification),
        }
    }

    fn see_conversation(&mut self, plan: &Plan, conversation: ConversationRecord) {
        assert!(self.messages.is_empty());
        let mut people: Vec<String> = conversation.participants.iter().map(|one| one.user().to_owned()).collect();
        people.sort_unstable();
        assert!(people.windows(2).all(|pair| pair[0] != pair[1]), "{people:?}");
        assert!(people.iter().all(|user| self.users[user] <= conversation.created_at.unwrap()));
        assert!(conversation.creator.iter().all(|creator| people.contains(creator)));
        if conversation.kind == Some(Kind::Direct) {
            assert_eq!(people.len(), 2);
            assert_eq!((&conversation.name, &conversation.title), (&None, &None));
            assert!(self.pairs.insert(people), "two direct conversations of one pair");
        } else {
            let (fewest, most) = plan.group_size;
            assert!((fewest as usize..=most as usize).contains(&people.len()));
            assert!(conversation.name.is_some() || conversation.title.is_some());
            assert!(conversation.title.iter().all(|title| (1..=200).contains(&title.chars().count())));
            if let Some(name) = &conversation.name {
                let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
                assert!((1..=64).contains(&name.len()) && name.chars().all(is_allowed), "{name}");
                assert!(self.names.insert(fold_case(name)), "{name}");
            }
        }
        self.conversations.insert(conversation.conversation_id.unwrap().to_string(), conversation);
    }

    fn see_message(&mut self, plan: &Plan, message: MessageRecord) {
        let conversation = &self.conversations[&message.conversation];
        let participants: Vec<&str> = conversation.participants.iter().map(Participant::user).collect();
        let (time, sender) = (message.timestamp.unwrap(), message.sender.as_deref().unwrap());
        assert!(self.sent_at <= time && conversation.created_at.unwrap() <= time);
        self.sent_at = time;
        let number = self.numbers.entry(message.conversation.clone()).or_default();
        *number += 1;
        assert_eq!(message.number.unwrap().0, *number);
        assert!(participants.contains(&sender));
        match &message.receiver {
            Some(receiver) => assert!(receiver != sender && participants.contains(&receiver.as_str())),
            None => assert_eq!(conversation.kind, Some(Kind::Group)),
        }
        let parent = message.reply_to.as_ref().map(|parent| &self.messages[parent]);
        assert!(parent.iter().all(|parent| parent.conversation == message.conversation));
        assert!(!message.content.trim().is_empty() && message.content.len() < 2000);

        let mentions = mentioned(&message.content, &participants);
        assert_eq!(mentions.len(), message.content.matches('@').count(), "{}", message.content);
        let contents = message.revisions.iter().map(|revision| &revision.content).chain([&message.content]);
        let contents: Vec<&String> = contents.collect();
        assert!(contents.windows(2).all(|pair| pair[0] != pair[1]), "{contents:?}");
        assert!(contents.iter().all(|content| mentioned(content, &participants) == mentions), "{contents:?}");
        let mut edited_at = time;
        for (number, revision) in (1..).zip(&message.revisions) {
            assert_eq!(revision.revision, Some(number));
            assert_eq!(revision.edited_by.as_deref(), Some(sender));
            assert!((edited_at..=plan.now).contains(&revision.edited_at.unwrap()));
            edited_at = revision.edited_at.unwrap();
        }
        assert_eq!(message.revision, Some(i64::try_from(contents.len()).unwrap()));

        for one in conversation.participants.iter().filter(|one| one.user() != sender) {
            let kind = if mentions.contains(one.user()) {
                NotificationKind::Mention
            } else if parent.is_some_and(|parent| parent.sender.as_deref() == Some(one.user())) {
                NotificationKind::Reply
            } else {
                NotificationKind::Message
            };
            if one.level() == Level::All || one.level() == Level::Mentions && kind != NotificationKind::Message {
                self.due.insert(one.user().to_owned(), kind);
            }
        }
        let id = message.message_id.unwrap().to_string();
        self.last = (id.clone(), message.conversation.clone());
        self.messages.insert(id, message);
    }

    fn see_notification(&mut self, notification: &NotificationRecord) {
        let (message, conversation) = &self.last;
        assert_eq!(&notification.message, message);
        let reader = (notification.user.clone(), conversation.clone());
        if notification.is_read {
            assert!(!self.behind.contains(&reader), "{} has not read what was before", notification.user);
        } else {
            self.behind.insert(reader);
        }
        assert_eq!(self.due.remove(&notification.user), notification.kind, "{}", notification.user);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everything_made_up_keeps_the_rules(plan in plans()) {
        prop_assume!(plan.check().is_ok());
        let mut world = World::default();
        for (line, entry) in (1..).zip(entries(&plan).unwrap()) {
            prop_assert_eq!(entry.line, line);
            world.see(&plan, entry);
        }
        assert!(world.due.is_empty());
        let counts = [world.users.len(), world.conversations.len(), world.messages.len()];
        let planned = [plan.users as usize, plan.conversations as usize, usize::try_from(plan.messages).unwrap()];
        prop_assert_eq!(counts, planned);
    }
}

#[test]
fn the_same_plan_gives_the_same_bytes_for_ever() {
    let hash = Language::ALL
        .iter()
        .fold(Sha256::new(), |hash, language| hash.chain_update(lines(&Plan { language: *language, ..small() })));
    let hash = hash.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    assert_eq!(hash, "73526ba28bb218af6aa8f644cc61c50fd2865ce8c7e911b9f97dc6aea82ea2c5");
}

#[test]
fn more_of_one_kind_changes_nothing_of_another() {
    let people = |plan: &Plan| {
        let is_user = |entry: &Entry| matches!(entry.record, Record::User(_));
        entries(plan).unwrap().take_while(is_user).map(|entry| entry.record).collect::<Vec<_>>()
    };
    let conversations = |plan: &Plan| {
        let is_conversation = |entry: &Entry| matches!(entry.record, Record::Conversation(_));
        entries(plan).unwrap().filter(is_conversation).map(|entry| entry.record).collect::<Vec<_>>()
    };
    let few = small();
    assert_eq!(people(&few), people(&Plan { messages: 10, conversations: 2, ..small() }));
    assert_eq!(people(&few), people(&Plan { users: 50, ..small() })[..12]);
    assert_eq!(conversations(&few), conversations(&Plan { messages: 10, ..small() }));
    assert_eq!(conversations(&few), conversations(&Plan { conversations: 20, ..small() })[..8]);
}

#[test]
fn what_two_seeds_give_fits_into_one_database() {
    let mut taken = HashSet::new();
    for seed in [0, 1, 2, 36, u64::MAX] {
        for entry in entries(&Plan { seed, ..small() }).unwrap() {
            let names = match entry.record {
                Record::User(user) => [Some(user.username), user.email],
                Record::Conversation(conversation) => [conversation.name.map(|name| format!("group {name}")), None],
                Record::Message(_) => [None, None],
                Record::Notification(_) => continue,
            };
            for name in names.into_iter().flatten().chain([entry.id.to_string()]) {
                assert!(taken.insert(fold_case(&name)), "{name} comes twice");
            }
        }
    }
}

#[test]
fn rates_and_numbers_are_about_those_of_the_plan() {
    let plan = Plan { messages: 20_000, ..Plan::default() };
    let (mut replies, mut edits, mut read, mut notifications, mut direct, mut admins) = (0, 0, 0, 0, 0, 0);
    let mut contents = HashSet::new();
    for entry in entries(&plan).unwrap() {
        match entry.record {
            Record::User(user) => admins += u32::from(user.role == Some(Role::Admin)),
            Record::Conversation(conversation) => direct += u32::from(conversation.kind == Some(Kind::Direct)),
            Record::Message(message) => {
                replies += u32::from(message.reply_to.is_some());
                edits += u32::from(!message.revisions.is_empty());
                contents.insert(message.content);
            }
            Record::Notification(notification) => {
                notifications += 1;
                read += u32::from(notification.is_read);
            }
        }
    }
    assert_eq!((direct, admins), (20, 4));
    assert!((3600..4400).contains(&replies), "{replies}");
    assert!((650..950).contains(&edits), "{edits}");
    assert!((83..97).contains(&(read * 100 / notifications)), "{read} of {notifications}");
    assert!(contents.len() > 15_000, "{}", contents.len());
}

#[test]
fn a_plan_that_does_not_fit_is_refused_with_its_field() {
    let refused = |plan: Plan| {
        let refusal = entries(&plan).err().unwrap();
        assert_eq!(refusal.kind(), error::Kind::Invalid);
        let problem = serde_json::to_value(refusal.problem()).unwrap();
        problem["errors"].as_object().unwrap().keys().next().unwrap().clone()
    };
    assert_eq!(refused(Plan { users: 3, ..Plan::default() }), "conversations");
    assert_eq!(refused(Plan { users: 2, conversations: 1, ..Plan::default() }), "group_size");
    assert_eq!(refused(Plan { group_size: (1, 5), ..Plan::default() }), "group_size");
    assert_eq!(refused(Plan { group_size: (5, 4), ..Plan::default() }), "group_size");
    assert_eq!(refused(Plan { conversations: 0, ..Plan::default() }), "messages");
    assert_eq!(refused(Plan { edits: 101, ..Plan::default() }), "edits");
    assert_eq!(refused(Plan { span: u64::MAX, ..Plan::default() }), "span");
    assert_eq!(refused(Plan { span: 0, ..Plan::default() }), "span");
    assert_eq!(entries(&Plan { users: 0, conversations: 0, messages: 0, ..Plan::default() }).unwrap().count(), 0);
}
