//! `escapeSeqDecode`: the escapes of C, `\n`, `\x41`, `\101`; any other escaped character stands for itself.
//!
//! Of an octal number above 255 the low byte counts. A `\` at the very end stays.
//!
//! Sources: ISO C §6.4.4.4; libmodsecurity 3.0.9, observed.

use super::hex;

pub(super) fn decode(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'\\', [b'x' | b'X', high, low, after @ ..]) if let Some(decoded) = hex::pair(*high, *low) => {
                out.push(decoded);
                after
            }
            (b'\\', [b'0'..=b'7', ..]) => {
                let (value, after) = octal(rest, 3);
                out.push(value);
                after
            }
            (b'\\', [character, after @ ..]) => {
                out.push(control(*character).unwrap_or(*character));
                after
            }
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}

/// The control character that a letter names after `\`.
pub(super) const fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}

/// The low byte of the octal number at the front, at most `digits_max` digits long, and what follows it.
pub(super) fn octal(input: &[u8], digits_max: usize) -> (u8, &[u8]) {
    let len = input.iter().take(digits_max).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let (digits, after) = input.split_at_checked(len).unwrap_or((&[], input));
    (digits.iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')), after)
}
