//! Data in and out, each on both engines.

pub(crate) mod apply;
mod django;
mod dump;
mod export;
mod import;
pub(crate) mod load;
mod meanwhile;
mod moves;
mod outcomes;
mod round_trip;
mod schema;
