//! Secrets within text, found by what they look like: card numbers (Luhn), e-mail addresses, JSON Web Tokens, and
//! `name: "value"` or `name=value` with a telling name (GraphQL documents, logs).
//!
//! One pass for each kind; what is looked at on either side of a mark is bounded, so the whole is linear.

use std::ops::Range;

use bartizan_model::is_card_number;

use super::{Masking, names};

/// LIMIT: RFC 5321 §4.5.3.1: a local part has at most 64 bytes, a domain 255.
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;
/// LIMIT: ISO/IEC 7812: a card number has up to 19 digits.
const CARD_DIGITS_MAX: usize = 19;
/// LIMIT: bytes of a name looked at before `:` or `=`.
const NAME_BYTES_MAX: usize = 64;

impl Masking {
    /// `text` with what looks secret in it masked; `None` when nothing does.
    pub(super) fn values(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut ranges = Vec::new();
        tokens(text, &mut ranges);
        emails(text, &mut ranges);
        cards(text, &mut ranges);
        assignments(text, &mut ranges);
        if ranges.is_empty() {
            return None;
        }
        ranges.sort_by_key(|range| range.start);
        let mut masked = Vec::with_capacity(text.len());
        let mut done = 0;
        for range in ranges {
            let start = range.start.max(done);
            if start >= range.end {
                continue; // inside the one before
            }
            masked.extend_from_slice(text.get(done..start)?);
            masked.extend_from_slice(&self.shape.mask(text.get(start..range.end)?));
            done = range.end;
        }
        masked.extend_from_slice(text.get(done..)?);
        Some(masked)
    }

    /// Whether a JSON number is a card number.
    pub(super) fn is_card(digits: &[u8]) -> bool {
        let mut ranges = Vec::new();
        cards(digits, &mut ranges);
        !ranges.is_empty()
    }
}

/// JSON Web Tokens: payload and signature; the header, which says only how it was signed, stays.
fn tokens(text: &[u8], ranges: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| memchr::memmem::find(rest, b"eyJ")) {
        let start = from + found;
        let end = run_end(text, start, |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let token = text.get(start..end).unwrap_or_default();
        let mut points = memchr::memchr_iter(b'.', token);
        if let (Some(first), Some(_)) = (points.next(), points.next()) {
            ranges.push(start + first + 1..end);
        }
        from = end;
    }
}

/// E-mail addresses: the local part, and the domain without its last label.
fn emails(text: &[u8], ranges: &mut Vec<Range<usize>>) {
    for at in memchr::memchr_iter(b'@', text) {
        let low = at.saturating_sub(LOCAL_BYTES_MAX);
        let local = text.get(low..at).unwrap_or_default();
        let is_local =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-'!#$&*/=?^`{|}~".contains(byte) || *byte >= 0x80;
        let local_bytes = local.iter().rev().take_while(|byte| is_local(byte)).count();
        let domain = text.get(at + 1..).unwrap_or_default();
        let domain = domain.get(..DOMAIN_BYTES_MAX).unwrap_or(domain);
        let domain_bytes = domain
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte) || **byte >= 0x80)
            .count();
        let domain = domain.get(..domain_bytes).unwrap_or_default();
        let domain = domain.strip_suffix(b".").unwrap_or(domain);
        let Some(point) = memchr::memrchr(b'.', domain) else { continue };
        if local_bytes > 0 && point > 0 && point + 2 < domain.len() {
            ranges.push(at - local_bytes..at);
            ranges.push(at + 1..at + 1 + point);
        }
    }
}

/// Card numbers: 13 to 19 digits with a valid check digit, in groups parted by one space or hyphen, standing alone.
fn cards(text: &[u8], ranges: &mut Vec<Range<usize>>) {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    while at < text.len() {
        if !is_digit(at) {
            at = run_end(text, at, |byte| !byte.is_ascii_digit());
            continue;
        }
        let end = run_end(text, at, |byte| byte.is_ascii_digit());
        let is_alone =
            at.checked_sub(1).and_then(|before| text.get(before)).is_none_or(|byte| !byte.is_ascii_alphabetic());
        match card_end(text, at).filter(|_| is_alone) {
            Some(card) => {
                ranges.push(at..card);
                at = card;
            }
            None => at = end,
        }
    }
}

/// Where the longest card number that begins with the group at `start` ends.
fn card_end(text: &[u8], start: usize) -> Option<usize> {
    let mut digits = [0_u8; CARD_DIGITS_MAX];
    let mut count = 0;
    let mut longest = None;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = *byte; // a group that runs over: no card, unless one ended before
            count += 1;
            let next = text.get(at + 1);
            let is_group_end = next.is_none_or(|next| !next.is_ascii_alphanumeric());
            if is_group_end && is_card_number(digits.get(..count)?) {
                longest = Some(at + 1);
            }
            if count == digits.len() || next.is_some_and(u8::is_ascii_alphabetic) {
                break;
            }
        } else if !(matches!(byte, b' ' | b'-') && text.get(at + 1).is_some_and(u8::is_ascii_digit)) {
            break;
        }
        at += 1;
    }
    longest
}

/// `password: "…"`, `token=…`: the value behind a telling name.
fn assignments(text: &[u8], ranges: &mut Vec<Range<usize>>) {
    let mut done = 0;
    for mark in memchr::memchr2_iter(b':', b'=', text) {
        if mark < done {
            continue;
        }
        let before = text.get(mark.saturating_sub(NAME_BYTES_MAX)..mark).unwrap_or_default();
        let before = before.trim_ascii_end();
        let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before);
        let name_bytes =
            before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_.[]".contains(byte)).count();
        let name = before.get(before.len() - name_bytes..).unwrap_or_default();
        if name.is_empty() || !names::is_secret(name) {
            continue;
        }
        let start = run_end(text, mark + 1, |byte| byte == b' ');
        let (start, end) = match text.get(start) {
            Some(quote @ (b'"' | b'\'')) => (start + 1, run_end(text, start + 1, |byte| byte != *quote)),
            _ => (start, run_end(text, start, |byte| !byte.is_ascii_whitespace() && !b"&;,)}]<\"'".contains(&byte))),
        };
        if start < end {
            ranges.push(start..end);
        }
        done = end;
    }
}

/// The first place from `start` on whose byte is not one of the run.
fn run_end(text: &[u8], start: usize, is_of_run: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !is_of_run(*byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Masks `text` with every masked character as `x`, so that the masked places can be read.
    fn check(text: &str, expected: &str) {
        let masked = Masking::new([7; 32]).values(text.as_bytes()).unwrap_or_else(|| text.as_bytes().to_vec());
        let marked: String = text
            .bytes()
            .zip(masked)
            .map(|(before, after)| if before == after { char::from(before) } else { 'x' })
            .collect();
        assert_eq!(marked, expected);
    }

    #[test]
    fn card_numbers_are_found_in_their_usual_spellings() {
        check("card 4111111111111111.", "card xxxxxxxxxxxxxxxx.");
        check("4111 1111 1111 1111", "xxxx xxxx xxxx xxxx");
        check("no. 7 5500-0000-0000-0004, 12", "no. 7 xxxx-xxxx-xxxx-xxxx, 12");
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "4111111111111112",
            "1767225600123",
            "41111111111111111111111",
            "a4111111111111111",
            "550e8400-e29b-41d4-a716-446655440000",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn addresses_and_tokens_are_found_within_text() {
        check("mail jane.d@mail.example.com, please", "mail xxxx.x@xxxx.xxxxxxx.com, please");
        check("a@b and @c.example", "a@b and @c.example");
        check("x eyJhbGciOiJIUzI1NiJ9.abc.def y", "x eyJhbGciOiJIUzI1NiJ9.xxx.xxx y");
        check("eyJust a word", "eyJust a word");
    }

    #[test]
    fn values_behind_telling_names_are_found_within_text() {
        check(
            r#"mutation { login(user: "jo", password: "hunter2") { id } }"#,
            r#"mutation { login(user: "jo", password: "xxxxxxx") { id } }"#,
        );
        check("level=info api_key=abc123 id=7", "level=info api_key=xxxxxx id=7");
        check("time: 12:30", "time: 12:30");
    }
}
