//! Messages in the order in which they were sent, with their histories and notifications.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::conversations::Conversations;
use super::fields::Key;
use super::index::{Ids, Index};
use super::people::{Hanging, People};
use super::report::{Origin, Report};
use super::rows::{History, Message, Notification, order};
use crate::model::{Kind, MessageId};
use crate::service::messages::check_kept_content;
use crate::transfer::records::{MessageRecord, NotificationRecord, RevisionRecord};

/// A message with its row, and who has been notified of it
pub(super) type Carried = (Origin, MessageRecord, Vec<NotificationRecord>);

/// A message that can be carried
struct Found {
    row: Message,
    sender: usize,
    receiver: Option<usize>,
    place: usize,
    /// Where the message it replies to stands among those found
    parent: Option<usize>,
}

/// Takes over the messages of a dump.
pub(super) fn carry(
    rows: Vec<Message>,
    histories: Vec<History>,
    notifications: Vec<Notification>,
    people: &mut People,
    conversations: &mut Conversations,
    report: &mut Report,
) -> Vec<Carried> {
    let mut index = Index::default();
    // Of each row, where it stands among those found.
    let mut fates: Vec<Option<usize>> = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    for row in sorted(rows) {
        index.add(&row.origin, fates.len());
        let origin = row.origin.clone();
        match find(row, people, conversations, report) {
            Ok(message) => {
                fates.push(Some(found.len()));
                found.push(message);
            }
            Err(reason) => {
                report.row(&origin, None, reason);
                fates.push(None);
            }
        }
    }
    let messages = MessageIndex { index, fates };
    messages.find_parents(&mut found, report);
    let order = behind_parents(&mut found, report);
    let mut histories = messages.histories(histories, report);
    let mut notified = Notified::of(&messages, notifications, &found, people, conversations, report);

    let mut ids = Ids::default();
    let ids: Vec<MessageId> =
        found.iter().map(|message| MessageId(ids.of(&message.row.origin, message.row.id))).collect();
    let mut carried = Vec::new();
    for place in order {
        let message = &found[place];
        let revisions = revisions(message, histories.remove(&place).unwrap_or_default(), people, report);
        let id = ids[place];
        let notifications = notified.take(place, message, conversations).into_iter().map(|(user, is_read)| {
            NotificationRecord { user: people.username(user), message: id.to_string(), kind: None, is_read }
        });
        let notifications = notifications.collect();
        let record = MessageRecord {
            message_id: Some(id),
            conversation: conversations.get(message.place).id.to_string(),
            sender: Some(people.username(message.sender)),
            receiver: message.receiver.map(|receiver| people.username(receiver)),
            reply_to: message.parent.map(|parent| ids[parent].to_string()),
            timestamp: message.row.sent,
            content: message.row.content.clone(),
            revisions,
            ..MessageRecord::default()
        };
        carried.push((message.row.origin.clone(), record, notifications));
    }
    carried
}

fn sorted(mut rows: Vec<Message>) -> Vec<Message> {
    rows.sort_by(|one, other| (one.sent, order(&one.origin.pk)).cmp(&(other.sent, order(&other.origin.pk))));
    rows
}

/// Finds the people and the conversation of a message; else says why it is left out.
fn find(
    row: Message,
    people: &mut People,
    conversations: &mut Conversations,
    report: &mut Report,
) -> Result<Found, String> {
    let left = |reason: String| format!("{reason} The message is left out.");
    let Some(sender) = &row.sender else { return Err(left("It has no sender.".to_owned())) };
    let sender = people.find(sender, &row.origin, Some(Hanging::Message)).map_err(left)?;
    check_kept_content(&row.content).map_err(|error| left(error.to_string()))?;
    let receiver = row
        .receiver
        .as_ref()
        .map(|key| people.find(key, &row.origin, row.conversation.is_none().then_some(Hanging::Message)));
    let place = match (&row.conversation, &receiver) {
        (Some(conversation), _) => conversations.find(conversation, &row.origin).map_err(left)?,
        (None, Some(Ok(receiver))) if *receiver == sender => {
            return Err(left("Its sender is its receiver.".to_owned()));
        }
        (None, Some(Ok(receiver))) => conversations.between((sender, *receiver), &row, people),
        (None, Some(Err(reason))) => return Err(left(reason.clone())),
        (None, None) => return Err(left("It has neither a conversation nor a receiver.".to_owned())),
    };
    let receiver = match receiver.transpose() {
        Ok(Some(receiver)) if receiver == sender || !conversations.get(place).people.contains(&receiver) => {
            Err("The receiver does not take part in the conversation, or is the sender.".to_owned())
        }
        found => found,
    };
    let receiver = receiver.unwrap_or_else(|reason| {
        report.row(&row.origin, Some("receiver"), format!("{reason} The message is carried without a receiver."));
        None
    });
    Ok(Found { row, sender, receiver, place, parent: None })
}

/// Which rows of messages there are, and where each stands among those found
struct MessageIndex {
    index: Index,
    fates: Vec<Option<usize>>,
}

impl MessageIndex {
    /// The message that a key in that row means; else why there is none.
    fn find(&self, key: Option<&Key>, origin: &Origin) -> Result<usize, String> {
        let key = key.ok_or("It names no message.")?;
        match self.index.find(key, origin.app()).map(|row| self.fates[row]) {
            None => Err(format!("There is no message {}.", key.text())),
            Some(None) => Err(format!("The message {} is left out.", key.text())),
            Some(Some(place)) => Ok(place),
        }
    }

    /// Looks up what each message replies to.
    fn find_parents(&self, found: &mut [Found], report: &mut Report) {
        for place in 0..found.len() {
            let message = &found[place];
            let Some(key) = &message.row.parent else { continue };
            let parent = self.find(Some(key), &message.row.origin).and_then(|parent| {
                if found[parent].place == message.place {
                    Ok(parent)
                } else {
                    Err(format!("The message {} belongs to another conversation.", key.text()))
                }
            });
            match parent {
                Ok(parent) => found[place].parent = Some(parent),
                Err(reason) => {
                    let reason = format!("{reason} The message is carried, but not as a reply.");
                    report.row(&message.row.origin, Some("parent_message"), reason);
                }
            }
        }
    }

    /// The histories of the messages found, oldest content first
    fn histories(&self, mut rows: Vec<History>, report: &mut Report) -> HashMap<usize, Vec<History>> {
        rows.sort_by(|one, other| {
            (one.edited_at, order(&one.origin.pk)).cmp(&(other.edited_at, order(&other.origin.pk)))
        });
        let mut histories: HashMap<usize, Vec<History>> = HashMap::new();
        for row in rows {
            let place = check_kept_content(&row.content)
                .map_err(|error| error.to_string())
                .and_then(|()| self.find(row.message.as_ref(), &row.origin));
            match place {
                Ok(place) => histories.entry(place).or_default().push(row),
                Err(reason) => {
                    report.row(&row.origin, None, format!("{reason} The earlier content is left out."));
                }
            }
        }
        histories
    }
}

/// The order of the messages, each behind what it replies to; where replies go round in a circle, the first is none.
fn behind_parents(found: &mut [Found], report: &mut Report) -> Vec<usize> {
    let mut order = Vec::with_capacity(found.len());
    let mut is_placed = vec![false; found.len()];
    for first in 0..found.len() {
        let mut open = Vec::new();
        let mut is_open = HashSet::new();
        let mut next = Some(first);
        while let Some(place) = next.filter(|place| !is_placed[*place]) {
            if !is_open.insert(place) {
                let reason = "It replies to itself through other messages. The message is carried, but not as a reply.";
                report.row(&found[place].row.origin, Some("parent_message"), reason);
                found[place].parent = None;
                break;
            }
            open.push(place);
            next = found[place].parent;
        }
        // What replies to nothing goes first; in a circle, others of it were found behind that.
        let root = open.iter().position(|place| found[*place].parent.is_none());
        let behind = root.map_or(0, |root| (root + 1) % open.len());
        open.rotate_left(behind);
        for place in open.into_iter().rev() {
            is_placed[place] = true;
            order.push(place);
        }
    }
    order
}

/// The earlier contents of a message
fn revisions(
    message: &Found,
    histories: Vec<History>,
    people: &mut People,
    report: &mut Report,
) -> Vec<RevisionRecord> {
    let Message { origin, edited, edited_at, edited_by, .. } = &message.row;
    if *edited && histories.is_empty() {
        let reason = "Its earlier contents are not in the file. The message is carried as one that was never edited.";
        report.row(origin, Some("edited"), reason);
    }
    let mut revision = |row: History| {
        let editor = match row.edited_by.as_ref().or(edited_by.as_ref()).map(|key| people.find(key, &row.origin, None))
        {
            // Only the sender edits, where nothing else is said.
            None => Some(message.sender),
            Some(Ok(editor)) => Some(editor),
            Some(Err(reason)) => {
                let reason = format!("{reason} The earlier content is carried as replaced by the operator.");
                report.row(&row.origin, Some("edited_by"), reason);
                None
            }
        };
        RevisionRecord {
            revision: None,
            content: row.content,
            edited_at: row.edited_at.or(*edited_at),
            edited_by: editor.map(|editor| people.username(editor)),
            reason: None,
        }
    };
    histories.into_iter().map(&mut revision).collect()
}

/// Who has been notified of what, and has read it
struct Notified {
    rows: HashMap<usize, BTreeMap<usize, bool>>,
    /// Models of messages that have notifications; of the others it is told by the messages whether they were read.
    models: HashSet<String>,
}

impl Notified {
    fn of(
        messages: &MessageIndex,
        rows: Vec<Notification>,
        found: &[Found],
        people: &mut People,
        conversations: &Conversations,
        report: &mut Report,
    ) -> Self {
        let mut notified = Self { rows: HashMap::new(), models: HashSet::new() };
        for Notification { origin, user, message, is_read } in rows {
            let concerned = messages.find(message.as_ref(), &origin).and_then(|place| {
                notified.models.insert(found[place].row.origin.model.to_string());
                let user = user.as_ref().ok_or("It names no user.")?;
                let user = people.find(user, &origin, Some(Hanging::Notification))?;
                if user == found[place].sender {
                    Err("Nobody is notified of their own message.".to_owned())
                } else if conversations.get(found[place].place).people.contains(&user) {
                    Ok((place, user))
                } else {
                    Err("The user does not take part in the conversation.".to_owned())
                }
            });
            match concerned {
                Ok((place, user)) => {
                    let of_message = notified.rows.entry(place).or_default();
                    if let Some(other) = of_message.get(&user) {
                        report.row(
                            &origin,
                            None,
                            "The user has another notification of the message; they are carried as one.",
                        );
                        of_message.insert(user, *other && is_read);
                    } else {
                        of_message.insert(user, is_read);
                    }
                }
                Err(reason) => {
                    report.row(&origin, None, format!("{reason} The notification is left out."));
                }
            }
        }
        notified
    }

    fn take(&mut self, place: usize, message: &Found, conversations: &Conversations) -> BTreeMap<usize, bool> {
        let Found { row, sender, receiver, place: conversation, .. } = message;
        let conversation = conversations.get(*conversation);
        let mut notified = self.rows.remove(&place).unwrap_or_default();
        let others = conversation.people.iter().filter(|user| *user != sender);
        let receivers: Vec<usize> = match receiver {
            Some(receiver) => vec![*receiver],
            None => others.copied().collect(),
        };
        match row.read {
            Some(is_read) if !self.models.contains(&*row.origin.model) => {
                notified.extend(receivers.into_iter().map(|user| (user, is_read)));
            }
            // A message that its receiver has read is read, whatever became of the notification.
            Some(true) if receiver.is_some() || conversation.kind == Kind::Direct => {
                receivers
                    .iter()
                    .filter_map(|user| notified.get_mut(user).map(|is_read| *is_read = true))
                    .for_each(drop);
            }
            _ => {}
        }
        notified
    }
}
