//! The words of SQL that libinjection knows, arranged so that looking one up costs a few nanoseconds.

use std::sync::LazyLock;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;

/// The length of the longest word of interest, and one more.
const LENGTHS: usize = 32;

/// What begins a word: 26 letters and `_`.
const FIRSTS: usize = 27;

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

/// Words by first character and length.
pub(super) struct Words {
    buckets: Vec<Vec<(&'static str, Meaning)>>,
    /// For each byte, the lengths (bits) of the words that begin with it
    lengths: [u32; 256],
}

/// The words that libinjection knows.
pub(super) static WORDS: LazyLock<Words> = LazyLock::new(Words::build);

fn bucket_of(word: &[u8]) -> Option<usize> {
    let first = match word.first()? {
        letter @ (b'a'..=b'z' | b'A'..=b'Z') => usize::from(letter.to_ascii_uppercase() - b'A'),
        b'_' => FIRSTS - 1,
        _ => return None,
    };
    (word.len() < LENGTHS).then_some(first * LENGTHS + word.len())
}

impl Words {
    fn build() -> Self {
        // Table types: `F` are fingerprints, `n` are names.
        let words = || SQL_KEYWORDS.iter().filter(|keyword| keyword.token_type != b'F');
        let mut table = Self { buckets: vec![Vec::new(); FIRSTS * LENGTHS], lengths: [0; 256] };
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
        for byte in 0..=u8::MAX {
            let of_length = |len: &usize| {
                let word: Vec<u8> = std::iter::once(byte).cycle().take(*len).collect();
                bucket_of(&word).and_then(|index| table.buckets.get(index)).is_some_and(|bucket| !bucket.is_empty())
            };
            let lengths = (1..LENGTHS).filter(of_length).fold(0, |bits, len| bits | 1 << len);
            if let Some(slot) = table.lengths.get_mut(usize::from(byte)) {
                *slot = lengths;
            }
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
        let bucket = self.buckets.get(bucket_of(word)?)?;
        bucket.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(word)).map(|&(_, meaning)| meaning)
    }

    /// Adds a meaning; a keyword stays one.
    fn insert(&mut self, word: &'static str, meaning: Meaning) {
        let Some(bucket) = bucket_of(word.as_bytes()).and_then(|index| self.buckets.get_mut(index)) else { return };
        match (bucket.iter_mut().find(|(known, _)| *known == word), meaning) {
            (None, _) => bucket.push((word, meaning)),
            (Some((_, Meaning::Part(first, second))), Meaning::Part(more_first, more_second)) => {
                *first |= more_first;
                *second |= more_second;
            }
            (Some((_, known)), Meaning::Keyword) => *known = meaning,
            (Some((_, Meaning::Keyword)), _) => {}
            // A word of two kinds is treated as a keyword.
            (Some((_, known)), _) => *known = Meaning::Keyword,
        }
    }
}
