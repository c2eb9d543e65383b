//! What the compiler does not check: layers, stray files, words.

mod files;
mod layers;
mod sources;
