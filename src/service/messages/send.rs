//! Sending a message: the row, its number, its notifications and its event, in one transaction.

use super::{check_content, mentions};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::{
    Actor, Conversation, ConversationKey, ConversationSelector, Event, EventKind, Message, MessageId, MessageKey,
    MessageSelector, NotificationKind, Number, Timestamp, User, UserKey, UserRef, UserSelector,
};
use crate::service;
use crate::service::idempotency::{IdempotentRequest, message_meant, once, user_meant};
use crate::service::rules;
use crate::store::conversations::Turn;
use crate::store::messages::NewMessage;
use crate::store::{self, Tx};

/// How far ahead of the clock the last message of a conversation may have been sent, in seconds, for the next not to be sent
/// before it
const AHEAD: i64 = 60;

/// Where a message goes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To a conversation
    Conversation(ConversationSelector),
    /// To the direct conversation with a user, begun where there is none
    User(UserSelector),
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Draft {
    pub destination: Destination,
    pub content: String,
    /// The message it replies to
    pub parent: Option<MessageSelector>,
    /// In a group: the participant it is addressed to
    pub receiver: Option<UserSelector>,
    /// Within 24 hours, the same draft with this key returns the first message
    pub idempotency_key: Option<String>,
}

/// Sends a message and notifies every other participant whose level lets it through.
///
/// # Errors
/// `NotFound` if the sender does not take part in the conversation, `Forbidden` for the operator and for an admin who
/// does not take part, `Invalid` if the content, the parent or the receiver breaks a rule, `Conflict` if the
/// idempotency key was used for another request.
pub fn send(tx: &mut Tx<'_>, actor: &Actor, draft: &Draft) -> Result<Message> {
    let Actor::User(sender) = actor else {
        return Err(Error::forbidden("The operator cannot send messages.").hint("Act as a user: --as USER."));
    };
    check_content(&draft.content)?;
    // First of all: a key's request is compared by the conversation that it names, or begins. One that the sender does not see is
    // not there, whatever the key was used for.
    let conversation = destination(tx, actor, sender, &draft.destination)?;
    let request = draft.idempotency_key.as_deref();
    let request = request.map(|key| meaning(tx, actor, (sender, &conversation), draft, key)).transpose()?;
    let again = |tx: &mut Tx<'_>, id| match service::message(tx, actor, &MessageSelector::Id(MessageId(id))) {
        Ok(message) => Ok(Some(message).filter(|message| !message.deleted)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let work = |tx: &mut Tx<'_>| deliver(tx, actor, sender, &conversation, draft);
    once(tx, actor.key(), request.as_ref(), work, |message| message.message_id.0, again)
}

/// What a draft asks for under a key
fn meaning(
    tx: &mut Tx<'_>,
    actor: &Actor,
    (sender, conversation): (&User, &Conversation),
    draft: &Draft,
    key: &str,
) -> Result<IdempotentRequest> {
    let parent = draft.parent.as_ref().map(|parent| message_meant(tx, actor, parent)).transpose()?;
    let receiver = draft.receiver.as_ref().map(|receiver| user_meant(tx, actor, receiver)).transpose()?;
    // In a direct conversation it is the other person anyway.
    let other = conversation.other(sender.person.key).map(|other| other.0.to_string());
    let receiver = receiver.filter(|receiver| Some(receiver) != other.as_ref()).unwrap_or_default();
    let place = conversation.key.0.to_string();
    Ok(IdempotentRequest::meaning(
        key,
        "message send",
        &[&place, &parent.unwrap_or_default(), &receiver, &draft.content],
    ))
}

fn deliver(
    tx: &mut Tx<'_>,
    actor: &Actor,
    sender: &User,
    conversation: &Conversation,
    draft: &Draft,
) -> Result<Message> {
    // The number first: on PostgreSQL it puts the writers of a conversation in line, and what follows is read behind it.
    let turn = store::conversations::take_number(tx, conversation)?;
    let takes_part = store::conversations::level(tx, conversation.key, sender.person.key)?.is_some();
    let (Some(Turn { number, last_sent_at }), true) = (turn, takes_part) else {
        return Err(match &draft.destination {
            Destination::Conversation(selector) if !actor.administers() => service::no_conversation(actor, selector),
            _ => Error::forbidden(format!("{} does not take part in the conversation.", sender.person.username)),
        });
    };
    let place = (conversation.key, number);
    let parent = draft.parent.as_ref().map(|parent| parent_in(tx, actor, place, parent)).transpose()?;
    let receiver = receiver(tx, actor, sender, conversation, draft.receiver.as_ref())?;
    let sent_at = sent_at(tx.now(), last_sent_at);
    if let Some(last) = last_sent_at.filter(|last| *last > sent_at) {
        tx.note(format!(
            "The clock says {sent_at}, but the last message of a conversation was sent at {last}: that is too far ahead, so \
             the clock counts, and the times of its messages go back."
        ));
    }
    let new = NewMessage {
        id: MessageId(tx.new_id()?),
        conversation,
        number,
        sent_at,
        sender: &sender.person,
        receiver: receiver.as_ref(),
        parent: parent.as_ref(),
        content: &draft.content,
    };
    let message = store::messages::insert(tx, &new)?;
    let parent_sender = parent.and_then(|parent| parent.sender).map(|person| person.key);
    notify(tx, (message.key, conversation.key), sender.person.key, parent_sender, &draft.content)?;
    let event = Event::message(EventKind::MessageCreated, conversation.key, message.message_id);
    store::events::record(tx, actor, event)?;
    Ok(message)
}

/// When a message is sent: now, but not before the one before it, as if the clock was never set back; where that one lies too far
/// ahead, now all the same.
pub fn sent_at(now: Timestamp, last: Option<Timestamp>) -> Timestamp {
    last.filter(|last| *last <= now.plus_seconds(AHEAD)).map_or(now, |last| last.max(now))
}

/// Notifies everybody whom a new message of a conversation concerns; returns how many.
pub fn notify(
    tx: &mut Tx<'_>,
    message: (MessageKey, ConversationKey),
    sender: UserKey,
    parent_sender: Option<UserKey>,
    content: &str,
) -> Result<i64> {
    let mentioned = mentions::find(tx, message.1, content)?;
    store::notifications::notify(tx, message, sender, parent_sender, &mentioned)
}

/// What sending a message made its notification of a participant.
pub fn notification_kind(tx: &mut Tx<'_>, message: MessageKey, user: UserKey) -> Result<NotificationKind> {
    let Some(message) = store::messages::by_keys(tx, &[message])?.pop() else { return Ok(NotificationKind::Message) };
    if mentions::find(tx, message.conversation_key, &message.content)?.contains(&user) {
        return Ok(NotificationKind::Mention);
    }
    let parent = store::messages::by_keys(tx, &message.parent_key.into_iter().collect::<Vec<_>>())?.pop();
    let is_reply = parent.is_some_and(|parent| parent.is_from(user));
    Ok(if is_reply { NotificationKind::Reply } else { NotificationKind::Message })
}

fn destination(tx: &mut Tx<'_>, actor: &Actor, sender: &User, destination: &Destination) -> Result<Conversation> {
    match destination {
        Destination::Conversation(selector) => Ok(service::conversation(tx, actor, selector)?.0),
        Destination::User(selector) => {
            let other = service::user(tx, actor, selector)?;
            Ok(service::conversations::direct(tx, actor, sender.person.key, other.person.key)?.0)
        }
    }
}

fn parent_in(
    tx: &mut Tx<'_>,
    actor: &Actor,
    place: (ConversationKey, Number),
    selector: &MessageSelector,
) -> Result<Message> {
    let parent = service::message(tx, actor, selector).map_err(|error| error.naming("parent_message"))?;
    rules::check_parent(place, (parent.conversation_key, parent.number))?;
    if parent.deleted {
        return Err(Error::invalid("parent_message", format!("The message “{selector}” was deleted.")));
    }
    Ok(parent)
}

/// In a direct conversation the other person; in a group nobody, unless one participant is named.
fn receiver(
    tx: &mut Tx<'_>,
    actor: &Actor,
    sender: &User,
    conversation: &Conversation,
    named: Option<&UserSelector>,
) -> Result<Option<UserRef>> {
    let named = named.map(|selector| service::user(tx, actor, selector)).transpose();
    let named = named.map_err(|error| error.naming("receiver"))?.map(|user| user.person);
    if let Some(receiver) = &named {
        rules::check_receiver(conversation.pair, sender.person.key, receiver.key)?;
    }
    match (conversation.other(sender.person.key), named) {
        (Some(other), None) => Ok(store::users::people(tx, [other])?.into_values().next()),
        (None, Some(receiver)) if store::conversations::level(tx, conversation.key, receiver.key)?.is_none() => {
            let detail = format!("{} does not take part in the conversation.", receiver.username);
            Err(Error::invalid("receiver", detail))
        }
        (_, named) => Ok(named),
    }
}
