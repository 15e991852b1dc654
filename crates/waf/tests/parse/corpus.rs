//! Replays the fuzz corpus and past crashes through the same functions that `fuzz/` explores.

use std::path::{Path, PathBuf};

use bartizan_waf::fuzz;

fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

#[test]
fn rule_files_of_the_corpus_pass() {
    files("fuzz/corpus/waf_seclang").iter().for_each(|(_, bytes)| fuzz::fuzz_parse(bytes));
}

#[test]
fn exchanges_of_the_corpus_are_logged_alike_with_and_without_gates() {
    let plans = fuzz::plans(&files("rules"));
    files("fuzz/corpus/waf_transaction").iter().for_each(|(_, bytes)| fuzz::fuzz_transaction(&plans, bytes));
}
