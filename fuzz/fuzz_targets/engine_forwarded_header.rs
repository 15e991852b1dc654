//! Any bytes as the value of `X-Forwarded-For` and `Forwarded`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_engine::fuzz::forwarded_header(bytes));
