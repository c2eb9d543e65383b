#![no_main]
//! Runs [`larder_fuzz::evidence`] on what libFuzzer makes.

libfuzzer_sys::fuzz_target!(|data: &[u8]| larder_fuzz::evidence(data));
