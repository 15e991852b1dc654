//! Replays the fuzz corpus and past crashes through the same function that `fuzz/` explores.

use std::path::Path;

use bartizan_config::fuzz;

#[test]
fn documents_of_the_corpus_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/config_parse");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "nothing in {}", folder.display());
    files.iter().for_each(|file| fuzz(&std::fs::read(file).unwrap()));
}
