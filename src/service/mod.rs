//! The rules: who may do what, and what follows from a change. Every front end uses only these functions.
//!
//! What an actor cannot see is *not found*, in the same words as what does not exist.

pub mod accounts;
pub mod conversations;
mod credentials;
pub mod events;
pub mod export;
mod idempotency;
pub mod login;
pub mod messages;
pub mod notifications;
pub mod overview;
pub mod page;
pub mod password_links;
pub mod passwords;
pub mod registration;
pub mod rules;
pub mod sessions;
pub mod suggest;
pub mod tokens;
pub mod users;

pub use self::credentials::Credentials;
pub use self::idempotency::{IdempotentRequest, once_done};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use crate::error::{Error, Result, Sought};
use crate::model::{
    Actor, Conversation, ConversationKey, ConversationSelector, Message, MessageId, MessageKey, MessageSelector, User,
    UserRef, UserSelector, fold_case, normalize,
};
use crate::store::{self, Tx};

/// A precondition of a change, such as `If-Match`: checked after the row is locked.
pub type Condition<'c, T> = &'c mut dyn FnMut(&mut Tx<'_>, &T) -> Result<()>;

/// The largest number of users or messages in one request, so that none blocks the others
pub const MOST_NAMED: usize = 1000;

/// The longest username, in characters
const LONGEST_USERNAME: usize = 150;

/// The longest text that can name a user, in bytes: a character of a username can be four characters of four bytes
/// before normalization. Longer texts are not folded, which would take long.
const LONGEST_NAME: usize = LONGEST_USERNAME * 4 * 4;

/// Writes so many bytes and deletes them, to check that the database can be written.
pub fn probe(tx: &mut Tx<'_>, size: usize) -> Result<()> {
    store::maintenance::probe(tx, size)
}

/// Finds the user who acts.
///
/// # Errors
/// `NotFound` if the user does not exist, `Forbidden` if they are deactivated.
pub fn acting(tx: &mut Tx<'_>, selector: &UserSelector) -> Result<Actor> {
    // Only the operator names a user to act as.
    let user = user_named(tx, selector, true)?;
    if !user.is_active {
        return Err(Error::forbidden(format!(
            "The account of {} is deactivated; it cannot act.",
            user.person.username
        )));
    }
    Ok(Actor::User(user))
}

/// Refuses all but the operator and admins.
///
/// # Errors
/// `Forbidden`.
pub fn must_administer(actor: &Actor) -> Result<()> {
    if actor.administers() { Ok(()) } else { Err(Error::forbidden("Only admins may do that.")) }
}

/// Finds a user by id, username or email, in that order; by email only for the operator and admins, because emails are
/// private.
///
/// # Errors
/// `NotFound` if it does not exist.
pub fn user(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<User> {
    user_named(tx, selector, actor.administers())
}

fn user_named(tx: &mut Tx<'_>, selector: &UserSelector, by_email: bool) -> Result<User> {
    let found = match selector {
        UserSelector::Id(id) => store::users::by_id(tx, *id)?,
        UserSelector::Name(name) if !may_name_user(name) => None,
        UserSelector::Name(name) => match store::users::by_username(tx, name)? {
            None if by_email && name.contains('@') => store::users::by_email(tx, name)?,
            found => found,
        },
    };
    found.ok_or_else(|| no_user(selector))
}

/// Whether a text can name a user: it is not too long to be folded, and has no NUL, which PostgreSQL refuses.
fn may_name_user(text: &str) -> bool {
    let is_short = || text.is_ascii() || text.nfc().take(LONGEST_USERNAME + 1).count() <= LONGEST_USERNAME;
    text.len() <= LONGEST_NAME && !text.contains('\0') && is_short()
}

fn no_user(selector: &UserSelector) -> Error {
    let name = match selector {
        UserSelector::Id(id) => id.to_string(),
        UserSelector::Name(name) if name.len() > LONGEST_NAME => {
            return Error::not_found("No user has a name that long.");
        }
        UserSelector::Name(name) => normalize(name),
    };
    Error::not_found(format!("There is no user “{name}”.")).seeking(Sought::User(name))
}

/// Finds users as [`user`] does, each once, in the given order. The number of statements does not depend on the number
/// of users.
///
/// # Errors
/// `NotFound` if one does not exist, with the field; `Invalid` for more than [`MOST_NAMED`].
fn people(tx: &mut Tx<'_>, actor: &Actor, field: &'static str, selectors: &[UserSelector]) -> Result<Vec<UserRef>> {
    must_be_few(field, selectors.len())?;
    let (mut ids, mut names, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    // With folded names
    let mut sought: Vec<(&UserSelector, String)> = Vec::new();
    for selector in selectors.iter().filter(|selector| seen.insert(*selector)) {
        let folded = match selector {
            UserSelector::Id(id) => {
                ids.push(id.0);
                String::new()
            }
            UserSelector::Name(name) if !may_name_user(name) => return Err(no_user(selector).naming(field)),
            UserSelector::Name(name) => {
                let folded = fold_case(name);
                names.push(folded.clone());
                folded
            }
        };
        sought.push((selector, folded));
    }
    let by_id = store::users::with_ids(tx, &ids)?;
    let by_id: HashMap<Uuid, UserRef> = by_id.into_iter().map(|person| (person.user_id.0, person)).collect();
    let by_name = store::users::called(tx, &names)?;
    let by_name: HashMap<String, UserRef> =
        by_name.into_iter().map(|person| (fold_case(&person.username), person)).collect();
    // For those who cannot name users by email, none are left.
    names.retain(|name| actor.administers() && name.contains('@') && !by_name.contains_key(name));
    let by_email: HashMap<String, UserRef> = store::users::with_emails(tx, &names)?.into_iter().collect();
    let (mut people, mut keys) = (Vec::new(), BTreeSet::new());
    for (selector, folded) in &sought {
        let found = match selector {
            UserSelector::Id(id) => by_id.get(&id.0),
            UserSelector::Name(_) => by_name.get(folded).or_else(|| by_email.get(folded)),
        };
        let person = found.ok_or_else(|| no_user(selector).naming(field))?;
        if keys.insert(person.key) {
            people.push(person.clone());
        }
    }
    Ok(people)
}

/// Refuses a list of more than [`MOST_NAMED`].
fn must_be_few(field: &'static str, count: usize) -> Result<()> {
    if count <= MOST_NAMED {
        return Ok(());
    }
    let detail = format!("The {} are {count}; at most 1,000 are allowed at once.", words(field));
    Err(Error::invalid(field, detail))
}

/// Finds a conversation, whether or not the actor can see it.
fn find_conversation(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<Option<Conversation>> {
    match selector {
        ConversationSelector::Id(id) => store::conversations::by_id(tx, *id),
        ConversationSelector::Name(name) if name.contains('\0') => Ok(None),
        ConversationSelector::Name(name) => store::conversations::by_name(tx, name),
        ConversationSelector::Direct(other) => {
            let Some(own) = actor.key() else {
                let error = Error::not_found(format!("“{selector}” names the direct conversation of a user."));
                return Err(error.hint("Name the user with --as, or use the id of the conversation."));
            };
            let other = user(tx, actor, other)?;
            store::conversations::by_pair(tx, rules::pair(own, other.person.key))
        }
    }
}

/// The error for an absent or invisible conversation: the same words and hint for both.
fn no_conversation(actor: &Actor, selector: &ConversationSelector) -> Error {
    let absent = Error::not_found(format!("There is no conversation “{selector}”."));
    match selector {
        ConversationSelector::Name(name) => absent.seeking(Sought::Group(actor.clone(), name.clone())),
        ConversationSelector::Direct(user) => {
            absent.hint(format!("The first message to {user} creates it: --to {user}"))
        }
        ConversationSelector::Id(_) => absent,
    }
}

/// Finds a conversation that the actor can see, and whether they are a participant.
///
/// # Errors
/// `NotFound` if the actor cannot see one.
pub fn conversation(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<(Conversation, bool)> {
    if let (ConversationSelector::Id(id), Some(user)) = (selector, actor.key()) {
        let found = store::conversations::by_id_for(tx, *id, user)?;
        let visible = found.filter(|(_, takes_part)| *takes_part || actor.administers());
        return visible.ok_or_else(|| no_conversation(actor, selector));
    }
    let found = find_conversation(tx, actor, selector)?;
    if_visible(tx, actor, found, selector)
}

fn if_visible(
    tx: &mut Tx<'_>,
    actor: &Actor,
    found: Option<Conversation>,
    selector: &ConversationSelector,
) -> Result<(Conversation, bool)> {
    let Some(found) = found else { return Err(no_conversation(actor, selector)) };
    let takes_part = match actor.key() {
        Some(user) => store::conversations::level(tx, found.key, user)?.is_some(),
        None => false,
    };
    if takes_part || actor.administers() { Ok((found, takes_part)) } else { Err(no_conversation(actor, selector)) }
}

/// Finds a message that the actor can see.
fn message(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Message> {
    let absent = || no_message(selector);
    let found = match selector {
        MessageSelector::Id(id) => store::messages::by_id(tx, *id)?,
        MessageSelector::In(conversation, id) => {
            store::messages::by_id(tx, *id)?.filter(|message| message.conversation == *conversation)
        }
        MessageSelector::Number(place, number) => {
            let (place, _) = conversation(tx, actor, place)?;
            return store::messages::by_number(tx, place.key, *number)?.ok_or_else(absent);
        }
    };
    let found = found.ok_or_else(absent)?;
    let visible = match actor.key() {
        _ if actor.administers() => true,
        Some(user) => store::conversations::level(tx, found.conversation_key, user)?.is_some(),
        None => false,
    };
    if visible { Ok(found) } else { Err(absent()) }
}

/// A message that the actor can see
struct Place<'s> {
    key: MessageKey,
    id: MessageId,
    conversation: ConversationKey,
    selector: &'s MessageSelector,
}

/// Where messages are that the actor can see, each once, in the given order. Contents are not read, and the number of statements
/// for ids does not depend on their number.
///
/// # Errors
/// `NotFound` if the actor cannot see one, `Invalid` for more than [`MOST_NAMED`].
fn places<'s>(
    tx: &mut Tx<'_>,
    actor: &Actor,
    field: &'static str,
    selectors: &'s [MessageSelector],
) -> Result<Vec<Place<'s>>> {
    must_be_few(field, selectors.len())?;
    let ids: BTreeSet<MessageId> = selectors
        .iter()
        .filter_map(|selector| if let MessageSelector::Id(id) = selector { Some(*id) } else { None })
        .collect();
    let found = store::messages::places(tx, ids)?;
    let visible = match actor.key() {
        Some(user) if !actor.administers() => {
            let conversations: BTreeSet<ConversationKey> = found.iter().map(|(.., place)| *place).collect();
            Some(store::conversations::those_of(tx, user, conversations)?)
        }
        _ => None,
    };
    let found: BTreeMap<MessageId, (MessageKey, ConversationKey)> = found
        .into_iter()
        .filter(|(.., place)| visible.as_ref().is_none_or(|visible| visible.contains(place)))
        .map(|(key, id, conversation)| (id, (key, conversation)))
        .collect();
    let mut places = Vec::new();
    let mut keys = BTreeSet::new();
    for selector in selectors {
        let (id, (key, conversation)) = match selector {
            MessageSelector::Id(id) => (*id, *found.get(id).ok_or_else(|| no_message(selector))?),
            MessageSelector::In(..) | MessageSelector::Number(..) => {
                let message = message(tx, actor, selector)?;
                (message.message_id, (message.key, message.conversation_key))
            }
        };
        if keys.insert(key) {
            places.push(Place { key, id, conversation, selector });
        }
    }
    Ok(places)
}

/// Absent, or not visible to the actor
fn no_message(selector: &MessageSelector) -> Error {
    Error::not_found(format!("There is no message “{selector}”."))
}

/// Finds a message that the actor can see and that is not a tombstone.
fn living_message(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Message> {
    let found = message(tx, actor, selector)?;
    if found.deleted { Err(Error::not_found(format!("The message “{selector}” was deleted."))) } else { Ok(found) }
}

/// As [`living_message`], and locks its conversation until the end of the transaction: every change in a conversation
/// locks it first.
fn locked_message(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Message> {
    let found = living_message(tx, actor, selector)?;
    store::conversations::lock(tx, found.conversation_key)?;
    living_message(tx, actor, selector)
}

/// Checks a text of at most `characters` characters. NUL is refused because PostgreSQL cannot store it.
fn check_text(field: &'static str, text: &str, characters: usize) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, format!("The {} contains a NUL character.", words(field))));
    }
    let length = text.chars().count();
    if length > characters {
        let detail = format!("The {} has {length} characters; at most {characters} are allowed.", words(field));
        return Err(Error::invalid(field, detail));
    }
    Ok(())
}

/// Checks a search text: at most 200 characters, well below the engines' limits for patterns.
fn check_search(search: Option<&str>) -> Result<()> {
    search.map_or(Ok(()), |search| check_text("search", search, 200))
}

/// The name of a field in error messages
fn words(field: &str) -> String {
    field.replace('_', " ")
}
