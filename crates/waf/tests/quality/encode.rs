//! The ways in which a payload is written.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Percent-encodes all but letters, digits and `keep`.
pub fn percent(bytes: &[u8], keep: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// As a browser writes a query component.
pub fn component(text: &str) -> String {
    percent(text.as_bytes(), b"-_.~!*()'")
}

pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

pub fn base64_url(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// A JSON string without its quotes.
pub fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A JSON string in which everything is written `\uXXXX`.
pub fn json_unicode(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut out, unit| {
        let _ = write!(out, "\\u{unit:04x}");
        out
    })
}

/// Text of an element or attribute.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            _ => out.push(character),
        }
    }
    out
}

/// The same with a numeric entity for every character.
pub fn xml_entities(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        let _ = write!(out, "&#x{:x};", u32::from(character));
        out
    })
}

/// Every second letter in the other case.
pub fn mixed_case(text: &str) -> String {
    let mut is_upper = false;
    text.chars()
        .map(|character| {
            if !character.is_ascii_alphabetic() {
                return character;
            }
            is_upper = !is_upper;
            if is_upper { character.to_ascii_uppercase() } else { character.to_ascii_lowercase() }
        })
        .collect()
}

/// `␍` and `␊` of the tables become the bytes.
pub fn controls(text: &str) -> String {
    text.replace('␍', "\r").replace('␊', "\n")
}
