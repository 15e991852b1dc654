//! The tokens of GraphQL (§2.1): one at a time, each a span of the source.

use memchr::memmem;

use crate::tree::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Name,
    Number,
    /// The opening quote of a string, which the parser then reads
    Quote,
    /// A block string, without its quotes
    BlockString,
    Bang,
    Dollar,
    OpenParenthesis,
    CloseParenthesis,
    Spread,
    Colon,
    Equals,
    At,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    /// Bytes that begin no token
    Unknown,
    End,
}

/// The tokens of a document from `at` on.
#[derive(Clone)]
pub(super) struct Tokens<'a> {
    source: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self { source, at: 0 }
    }

    /// The next token; for a string only its opening quote.
    pub(super) fn next(&mut self) -> (Token, Span) {
        self.skip_ignored();
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let punctuator = |token, length| (token, length, Span::source(start, start + length));
        let run = |accepts: fn(u8) -> bool| rest.iter().take_while(|&&byte| accepts(byte)).count();
        let (token, length, span) = match rest {
            [] => punctuator(Token::End, 0),
            [b'_' | b'a'..=b'z' | b'A'..=b'Z', ..] => {
                punctuator(Token::Name, run(|byte| byte == b'_' || byte.is_ascii_alphanumeric()))
            }
            [b'-' | b'0'..=b'9', ..] => {
                punctuator(Token::Number, run(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')))
            }
            [b'"', b'"', b'"', inside @ ..] => match block_string_length(inside) {
                Some(length) => (Token::BlockString, length + 6, Span::source(start + 3, start + 3 + length)),
                None => punctuator(Token::Unknown, 3),
            },
            [b'"', ..] => punctuator(Token::Quote, 1),
            [b'.', b'.', b'.', ..] => punctuator(Token::Spread, 3),
            [b'!', ..] => punctuator(Token::Bang, 1),
            [b'$', ..] => punctuator(Token::Dollar, 1),
            [b'(', ..] => punctuator(Token::OpenParenthesis, 1),
            [b')', ..] => punctuator(Token::CloseParenthesis, 1),
            [b':', ..] => punctuator(Token::Colon, 1),
            [b'=', ..] => punctuator(Token::Equals, 1),
            [b'@', ..] => punctuator(Token::At, 1),
            [b'[', ..] => punctuator(Token::OpenBracket, 1),
            [b']', ..] => punctuator(Token::CloseBracket, 1),
            [b'{', ..] => punctuator(Token::OpenBrace, 1),
            [b'}', ..] => punctuator(Token::CloseBrace, 1),
            [_, ..] => punctuator(Token::Unknown, 1),
        };
        self.at += length;
        (token, span)
    }

    /// White space, commas, comments and byte order marks (§2.1.1 to §2.1.7).
    fn skip_ignored(&mut self) {
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            self.at += match rest {
                [b' ' | b'\t' | b'\r' | b'\n' | b',', ..] => 1,
                [0xef, 0xbb, 0xbf, ..] => 3,
                [b'#', ..] => memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
                _ => return,
            };
        }
    }
}

/// The bytes of a block string of GraphQL before its closing `"""`, where `\"""` closes nothing; `inside` begins behind the opening
/// one. `None` when it does not end.
pub fn block_string_length(inside: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memmem::find(inside.get(from..)?, b"\"\"\"")?;
        let is_escaped = at.checked_sub(1).and_then(|before| inside.get(before)) == Some(&b'\\');
        if !is_escaped {
            return Some(at);
        }
        from = at + 3;
    }
}
