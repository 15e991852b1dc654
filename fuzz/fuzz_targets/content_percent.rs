//! Any bytes as percent-encoded text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_percent(bytes));
