//! Any bytes as a HAR file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_integrations::tell::fuzz::har(bytes));
