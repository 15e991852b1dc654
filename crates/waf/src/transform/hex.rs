//! Hexadecimal digits: `hexDecode`, `hexEncode`, and what the other decoders need.
//!
//! `hexDecode` takes two characters at a time whatever they are, as libmodsecurity does: what is not a digit gives a byte without
//! meaning, and an odd character at the end is dropped.

/// The value of a hexadecimal digit.
pub(super) const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hexadecimal digits write.
pub(super) const fn pair(high: u8, low: u8) -> Option<u8> {
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Some(high << 4 | low),
        _ => None,
    }
}

pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    let (pairs, _) = input.as_chunks::<2>();
    out.extend(pairs.iter().map(|&[high, low]| careless(high).wrapping_mul(16).wrapping_add(careless(low))));
}

/// A digit's value, and some value for what is none.
const fn careless(byte: u8) -> u8 {
    if byte >= b'A' { (byte & 0xdf).wrapping_sub(b'A').wrapping_add(10) } else { byte.wrapping_sub(b'0') }
}

pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    const fn letter(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
    }
    out.extend(input.iter().flat_map(|&byte| [letter(byte >> 4), letter(byte & 15)]));
}
