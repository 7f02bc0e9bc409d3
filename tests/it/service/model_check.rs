//! Random stories, told to the services and to a naive model of the contract: both must end alike.

mod naive;

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tidings::app::App;
use tidings::model::{Actor, Level, MessageSelector, Receipt, Role, UserSelector};
use tidings::service::conversations::{self, NewConversation};
use tidings::service::messages::{self, Destination, Draft, List, MessageEdit};
use tidings::service::{accounts, notifications, users};
use tidings::store::{self, Location, Tx};

use crate::support::{World, draft, new_user, on_every_engine, operator, place};
use naive::{ADMIN, GROUPS, NAMES, Naive, OPERATOR, Outcome, TEXTS};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Send,
    Address,
    Reply,
    Edit,
    Delete,
    Remove,
    Add,
    SetLevel,
    Read,
    ReadPlace,
    Forget,
    Create,
    Begin,
}

#[derive(Clone, Copy, Debug)]
enum Where {
    Group(usize),
    With(usize),
}

/// One step of a story; each verb looks at what concerns it.
#[derive(Clone, Copy, Debug)]
struct Step {
    verb: Verb,
    who: usize,
    place: Where,
    number: i64,
    user: usize,
    text: usize,
    level: Level,
    is_read: bool,
    /// Whether the story leads it to somebody who may take it; else it goes astray more often than not
    is_aimed: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let verb = prop_oneof![
        12 => Just(Verb::Send), 2 => Just(Verb::Address), 12 => Just(Verb::Reply), 7 => Just(Verb::Edit),
        7 => Just(Verb::Delete), 3 => Just(Verb::Remove), 4 => Just(Verb::Add), 4 => Just(Verb::SetLevel),
        6 => Just(Verb::Read), 1 => Just(Verb::ReadPlace), 2 => Just(Verb::Forget), 2 => Just(Verb::Create),
        1 => Just(Verb::Begin),
    ];
    let place = prop_oneof![
        4 => Just(Where::Group(0)), 2 => (0..GROUPS.len()).prop_map(Where::Group),
        2 => (0..NAMES.len()).prop_map(Where::With),
    ];
    let level = prop_oneof![Just(Level::All), Just(Level::Mentions), Just(Level::None)];
    let people = (0..NAMES.len(), 0..NAMES.len(), prop::bool::weighted(0.15));
    let flags = (any::<bool>(), prop::bool::weighted(0.8));
    let step = (verb, people, place, 1..20_i64, 0..TEXTS.len(), level, flags);
    step.prop_map(|(verb, (who, user, by_operator), place, number, text, level, (is_read, is_aimed))| {
        let may_be_operator = matches!(verb, Verb::Edit | Verb::Delete | Verb::Remove | Verb::Add | Verb::Forget);
        let who = if verb == Verb::Create || may_be_operator && by_operator { OPERATOR } else { who };
        Step { verb, who, place, number, user, text, level, is_read, is_aimed }
    })
}

fn name(user: usize) -> UserSelector {
    UserSelector::from(NAMES[user].to_owned())
}

fn spelling(place: Where) -> String {
    match place {
        Where::Group(group) => GROUPS[group].to_owned(),
        Where::With(user) => format!("@{}", NAMES[user]),
    }
}

fn counts(receipt: &Receipt) -> Vec<i64> {
    vec![
        receipt.messages_sent,
        receipt.messages_received,
        receipt.messages_of_groups,
        receipt.tombstones,
        receipt.revisions,
        receipt.notifications,
        receipt.participations,
        receipt.direct_conversations,
        receipt.groups,
    ]
}

/// Takes a step through the services.
fn take(app: &App, step: &Step) -> Outcome {
    let outcome = app.write(|tx| {
        let actor = match NAMES.get(step.who) {
            Some(_) => tidings::service::acting(tx, &name(step.who))?,
            None => operator(),
        };
        match step.verb {
            Verb::Send | Verb::Address | Verb::Reply | Verb::Edit | Verb::Delete => speak(tx, &actor, step),
            Verb::Read | Verb::ReadPlace => read(tx, &actor, step),
            _ => arrange(tx, &actor, step),
        }
    });
    outcome.map_err(|error| error.kind())
}

fn message(step: &Step) -> MessageSelector {
    format!("{}#{}", spelling(step.place), step.number).parse().unwrap()
}

fn speak(tx: &mut Tx<'_>, actor: &Actor, step: &Step) -> tidings::error::Result<Vec<i64>> {
    let text = TEXTS[step.text];
    match step.verb {
        Verb::Edit => {
            let change = MessageEdit { content: text.to_owned(), ..MessageEdit::default() };
            Ok(vec![messages::edit(tx, actor, &message(step), &change)?.revision])
        }
        Verb::Delete => Ok(vec![i64::try_from(messages::delete(tx, actor, &[message(step)])?.len()).unwrap()]),
        verb => {
            let mut draft = draft(&spelling(step.place), text);
            if let Where::With(user) = step.place {
                draft.destination = Destination::User(name(user));
            }
            draft.parent = (verb == Verb::Reply).then(|| message(step));
            draft.receiver = (verb == Verb::Address).then(|| name(step.user));
            Ok(vec![messages::send(tx, actor, &Draft { ..draft })?.number.0])
        }
    }
}

fn read(tx: &mut Tx<'_>, actor: &Actor, step: &Step) -> tidings::error::Result<Vec<i64>> {
    let owner = notifications::owner(tx, actor, None)?;
    let count = match step.verb {
        Verb::Read => notifications::set_read(tx, actor, &owner, &[message(step)], step.is_read)?,
        _ => messages::read_conversation(tx, actor, &owner, &place(&spelling(step.place)))?,
    };
    Ok(vec![count])
}

fn arrange(tx: &mut Tx<'_>, actor: &Actor, step: &Step) -> tidings::error::Result<Vec<i64>> {
    let (place, user) = (place(&spelling(step.place)), name(step.user));
    match step.verb {
        Verb::Remove => drop(conversations::remove(tx, actor, &place, &[user])?),
        Verb::Add => drop(conversations::add(tx, actor, &place, &[user])?),
        Verb::SetLevel => drop(conversations::set_level(tx, actor, &place, step.level)?),
        Verb::Forget => {
            let counted = accounts::receipt(tx, actor, &user);
            let deleted = accounts::delete(tx, actor, &[user])?;
            assert_eq!(counted?, deleted, "what was counted is not what was deleted");
            return Ok(counts(&deleted));
        }
        Verb::Create => {
            let role = if step.user == ADMIN { Role::Admin } else { Role::User };
            users::create(tx, actor, &new_user(NAMES[step.user], role))?;
        }
        _ => {
            let name = GROUPS[step.text % GROUPS.len()].to_owned();
            let new = NewConversation { participants: vec![user], name: Some(name), ..NewConversation::default() };
            conversations::create(tx, actor, &new)?;
        }
    }
    Ok(Vec::new())
}

/// What a user sees, one line a thing: conversations and their messages, then notifications, newest first.
fn seen(app: &App, user: usize) -> Vec<String> {
    let lines = app.read(|tx| {
        let actor = tidings::service::acting(tx, &name(user))?;
        let mut lines = Vec::new();
        let mut labels = HashMap::new();
        for view in crate::support::list_conversations(tx, &actor, None, None, None, 1000)? {
            let mut people: Vec<_> = view.participants.iter().map(|person| person.username.as_str()).collect();
            people.sort_unstable();
            let other = people.iter().find(|person| **person != NAMES[user]);
            let label = view.name.clone().unwrap_or_else(|| format!("@{}", other.copied().unwrap_or_default()));
            let newest = view.last_message.as_ref().map(|message| message.number.0);
            lines.push(format!(
                "{label}: {people:?}, {} messages, {:?} unread, {:?}, newest {newest:?}",
                view.message_count, view.unread_count, view.level
            ));
            let id = place(&view.conversation_id.to_string());
            labels.insert(view.conversation_id, label);
            lines.extend(pages(tx, &actor, id, &labels[&view.conversation_id])?);
        }
        lines.sort();
        let owner = notifications::owner(tx, &actor, None)?;
        for told in notifications::list(tx, &actor, &owner, None, false, 1000)? {
            let (label, number) = (&labels[&told.message.conversation], told.message.number.0);
            lines.push(format!("{} {label}#{number} {}", told.kind, told.is_read));
        }
        lines.push(format!("{:?}", notifications::count(tx, &owner)?));
        Ok(lines)
    });
    lines.unwrap()
}

fn pages(
    tx: &mut Tx<'_>,
    actor: &Actor,
    conversation: tidings::model::ConversationSelector,
    label: &str,
) -> tidings::error::Result<Vec<String>> {
    let request = List { conversation: Some(conversation), limit: 1000, ..List::default() };
    let found = crate::support::list_messages(tx, actor, &request)?;
    let numbers: HashMap<_, _> = found.iter().map(|message| (message.message_id, message.number.0)).collect();
    let mut lines = Vec::new();
    for message in &found {
        let selector = MessageSelector::Id(message.message_id);
        lines.push(naive::line(&naive::Line {
            label,
            number: message.number.0,
            sender: message.sender.as_ref().map(|person| person.username.as_str()),
            receiver: message.receiver.as_ref().map(|person| person.username.as_str()),
            content: &message.content,
            parent: message.parent_message.map(|parent| numbers[&parent]),
            revision: message.revision,
            revisions: messages::history(tx, actor, &selector)?.len(),
            replies: message.reply_count,
            is_thread: message.is_thread,
            is_read: message.read,
            is_deleted: message.deleted,
        }));
    }
    Ok(lines)
}

/// Deletes everybody, after which nothing is left.
fn clear(world: &World) {
    world
        .app
        .write(|tx| {
            for profile in users::list(tx, &operator(), "", &users::Matching::default(), 100)? {
                accounts::delete(tx, &operator(), &[UserSelector::from(profile.person().username.clone())])?;
            }
            assert_eq!((store::users::count(tx)?, store::conversations::count(tx)?), (0, (0, 0)));
            Ok(())
        })
        .unwrap();
}

/// The steps every story begins with: everybody is there, and so are three groups.
fn beginning() -> Vec<Step> {
    let step = Step {
        verb: Verb::Create,
        who: OPERATOR,
        place: Where::Group(0),
        number: 1,
        user: 0,
        text: 0,
        level: Level::All,
        is_read: true,
        is_aimed: false,
    };
    let mut steps: Vec<Step> = (0..NAMES.len()).map(|user| Step { user, ..step }).collect();
    steps.extend([0, 1, 2].map(|group| Step { verb: Verb::Begin, who: group, user: group + 1, text: group, ..step }));
    steps.extend([(0, 2), (0, 3), (1, 0)].map(|(group, user)| Step {
        verb: Verb::Add,
        place: Where::Group(group),
        user,
        ..step
    }));
    steps
}

fn tell(world: &World, story: &[Step]) {
    clear(world);
    let mut naive = Naive::default();
    for (at, step) in beginning().iter().chain(story).enumerate() {
        let step = &naive.aim(*step);
        assert_eq!(take(&world.app, step), naive.take(step), "step {at}: {step:?}");
        if at % 20 == 0 || at + 1 == story.len() + beginning().len() {
            for user in naive.people() {
                assert_eq!(seen(&world.app, user), naive.seen(user), "{} after step {at}: {step:?}", NAMES[user]);
            }
        }
    }
    clear(world);
}

#[test]
fn whatever_people_do_the_services_and_the_contract_agree() {
    on_every_engine(|world| {
        let cases = if matches!(world.location, Location::Sqlite(_)) { 24 } else { 4 };
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let told = runner.run(&vec(step(), 60), |story| {
            tell(world, &story);
            Ok(())
        });
        told.unwrap();
    });
}
