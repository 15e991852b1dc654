//! Lists of phrases: `pm` and `pmFromFile`, ASCII case ignored, one Aho-Corasick automaton for all.
//!
//! `pm`'s argument is a list apart by blanks in which `|41 42|` writes bytes in hexadecimal and `\` goes before `: ; " \`; an
//! argument that is none of that is taken as it stands. A file has a phrase on each line, kept with its blanks; lines that are
//! empty or begin with `#` say nothing.
//!
//! Source: ModSecurity Reference Manual, `pm` and `pmFromFile`.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

use super::Fault;

/// A list of phrases.
#[derive(Debug)]
pub(crate) struct Phrases {
    automaton: AhoCorasick,
    phrases: Vec<Box<[u8]>>,
}

impl Phrases {
    /// The phrases of `pm`'s argument.
    pub(super) fn of_list(list: &[u8]) -> Result<Self, Fault> {
        let decoded = decode(list);
        let list = decoded.as_deref().unwrap_or(list);
        Self::new(list.split(u8::is_ascii_whitespace).filter(|phrase| !phrase.is_empty()).map(Box::from).collect())
    }

    /// The phrases of `pmFromFile`'s files.
    pub(super) fn of_files(files: &[Arc<[u8]>]) -> Result<Self, Fault> {
        let lines = files.iter().flat_map(|file| file.split(|&byte| byte == b'\n'));
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        Self::new(
            lines.filter(|line| !line.starts_with(b"#") && !line.trim_ascii().is_empty()).map(Box::from).collect(),
        )
    }

    fn new(phrases: Vec<Box<[u8]>>) -> Result<Self, Fault> {
        if phrases.is_empty() {
            return Err(Fault {
                message: "no phrase to look for".to_owned(),
                help: "name at least one phrase".to_owned(),
            });
        }
        // The first to end wins, as in ModSecurity: nothing is gained by looking for a longer one.
        let automaton =
            AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&phrases);
        automaton.map(|automaton| Self { automaton, phrases }).map_err(|error| Fault {
            message: format!("the phrases make too large an automaton: {error}"),
            help: "split the list over several rules".to_owned(),
        })
    }

    /// The phrases as written.
    pub(crate) fn phrases(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.phrases.iter().map(AsRef::as_ref)
    }

    pub(super) fn is_match(&self, input: &[u8]) -> bool {
        self.automaton.is_match(input)
    }

    /// The phrase that ends first in `input`.
    pub(super) fn find(&self, input: &[u8]) -> Option<&[u8]> {
        let found = self.automaton.find(input)?;
        self.phrases.get(found.pattern().as_usize()).map(AsRef::as_ref)
    }
}

/// The argument with its `|hex|` and escapes resolved; `None` when it is not written in that form.
fn decode(list: &[u8]) -> Option<Vec<u8>> {
    let list = list.trim_ascii_start();
    let list = match list {
        [b'"', inside @ .., b'"'] => inside,
        [b'"', ..] => return None,
        _ => list,
    };
    let mut out = Vec::with_capacity(list.len());
    let (mut is_hex, mut high) = (false, None);
    let mut bytes = list.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'|' if high.is_some() => return None,
            b'|' => is_hex = !is_hex,
            b' ' if is_hex => {}
            _ if is_hex => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())?;
                high = match high {
                    None => Some(digit),
                    Some(high) => {
                        out.push(high << 4 | digit);
                        None
                    }
                };
            }
            b'\\' => out.push(bytes.next().filter(|escaped| b":;\"\\|".contains(escaped))?),
            _ => out.push(byte),
        }
    }
    (!is_hex).then_some(out)
}
