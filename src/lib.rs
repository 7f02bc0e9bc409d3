//! tidings: a messaging system with notifications in one binary.
//!
//! The modules stand here in the order of their dependencies; each knows only those above it, and a test says so.
//!
//! | module       | what it holds, and nothing else does                                                    |
//! |--------------|-----------------------------------------------------------------------------------------|
//! | [`model`]    | the words of messaging as types                                                         |
//! | [`error`]    | the kinds of errors, and their one table                                                |
//! | [`store`]    | SQL, written once and run on SQLite and PostgreSQL                                      |
//! | [`service`]  | the rules: who may do what, and what a change brings with it                            |
//! | [`app`]      | the clock, chance, and transactions for every front end                                 |
//! | [`feed`]     | events as they happen, for everybody who listens                                        |
//! | [`transfer`] | records: data in and out as JSON Lines                                                   |
//! | [`http`]     | REST and pages: paths, requests, answers, connections                                   |
//! | [`cli`]      | the command line: settings, commands, every byte of output                              |
//!
//! A change goes through them from below: a command parses its arguments, opens one transaction with [`app::App::write`],
//! calls one function of [`service`], which reads and writes through [`store`], and shows what came of it. A failure is an
//! [`error::Error`], worded by the rule that refused; nothing of a failed change is left.

pub mod model;

pub mod error;

pub mod store;

pub mod service;

pub mod app;

pub mod feed;

pub mod transfer;

pub mod http;

pub mod cli;
