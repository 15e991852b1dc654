//! Any bytes as a path in its readings.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_engine::fuzz::path_readings(bytes));
