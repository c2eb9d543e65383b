//! One function for each decoder that meets bytes from outside. Each panics if the decoder breaks a promise.
//!
//! What is sealed cannot be reached by changing its bytes, so a target has up to two halves: the bytes as they are, as
//! a thief of the store could change them; and the bytes as the *plaintext* of an authentic object under fixed keys, as
//! a client with keys and bad intentions could write them. What a decoder accepts is encoded and decoded again and must
//! be the same. Memory is bounded by the limits that `scripts/fuzz` gives to libFuzzer.

mod blocks;
mod chunks;
mod keys;
mod names;
mod packs;
mod records;
mod split;
mod tables;
mod trees;

pub use blocks::block;
pub use chunks::chunker;
pub use keys::{envelopes, repository_id, signer};
pub use names::names;
pub use packs::{directory_plaintext, pack, seal_directory, wraps};
pub use records::{config, entry, envelope, evidence, key_slot, snapshot};
pub use split::Split;
pub use tables::{index_table, rows};
pub use trees::tree;

/// The body of a target.
pub type Target = fn(&[u8]);

/// All targets by name: `fuzz_targets/<name>.rs`, seeds in `corpus/<name>/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("block", block),
    ("chunker", chunker),
    ("config", config),
    ("entry", entry),
    ("envelope", envelope),
    ("evidence", evidence),
    ("index_table", index_table),
    ("key_slot", key_slot),
    ("names", names),
    ("pack", pack),
    ("rows", rows),
    ("snapshot", snapshot),
    ("tree", tree),
    ("wraps", wraps),
];
