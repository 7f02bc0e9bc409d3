//! Messages over HTTP.

use std::cell::Cell;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{
    Answer, Changeable, Here, IfNoneMatch, List, Marked, changed, json, page_size_of, shown, shown_to_change,
};
use super::changes::Rest;
use super::request::{Body, Few, IdempotencyKey, NO_NUL, Part, Path, Query};
use crate::app::{SharedApp, late_after};
use crate::error::Error;
use crate::http::server::Shared;
use crate::http::server::caller::Caller;
use crate::http::server::kept::{Asker, Rendered};
use crate::model::{
    Actor, Conversation, ConversationId, ConversationSelector, MessageId, MessageSelector, Number, SearchHit, Seek,
    Timestamp, UserSelector,
};
use crate::service::events::mark;
use crate::service::messages::{self, Destination, Draft, Matching, MessageEdit, Search};
use crate::service::{self, notifications, tokens};
use crate::store::Tx;
use crate::store::events::Mark;

/// How long a search may take before it returns what it found so far
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// Content without NUL and with at least one visible character
const CONTENT: &str = r"^[^\u0000]*[^\s\u0000-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8\u2800][^\u0000]*$";

/// A message to send
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewMessage")]
pub(super) struct New {
    /// 1 to 65,536 bytes, not blank
    #[schemars(length(min = 1, max = 65_536), regex(pattern = CONTENT))]
    content: String,
    /// The id of the message it replies to, in the same conversation
    parent_message: Option<MessageId>,
    /// In a group, the addressee: the id or username of a participant
    receiver: Option<String>,
}

/// Sends a message.
pub(super) async fn send(
    State(server): State<Shared>,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
    request: IdempotencyKey,
    Body(new): Body<New>,
) -> Answer {
    let draft = Draft {
        destination: Destination::Conversation(ConversationSelector::Id(conversation)),
        content: new.content,
        parent: new.parent_message.map(MessageSelector::Id),
        receiver: new.receiver.map(UserSelector::from),
        idempotency_key: request.key(),
    };
    let sent = server.write(caller, move |tx, sender| messages::send(tx, sender, &draft)).await?;
    changed(StatusCode::CREATED, &sent)
}

/// Which messages of a conversation to list
#[derive(Deserialize, JsonSchema)]
pub(super) struct Listing {
    /// Only messages with lower numbers than this
    before: Option<i64>,
    /// Only messages with higher numbers than this
    after: Option<i64>,
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
    /// Sent by this user: id or username
    sender: Option<String>,
    /// Sent at this time or later
    start_date: Option<Timestamp>,
    /// Sent before this time
    end_date: Option<Timestamp>,
    /// Words that the message contains, all of them
    #[schemars(length(max = 200), regex(pattern = NO_NUL))]
    search: Option<String>,
    /// The order; newest first by default
    #[serde(default)]
    ordering: Ordering,
    /// Continues a search, as `next` of its last page says
    cursor: Option<String>,
}

/// The order of messages
#[derive(Clone, Copy, Default, Deserialize, JsonSchema, PartialEq, Eq)]
enum Ordering {
    #[default]
    #[serde(rename = "-timestamp")]
    NewestFirst,
    #[serde(rename = "timestamp")]
    OldestFirst,
}

/// Lists the messages of a conversation.
pub(super) async fn list(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
    Query(listing): Query<Listing>,
) -> Answer {
    let size = page_size_of(listing.page_size)?;
    let selector = ConversationSelector::Id(conversation);
    let sender = listing.sender.map(UserSelector::from);
    let (since, until) = (listing.start_date, listing.end_date);
    if let Some(query) = listing.search {
        if listing.before.or(listing.after).is_some() || listing.ordering == Ordering::OldestFirst {
            return Err(Error::invalid("search", "A search is always newest first and paged by a cursor.").into());
        }
        let search = Search { query, conversation: Some(selector), sender, since, until, ranked: false, limit: size };
        return find(&server, here, caller, search, listing.cursor.as_deref()).await;
    }
    let oldest_first = listing.ordering == Ordering::OldestFirst;
    let seek = match (listing.before.map(Number), listing.after.map(Number)) {
        (Some(_), Some(_)) => return Err(Error::invalid("before", "Use either before or after, not both.").into()),
        (Some(before), None) if oldest_first => Some(Seek::Before(before)),
        (Some(before), None) => Some(Seek::After(before)),
        (None, Some(after)) if oldest_first => Some(Seek::After(after)),
        (None, after) => after.map(Seek::Before),
    };
    let matching = Matching { sender, receiver: None, since, until };
    if seek.is_none() && !oldest_first && matching.is_all() {
        return newest(&server, here, caller, conversation, size).await;
    }
    let is_slow = !matching.is_all();
    let read = move |tx: &mut Tx<'_>, actor: &Actor| {
        messages::page_of(tx, actor, &selector, &matching, seek.as_ref(), (size, oldest_first))
    };
    let page = if is_slow { server.read_slowly(caller, read).await? } else { server.read(caller, read).await? };
    here.numbered(page, oldest_first)
}

/// Lists the newest messages of a conversation, as they are kept in memory where they are.
async fn newest(server: &Shared, here: Here, caller: Caller, conversation: ConversationId, size: i64) -> Answer {
    let Caller(claims, _) = caller;
    let asker = Asker { user: claims.user, generation: claims.generation, conversation };
    let mut early = None;
    if let Some(pages) = &server.kept {
        let came = if cfg!(debug_assertions) { Some(server.quickly(|app| app.read(mark)).await?) } else { None };
        early = pages.known_by_others(&asker, &here.address).await.filter(|_| server.app.now() < claims.expires_at);
        let is_old = |at: &Mark| came.is_some_and(|came| at.is_of_log_of(&came) && at.key() < came.key());
        debug_assert!(
            !early.as_ref().is_some_and(|(_, at)| is_old(at)),
            "what another request knew is of before this one"
        );
        if !cfg!(debug_assertions)
            && let Some((rendered, _)) = early
        {
            pages.count(true);
            return Ok(here.send(rendered));
        }
    }
    let (shared, here) = (Shared::clone(server), Arc::new(here));
    let renders = Arc::clone(&here);
    let read = move |app: &SharedApp| {
        let admit = |tx: &mut Tx<'_>| {
            let actor = tokens::acting(tx, &claims)?;
            service::conversation(tx, &actor, &ConversationSelector::Id(conversation))
                .map(|(conversation, _)| conversation)
        };
        let render = |tx: &mut Tx<'_>, conversation: &Conversation| {
            let page = messages::newest_page(tx, conversation, size)?;
            let people = page.items.iter().flat_map(|message| [&message.sender, &message.receiver]).flatten();
            let people = people.map(|person| person.key).collect();
            Ok((renders.rendered(page, false)?, people))
        };
        let Some(pages) = &shared.kept else {
            return app.read(|tx| {
                let conversation = admit(tx)?;
                render(tx, &conversation).map(|(rendered, _)| rendered)
            });
        };
        // It may have expired while the request waited for its turn.
        let asker = Some(&asker).filter(|_| app.now() < claims.expires_at);
        let address = &renders.address;
        let look = pages.look();
        let was_kept = Cell::new(false);
        let known = |mark: &Mark| {
            let kept = asker.and_then(|asker| pages.known_to(asker, address, (mark, look)));
            was_kept.set(kept.is_some());
            kept
        };
        let rendered = app.read_or_know(known, |tx, mark| {
            let (rendered, is_kept) = pages.page((tx, mark, look), asker, address, admit, render)?;
            was_kept.set(is_kept);
            let is_same = |(early, at): &(Rendered, Mark)| at != mark || *early == rendered;
            debug_assert!(early.as_ref().is_none_or(is_same), "what another request knew is not what is read");
            Ok(rendered)
        })?;
        pages.count(was_kept.get());
        Ok(rendered)
    };
    Ok(here.send(server.at_once(read).await?))
}

/// The results of a search
#[derive(Serialize, JsonSchema)]
pub(super) struct Findings {
    #[serde(flatten)]
    list: List<SearchHit>,
    /// Whether there may be more results than were found
    partial: bool,
}

async fn find(server: &Shared, here: Here, caller: Caller, search: Search, cursor: Option<&str>) -> Answer {
    let seek = here.seek(cursor)?;
    let (page, partial) = server
        .read_slowly(caller, move |tx, actor| {
            let found = messages::search_page(tx, actor, &search, seek.as_ref(), &late_after(PATIENCE));
            found.map_err(|error| error.renaming("query", "search"))
        })
        .await?;
    shown(&here.if_none_match, &Findings { list: here.listed(page)?, partial: partial.is_some() })
}

/// Which of all visible messages to list
#[derive(Deserialize, JsonSchema)]
pub(super) struct Everywhere {
    /// Words that the message contains, all of them
    #[schemars(length(max = 200), regex(pattern = NO_NUL))]
    search: Option<String>,
    /// Sent by this user: id or username
    sender: Option<String>,
    /// Sent to this user: id or username
    receiver: Option<String>,
    /// Sent at this time or later
    start_date: Option<Timestamp>,
    /// Sent before this time
    end_date: Option<Timestamp>,
    cursor: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// Lists all messages that the caller can see.
pub(super) async fn list_everywhere(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Query(listing): Query<Everywhere>,
) -> Answer {
    let Everywhere { search, sender, receiver, start_date, end_date, cursor, page_size } = listing;
    let size = page_size_of(page_size)?;
    let (sender, receiver) = (sender.map(UserSelector::from), receiver.map(UserSelector::from));
    let (since, until) = (start_date, end_date);
    if let Some(query) = search {
        if receiver.is_some() {
            return Err(Error::invalid("receiver", "A search cannot be combined with receiver.").into());
        }
        let search = Search { query, conversation: None, sender, since, until, ranked: false, limit: size };
        return find(&server, here, caller, search, cursor.as_deref()).await;
    }
    let seek = here.seek(cursor.as_deref())?;
    let matching = Matching { sender, receiver, since, until };
    let page = server
        .read_slowly(caller, move |tx, actor| messages::page_everywhere(tx, actor, &matching, seek.as_ref(), size))
        .await?;
    here.list(page)
}

/// Lists the caller's unread messages.
pub(super) async fn unread(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Query(Part { cursor, page_size }): Query<Part>,
) -> Answer {
    let (seek, size) = here.part(cursor.as_deref(), page_size)?;
    let page = server.read(caller, move |tx, actor| messages::unread_page(tx, actor, seek.as_ref(), size)).await?;
    here.list(page)
}

/// The messages to mark as read
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "WhichMessages", deny_unknown_fields)]
pub(super) struct Which {
    message_ids: Few<MessageId>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Marks messages as read.
pub(super) async fn read(
    State(server): State<Shared>,
    caller: Caller,
    Body(Which { message_ids: Few(message_ids), rest }): Body<Which>,
) -> Answer {
    rest.must_be_empty()?;
    let selectors: Vec<_> = message_ids.into_iter().map(MessageSelector::Id).collect();
    let count = server
        .write(caller, move |tx, actor| {
            let reader = notifications::owner(tx, actor, None)?;
            messages::read(tx, actor, &reader, &selectors).map_err(|error| error.naming("message_ids"))
        })
        .await?;
    json(StatusCode::OK, &Marked::read(count))
}

/// The ids of a message's path: `messages/{id}/`, or under its conversation
#[derive(Clone, Copy, Deserialize)]
pub(super) struct MessagePath {
    conversation_id: Option<ConversationId>,
    message_id: MessageId,
}

impl From<MessagePath> for MessageSelector {
    fn from(path: MessagePath) -> Self {
        match path.conversation_id {
            Some(conversation) => Self::In(conversation, path.message_id),
            None => Self::Id(path.message_id),
        }
    }
}

/// Shows a message.
pub(super) async fn show(
    State(server): State<Shared>,
    if_none_match: IfNoneMatch,
    caller: Caller,
    Path(path): Path<MessagePath>,
) -> Answer {
    let found = server.read(caller, move |tx, actor| messages::show(tx, actor, &path.into())).await?;
    shown_to_change(&if_none_match, &found)
}

/// A change of a message
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MessageEdit", deny_unknown_fields)]
pub(super) struct Edit {
    /// 1 to 65,536 bytes, not blank
    #[schemars(length(min = 1, max = 65_536), regex(pattern = CONTENT))]
    content: String,
    /// The reason for the history, up to 500 characters
    #[schemars(length(max = 500), regex(pattern = NO_NUL))]
    reason: Option<String>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Edits a message.
pub(super) async fn edit(
    State(server): State<Shared>,
    caller: Caller,
    Path(path): Path<MessagePath>,
    Body(Edit { content, reason, rest }): Body<Edit>,
) -> Answer {
    let change = MessageEdit { content, reason, if_revision: None };
    let edited = server
        .write_if(caller, move |tx, actor, conditions| {
            messages::edit_if(tx, actor, &path.into(), &change, &mut |_, message| {
                conditions.must_be_met(&message.first(), || message.tag())?;
                rest.must_be_so(message)
            })
        })
        .await?;
    changed(StatusCode::OK, &edited)
}

/// Deletes a message.
pub(super) async fn delete(State(server): State<Shared>, caller: Caller, Path(path): Path<MessagePath>) -> Answer {
    server
        .write_if(caller, move |tx, actor, conditions| {
            messages::delete_if(tx, actor, &[path.into()], &mut |_, message| {
                conditions.must_be_met(&message.first(), || message.tag())
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lists the earlier contents of a message.
pub(super) async fn history(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Path(id): Path<MessageId>,
    Query(Part { cursor, page_size }): Query<Part>,
) -> Answer {
    let (seek, size) = here.part(cursor.as_deref(), page_size)?;
    let selector = MessageSelector::Id(id);
    let page =
        server.read(caller, move |tx, actor| messages::history_page(tx, actor, &selector, seek.as_ref(), size)).await?;
    here.list(page)
}

/// Lists a message and all replies to it.
pub(super) async fn thread(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Path(id): Path<MessageId>,
    Query(Part { cursor, page_size }): Query<Part>,
) -> Answer {
    let (seek, size) = here.part(cursor.as_deref(), page_size)?;
    let selector = MessageSelector::Id(id);
    let page = server
        .read_slowly(caller, move |tx, actor| messages::thread_page(tx, actor, &selector, seek.as_ref(), size))
        .await?;
    here.list(page)
}
