//! Users: listing, creating and changing accounts.

use uuid::Uuid;

use super::Condition;
use super::idempotency::{IdempotentRequest, once, once_counted};
use super::page::Page;
use crate::error::{Error, Result};
use crate::model::{
    Actor, Event, EventKind, Profile, Role, Seek, User, UserDetails, UserId, UserKey, UserSelector, fold_case,
    is_blank, is_ignorable, may_join, normalize, uuid,
};
use crate::store::users::Filter;
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

/// As [`create`], once: the same request returns the same user.
///
/// # Errors
/// As [`create`], `Conflict` if the user was deleted since.
pub fn create_once(tx: &mut Tx<'_>, actor: &Actor, new: &NewUser, request: Option<&IdempotentRequest>) -> Result<User> {
    let work = |tx: &mut Tx<'_>| create(tx, actor, new).map(|(user, _)| user);
    let again = |tx: &mut Tx<'_>, id| store::users::by_id(tx, UserId(id));
    once(tx, actor.key(), request, work, |user| user.person.user_id.0, again)
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

/// Which users a list has.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// Their names (for the operator and admins also their email) contain it
    pub search: Option<String>,
    /// For the operator and admins
    pub role: Option<Role>,
    /// For the operator and admins
    pub is_active: Option<bool>,
}

impl Matching {
    /// The filter of the store, checked
    fn filter(&self, actor: &Actor) -> Result<Filter<'_>> {
        let Self { search, role, is_active } = self;
        super::check_search(search.as_deref())?;
        if role.is_some() || is_active.is_some() {
            super::must_administer(actor)?;
        }
        let by_email = actor.administers();
        Ok(Filter { search: search.as_deref(), by_email, role: *role, is_active: *is_active })
    }
}

/// Users after a username, by username, in the detail that the actor can see.
///
/// # Errors
/// `Invalid` if `after` or what is searched for is too long, `Forbidden` if the filter is not for the actor.
pub fn list(tx: &mut Tx<'_>, actor: &Actor, after: &str, matching: &Matching, limit: i64) -> Result<Vec<Profile>> {
    let filter = matching.filter(actor)?;
    super::check_text("after", after, 150)?;
    let users = store::users::page(tx, &Seek::After(after.to_owned()), &filter, false, limit)?;
    Ok(users.into_iter().map(|user| profile(actor, user)).collect())
}

/// A page of users, by username, in the detail that the actor can see.
///
/// # Errors
/// As of [`list`].
pub fn page(
    tx: &mut Tx<'_>,
    actor: &Actor,
    matching: &Matching,
    seek: Option<&Seek<String>>,
    size: i64,
) -> Result<Page<Profile, String>> {
    let filter = matching.filter(actor)?;
    let page = uncounted(tx, &filter, false, (seek, size))?.of(store::users::count_matching(tx, &filter)?);
    page.map(|users| Ok(users.into_iter().map(|user| profile(actor, user)).collect()))
}

/// As [`page`], for the operator and admins: of what is searched those come first whose usernames begin with it. Its count is 0, as
/// counting takes longer than the page.
///
/// # Errors
/// As of [`list`], `Forbidden` for all others.
pub fn accounts(
    tx: &mut Tx<'_>,
    actor: &Actor,
    matching: &Matching,
    seek: Option<&Seek<String>>,
    size: i64,
) -> Result<Page<User, String>> {
    super::must_administer(actor)?;
    uncounted(tx, &matching.filter(actor)?, true, (seek, size))
}

fn uncounted(
    tx: &mut Tx<'_>,
    filter: &Filter<'_>,
    beginning_first: bool,
    (seek, size): (Option<&Seek<String>>, i64),
) -> Result<Page<User, String>> {
    let read = |seek: Option<&Seek<String>>, limit| {
        let from_the_first = Seek::After(String::new());
        store::users::page(tx, seek.unwrap_or(&from_the_first), filter, beginning_first, limit)
    };
    super::page::page(seek, size, |user: &User| user.person.username.clone(), read)
}

/// One user, in the detail that the actor can see.
///
/// # Errors
/// `NotFound` if it does not exist.
pub fn show(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<Profile> {
    let user = super::user(tx, actor, selector)?;
    Ok(profile(actor, user))
}

/// Whether an account has a password, and how many programs are logged in to it
///
/// # Errors
/// `Forbidden` for another's account unless as operator or admin.
pub fn credentials(tx: &mut Tx<'_>, actor: &Actor, user: &User) -> Result<(bool, i64)> {
    must_be_own_or_administered(actor, user)?;
    store::users::credentials(tx, user.person.key)
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
    let changed = change_active(tx, actor, std::slice::from_ref(&user), is_active)?;
    Ok(changed.into_iter().next().unwrap_or(user))
}

/// As [`set_active`], for all of these accounts that are there, once for a request; returns how many changed.
///
/// # Errors
/// As of [`set_active`]; `Invalid` for more than [`super::MOST_NAMED`].
pub fn set_all_active(
    tx: &mut Tx<'_>,
    actor: &Actor,
    users: &[UserId],
    is_active: bool,
    request: Option<&IdempotentRequest>,
) -> Result<i64> {
    super::must_be_few("users", users.len())?;
    once_counted(tx, actor.key(), request, |tx| {
        let ids: Vec<Uuid> = users.iter().map(|id| id.0).collect();
        let keys: Vec<UserKey> = store::users::with_ids(tx, &ids)?.into_iter().map(|person| person.key).collect();
        let users = store::users::lock_all(tx, &keys)?;
        let changed = change_active(tx, actor, &users, is_active)?;
        Ok(i64::try_from(changed.len()).unwrap_or(i64::MAX))
    })
}

/// Activates or deactivates accounts, which are locked; returns those that changed.
fn change_active(tx: &mut Tx<'_>, actor: &Actor, users: &[User], is_active: bool) -> Result<Vec<User>> {
    if !actor.administers() || users.iter().any(|user| actor.is(user.person.key)) {
        return Err(Error::forbidden("Only another admin activates or deactivates an account."));
    }
    let keys: Vec<UserKey> = users.iter().map(|user| user.person.key).collect();
    let changed = store::users::set_active(tx, &keys, is_active)?;
    if let Some(admin) = changed.iter().find(|user| !is_active && user.role == Role::Admin) {
        // Of several admins, none may be left.
        must_not_be_last_admin(tx, actor, admin, "deactivated")?;
    }
    let keys = changed.iter().map(|user| user.person.key);
    store::events::record_of_users(tx, actor, EventKind::UserUpdated, None, keys)?;
    Ok(changed)
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
