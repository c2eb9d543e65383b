//! Opens a repository.
pub mod pool;
