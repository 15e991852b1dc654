//! Any bytes as an access log of each kind.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_integrations::tell::fuzz::access_log(bytes));
