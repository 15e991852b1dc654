//! Any bytes as what is to be masked in an exchange.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bartizan_integrations::tell::fuzz::mask(bytes));
