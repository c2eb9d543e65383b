//! Bytes ↔ types for everything stored; no I/O.
//!
//! `docs/format.md` describes each structure; the sections it names are cited in the modules here. What is read is
//! bounded before it is believed: a decoder never allocates more than a small multiple of the bytes it was given.

pub mod action;
pub mod announcement;
pub mod checkpoint;
pub mod codec;
pub mod config;
pub mod entry;
pub mod envelope;
pub mod evidence;
pub mod key_slot;
pub mod name;
pub mod pack;
pub mod rows;
pub mod settings;
pub mod snapshot;
pub mod table;
#[cfg(test)]
mod tests;
pub mod tree;

/// The format version that this program writes, and the only one it reads.
pub const VERSION: u8 = 1;
