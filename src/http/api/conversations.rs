//! Conversations over HTTP, and who takes part in them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Changeable, Here, IfNoneMatch, Marked, changed, json, of_names, shown_to_change};
use super::changes::{Empty, Rest};
use super::request::{Body, Cleared, Few, IdempotencyKey, NO_NUL, Part, Path, Query};
use crate::error::Result;
use crate::http::server::Shared;
use crate::http::server::caller::Caller;
use crate::http::server::conditions::Conditions;
use crate::model::{
    Actor, Conversation, ConversationId, ConversationSelector, ConversationView, Level, Message, UserId, UserSelector,
};
use crate::service::conversations::{self, ConversationChange, NewConversation};
use crate::service::messages::{self, Matching};
use crate::service::notifications;
use crate::store::Tx;

/// How many messages are shown with a conversation
const MESSAGES_SHOWN: i64 = 20;

/// The characters of a group's name
const NAME: &str = "^[A-Za-z0-9._-]*$";

/// A new conversation
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewConversation")]
pub(super) struct New {
    /// The other participants: ids or usernames
    #[serde(alias = "participant_ids")]
    #[schemars(length(min = 1))]
    participants: Few<String>,
    /// The name of a group: 1 to 64 of A–Z a–z 0–9 . _ -
    #[schemars(length(min = 1, max = 64), regex(pattern = NAME))]
    name: Option<String>,
    /// Up to 200 characters
    #[schemars(length(max = 200), regex(pattern = NO_NUL))]
    title: Option<String>,
}

/// Users to add
#[derive(Deserialize, JsonSchema)]
pub(super) struct People {
    /// Ids or usernames
    #[serde(alias = "participant_ids")]
    participants: Few<String>,
}

fn selectors(Few(people): Few<String>) -> Vec<UserSelector> {
    people.into_iter().map(UserSelector::from).collect()
}

/// Creates a conversation.
pub(super) async fn create(
    State(server): State<Shared>,
    caller: Caller,
    request: IdempotencyKey,
    Body(new): Body<New>,
) -> Answer {
    let New { participants, name, title } = new;
    let new = NewConversation { participants: selectors(participants), name, title, ..NewConversation::default() };
    let key = request.key();
    let (view, is_new) =
        server.write(caller, move |tx, actor| conversations::create_once(tx, actor, &new, key.as_deref())).await?;
    json(if is_new { StatusCode::CREATED } else { StatusCode::OK }, &view)
}

/// Which conversations to list
#[derive(Deserialize, JsonSchema)]
pub(super) struct Listing {
    /// A part of the name, the title or, in a direct conversation, the other person's names
    #[schemars(length(max = 200), regex(pattern = NO_NUL))]
    search: Option<String>,
    cursor: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// Lists the caller's conversations.
pub(super) async fn list(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Query(Listing { search, cursor, page_size }): Query<Listing>,
) -> Answer {
    let (seek, size) = here.part(cursor.as_deref(), page_size)?;
    // A search looks at all of them.
    let is_slow = search.is_some();
    let read =
        move |tx: &mut Tx<'_>, actor: &Actor| conversations::page_of(tx, actor, search.as_deref(), seek.as_ref(), size);
    here.list(if is_slow { server.read_slowly(caller, read).await? } else { server.read(caller, read).await? })
}

/// A conversation with its newest messages
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConversationWithMessages")]
pub(super) struct Shown {
    #[serde(flatten)]
    view: ConversationView,
    /// The newest 20, newest first
    messages: Vec<Message>,
}

impl Shown {
    fn read(tx: &mut Tx<'_>, actor: &Actor, selector: &ConversationSelector) -> Result<Self> {
        let view = conversations::show(tx, actor, selector)?;
        let newest = (MESSAGES_SHOWN, false);
        let messages = messages::page_of(tx, actor, selector, &Matching::default(), None, newest)?.items;
        Ok(Self { view, messages })
    }
}

impl Changeable for Shown {
    fn first(&self) -> String {
        self.view.first()
    }
}

/// Refuses the request if a conversation does not meet its conditions.
fn must_meet(tx: &mut Tx<'_>, actor: &Actor, conditions: &Conditions, conversation: &Conversation) -> Result<()> {
    let first = of_names(conversation.name.as_deref(), conversation.title.as_deref());
    conditions.must_be_met(&first, || Shown::read(tx, actor, &ConversationSelector::Id(conversation.id))?.tag())
}

/// Shows a conversation.
pub(super) async fn show(
    State(server): State<Shared>,
    if_none_match: IfNoneMatch,
    caller: Caller,
    Path(id): Path<ConversationId>,
) -> Answer {
    let selector = ConversationSelector::Id(id);
    let conversation = server.read(caller, move |tx, actor| Shown::read(tx, actor, &selector)).await?;
    shown_to_change(&if_none_match, &conversation)
}

/// Changes of a group; what is absent stays
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConversationChange", deny_unknown_fields)]
pub(super) struct ConversationPatch {
    /// null or an empty text removes it
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = NAME))]
    name: Cleared,
    /// null or an empty text removes it
    #[serde(default)]
    #[schemars(length(max = 200), regex(pattern = NO_NUL))]
    title: Cleared,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Changes a group.
pub(super) async fn change(
    State(server): State<Shared>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Body(change): Body<ConversationPatch>,
) -> Answer {
    let ConversationPatch { name, title, rest } = change;
    let (selector, change) = (ConversationSelector::Id(id), ConversationChange { name: name.0, title: title.0 });
    let view = server
        .write_if(caller, move |tx, actor, conditions| {
            conversations::update_if(tx, actor, &selector, &change, &mut |tx, conversation| {
                must_meet(tx, actor, conditions, conversation)?;
                if rest.is_empty() { Ok(()) } else { rest.must_be_so(&Shown::read(tx, actor, &selector)?) }
            })
        })
        .await?;
    changed(StatusCode::OK, &view)
}

/// Deletes a conversation.
pub(super) async fn delete(State(server): State<Shared>, caller: Caller, Path(id): Path<ConversationId>) -> Answer {
    let selector = ConversationSelector::Id(id);
    server
        .write_if(caller, move |tx, actor, conditions| {
            conversations::delete_if(tx, actor, &selector, &mut |tx, conversation| {
                must_meet(tx, actor, conditions, conversation)
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists the participants.
pub(super) async fn participants(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Query(Part { cursor, page_size }): Query<Part>,
) -> Answer {
    let (seek, size) = here.part(cursor.as_deref(), page_size)?;
    let selector = ConversationSelector::Id(id);
    let page = server
        .read(caller, move |tx, actor| conversations::participants(tx, actor, &selector, seek.as_ref(), size))
        .await?;
    here.list(page)
}

/// Adds people to a group.
pub(super) async fn add(
    State(server): State<Shared>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    request: IdempotencyKey,
    Body(People { participants }): Body<People>,
) -> Answer {
    let (selector, users, key) = (ConversationSelector::Id(id), selectors(participants), request.key());
    let view = server
        .write(caller, move |tx, actor| conversations::add_once(tx, actor, &selector, &users, key.as_deref()))
        .await?;
    json(StatusCode::OK, &view)
}

/// Removes a participant, or leaves.
pub(super) async fn remove(
    State(server): State<Shared>,
    caller: Caller,
    Path((id, user)): Path<(ConversationId, UserId)>,
) -> Answer {
    let (selector, users) = (ConversationSelector::Id(id), [UserSelector::Id(user)]);
    server.write(caller, move |tx, actor| conversations::remove(tx, actor, &selector, &users)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The caller's settings in a conversation
#[derive(Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OwnPart {
    /// Which messages notify the caller
    level: Level,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Sets which messages of a conversation notify the caller.
pub(super) async fn set_level(
    State(server): State<Shared>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    Body(OwnPart { level, rest }): Body<OwnPart>,
) -> Answer {
    rest.must_be_empty()?;
    let selector = ConversationSelector::Id(id);
    let view = server.write(caller, move |tx, actor| conversations::set_level(tx, actor, &selector, level)).await?;
    json(StatusCode::OK, &view)
}

/// Marks a conversation as read.
pub(super) async fn read(
    State(server): State<Shared>,
    caller: Caller,
    Path(id): Path<ConversationId>,
    request: IdempotencyKey,
    nothing: Option<Body<Empty>>,
) -> Answer {
    nothing.map_or(Ok(()), |Body(Empty { rest })| rest.must_be_empty())?;
    let (selector, key) = (ConversationSelector::Id(id), request.key());
    let count = server
        .write(caller, move |tx, actor| {
            let reader = notifications::owner(tx, actor, None)?;
            messages::read_conversation_once(tx, actor, &reader, &selector, key.as_deref())
        })
        .await?;
    json(StatusCode::OK, &Marked::read(count))
}
