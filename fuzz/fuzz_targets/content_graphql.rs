//! Any bytes as a GraphQL document.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_content::fuzz::fuzz_graphql(bytes));
