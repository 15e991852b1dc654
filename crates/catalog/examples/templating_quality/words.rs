//! The literal vocabulary: what at least two providers of a half call their segments, and the words in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::specs::{Segment, Spec};

/// Writes `segments.txt` and `tokens.txt`.
pub fn write(specs: &[Spec], out: &Path) {
    let (mut segments, mut tokens) =
        (BTreeMap::<String, BTreeSet<&str>>::new(), BTreeMap::<String, BTreeSet<&str>>::new());
    for spec in specs {
        for segment in spec.operations.iter().flat_map(|operation| &operation.segments) {
            let Segment::Literal(text) = segment else { continue };
            if text.is_ascii() && (2..=40).contains(&text.len()) && !text.contains(char::is_whitespace) {
                segments.entry(text.to_ascii_lowercase()).or_default().insert(&spec.provider);
                for token in pieces(text) {
                    tokens.entry(token).or_default().insert(&spec.provider);
                }
            }
        }
    }
    for (name, table) in [("segments.txt", segments), ("tokens.txt", tokens)] {
        let shared = table.into_iter().filter(|(_, providers)| providers.len() >= 2).map(|(word, _)| word + "\n");
        fs::write(out.join(name), shared.collect::<String>()).expect("the table");
    }
}

/// Words in a segment, cut at what is no letter and where lower case turns to upper.
fn pieces(segment: &str) -> Vec<String> {
    let (mut words, mut word, mut before) = (Vec::new(), String::new(), ' ');
    for letter in segment.chars().chain([' ']) {
        if !letter.is_ascii_alphabetic() || (letter.is_ascii_uppercase() && before.is_ascii_lowercase()) {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_ascii_alphabetic() {
            word.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    words.retain(|word| (2..=32).contains(&word.len()));
    words
}

/// `GET /users/{userId}` as `GET /users/{}`.
pub fn unnamed(group: &str) -> String {
    let cut = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
    group.split('/').map(cut).collect::<Vec<_>>().join("/")
}
