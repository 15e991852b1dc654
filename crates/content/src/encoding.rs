//! The small decoders that formats share: hexadecimal, percent, UTF-8 and UTF-16 pieces.

/// The value of a hexadecimal digit.
#[inline]
pub const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends `bytes` with each `%hh` decoded and each `+` as a space, as forms and queries are written.
///
/// A `%` without two hexadecimal digits stays; the offset of the first such is returned.
pub fn percent_decode_form(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    percent(bytes, out, true)
}

/// Appends `bytes` with each `%hh` decoded, as paths are written (RFC 3986 §2.1).
///
/// A `%` without two hexadecimal digits stays; the offset of the first such is returned.
pub fn percent_decode(bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    percent(bytes, out, false)
}

fn percent(bytes: &[u8], out: &mut Vec<u8>, plus_is_space: bool) -> Option<usize> {
    out.reserve(bytes.len());
    let mut bad = None;
    let mut rest = bytes;
    loop {
        let special = if plus_is_space { memchr::memchr2(b'%', b'+', rest) } else { memchr::memchr(b'%', rest) };
        let Some((plain, special)) = special.and_then(|at| rest.split_at_checked(at)) else {
            out.extend_from_slice(rest);
            return bad;
        };
        out.extend_from_slice(plain);
        rest = match special {
            [b'%', high, low, after @ ..] if let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low)) => {
                out.push(high << 4 | low);
                after
            }
            [b'%', after @ ..] => {
                bad = bad.or(Some(bytes.len().saturating_sub(special.len())));
                out.push(b'%');
                after
            }
            [_, after @ ..] => {
                out.push(b' ');
                after
            }
            [] => special,
        };
    }
}

/// Appends a character as UTF-8.
pub(crate) fn push_char(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The value of four hexadecimal digits.
pub fn hex4(digits: &[u8; 4]) -> Option<u16> {
    digits.iter().try_fold(0, |value: u16, digit| Some(value << 4 | u16::from(hex_value(*digit)?)))
}

/// The character of a `\u{…}`, of which `text` is what stands behind the brace, and the number of its digits.
pub fn braced_char(text: &[u8]) -> Option<(char, usize)> {
    /// LIMIT: digits of one escape; more are leading zeros, which nobody writes.
    const DIGITS_MAX: usize = 8;
    let length = text.iter().take(DIGITS_MAX + 1).position(|&digit| digit == b'}')?;
    let digits = std::str::from_utf8(text.get(..length)?).ok().filter(|digits| !digits.starts_with('+'))?;
    Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, length))
}

/// White space of ASCII as C's `isspace` has it.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// `bytes` without white space at both ends.
pub(crate) fn trimmed(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, after @ ..] = rest
        && is_space(*first)
    {
        rest = after;
    }
    while let [before @ .., last] = rest
        && is_space(*last)
    {
        rest = before;
    }
    rest
}

/// Where `part`, a slice of `whole`, begins in it; `None` if it is no slice of it.
pub(crate) fn offset_in(whole: &[u8], part: &[u8]) -> Option<usize> {
    let offset = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (offset.checked_add(part.len())? <= whole.len()).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoded: &str, form: &str, path: &str, bad: Option<usize>) {
        let mut out = Vec::new();
        assert_eq!(percent_decode_form(encoded.as_bytes(), &mut out), bad, "{encoded}");
        assert_eq!(out, form.as_bytes(), "{encoded}");
        out.clear();
        assert_eq!(percent_decode(encoded.as_bytes(), &mut out), bad, "{encoded}");
        assert_eq!(out, path.as_bytes(), "{encoded}");
    }

    #[test]
    fn percent_signs_decode_and_bad_ones_stay() {
        check("", "", "", None);
        check("a+b%20c", "a b c", "a+b c", None);
        check("%41%6a%6A", "Ajj", "Ajj", None);
        check("%zz%41", "%zzA", "%zzA", Some(0));
        check("100%", "100%", "100%", Some(3));
        check("a%4", "a%4", "a%4", Some(1));
        check("%%41", "%A", "%A", Some(0));
        check("%2541", "%41", "%41", None);
        check("%u0041", "%u0041", "%u0041", Some(0));
    }

    #[test]
    fn hexadecimal_is_read_in_both_cases() {
        assert_eq!(hex4(b"00e9"), Some(0xe9));
        assert_eq!(hex4(b"D83d"), Some(0xd83d));
        assert_eq!(hex4(b"12g4"), None);
        assert_eq!(hex_value(b'/'), None);
    }
}
