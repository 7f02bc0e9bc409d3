//! The beginning and the end of every command that uses the database.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::output::Output;
use super::progress::Progress;
use super::settings::Settings;
use super::{Failure, Global, Outcome, text};
use crate::app::{App, Options};
use crate::error::Error;
use crate::model::{Actor, Task, UserSelector};
use crate::service;
use crate::store::{self, Db, Erasure, Location, Opened, Tx};

/// The context of a command: the application, the actor, the output.
pub(super) struct Context<'c> {
    pub(super) app: App,
    pub(super) location: Location,
    pub(super) opened: Opened,
    /// None: the operator
    pub(super) acting: Option<UserSelector>,
    pub(super) operator: String,
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) out: &'c mut Output,
    /// The temporary folder of a dry run without a database; deleted at the end
    _folder: Option<TempDir>,
}

/// Who acts
pub(super) struct Acting {
    /// None: the operator
    user: Option<UserSelector>,
    operator: String,
}

impl Acting {
    /// The actor as of a transaction
    pub(super) fn actor(&self, tx: &mut Tx<'_>) -> Result<Actor, Error> {
        match &self.user {
            Some(selector) => service::acting(tx, selector),
            None => Ok(Actor::Operator(self.operator.clone())),
        }
    }

    /// The same by what does not change: names may become others'.
    pub(super) fn lasting(&self, tx: &mut Tx<'_>) -> Result<Self, Error> {
        let user = match self.actor(tx)? {
            Actor::User(user) => Some(UserSelector::of(&user)),
            Actor::Operator(_) => None,
        };
        Ok(Self { user, operator: self.operator.clone() })
    }
}

impl<'c> Context<'c> {
    /// Opens the database, and upgrades it if needed. If there is none, the command is refused: it needs the contents
    /// of a database, and a wrong path would leave a file.
    pub(super) fn open(global: &Global, settings: &Settings, out: &'c mut Output) -> Result<Self, Failure> {
        let location = settings.location_or(global.db.as_deref())?;
        let may_change = !(global.dry_run || location.is_absent());
        Self::open_at(location, global, settings, out, may_change)
    }

    /// As [`Context::open`], and creates the database if there is none, except in a dry run.
    pub(super) fn open_or_create(global: &Global, settings: &Settings, out: &'c mut Output) -> Result<Self, Failure> {
        let location = settings.location_or(global.db.as_deref())?;
        Self::open_at(location, global, settings, out, !global.dry_run)
    }

    /// As [`Context::open_or_create`]. If there is no database, a dry run uses an empty temporary one, so that its
    /// output is the same.
    pub(super) fn open_to_begin(global: &Global, settings: &Settings, out: &'c mut Output) -> Result<Self, Failure> {
        let location = settings.location_or(global.db.as_deref())?;
        if global.dry_run && location.is_absent() {
            return Ok(Self { location, ..Self::open_temporary(global, settings, out)? });
        }
        // A database that does not exist has no user to act as.
        let is_operator = settings.acting(global.acting.as_ref(), global.operator)?.is_none();
        let may_change = !global.dry_run && (is_operator || !location.is_absent());
        Self::open_at(location, global, settings, out, may_change)
    }

    /// As [`Context::open_to_begin`], to fill the database with records.
    pub(super) fn open_to_fill(global: &Global, settings: &Settings, out: &'c mut Output) -> Result<Self, Failure> {
        let context = Self::open_to_begin(global, settings, out)?;
        // A database that is being filled is expected to hold nothing but what is loaded.
        context.app.db().must_be_as_made()?;
        Ok(context)
    }

    /// Opens an empty temporary database, which is deleted with the context.
    pub(super) fn open_temporary(global: &Global, settings: &Settings, out: &'c mut Output) -> Result<Self, Failure> {
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::no_space().with_source(cause),
            _ => Error::unavailable(format!("A temporary folder cannot be created: {cause}.")).with_source(cause),
        };
        let folder = tempfile::Builder::new()
            .prefix("tidings-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(failed)?;
        let empty = Location::Sqlite(folder.path().join("temporary.db"));
        Db::open(&empty, true)?;
        let context = Self::open_at(empty, global, settings, out, false)?;
        Ok(Self { _folder: Some(folder), ..context })
    }

    /// Opens the database, which must exist and be up to date.
    pub(super) fn open_as_it_is(global: &Global, settings: &Settings, out: &'c mut Output) -> Result<Self, Failure> {
        Self::open_at(settings.location_or(global.db.as_deref())?, global, settings, out, false)
    }

    /// Finishes an upgrade that was interrupted.
    pub(super) fn catch_up(&mut self) -> Outcome {
        let pending = self.app.read(store::maintenance::pending)?;
        if pending.iter().any(|pending| pending.task != Task::Erase) {
            catch_up(&self.app, self.out)?;
        }
        Ok(())
    }

    fn open_at(
        location: Location,
        global: &Global,
        settings: &Settings,
        out: &'c mut Output,
        may_change: bool,
    ) -> Result<Self, Failure> {
        let now = match global.now {
            Some(now) => Some(now),
            None => settings.now()?,
        };
        let seed = match global.seed {
            Some(seed) => Some(seed),
            None => settings.seed()?,
        };
        let (db, opened) = Db::open(&location, may_change)?;
        match opened {
            Opened::Ready => {}
            Opened::Created => out.status(&format!("Created the database {location}.")),
            Opened::Migrated { from } => {
                out.status(&format!("Upgraded the database {location} from version {from}."));
            }
        }
        let app = App::new(db, Options { now, seed, dry_run: global.dry_run });
        out.tell_times_from(app.now());
        if opened != Opened::Ready {
            catch_up(&app, out)?;
        }
        Ok(Self {
            app,
            location,
            opened,
            acting: settings.acting(global.acting.as_ref(), global.operator)?,
            operator: settings.operator()?,
            dry_run: global.dry_run,
            yes: global.yes,
            out,
            _folder: None,
        })
    }

    /// The actor: the user of `--as`, or the operator
    pub(super) fn actor(&self, tx: &mut Tx<'_>) -> Result<Actor, Error> {
        let actor = self.acting().actor(tx)?;
        self.out.show_to(actor.key());
        Ok(actor)
    }

    /// Who acts, where the context is used up
    pub(super) fn acting(&self) -> Acting {
        Acting { user: self.acting.clone(), operator: self.operator.clone() }
    }

    /// Refuses a command that needs a user.
    pub(super) fn needs_user(&self) -> Outcome {
        if self.acting.is_some() {
            return Ok(());
        }
        Err(Failure::Usage("This command acts as a user; name one with --as USER.".to_owned()))
    }

    /// Does something irreversible. First runs it in a transaction that is rolled back, to ask with the numbers of what
    /// would be deleted; the answer is a name to type. Without a question nobody is asked; without a terminal `--yes`
    /// is needed.
    pub(super) fn destroy<T>(
        &self,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, Error>,
        question: impl FnOnce(&T) -> Option<(String, String)>,
    ) -> Result<T, Failure> {
        if !self.yes && !self.dry_run {
            let preview = self.app.try_out(&mut work)?;
            if let Some((question, name)) = question(&preview) {
                text::confirm_by_name(&question, &name)?;
            }
        }
        let _progress = Progress::begin(self.out, "Deleting");
        Ok(self.app.write(work)?)
    }

    /// Erases deleted data from the file after the result is shown, for at most `patience`. If it cannot be erased now,
    /// it stays pending, and the command succeeds. It is erased even if the result could not be shown.
    pub(super) fn erase(&mut self, shown: Result<(), impl Into<Failure>>, patience: Duration) -> Outcome {
        let shown = shown.map_err(Into::into).and_then(|()| Ok(self.out.flush()?));
        let progress = Progress::begin(self.out, "Erasing deleted data");
        let erased = self.app.erase(Some(patience));
        drop(progress);
        let why = match erased {
            Ok(Erasure::Done) => return shown,
            Ok(Erasure::Pending) => "there is a lot to scrub".to_owned(),
            Ok(Erasure::Blocked) => "another program is using the database".to_owned(),
            Err(error) => error.to_string().trim_end_matches('.').to_owned(),
        };
        self.out.status(&format!(
            "It is deleted, but traces may remain in the file ({why}); `tidings db compact` erases them."
        ));
        shown
    }

    /// Reports that there may be more, if no limit was given.
    pub(super) fn say_if_cut(&self, shown: usize, limit: Option<i64>, default: i64) {
        if limit.is_none() && i64::try_from(shown) == Ok(default) {
            self.out.status(&format!("These are {shown}; there may be more: see --limit."));
        }
    }

    /// Reports what was done, or would be in a real run.
    pub(super) fn status(&self, done: &str) {
        if self.dry_run {
            self.out.status(&format!("Dry run, nothing was changed. Without --dry-run: {done}"));
        } else {
            self.out.status(done);
        }
    }
}

/// How long a command may erase what it deleted; the rest stays pending
pub(super) const ERASURE: Duration = Duration::from_millis(250);

/// As [`ERASURE`], after deleting an account; enough unless others keep deleting
pub(super) const ERASURE_OF_ACCOUNTS: Duration = Duration::from_mins(1);

/// Finishes the work that an upgrade left pending.
fn catch_up(app: &App, out: &mut Output) -> Result<(), Error> {
    let _progress = Progress::begin(out, "Indexing messages for search");
    app.index()
}
