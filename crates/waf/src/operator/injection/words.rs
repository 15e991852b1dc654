//! The words of SQL that libinjection knows, arranged so that looking one up costs a few nanoseconds.

use std::sync::LazyLock;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;

/// The length of the longest word of interest, and one more.
const LENGTHS: usize = 32;

/// Places of the table, as a power of two: four times as many as there are words, so that most mere names find an empty one.
const PLACES_BITS: u32 = 12;
const PLACES: usize = 1 << PLACES_BITS;

/// What libinjection makes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A keyword, operator, function, type …: more than a name
    Keyword,
    /// A name that becomes a function before `(`
    Callable,
    /// A name, but part of keywords of several words: of which (bits) it is the first word, of which the second
    Part(u64, u64),
}

/// The words and their meanings, found by a hash of the word. The words are fixed, so nobody can bring many to one place.
pub(super) struct Words {
    known: Vec<(&'static str, Meaning)>,
    /// By place: the number of a word, counted from one; 0 for none. A word whose place is taken has the next one
    // PERF: 8 KiB that stay in the first-level cache; the words themselves are only read where there may be one.
    places: Vec<u16>,
    /// For each byte, the lengths (bits) of the words that begin with it
    lengths: [u32; 256],
}

/// The words that libinjection knows.
pub(super) static WORDS: LazyLock<Words> = LazyLock::new(Words::build);

/// The place that a word would have, in whatever case its letters are.
fn place_of(word: &[u8]) -> usize {
    /// Without the bit that tells the cases of a letter apart
    const CASELESS: u64 = 0xdfdf_dfdf_dfdf_dfdf;
    let mixed = match (word.first_chunk::<8>(), word.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            (u64::from_le_bytes(*first) & CASELESS) ^ (u64::from_le_bytes(*last) & CASELESS).rotate_left(21)
        }
        _ => match (word.first_chunk::<4>(), word.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))) & CASELESS
            }
            _ => word.iter().fold(0, |mixed, &byte| mixed << 8 | u64::from(byte)) & CASELESS,
        },
    };
    ((mixed ^ word.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES_BITS)) as usize
}

impl Words {
    fn build() -> Self {
        // Table types: `F` are fingerprints, `n` are names.
        let words = || SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type != b'F');
        let mut table = Self { known: Vec::new(), places: vec![0; PLACES], lengths: [0; 256] };
        for keyword in words().filter(|keyword| !keyword.word.contains(' ')) {
            match keyword.word.split_once('.') {
                // Of `SYS.STRAGG` the first part is enough: the gate takes words apart at dots.
                Some((first, _)) => table.insert(first, Meaning::Keyword),
                None if keyword.token_type != b'n' => table.insert(keyword.word, Meaning::Keyword),
                None => {}
            }
        }
        // The names that libinjection itself turns into functions; others on its list are keywords anyway.
        for name in ["DATABASE", "PASSWORD", "USER", "USER_ID", "USER_NAME"] {
            table.insert(name, Meaning::Callable);
        }
        let mut firsts = Vec::new();
        for (first, rest) in words().filter_map(|keyword| keyword.word.split_once(' ')) {
            let second = rest.split(' ').next().unwrap_or(rest);
            let index = firsts.iter().position(|&known| known == first).unwrap_or_else(|| {
                firsts.push(first);
                firsts.len() - 1
            });
            // 38 words are the first of several; beyond 64 bits, words would share one, which is sound.
            let bit = 1 << (index % 64);
            table.insert(first, Meaning::Part(bit, 0));
            table.insert(second, Meaning::Part(0, bit));
        }
        table
    }

    /// What libinjection makes of this word, letters in any case; `None` for a mere name.
    pub(super) fn meaning(&self, word: &[u8]) -> Option<Meaning> {
        // Most words end here: no known word has their first letter and their length.
        let lengths = self.lengths.get(usize::from(*word.first()?))?;
        if word.len() >= LENGTHS || lengths >> word.len() & 1 == 0 {
            return None;
        }
        let number = self.find(word).ok()?;
        self.known.get(number).map(|(_, meaning)| *meaning)
    }

    /// The number of a word, else the empty place that it would have.
    fn find(&self, word: &[u8]) -> Result<usize, usize> {
        let mut place = place_of(word);
        // Three of four places are empty, so that this ends.
        while let Some(number) = self.places.get(place).and_then(|number| usize::from(*number).checked_sub(1)) {
            match self.known.get(number) {
                Some((known, _)) if known.as_bytes().eq_ignore_ascii_case(word) => return Ok(number),
                _ => place = (place + 1) % PLACES,
            }
        }
        Err(place)
    }

    /// Adds a meaning; a keyword stays one.
    fn insert(&mut self, word: &'static str, meaning: Meaning) {
        let first = word.bytes().next().filter(|first| first.is_ascii_alphabetic() || *first == b'_');
        let Some(first) = first.filter(|_| word.len() < LENGTHS) else { return };
        let number = match self.find(word.as_bytes()) {
            Ok(number) => number,
            Err(place) => {
                self.known.push((word, meaning));
                if let Some(slot) = self.places.get_mut(place) {
                    *slot = u16::try_from(self.known.len()).unwrap_or(0);
                }
                for first in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                    self.lengths.get_mut(usize::from(first)).into_iter().for_each(|bits| *bits |= 1 << word.len());
                }
                return;
            }
        };
        match (self.known.get_mut(number).map(|(_, known)| known), meaning) {
            (Some(Meaning::Part(first, second)), Meaning::Part(more_first, more_second)) => {
                *first |= more_first;
                *second |= more_second;
            }
            (Some(known), Meaning::Keyword) => *known = meaning,
            // A word of two kinds is treated as a keyword.
            (Some(known), _) => *known = Meaning::Keyword,
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_either_case_and_places_enough_are_empty() {
        for (word, meaning) in &WORDS.known {
            assert_eq!(WORDS.meaning(word.as_bytes()), Some(*meaning), "{word}");
            assert_eq!(WORDS.meaning(word.to_ascii_lowercase().as_bytes()), Some(*meaning), "{word}");
            let longer = format!("{word}x");
            let is_known = WORDS.known.iter().any(|(known, _)| longer.eq_ignore_ascii_case(known));
            assert_eq!(WORDS.meaning(longer.as_bytes()).is_some(), is_known, "{longer}");
        }
        assert!(WORDS.known.len() > 800 && WORDS.known.len() < PLACES / 3, "{} words", WORDS.known.len());
    }
}
