//! Any bytes as a configuration document.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_config::fuzz(bytes));
