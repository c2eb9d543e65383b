#![no_main]
//! Runs [`larder_fuzz::names`] on what libFuzzer makes.

libfuzzer_sys::fuzz_target!(|data: &[u8]| larder_fuzz::names(data));
