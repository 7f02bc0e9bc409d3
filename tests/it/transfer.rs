//! Data in and out, each on both engines.

mod django;
mod export;
mod load;
