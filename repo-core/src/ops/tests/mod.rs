//! Whole operations over a place in memory that fails, lies, crashes or is shared.

mod answers;
mod bounds;
mod changing;
mod class_c;
mod compare;
mod crash;
mod damage;
mod deleted;
mod eio;
mod exclude;
mod first_entry;
mod keys;
mod last_entry;
mod links;
mod log_holes;
mod lost;
mod pieces;
mod resume;
mod shared;
mod stats;
mod stream;
mod support;
mod surplus;
mod writing;
