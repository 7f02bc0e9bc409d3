//! Data in and out, each on both engines.

mod django;
mod export;
mod import;
mod load;
