//! Any bytes as our interchange format.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_integrations::tell::fuzz::exchanges(bytes));
