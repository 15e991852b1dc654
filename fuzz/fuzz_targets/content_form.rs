//! Any bytes as a form or query.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_form(bytes));
