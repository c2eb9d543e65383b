#![no_main]
//! Runs [`larder_fuzz::index_table`] on what libFuzzer makes.

libfuzzer_sys::fuzz_target!(|data: &[u8]| larder_fuzz::index_table(data));
