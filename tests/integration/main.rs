//! What the repository does, one file an operation.

mod format_examples;
mod format_keys;
mod format_packs;
mod format_records;
mod format_trees;
mod format_vectors;
