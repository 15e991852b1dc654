//! Any bytes as a compressed body, the coding chosen by the first byte.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_inflate(bytes));
