//! Conversations: direct ones and groups.

use std::collections::{HashSet, VecDeque};

use super::Plan;
use super::chance::{Chance, Stream};
use super::people::{Names, Person};
use super::words::{Words, latin, written};
use crate::model::{ConversationId, Kind, Level, MessageId, Timestamp};
use crate::transfer::records::{ConversationRecord, Participant};

/// What messages need to know of a conversation
pub(super) struct Conversation {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) created_at: Timestamp,
    /// How much is said in it, compared with others
    pub(super) weight: u64,
    pub(super) members: Vec<Member>,
    /// How many messages there are so far
    pub(super) messages: i64,
    /// The newest messages, newest first: their ids and senders' places among the members
    pub(super) recent: VecDeque<(MessageId, u32)>,
    /// What they talk about, among the things of the language
    pub(super) topic: u32,
}

/// Somebody who takes part
pub(super) struct Member {
    /// The user's number
    pub(super) user: u32,
    pub(super) level: Level,
    /// Which message, of all there are, is the first they have not read
    pub(super) reads_until: u64,
}

/// How many of the first conversations are direct
pub(super) fn direct(plan: &Plan, conversations: u32) -> u64 {
    u64::from(conversations) * u64::from(plan.direct) / 100
}

/// How many direct conversations there can be
pub(super) fn pairs(users: u32) -> u64 {
    u64::from(users) * u64::from(users.saturating_sub(1)) / 2
}

/// Makes up the conversation of that number.
///
/// It begins after `start`; the first one, and half of the others, before the first message.
pub(super) fn conversation(
    plan: &Plan,
    number: u32,
    (start, first_message): (Timestamp, Timestamp),
    people: &[Person],
    names: &mut Names,
) -> (ConversationId, ConversationRecord, Conversation) {
    let mut chance = Chance::new(plan.seed, Stream::Conversations, u64::from(number));
    let is_late = number > 0 && chance.per_cent(50);
    let (from, until) = if is_late { (first_message, midway(first_message, plan.now)) } else { (start, first_message) };
    let created_at = chance.time(from, until);
    let id = ConversationId(chance.id(created_at));
    let is_direct = direct(plan, number + 1) > direct(plan, number);
    let kind = if is_direct { Kind::Direct } else { Kind::Group };
    let users = if is_direct {
        let (one, other) = pair(plan, direct(plan, number));
        if chance.per_cent(50) { vec![one, other] } else { vec![other, one] }
    } else {
        group(plan, &mut chance)
    };
    let creator = users.first().filter(|_| is_direct || !chance.per_cent(10)).map(|user| username(people, *user));
    let (name, title) = if is_direct { (None, None) } else { names_of_group(plan, &mut chance, names) };
    let members: Vec<Member> = users.into_iter().map(|user| member(plan, user, kind, &mut chance)).collect();
    let record = ConversationRecord {
        conversation_id: Some(id),
        kind: Some(kind),
        name,
        title,
        creator,
        participants: members.iter().map(|one| Participant::new(username(people, one.user), one.level)).collect(),
        created_at: Some(created_at),
        active_at: None,
        last_number: None,
    };
    let state = Conversation {
        id: id.to_string(),
        kind,
        created_at,
        // A long tail: few conversations have most of what is said.
        weight: u64::from(1_000_000 / (1 + chance.below(500))),
        members,
        messages: 0,
        recent: VecDeque::new(),
        topic: chance.below(u32::MAX),
    };
    (id, record, state)
}

fn midway(start: Timestamp, end: Timestamp) -> Timestamp {
    Timestamp(start.0 + (end.0 - start.0) / 2)
}

fn username(people: &[Person], user: u32) -> String {
    people[user as usize].username.clone()
}

/// The two people of the direct conversation of that number, no pair twice.
///
/// The pairs are gone through in steps that share no divisor with their count, which comes by each of them once.
fn pair(plan: &Plan, number: u64) -> (u32, u32) {
    let count = u128::from(pairs(plan.users));
    // Near the golden section, so that neighbours lie far apart.
    let mut step = (count * 618_034 / 1_000_000).max(1);
    while greatest_common_divisor(step, count) > 1 {
        step += 1;
    }
    let first = Chance::new(plan.seed, Stream::Pairs, 0).below_wide(pairs(plan.users));
    let place = (u128::from(first) + step * u128::from(number)) % count;
    // The pairs in order: (0, 1), (0, 2), (1, 2), (0, 3) …; those with a higher one of h begin at h (h - 1) / 2.
    let higher = u128::midpoint(1, (1 + 8 * place).isqrt());
    let lower = place - higher * (higher - 1) / 2;
    (u32::try_from(lower).unwrap_or(0), u32::try_from(higher).unwrap_or(0))
}

fn greatest_common_divisor(one: u128, other: u128) -> u128 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

/// The users of a group, small groups more often than large ones (Floyd's sampling: Bentley and Floyd, "A sample of
/// brilliance", CACM 1987).
fn group(plan: &Plan, chance: &mut Chance) -> Vec<u32> {
    let (fewest, most) = plan.group_size;
    let most = most.min(plan.users);
    let size = fewest + chance.low_below(most - fewest + 1);
    let mut taken = HashSet::new();
    let mut users = Vec::new();
    for last in plan.users - size..plan.users {
        let drawn = chance.below(last + 1);
        let user = if taken.insert(drawn) { drawn } else { last };
        taken.insert(user);
        users.push(user);
    }
    users
}

/// The name and the title of a group; it has one of them at least
fn names_of_group(plan: &Plan, chance: &mut Chance, names: &mut Names) -> (Option<String>, Option<String>) {
    let words = Words::of(plan.language);
    let (theme, branch) = (chance.pick(&words.themes), chance.pick(&words.branches));
    let (title, handle) = if chance.per_cent(30) {
        (written(theme).to_owned(), latin(theme))
    } else {
        (format!("{}{}{}", written(theme), words.gap, written(branch)), format!("{}-{}", latin(theme), latin(branch)))
    };
    let has_name = chance.per_cent(85);
    let has_title = !has_name || chance.per_cent(80);
    (has_name.then(|| names.give(&handle)), has_title.then_some(title))
}

fn member(plan: &Plan, user: u32, kind: Kind, chance: &mut Chance) -> Member {
    let level = match (kind, chance.below(100)) {
        (Kind::Group, 0..9) | (Kind::Direct, 0) => Level::Mentions,
        (Kind::Group, 9..13) | (Kind::Direct, 1) => Level::None,
        _ => Level::All,
    };
    // Most have read all there is, or nothing where little is read; the others stopped somewhere, on average half-way, so
    // that the rate is met.
    let (rate, case) = (plan.read, chance.below(100));
    let somewhere = chance.below_wide(plan.messages.saturating_add(1));
    let reads_until = match rate {
        50.. if case < u32::from(rate - 50) * 2 => plan.messages,
        ..50 if case < u32::from(50 - rate) * 2 => 0,
        _ => somewhere,
    };
    Member { user, level, reads_until }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_users_has_at_most_one_direct_conversation() {
        for users in 2..40 {
            let plan = Plan { users, ..Plan::default() };
            let found: HashSet<(u32, u32)> = (0..pairs(users)).map(|number| pair(&plan, number)).collect();
            assert_eq!(found.len() as u64, pairs(users), "{users}");
            assert!(found.iter().all(|(lower, higher)| lower < higher && *higher < users), "{users}");
        }
    }
}
