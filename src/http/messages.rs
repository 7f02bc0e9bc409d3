//! Messages over HTTP.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Shared;
use super::answer::{Answer, Here, message};
use super::request::{Body, Caller, Path, Query};
use crate::model::{ConversationId, ConversationSelector, MessageId, MessageSelector, Number, Seek, UserSelector};
use crate::service::messages::{self, Destination, Draft, Matching};

/// A message to send
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewMessage {
    /// 1 to 65,536 bytes, not blank
    content: String,
    /// The message it replies to, of the same conversation
    parent_message: Option<MessageId>,
    /// In a group: the one participant it is for, by id or username
    receiver: Option<String>,
}

/// Sends a message
pub(super) async fn send(
    State(server): State<Shared>,
    headers: HeaderMap,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
    Body(new): Body<NewMessage>,
) -> Answer {
    let draft = Draft {
        destination: Destination::Conversation(ConversationSelector::Id(conversation)),
        content: new.content,
        parent: new.parent_message.map(MessageSelector::Id),
        receiver: new.receiver.map(UserSelector),
        idempotency_key: headers
            .get(&super::request::IDEMPOTENCY_KEY)
            .and_then(|key| key.to_str().ok())
            .map(ToOwned::to_owned),
    };
    let sent = server.write(caller, move |tx, sender| messages::send(tx, sender, &draft)).await?;
    message(&headers, StatusCode::CREATED, &sent)
}

/// Which messages of a conversation to list
#[derive(Deserialize, JsonSchema)]
pub(super) struct Listing {
    /// The page below this number
    before: Option<i64>,
    /// The page above this number
    after: Option<i64>,
    page_size: Option<i64>,
    /// Sent by this user: id or username
    sender: Option<String>,
}

/// Lists the messages of a conversation
pub(super) async fn list(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
    Query(listing): Query<Listing>,
) -> Answer {
    let place = ConversationSelector::Id(conversation);
    let matching = Matching { sender: listing.sender.map(UserSelector), ..Matching::default() };
    let seek = match (listing.before, listing.after) {
        (Some(before), _) => Some(Seek::Behind(Number(before))),
        (None, after) => after.map(|after| Seek::Before(Number(after))),
    };
    let size = listing.page_size.unwrap_or(20);
    let page = server
        .read(caller, move |tx, actor| messages::page_of(tx, actor, &place, &matching, seek.as_ref(), (size, false)))
        .await?;
    here.list(page, |seek| match seek {
        Seek::Behind(number) => ("before", number.0.to_string()),
        Seek::Before(number) => ("after", number.0.to_string()),
    })
}
