//! Settings: flags over environment over env file over default. An empty variable counts as unset.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::error::Error;
use crate::store::Location;

/// The variables of the environment and of the env file.
pub(super) struct Settings {
    from_file: HashMap<String, String>,
}

impl Settings {
    /// Reads the env file: the one named, or `./.env` where there is one.
    pub(super) fn load(env_file: Option<&Path>) -> Result<Self, Failure> {
        let path = env_file.unwrap_or(Path::new(".env"));
        let unreadable =
            |error: dotenvy::Error| Failure::Usage(format!("The env file {} cannot be used: {error}.", path.display()));
        let from_file = match dotenvy::from_path_iter(path) {
            Ok(variables) => variables.collect::<Result<_, _>>().map_err(unreadable)?,
            Err(error) if error.not_found() && env_file.is_none() => HashMap::new(),
            Err(error) => return Err(unreadable(error)),
        };
        Ok(Self { from_file })
    }

    /// A variable's value; none where it is unset or empty.
    #[expect(clippy::disallowed_methods, reason = "this is where settings come from")]
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let from_environment = std::env::var(name).ok().filter(|value| !value.is_empty());
        from_environment.or_else(|| self.from_file.get(name).filter(|value| !value.is_empty()).cloned())
    }

    /// A variable's value, read as something else.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let read = |value: String| {
            parse(&value).map_err(|error| Failure::Usage(format!("{name}={value} cannot be used: {error}.")))
        };
        self.get(name).map(read).transpose()
    }

    /// Where the database is, unless a flag says it: `TIDINGS_DB`, the `DB_` variables of the original system, or a file
    /// in the user's data folder.
    pub(super) fn location(&self) -> Result<Location, Error> {
        if let Some(location) = self.get("TIDINGS_DB") {
            return Ok(Location::parse(&location));
        }
        if self.get("DB_HOST").is_some() {
            let pairs = [
                ("host", "DB_HOST"),
                ("port", "DB_PORT"),
                ("dbname", "DB_NAME"),
                ("user", "DB_USER"),
                ("password", "DB_PASSWORD"),
            ];
            let quote = |value: String| value.replace('\\', "\\\\").replace('\'', "\\'");
            let pair = |(key, name): (&str, &str)| Some(format!("{key}='{}'", quote(self.get(name)?)));
            return Ok(Location::Postgres(pairs.into_iter().filter_map(pair).collect::<Vec<_>>().join(" ")));
        }
        if let Some(file) = self.get("DB_NAME") {
            return Ok(Location::Sqlite(PathBuf::from(file)));
        }
        #[expect(clippy::disallowed_methods, reason = "this is where the default database is chosen")]
        let folders = directories::ProjectDirs::from("", "", "tidings").ok_or_else(|| {
            Error::unavailable("There is no home folder to keep the database in.").hint("Name the database with --db.")
        })?;
        Ok(Location::Sqlite(folders.data_dir().join("tidings.db")))
    }

    /// The name of whoever runs the program, for the log of events
    pub(super) fn operator(&self) -> String {
        self.get("USER")
            .or_else(|| self.get("LOGNAME"))
            .or_else(|| self.get("USERNAME"))
            .unwrap_or_else(|| "operator".to_owned())
    }
}
