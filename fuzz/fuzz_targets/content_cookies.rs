//! Any bytes as a Cookie field.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_cookies(bytes));
