//! Conversations by the thousand, and who takes part in them.

use super::{ids, texts, tuples};
use crate::error::Result;
use crate::model::{Conversation, ConversationId, ConversationKey, Level, Number, Timestamp, UserKey, fold_case};
use crate::store::tx::{Addition, Locking, Row, Tx};
use crate::store::{conversations, list};

macro_rules! conversation {
    () => {
        concat!("SELECT ", conversations::columns!(), " FROM conversation")
    };
}

fn read_conversation(row: &Row<'_>) -> Result<(Conversation, Number)> {
    let conversation = conversations::read(row)?;
    let last_number = conversation.last_number;
    Ok((conversation, last_number))
}

/// The conversations with these ids or folded names, each with the highest number that a message of it ever had
pub fn conversations(
    tx: &mut Tx<'_>,
    conversation_ids: impl IntoIterator<Item = ConversationId>,
    names: &[String],
) -> Result<Vec<(Conversation, Number)>> {
    let wanted = ids(tx, conversation_ids.into_iter().map(|id| id.0));
    let mut found = if wanted == "[]" {
        Vec::new()
    } else {
        tx.all(by_ids!(tx, conversation!(), "conversation.id"), &[&wanted], read_conversation)?
    };
    if !names.is_empty() {
        let by_name = concat!(conversation!(), " WHERE conversation.name_folded IN ", texts!("$1"));
        found.extend(tx.all(by_name, &[&texts(names)], read_conversation)?);
    }
    Ok(found)
}

/// The direct conversations of these pairs, the lower key first
pub fn direct_conversations(tx: &mut Tx<'_>, pairs: &[(UserKey, UserKey)]) -> Result<Vec<(Conversation, Number)>> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let sql = by_pairs!(tx, conversation!(), "lower_user_key", "higher_user_key");
    tx.all(sql, &[&tuples(pairs.iter().map(|(lower, higher)| [lower.0, higher.0]))?], read_conversation)
}

/// As `conversations::lock`, for several; those deleted meanwhile are left out.
pub fn lock_conversations(tx: &mut Tx<'_>, keys: &[ConversationKey]) -> Result<Vec<(Conversation, Number)>> {
    const LOCKING: Locking =
        locking!("SELECT ", conversations::columns!(), " FROM conversation WHERE key IN ", list!("$1"));
    tx.lock(&LOCKING, &[&list(keys.iter().map(|key| key.0))], read_conversation)
}

/// Who takes part in these conversations, with which level
pub fn participants(
    tx: &mut Tx<'_>,
    keys: impl IntoIterator<Item = ConversationKey>,
) -> Result<Vec<(ConversationKey, UserKey, Level)>> {
    tx.all(
        concat!("SELECT conversation_key, user_key, level FROM participant WHERE conversation_key IN ", list!("$1")),
        &[&list(keys.into_iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// The pairs whose user is a participant of the conversation
pub fn participating(tx: &mut Tx<'_>, pairs: &[(ConversationKey, UserKey)]) -> Result<Vec<(ConversationKey, UserKey)>> {
    let sql = by_pairs!(tx, "SELECT conversation_key, user_key FROM participant", "conversation_key", "user_key");
    let pairs = tuples(pairs.iter().map(|(conversation, user)| [conversation.0, user.0]))?;
    tx.all(sql, &[&pairs], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A new conversation with who takes part in it.
#[derive(Clone, Debug)]
pub struct NewConversation {
    pub conversation: Conversation,
    pub last_number: Number,
    pub participants: Vec<(UserKey, Level)>,
}

/// Inserts the conversations whose names and pairs are free.
pub fn add_conversations(tx: &mut Tx<'_>, new: &[NewConversation]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "conversation",
        "key, id, kind, name, name_folded, title, names_folded, creator_key, lower_user_key, higher_user_key, created_at,
         active_at, last_number",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13"
    );
    const PARTICIPANTS: Addition = addition!("participant", "conversation_key, user_key, level", "$1, $2, $3");
    struct Folded<'a> {
        new: &'a NewConversation,
        name: Option<String>,
        names: String,
        pair: (Option<UserKey>, Option<UserKey>),
    }
    let folded: Vec<Folded<'_>> = new
        .iter()
        .map(|new| {
            let Conversation { kind, name, title, pair, .. } = &new.conversation;
            Folded {
                new,
                name: name.as_deref().map(fold_case),
                names: conversations::kept_names(*kind, name.as_deref(), title.as_deref()),
                pair: (pair.map(|pair| pair.0), pair.map(|pair| pair.1)),
            }
        })
        .collect();
    tx.add(&ADDITION, &folded, |Folded { new, name: folded, names, pair: (lower, higher) }| {
        let Conversation { key, id, kind, name, title, creator_key, created_at, active_at, .. } = &new.conversation;
        [key, id, kind, name, folded, title, names, creator_key, lower, higher, created_at, active_at, &new.last_number]
    })?;
    let participants: Vec<(ConversationKey, UserKey, Level)> = new
        .iter()
        .flat_map(|new| new.participants.iter().map(|(user, level)| (new.conversation.key, *user, *level)))
        .collect();
    tx.add(&PARTICIPANTS, &participants, |(conversation, user, level)| [conversation, user, level])
}

/// The new state of a conversation to which messages were added.
#[derive(Clone, Copy, Debug)]
pub struct ConversationUpdate {
    pub conversation: ConversationKey,
    pub last_number: Number,
    /// How many of the new messages are no tombstones
    pub messages: i64,
    pub created_at: Timestamp,
    pub active_at: Timestamp,
}

/// Updates conversations, which the transaction locked, after messages were added to them.
pub fn update_conversations(tx: &mut Tx<'_>, updates: impl IntoIterator<Item = ConversationUpdate>) -> Result<()> {
    macro_rules! sql {
        ($number:ident) => {
            concat!(
                "UPDATE conversation SET last_number = added.last_number, message_count = message_count + added.messages,
                     created_at = added.created_at, active_at = added.active_at
                 FROM (SELECT ",
                $number!(0), " AS key, ", $number!(1), " AS last_number, ", $number!(2), " AS messages, ",
                $number!(3), " AS created_at, ", $number!(4), " AS active_at
                 FROM json_each(CAST($1 AS TEXT))) AS added WHERE conversation.key = added.key"
            )
        };
    }
    let rows = updates
        .into_iter()
        .map(|to| [to.conversation.0, to.last_number.0, to.messages, to.created_at.0, to.active_at.0]);
    tx.run(tx.split(sql!(sqlite), sql!(postgres)), &[&tuples(rows)?])?;
    Ok(())
}

/// The ids and names of the conversations without those with these keys
pub fn conversations_except(
    tx: &mut Tx<'_>,
    keys: &[ConversationKey],
) -> Result<Vec<(ConversationId, Option<String>)>> {
    tx.all(
        concat!(
            "SELECT id, name FROM conversation WHERE key > 0 AND key NOT IN ",
            list!("$1"),
            " ORDER BY key /* scans: what is to be the only content is compared with all of it */"
        ),
        &[&list(keys.iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
