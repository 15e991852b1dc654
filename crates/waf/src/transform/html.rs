//! `htmlEntityDecode`: `&quot; &amp; &lt; &gt; &nbsp;` in any case, `&#65;` and `&#x41;`, each with or without its semicolon.
//!
//! A number gives its low byte, one too large for 63 bits the byte 0xff, `&nbsp;` the byte 0xa0: as libmodsecurity does.
//! A name ends where letters and digits end: `&lte` is not `<e`.

use super::hex;

pub(super) fn decode(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'&', [b'#', b'x' | b'X', digits @ ..]) if let Some((decoded, after)) = number(digits, 16) => {
                out.push(decoded);
                after
            }
            (b'&', [b'#', digits @ ..]) if let Some((decoded, after)) = number(digits, 10) => {
                out.push(decoded);
                after
            }
            (b'&', name) if let Some((decoded, after)) = named(name) => {
                out.push(decoded);
                after
            }
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}

/// The low byte of the number at the front, and what follows it and its semicolon.
fn number(input: &[u8], base: i64) -> Option<(u8, &[u8])> {
    let value_of = |byte: u8| hex::digit(byte).map(i64::from).filter(|&value| value < base);
    let len = input.iter().take_while(|&&byte| value_of(byte).is_some()).count();
    let (digits, after) = input.split_at_checked(len).filter(|(digits, _)| !digits.is_empty())?;
    let value = digits
        .iter()
        .filter_map(|&byte| value_of(byte))
        .fold(0_i64, |value, digit| value.saturating_mul(base).saturating_add(digit));
    let [low, ..] = value.to_le_bytes();
    Some((low, after.strip_prefix(b";").unwrap_or(after)))
}

/// The character of the name at the front, and what follows it and its semicolon.
fn named(input: &[u8]) -> Option<(u8, &[u8])> {
    const NAMES: &[(&[u8], u8)] = &[(b"quot", b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", 0xa0)];
    const LONGEST: usize = 4;
    let len = input.iter().take(LONGEST + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (name, after) = input.split_at_checked(len)?;
    let &(_, character) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some((character, after.strip_prefix(b";").unwrap_or(after)))
}
