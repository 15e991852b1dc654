//! Ways in which payloads are changed so that rules meet what no test has: encodings, comments, blanks, pieces.

use fastrand::Rng;

/// One or a few changes, or none.
pub fn mutate(rng: &mut Rng, payload: &[u8], payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut changed = payload.to_vec();
    for _ in 0..rng.usize(0..4) {
        changed = change(rng, &changed, payloads);
    }
    changed
}

fn change(rng: &mut Rng, bytes: &[u8], payloads: &[Vec<u8>]) -> Vec<u8> {
    match rng.u8(0..20) {
        0 => each(rng, bytes, 2, |_, byte, out| out.push(byte ^ if byte.is_ascii_alphabetic() { 0x20 } else { 0 })),
        1 => each(rng, bytes, 4, |_, byte, out| out.extend(format!("%{byte:02x}").into_bytes())),
        2 => each(rng, bytes, 6, |_, byte, out| out.extend(format!("%25{byte:02X}").into_bytes())),
        3 => each(rng, bytes, 8, |_, byte, out| out.extend([b"/**/".as_slice(), &[byte]].concat())),
        4 => blanks(rng, bytes),
        5 => inserted(rng, bytes, &[0]),
        6 => each(rng, bytes, 5, |_, byte, out| out.extend(format!("&#x{byte:x};").into_bytes())),
        7 => each(rng, bytes, 5, |_, byte, out| out.extend(format!("\\u00{byte:02x}").into_bytes())),
        8 => each(rng, bytes, 5, |_, byte, out| out.extend(format!("\\x{byte:02x}").into_bytes())),
        9 => each(rng, bytes, 5, |_, byte, out| out.extend(format!("%u00{byte:02x}").into_bytes())),
        10 => each(rng, bytes, 6, wide),
        11 => each(rng, bytes, 6, |_, byte, out| out.extend([b'\\', byte])),
        12 => base64(bytes),
        13 => [b"'".as_slice(), bytes, b"'"].concat(),
        14 => [bytes, b" ", rng.choice(payloads).map_or(b"".as_slice(), |other| other)].concat(),
        15 => bytes[..rng.usize(0..=bytes.len())].to_vec(),
        16 => bytes[rng.usize(0..=bytes.len())..].to_vec(),
        17 => each(rng, bytes, 12, |rng, _, out| out.push(rng.u8(..))),
        18 => inserted(rng, bytes, b"\xc0\xaf"),
        _ => each(rng, bytes, 10, |_, byte, out| out.extend([byte, byte])),
    }
}

/// Passes about one byte in `one_in` through `replace`, the rest as it is.
fn each(rng: &mut Rng, bytes: &[u8], one_in: u32, replace: impl Fn(&mut Rng, u8, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        if rng.u32(0..one_in) == 0 { replace(rng, byte, &mut out) } else { out.push(byte) }
    }
    out
}

/// The full-width form of a printing byte, in UTF-8.
fn wide(_: &mut Rng, byte: u8, out: &mut Vec<u8>) {
    let symbol = if byte.is_ascii_graphic() { char::from_u32(0xFEE0 + u32::from(byte)) } else { None };
    out.extend(symbol.unwrap_or(char::from(byte)).to_string().into_bytes());
}

fn blanks(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    let blank: &[u8] = [b"\t".as_slice(), b"\n", b"\r\n", b"\x0b", b"\xa0", b"  ", b"+", b"/*x*/"][rng.usize(0..8)];
    bytes.split(|byte| *byte == b' ').collect::<Vec<_>>().join(blank)
}

fn inserted(rng: &mut Rng, bytes: &[u8], what: &[u8]) -> Vec<u8> {
    let (before, after) = bytes.split_at(rng.usize(0..=bytes.len()));
    [before, what, after].concat()
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes()
}
