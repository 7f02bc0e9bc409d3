//! `tidings data`

mod dump;
