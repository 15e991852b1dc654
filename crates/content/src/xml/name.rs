//! Which characters XML 1.0 has, and which of them make a name (Fifth Edition, §2.2 and §2.3).

/// Whether these bytes are a `Name`. Bytes that are not UTF-8 stand for characters of another encoding, which may be
/// letters.
pub(super) fn is_name(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else {
        return name.first().is_some_and(|first| !first.is_ascii() || begins_name(char::from(*first)))
            && name.iter().all(|byte| !byte.is_ascii() || continues_name(char::from(*byte)));
    };
    let mut characters = text.chars();
    characters.next().is_some_and(begins_name) && characters.all(continues_name)
}

fn begins_name(character: char) -> bool {
    matches!(character,
        ':' | '_' | 'A'..='Z' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}'
        | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

fn continues_name(character: char) -> bool {
    begins_name(character)
        || matches!(character,
            '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// Whether a character may stand in a document.
pub(super) fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Where the first character stands that a document may not hold, among bytes of whatever encoding.
pub(super) fn bad_character(bytes: &[u8]) -> Option<usize> {
    /// U+FFFE and U+FFFF in UTF-8 begin so; surrogates are no UTF-8 at all.
    const NONCHARACTERS: &[u8] = b"\xef\xbf";
    let control = bytes.iter().position(|byte| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'));
    let noncharacter = memchr::memmem::find_iter(bytes, NONCHARACTERS)
        .find(|at| bytes.get(at + NONCHARACTERS.len()).is_some_and(|last| matches!(last, 0xbe | 0xbf)));
    match (control, noncharacter) {
        (Some(control), Some(noncharacter)) => Some(control.min(noncharacter)),
        (control, noncharacter) => control.or(noncharacter),
    }
}
