//! A token in the `Authorization` field: the only place it may stand.
//!
//! Tokens in a query or a form end in logs and are not accepted (RFC 9700 §2.6). Source: RFC 6750 §2.1, RFC 9449 §7.1.

use super::checks;
use super::verified::Fault;
use crate::fields::{Fields, Role};

/// The parts of an `Authorization` field (RFC 9110 §11.4).
#[derive(Debug)]
pub(crate) struct Authorization<'a> {
    /// In lower case
    pub(crate) scheme: Vec<u8>,
    pub(crate) credentials: &'a [u8],
}

/// A token as presented.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) scheme: TokenScheme,
}

/// How it was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenScheme {
    Bearer,
    Dpop,
}

/// Two `Authorization` fields: the upstream may read the other one.
pub(crate) const TWO_FIELDS: Fault = Fault::new(&checks::AMBIGUOUS, "there are two `Authorization` fields");

/// The only `Authorization` field.
pub(crate) fn authorization<'a>(fields: &Fields<'a>) -> Result<Option<Authorization<'a>>, Fault> {
    let Some(value) = fields.authorization else { return Ok(None) };
    if fields.roles.iter().filter(|role| **role == Role::Authorization).count() > 1 {
        return Err(TWO_FIELDS);
    }
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(space).unwrap_or((value, b""));
    Ok(Some(Authorization { scheme: scheme.to_ascii_lowercase(), credentials: rest.trim_ascii() }))
}

/// The token that a request presents.
pub(crate) fn presented<'a>(fields: &Fields<'a>) -> Result<Option<Presented<'a>>, Fault> {
    let Some(Authorization { scheme, credentials: text }) = authorization(fields)? else { return Ok(None) };
    let scheme = match scheme.as_slice() {
        b"bearer" => TokenScheme::Bearer,
        b"dpop" => TokenScheme::Dpop,
        _ => return Ok(None),
    };
    if text.is_empty() || !text.iter().fold(true, |all, byte| all & is_of_token(*byte)) {
        return Err(Fault::new(&checks::MALFORMED, "what follows the scheme is not a token"));
    }
    Ok(Some(Presented { text, scheme }))
}

/// PERF: without a branch, so that many bytes are compared at once; tokens have some 700, and each call has one.
const fn is_of_token(byte: u8) -> bool {
    let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    let is_digit = byte.wrapping_sub(b'0') < 10;
    let is_mark = (byte == b'-') | (byte == b'.') | (byte == b'_') | (byte == b'~') | (byte == b'+');
    is_letter | is_digit | is_mark | (byte == b'/') | (byte == b'=')
}

#[cfg(test)]
mod tests {
    use super::is_of_token;

    #[test]
    fn a_token_is_made_of_what_rfc_6750_says() {
        for byte in 0..=u8::MAX {
            let wanted = byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
            assert_eq!(is_of_token(byte), wanted, "{}", byte.escape_ascii());
        }
    }
}
