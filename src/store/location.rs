//! The location of a database: parsed from what people type, and displayed without passwords.

use std::fmt;
use std::path::PathBuf;

use super::sqlite::{self, FileState};
use crate::error::{Error, Result};

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of the embedded engine
    Sqlite(PathBuf),
    /// A PostgreSQL database: its URL, or its connection string of `key='value'` pairs
    Postgres(String),
}

impl Location {
    /// Whether there certainly is no database yet: nothing, or an empty file
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Sqlite(path) => match path.metadata() {
                Ok(found) => found.is_file() && found.len() == 0,
                Err(cause) => cause.kind() == std::io::ErrorKind::NotFound,
            },
            Self::Postgres(_) => false,
        }
    }

    /// The file of an SQLite database, existing or not, with links resolved. Its other files are beside it.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(sqlite::real(path)),
            Self::Postgres(_) => None,
        }
    }

    /// What the file system says of the files, whether or not anybody writes; none where there are none
    pub fn files(&self) -> Option<FileState> {
        match self {
            Self::Sqlite(path) => Some(FileState::of(path)),
            Self::Postgres(_) => None,
        }
    }

    /// Parses a location: a URL that begins with `postgres://` or `postgresql://`, else a path.
    ///
    /// # Errors
    /// As [`Location::of_file`]
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some((scheme, rest)) if ["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()) => {
                Ok(Self::Postgres(format!("postgres://{rest}")))
            }
            Some((scheme, _)) if is_scheme(scheme) => {
                Err(Error::unavailable(format!("{scheme}:// is not the address of a database."))
                    .hint("Name a file by its path, or PostgreSQL by postgres://user@host/database"))
            }
            _ => Self::of_file(text),
        }
    }

    /// A file by its path.
    ///
    /// # Errors
    /// `Unavailable` for what looks like something else: as a path it would become a file, possibly with a password in
    /// its name. The text is not repeated.
    pub fn of_file(path: &str) -> Result<Self> {
        let refuse = |detail: &str, hint: &str| Err(Error::unavailable(detail).hint(hint));
        if path.is_empty() {
            return refuse("The name of the database is empty.", "Name a file by its path, or leave the option out.");
        }
        let first = path.split('/').next().unwrap_or_default();
        if first.split_once(':').is_some_and(|(scheme, _)| scheme.is_empty() || is_scheme(scheme)) {
            return refuse(
                "That is not the path of a file: it begins like an address.",
                "Name a file by its path, with ./ before a name that has a colon, or PostgreSQL by postgres://user@host/database",
            );
        }
        if first.split_whitespace().any(is_setting_of_postgres) {
            return refuse(
                "That is not the path of a file: it says how to reach PostgreSQL.",
                "Name PostgreSQL by postgres://user@host/database, or by the variables DB_HOST, DB_NAME, DB_USER and DB_PASSWORD.",
            );
        }
        if first.starts_with('~') && (first.len() == 1 || path.contains('/')) {
            return refuse(
                "The ~ in the path of the database was not expanded.",
                "A shell expands it only at the beginning of a word and without quotes: --db ~/x.db. Or use $HOME/x.db.",
            );
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// Whether this can be the scheme of an address
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether a word is a part of a connection string of PostgreSQL's, as `host=localhost`
fn is_setting_of_postgres(word: &str) -> bool {
    const NAMES: [&str; 10] =
        ["host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "sslmode", "options"];
    word.split_once('=').is_some_and(|(name, _)| NAMES.contains(&name))
}

/// Never shows a password.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(formatter),
            Self::Postgres(config) => {
                let config = config.parse::<::postgres::Config>().unwrap_or_default();
                let host = match config.get_hosts().first() {
                    // After the last @: the rest of a password that contains an @ is not shown.
                    Some(::postgres::config::Host::Tcp(name)) => name.rsplit('@').next().unwrap_or_default().to_owned(),
                    Some(::postgres::config::Host::Unix(path)) => path.display().to_string(),
                    None => String::new(),
                };
                write!(formatter, "{} on PostgreSQL at {host}", config.get_dbname().unwrap_or("postgres"))
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}
