//! Percent encoding: `urlDecode`, `urlDecodeUni`, `urlEncode`.
//!
//! Lenient as browsers and servers are: `+` is a blank, a `%` without two hexadecimal digits stands for itself.
//! `urlDecodeUni` also knows IIS's `%uXXXX`. Without a code page map the low byte counts (`%u0027` and `%u0127` are both `'`),
//! and the full-width forms U+FF01 to U+FF5E become the ASCII characters that they show.
//!
//! Sources: RFC 3986 §2.1; WHATWG URL, "application/x-www-form-urlencoded parsing"; libmodsecurity 3.0.9, observed.

use super::ByteSet;
use super::hex;

/// What `urlEncode` leaves as it is.
pub(super) const UNRESERVED: ByteSet =
    ByteSet::of(b"*").with_range(b'0', b'9').with_range(b'A', b'Z').with_range(b'a', b'z');

pub(super) fn url_decode(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'%', [high, low, after @ ..]) if let Some(decoded) = hex::pair(*high, *low) => {
                out.push(decoded);
                after
            }
            (b'+', _) => {
                out.push(b' ');
                rest
            }
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}

pub(super) fn url_decode_uni(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = match (byte, rest) {
            (b'%', [b'u' | b'U', a, b, c, d, after @ ..])
                if let (Some(high), Some(low)) = (hex::pair(*a, *b), hex::pair(*c, *d)) =>
            {
                out.push(fold_code_unit(high, low));
                after
            }
            (b'%', [high, low, after @ ..]) if let Some(decoded) = hex::pair(*high, *low) => {
                out.push(decoded);
                after
            }
            (b'+', _) => {
                out.push(b' ');
                rest
            }
            _ => {
                out.push(byte);
                rest
            }
        };
    }
}

/// The byte that stands for a UTF-16 code unit: the ASCII form of full-width characters, else the low byte.
pub(super) const fn fold_code_unit(high: u8, low: u8) -> u8 {
    match (high, low) {
        (0xff, 0x01..=0x5e) => low + 0x20,
        _ => low,
    }
}

pub(super) fn url_encode(input: &[u8], out: &mut Vec<u8>) {
    for &byte in input {
        match byte {
            b' ' => out.push(b'+'),
            _ if UNRESERVED.contains(byte) => out.push(byte),
            _ => {
                out.push(b'%');
                hex::encode(&[byte], out);
            }
        }
    }
}
