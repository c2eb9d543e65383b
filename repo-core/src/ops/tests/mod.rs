//! Whole operations over a place in memory that fails, lies, crashes or is shared.

mod bounds;
mod crash;
mod damage;
mod deleted;
mod eio;
mod shared;
mod support;
