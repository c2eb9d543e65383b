//! A deduplicating, encrypting backup repository: the library behind `larder`.
//!
//! It reads no environment, prints nothing and never ends the process. What it can do stands in [`ops`]; what a
//! repository is, byte by byte, in `docs/format.md`; why it is so, in `docs/design.md`.

#![deny(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

// Lowest row first: a module imports only from rows above its own (`tests/tidy` checks it).
pub mod id;
pub mod time;

pub mod error;

pub mod fs;
pub mod pattern;
pub mod progress;

pub mod backend;
pub mod chunk;
pub mod compress;
pub mod crypto;

pub mod format;

pub mod index;
pub mod log;
pub mod pack;

pub mod repo;

pub mod snapshot;
pub mod source;
pub mod tree;

pub mod vfs;

pub mod ops;

pub use error::{Error, ErrorKind, Result, Subject};
