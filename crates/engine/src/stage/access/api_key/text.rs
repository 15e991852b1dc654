//! The text of an API key: its parts, its letters, its checksum. Source: RFC 4648 §6 (base32).

use std::fmt;

use crate::state::sha256;

/// Letters of a key's parts.
const PREFIX: &str = "bz";
const ID_CHARS: usize = 13;
const SECRET_CHARS: usize = 52;
const CHECKSUM_CHARS: usize = 8;

/// Public part of a key, from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiKeyId([u8; ID_CHARS]);

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// A key's text of the right form.
#[derive(Debug)]
pub(super) struct ApiKeyText<'a> {
    pub(super) whole: &'a str,
    pub(super) id: &'a str,
}

impl<'a> ApiKeyText<'a> {
    /// A key with the right parts, letters and checksum; `None` for anything else.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let whole = std::str::from_utf8(text).ok()?;
        let mut parts = whole.split('_');
        let (Some(PREFIX), Some(id), Some(secret), Some(sum), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let is_base32 = |text: &str| text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        let has_form = id.len() == ID_CHARS && secret.len() == SECRET_CHARS && sum.len() == CHECKSUM_CHARS;
        let unchecked = whole.get(..whole.len().checked_sub(CHECKSUM_CHARS + 1)?)?;
        (has_form && is_base32(id) && is_base32(secret) && checksum(unchecked) == sum).then_some(Self { whole, id })
    }
}

impl ApiKeyText<'_> {
    /// Its public part.
    pub(super) fn id(&self) -> ApiKeyId {
        ApiKeyId(self.id.as_bytes().try_into().unwrap_or([b'?'; ID_CHARS])) // its length was looked at
    }
}

/// The text of a key with this id and secret.
pub(super) fn written(id: &str, secret: &[u8]) -> String {
    let unchecked = format!("{PREFIX}_{id}_{}", base32(secret));
    format!("{unchecked}_{}", checksum(&unchecked))
}

/// Tells a mistyped key; protects nothing.
fn checksum(text: &str) -> String {
    let digest = sha256(&[b"api key", text.as_bytes()]);
    digest.iter().take(CHECKSUM_CHARS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 4648 §6 in lower case, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut push = |five: u32| text.push(LETTERS.get((five & 31) as usize).copied().map_or('a', char::from));
    for byte in bytes {
        bits = (bits & 0x1f) << 8 | u32::from(*byte); // at most four bits are left over
        count += 8;
        while count >= 5 {
            count -= 5;
            push(bits >> count);
        }
    }
    if count > 0 {
        push(bits << (5 - count));
    }
    text
}
