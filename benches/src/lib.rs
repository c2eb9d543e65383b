//! Data that the benches share.
