//! Any bytes as a request, through a whole inspection.
#![no_main]

use std::sync::{Arc, LazyLock};

use bartizan_engine::{Snapshot, fuzz};

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(fuzz::snapshot);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::request_head(&SNAPSHOT, bytes));
