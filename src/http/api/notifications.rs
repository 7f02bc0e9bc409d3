//! Notifications over HTTP: those of the caller.

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Here, Marked, json};
use super::changes::{Rest, given};
use super::request::{Body, Few, IdempotencyKey, Path, Query};
use crate::http::server::Shared;
use crate::http::server::caller::Caller;
use crate::model::{MessageId, MessageSelector};
use crate::service::notifications;

/// Which notifications to list
#[derive(Deserialize, JsonSchema)]
pub(super) struct Listing {
    /// true: only read ones, false: only unread ones
    is_read: Option<bool>,
    cursor: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// Lists the caller's notifications.
pub(super) async fn list(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Query(Listing { is_read, cursor, page_size }): Query<Listing>,
) -> Answer {
    let (seek, size) = here.part(cursor.as_deref(), page_size)?;
    let page = server
        .read(caller, move |tx, actor| {
            let owner = notifications::owner(tx, actor, None)?;
            notifications::page_of(tx, &owner, is_read, seek.as_ref(), size)
        })
        .await?;
    here.list(page)
}

/// A change of a notification
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NotificationChange", deny_unknown_fields)]
pub(super) struct NotificationPatch {
    is_read: bool,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Marks a notification as read or unread.
pub(super) async fn change(
    State(server): State<Shared>,
    caller: Caller,
    Path(id): Path<MessageId>,
    Body(NotificationPatch { is_read, rest }): Body<NotificationPatch>,
) -> Answer {
    let notification = server
        .write(caller, move |tx, actor| {
            let owner = notifications::owner(tx, actor, None)?;
            if !rest.is_empty() {
                rest.must_be_so(&notifications::show(tx, &owner, id)?)?;
            }
            notifications::set_read(tx, actor, &owner, &[MessageSelector::Id(id)], is_read)?;
            notifications::show(tx, &owner, id)
        })
        .await?;
    json(StatusCode::OK, &notification)
}

/// The notifications to mark as read
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "WhichNotifications", deny_unknown_fields)]
pub(super) struct Which {
    /// The ids of their messages; all notifications if absent
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Few<MessageId>")]
    ids: Option<Few<MessageId>>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Marks notifications as read.
pub(super) async fn read(
    State(server): State<Shared>,
    caller: Caller,
    request: IdempotencyKey,
    which: Option<Body<Which>>,
) -> Answer {
    let Which { ids, rest } = which.map(|Body(which)| which).unwrap_or_default();
    rest.must_be_empty()?;
    let selectors: Option<Vec<_>> = ids.map(|Few(ids)| ids.into_iter().map(MessageSelector::Id).collect());
    let key = request.key();
    let count = server
        .write(caller, move |tx, actor| {
            let owner = notifications::owner(tx, actor, None)?;
            let count = notifications::read_once(tx, actor, &owner, selectors.as_deref(), key.as_deref());
            count.map_err(|error| error.naming("ids"))
        })
        .await?;
    json(StatusCode::OK, &Marked::read(count))
}
