//! What JSON Web Signatures are made of: base64url, JSON objects, three parts between dots.
//!
//! Strict where parsers differ, because a difference between two readers is a way around one of them: no padding, no
//! letters outside of the alphabet, no stray bits (RFC 7515 §2), no member twice (RFC 7515 §4), bounded depth and size.
//! Sources: RFC 7515, RFC 8725 §2.

use std::fmt;

use bartizan_config::JwtAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// LIMIT: bytes of a token; more than header fields of common servers take, and what bounds all work on it.
pub(crate) const TOKEN_BYTES_MAX: usize = 8192;
/// LIMIT: bytes of a header after decoding; real ones have 40 to 1,000 (with an embedded key).
const HEADER_BYTES_MAX: usize = 4096;
/// LIMIT: objects and lists within each other; real claims have three.
const DEPTH_MAX: u8 = 16;
/// LIMIT: bytes of a key's name (`kid`); it is only ever compared.
pub(crate) const KEY_ID_BYTES_MAX: usize = 256;

/// A token in its three parts, nothing of it verified.
#[derive(Debug)]
pub(crate) struct Compact<'t> {
    pub(crate) header: Map<String, Value>,
    /// The payload, decoded
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// What is signed: header and payload as they were sent
    pub(crate) signed: &'t [u8],
}

/// Why text is no signed token; the words are evidence.
pub(crate) type Malformed = &'static str;

impl<'t> Compact<'t> {
    /// Takes a token apart.
    pub(crate) fn parse(token: &'t [u8]) -> Result<Self, Malformed> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("it is longer than 8192 bytes");
        }
        let mut dots = memchr::memchr_iter(b'.', token);
        let found = (dots.next(), dots.next(), dots.next());
        let more = dots.count();
        let (first, second) = match found {
            (Some(first), Some(second), None) => (first, second),
            (Some(_), Some(_), Some(_)) if more == 1 => return Err("it is encrypted (JWE)"),
            _ => return Err("it has not three parts"),
        };
        let part = |from: usize, to: usize| token.get(from..to).unwrap_or_default();
        let header = part(0, first);
        if header.len() > HEADER_BYTES_MAX / 3 * 4 {
            return Err("its header is longer than 4096 bytes");
        }
        Ok(Self {
            header: object(&base64url(header).ok_or("its header is not base64url")?)
                .ok_or("its header is not a JSON object with unique members")?,
            payload: base64url(part(first + 1, second)).ok_or("its payload is not base64url")?,
            signature: base64url(part(second + 1, token.len())).ok_or("its signature is not base64url")?,
            signed: part(0, second),
        })
    }

    /// A member of the header that is text; `Err` when it is something else.
    pub(crate) fn header_text(&self, name: &str) -> Result<Option<&str>, ()> {
        match self.header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(()),
        }
    }

    /// The key's name; `Err` when it is no text or too long.
    pub(crate) fn key_id(&self) -> Result<Option<&str>, ()> {
        match self.header_text("kid")? {
            Some(id) if id.len() > KEY_ID_BYTES_MAX => Err(()),
            id => Ok(id),
        }
    }
}

/// base64url without padding, and nothing else (RFC 7515 §2).
pub(crate) fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// What RFC 9864 §2.2 calls EdDSA with Ed25519, the only curve of it that is supported here.
pub(crate) const ED25519: &str = "Ed25519";

/// The algorithm of this name; `none` is not among them.
pub(crate) fn algorithm(name: &str) -> Option<JwtAlgorithm> {
    if name == ED25519 {
        return Some(JwtAlgorithm::EdDsa);
    }
    JwtAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
}

/// A JSON object in which no member stands twice, at any depth.
pub(crate) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Unique { depth: 0 }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    match value {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Reads any value; refuses a member that stands twice, and more depth than [`DEPTH_MAX`].
#[derive(Clone, Copy)]
struct Unique {
    depth: u8,
}

impl Unique {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth < DEPTH_MAX { Ok(Self { depth: self.depth + 1 }) } else { Err(E::custom("too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside::<A::Error>()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.inside::<A::Error>()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inside)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth_and_in_any_spelling() {
        assert!(object(br#"{"a":1,"b":{"a":2}}"#).is_some());
        for text in
            [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"\u0061":2}]}"#, r#"{"a":1} {}"#, "[]", "", "{\"a\":\"\u{1}\"}"]
        {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(nested(15).as_bytes()).is_some());
        assert!(object(nested(16).as_bytes()).is_none());
        assert!(object(nested(100_000).as_bytes()).is_none());
    }

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(base64url(b"_-8"), Some(vec![0xff, 0xef]));
        for text in ["_-8=", "/+8", "_-9", "_ -8", "_-8\n", "A"] {
            assert_eq!(base64url(text.as_bytes()), None, "{text}");
        }
    }
}
