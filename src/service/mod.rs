//! The rules: who may do what, what a change brings with it. Every front end goes through these functions and no other.
//!
//! What somebody may not see is *not found* for them, in the same words as what is not there.

pub mod accounts;
pub mod conversations;
pub mod export;
pub mod finding;
pub mod messages;
pub mod notifications;
mod once;
pub mod page;
pub mod passwords;
pub mod tokens;
pub mod users;

pub use self::once::Once;
use crate::error::{Error, Result};
use crate::model::{
    Actor, Conversation, ConversationSelector, Message, MessageSelector, User, UserId, UserSelector, normalize, uuid,
};
use crate::store::{self, Tx};

/// What has to be so of a thing before it is changed, beside the rules: looked at when nobody else changes it any more.
pub type Condition<'c, T> = &'c mut dyn FnMut(&mut Tx<'_>, &T) -> Result<()>;

/// Writes something and takes it back: fails where the database cannot be written.
pub fn probe(tx: &mut Tx<'_>) -> Result<()> {
    store::maintenance::probe(tx)
}

/// Finds the user who acts.
///
/// # Errors
/// `NotFound` where there is no such user, `Forbidden` where they are deactivated.
pub fn acting(tx: &mut Tx<'_>, selector: &UserSelector) -> Result<Actor> {
    let user = user(tx, selector)?;
    if !user.is_active {
        return Err(Error::forbidden(format!(
            "The account of {} is deactivated; it cannot act.",
            user.person.username
        )));
    }
    Ok(Actor::User(user))
}

/// Finds a user by id, username or email, in that order.
///
/// # Errors
/// `NotFound` where there is none.
pub fn user(tx: &mut Tx<'_>, selector: &UserSelector) -> Result<User> {
    let text = normalize(&selector.0);
    let found = match uuid(&text) {
        // PostgreSQL cannot even be asked.
        _ if text.contains('\0') => None,
        Some(id) => store::users::by_id(tx, UserId(id))?,
        None => match store::users::by_username(tx, &text)? {
            None if text.contains('@') => store::users::by_email(tx, &text)?,
            found => found,
        },
    };
    match found {
        Some(user) => Ok(user),
        None => Err(no_user(tx, &text)),
    }
}

fn no_user(tx: &mut Tx<'_>, name: &str) -> Error {
    let absent = Error::not_found(format!("There is no user “{name}”."));
    hinting(absent, finding::user_meant(tx, name))
}

/// Adds what may have been meant; that it cannot be read is the greater trouble.
fn hinting(error: Error, meant: Result<Option<String>>) -> Error {
    match meant {
        Ok(Some(hint)) => error.hint(hint),
        Ok(None) => error,
        Err(failure) => failure,
    }
}

/// Finds a conversation whoever looks for it.
fn find_conversation(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<Option<Conversation>> {
    match selector {
        ConversationSelector::Id(id) => store::conversations::by_id(tx, *id),
        ConversationSelector::Name(name) if name.contains('\0') => Ok(None),
        ConversationSelector::Name(name) => store::conversations::by_name(tx, name),
        ConversationSelector::Direct(other) => {
            let Some(own) = actor.key() else {
                let error = Error::not_found(format!("“{selector}” names a direct conversation of somebody."));
                return Err(error.hint("Say whose with --as, or name it by its id."));
            };
            let other = user(tx, other)?;
            store::conversations::by_pair(tx, (own, other.person.key))
        }
    }
}

/// Absent, or not for the actor's eyes: the same words and the same hint.
fn no_conversation(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Error {
    let absent = Error::not_found(format!("There is no conversation “{selector}”."));
    match selector {
        ConversationSelector::Name(name) => hinting(absent, finding::group_meant(tx, actor, name)),
        ConversationSelector::Direct(user) => {
            absent.hint(format!("The first message to {user} begins it: --to {user}"))
        }
        ConversationSelector::Id(_) => absent,
    }
}

/// Finds a conversation the actor may see, and whether they take part in it.
///
/// # Errors
/// `NotFound` where there is none for their eyes.
pub fn conversation(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<(Conversation, bool)> {
    if let (ConversationSelector::Id(id), Some(user)) = (selector, actor.key()) {
        let found = store::conversations::by_id_for(tx, *id, user)?;
        let visible = found.filter(|(_, takes_part)| *takes_part || actor.administers());
        return visible.ok_or_else(|| no_conversation(tx, actor, selector));
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
    let Some(found) = found else { return Err(no_conversation(tx, actor, selector)) };
    let takes_part = match actor.key() {
        Some(user) => store::conversations::level(tx, found.key, user)?.is_some(),
        None => false,
    };
    if takes_part || actor.administers() { Ok((found, takes_part)) } else { Err(no_conversation(tx, actor, selector)) }
}

/// Finds a message the actor may see.
fn message(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Message> {
    let absent = || Error::not_found(format!("There is no message “{selector}”."));
    let found = match selector {
        MessageSelector::Id(id) => store::messages::by_id(tx, *id)?,
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

/// Finds a message the actor may see that has not been deleted.
fn living_message(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Message> {
    let found = message(tx, actor, selector)?;
    if found.deleted { Err(Error::not_found(format!("The message “{selector}” was deleted."))) } else { Ok(found) }
}

/// Finds a message, as [`living_message`] does, that nobody else changes from here to the end of the transaction: whoever
/// changes anything in a conversation locks it first.
fn locked_message(tx: &mut Tx<'_>, actor: &Actor, selector: &MessageSelector) -> Result<Message> {
    let found = living_message(tx, actor, selector)?;
    store::conversations::lock(tx, found.conversation_key)?;
    living_message(tx, actor, selector)
}

/// Checks a text of at most `characters` characters. NUL is refused because PostgreSQL cannot keep it.
fn check_text(field: &'static str, text: &str, characters: usize) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, format!("The {} holds a NUL character.", words(field))));
    }
    let length = text.chars().count();
    if length > characters {
        let detail = format!("The {} has {length} characters; at most {characters} are allowed.", words(field));
        return Err(Error::invalid(field, detail));
    }
    Ok(())
}

/// Checks what is searched for: up to 200 characters, so that no engine's limit on patterns is met.
fn check_search(search: Option<&str>) -> Result<()> {
    search.map_or(Ok(()), |search| check_text("search", search, 200))
}

/// A field's name as people say it
fn words(field: &str) -> String {
    field.replace('_', " ")
}
