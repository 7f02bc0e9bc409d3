//! Rows in and out: records as `data dump` writes and `data load` reads them, and what makes them from elsewhere.

pub mod apply;
pub mod django;
pub mod export;
pub mod input;
mod known;
pub mod load;
pub mod records;
pub mod schema;
pub mod seed;

use crate::error::Kind;

/// What is wrong with a record.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Counted from 1
    pub line: u64,
    pub kind: Kind,
    /// A whole sentence
    pub detail: String,
}

impl Problem {
    pub fn new(line: u64, kind: Kind, detail: impl Into<String>) -> Self {
        Self { line, kind, detail: detail.into() }
    }
}
