//! Finds the members of `log.entries` in a stream, one at a time, without holding the document.
//!
//! Only brackets, strings and the two keys on the way are looked at; what an entry says is serde_json's work. serde_json
//! itself cannot give out the members of an inner list one by one to a caller that pulls, nor go on behind a bad one or
//! one that is too long, nor save the entries of a file that was cut off. There is no recursion: depth is a number.

use std::io::{self, BufRead};
use std::mem;

/// One step through the entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A whole entry
    Entry(&'a [u8]),
    /// An entry over the limit: its beginning
    TooLong(&'a [u8]),
    /// The list is over
    End,
    /// The input ended inside the list; the beginning of the unfinished entry, if one had begun
    CutShort(&'a [u8]),
    /// The input ended before the list began
    NoEntries,
}

/// LIMIT: bytes kept of a string that may be a key; the keys looked for are shorter.
const KEY_BYTES_MAX: usize = 16;

/// The stream, and how far it has been read.
pub(super) struct Splitter {
    input: Box<dyn BufRead + Send>,
    limit: usize,
    entry: Vec<u8>,
    state: State,
}

#[derive(Default)]
struct State {
    place: Place,
    /// Containers that are open; inside the list, counted from the list
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    /// The last string outside the list: a key, if a colon follows
    text: Vec<u8>,
    /// Whether the last key at depth 1 was `log`
    in_log: bool,
    /// Whether the last key at depth 2 was `entries`
    at_entries: bool,
    /// Bytes of the entry, held or not
    seen: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    BeforeList,
    BetweenEntries,
    InEntry,
    BehindList,
}

/// What a byte brought about.
enum Seen {
    Nothing,
    /// Belongs to the entry
    OfEntry,
    /// The last byte of the entry
    LastOfEntry,
    /// The entry was a bare word and ended before this byte
    BehindEntry,
}

impl Splitter {
    pub(super) fn new(input: Box<dyn BufRead + Send>, limit: usize) -> Self {
        Self { input, limit, entry: Vec::new(), state: State::default() }
    }

    /// The next entry, or how the list ended.
    pub(super) fn next_entry(&mut self) -> io::Result<Part<'_>> {
        self.entry.clear();
        self.state.seen = 0;
        loop {
            if self.state.place == Place::BehindList {
                return Ok(Part::End);
            }
            let block = match self.input.fill_buf() {
                Ok(block) => block,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if block.is_empty() {
                let is_before = mem::replace(&mut self.state.place, Place::BehindList) == Place::BeforeList;
                return Ok(if is_before { Part::NoEntries } else { Part::CutShort(&self.entry) });
            }
            let (used, is_whole) = self.state.read(block, self.limit, &mut self.entry);
            self.input.consume(used);
            if is_whole {
                let is_held = self.state.seen <= self.limit;
                return Ok(if is_held { Part::Entry(&self.entry) } else { Part::TooLong(&self.entry) });
            }
        }
    }
}

impl State {
    /// Reads on in `block`: how many bytes, and whether an entry is whole now.
    fn read(&mut self, block: &[u8], limit: usize, entry: &mut Vec<u8>) -> (usize, bool) {
        for (at, &byte) in block.iter().enumerate() {
            let seen = match self.place {
                Place::BeforeList => self.before_list(byte),
                Place::BetweenEntries => self.between_entries(byte),
                Place::InEntry => self.in_entry(byte),
                Place::BehindList => return (at, false),
            };
            let is_last = match seen {
                Seen::Nothing => continue,
                Seen::BehindEntry => return (at, true),
                Seen::OfEntry => false,
                Seen::LastOfEntry => true,
            };
            self.seen = self.seen.saturating_add(1);
            if entry.len() < limit {
                entry.push(byte);
            }
            if is_last {
                return (at + 1, true);
            }
        }
        (block.len(), false)
    }

    /// Whether `byte` belongs to a string.
    fn string(&mut self, byte: u8) -> bool {
        if !self.in_string {
            return false;
        }
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
        true
    }

    fn before_list(&mut self, byte: u8) -> Seen {
        if self.string(byte) {
            if self.in_string && self.text.len() < KEY_BYTES_MAX {
                self.text.push(byte);
            }
            return Seen::Nothing;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.text.clear();
            }
            b':' if self.depth == 1 => self.in_log = self.text == b"log",
            b':' if self.depth == 2 => self.at_entries = self.in_log && self.text == b"entries",
            b'[' if self.depth == 2 && self.at_entries => {
                self.place = Place::BetweenEntries;
                self.depth = 0;
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.at_entries = false;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Seen::Nothing
    }

    fn between_entries(&mut self, byte: u8) -> Seen {
        match byte {
            b',' | b' ' | b'\t' | b'\r' | b'\n' => return Seen::Nothing,
            b']' => {
                self.place = Place::BehindList;
                return Seen::Nothing;
            }
            b'{' | b'[' => self.depth = 1,
            b'"' => self.in_string = true,
            _ => {}
        }
        self.place = Place::InEntry;
        Seen::OfEntry
    }

    fn in_entry(&mut self, byte: u8) -> Seen {
        let was_string = self.string(byte);
        match byte {
            _ if was_string => {}
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' if self.depth > 1 => self.depth -= 1,
            b'}' | b']' if self.depth == 1 => {
                self.depth = 0;
                self.place = Place::BetweenEntries;
                return Seen::LastOfEntry;
            }
            b',' | b'}' | b']' if self.depth == 0 => {
                self.place = Place::BetweenEntries;
                return Seen::BehindEntry;
            }
            _ => {}
        }
        Seen::OfEntry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &'static str, limit: usize, expected: &[Part<'_>]) {
        for block in 1..20 {
            let input = io::BufReader::with_capacity(block, document.as_bytes());
            let mut splitter = Splitter::new(Box::new(input), limit);
            for part in expected {
                assert_eq!(splitter.next_entry().unwrap(), *part, "{document}");
            }
            assert_eq!(splitter.next_entry().unwrap(), Part::End, "{document}");
        }
    }

    #[test]
    fn entries_are_found_one_by_one_however_the_input_is_cut() {
        use Part::{CutShort, End, Entry, NoEntries, TooLong};
        check(
            r#"{"log":{"version":"1.2","entries":[{"a":1} , {"b":"]}\""}],"x":[{}]}}"#,
            99,
            &[Entry(br#"{"a":1}"#), Entry(br#"{"b":"]}\""}"#)],
        );
        check(r#"{"log":{"pages":[{"entries":[1]}],"entries":[]}}"#, 99, &[End]);
        check(
            r#"{"meta":{"entries":[{}]},"log":{"entries":[[[]],7,"s"]}}"#,
            99,
            &[Entry(b"[[]]"), Entry(b"7"), Entry(b"\"s\"")],
        );
        check(r#"{"log":{"entries":[{"long":"xxxxxxxx"},{}]}}"#, 6, &[TooLong(br#"{"long"#), Entry(b"{}")]);
        check(r#"{"log":{"entries":[{},{"a":"#, 99, &[Entry(b"{}"), CutShort(br#"{"a":"#)]);
        check(r#"{"log":{"entries":[{}"#, 99, &[Entry(b"{}"), CutShort(b"")]);
        check(r#"{"entries":[{}]}"#, 99, &[NoEntries]);
        check("", 99, &[NoEntries]);
    }
}
