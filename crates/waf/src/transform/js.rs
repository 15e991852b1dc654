//! `jsDecode`: JavaScript's escapes `\uHHHH`, `\xHH`, `\OOO`, `\n` and the like; any other escaped character stands for itself.
//!
//! Of `\uHHHH` the low byte counts, and full-width forms become ASCII. A third octal digit is left alone where it would make more
//! than a byte. A `\` at the very end stays.
//!
//! Sources: ECMA-262 §12.9.4, annex B.1.2; libmodsecurity 3.0.9, observed.

use super::percent::fold_code_unit;
use super::{escape, hex};

pub(super) fn decode(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'\\', [b'u', a, b, c, d, after @ ..])
                if let (Some(high), Some(low)) = (hex::pair(*a, *b), hex::pair(*c, *d)) =>
            {
                out.push(fold_code_unit(high, low));
                after
            }
            (b'\\', [b'x', high, low, after @ ..]) if let Some(decoded) = hex::pair(*high, *low) => {
                out.push(decoded);
                after
            }
            (b'\\', [first @ b'0'..=b'7', ..]) => {
                let digits_max = if *first > b'3' { 2 } else { 3 };
                let (value, after) = escape::octal(rest, digits_max);
                out.push(value);
                after
            }
            (b'\\', [character, after @ ..]) => {
                out.push(escape::control(*character).unwrap_or(*character));
                after
            }
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}
