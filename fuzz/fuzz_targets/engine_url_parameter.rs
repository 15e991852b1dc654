//! Any bytes as the value of a parameter that carries a URL.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_engine::fuzz::url_parameter(bytes));
