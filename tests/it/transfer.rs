//! Data in and out, each on both engines.

mod apply;
mod django;
mod export;
mod import;
mod load;
mod schema;
