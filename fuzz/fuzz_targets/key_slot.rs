#![no_main]
//! Runs [`larder_fuzz::key_slot`] on what libFuzzer makes.

libfuzzer_sys::fuzz_target!(|data: &[u8]| larder_fuzz::key_slot(data));
