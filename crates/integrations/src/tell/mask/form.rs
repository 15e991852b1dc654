//! `name=value&…` pairs: query strings and form bodies. Pairs without a secret stay byte for byte.

use std::borrow::Cow;

use super::{Masking, json, names};

impl Masking {
    /// Every pair of `pairs`, masked where need be.
    pub(super) fn pairs(&self, pairs: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(pairs.len());
        for (at, pair) in pairs.split(|&byte| byte == b'&').enumerate() {
            if at > 0 {
                masked.push(b'&');
            }
            self.pair(pair, &mut masked);
        }
        masked
    }

    fn pair(&self, pair: &[u8], masked: &mut Vec<u8>) {
        let equals = memchr::memchr(b'=', pair);
        let (raw_name, raw_value) = match equals.and_then(|at| pair.split_at_checked(at)) {
            Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
            None => (&[][..], pair),
        };
        let (name, value) = (decoded(raw_name), decoded(raw_value));
        match self.text(&name) {
            Some(name) => masked.extend_from_slice(&encoded(&name)),
            None => masked.extend_from_slice(raw_name),
        }
        if equals.is_some() {
            masked.push(b'=');
        }
        let new = if names::is_secret_parameter(&name, &value) {
            Some(self.shape.mask(&value))
        } else if matches!(value.first(), Some(b'{' | b'[')) {
            self.json(&value, json::LEVELS_MAX - 1).or_else(|| self.text(&value))
        } else {
            self.text(&value)
        };
        match new {
            Some(new) if new != *value => masked.extend_from_slice(&encoded(&new)),
            Some(_) | None => masked.extend_from_slice(raw_value),
        }
    }
}

/// `raw` with `%HH` and `+` decoded.
pub(super) fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut plain = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        rest = match rest {
            [] => return Cow::Owned(plain),
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                plain.push(digit(*high).unwrap_or_default() * 16 + digit(*low).unwrap_or_default());
                tail
            }
            [b'+', tail @ ..] => {
                plain.push(b' ');
                tail
            }
            [byte, tail @ ..] => {
                plain.push(*byte);
                tail
            }
        };
    }
}

/// `plain` with everything percent-encoded that may not stand in a query (RFC 3986 §3.4), and what would part pairs.
pub(super) fn encoded(plain: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(plain.len());
    for byte in plain {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => raw.push(*byte),
            _ if b"-._~!$'()*,:@".contains(byte) => raw.push(*byte),
            _ => raw.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    raw
}
