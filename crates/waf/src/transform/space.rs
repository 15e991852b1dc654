//! White space: `compressWhitespace`, `removeWhitespace`, `trim`, `trimLeft`, `trimRight`.
//!
//! White space is C's: blank, tab, line feed, vertical tab, form feed, carriage return. `removeWhitespace` also takes away both
//! bytes of UTF-8's no-break space, each wherever it stands (`à` loses its second byte, too), as libmodsecurity does.

/// What C calls white space.
pub(super) const SPACES: &[u8] = b" \t\n\x0b\x0c\r";

/// UTF-8's no-break space.
pub(super) const NO_BREAK_SPACE: &[u8; 2] = b"\xc2\xa0";

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) {
    let mut follows_space = false;
    for &byte in input {
        let is_space = is_space(byte);
        if !is_space {
            out.push(byte);
        } else if !follows_space {
            out.push(b' ');
        }
        follows_space = is_space;
    }
}

pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) {
    push_kept(input, out, |byte| !is_space(byte) && !NO_BREAK_SPACE.contains(&byte));
}

/// Appends the bytes that are kept.
// PERF: without a branch for each byte.
#[inline]
pub(super) fn push_kept(input: &[u8], out: &mut Vec<u8>, is_kept: impl Fn(u8) -> bool) {
    let start = out.len();
    out.extend_from_slice(input);
    let mut kept = 0;
    for &byte in input {
        if let Some(place) = out.get_mut(start + kept) {
            *place = byte;
        }
        kept += usize::from(is_kept(byte));
    }
    out.truncate(start + kept);
}

pub(super) fn trim(input: &[u8], out: &mut Vec<u8>) {
    trim_left(without_spaces_behind(input), out);
}

pub(super) fn trim_left(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().skip_while(|&&byte| is_space(byte)));
}

pub(super) fn trim_right(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(without_spaces_behind(input));
}

fn without_spaces_behind(input: &[u8]) -> &[u8] {
    let len = input.iter().rposition(|&byte| !is_space(byte)).map_or(0, |last| last + 1);
    input.get(..len).unwrap_or_default()
}
