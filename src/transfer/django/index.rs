//! Finding the row that a foreign key means, and giving rows their ids.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::fields::Key;
use super::report::Origin;
use crate::model::uuid;

/// The rows of one kind, of whatever models, by their primary and natural keys
#[derive(Default)]
pub(super) struct Index {
    primary: HashMap<String, Vec<(String, usize)>>,
    natural: HashMap<String, usize>,
}

impl Index {
    /// Adds the row at a place of its list.
    pub(super) fn add(&mut self, origin: &Origin, place: usize) {
        if !origin.pk.is_empty() {
            self.primary.entry(origin.pk.clone()).or_default().push((origin.model.to_string(), place));
        }
    }

    /// Adds a natural key of a row; one that is taken goes on to mean the first.
    pub(super) fn name(&mut self, natural: &str, place: usize) {
        self.natural.entry(natural.to_owned()).or_insert(place);
    }

    /// The row that a key in a row of that app means: one of the same app, or else the only one there is
    pub(super) fn find(&self, key: &Key, app: &str) -> Option<usize> {
        let pk = match key {
            Key::Natural(natural) => return self.natural.get(natural).copied(),
            Key::Primary(pk) => pk,
        };
        let found = self.primary.get(pk)?;
        let own = found.iter().find(|(model, _)| model.split_once('.').is_some_and(|(of, _)| of == app));
        match (own, found.as_slice()) {
            (Some((_, place)), _) | (None, [(_, place)]) => Some(*place),
            _ => None,
        }
    }
}

/// The ids given to rows of one kind
#[derive(Default)]
pub(super) struct Ids {
    taken: HashSet<Uuid>,
    /// Rows without a primary key
    keyless: u64,
}

impl Ids {
    /// The id of a row: its primary key where that is one, else another it has, else one made from model and key, or where
    /// there is none from its place among such rows.
    pub(super) fn of(&mut self, origin: &Origin, other: Option<Uuid>) -> Uuid {
        let own = [uuid(&origin.pk), other].into_iter().flatten().find(|id| !self.taken.contains(id));
        let id = own.unwrap_or_else(|| {
            self.keyless += u64::from(origin.pk.is_empty());
            let place = if origin.pk.is_empty() { self.keyless.to_string() } else { String::new() };
            derived(&[&origin.model, &origin.pk, &place])
        });
        self.taken.insert(id);
        id
    }
}

/// A UUID of version 8 that depends on these texts alone, so that importing again finds the same rows.
pub(super) fn derived(texts: &[&str]) -> Uuid {
    let mut hash = Sha256::new_with_prefix("tidings data import django");
    for text in texts {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    let digest = hash.finalize();
    uuid::Builder::from_custom_bytes(std::array::from_fn(|index| digest[index])).into_uuid()
}
