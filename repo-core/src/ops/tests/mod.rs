//! Whole operations over a place in memory that fails, lies, crashes or is shared.

mod answers;
mod bounds;
mod class_c;
mod compare;
mod crash;
mod damage;
mod deleted;
mod eio;
mod exclude;
mod first_entry;
mod in_place;
mod in_place_links;
mod in_place_policy;
mod keys;
mod last_entry;
mod links;
mod lost;
mod pieces;
mod resume;
mod shared;
mod stage;
mod stats;
mod stream;
mod support;
mod surplus;
