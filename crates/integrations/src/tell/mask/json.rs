//! JSON: the values of members with telling names, at any depth, and what looks secret elsewhere.
//!
//! The text is copied token by token, so layout, key order and the spelling of numbers survive. serde_json says first
//! whether it is JSON at all (its scanner for skipped values does not recurse); text that is not is not masked but
//! refused. Strings that hold JSON themselves are masked inside, up to [`LEVELS_MAX`] levels.

use serde::de::IgnoredAny;

use super::{Masking, names};

/// LIMIT: levels of JSON in a string in JSON; each costs one pass over its text.
pub(super) const LEVELS_MAX: u8 = 3;

/// An open container.
struct Open {
    is_object: bool,
    /// Whether it stands under a telling name
    is_secret: bool,
}

/// The state of one pass.
struct Pass<'a> {
    masking: &'a Masking,
    levels: u8,
    text: &'a [u8],
    at: usize,
    masked: Vec<u8>,
    open: Vec<Open>,
    /// Whether the next string is a member's name
    is_name_next: bool,
    /// Whether the value to come has a telling name
    is_secret_next: bool,
}

impl Masking {
    /// One or several JSON documents, masked; `None` when `text` is not that.
    pub(super) fn json(&self, text: &[u8], levels: u8) -> Option<Vec<u8>> {
        let checked = std::str::from_utf8(text).ok()?;
        let mut documents = serde_json::Deserializer::from_str(checked).into_iter::<IgnoredAny>();
        if documents.any(|document| document.is_err()) {
            return None;
        }
        let pass = Pass {
            masking: self,
            levels,
            text,
            at: 0,
            masked: Vec::with_capacity(text.len()),
            open: Vec::new(),
            is_name_next: false,
            is_secret_next: false,
        };
        Some(pass.run())
    }
}

impl Pass<'_> {
    fn run(mut self) -> Vec<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'-' | b'0'..=b'9' => self.number(),
                _ => {
                    self.structure(byte);
                    self.masked.push(byte);
                    self.at += 1;
                }
            }
        }
        self.masked
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => {
                let is_object = byte == b'{';
                self.open.push(Open { is_object, is_secret: self.is_secret() });
                self.is_name_next = is_object;
                self.is_secret_next = false;
            }
            b'}' | b']' => {
                self.open.pop();
                self.is_name_next = false;
                self.is_secret_next = false;
            }
            b',' => {
                self.is_name_next = self.open.last().is_some_and(|open| open.is_object);
                self.is_secret_next = false;
            }
            b':' => self.is_name_next = false,
            _ => {}
        }
    }

    /// Whether the value here stands under a telling name.
    fn is_secret(&self) -> bool {
        self.is_secret_next || self.open.last().is_some_and(|open| open.is_secret)
    }

    fn string(&mut self) {
        let start = self.at + 1;
        let mut end = start;
        loop {
            let rest = self.text.get(end..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(found) if rest.get(found) == Some(&b'\\') => end += found + 2,
                Some(found) => {
                    end += found;
                    break;
                }
                None => {
                    end = self.text.len();
                    break;
                }
            }
        }
        self.at = end + 1;
        let raw = self.text.get(start..end).unwrap_or_default();
        let is_escaped = memchr::memchr(b'\\', raw).is_some();
        let plain = if is_escaped { unescaped(raw) } else { raw.to_vec() };
        let new = if self.is_name_next {
            self.is_secret_next = names::is_secret(&plain);
            self.masking.text(&plain)
        } else {
            self.value(&plain)
        };
        match new {
            Some(new) if new != plain => {
                let quoted =
                    serde_json::to_string(&String::from_utf8_lossy(&new)).unwrap_or_else(|_| "\"\"".to_owned());
                self.masked.extend_from_slice(quoted.as_bytes());
            }
            Some(_) | None => {
                self.masked.push(b'"');
                self.masked.extend_from_slice(raw);
                self.masked.push(b'"');
            }
        }
    }

    fn value(&self, plain: &[u8]) -> Option<Vec<u8>> {
        if self.is_secret() {
            return Some(self.masking.shape.mask(plain));
        }
        if self.levels > 0
            && matches!(plain.trim_ascii_start().first(), Some(b'{' | b'['))
            && let Some(inner) = self.masking.json(plain, self.levels - 1)
        {
            return Some(inner);
        }
        self.masking.text(plain)
    }

    fn number(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let bytes = rest.iter().take_while(|byte| is_of_number(byte)).count();
        let number = rest.get(..bytes).unwrap_or_default();
        if self.is_secret() || Masking::is_card(number) {
            self.masked.extend_from_slice(&self.masking.shape.mask_number(number));
        } else {
            self.masked.extend_from_slice(number);
        }
        self.at += bytes;
    }
}

/// The text that a JSON string's inside stands for; as it is when it cannot be told (a lone surrogate).
fn unescaped(raw: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", raw, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => text.into_bytes(),
        Err(_) => raw.to_vec(),
    }
}
