//! Data in and out, each on both engines.

mod load;
