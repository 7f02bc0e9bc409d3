//! Users: which can be carried over, and what of them.

use std::collections::HashSet;

use super::fields::Key;
use super::index::{Ids, Index};
use super::report::{Origin, Report};
use super::rows::User;
use crate::model::{Role, UserDetails, UserId, fold_case, normalize};
use crate::service::passwords::check_hash;
use crate::service::users::{check_email, check_kept_details};
use crate::transfer::records::UserRecord;

/// The users of a dump
#[derive(Default)]
pub(super) struct People {
    index: Index,
    fates: Vec<Fate>,
}

/// What became of a user
enum Fate {
    /// Carried, under this username
    Carried(String),
    /// Left out, which the report says at this place
    Left { said: usize, messages: u64, notifications: u64, participations: u64 },
}

/// What hangs on a user
#[derive(Clone, Copy)]
pub(super) enum Hanging {
    Message,
    Notification,
    Participation,
}

impl People {
    /// Takes over the users of a dump.
    pub(super) fn carry(users: Vec<User>, report: &mut Report) -> (Self, Vec<(Origin, UserRecord)>) {
        let mut people = Self::default();
        let mut taken = Taken::default();
        let mut records = Vec::new();
        for user in users {
            let place = people.fates.len();
            let natural = user.username.as_ref().or(user.email.as_ref()).cloned().unwrap_or_default();
            // With --natural-primary there is no primary key.
            let key = if user.origin.pk.is_empty() { natural.clone() } else { user.origin.pk.clone() };
            let origin = Origin { pk: key, ..user.origin.clone() };
            people.index.add(&origin, place);
            people.index.name(&natural, place);
            if let Some(email) = &user.email {
                people.index.name(email, place);
            }
            people.fates.push(match taken.record(&user, &origin, report) {
                Ok(record) => {
                    let username = record.username.clone();
                    records.push((origin, record));
                    Fate::Carried(username)
                }
                Err(reason) => {
                    let said = report.row(&origin, Some("username"), format!("{reason} The user is left out."));
                    Fate::Left { said, messages: 0, notifications: 0, participations: 0 }
                }
            });
        }
        (people, records)
    }

    /// The user that a key in that row means, if they are carried; else why not, in a sentence.
    pub(super) fn find(&mut self, key: &Key, origin: &Origin, hanging: Option<Hanging>) -> Result<usize, String> {
        let Some(place) = self.index.find(key, origin.app()) else {
            return Err(format!("There is no user {}.", key.text()));
        };
        let Fate::Left { messages, notifications, participations, .. } = &mut self.fates[place] else {
            return Ok(place);
        };
        match hanging {
            Some(Hanging::Message) => *messages += 1,
            Some(Hanging::Notification) => *notifications += 1,
            Some(Hanging::Participation) => *participations += 1,
            None => {}
        }
        Err(format!("The user {} is left out.", key.text()))
    }

    /// The username of a user who is carried
    pub(super) fn username(&self, place: usize) -> String {
        match &self.fates[place] {
            Fate::Carried(username) => username.clone(),
            Fate::Left { .. } => String::new(),
        }
    }

    /// Says of each user who is left out what hangs on them.
    pub(super) fn finish(self, report: &mut Report) {
        for fate in self.fates {
            if let Fate::Left { said, messages, notifications, participations } = fate
                && messages + notifications + participations > 0
            {
                let sentence = format!(
                    "Left out with them: {}, {} and {}.",
                    counted(messages, "message"),
                    counted(notifications, "notification"),
                    counted(participations, "participation")
                );
                report.go_on(said, &sentence);
            }
        }
    }
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What no second user may have
#[derive(Default)]
struct Taken {
    usernames: HashSet<String>,
    emails: HashSet<String>,
    ids: Ids,
}

impl Taken {
    fn record(&mut self, user: &User, origin: &Origin, report: &mut Report) -> Result<UserRecord, String> {
        let email = self.email(user, origin, report);
        let given = user.username.as_ref().filter(|name| !name.is_empty()).or(user.email.as_ref());
        let details = UserDetails {
            username: given.cloned().unwrap_or_default(),
            email,
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            role: if user.is_admin { Role::Admin } else { Role::User },
        };
        let details = check_kept_details(&details).or_else(|error| {
            // The names may be what is wrong, and nothing hangs on those.
            let nameless = UserDetails { first_name: String::new(), last_name: String::new(), ..details };
            let checked = check_kept_details(&nameless).map_err(|_| error.to_string())?;
            report.row(origin, Some("first_name"), format!("{error} The user is carried without first and last name."));
            Ok::<_, String>(checked)
        })?;
        if !self.usernames.insert(fold_case(&details.username)) {
            return Err(format!("Another user has the username “{}”, whatever its case.", details.username));
        }
        self.emails.extend(details.email.as_deref().map(fold_case));
        Ok(UserRecord {
            user_id: Some(UserId(self.ids.of(origin, user.id))),
            username: details.username,
            email: details.email,
            first_name: Some(details.first_name),
            last_name: Some(details.last_name),
            role: Some(details.role),
            is_active: Some(user.is_active),
            created_at: user.created,
            password: None,
            password_hash: user.password.as_deref().and_then(|password| hash(password, origin, report)),
        })
    }

    fn email(&self, user: &User, origin: &Origin, report: &mut Report) -> Option<String> {
        let email = normalize(user.email.as_deref().filter(|email| !email.is_empty())?);
        let refused = match check_email(&email) {
            Err(error) => error.to_string(),
            Ok(()) if self.emails.contains(&fold_case(&email)) => format!("Another user has the email {email} too."),
            Ok(()) => return Some(email),
        };
        report.row(origin, Some("email"), format!("{refused} The user is carried without an email."));
        None
    }
}

/// The hash of a password as tidings keeps it; none where it is unusable on purpose or cannot be verified.
fn hash(password: &str, origin: &Origin, report: &mut Report) -> Option<String> {
    if password.is_empty() || password.starts_with('!') {
        return None;
    }
    // Django puts the name of its hasher before the PHC form.
    let hash = match password.strip_prefix("argon2") {
        Some(phc) if phc.starts_with('$') => phc,
        _ => password,
    };
    if check_hash(hash).is_ok() {
        return Some(hash.to_owned());
    }
    let what = match password.split_once('$') {
        Some((hasher, _))
            if !hasher.is_empty() && hasher.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') =>
        {
            format!("The password is hashed by {hasher} in a way that is not verified here")
        }
        _ => "The password is not a hash that Django makes".to_owned(),
    };
    report.row(origin, Some("password"), format!("{what}; the user is carried without one."));
    None
}
