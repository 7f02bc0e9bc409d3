//! Rows in and out: records as `data dump` writes and `data load` reads them, and what makes them from elsewhere.

pub mod dump;
pub mod records;
mod schema;

pub use schema::schema;
