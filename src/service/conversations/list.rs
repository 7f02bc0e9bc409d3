//! Listing conversations, and what one viewer sees of them.

use std::collections::{BTreeSet, HashMap};

use crate::error::{Error, Result};
use crate::model::{
    Actor, Conversation, ConversationId, ConversationKey, ConversationSelector, ConversationView, Level, Seek,
    Timestamp, User, UserKey, UserRef, UserSelector,
};
use crate::service::{self, page::Page};
use crate::store::{self, Tx};

/// How many participants of each conversation a list shows
pub(super) const PARTICIPANTS_LISTED: i64 = 10;

/// A list of conversations, and the place in it from which on to read: the place stays where it is while conversations
/// become active, and when the one that stood there is deleted.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Whose conversations; none: everybody's
    viewer: Option<UserKey>,
    below: (Timestamp, ConversationKey),
}

impl Listing {
    /// The same list below one of its conversations
    #[must_use]
    pub fn below(&self, last: &ConversationView) -> Self {
        Self { below: (last.active_at, last.key), ..self.clone() }
    }
}

/// The conversations below one in the list, newest activity first: the actor's own, also for an admin; for the operator
/// those of the user named, or all, newest first.
///
/// # Errors
/// `NotFound` if `after` or the user is not there, `Forbidden` if anybody else names a user.
pub fn listing(
    tx: &mut Tx<'_>,
    actor: &Actor,
    of: Option<&UserSelector>,
    after: Option<&ConversationSelector>,
) -> Result<Listing> {
    let viewer = match (actor, of) {
        (Actor::User(_), Some(_)) => return Err(Error::forbidden("Only the operator lists another's conversations.")),
        (Actor::Operator(_), Some(user)) => Some(service::user(tx, actor, user)?.person.key),
        (_, None) => actor.key(),
    };
    let after = after.map(|after| service::conversation(tx, actor, after)).transpose()?;
    let below = after.map_or((Timestamp::MAX, ConversationKey(i64::MAX)), |(last, _)| (last.active_at, last.key));
    Ok(Listing { viewer, below })
}

/// The next conversations of a list, as far as their name or title contains `search`.
///
/// # Errors
/// `Invalid` if `search` is too long.
pub fn page(
    tx: &mut Tx<'_>,
    Listing { viewer, below }: &Listing,
    search: Option<&str>,
    limit: i64,
) -> Result<Vec<ConversationView>> {
    service::check_search(search)?;
    let conversations = match viewer {
        Some(viewer) => store::conversations::page_of(tx, *viewer, &Seek::After(*below), search, limit)?,
        None => store::conversations::page(tx, below.1, search, limit)?,
    };
    views(tx, *viewer, conversations, PARTICIPANTS_LISTED)
}

/// A page of the conversations a user takes part in, the most active first, of those whose name or title holds `search`, and
/// the direct ones with somebody whose names do.
///
/// # Errors
/// `Invalid` if `search` is too long, `Forbidden` for the operator.
pub fn page_of(
    tx: &mut Tx<'_>,
    actor: &Actor,
    search: Option<&str>,
    seek: Option<&Seek<(Timestamp, ConversationKey)>>,
    size: i64,
) -> Result<Page<ConversationView, (Timestamp, ConversationKey)>> {
    service::check_search(search)?;
    let Some(viewer) = actor.key() else { return Err(Error::forbidden("The operator takes part in no conversation.")) };
    let count = store::conversations::count_of(tx, viewer, search)?;
    Ok(page_of_viewer(tx, viewer, search, seek, size)?.of(count))
}

/// A page of the conversations that another user takes part in, as they see them, for the operator and admins; its count is 0.
///
/// # Errors
/// `Forbidden` for all others.
pub fn page_of_user(
    tx: &mut Tx<'_>,
    actor: &Actor,
    user: &User,
    seek: Option<&Seek<(Timestamp, ConversationKey)>>,
    size: i64,
) -> Result<Page<ConversationView, (Timestamp, ConversationKey)>> {
    service::must_administer(actor)?;
    page_of_viewer(tx, user.person.key, None, seek, size)
}

fn page_of_viewer(
    tx: &mut Tx<'_>,
    viewer: UserKey,
    search: Option<&str>,
    seek: Option<&Seek<(Timestamp, ConversationKey)>>,
    size: i64,
) -> Result<Page<ConversationView, (Timestamp, ConversationKey)>> {
    let read = |seek: Option<&Seek<_>>, limit| {
        let from_the_first = Seek::After((Timestamp::MAX, ConversationKey(i64::MAX)));
        store::conversations::page_of(tx, viewer, seek.unwrap_or(&from_the_first), search, limit)
    };
    let position = |conversation: &Conversation| (conversation.active_at, conversation.key);
    let page = service::page::page(seek, size, position, read)?;
    page.map(|conversations| views(tx, Some(viewer), conversations, PARTICIPANTS_LISTED))
}

/// A page of a conversation's participants, oldest account first.
///
/// # Errors
/// `NotFound` if the actor cannot see the conversation.
pub fn participants(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    seek: Option<&Seek<UserKey>>,
    size: i64,
) -> Result<Page<UserRef, UserKey>> {
    let (conversation, _) = service::conversation(tx, actor, selector)?;
    let page = participants_of(tx, &conversation, seek, size)?;
    page.map(|found| Ok(found.into_iter().map(|(person, _)| person).collect()))
}

/// As [`participants`], with which messages notify each: for admins and the operator, as levels are private.
///
/// # Errors
/// `Forbidden` for everybody else; as of [`participants`].
pub fn levels(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &ConversationSelector,
    seek: Option<&Seek<UserKey>>,
    size: i64,
) -> Result<Page<(UserRef, Level), UserKey>> {
    let (conversation, _) = service::conversation(tx, actor, selector)?;
    service::must_administer(actor)?;
    participants_of(tx, &conversation, seek, size)
}

fn participants_of(
    tx: &mut Tx<'_>,
    conversation: &Conversation,
    seek: Option<&Seek<UserKey>>,
    size: i64,
) -> Result<Page<(UserRef, Level), UserKey>> {
    let read = |seek: Option<&Seek<UserKey>>, limit| {
        store::conversations::participants_from(tx, conversation.key, seek.unwrap_or(&Seek::After(UserKey(0))), limit)
    };
    let page = service::page::page(seek, size, |(person, _): &(UserRef, Level)| person.key, read)?;
    Ok(page.of(store::conversations::count_participants(tx, conversation.key)?))
}

/// How many conversations a search through everybody's looks at, at once
const LOOKED_THROUGH: i64 = 10_000;

/// A page of everybody's conversations, newest first, of those whose name or title holds `search`; or of those of a user, the most
/// active first, as [`page_of`] finds them. A search looks through 10,000: where those are not all, the page after it goes on
/// behind them, and may be the first to show any. Backwards it looks through as many, so that a page without `previous` may have
/// others before it.
///
/// # Errors
/// `Forbidden` for all but admins and the operator, `NotFound` if the user is not there, `Invalid` if `search` is too long.
pub fn page_everywhere(
    tx: &mut Tx<'_>,
    actor: &Actor,
    (of, search): (Option<&UserSelector>, Option<&str>),
    seek: Option<&Seek<(Timestamp, ConversationKey)>>,
    size: i64,
) -> Result<Everywhere> {
    service::must_administer(actor)?;
    service::check_search(search)?;
    let user = of.map(|of| service::user(tx, actor, of).map_err(|error| error.naming("user"))).transpose()?;
    let position = |conversation: &Conversation| (conversation.active_at, conversation.key);
    let from_the_first = Seek::After((Timestamp::MAX, ConversationKey(i64::MAX)));
    let read = |seek: Option<&Seek<(Timestamp, ConversationKey)>>, limit| {
        let seek = seek.unwrap_or(&from_the_first);
        match &user {
            Some(user) => store::conversations::page_of(tx, user.person.key, seek, search, limit),
            None => store::conversations::page_everywhere(tx, &by_key(seek), search, (LOOKED_THROUGH, limit)),
        }
    };
    let mut page = service::page::page(seek, size, position, read)?;
    let mut looked_through = None;
    if let (Some(_), None, None, Seek::After((_, from))) = (search, &user, &page.next, seek.unwrap_or(&from_the_first))
        && let Some(last) = store::conversations::nth_below(tx, *from, LOOKED_THROUGH)?
    {
        looked_through = Some(LOOKED_THROUGH);
        page.next = Some(Seek::After((Timestamp::MAX, last)));
    }
    let page = page.map(|conversations| views(tx, None, conversations, PARTICIPANTS_LISTED))?;
    Ok(Everywhere { page, looked_through })
}

/// The conversations with these ids, in no order, as lists show them; without those that are not there.
///
/// # Errors
/// `Forbidden` for all but admins and the operator.
pub fn with_ids(
    tx: &mut Tx<'_>,
    actor: &Actor,
    ids: impl IntoIterator<Item = ConversationId>,
) -> Result<Vec<ConversationView>> {
    service::must_administer(actor)?;
    let ids: BTreeSet<ConversationId> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let conversations = store::conversations::with_ids(tx, ids)?;
    views(tx, None, conversations, PARTICIPANTS_LISTED)
}

/// A page of everybody's conversations.
#[derive(Clone, Debug)]
pub struct Everywhere {
    /// Without a count
    pub page: Page<ConversationView, (Timestamp, ConversationKey)>,
    /// How many conversations were looked through, where those are not all
    pub looked_through: Option<i64>,
}

fn by_key(seek: &Seek<(Timestamp, ConversationKey)>) -> Seek<ConversationKey> {
    match seek {
        Seek::After((_, key)) => Seek::After(*key),
        Seek::Before((_, key)) => Seek::Before(*key),
    }
}

/// Conversations as one viewer sees them: four statements, however many.
pub(in crate::service) fn views(
    tx: &mut Tx<'_>,
    viewer: Option<UserKey>,
    conversations: Vec<Conversation>,
    participants_listed: i64,
) -> Result<Vec<ConversationView>> {
    let keys: Vec<ConversationKey> = conversations.iter().map(|conversation| conversation.key).collect();
    let creators = store::users::people(tx, conversations.iter().filter_map(|conversation| conversation.creator_key))?;
    let mut participants: HashMap<ConversationKey, Vec<UserRef>> = HashMap::new();
    for (key, person) in store::conversations::participants(tx, &keys, participants_listed)? {
        participants.entry(key).or_default().push(person);
    }
    let newest = store::messages::newest_of(tx, &keys)?;
    let mut newest: HashMap<_, _> = newest.into_iter().map(|message| (message.conversation_key, message)).collect();
    let viewer_states = store::conversations::viewer_states(tx, viewer, &keys)?;
    let viewer_states: HashMap<_, _> = viewer_states.into_iter().map(|state| (state.conversation, state)).collect();
    let view = |conversation: Conversation| {
        let state = viewer_states.get(&conversation.key)?;
        Some(ConversationView {
            key: conversation.key,
            active_at: conversation.active_at,
            conversation_id: conversation.id,
            kind: conversation.kind,
            name: conversation.name,
            title: conversation.title,
            creator: conversation.creator_key.and_then(|creator| creators.get(&creator).cloned()),
            participants: participants.remove(&conversation.key).unwrap_or_default(),
            participant_count: state.participant_count,
            created_at: conversation.created_at,
            last_message: newest.remove(&conversation.key),
            message_count: conversation.message_count,
            unread_count: state.level.map(|_| state.unread_count),
            level: state.level,
        })
    };
    Ok(conversations.into_iter().filter_map(view).collect())
}
