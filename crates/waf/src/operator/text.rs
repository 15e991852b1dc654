//! Comparison of texts, byte for byte: `streq`, `beginsWith`, `endsWith`, `contains`, `strmatch`, `containsWord`, `within`.

use memchr::memmem;

/// How a value and the operator's argument are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// `beginsWith`
    BeginsWith,
    /// `contains`, `strmatch`
    Contains,
    /// `containsWord`
    ContainsWord,
    /// `endsWith`
    EndsWith,
    /// `streq`
    Equals,
    /// `within`: the argument contains the value
    Within,
}

impl Relation {
    pub(super) fn holds(self, input: &[u8], argument: &[u8]) -> bool {
        match self {
            Self::BeginsWith => input.starts_with(argument),
            Self::Contains => memmem::find(input, argument).is_some(),
            Self::ContainsWord => contains_word(input, argument),
            Self::EndsWith => input.ends_with(argument),
            Self::Equals => input == argument,
            Self::Within => memmem::find(argument, input).is_some(),
        }
    }
}

/// Whether `word` is in `input` with no letter before and none behind it; digits and `_` bound a word, as in libmodsecurity.
fn contains_word(input: &[u8], word: &[u8]) -> bool {
    if word.is_empty() {
        return true;
    }
    let is_letter =
        |index: Option<usize>| index.and_then(|index| input.get(index)).is_some_and(u8::is_ascii_alphabetic);
    let finder = memmem::Finder::new(word);
    let mut start = 0;
    while let Some(at) = input.get(start..).and_then(|rest| finder.find(rest)) {
        let found = start + at;
        if !is_letter(found.checked_sub(1)) && !is_letter(Some(found + word.len())) {
            return true;
        }
        start = found + 1;
    }
    false
}
