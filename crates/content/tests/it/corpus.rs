//! Replays the fuzz corpus and past crashes through the same functions that `fuzz/` explores.

use std::path::Path;

use bartizan_content::fuzz;

#[test]
fn every_decoder_passes_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in fuzz::TARGETS {
        let folder = corpus.join(format!("content_{name}"));
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let files: Vec<Vec<u8>> = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
        assert!(!files.is_empty(), "no corpus in {}", folder.display());
        files.iter().for_each(|bytes| target(bytes));
    }
}

#[test]
fn every_decoder_is_a_target_that_is_explored() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    for (name, _) in fuzz::TARGETS {
        let file = targets.join(format!("content_{name}.rs"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.contains(&format!("fuzz::fuzz_{name}(")), "{}", file.display());
    }
}
