//! Users: listing, creating and changing accounts.

use super::Condition;
use super::page::Page;
use crate::error::{Error, Result};
use crate::model::{
    Actor, Event, EventKind, Profile, Role, Seek, User, UserDetails, UserId, UserKey, UserSelector, fold_case,
    is_blank, is_ignorable, may_join, normalize, uuid,
};
use crate::store::{self, Tx};

/// The input for a new account.
#[derive(Clone, Debug)]
pub struct NewUser {
    pub details: UserDetails,
    /// A hash in PHC form; none: the user cannot log in
    pub password_hash: Option<String>,
    /// Return the user with that name, if it exists, instead of an error
    pub if_not_exists: bool,
}

/// Changes of an account; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    pub username: Option<String>,
    /// An empty text removes it
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
    /// Earlier tokens are revoked at once
    pub password_hash: Option<String>,
}

/// Creates an account; returns it, and whether it is new.
///
/// # Errors
/// `Forbidden` for all but the operator and admins, `Invalid`, `Conflict` if the username or email is taken.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: &NewUser) -> Result<(User, bool)> {
    if !actor.administers() {
        return Err(Error::forbidden("Only admins create users."));
    }
    if new.if_not_exists
        && let Some(user) = store::users::by_username(tx, &check_details(&new.details)?.username)?
    {
        return Ok((user, false));
    }
    match insert(tx, &new.details, new.password_hash.as_deref())? {
        Ok(user) => {
            store::events::record(tx, actor, Event::user(EventKind::UserCreated, &user.person))?;
            Ok((user, true))
        }
        // On PostgreSQL somebody else may have created it meanwhile.
        Err(taken) => match store::users::by_username(tx, &check_details(&new.details)?.username)? {
            Some(user) if new.if_not_exists => Ok((user, false)),
            _ => Err(taken),
        },
    }
}

/// Inserts an account, or returns the conflict.
pub(super) fn insert(tx: &mut Tx<'_>, details: &UserDetails, password_hash: Option<&str>) -> Result<Result<User>> {
    let details = check_details(details)?;
    if let Some(hash) = password_hash {
        super::passwords::check_hash(hash)?;
    }
    let id = UserId(tx.new_id()?);
    if let Some(user) = store::users::insert(tx, id, &details, password_hash)? {
        return Ok(Ok(user));
    }
    let is_username = store::users::by_username(tx, &details.username)?.is_some();
    Ok(Err(if is_username { username_taken(&details) } else { email_taken(&details) }))
}

/// Users after a username, by username, in the detail that the actor can see.
///
/// # Errors
/// `Invalid` if `after` or `search` is too long.
pub fn list(tx: &mut Tx<'_>, actor: &Actor, after: &str, search: Option<&str>, limit: i64) -> Result<Vec<Profile>> {
    super::check_search(search)?;
    super::check_text("after", after, 150)?;
    let users = store::users::page(tx, &Seek::After(after.to_owned()), search, actor.administers(), limit)?;
    Ok(users.into_iter().map(|user| profile(actor, user)).collect())
}

/// A page of the users whose names (for admins also email) contain `search`, by username, in the detail that the actor
/// can see.
///
/// # Errors
/// `Invalid` if `search` is too long.
pub fn page(
    tx: &mut Tx<'_>,
    actor: &Actor,
    search: Option<&str>,
    seek: Option<&Seek<String>>,
    size: i64,
) -> Result<Page<Profile, String>> {
    super::check_search(search)?;
    let read = |seek: Option<&Seek<String>>, limit| {
        let from_the_first = Seek::After(String::new());
        store::users::page(tx, seek.unwrap_or(&from_the_first), search, actor.administers(), limit)
    };
    let page = super::page::page(seek, size, |user: &User| user.person.username.clone(), read)?;
    let count = store::users::count_matching(tx, search, actor.administers())?;
    page.of(count).map(|users| Ok(users.into_iter().map(|user| profile(actor, user)).collect()))
}

/// One user, in the detail that the actor can see.
///
/// # Errors
/// `NotFound` if it does not exist.
pub fn show(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<Profile> {
    let user = super::user(tx, actor, selector)?;
    Ok(profile(actor, user))
}

fn profile(actor: &Actor, user: User) -> Profile {
    if actor.administers() || actor.is(user.person.key) { Profile::Full(user) } else { Profile::Short(user.person) }
}

/// Changes an account: the actor's own, or another's as operator or admin. Nobody sets their own role.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Invalid`, `Conflict` if the username or email is taken.
pub fn update(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector, change: &UserChange) -> Result<User> {
    update_if(tx, actor, selector, change, &mut |_, _| Ok(()))
}

/// As [`update`], with a condition.
///
/// # Errors
/// As [`update`], and those of the condition.
pub fn update_if(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &UserSelector,
    change: &UserChange,
    condition: Condition<'_, User>,
) -> Result<User> {
    let user = locked(tx, actor, selector)?;
    must_be_own_or_administered(actor, &user)?;
    condition(tx, &user)?;
    let details = changed(tx, actor, &user, change)?;
    let updated = store::users::update(tx, user.person.key, &details)?;
    if updated != user {
        store::events::record(tx, actor, Event::user(EventKind::UserUpdated, &updated.person))?;
    }
    let updated = match &change.password_hash {
        Some(hash) => set_password(tx, actor, &UserSelector::of(&updated), Some(hash))?,
        None => updated,
    };
    match change.is_active {
        Some(is_active) if is_active != updated.is_active => {
            set_active(tx, actor, &UserSelector::of(&updated), is_active)
        }
        _ => Ok(updated),
    }
}

/// Checks a change of the actor's own account that contains a new password, without making it; returns the username
/// after the change, and the current password hash.
///
/// # Errors
/// As of [`update`]; `Unauthenticated` for the operator, who has no account.
pub fn check_own_change(tx: &mut Tx<'_>, actor: &Actor, change: &UserChange) -> Result<(String, Option<String>)> {
    let Actor::User(user) = actor else { return Err(super::tokens::bad_token()) };
    let details = changed(tx, actor, user, change)?;
    Ok((details.username, super::tokens::password_hash(tx, user)?))
}

/// The details of an account after a change, checked
fn changed(tx: &mut Tx<'_>, actor: &Actor, user: &User, change: &UserChange) -> Result<UserDetails> {
    must_be_own_or_administered(actor, user)?;
    if change.role.is_some_and(|role| role != user.role) {
        if actor.is(user.person.key) || !actor.administers() {
            return Err(Error::forbidden("Nobody sets their own role; another admin does."));
        }
        must_not_be_last_admin(tx, actor, user, "demoted")?;
    }
    let is_renamed = change.username.as_ref().is_some_and(|username| *username != user.person.username);
    let details = UserDetails {
        username: change.username.clone().unwrap_or_else(|| user.person.username.clone()),
        email: change.email.clone().or_else(|| user.email.clone()),
        first_name: change.first_name.clone().unwrap_or_else(|| user.person.first_name.clone()),
        last_name: change.last_name.clone().unwrap_or_else(|| user.person.last_name.clone()),
        role: change.role.unwrap_or(user.role),
    };
    // A name that is older than the rule stays.
    let details = if is_renamed { check_details(&details)? } else { check_all_but_username(details)? };
    let is_anothers = |found: Option<User>| found.is_some_and(|found| found.person.key != user.person.key);
    if is_anothers(store::users::by_username(tx, &details.username)?) {
        return Err(username_taken(&details));
    }
    if is_anothers(details.email.as_ref().map(|email| store::users::by_email(tx, email)).transpose()?.flatten()) {
        return Err(email_taken(&details));
    }
    if is_renamed && actor.is(user.person.key) && !actor.administers() {
        must_look_unlike_others(tx, &details.username, Some(user.person.key))?;
    }
    Ok(details)
}

/// Replaces a password, the actor's own or another's as operator or admin; earlier tokens are revoked at once.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Invalid` if the hash is not supported.
pub fn set_password(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector, hash: Option<&str>) -> Result<User> {
    let user = super::user(tx, actor, selector)?;
    must_be_own_or_administered(actor, &user)?;
    if let Some(hash) = hash {
        super::passwords::check_hash(hash)?;
    }
    let user = store::users::set_password(tx, user.person.key, hash)?;
    store::sessions::delete_all(tx, user.person.key, None)?;
    store::events::record(tx, actor, Event::user(EventKind::UserUpdated, &user.person))?;
    Ok(user)
}

/// Activates or deactivates another's account; a deactivated one keeps its data and still receives messages.
///
/// # Errors
/// `NotFound`, `Forbidden` for the actor's own account, for all but the operator and admins, and for the last admin.
pub fn set_active(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector, is_active: bool) -> Result<User> {
    let user = locked(tx, actor, selector)?;
    if !actor.administers() || actor.is(user.person.key) {
        return Err(Error::forbidden("Only another admin activates or deactivates an account."));
    }
    if user.is_active == is_active {
        return Ok(user);
    }
    if !is_active {
        must_not_be_last_admin(tx, actor, &user, "deactivated")?;
    }
    let user = store::users::set_active(tx, user.person.key, is_active)?;
    store::sessions::delete_all(tx, user.person.key, None)?;
    store::events::record(tx, actor, Event::user(EventKind::UserUpdated, &user.person))?;
    Ok(user)
}

/// Finds a user and locks them until the end of the transaction.
pub(super) fn locked(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<User> {
    let user = super::user(tx, actor, selector)?;
    match store::users::lock(tx, user.person.key)? {
        Some(user) => Ok(user),
        None => Err(super::no_user(selector)),
    }
}

pub(super) fn must_be_own_or_administered(actor: &Actor, user: &User) -> Result<()> {
    if actor.administers() || actor.is(user.person.key) {
        return Ok(());
    }
    Err(Error::forbidden(format!("Only {} and admins may do that.", user.person.username)))
}

/// Refuses a change of the last admin, except by the operator.
pub(super) fn must_not_be_last_admin(tx: &mut Tx<'_>, actor: &Actor, user: &User, what: &str) -> Result<()> {
    if user.role == Role::Admin && actor.operator().is_none() && !store::users::has_other_admin(tx, user.person.key)? {
        return Err(Error::forbidden(format!("{} is the last admin and is not {what}.", user.person.username))
            .hint("Make somebody else an admin first, or do it as the operator."));
    }
    Ok(())
}

/// Refuses a username that looks like another's, unless both are ASCII.
pub(super) fn must_look_unlike_others(tx: &mut Tx<'_>, username: &str, own: Option<UserKey>) -> Result<()> {
    match store::users::looking_like(tx, username, own)? {
        Some(other) => {
            let detail = format!("The username “{username}” looks like “{other}”, which is taken.");
            Err(Error::conflict(detail).naming("username"))
        }
        None => Ok(()),
    }
}

pub(super) fn username_taken(details: &UserDetails) -> Error {
    Error::conflict(format!("The username “{}” is taken.", details.username)).naming("username")
}

pub(super) fn email_taken(details: &UserDetails) -> Error {
    Error::conflict(format!("The email {} is taken.", details.email.as_deref().unwrap_or_default())).naming("email")
}

/// Checks and normalizes the details of an account.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn check_details(details: &UserDetails) -> Result<UserDetails> {
    let details = check_kept_details(details)?;
    must_be_seen(&details.username)?;
    Ok(details)
}

/// As [`check_details`], for an account that keeps its username, which may contain invisible characters from before the
/// rule.
///
/// # Errors
/// As of [`check_details`].
pub fn check_kept_details(details: &UserDetails) -> Result<UserDetails> {
    // A far too long text is not normalized, which would take long.
    if details.username.len() > super::LONGEST_NAME {
        return Err(username_too_long());
    }
    let details = check_all_but_username(UserDetails { username: normalize(&details.username), ..details.clone() })?;
    check_username(&details.username)?;
    Ok(details)
}

fn check_all_but_username(details: UserDetails) -> Result<UserDetails> {
    let email = details.email.as_deref().filter(|email| !email.is_empty());
    if email.is_some_and(|email| email.len() > super::LONGEST_NAME) {
        return Err(Error::invalid("email", "The email is longer than 254 bytes."));
    }
    let email = email.map(normalize);
    if let Some(email) = &email {
        check_email(email)?;
    }
    let username = &details.username;
    if username.contains('@') && email.as_deref().map(fold_case) != Some(fold_case(username)) {
        return Err(Error::invalid("username", "The username holds @, which only the user's own email may."));
    }
    super::check_text("first_name", &details.first_name, 150)?;
    super::check_text("last_name", &details.last_name, 150)?;
    Ok(UserDetails { email, ..details })
}

fn username_too_long() -> Error {
    Error::invalid("username", "The username is longer than 150 characters.")
}

fn check_username(username: &str) -> Result<()> {
    let refuse = |detail: &str| Err(Error::invalid("username", format!("The username {detail}.")));
    let forbidden = |character: char| character.is_whitespace() || character.is_control();
    if username.is_empty() {
        refuse("is empty")
    } else if username.chars().count() > 150 {
        Err(username_too_long())
    } else if username.contains(controls_direction) {
        refuse("holds a character that turns the direction of writing")
    } else if username.contains(forbidden) {
        refuse("holds white space or a control character")
    } else if username.contains(['/', '#', ':']) {
        refuse("holds one of / # :")
    } else if username.starts_with('@') {
        refuse("starts with @")
    } else if uuid(username).is_some() {
        refuse("has the form of an id")
    } else {
        Ok(())
    }
}

/// Refuses a username with an invisible character.
///
/// # Errors
/// `Invalid`, naming the field `username`.
pub fn must_be_seen(username: &str) -> Result<()> {
    let is_hidden = |(at, character): (usize, char)| {
        let (before, after) = (&username[..at], &username[at + character.len_utf8()..]);
        is_ignorable(character) && !may_join(before, character, after)
    };
    let refuse = |detail: &str| Err(Error::invalid("username", format!("The username {detail}.")));
    if username.char_indices().any(is_hidden) {
        refuse("holds a character that is not seen")
    } else if is_blank(username) {
        refuse("holds nothing that is seen")
    } else {
        Ok(())
    }
}

/// The characters that change the direction of writing (Unicode's `Bidi_Control`)
fn controls_direction(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Checks an email by the rule browsers use (HTML Living Standard, "valid email address"), with letters of all scripts.
///
/// # Errors
/// `Invalid`, naming the field `email`.
pub fn check_email(email: &str) -> Result<()> {
    let is_local = |character: char| character.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(character);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    };
    let good = email.len() <= 254
        && email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && local.chars().all(is_local) && domain.split('.').all(is_label)
        });
    if good { Ok(()) } else { Err(Error::invalid("email", format!("“{email}” is not an email address."))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_as_odd_as_real_ones() {
        let check = |name: &str| {
            let email = Some("a@b.c".to_owned());
            let (first_name, last_name) = (String::new(), String::new());
            check_details(&UserDetails { username: name.to_owned(), email, first_name, last_name, role: Role::User })
        };
        for name in ["|trey|", "[[mandrix]]", "encKe`", "Debolaz[Pidgin]", "é", "小明", "--help", "a@b.c", "🎉"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a\u{7}", "a/b", "a#1", "a:b", "@a", "a\u{202e}b", "a@x.y"] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check(&"é".repeat(150)).is_ok());
        assert!(check(&"e\u{301}".repeat(150)).is_ok());
        assert!(check(&"é".repeat(151)).is_err());
        assert!(check("0199f3c2-0000-7000-8000-000000000000").is_err());
    }

    #[test]
    fn every_character_of_a_username_is_seen() {
        for name in ["می\u{200c}خواهم", "क\u{94d}\u{200d}ष", "क\u{94d}\u{200c}ष", "e\u{301}"] {
            assert!(must_be_seen(name).is_ok(), "{name}");
        }
        for hidden in [
            '\u{200b}',
            '\u{feff}',
            '\u{2060}',
            '\u{ad}',
            '\u{34f}',
            '\u{fe0f}',
            '\u{e0061}',
            '\u{200c}',
            '\u{200d}',
            '\u{3164}',
            '\u{180b}',
            '\u{e0100}',
            '\u{fff0}',
        ] {
            for name in
                [format!("alice{hidden}"), format!("{hidden}alice"), format!("al{hidden}ice"), hidden.to_string()]
            {
                assert!(must_be_seen(&name).is_err(), "{name:?}");
            }
        }
        assert!(must_be_seen("\u{2800}").is_err());
    }

    #[test]
    fn emails_are_checked_for_their_form_only() {
        for email in ["a@b", "ann.o'neil+x@mail.example.org", "jürgen@exämple.de"] {
            assert!(check_email(email).is_ok(), "{email}");
        }
        for email in ["", "a", "@b", "a@", "a@b..c", "a b@c", "a@-b", "a@b@c", "a@b\n"] {
            assert!(check_email(email).is_err(), "{email}");
        }
    }
}
