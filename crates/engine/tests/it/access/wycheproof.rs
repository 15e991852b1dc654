//! Project Wycheproof's vectors of JSON Web Signatures and keys, each with the outcome it states, but for those listed.
//!
//! The vectors are not part of this repository: `BARTIZAN_WYCHEPROOF` names their folder, or they lie in
//! `../shared/wycheproof` beside it. Without them the test says so and ends.

use std::path::PathBuf;

use bartizan_engine::fuzz;
use serde_json::{Value, json};

/// Vectors whose stated outcome is not ours, and why.
const DIFFERENT: &[(u64, bool, &str)] = &[
    (346, false, "the key says `alg` PS256, the token PS384: a key is used for its own algorithm only (RFC 7517 §4.4)"),
    (347, false, "ES512 (and its key's `alg` ES521, which is no registered name) is not supported"),
    (350, false, "as 346"),
    (351, false, "as 347"),
    (367, true, "letter for letter the valid token 357; the padding that it means to show is not in the vector"),
    (370, true, "letter for letter the valid token 357; the padding that it means to show is not in the vector"),
    (372, false, "`?` within the header: a letter outside of base64url is refused (RFC 7515 §2)"),
    (373, false, "`?` within the payload: a letter outside of base64url is refused (RFC 7515 §2)"),
];

fn vectors(name: &str) -> Option<Value> {
    let folder = std::env::var_os("BARTIZAN_WYCHEPROOF")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/wycheproof"));
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            eprintln!("SKIPPED: no Wycheproof vectors in {}: {error}; set BARTIZAN_WYCHEPROOF", folder.display());
            None
        }
    }
}

/// Each vector with its key set, its number and whether it states that the token is valid.
fn each(vectors: &Value, mut run: impl FnMut(&Value, u64, bool, &str)) {
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let set = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
        for test in group["tests"].as_array().unwrap() {
            let is_valid = test["result"] == "valid";
            run(&set, test["tcId"].as_u64().unwrap(), is_valid, test["jws"].as_str().unwrap());
        }
    }
}

#[test]
fn every_signature_of_wycheproof_has_its_outcome() {
    let Some(vectors) = vectors("json_web_signature_test.json") else { return };
    let (mut count, mut wrong) = (0, Vec::new());
    each(&vectors, |set, number, is_valid, token| {
        let mapped = DIFFERENT.iter().find(|(id, ..)| *id == number);
        assert!(mapped.is_none_or(|(_, ours, _)| *ours != is_valid), "{number} needs no mapping");
        let wanted = mapped.map_or(is_valid, |(_, ours, _)| *ours);
        let actual = fuzz::verified_payload(set.to_string().as_bytes(), token.as_bytes()).is_some();
        count += 1;
        if actual != wanted {
            wrong.push((number, actual));
        }
    });
    assert_eq!((count, wrong), (401, vec![]));
}

#[test]
fn every_key_of_wycheproof_has_its_outcome() {
    let Some(vectors) = vectors("json_web_key_test.json") else { return };
    let (mut count, mut wrong) = (0, Vec::new());
    each(&vectors, |set, number, is_valid, token| {
        let actual = fuzz::verified_payload(set.to_string().as_bytes(), token.as_bytes()).is_some();
        count += 1;
        if actual != is_valid {
            wrong.push((number, actual));
        }
    });
    assert_eq!((count, wrong), (26, vec![]));
}
