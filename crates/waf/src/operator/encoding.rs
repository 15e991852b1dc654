//! Whether bytes are what they should be: `validateByteRange`, `validateUrlEncoding`, `validateUtf8Encoding`.
//!
//! Each holds when something is wrong. UTF-8 is RFC 3629's: libmodsecurity lets sequences above U+10FFFF pass, this does not.

use std::ops::RangeInclusive;

use super::Fault;
use crate::transform::ByteSet;

/// The bytes that `1-255,10,13` allows.
pub(super) fn byte_range(argument: &[u8]) -> Result<ByteSet, Fault> {
    argument.split(|&byte| byte == b',').try_fold(ByteSet::EMPTY, |set, item| {
        let range = range(item).ok_or_else(|| Fault {
            message: format!("`{}` is not a byte or a range of bytes", item.trim_ascii().escape_ascii()),
            help: "write numbers from 0 to 255, and ranges with the smaller number first: `10,13,32-126`".to_owned(),
        })?;
        Ok(set.with_range(*range.start(), *range.end()))
    })
}

fn range(item: &[u8]) -> Option<RangeInclusive<u8>> {
    let item = str::from_utf8(item).ok()?;
    let byte = |text: &str| text.trim().parse::<u8>().ok();
    let range = match item.split_once('-') {
        Some((first, last)) => byte(first)?..=byte(last)?,
        None => byte(item)?..=byte(item)?,
    };
    (!range.is_empty()).then_some(range)
}

pub(super) fn has_byte_outside(input: &[u8], allowed: &ByteSet) -> bool {
    input.iter().any(|&byte| !allowed.contains(byte))
}

pub(super) fn has_bad_percent(mut input: &[u8]) -> bool {
    while let Some(rest) = memchr::memchr(b'%', input).and_then(|at| input.get(at + 1..)) {
        match rest {
            [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => input = after,
            _ => return true,
        }
    }
    false
}

pub(super) fn has_bad_utf8(input: &[u8]) -> bool {
    str::from_utf8(input).is_err()
}
