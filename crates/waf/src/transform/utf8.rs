//! `utf8toUnicode`: every UTF-8 sequence of more than one byte becomes `%uXXXX`, lower case, four to six digits.
//!
//! As libmodsecurity has it: NUL bytes are dropped; so is a leading byte without its continuation bytes, while a continuation
//! byte without a leading byte stays. After an overlong form or a surrogate its leading byte is repeated, and 0xf5 to 0xf7,
//! which lead nothing in UTF-8, are kept before what they seem to lead.
//!
//! Sources: RFC 3629; libmodsecurity 3.0.9, observed.

use super::hex;

pub(super) fn to_unicode(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        input = rest;
        let (payload, continuations) = match byte {
            0 => continue,
            0xc0..=0xdf => (byte & 0x1f, 1),
            0xe0..=0xef => (byte & 0x0f, 2),
            0xf0..=0xf7 => (byte & 0x07, 3),
            0x01..=0xbf | 0xf8..=0xff => {
                out.push(byte);
                continue;
            }
        };
        if byte >= 0xf5 && continuations == 3 {
            out.push(byte);
        }
        if let Some((tail, after)) = rest.split_at_checked(continuations)
            && tail.iter().all(|&byte| byte & 0xc0 == 0x80)
        {
            input = after;
            let code_point = tail.iter().fold(u32::from(payload), |bits, &byte| bits << 6 | u32::from(byte & 0x3f));
            write(code_point, out);
            let is_overlong = match continuations {
                1 => code_point < 0x80,
                2 => code_point < 0x800,
                _ => code_point < 0x1_0000,
            };
            if is_overlong || matches!(code_point, 0xd800..=0xdfff) {
                out.push(byte);
            }
        }
    }
}

fn write(code_point: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"%u");
    let [_, plane, high, low] = code_point.to_be_bytes();
    if plane >= 0x10 {
        hex::encode(&[plane], out);
    } else if plane > 0 {
        out.push(if plane < 10 { b'0' + plane } else { b'a' + plane - 10 });
    }
    hex::encode(&[high, low], out);
}
