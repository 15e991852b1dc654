//! Replays the fuzz corpus and past crashes through the same functions that `fuzz/` explores.

use std::path::Path;

use bartizan_engine::fuzz;

/// Runs `target` over every file of its folder in the corpus; there must be some.
fn replay(name: &str, target: impl Fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display())) {
        target(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", directory.display());
}

#[test]
fn request_heads_of_the_corpus_pass() {
    let snapshot = fuzz::snapshot();
    replay("engine_request_head", |bytes| fuzz::request_head(&snapshot, bytes));
}

#[test]
fn forwarding_headers_of_the_corpus_pass() {
    replay("engine_forwarded_header", fuzz::forwarded_header);
}

#[test]
fn paths_of_the_corpus_pass() {
    replay("engine_path_readings", fuzz::path_readings);
}

#[test]
fn urls_of_the_corpus_pass() {
    replay("engine_url_parameter", fuzz::url_parameter);
}

#[test]
fn tokens_of_the_corpus_pass() {
    replay("engine_json_web_token", fuzz::json_web_token);
}
