//! How fast blocks are compressed.
fn main() {}
