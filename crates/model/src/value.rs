//! What one value looks like, from its bytes alone: the form evidence for path templating and parameter types.
//!
//! One pass over at most [`VALUE_BYTES_MAX`] bytes, no allocation. The kinds are ordered from most to least telling;
//! a value gets the first that fits.

use serde::{Deserialize, Serialize};

/// LIMIT: bytes of a value that are looked at; longer values are judged by their beginning.
const VALUE_BYTES_MAX: usize = 256;

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// No bytes
    Empty,
    /// `true` or `false`
    Boolean,
    /// Decimal digits, with an optional sign
    Integer,
    /// Digits with one point
    Decimal,
    /// 8-4-4-4-12 hexadecimal (RFC 9562)
    Uuid,
    /// `2026-01-31`, `20260131`-like with separators only
    Date,
    /// A date, `T`, a time (RFC 3339)
    DateTime,
    /// Dotted IPv4 or an IPv6 address
    Ip,
    /// Something `@` something with a dot
    Email,
    /// `http://…` or `https://…`
    Url,
    /// Three base64url parts, the first beginning `eyJ`
    Jwt,
    /// At least 8 hexadecimal digits, digits and letters both
    Hex,
    /// 16 or more letters, digits, `-`, `_`, `+`, `/`, `=` of mixed kind: keys, object ids, base64
    Token,
    /// Letters and digits mixed in a short code: `AB12-34`, `order42x`
    Code,
    /// Lower- or mixed-case words, perhaps joined by `-`, `_` or `.`
    Word,
    /// Anything else
    Text,
}

/// Counts of byte classes in a value.
#[derive(Default)]
struct Tally {
    digits: usize,
    lower: usize,
    upper: usize,
    hex: usize,
    joiners: usize,
    base64: usize,
    other: usize,
}

impl ValueKind {
    /// The word in events and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Uuid => "uuid",
            Self::Date => "date",
            Self::DateTime => "date_time",
            Self::Ip => "ip",
            Self::Email => "email",
            Self::Url => "url",
            Self::Jwt => "jwt",
            Self::Hex => "hex",
            Self::Token => "token",
            Self::Code => "code",
            Self::Word => "word",
            Self::Text => "text",
        }
    }

    /// The form of `value`, taken as it stands (decode before asking, where decoding is due).
    pub fn of(value: &[u8]) -> Self {
        let value = value.get(..VALUE_BYTES_MAX).unwrap_or(value);
        match value {
            [] => return Self::Empty,
            b"true" | b"false" => return Self::Boolean,
            _ => {}
        }
        let tally = Tally::of(value);
        if tally.digits > 0
            && let Some(kind) = numeric_form(value, &tally)
        {
            return kind;
        }
        lettered_form(value, &tally)
    }

    /// Whether a path segment of this form is a value, not a name, on its form alone.
    pub const fn is_identifier(self) -> bool {
        match self {
            Self::Integer
            | Self::Decimal
            | Self::Uuid
            | Self::Date
            | Self::DateTime
            | Self::Ip
            | Self::Email
            | Self::Url
            | Self::Jwt
            | Self::Hex
            | Self::Token => true,
            Self::Empty | Self::Boolean | Self::Code | Self::Word | Self::Text => false,
        }
    }
}

/// Whether these ASCII digits are the number of a payment card: of a length and with a beginning that are in use
/// (ISO/IEC 7812-1), and with a valid check digit (Luhn, annex B there). Times in milliseconds begin with 1, dates with
/// 20: neither passes.
pub fn is_card_number(digits: &[u8]) -> bool {
    let is_used = matches!(
        (digits.len(), digits.first()),
        (13 | 15, Some(b'3'..=b'6'))
            | (14, Some(b'3' | b'5' | b'6'))
            | (16, Some(b'2'..=b'6'))
            | (17..=19, Some(b'4'..=b'6'))
    );
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum = digits.iter().rev().enumerate().try_fold(0, |sum, (at, &byte)| {
        let digit = char::from(byte).to_digit(10)?;
        Some(sum + if at % 2 == 1 { doubled(digit) } else { digit })
    });
    is_used && sum.is_some_and(|sum: u32| sum.is_multiple_of(10))
}

impl Tally {
    fn of(value: &[u8]) -> Self {
        let mut tally = Self::default();
        for byte in value {
            match byte {
                b'0'..=b'9' => {
                    tally.digits += 1;
                    tally.hex += 1;
                }
                b'a'..=b'f' => {
                    tally.lower += 1;
                    tally.hex += 1;
                }
                b'A'..=b'F' => {
                    tally.upper += 1;
                    tally.hex += 1;
                }
                b'g'..=b'z' => tally.lower += 1,
                b'G'..=b'Z' => tally.upper += 1,
                b'-' | b'_' | b'.' => tally.joiners += 1,
                b'+' | b'/' | b'=' => tally.base64 += 1,
                _ => tally.other += 1,
            }
        }
        tally
    }

    fn letters(&self) -> usize {
        self.lower + self.upper
    }
}

/// Forms made mostly of digits.
fn numeric_form(value: &[u8], tally: &Tally) -> Option<ValueKind> {
    let len = value.len();
    let signed = matches!(value.first(), Some(b'-' | b'+'));
    if tally.digits == len || (signed && tally.digits == len - 1) {
        return Some(ValueKind::Integer);
    }
    if is_uuid(value) {
        return Some(ValueKind::Uuid);
    }
    if is_date(value) {
        return Some(if len == 10 { ValueKind::Date } else { ValueKind::DateTime });
    }
    let points = value.iter().filter(|&&byte| byte == b'.').count();
    if points == 1 && tally.digits + 1 + usize::from(signed) == len && tally.digits > 1 {
        return Some(ValueKind::Decimal);
    }
    let text = std::str::from_utf8(value).ok()?;
    if (points == 3 || text.contains(':')) && text.parse::<std::net::IpAddr>().is_ok() {
        return Some(ValueKind::Ip);
    }
    None
}

/// Forms with letters in them.
fn lettered_form(value: &[u8], tally: &Tally) -> ValueKind {
    let len = value.len();
    if is_uuid(value) {
        return ValueKind::Uuid; // a UUID of letters only
    }
    if value.starts_with(b"http://") || value.starts_with(b"https://") {
        return ValueKind::Url;
    }
    if is_email(value) {
        return ValueKind::Email;
    }
    if value.starts_with(b"eyJ") && value.iter().filter(|&&byte| byte == b'.').count() == 2 && tally.other == 0 {
        return ValueKind::Jwt;
    }
    if tally.other > 0 {
        return ValueKind::Text;
    }
    if tally.hex == len && len >= 8 && tally.digits > 0 && tally.letters() > 0 {
        return ValueKind::Hex;
    }
    if is_token(tally, len) && !is_worded(value) {
        return ValueKind::Token;
    }
    if tally.digits > 0 && tally.letters() > 0 {
        return ValueKind::Code;
    }
    if tally.letters() > 0 && tally.base64 == 0 { ValueKind::Word } else { ValueKind::Text }
}

/// Long, and mixed in a way that words are not: digits scattered among letters, or base64 punctuation with both cases.
fn is_token(tally: &Tally, len: usize) -> bool {
    let mixed_cases = tally.lower > 0 && tally.upper > 1;
    let scattered_digits = tally.digits >= 3 && tally.letters() >= 3 && tally.joiners * 6 <= len;
    len >= 16 && ((mixed_cases && tally.digits > 0) || scattered_digits || (tally.base64 > 0 && mixed_cases))
}

/// Words and version numbers in a row, as in `bank.v1.AccountService` or `OAuth2TokenEndpoint`: a name, though it mixes
/// as a token does. Runs of one case (a capital may lead its word) are long in names and short in random text: of random
/// base-62 tokens of 20 characters, one in 200 passes (simulated), of longer ones fewer.
fn is_worded(value: &[u8]) -> bool {
    let (mut runs, mut letters, mut digits, mut consonants) = (0, 0, 0, 0);
    let mut last = b'.';
    for &byte in value {
        let continues = match byte {
            b'a'..=b'z' => last.is_ascii_alphabetic(),
            b'A'..=b'Z' => last.is_ascii_uppercase(),
            b'0'..=b'9' => last.is_ascii_digit() || matches!(last, b'v' | b'V'),
            b'-' | b'_' | b'.' => true,
            _ => return false,
        };
        runs += usize::from(!continues);
        letters += usize::from(byte.is_ascii_alphabetic());
        digits += usize::from(byte.is_ascii_digit());
        let is_consonant = byte.is_ascii_alphabetic() && !b"aeiouyAEIOUY".contains(&byte);
        consonants = if is_consonant { consonants + 1 } else { 0 };
        if consonants > 4 || digits > 4 {
            return false;
        }
        last = byte;
    }
    letters + digits >= runs * 4
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `YYYY-MM-DD`, alone or followed by `T` and a time.
fn is_date(value: &[u8]) -> bool {
    let Some((date, rest)) = value.split_at_checked(10) else { return false };
    let shaped = date.iter().enumerate().all(|(at, byte)| match at {
        4 | 7 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let timed = match rest {
        [] => true,
        [b'T' | b't' | b' ', time @ ..] => time.first().is_some_and(u8::is_ascii_digit),
        _ => false,
    };
    shaped && timed
}

fn is_email(value: &[u8]) -> bool {
    let mut parts = value.split(|&byte| byte == b'@');
    let (Some(local), Some(domain), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    !local.is_empty()
        && domain.contains(&b'.')
        && !domain.starts_with(b".")
        && !domain.ends_with(b".")
        && !value.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, ValueKind)]) {
        for (value, kind) in cases {
            assert_eq!(ValueKind::of(value.as_bytes()), *kind, "{value}");
        }
    }

    #[test]
    fn identifiers_are_told_by_their_form() {
        check(&[
            ("1234", ValueKind::Integer),
            ("-3", ValueKind::Integer),
            ("19.95", ValueKind::Decimal),
            ("1.2.3", ValueKind::Text),
            ("550e8400-e29b-41d4-a716-446655440000", ValueKind::Uuid),
            ("2026-01-31", ValueKind::Date),
            ("2026-01-31T10:00:00Z", ValueKind::DateTime),
            ("192.0.2.1", ValueKind::Ip),
            ("2001:db8::1", ValueKind::Ip),
            ("jane@example.com", ValueKind::Email),
            ("https://example.com/a", ValueKind::Url),
            ("507f1f77bcf86cd799439011", ValueKind::Hex),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", ValueKind::Jwt),
            ("dGhpcyBpcyBhIHNlY3JldA==", ValueKind::Token),
            ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", ValueKind::Token),
        ]);
    }

    #[test]
    fn names_are_not_identifiers() {
        check(&[
            ("users", ValueKind::Word),
            ("onboardingStatus", ValueKind::Word),
            ("cheque-deposits", ValueKind::Word),
            ("v1", ValueKind::Code),
            ("oauth2", ValueKind::Code),
            ("deadbeef", ValueKind::Word),
            ("true", ValueKind::Boolean),
            ("", ValueKind::Empty),
            ("a b", ValueKind::Text),
        ]);
        for name in ["bank.v1.AccountService", "com.example.v1.UserProfileService", "OAuth2TokenEndpoint"] {
            assert!(!ValueKind::of(name.as_bytes()).is_identifier(), "{name}");
        }
        for name in ["users", "internationalization-settings", "v2", "getUserProfileById"] {
            assert!(!ValueKind::of(name.as_bytes()).is_identifier(), "{name}");
        }
    }

    #[test]
    fn arbitrary_bytes_have_some_form() {
        for byte in 0..=255u8 {
            let _ = ValueKind::of(&[byte; 300]);
        }
    }
}
