//! Who there is: users, and names that are given out once.

use std::collections::HashMap;

use super::Plan;
use super::chance::{Chance, Stream};
use super::words::{Words, latin, written};
use crate::model::{Role, Timestamp, UserId};
use crate::transfer::records::UserRecord;

/// One of so many is an admin, the first for certain.
const ADMIN: u64 = 25;

/// What messages need to know of a user
pub(super) struct Person {
    pub(super) username: String,
    /// Writes without capitals
    pub(super) is_casual: bool,
}

/// Gives out each name once: what comes again is numbered.
///
/// Behind every name stands `_` and the seed in base 36, except for the usual seed; as nothing else holds `_`, the names of
/// two seeds never meet, whatever else their plans say.
pub(super) struct Names {
    given: HashMap<String, u32>,
    /// What stands before the number of a name that comes again
    separator: &'static str,
    suffix: String,
}

impl Names {
    pub(super) fn new(seed: u64, separator: &'static str) -> Self {
        let suffix = if seed == Plan::default().seed { String::new() } else { format!("_{}", base_36(seed)) };
        Self { given: HashMap::new(), separator, suffix }
    }

    /// A name of its own; the one asked for ends in no digit, or numbering could make it another's.
    pub(super) fn give(&mut self, name: &str) -> String {
        let Self { separator, suffix, .. } = self;
        if let Some(times) = self.given.get_mut(name) {
            *times += 1;
            return format!("{name}{separator}{times}{suffix}");
        }
        self.given.insert(name.to_owned(), 1);
        format!("{name}{suffix}")
    }
}

fn base_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// Makes up the user of that number, who came before `until`.
pub(super) fn user(plan: &Plan, number: u32, until: Timestamp, names: &mut Names) -> (UserId, UserRecord, Person) {
    let mut chance = Chance::new(plan.seed, Stream::Users, u64::from(number));
    let words = Words::of(plan.language);
    let (first, last) = (chance.pick(&words.first_names), chance.pick(&words.last_names));
    let created_at = chance.time(plan.start(), until);
    let id = UserId(chance.id(created_at));
    let username = names.give(&handle(&latin(first), &latin(last), chance.below(10)));
    let is_admin = u64::from(number) % ADMIN == 0;
    let record = UserRecord {
        user_id: Some(id),
        email: chance.per_cent(90).then(|| format!("{username}@example.org")),
        username: username.clone(),
        first_name: Some(written(first).to_owned()),
        last_name: Some(written(last).to_owned()),
        role: Some(if is_admin { Role::Admin } else { Role::User }),
        is_active: Some(is_admin || !chance.per_cent(2)),
        created_at: Some(created_at),
        password: None,
        password_hash: None,
    };
    (id, record, Person { username, is_casual: chance.per_cent(15) })
}

fn handle(first: &str, last: &str, form: u32) -> String {
    match form {
        0..6 => format!("{first}.{last}"),
        6 => format!("{first}{}", &last[..1]),
        7 => format!("{}{last}", &first[..1]),
        8 => first.to_owned(),
        _ => format!("{first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_two_seeds_never_meet() {
        let mut usual = Names::new(0, "");
        let mut other = Names::new(2026, "");
        assert_eq!([usual.give("anna"), usual.give("anna"), usual.give("anna")], ["anna", "anna2", "anna3"]);
        assert_eq!([other.give("anna"), other.give("anna")], ["anna_1ka", "anna2_1ka"]);
        assert_eq!(base_36(u64::MAX), "3w5e11264sgsf");
    }
}
