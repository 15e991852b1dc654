//! Base64: `base64Decode`, `base64DecodeExt`, `base64Encode`.
//!
//! `base64Decode` decodes up to the first character that is not of the alphabet (line ends are passed over) and keeps what the
//! characters so far are good for. libmodsecurity 3.0.9 gives nothing at all for a value with one such character or without its
//! padding, so that a single `!` hides a payload; ModSecurity 2 and Coraza decode the leading part, and so does this.
//! `base64DecodeExt` passes over everything that is not of the alphabet, and takes `-` and `_` for `+` and `/`.
//!
//! Sources: RFC 4648 §4 and §5; libmodsecurity 3.0.9, observed.

const PAD: u8 = b'=';

/// Sextets, packed into bytes as they come.
#[derive(Default)]
struct Packer {
    bits: u32,
    len: u32,
}

impl Packer {
    fn push(&mut self, sextet: u8, out: &mut Vec<u8>) {
        self.bits = self.bits << 6 | u32::from(sextet);
        self.len += 6;
        if self.len >= 8 {
            self.len -= 8;
            let [.., byte] = (self.bits >> self.len).to_be_bytes();
            out.push(byte);
        }
    }
}

pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) {
    let mut packer = Packer::default();
    for &byte in input {
        match sextet(byte) {
            Some(sextet) => packer.push(sextet, out),
            None if matches!(byte, b'\r' | b'\n') => {}
            None => return,
        }
    }
}

pub(super) fn decode_leniently(input: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut packer = Packer::default();
    let mut sextets = 0_usize;
    for (index, &byte) in input.iter().enumerate() {
        match byte {
            // One sextet and one pad is no Base64 at all: nothing is given, as libmodsecurity has it.
            PAD if sextets % 4 == 1 && input.get(index + 1) != Some(&PAD) => return out.truncate(start),
            b'-' => {
                packer.push(62, out);
                sextets += 1;
            }
            b'_' => {
                packer.push(63, out);
                sextets += 1;
            }
            _ => {
                if let Some(sextet) = sextet(byte) {
                    packer.push(sextet, out);
                    sextets += 1;
                }
            }
        }
    }
}

pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) {
    for chunk in input.chunks(3) {
        let (bits, letters) = match *chunk {
            [a, b, c] => (u32::from_be_bytes([0, a, b, c]), 4),
            [a, b] => (u32::from_be_bytes([0, a, b, 0]), 3),
            [a] => (u32::from_be_bytes([0, a, 0, 0]), 2),
            _ => return,
        };
        for place in 0..4_u32 {
            out.push(if place < letters { letter(bits >> (18 - 6 * place) & 63) } else { PAD });
        }
    }
}

const fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[expect(clippy::indexing_slicing, reason = "the mask keeps the index below 64")]
const fn letter(sextet: u32) -> u8 {
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(sextet & 63) as usize]
}
