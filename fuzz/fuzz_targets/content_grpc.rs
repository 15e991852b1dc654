//! Any bytes as a gRPC body.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_grpc(bytes));
