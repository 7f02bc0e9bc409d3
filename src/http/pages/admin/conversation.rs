//! A conversation as people read it, from any number on, and as it goes on; a thread of it; who takes part.

use std::collections::{HashMap, HashSet};

use askama::Template;
use axum::extract::{RawQuery, State};

use super::texts::Cut;
use super::{Admin, Id, command, read_id};
use crate::error::{Kind as ErrorKind, Result};
use crate::http::pages::address::Address;
use crate::http::pages::answer::Page;
use crate::http::pages::assets;
use crate::http::pages::form::parameter;
use crate::http::pages::session::{frame, read, read_by_need};
use crate::http::pages::view::{self, Around, Frame, Place, handle_of, level_name, name_of};
use crate::http::server::Shared;
use crate::model::{
    Actor, ConversationId, ConversationSelector, ConversationView, Kind, Level, Message, MessageId, MessageKey,
    MessageSelector, Number, Seek, Timestamp, UserKey, UserRef, uuid,
};
use crate::service::messages::{self, Matching};
use crate::service::sessions::Session;
use crate::service::{conversations, events, page};
use crate::store::Tx;

/// How many messages a page shows
const SHOWN: i64 = 50;

/// How many participants the page of a conversation shows, and a page of participants
const PARTICIPANTS: (i64, i64) = (20, 100);

/// How much of a text is shown, in characters; the script cuts what comes as long
const CUT: usize = 2000;

/// The path of the page of a conversation
pub(super) fn path_of(conversation: ConversationId) -> String {
    format!("/admin/conversations/{conversation}/")
}

/// What conversations are called: by name as in their list, and with the name of a group that is called by its title
pub(super) type Names = HashMap<ConversationId, (String, Option<String>)>;

/// What these conversations are called, on pages of something else.
pub(super) fn names(
    tx: &mut Tx<'_>,
    actor: &Actor,
    conversations: impl IntoIterator<Item = ConversationId>,
) -> Result<Names> {
    let found = conversations::with_ids(tx, actor, conversations)?;
    let called = |found: &ConversationView| (found.conversation_id, (name_of(found), handle_of(found)));
    Ok(found.iter().map(called).collect())
}

/// `/admin/conversations/ID/`
#[derive(Template)]
#[template(path = "admin/conversation.html", whitespace = "minimize")]
struct Talk {
    frame: Frame,
    name: String,
    conversation: ConversationView,
    participants: Vec<Member>,
    messages: Vec<Said>,
    /// The messages before and after those shown
    around: Around,
    /// Whether the newest message is shown, so that new ones follow it
    is_end: bool,
    /// Where in the log the page was made
    cursor: String,
    /// The time of the event there
    reached: Option<Timestamp>,
    /// The first message of the thread that is shown
    thread: Option<Number>,
    /// That a message was asked for which is not there
    absent: Option<String>,
    command: String,
}

/// Somebody who takes part
struct Member {
    person: UserRef,
    /// Which messages notify them
    level: &'static str,
}

impl Member {
    fn all(found: Vec<(UserRef, Level)>) -> Vec<Self> {
        found.into_iter().map(|(person, level)| Self { person, level: level_name(level) }).collect()
    }
}

/// A message as it is shown
struct Said {
    id: MessageId,
    number: Number,
    revision: i64,
    sender: Option<UserRef>,
    /// In a group, the addressee
    receiver: Option<UserRef>,
    at: Timestamp,
    parent: Option<(MessageId, Number)>,
    /// Whether what it replies to is shown, too
    has_parent: bool,
    replies: i64,
    text: Cut,
    is_deleted: bool,
    /// Whether it was asked for
    is_target: bool,
    /// Whether it is shown whole because it was asked for
    is_whole: bool,
    /// Whether it is the first of its day
    begins_day: bool,
    /// How deep it stands in its thread
    depth: usize,
}

impl Said {
    fn new(message: Message, is_target: bool, depth: usize) -> Self {
        // Whoever asks for one message sees all of it.
        let cut = if is_target { usize::MAX } else { CUT };
        Self {
            id: message.message_id,
            number: message.number,
            revision: message.revision,
            sender: message.sender,
            receiver: message.receiver.filter(|_| message.conversation_kind == Kind::Group),
            at: message.timestamp,
            parent: message.parent_message.zip(message.parent_number),
            has_parent: false,
            replies: message.reply_count,
            text: Cut::new(&message.content, cut),
            is_deleted: message.deleted,
            is_target,
            is_whole: is_target && message.content.chars().nth(CUT).is_some(),
            begins_day: false,
            depth: depth.min(DEEPEST),
        }
    }

    /// The day, for those without scripts
    fn day(&self) -> impl std::fmt::Display {
        self.at.date_time().format("%A, %-d %B %Y")
    }
}

/// Deeper replies stand no further to the right, so that there is room for their text
const DEEPEST: usize = 6;

/// Says of messages where a day begins, and which of them reply to others of them.
fn arrange(mut said: Vec<Said>) -> Vec<Said> {
    let shown: HashSet<MessageId> = said.iter().map(|said| said.id).collect();
    let mut last = None;
    for said in &mut said {
        let day = said.at.date_time().date_naive();
        said.begins_day = last.replace(day) != Some(day);
        said.has_parent = said.parent.is_some_and(|(parent, _)| shown.contains(&parent));
    }
    said
}

/// Which part of a conversation is shown
#[derive(Clone, Copy)]
enum Wanted {
    Newest,
    Before(Number),
    After(Number),
    At(Number),
    /// Around the message with that id
    Message(MessageId),
    Thread(Number),
}

impl Wanted {
    fn read(query: Option<&str>) -> Self {
        let text = |name| parameter(query, name).unwrap_or_default();
        let number = |name| text(name).trim().parse().ok().filter(|number| (1..=Number::HIGHEST).contains(number));
        let number = |name| number(name).map(Number);
        let by_number = [
            ("at", Self::At as fn(_) -> _),
            ("thread", Self::Thread),
            ("before", Self::Before),
            ("after", Self::After),
        ];
        let found = by_number.into_iter().find_map(|(name, make)| number(name).map(make));
        let found = found.or_else(|| uuid(text("at").trim()).map(MessageId).map(Self::Message));
        found.unwrap_or(Self::Newest)
    }
}

/// The messages that are shown, the oldest first
struct Part {
    wanted: Wanted,
    messages: Vec<(Message, usize)>,
    target: Option<Number>,
    /// That the one which was asked for is not there
    absent: Option<String>,
    has_older: bool,
    has_newer: bool,
    /// The pages around one of a thread
    thread: Option<page::Page<(), (MessageKey, i64)>>,
}

/// The part that is wanted. Where all of it is gone, the newest messages take its place, or the beginning of the thread.
fn shown(
    tx: &mut Tx<'_>,
    actor: &Actor,
    place: ConversationId,
    wanted: Wanted,
    seek: Option<&Seek<(MessageKey, i64)>>,
) -> Result<Part> {
    let found = part(tx, actor, place, wanted, seek)?;
    if !found.messages.is_empty() {
        return Ok(found);
    }
    let instead = if let Wanted::Thread(_) = wanted { wanted } else { Wanted::Newest };
    Ok(Part { absent: found.absent, ..part(tx, actor, place, instead, None)? })
}

fn part(
    tx: &mut Tx<'_>,
    actor: &Actor,
    conversation: ConversationId,
    wanted: Wanted,
    seek: Option<&Seek<(MessageKey, i64)>>,
) -> Result<Part> {
    let place = &ConversationSelector::Id(conversation);
    let mut page = |seek: Option<Seek<Number>>, size| {
        messages::page_of(tx, actor, place, &Matching::default(), seek.as_ref(), (size, false))
    };
    let whole = |page: page::Page<Message, Number>| Part {
        wanted,
        messages: page.items.into_iter().rev().map(|message| (message, 0)).collect(),
        target: None,
        absent: None,
        has_older: page.next.is_some(),
        has_newer: page.previous.is_some(),
        thread: None,
    };
    match wanted {
        Wanted::Newest => Ok(whole(page(None, SHOWN)?)),
        Wanted::Before(number) => Ok(whole(page(Some(Seek::After(number)), SHOWN)?)),
        Wanted::After(number) => Ok(whole(page(Some(Seek::Before(number)), SHOWN)?)),
        Wanted::At(number) => {
            let newer = whole(page(Some(Seek::Before(Number(number.0 - 1))), SHOWN / 2)?);
            let older = whole(page(Some(Seek::After(number)), SHOWN / 2)?);
            let messages: Vec<_> = older.messages.into_iter().chain(newer.messages).collect();
            let is_there = messages.iter().any(|(message, _)| message.number == number);
            let absent = || format!("There is no message #{}. These are the messages around its place.", number.0);
            let absent = (!is_there).then(absent);
            Ok(Part { messages, absent, target: Some(number), has_older: older.has_older, ..newer })
        }
        Wanted::Message(id) => match messages::show(tx, actor, &MessageSelector::In(conversation, id)) {
            Ok(message) => part(tx, actor, conversation, Wanted::At(message.number), None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let absent = "That message is not in this conversation. These are the newest messages.";
                let newest = part(tx, actor, conversation, Wanted::Newest, None)?;
                Ok(Part { absent: Some(absent.to_owned()), ..newest })
            }
            Err(error) => Err(error),
        },
        Wanted::Thread(number) => {
            let root = MessageSelector::Number(place.clone(), number);
            let mut page = messages::thread_page(tx, actor, &root, seek, SHOWN)?;
            let messages = std::mem::take(&mut page.items);
            Ok(Part {
                wanted,
                messages: messages.into_iter().map(|found| (found.message, found.depth)).collect(),
                target: None,
                absent: None,
                has_older: false,
                has_newer: true,
                thread: Some(page.map(|_| Ok(Vec::new()))?),
            })
        }
    }
}

/// Shows a conversation. Nothing of it is read by this: an admin looks at what is others'.
pub(super) async fn show(
    State(server): State<Shared>,
    Admin(session): Admin,
    id: Id,
    RawQuery(query): RawQuery,
) -> Page {
    let id = read_id(id, "conversation", ConversationId)?;
    let wanted = Wanted::read(query.as_deref());
    let address = Address::read(path_of(id), query.as_deref(), &["thread"]);
    let seek = address.seek(&server.keys);
    let look = move |tx: &mut Tx<'_>, session: &Session| {
        let (actor, place) = (session.actor(), ConversationSelector::Id(id));
        // First: what is said after it is told to the page, also what it shows already.
        let newest = events::newest(tx)?;
        let conversation = conversations::show_briefly(tx, &actor, &place)?;
        let participants = conversations::levels(tx, &actor, &place, None, PARTICIPANTS.0)?.items;
        Ok((newest, conversation, participants, shown(tx, &actor, id, wanted, seek.as_ref())?))
    };
    // Of a thread, all of it is read.
    let is_slow = matches!(wanted, Wanted::Thread(_));
    let ((cursor, reached), conversation, participants, part) = read_by_need(&server, &session, is_slow, look).await?;
    let Part { wanted, messages, target, absent, has_older, has_newer, thread: thread_page } = part;
    let number = |message: Option<&(Message, usize)>| message.map_or(0, |(message, _)| message.number.0);
    let (first, last) = (number(messages.first()), number(messages.last()));
    let path = path_of(id);
    let around = match &thread_page {
        Some(page) => address.around(&server.keys, page.previous.as_ref(), page.next.as_ref())?,
        None => Around {
            previous: has_older.then(|| format!("{path}?before={first}#end")),
            next: has_newer.then(|| format!("{path}?after={last}")),
            first: None,
        },
    };
    let thread = match wanted {
        Wanted::Thread(number) => Some(number),
        _ => None,
    };
    let messages = messages.into_iter().map(|(message, depth)| {
        let is_target = target == Some(message.number);
        Said::new(message, is_target, depth)
    });
    let messages = arrange(messages.collect());
    let page = Talk {
        frame: Frame { place: Some(Place::Conversations), ..frame(&session, None) },
        name: name_of(&conversation),
        participants: Member::all(participants),
        around,
        is_end: !has_newer,
        cursor,
        reached,
        thread,
        absent,
        command: command_for(id, wanted, first),
        messages,
        conversation,
    };
    Ok(view::page(&page)?)
}

/// The command that shows the same
fn command_for(conversation: ConversationId, wanted: Wanted, first: i64) -> String {
    let (conversation, limit) = (conversation.to_string(), format!("--limit={SHOWN}"));
    match wanted {
        Wanted::Thread(number) => command(["message", "thread", &format!("{conversation}#{}", number.0)]),
        Wanted::Newest => command(["message", "list", &conversation, &limit]),
        _ => command(["message", "list", &conversation, &format!("--after={}", (first - 1).max(0)), &limit]),
    }
}

/// `/admin/conversations/ID/participants/`
#[derive(Template)]
#[template(path = "admin/participants.html", whitespace = "minimize")]
struct Participants {
    frame: Frame,
    name: String,
    path: String,
    count: i64,
    members: Vec<Member>,
    around: Around,
    command: String,
}

/// Shows who takes part, and which messages notify each.
pub(super) async fn participants(
    State(server): State<Shared>,
    Admin(session): Admin,
    id: Id,
    RawQuery(query): RawQuery,
) -> Page {
    let id = read_id(id, "conversation", ConversationId)?;
    let address = Address::read(format!("{}participants/", path_of(id)), query.as_deref(), &[]);
    let seek: Option<Seek<UserKey>> = address.seek(&server.keys);
    let look = move |tx: &mut Tx<'_>, session: &Session| {
        let (actor, place) = (session.actor(), ConversationSelector::Id(id));
        let conversation = conversations::show_briefly(tx, &actor, &place)?;
        Ok((conversation, conversations::levels(tx, &actor, &place, seek.as_ref(), PARTICIPANTS.1)?))
    };
    let (conversation, page) = read(&server, &session, look).await?;
    let participants = Participants {
        frame: Frame { place: Some(Place::Conversations), ..frame(&session, None) },
        name: name_of(&conversation),
        path: path_of(id),
        count: page.count,
        members: Member::all(page.items),
        around: address.around(&server.keys, page.previous.as_ref(), page.next.as_ref())?,
        command: command(["conversation", "show", &id.to_string()]),
    };
    Ok(view::page(&participants)?)
}
