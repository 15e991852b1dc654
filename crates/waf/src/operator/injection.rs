//! libinjection: `detectSQLi` and `detectXSS`, behind gates that prove most values harmless without it.
//!
//! Tokenizing costs microseconds a value, a gate nanoseconds. A gate only ever says "no": what it says no to, libinjection says no
//! to as well (property-tested on words and marks of SQL and HTML, and on the payloads of the Core Rule Set).
//!
//! Sources: libinjection (Nick Galbreath, BSD-3-Clause), as ported by `barbacane-libinjection`.

mod sqli_gate;
mod words;

use std::borrow::Cow;

use libinjectionrs::{SqliFlags, SqliState, XssDetector};
use smallvec::SmallVec;

/// LIMIT: bytes times dots of one word. The port looks up what stands before each dot of a word, which takes quadratic time; beyond
/// this (a word of 1,450 bytes, half of them dots) dots no longer count as such.
const WORD_COST_MAX: usize = 1 << 20;

/// Where dots of an overlong word begin not to count: behind any keyword that a word could begin with.
const WORD_HEAD: usize = 64;

/// Whether no proof rules out that there is SQL injection in `input`.
pub(crate) fn may_be_sqli(input: &[u8]) -> bool {
    !sqli_gate::is_harmless(input)
}

/// Bytes of the longest fingerprint of libinjection.
const FINGERPRINT_BYTES_MAX: usize = 8;

/// The kinds of tokens that libinjection found, a letter or mark each.
pub(super) type Fingerprint = SmallVec<[u8; FINGERPRINT_BYTES_MAX]>;

/// The fingerprint of the SQL injection in `input`, if there is one.
pub(super) fn sqli(input: &[u8]) -> Option<Fingerprint> {
    if sqli_gate::is_harmless(input) { None } else { sqli_ungated(input) }
}

/// Whether there is HTML with script in `input`.
pub(super) fn is_xss(input: &[u8]) -> bool {
    may_be_xss(input) && is_xss_ungated(input)
}

fn sqli_ungated(input: &[u8]) -> Option<Fingerprint> {
    let input = bounded(input);
    let mut state = SqliState::new(&input, SqliFlags::FLAG_NONE);
    state.detect().then(|| state.fingerprint.iter().copied().take_while(|kind| *kind != 0).collect())
}

fn is_xss_ungated(input: &[u8]) -> bool {
    XssDetector::new().detect(input).is_injection()
}

/// Nothing counts as XSS but tags, comments and declarations, which begin with `<`, and values of attributes, which follow `=`.
fn may_be_xss(input: &[u8]) -> bool {
    memchr::memchr2(b'<', b'=', input).is_some()
}

/// The value with the dots of overlong words made harmless.
fn bounded(input: &[u8]) -> Cow<'_, [u8]> {
    let is_dot = |byte: &u8| matches!(byte, b'.' | b'`');
    let is_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'$') || is_dot(byte);
    let dots = memchr::memchr2_iter(b'.', b'`', input).count();
    if dots.saturating_mul(input.len()) <= WORD_COST_MAX {
        return Cow::Borrowed(input);
    }
    let mut owned = input.to_vec();
    for word in owned.split_mut(|byte| !is_word(byte)) {
        if word.iter().filter(|byte| is_dot(byte)).count().saturating_mul(word.len()) > WORD_COST_MAX {
            word.iter_mut().skip(WORD_HEAD).filter(|byte| is_dot(byte)).for_each(|byte| *byte = b'_');
        }
    }
    Cow::Owned(owned)
}

#[cfg(test)]
mod tests;
