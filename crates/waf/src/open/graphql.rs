//! The strings in a document of GraphQL, each with the name of the argument or field that it is given to.
//!
//! A value that is written into a document instead of into `variables` reaches the same resolver, so rules look at it on
//! its own. This is no parser: a string is what stands between quotes outside of a comment, and its name is the last one
//! that a colon followed. What is not GraphQL gives strings that nobody asks for, at the cost of one pass over it.
//!
//! Source: GraphQL (September 2025) §2.1 ignored tokens and comments, §2.9.4 string values and block strings.

use std::borrow::Cow;

use bartizan_content::block_string_length;
use bartizan_content::encoding::{braced_char, hex4};

/// Whether the text is a document: it begins as an operation, a fragment or a selection does and ends with a brace, the
/// tokens aside that a server ignores (byte order marks, white space, commas, comments) and descriptions in front.
pub(super) fn is_document(text: &[u8]) -> bool {
    let begin = behind_ignored(text);
    let described = begin.first().filter(|byte| **byte == b'"').and_then(|_| behind_string(begin)).map(behind_ignored);
    let is_begun = match described {
        Some(behind) => is_operation(behind),
        None => begin.starts_with(b"{") || is_operation(begin),
    };
    is_begun && (text.ends_with(b"}") || ends_with_brace(begin))
}

/// Whether the text begins as an operation or a fragment does.
fn is_operation(text: &[u8]) -> bool {
    const KEYWORDS: [&[u8]; 4] = [b"query", b"mutation", b"subscription", b"fragment"];
    let behind = KEYWORDS.iter().find_map(|keyword| text.strip_prefix(*keyword));
    behind.and_then(<[u8]>::first).is_some_and(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

/// Whether the last token that counts is a closing brace. What a comment is can only be told from the front: a number sign
/// may stand in a string.
fn ends_with_brace(document: &[u8]) -> bool {
    let (mut rest, mut is_brace) = (document, false);
    loop {
        rest = behind_ignored(rest);
        let Some((byte, behind)) = rest.split_first() else { return is_brace };
        is_brace = *byte == b'}';
        rest = match *byte {
            b'"' => match behind_string(rest) {
                Some(behind) => behind,
                None => return false,
            },
            _ => behind,
        };
    }
}

/// What follows the tokens that are ignored (§2.1).
fn behind_ignored(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match rest {
            [b' ' | b'\t' | b'\r' | b'\n' | b',', behind @ ..] | [0xef, 0xbb, 0xbf, behind @ ..] => behind,
            [b'#', ..] => memchr::memchr2(b'\n', b'\r', rest).and_then(|end| rest.get(end..)).unwrap_or_default(),
            _ => return rest,
        };
    }
}

/// What follows the string that the text begins with; `None` when it does not end.
fn behind_string(text: &[u8]) -> Option<&[u8]> {
    match text.strip_prefix(b"\"\"\"") {
        Some(block) => block.get(block_string_length(block)? + 3..),
        None => {
            let inner = text.get(1..)?;
            inner.get(closing_quote(inner)? + 1..)
        }
    }
}

/// Names and strings, one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strings<'a> {
    rest: &'a [u8],
    name: &'a [u8],
}

impl<'a> Strings<'a> {
    pub(super) const fn of(document: &'a [u8]) -> Self {
        Self { rest: document, name: b"" }
    }

    /// Skips to the next quote, keeping the last name with a colon behind it; the text from the quote on.
    fn seek(&mut self) -> Option<&'a [u8]> {
        loop {
            let at = self.rest.iter().position(|byte| matches!(byte, b'"' | b'#' | b':'))?;
            let (before, found) = self.rest.split_at_checked(at)?;
            match found.first()? {
                b'"' => return Some(found),
                b'#' => {
                    let end = memchr::memchr2(b'\n', b'\r', found)?;
                    self.rest = found.get(end..)?;
                }
                _ => {
                    self.name = last_name(before);
                    self.rest = found.get(1..)?;
                }
            }
        }
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = (&'a [u8], Cow<'a, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = self.seek()?;
            let (text, behind) = match found.strip_prefix(b"\"\"\"") {
                Some(block) => {
                    let end = block_string_length(block)?;
                    (Cow::Borrowed(block.get(..end)?), block.get(end + 3..)?)
                }
                None => {
                    let inner = found.get(1..)?;
                    let end = closing_quote(inner)?;
                    (unescaped(inner.get(..end)?), inner.get(end + 1..)?)
                }
            };
            self.rest = behind;
            if !self.name.is_empty() {
                return Some((self.name, text));
            }
        }
    }
}

/// The name that ends the text, white space aside; empty when something else does.
fn last_name(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_end();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let len = text.iter().rev().take_while(|byte| is_name(byte)).count();
    text.get(text.len() - len..).unwrap_or_default()
}

fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })
}

/// What the escapes of a string stand for; a broken one stays as it is.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((kind, behind)) = rest.split_first() else { break };
        rest = behind;
        match kind {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => match escaped_char(rest) {
                Some((character, behind)) => {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = behind;
                }
                None => out.extend_from_slice(b"\\u"),
            },
            other => out.push(*other),
        }
    }
    Cow::Owned(out)
}

/// The character that `\u` with this text behind it stands for, and what is left of the text.
fn escaped_char(text: &[u8]) -> Option<(char, &[u8])> {
    if let Some(braced) = text.strip_prefix(b"{") {
        let (character, digits) = braced_char(braced)?;
        return Some((character, braced.get(digits + 1..)?));
    }
    let (digits, behind) = text.split_first_chunk::<4>()?;
    Some((char::from_u32(u32::from(hex4(digits)?))?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expected: &[(&str, &str)]) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found: Vec<_> = Strings::of(document.as_bytes()).map(|(name, value)| (text(name), text(&value))).collect();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{document}");
    }

    #[test]
    fn strings_have_the_names_of_their_arguments() {
        check(r#"{ a(b: "c", d: ["e", "f"]) }"#, &[("b", "c"), ("d", "e"), ("d", "f")]);
        check(r#"{ a(where: {name: {eq: "x"}}) }"#, &[("eq", "x")]);
        check("{ a(b: \"\"\"c \"d\"\ne\"\"\", f: \"g\") }", &[("b", "c \"d\"\ne"), ("f", "g")]);
        check("{ a(b: \"\"\"c \\\"\"\" d\"\"\") }", &[("b", "c \\\"\"\" d")]);
        check("{ # \"no\": \"string\"\n a(b: \"c\") }", &[("b", "c")]);
    }

    #[test]
    fn a_document_is_told_by_its_first_and_last_token_that_count() {
        for (is_so, text) in [
            (true, "{a}"),
            (true, "{a}#"),
            (true, "{a},# {"),
            (true, "{a(b:\"# } \\\" {\")}#"),
            (true, "{a(b:\"\"\"# } \" {\"\"\")}#"),
            (true, "{a(b:\"no end)}"),
            (false, "{a(b:\"no end)}#"),
            (false, "{a}b"),
            // Not looked at more closely: what ends in a brace as it stands.
            (true, "{a #}"),
            (false, "#{a}"),
            (false, ",,"),
            (false, "\"{\"}"),
            (false, "\"a\"{b}"),
            (false, ""),
        ] {
            assert_eq!(is_document(text.as_bytes()), is_so, "{text}");
        }
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_stay() {
        check(r#"{ a(b: "\u0027 \"or\" \\ \n1") }"#, &[("b", "' \"or\" \\ \n1")]);
        check(r#"{ a(b: "\u00g1 \ud800") }"#, &[("b", "\\u00g1 \\ud800")]);
        check(r#"{ a(b: "\u{27} \u+041 \u{} \u{27") }"#, &[("b", "' \\u+041 \\u{} \\u{27")]);
    }

    #[test]
    fn what_does_not_end_is_no_string() {
        check(r#"{ a(b: "c"#, &[]);
        check(r#"{ a(b: "c\"#, &[]);
        check("{ a(b: \"\"\"c\"\"", &[]);
        check("{ # a: \"b\"", &[]);
    }
}
