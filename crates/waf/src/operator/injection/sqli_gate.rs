//! A proof that a value is no SQL injection, from its characters and words alone.
//!
//! libinjection turns a value into at most five kinds of token and looks that fingerprint up in a list. No fingerprint on the list
//! consists only of
//!
//! 1. names, numbers, operators, `,` `:` `.` `;` `{` `}` and unknown characters, or
//! 2. names, numbers, variables (`@x`), `,` `.` `{` `}` and unknown characters, or
//! 3. names, numbers, `(` `)` `.` `;` `{` `}` and unknown characters
//!
//! (a test checks that). So a value that can only give such tokens is harmless: no quotes, comments, `&` or `|` (logic), `\`, `$`, `#`,
//! backticks or NULs, the marks of one of the three lines, and no word that is more than a name. Folding does not add kinds, but for two
//! rules: two words in a row that make a keyword (`GROUP BY`), so a value must not hold a first and a second word of one keyword,
//! wherever; and five names that become functions before `(`.
//!
//! Words are taken apart finer than libinjection does, so that every word it could look up is among those looked up here. Only a number
//! can end inside of a run of letters and digits (`1union`, `1.e2union`, `1e+dunion`): then every tail of the run counts as a word.

use super::words::{Meaning, WORDS};

/// What a byte may become.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    /// Letters and `_`
    Letter,
    /// Digits, and all that is not ASCII but 0xa0, which is white space to libinjection: part of words that none begins with
    Digit,
    /// `.`, white space, `{`, `}`, `?`, `]`: never more than a number, a dot or a mark that is in no fingerprint
    Neutral,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// Operators, and `:`, which makes the operator `::`
    Operator,
    /// `@`
    Variable,
    /// `(` and `)`
    Parenthesis,
    /// Anything else
    Other,
}

impl Class {
    const fn bit(self) -> u16 {
        1 << self as u8
    }

    const fn of(byte: u8) -> Self {
        match byte {
            b'.' | b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'}' | b'?' | b']' | 0xa0 => Self::Neutral,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Self::Letter,
            b'0'..=b'9' | 0x80.. => Self::Digit,
            b',' => Self::Comma,
            b';' => Self::Semicolon,
            b':' | b'/' | b'-' | b'+' | b'=' | b'<' | b'>' | b'!' | b'%' | b'^' | b'*' | b'~' => Self::Operator,
            b'@' => Self::Variable,
            b'(' | b')' => Self::Parenthesis,
            _ => Self::Other,
        }
    }
}

/// The class of each byte.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "the loop stops at 256")]
        {
            classes[byte] = Class::of(byte as u8);
        }
        byte += 1;
    }
    classes
};

#[expect(clippy::indexing_slicing, reason = "a byte is below 256; this runs on every byte of every value")]
const fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// Whether the value is proven to be no SQL injection.
pub(super) fn is_harmless(input: &[u8]) -> bool {
    let Some(seen) = classes_of(input) else { return false };
    let has = |class: Class| seen & class.bit() != 0;
    let has_parenthesis = has(Class::Parenthesis);
    if has(Class::Variable) && (has(Class::Operator) || has(Class::Semicolon) || has_parenthesis) {
        return false;
    }
    if has_parenthesis && (has(Class::Operator) || has(Class::Comma)) {
        return false;
    }
    // What is looked up begins with a letter.
    !has(Class::Letter) || has_only_names(input, has_parenthesis)
}

/// The classes that occur, as bits; `None` when there is anything that rules the proof out.
fn classes_of(input: &[u8]) -> Option<u16> {
    let seen = input.iter().fold(0, |seen, &byte| seen | class(byte).bit());
    if seen & Class::Other.bit() != 0 {
        return None;
    }
    // Comments need two operators in a row.
    let has_comment =
        seen & Class::Operator.bit() != 0 && input.array_windows().any(|pair| matches!(pair, b"--" | b"/*"));
    (!has_comment).then_some(seen)
}

/// Whether no word is more than a name.
fn has_only_names(input: &[u8], has_parenthesis: bool) -> bool {
    let words = &*WORDS;
    let (mut firsts, mut seconds) = (0, 0);
    let mut is_name = |word: &[u8]| match words.meaning(word) {
        None => true,
        Some(Meaning::Keyword) => false,
        Some(Meaning::Callable) => !has_parenthesis,
        Some(Meaning::Part(first, second)) => {
            firsts |= first;
            seconds |= second;
            firsts & seconds == 0
        }
    };
    let (mut rest, mut before) = (input, None);
    while let Some((&byte, after)) = rest.split_first() {
        let len = rest.iter().take_while(|&&byte| is_of_word(byte)).count();
        let Some((word @ [.., last], behind)) = rest.split_at_checked(len) else {
            (rest, before) = (after, Some(byte));
            continue;
        };
        let is_harmless = if may_begin_in_number(word, before) { tails(word).all(&mut is_name) } else { is_name(word) };
        if !is_harmless {
            return false;
        }
        (rest, before) = (behind, Some(*last));
    }
    true
}

/// Whether a byte may be part of a word.
const fn is_of_word(byte: u8) -> bool {
    matches!(class(byte), Class::Letter | Class::Digit)
}

/// Whether a number that begins in this run or before it may end inside of it.
fn may_begin_in_number(word: &[u8], before: Option<u8>) -> bool {
    match word.first() {
        Some(b'0'..=b'9') => true,
        Some(b'e' | b'E' | b'd' | b'D' | b'f' | b'F') => matches!(before, Some(b'.' | b'+' | b'-')),
        _ => false,
    }
}

/// The word, and what is left of it without its first byte, without its first two, …
fn tails(word: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..word.len()).filter_map(|start| word.get(start..))
}
