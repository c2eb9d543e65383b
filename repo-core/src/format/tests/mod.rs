//! Tests of several structures together.

mod by_wincode;
