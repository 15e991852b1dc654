//! Any bytes as a protobuf message.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_protobuf(bytes));
