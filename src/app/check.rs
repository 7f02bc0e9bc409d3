//! Checking a database against its own rules.

use super::App;
use crate::error::{Kind, Result};
use crate::model::UserKey;
use crate::service;
use crate::store;
use crate::store::check::{Folds, RULES, Violation};

/// The number of pairs of look-alike usernames in a report
const LOOK_ALIKES: i64 = 20;

/// The number of usernames with invisible characters in a report
const UNSEEN: usize = 20;

/// The number of usernames checked in one transaction
const USERNAMES: i64 = 1000;

impl App {
    /// Checks the database against all rules, each in its own transaction, so that it blocks nobody. `begin` is called
    /// with the name of each check. Returns the violations.
    pub fn check(&self, mut begin: impl FnMut(&str)) -> Result<Vec<Violation>> {
        let mut problems = Vec::new();
        begin("integrity");
        problems.extend(Violation::of_engine("integrity", &self.db.integrity()?));
        // A damaged file is checked as far as it can be read.
        let is_damaged = !problems.is_empty();
        let mut look = |check: &'static str, found: Result<Option<Violation>>| match found {
            Err(error) if is_damaged && error.kind() == Kind::Unavailable => {
                problems.push(Violation::unreadable(check, &error.to_string()));
                Ok(())
            }
            found => found.map(|found| problems.extend(found)),
        };
        begin("references");
        look("references", self.db.references().map(|found| Violation::of_engine("references", &found)))?;
        begin("schema");
        look("schema", self.db.strange().map(|found| Violation::of_schema(&found)))?;
        for rule in RULES {
            begin(rule.check);
            look(rule.check, self.read(|tx| rule.problem(tx)))?;
        }
        begin("search");
        look("search", self.read(Violation::of_search))?;
        for mut folds in Folds::all() {
            begin(folds.check());
            let check = folds.check();
            let end = loop {
                match self.read(|tx| folds.go_on(tx)) {
                    Ok(true) => {}
                    Ok(false) => break Ok(folds.problem()),
                    Err(error) => break Err(error),
                }
            };
            look(check, end)?;
        }
        Ok(problems)
    }

    /// One pair for each group of look-alike usernames, and the number of groups
    pub fn look_alikes(&self) -> Result<(Vec<(String, String)>, i64)> {
        self.read(|tx| store::users::look_alikes(tx, LOOK_ALIKES))
    }

    /// The first usernames with invisible characters, from before the rule against them, and their number
    pub fn unseen(&self) -> Result<(Vec<String>, i64)> {
        let (mut unseen, mut count) = (Vec::new(), 0);
        let mut after = UserKey(0);
        loop {
            let page = self.read(|tx| store::users::usernames(tx, after, USERNAMES))?;
            let Some((last, _)) = page.last() else { return Ok((unseen, count)) };
            after = *last;
            for (_, username) in page {
                if service::users::must_be_seen(&username).is_err() {
                    count += 1;
                    if unseen.len() < UNSEEN {
                        unseen.push(username);
                    }
                }
            }
        }
    }
}
