//! What the repository does, one file an operation.
