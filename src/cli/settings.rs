//! Settings: flags over environment over env file over default. An empty variable counts as unset.

use std::collections::HashMap;
use std::env::VarError;
use std::path::{Path, PathBuf};

use super::Failure;
use super::output::{Colors, When};
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
        let unusable = |why: String| Failure::Usage(format!("The env file {} cannot be used: {why}.", path.display()));
        let variables = match dotenvy::from_path_iter(path) {
            Ok(variables) => variables,
            Err(error) if error.not_found() && env_file.is_none() => return Ok(Self { from_file: HashMap::new() }),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let mut from_file = HashMap::new();
        let mut last = "the beginning".to_owned();
        for variable in variables {
            // The line itself is not shown: it may be a password.
            let unreadable =
                |_| unusable(format!("a line behind {last} cannot be read; a value with spaces needs quotes"));
            let (name, value) = variable.map_err(unreadable)?;
            last.clone_from(&name);
            from_file.insert(name, value);
        }
        Ok(Self { from_file })
    }

    /// The variables of the environment alone, before the line is read.
    pub(super) fn of_environment() -> Self {
        Self { from_file: HashMap::new() }
    }

    /// Where there are colours: as asked for, else as NO_COLOR and TERM have it.
    pub(super) fn colors(&self, when: When) -> Colors {
        let get = |name| self.get(name).ok().flatten();
        Colors::new(when, get("NO_COLOR").as_deref(), get("TERM").as_deref())
    }

    /// A variable's value; none where it is unset or empty.
    #[expect(clippy::disallowed_methods, reason = "this is where settings come from")]
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, Failure> {
        let from_environment = match std::env::var(name) {
            Err(VarError::NotUnicode(_)) => return Err(Failure::Usage(format!("{name} is not UTF-8."))),
            value => value.ok().filter(|value| !value.is_empty()),
        };
        Ok(from_environment.or_else(|| self.from_file.get(name).filter(|value| !value.is_empty()).cloned()))
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
        self.get(name)?.map(read).transpose()
    }

    /// Where the database is, unless a flag says it: `TIDINGS_DB`, the `DB_` variables of the original system, or a file
    /// in the user's data folder.
    pub(super) fn location(&self) -> Result<Location, Failure> {
        if let Some(location) = self.get("TIDINGS_DB")? {
            return Ok(Location::parse(&location)?);
        }
        if self.get("DB_HOST")?.is_some() {
            let pairs = [
                ("host", "DB_HOST"),
                ("port", "DB_PORT"),
                ("dbname", "DB_NAME"),
                ("user", "DB_USER"),
                ("password", "DB_PASSWORD"),
            ];
            let mut config = Vec::new();
            for (key, name) in pairs {
                if let Some(value) = self.get(name)? {
                    config.push(format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
                }
            }
            return Ok(Location::Postgres(config.join(" ")));
        }
        if let Some(file) = self.get("DB_NAME")? {
            return Ok(Location::Sqlite(PathBuf::from(file)));
        }
        #[expect(clippy::disallowed_methods, reason = "this is where the default database is chosen")]
        let folders = directories::ProjectDirs::from("", "", "tidings").ok_or_else(|| {
            Error::unavailable("There is no home folder to keep the database in.").hint("Name the database with --db.")
        })?;
        Ok(Location::Sqlite(folders.data_dir().join("tidings.db")))
    }

    /// The name of whoever runs the program, for the log of events
    pub(super) fn operator(&self) -> Result<String, Failure> {
        for name in ["USER", "LOGNAME", "USERNAME"] {
            if let Some(operator) = self.get(name)? {
                return Ok(operator);
            }
        }
        Ok("operator".to_owned())
    }
}
