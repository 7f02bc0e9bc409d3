//! How events are shown.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::cli::follow::Heard;
use crate::cli::message::shown::place;
use crate::cli::output::{Field, Paragraph, Piece, Record, View, time};
use crate::cli::user::PERSON;
use crate::model::{Choice, EventKind, UserKey, UserRef};
use crate::service::events::{EventConversation, EventMessage, EventUser, EventView, ResetReason, Subject};

/// How much of a text stands in a line, in characters
const EXCERPT: usize = 200;

pub(in crate::cli) const FIELDS: &[Field] = &[
    Field::Value("id"),
    Field::Value("event"),
    Field::Value("at"),
    Field::Object("actor", PERSON),
    Field::Value("by_operator"),
    Field::Value("conversation"),
    Field::Object("message", MESSAGE),
    Field::Value("mentions"),
    Field::Value("is_read"),
    Field::Object("details", CONVERSATION),
    Field::Object("user", PERSON),
    Field::Value("level"),
    Field::Value("reason"),
];

const MESSAGE: &[Field] = &[
    Field::Value("message_id"),
    Field::Value("conversation"),
    Field::Value("number"),
    Field::Object("sender", PERSON),
    Field::Object("receiver", PERSON),
    Field::Value("content"),
    Field::Value("timestamp"),
    Field::Value("edited"),
    Field::Value("revision"),
    Field::Value("parent_message"),
    Field::Value("is_thread"),
    Field::Value("reply_count"),
    Field::Value("deleted"),
];

const CONVERSATION: &[Field] = &[
    Field::Value("conversation_id"),
    Field::Value("kind"),
    Field::Value("name"),
    Field::Value("title"),
    Field::Object("creator", PERSON),
    Field::Value("participants"),
    Field::Value("participant_count"),
    Field::Value("created_at"),
    Field::Value("message_count"),
];

/// What was heard, as it is shown
pub(super) struct Shown {
    heard: Heard,
    is_flat: bool,
}

impl Shown {
    pub(super) fn new(heard: Heard) -> Self {
        Self { heard, is_flat: false }
    }

    /// For rows: what is a message's id in some events is within an object, as in the others.
    pub(super) fn flat(self) -> Self {
        Self { is_flat: true, ..self }
    }

    pub(super) fn is_event(&self) -> bool {
        matches!(self.heard, Heard::Event(_))
    }

    /// The cursor behind it
    pub(super) fn cursor(&self) -> &str {
        match &self.heard {
            Heard::Event(view) => &view.id,
            Heard::Reset(_, cursor) => cursor,
        }
    }

    /// What names it in a sentence
    pub(super) fn name(&self) -> String {
        match &self.heard {
            Heard::Event(view) => format!("{} at {}", view.event.word(), time(view.at)),
            Heard::Reset(..) => "reset".to_owned(),
        }
    }

    /// A reset in words
    pub(super) fn sentence(&self) -> String {
        match &self.heard {
            Heard::Event(_) => String::new(),
            Heard::Reset(ResetReason::OtherLog, _) => {
                "Reset: these are the events of another database, or of one that was restored. Read what you need anew."
                    .to_owned()
            }
            Heard::Reset(ResetReason::TooOld, _) => {
                "Reset: the events after that position are not kept any more. Read what you need anew.".to_owned()
            }
        }
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.heard {
            Heard::Event(view) => match &view.subject {
                Subject::Notification { message, .. } if self.is_flat => {
                    let mut fields = match serde_json::to_value(view) {
                        Ok(Value::Object(fields)) => fields,
                        _ => Map::new(),
                    };
                    fields.insert("message".to_owned(), json!({ "message_id": message }));
                    fields.serialize(serializer)
                }
                _ => view.serialize(serializer),
            },
            Heard::Reset(reason, cursor) => {
                json!({ "id": cursor, "event": "reset", "reason": reason.word() }).serialize(serializer)
            }
        }
    }
}

impl Record for Shown {
    const FIELDS: &'static [Field] = FIELDS;

    fn ids(&self) -> Vec<String> {
        if self.is_event() { vec![self.cursor().to_owned()] } else { Vec::new() }
    }

    /// One line, as there may be many
    fn paragraph(&self, view: View) -> Option<Paragraph<'_>> {
        let heading = match &self.heard {
            Heard::Event(event) => line(event, view.viewer),
            Heard::Reset(..) => vec![vec![Piece::Alert(self.sentence())]],
        };
        Some(Paragraph { heading, body: Vec::new(), depth: 0 })
    }
}

/// When it happened, where, and who did what
fn line(event: &EventView, viewer: Option<UserKey>) -> Vec<Vec<Piece>> {
    let mut who = vec![match (&event.actor, &event.by_operator) {
        (Some(actor), _) => person(actor),
        // What nobody has named is called so, too.
        (None, Some(name)) if name == "operator" => Piece::Person(name.clone()),
        (None, Some(name)) => Piece::Person(format!("{name} (operator)")),
        (None, None) => Piece::Faint("somebody deleted".to_owned()),
    }];
    let mut place = event.conversation_name.clone().or_else(|| event.conversation.map(|id| id.to_string()));
    let mut text = None;
    match &event.subject {
        Subject::Message { message, .. } => {
            if let Some(message) = message {
                place = address(message, event.conversation_name.as_deref(), viewer).or(place);
                text = Some(message.content.as_str()).filter(|text| !text.is_empty());
            }
            let said = message.as_deref();
            who.extend(of_message(event.event, said, viewer));
        }
        Subject::Notification { message, is_read } => {
            let is = if *is_read { "read" } else { "unread" };
            let what = message.map_or_else(|| "several messages".to_owned(), |id| format!("message {id}"));
            who.push(format!("marked {what} as {is}").into());
        }
        Subject::Conversation { details } => {
            who.extend(of_conversation(event.event, details.as_deref()));
            text = details.as_ref().and_then(|details| details.title.as_deref());
        }
        Subject::User { user, level } => {
            who.extend(of_user(event, user));
            if let Some(level) = level {
                who.push(format!("({})", level.word()).into());
            }
        }
    }
    let place = place.map(|place| vec![Piece::Address(place)]);
    let text = text.map(|text| vec![excerpt(text).into()]);
    [Some(vec![Piece::Time(event.at)]), place, Some(who), text].into_iter().flatten().collect()
}

fn person(person: &UserRef) -> Piece {
    Piece::Person(person.username.clone())
}

/// What names a message in a command, as far as anything is left of it
fn address(message: &EventMessage, name: Option<&str>, viewer: Option<UserKey>) -> Option<String> {
    let people = (message.sender.as_ref(), message.receiver.as_ref());
    let place = place(message.conversation_kind?, name, people, viewer);
    Some(format!("{}#{}", place.unwrap_or_default(), message.number?.0))
}

fn of_message(kind: EventKind, message: Option<&EventMessage>, viewer: Option<UserKey>) -> Vec<Piece> {
    let (mut what, mut whom) = (Vec::new(), None);
    if let Some(message) = message {
        // In a conversation of one's own the address says to whom.
        whom = message.receiver.as_ref().filter(|receiver| viewer != Some(receiver.key));
        if kind == EventKind::MessageCreated && message.parent_message.is_some() {
            what.push("replied".into());
        }
    }
    match (kind, message) {
        (EventKind::MessageDeleted, Some(_)) => what.push("deleted a message".into()),
        (EventKind::MessageDeleted, None) => what.push("deleted several messages".into()),
        (_, Some(message)) if message.deleted => what.push("wrote what is deleted now".into()),
        (EventKind::MessageEdited, Some(message)) => {
            what.push(format!("edited (revision {})", message.revision).into());
        }
        (_, None) => what.push("changed several messages".into()),
        _ => {}
    }
    if let Some(whom) = whom {
        what.extend(["→".into(), person(whom)]);
    }
    what
}

fn of_conversation(kind: EventKind, details: Option<&EventConversation>) -> Vec<Piece> {
    let verb = match kind {
        EventKind::ConversationCreated => "created the conversation",
        EventKind::ConversationUpdated => "changed the conversation",
        _ => "deleted the conversation",
    };
    let mut what = vec![verb.into()];
    if kind == EventKind::ConversationCreated
        && let Some(details) = details
    {
        let names: Vec<&str> = details.participants.iter().map(|person| person.username.as_str()).collect();
        what.push(format!("with {}", names.join(", ")).into());
    }
    what
}

fn of_user(event: &EventView, user: &EventUser) -> Vec<Piece> {
    let is_self = user.user_id.is_some() && event.actor.as_ref().map(|actor| actor.user_id) == user.user_id;
    let whom = match &user.username {
        Some(name) => Piece::Person(name.clone()),
        None => Piece::Faint(user.user_id.map_or_else(|| "somebody".to_owned(), |id| id.to_string())),
    };
    let verb = match event.event {
        EventKind::ParticipantAdded if is_self => return vec!["joined".into()],
        EventKind::ParticipantRemoved if is_self => return vec!["left".into()],
        EventKind::ParticipantAdded => "added",
        EventKind::ParticipantRemoved => "removed",
        EventKind::ParticipantUpdated => "set the level of",
        EventKind::UserCreated => "created the account of",
        EventKind::UserDeleted => "deleted the account of",
        _ => "changed the account of",
    };
    vec![verb.into(), whom]
}

/// The beginning of a text
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
