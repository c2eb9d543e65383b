#![no_main]
//! Runs [`larder_fuzz::chunker`] on what libFuzzer makes.

libfuzzer_sys::fuzz_target!(|data: &[u8]| larder_fuzz::chunker(data));
