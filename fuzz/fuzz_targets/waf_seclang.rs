//! Any bytes as a rule file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_waf::fuzz::fuzz_parse(bytes));
