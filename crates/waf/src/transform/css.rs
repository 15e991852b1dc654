//! `cssDecode`: CSS escapes, `\` and one to six hexadecimal digits with one white space after them, or `\` and any character.
//!
//! Only the last two digits count, and four to six digits that end in `ff01` to `ff5e` with nothing but zeros before them are
//! full-width forms, which become the ASCII characters that they show. `\` and a line feed vanish, so does a `\` at the end.
//!
//! Sources: CSS 2.1 §4.1.3; libmodsecurity 3.0.9, observed (which cuts its result at the first NUL; this does not).

use super::hex;
use super::percent::fold_code_unit;
use super::space::is_space;

const DIGITS_MAX: usize = 6;

pub(super) fn decode(mut input: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = input.split_first() {
        if byte != b'\\' {
            out.push(byte);
            input = rest;
            continue;
        }
        let len = rest.iter().take(DIGITS_MAX).take_while(|byte| byte.is_ascii_hexdigit()).count();
        input = match (rest.split_at_checked(len), rest) {
            (Some((digits @ [_, ..], after)), _) => {
                out.push(character(digits));
                match after {
                    [space, after @ ..] if is_space(*space) => after,
                    _ => after,
                }
            }
            (_, [b'\n', after @ ..]) => after,
            (_, [character, after @ ..]) => {
                out.push(*character);
                after
            }
            (_, []) => rest,
        };
    }
}

/// The byte that one to six hexadecimal digits write.
fn character(digits: &[u8]) -> u8 {
    let value =
        digits.iter().filter_map(|&byte| hex::digit(byte)).fold(0_u32, |value, digit| value << 4 | u32::from(digit));
    let [more, high, low] = match value.to_be_bytes() {
        [_, more, high, low] => [more, high, low],
    };
    if more == 0 && digits.len() >= 4 { fold_code_unit(high, low) } else { low }
}
