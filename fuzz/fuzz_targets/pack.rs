#![no_main]
//! Runs [`larder_fuzz::pack`] on what libFuzzer makes.

libfuzzer_sys::fuzz_target!(|data: &[u8]| larder_fuzz::pack(data));
