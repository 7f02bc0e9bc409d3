//! Conversations: creating, changing and deleting them, and their participants.

mod list;

use std::collections::HashSet;

use self::list::PARTICIPANTS_LISTED;
pub(in crate::service) use self::list::views;
pub use self::list::{
    Everywhere, Listing, levels, listing, page, page_everywhere, page_of, page_of_user, participants, with_ids,
};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{
    Actor, Conversation, ConversationId, ConversationSelector, ConversationView, Departure, Event, EventKind, Kind,
    Level, UserKey, UserRef, UserSelector, is_blank, uuid,
};
use crate::service::Condition;
use crate::service::idempotency::{IdempotentRequest, NOBODY, once, set};
use crate::service::rules;
use crate::store::{self, Tx};

/// The number of participants in the response to a change
const PARTICIPANTS_OF_CHANGED: i64 = 1000;

/// The input for a new conversation.
#[derive(Clone, Debug, Default)]
pub struct NewConversation {
    /// Besides the creator
    pub participants: Vec<UserSelector>,
    pub name: Option<String>,
    pub title: Option<String>,
    /// The creator's level
    pub level: Option<Level>,
    /// Return the group with that name, if it exists, instead of an error
    pub if_not_exists: bool,
}

/// Changes of a group; what is absent stays, what is empty is removed.
#[derive(Clone, Debug, Default)]
pub struct ConversationChange {
    pub name: Option<String>,
    pub title: Option<String>,
}

/// Creates a conversation; returns it, and whether it is new. Two people without name and title have one direct
/// conversation, which is returned again.
///
/// # Errors
/// `NotFound` if a participant does not exist, `Invalid` if only the creator is named or a name breaks the rules,
/// `Conflict` if the name is taken.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: &NewConversation) -> Result<(ConversationView, bool)> {
    let people = people(tx, actor, new)?;
    create_among(tx, actor, &people, new)
}

/// The participants of a new conversation, each once, the creator first
fn people(tx: &mut Tx<'_>, actor: &Actor, new: &NewConversation) -> Result<Vec<UserRef>> {
    let mut people: Vec<UserRef> = Vec::new();
    if let Actor::User(user) = actor {
        people.push(user.person.clone());
    }
    let others = super::people(tx, actor, "participants", &new.participants)?;
    people.extend(others.into_iter().filter(|person| !actor.is(person.key)));
    Ok(people)
}

fn create_among(
    tx: &mut Tx<'_>,
    actor: &Actor,
    people: &[UserRef],
    new: &NewConversation,
) -> Result<(ConversationView, bool)> {
    if new.name.as_deref() == Some("") {
        return Err(Error::invalid("name", "The name of the conversation is empty."));
    }
    let (name, title) = check_names(new.name.as_deref(), new.title.as_deref())?;
    let has_names = name.or(title).is_some();
    let kind = rules::kind(people.len(), has_names);
    rules::check_people(kind, people.len(), has_names)?;
    let (conversation, created) = match kind {
        Kind::Direct => direct(tx, actor, people[0].key, people[1].key)?,
        Kind::Group => group(tx, actor, people, name, title, new.if_not_exists)?,
    };
    match (new.level, actor.key()) {
        (Some(level), Some(user)) if created => {
            store::conversations::set_level(tx, conversation.key, user, level)?;
        }
        (Some(level), Some(user)) => change_level(tx, actor, user, &conversation, level)?,
        _ => {}
    }
    Ok((view(tx, actor.key(), conversation)?, created))
}

/// As [`create`], once: the same request with the same key returns the same conversation.
///
/// # Errors
/// As [`create`], `Conflict` if the key was used for another request.
pub fn create_once(
    tx: &mut Tx<'_>,
    actor: &Actor,
    new: &NewConversation,
    key: Option<&str>,
) -> Result<(ConversationView, bool)> {
    let Some(key) = key else { return create(tx, actor, new) };
    let people = people(tx, actor, new)?;
    let request = {
        let people = set(people.iter().map(|person| person.key.0.to_string()));
        let level = new.level.map(|level| level.to_string()).unwrap_or_default();
        let [name, title] = [&new.name, &new.title].map(|text| text.as_deref().unwrap_or_default());
        IdempotentRequest::meaning(key, "conversation create", &[&people, name, title, &level])
    };
    let owner = actor.key().unwrap_or(NOBODY);
    let work = |tx: &mut Tx<'_>| {
        let (view, is_new) = create_among(tx, actor, &people, new)?;
        if !is_new {
            store::idempotency::keep_that_it_was_there(tx, owner, key)?;
        }
        Ok((view, is_new))
    };
    let again = |tx: &mut Tx<'_>, id| {
        let again = show_if_there(tx, actor, &ConversationSelector::Id(ConversationId(id)))?;
        let was_there = store::idempotency::was_there(tx, owner, key)?;
        Ok(again.map(|view| (view, !was_there)))
    };
    once(tx, actor.key(), Some(&request), work, |(view, _)| view.conversation_id.0, again)
}

/// One conversation, if the actor can see it.
fn show_if_there(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<Option<ConversationView>> {
    let shown = super::conversation(tx, actor, selector);
    match shown.and_then(|(conversation, _)| view(tx, actor.key(), conversation)) {
        Ok(view) => Ok(Some(view)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn group(
    tx: &mut Tx<'_>,
    actor: &Actor,
    people: &[UserRef],
    name: Option<&str>,
    title: Option<&str>,
    if_not_exists: bool,
) -> Result<(Conversation, bool)> {
    let id = ConversationId(tx.new_id()?);
    if let Some(conversation) = store::conversations::insert_group(tx, id, actor.key(), name, title)? {
        begin(tx, actor, &conversation, people.iter().map(|person| person.key))?;
        return Ok((conversation, true));
    }
    let name = name.unwrap_or_default();
    if if_not_exists {
        match super::conversation(tx, actor, &ConversationSelector::Name(name.to_owned())) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found.map(|(conversation, _)| (conversation, false)),
        }
    }
    Err(Error::conflict(format!("The name “{name}” is taken.")))
}

/// The direct conversation of two people, created if needed; returns whether it is new.
pub(super) fn direct(tx: &mut Tx<'_>, actor: &Actor, one: UserKey, other: UserKey) -> Result<(Conversation, bool)> {
    if one == other {
        return Err(Error::invalid("participants", "A conversation needs another participant; name another user."));
    }
    let pair = rules::pair(one, other);
    if let Some(conversation) = store::conversations::by_pair(tx, pair)? {
        return Ok((conversation, false));
    }
    let id = ConversationId(tx.new_id()?);
    if let Some(conversation) = store::conversations::insert_direct(tx, id, actor.key(), pair)? {
        begin(tx, actor, &conversation, [one, other])?;
        return Ok((conversation, true));
    }
    // On PostgreSQL somebody else may have created it meanwhile.
    let conversation = store::conversations::by_pair(tx, pair)?;
    Ok((conversation.ok_or_else(|| Error::internal("a direct conversation is there and is not"))?, false))
}

fn begin(
    tx: &mut Tx<'_>,
    actor: &Actor,
    conversation: &Conversation,
    people: impl IntoIterator<Item = UserKey>,
) -> Result<()> {
    store::conversations::add(tx, conversation.key, people)?;
    let event = store::events::record(tx, actor, Event::conversation(EventKind::ConversationCreated, conversation))?;
    // Who is in it now: those who come later are told of by events of their own.
    store::events::tell_participants(tx, event, &[conversation.key], None)
}

/// One conversation, with all its participants.
///
/// # Errors
/// `NotFound` if the actor cannot see it.
pub fn show(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<ConversationView> {
    let (conversation, _) = super::conversation(tx, actor, selector)?;
    view_with(tx, actor.key(), conversation, i64::MAX)
}

/// One conversation, with its first participants, as a list shows it.
///
/// # Errors
/// As [`show`].
pub fn show_briefly(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<ConversationView> {
    let (conversation, _) = super::conversation(tx, actor, selector)?;
    view_with(tx, actor.key(), conversation, PARTICIPANTS_LISTED)
}

/// Changes a group's name or title.
///
/// # Errors
/// `NotFound`, `Forbidden` for all but the creator, admins and the operator, `Invalid` for a direct conversation,
/// `Conflict` if the name is taken.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    change: &ConversationChange,
) -> Result<ConversationView> {
    update_if(tx, actor, selector, change, &mut |_, _| Ok(()))
}

/// As [`update`], with a condition.
///
/// # Errors
/// As [`update`], and those of the condition.
pub fn update_if(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    change: &ConversationChange,
    condition: Condition<'_, Conversation>,
) -> Result<ConversationView> {
    let (conversation, takes_part) = locked(tx, actor, selector)?;
    must_be_group(&conversation, "named")?;
    must_manage(actor, &conversation, takes_part, "rename it")?;
    condition(tx, &conversation)?;
    // What stays may be older than the rule.
    let (own_name, own_title) = (conversation.name.as_deref(), conversation.title.as_deref());
    let new_name = change.name.as_deref().filter(|name| Some(*name) != own_name);
    let new_title = change.title.as_deref().filter(|title| Some(*title) != own_title);
    let (checked_name, checked_title) = check_names(new_name, new_title)?;
    let name = if new_name.is_some() { checked_name } else { own_name };
    let title = if new_title.is_some() { checked_title } else { own_title };
    if let Some(name) = name
        && store::conversations::by_name(tx, name)?.is_some_and(|other| other.key != conversation.key)
    {
        return Err(Error::conflict(format!("The name “{name}” is taken.")));
    }
    if (name, title) == (own_name, own_title) {
        return view(tx, actor.key(), conversation);
    }
    let renamed = store::conversations::rename(tx, conversation.key, name, title)?;
    store::events::record(tx, actor, Event::conversation(EventKind::ConversationUpdated, &renamed))?;
    view(tx, actor.key(), renamed)
}

/// Adds users to a group; existing participants stay as they are.
///
/// # Errors
/// `NotFound`, `Invalid` for a direct conversation.
pub fn add(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    users: &[UserSelector],
) -> Result<ConversationView> {
    let (conversation, _) = locked(tx, actor, selector)?;
    must_be_group(&conversation, "joined")?;
    let people = super::people(tx, actor, "participants", users)?;
    let added = store::conversations::add(tx, conversation.key, people.iter().map(|person| person.key))?;
    store::events::record_of_users(tx, actor, EventKind::ParticipantAdded, Some(conversation.key), added)?;
    view(tx, actor.key(), conversation)
}

/// As [`add`], once: the same request with the same key has the same answer.
///
/// # Errors
/// As [`add`], `Conflict` if the key was used for another request.
pub fn add_once(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    users: &[UserSelector],
    key: Option<&str>,
) -> Result<ConversationView> {
    let request = match key {
        Some(key) => {
            let (conversation, _) = super::conversation(tx, actor, selector)?;
            let people = set(super::people(tx, actor, "participants", users)?
                .into_iter()
                .map(|person| person.key.0.to_string()));
            Some(IdempotentRequest::meaning(key, "conversation add", &[&conversation.key.0.to_string(), &people]))
        }
        None => None,
    };
    let work = |tx: &mut Tx<'_>| add(tx, actor, selector, users);
    let again = |tx: &mut Tx<'_>, _| show_if_there(tx, actor, selector);
    once(tx, actor.key(), request.as_ref(), work, |view| view.conversation_id.0, again)
}

/// Removes users from a group, with their notifications of it. An actor who removes themselves leaves. A group without
/// participants is deleted.
///
/// # Errors
/// `NotFound` if one is not in the group, `Forbidden` for removing others unless as creator, admin or operator,
/// `Invalid` for a direct conversation.
pub fn remove(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    users: &[UserSelector],
) -> Result<Departure> {
    let (conversation, takes_part) = locked(tx, actor, selector)?;
    must_be_group(&conversation, "left")?;
    let people = super::people(tx, actor, "participants", users)?;
    if people.iter().any(|person| !actor.is(person.key)) {
        must_manage(actor, &conversation, takes_part, "remove others from it")?;
    }
    let removed = store::conversations::remove(tx, conversation.key, people.iter().map(|person| person.key))?;
    let removed: HashSet<UserKey> = removed.into_iter().collect();
    if let Some(person) = people.iter().find(|person| !removed.contains(&person.key)) {
        let detail = format!("{} does not take part in “{selector}”.", person.username);
        return Err(Error::not_found(detail));
    }
    store::events::record_of_users(tx, actor, EventKind::ParticipantRemoved, Some(conversation.key), removed)?;
    let ended = !store::conversations::has_participants(tx, conversation.key)?;
    if ended {
        end(tx, actor, &conversation)?;
    }
    Ok(Departure { removed: people, ended })
}

/// Sets which messages of a conversation notify the actor.
///
/// # Errors
/// `NotFound` if the actor is not a participant, `Forbidden` for the operator.
pub fn set_level(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    level: Level,
) -> Result<ConversationView> {
    let Actor::User(user) = actor else {
        return Err(Error::forbidden("Only participants have a level; the operator is not one."));
    };
    let (conversation, takes_part) = locked(tx, actor, selector)?;
    if !takes_part {
        return Err(Error::not_found(format!("{} does not take part in “{selector}”.", user.person.username)));
    }
    change_level(tx, actor, user.person.key, &conversation, level)?;
    view(tx, actor.key(), conversation)
}

/// As [`set_level`], of several conversations, of which those that change are changed.
///
/// # Errors
/// As of [`set_level`]; `Invalid` for more than [`MOST_NAMED`](super::MOST_NAMED).
pub fn set_levels(tx: &mut Tx<'_>, actor: &Actor, levels: &[(ConversationId, Level)]) -> Result<()> {
    super::must_be_few("conversations", levels.len())?;
    let mut changes = Vec::new();
    for (id, level) in levels {
        let selector = ConversationSelector::Id(*id);
        let (conversation, _) = super::conversation(tx, actor, &selector)?;
        let own = actor.key().map(|user| store::conversations::level(tx, conversation.key, user)).transpose()?;
        if own.flatten() != Some(*level) {
            changes.push((conversation.key, selector, *level));
        }
    }
    // In the order in which others lock them
    changes.sort_unstable_by_key(|(key, ..)| *key);
    changes.iter().try_for_each(|(_, selector, level)| set_level(tx, actor, selector, *level).map(drop))
}

/// Sets which messages of a conversation notify a user, if they take part in it, where the operator says how a database is to be.
///
/// # Errors
/// `NotFound`, `Forbidden` for all but the operator.
pub fn set_level_of(
    tx: &mut Tx<'_>,
    actor: &Actor,
    user: &UserSelector,
    selector: &ConversationSelector,
    level: Level,
) -> Result<()> {
    if actor.operator().is_none() {
        return Err(Error::forbidden("Only the operator sets the levels of others."));
    }
    let user = super::user(tx, actor, user)?.person;
    let (conversation, _) = super::conversation(tx, actor, selector)?;
    change_level(tx, actor, user.key, &conversation, level)
}

/// Sets which messages of a conversation notify a user, if they take part in it.
fn change_level(
    tx: &mut Tx<'_>,
    actor: &Actor,
    user: UserKey,
    conversation: &Conversation,
    level: Level,
) -> Result<()> {
    if store::conversations::set_level(tx, conversation.key, user, level)? {
        // Only the user hears of it: levels are private.
        let event = Event::conversation(EventKind::ParticipantUpdated, conversation);
        store::events::record(tx, actor, Event { user: Some(user), conversation: None, ..event })?;
    }
    Ok(())
}

/// Deletes a conversation with all its messages; returns it as it was.
///
/// # Errors
/// `NotFound`, `Forbidden` for all but the creator, admins and the operator, and in a direct conversation for all but
/// admins and the operator.
pub fn delete(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<ConversationView> {
    delete_if(tx, actor, selector, &mut |_, _| Ok(()))
}

/// As [`delete`], with a condition.
///
/// # Errors
/// As [`delete`], and those of the condition.
pub fn delete_if(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    condition: Condition<'_, Conversation>,
) -> Result<ConversationView> {
    let (conversation, takes_part) = locked(tx, actor, selector)?;
    if conversation.kind == Kind::Direct && !actor.administers() {
        return Err(Error::forbidden("Only admins delete a direct conversation."));
    }
    must_manage(actor, &conversation, takes_part, "delete it")?;
    condition(tx, &conversation)?;
    let view = view(tx, actor.key(), conversation.clone())?;
    end(tx, actor, &conversation)?;
    Ok(view)
}

fn end(tx: &mut Tx<'_>, actor: &Actor, conversation: &Conversation) -> Result<()> {
    store::events::record_ends(tx, actor, &[conversation.key], None)?;
    store::messages::delete_all_of(tx, &[conversation.key])?;
    store::conversations::delete(tx, &[conversation.key])
}

/// Finds and locks a conversation that the actor can see; returns it, and whether they are a participant.
fn locked(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<(Conversation, bool)> {
    let found = super::find_conversation(tx, actor, selector)?;
    let locked = found.map(|found| store::conversations::lock(tx, found.key)).transpose()?.flatten();
    super::if_visible(tx, actor, locked, selector)
}

/// Checks that the actor may administer a group: the creator while a participant, admins and the operator always.
fn must_manage(actor: &Actor, conversation: &Conversation, takes_part: bool, what: &str) -> Result<()> {
    let created = takes_part && conversation.creator_key.is_some() && conversation.creator_key == actor.key();
    if created || actor.administers() {
        return Ok(());
    }
    Err(Error::forbidden(format!("Only the creator of the conversation and admins {what}.")))
}

fn must_be_group(conversation: &Conversation, what: &str) -> Result<()> {
    if conversation.kind == Kind::Group {
        return Ok(());
    }
    let detail = format!("A direct conversation is between exactly two people; it is never {what}.");
    Err(Error::invalid("conversation", detail))
}

/// Checks a group's name and title; empty ones are treated as absent.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn check_names<'t>(name: Option<&'t str>, title: Option<&'t str>) -> Result<(Option<&'t str>, Option<&'t str>)> {
    let name = name.filter(|name| !name.is_empty());
    if let Some(title) = title {
        super::check_text("title", title, 200)?;
    }
    let title = title.filter(|title| !is_blank(title));
    if let Some(name) = name {
        let is_allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        if name.len() > 64 || !name.chars().all(is_allowed) {
            let detail = "The name of a conversation is 1 to 64 of the characters A–Z a–z 0–9 . _ -";
            return Err(Error::invalid("name", detail));
        }
        if uuid(name).is_some() {
            return Err(Error::invalid("name", "The name has the form of an id; choose another."));
        }
    }
    Ok((name, title))
}

/// A conversation after a change, with its first participants only, because other writers wait while it is read.
fn view(tx: &mut Tx<'_>, viewer: Option<UserKey>, conversation: Conversation) -> Result<ConversationView> {
    view_with(tx, viewer, conversation, PARTICIPANTS_OF_CHANGED)
}

fn view_with(
    tx: &mut Tx<'_>,
    viewer: Option<UserKey>,
    conversation: Conversation,
    participants_listed: i64,
) -> Result<ConversationView> {
    let view = views(tx, viewer, vec![conversation], participants_listed)?.pop();
    view.ok_or_else(|| Error::internal("a conversation is there and is not"))
}
