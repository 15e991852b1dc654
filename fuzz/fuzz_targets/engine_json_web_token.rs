//! Any bytes as a token and a key set.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_engine::fuzz::json_web_token(bytes));
