//! What the compiler does not check: layers, stray files, words.
mod layers;
