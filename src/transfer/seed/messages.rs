//! Messages, one after the other, each with its notifications.

use super::Plan;
use super::calendar::{BURST, Calendar};
use super::chance::{Chance, Stream};
use super::conversations::{Conversation, Member};
use super::people::Person;
use super::texts::{Text, mistype};
use super::words::Words;
use crate::model::{Kind, Level, MessageId, NotificationKind, Number, Timestamp};
use crate::transfer::records::{MessageRecord, NotificationRecord, RevisionRecord};

/// How many messages of a conversation are remembered, to be replied to
const RECENT: usize = 8;

/// What goes on while messages are sent
pub(super) struct Messages {
    calendar: Calendar,
    /// The conversations in the order they begin, each with the weights of it and those before
    order: Vec<(u32, u64)>,
    /// How many of them have begun
    begun: usize,
    /// The one that the current burst of messages belongs to
    current: u32,
}

/// A message and what came of it
pub(super) struct Sent {
    pub(super) id: MessageId,
    pub(super) record: MessageRecord,
    pub(super) notifications: Vec<NotificationRecord>,
}

/// Who says something, and who is meant, by their places among the members
struct Speech {
    sender: u32,
    parent: Option<(MessageId, u32)>,
    mentioned: Option<u32>,
    receiver: Option<u32>,
}

impl Messages {
    /// Messages from `start` on
    pub(super) fn new(plan: &Plan, start: Timestamp, conversations: &[Conversation]) -> Self {
        let mut order: Vec<u32> = (0..plan.conversations).collect();
        order.sort_by_key(|number| (conversations[*number as usize].created_at, *number));
        let mut sum = 0;
        let weigh = |number: u32| {
            sum += conversations[number as usize].weight;
            (number, sum)
        };
        let order = order.into_iter().map(weigh).collect();
        Self { calendar: Calendar::new(plan.seed, plan.messages, start, plan.now), order, begun: 0, current: 0 }
    }

    /// Sends the message of that number, counted from 0; they are asked for in order.
    pub(super) fn send(
        &mut self,
        plan: &Plan,
        number: u64,
        people: &[Person],
        conversations: &mut [Conversation],
    ) -> Sent {
        let mut chance = Chance::new(plan.seed, Stream::Messages, number);
        let time = self.calendar.time(number, &mut chance);
        let conversation = &mut conversations[self.place(number, time, conversations, &mut chance) as usize];
        let speech = speech(plan, number, conversation, &mut chance);
        let id = MessageId(chance.id(time));
        let record = write(plan, (id, time), conversation, &speech, people, &mut chance);
        conversation.messages += 1;
        conversation.recent.truncate(RECENT - 1);
        conversation.recent.push_front((id, speech.sender));
        let notifications = notify(id, number, &conversation.members, &speech, people);
        Sent { id, record, notifications }
    }

    /// The conversation a message is sent to: mostly that of the burst
    fn place(&mut self, number: u64, time: Timestamp, conversations: &[Conversation], chance: &mut Chance) -> u32 {
        let has_begun = |place: &(u32, u64)| conversations[place.0 as usize].created_at <= time;
        while self.order.get(self.begun).is_some_and(has_begun) {
            self.begun += 1;
        }
        let is_new = number.is_multiple_of(u64::from(BURST));
        if !is_new && chance.per_cent(75) {
            return self.current;
        }
        let begun = &self.order[..self.begun];
        let drawn = chance.below_wide(begun.last().map_or(0, |(_, sum)| *sum));
        let place = begun.partition_point(|(_, sum)| *sum <= drawn);
        let drawn = begun.get(place).map_or(0, |(conversation, _)| *conversation);
        if is_new {
            self.current = drawn;
        }
        drawn
    }
}

fn speech(plan: &Plan, number: u64, conversation: &mut Conversation, chance: &mut Chance) -> Speech {
    if chance.per_cent(20) {
        conversation.topic = chance.below(u32::MAX);
    }
    let sender = sender(number, conversation, chance);
    let replies = !conversation.recent.is_empty() && chance.per_cent(plan.replies);
    let parent = replies.then(|| parent(conversation, sender, chance)).flatten();
    let members = u32::try_from(conversation.members.len()).unwrap_or(u32::MAX);
    let mut another = |rate| chance.per_cent(rate).then(|| (sender + 1 + chance.below(members - 1)) % members);
    let (mentioned, receiver) = match conversation.kind {
        Kind::Direct => (None, Some(1 - sender)),
        Kind::Group => (another(12), another(1)),
    };
    Speech { sender, parent, mentioned, receiver }
}

/// Who sends the next message: mostly not who sent the last, and not who reads no more; some say more than others.
fn sender(number: u64, conversation: &Conversation, chance: &mut Chance) -> u32 {
    let members = u32::try_from(conversation.members.len()).unwrap_or(u32::MAX);
    let last = conversation.recent.front().map(|(_, sender)| *sender);
    let mut drawn = 0;
    for _ in 0..4 {
        drawn = chance.low_below(members);
        let is_present = number < conversation.members[drawn as usize].reads_until;
        if is_present && (Some(drawn) != last || chance.per_cent(30)) {
            break;
        }
    }
    drawn
}

/// Which message is replied to: mostly the newest one that is somebody else's
fn parent(conversation: &Conversation, sender: u32, chance: &mut Chance) -> Option<(MessageId, u32)> {
    let recent = &conversation.recent;
    let count = u32::try_from(recent.len()).unwrap_or(0);
    let drawn = chance.low_below(count).min(chance.low_below(count)) as usize;
    let of_others = recent.iter().skip(drawn).find(|(_, other)| *other != sender);
    of_others.or_else(|| recent.get(drawn)).copied()
}

fn write(
    plan: &Plan,
    (id, time): (MessageId, Timestamp),
    conversation: &Conversation,
    speech: &Speech,
    people: &[Person],
    chance: &mut Chance,
) -> MessageRecord {
    let words = Words::of(plan.language);
    let person = |member: u32| &people[conversation.members[member as usize].user as usize];
    let sender = person(speech.sender);
    let mut text = Text::new(words, conversation.topic);
    match speech.mentioned.map(person) {
        None => text.speak(speech.parent.is_some(), chance),
        Some(other) if chance.per_cent(80) => {
            text.address(&other.username, chance);
            text.speak(speech.parent.is_some(), chance);
        }
        Some(other) => {
            text.speak(speech.parent.is_some(), chance);
            text.copy_to(&other.username);
        }
    }
    let content = text.finish(sender.is_casual);
    let mut earlier = Vec::new();
    if chance.per_cent(plan.edits) {
        earlier.push(text.before_edit(chance));
        if chance.per_cent(15) {
            earlier.insert(0, mistype(&earlier[0], chance));
        }
    }
    let mut edited_at = time;
    let mut revise = |(number, content): (i64, String)| {
        edited_at = edited(edited_at, plan.now, chance);
        RevisionRecord {
            revision: Some(number),
            content,
            edited_at: Some(edited_at),
            edited_by: Some(sender.username.clone()),
            reason: chance.per_cent(15).then(|| chance.pick(&words.reasons).to_owned()),
        }
    };
    let revisions: Vec<RevisionRecord> = (1..).zip(earlier).map(&mut revise).collect();
    MessageRecord {
        message_id: Some(id),
        key: None,
        conversation: conversation.id.clone(),
        number: Some(Number(conversation.messages + 1)),
        sender: Some(sender.username.clone()),
        receiver: speech.receiver.map(|receiver| person(receiver).username.clone()),
        reply_to: speech.parent.map(|(parent, _)| parent.to_string()),
        timestamp: Some(time),
        content,
        revision: i64::try_from(revisions.len() + 1).ok(),
        deleted: false,
        revisions,
    }
}

/// When an edit follows: mostly after seconds, sometimes after hours
fn edited(after: Timestamp, now: Timestamp, chance: &mut Chance) -> Timestamp {
    let most = 1 << (3 + chance.low_below(14));
    let seconds = 4 + chance.below(most);
    let wait = Timestamp(after.0 + i64::from(chance.below(1_000_000)));
    wait.plus_seconds(i64::from(seconds)).min(now)
}

/// Notifies whom sending would notify; who has read that far has read it.
fn notify(
    id: MessageId,
    number: u64,
    members: &[Member],
    speech: &Speech,
    people: &[Person],
) -> Vec<NotificationRecord> {
    let message = id.to_string();
    let parent_sender = speech.parent.map(|(_, sender)| sender);
    let mut notifications = Vec::with_capacity(members.len() - 1);
    for (place, member) in (0..).zip(members) {
        let kind = if speech.mentioned == Some(place) {
            NotificationKind::Mention
        } else if parent_sender == Some(place) {
            NotificationKind::Reply
        } else {
            NotificationKind::Message
        };
        let is_let_through = match member.level {
            Level::All => true,
            Level::Mentions => kind != NotificationKind::Message,
            Level::None => false,
        };
        if place != speech.sender && is_let_through {
            notifications.push(NotificationRecord {
                user: people[member.user as usize].username.clone(),
                message: message.clone(),
                kind: Some(kind),
                is_read: number < member.reads_until,
            });
        }
    }
    notifications
}
