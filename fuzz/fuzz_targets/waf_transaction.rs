//! Any bytes as an exchange: our own rules log the same with and without gates.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bartizan_waf::fuzz::{Plans, fuzz_transaction, plans};

static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let entries = std::fs::read_dir(folder).expect("rules/");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let files: Vec<_> =
        files.into_iter().map(|file| (file.clone(), std::fs::read(file).expect("a rule file"))).collect();
    plans(&files)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_transaction(&PLANS, bytes));
