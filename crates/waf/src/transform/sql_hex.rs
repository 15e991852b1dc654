//! `sqlHexDecode`: `0x616263`, as SQL writes a string, becomes `abc`.
//!
//! `0x` without two digits after it stays, and so does an odd digit at the end of a number. libmodsecurity 3.0.9 also drops the
//! last byte of every value and ends at the first NUL; this does neither.

use super::hex;

pub(super) fn decode(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'0', [b'x' | b'X', digits @ ..])
                if let [high, low, ..] = digits
                    && hex::pair(*high, *low).is_some() =>
            {
                pairs(digits, out)
            }
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}

/// Decodes the pairs of digits at the front; gives what follows them.
fn pairs<'a>(mut input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    while let [high, low, after @ ..] = input
        && let Some(decoded) = hex::pair(*high, *low)
    {
        out.push(decoded);
        input = after;
    }
    input
}
