//! The secrets that sign access tokens: given, or kept in a file beside the database.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::text::BYTE_ORDER_MARK;
use super::{Failure, Settings};
use crate::app::secret;
use crate::error::{Error, Result};
use crate::service::tokens::Keys;
use crate::store::Location;

/// The shortest secret, in bytes
const SHORTEST: usize = 16;

/// How to make a secret
pub(super) const RECIPE: &str = "Make one: head -c 32 /dev/urandom | base64";

/// The error for a missing secret
pub(super) const NOT_GIVEN: &str =
    "SECRET_KEY is not set; with PostgreSQL it has to be, because it signs the access tokens.";

/// The current secret, and the previous one if there is one
type Secrets = (String, Option<String>);

/// The keys of a database: `SECRET_KEY`, else the first line of the key file beside an SQLite file, which is created if
/// needed, signs. `SECRET_KEY_PREVIOUS`, else the second line of that file, only verifies.
///
/// # Errors
/// As of [`check`]; `Invalid` if PostgreSQL has no secret.
pub(super) fn keys(settings: &Settings, location: &Location) -> std::result::Result<Keys, Failure> {
    let (current, previous) = match secrets(settings, location)? {
        Some(secrets) => secrets,
        None => (created(location)?, given(settings, "SECRET_KEY_PREVIOUS")?),
    };
    Ok(Keys::new(current.as_bytes(), previous.as_deref().map(str::as_bytes))?)
}

/// Checks the existing secrets of a database, and creates none; returns whether there are any.
///
/// # Errors
/// `Invalid` if a secret is too short, or others can read the file.
pub(super) fn check(settings: &Settings, location: &Location) -> std::result::Result<bool, Failure> {
    Ok(secrets(settings, location)?.is_some())
}

/// The existing secrets
fn secrets(settings: &Settings, location: &Location) -> std::result::Result<Option<Secrets>, Failure> {
    let previous = given(settings, "SECRET_KEY_PREVIOUS")?;
    if let Some(secret) = given(settings, "SECRET_KEY")? {
        return Ok(Some((secret, previous)));
    }
    let Some(database) = location.file() else { return Ok(None) };
    let path = file_beside(&database);
    if !path.try_exists().map_err(|cause| unusable(&path, "read", cause))? {
        return Ok(None);
    }
    let (current, second) = read(&path, &database)?;
    Ok(Some((current, previous.or(second))))
}

/// Creates the key file beside the database; returns its secret.
fn created(location: &Location) -> Result<String> {
    let Some(database) = location.file() else {
        return Err(Error::invalid("SECRET_KEY", NOT_GIVEN).hint(RECIPE));
    };
    let path = file_beside(&database);
    make(&path, secret()?).map_err(|cause| unusable(&path, "made", cause))?;
    Ok(read(&path, &database)?.0)
}

fn given(settings: &Settings, name: &'static str) -> std::result::Result<Option<String>, Failure> {
    Ok(settings.secret(name)?.map(|secret| long_enough(name, name, secret)).transpose()?)
}

fn long_enough(field: &'static str, what: &str, secret: String) -> Result<String> {
    if secret.len() >= SHORTEST {
        return Ok(secret);
    }
    let detail = format!("{what} is too short to sign with: {} bytes; it needs at least {SHORTEST}.", secret.len());
    Err(Error::invalid(field, detail).hint(RECIPE))
}

fn file_beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-key");
    PathBuf::from(name)
}

/// Creates the file atomically, for its owner only; if another process was faster, its file stays.
fn make(path: &Path, secret: [u8; 32]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".tidings-key-").tempfile_in(folder)?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(secret))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {}
        done => drop(done?),
    }
    File::open(folder)?.sync_all()
}

fn read(path: &Path, database: &Path) -> Result<Secrets> {
    let refuse = |detail: String| Error::invalid("SECRET_KEY", detail);
    let shown = path.display();
    let unreadable = |cause| unusable(path, "read", cause);
    let mut file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    // Anybody who may put files beside the database would know the secret. The owner of the database can read all of it anyway.
    let is_of_database = database.metadata().is_ok_and(|database| database.uid() == found.uid());
    if found.uid() != rustix::process::geteuid().as_raw() && !is_of_database {
        let detail = format!("The key file {shown} belongs to another user (number {}).", found.uid());
        return Err(refuse(detail).hint("Remove it, unless you know its owner; a new one is created."));
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let detail = format!("The key file {shown} is accessible to others (mode {mode:04o}).");
        return Err(refuse(detail).hint(format!("Close it: chmod 600 {shown}")));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    let mut lines = text.trim_start_matches(BYTE_ORDER_MARK).lines().filter(|line| !line.is_empty());
    let long_enough = |line: &str| long_enough("SECRET_KEY", &format!("A secret in {shown}"), line.to_owned());
    let Some(current) = lines.next().map(long_enough).transpose()? else {
        let hint = "Remove it; a new one is created, and earlier access tokens are no longer valid.";
        return Err(refuse(format!("The key file {shown} is empty.")).hint(hint));
    };
    let previous = lines.next().map(long_enough).transpose()?;
    if lines.next().is_some() {
        let hint = "Keep the current one on the first line and the previous one on the second.";
        return Err(refuse(format!("The key file {shown} holds more than two secrets.")).hint(hint));
    }
    Ok((current, previous))
}

fn unusable(path: &Path, what: &str, cause: io::Error) -> Error {
    let error = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::no_space(),
        _ => Error::unavailable(format!("The key file {} cannot be {what}: {cause}.", path.display())),
    };
    error.with_source(cause)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use uuid::Uuid;

    use super::*;
    use crate::model::{Timestamp, UserId};

    const NOW: Timestamp = Timestamp(1_767_258_000_000_000);

    fn token(keys: &Keys) -> String {
        keys.sign(UserId(Uuid::from_u128(7)), Uuid::from_u128(8), 1, NOW, Uuid::from_u128(1)).unwrap()
    }

    /// A token that this secret signed
    fn signed(secret: &str) -> String {
        token(&Keys::new(secret.as_bytes(), None).unwrap())
    }

    /// Whether the secret signs; whether tokens that `others` signed are still valid
    fn look(keys: &Keys, secret: &str, others: &[&str]) -> (bool, Vec<bool>) {
        let is_verified = |other: &&str| keys.verify(&signed(other), NOW).is_some();
        (token(keys) == signed(secret), others.iter().map(is_verified).collect())
    }

    const SECRETS: [&str; 3] = ["the first secret!", "the second secret!", "the third secret!"];

    #[test]
    fn of_two_lines_the_first_signs_and_the_second_still_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("x.db"));
        let settings = |text: &str| {
            let file = folder.path().join("env");
            fs::write(&file, text).unwrap();
            Settings::load(Some(&file)).unwrap()
        };
        let [first, second, third] = SECRETS;
        keys(&settings(""), &location).unwrap();
        let file = folder.path().join("x.db-key");
        let made = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{first}\n{made}")).unwrap();
        let found = keys(&settings(""), &location).unwrap();
        assert_eq!(look(&found, first, &[made.trim_end(), second]), (true, vec![true, false]));
        let found = keys(&settings(&format!("SECRET_KEY_PREVIOUS='{second}'")), &location).unwrap();
        assert_eq!(look(&found, first, &[made.trim_end(), second]), (true, vec![false, true]));
        let found = keys(&settings(&format!("SECRET_KEY='{third}'")), &location).unwrap();
        assert_eq!(look(&found, third, &[first, second]), (true, vec![false, false]));
        let found = keys(&settings(&format!("SECRET_KEY='{third}'\nSECRET_KEY_PREVIOUS='{second}'")), &location);
        assert_eq!(look(&found.unwrap(), third, &[first, second]), (true, vec![false, true]));
    }

    #[test]
    fn with_postgresql_the_secret_has_to_be_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        let location = Location::Postgres("host=x".to_owned());
        for (text, is_good) in
            [("", false), ("SECRET_KEY=sixteen-bytes-ok", true), ("SECRET_KEY=fifteen-bytes-x", false)]
        {
            fs::write(&file, text).unwrap();
            assert_eq!(keys(&Settings::load(Some(&file)).unwrap(), &location).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn a_new_key_file_replaces_no_existing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        make(&path, [1; 32]).unwrap();
        make(&path, [2; 32]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", URL_SAFE_NO_PAD.encode([1; 32])));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
