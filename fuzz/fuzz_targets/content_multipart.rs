//! Any bytes as a multipart body, its content type in the first line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_multipart(bytes));
