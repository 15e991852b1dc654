//! What may be kept of strangers' text: cut to size, and with secrets masked.
//!
//! Masks replace whole path segments and parameter names: `{jwt}`, `{email}`, `{card}`, `{token}`. What path templating
//! needs stays: numbers, UUIDs, dates, hexadecimal ids. A segment is judged decoded, also when it was encoded over and over,
//! and in its pieces (`user=jane@example.com`, `;token=…`).

use std::borrow::Cow;

use bartizan_model::{Part, ValueKind, is_card_number};
use smallvec::SmallVec;

use crate::path::triplet;

/// LIMIT: bytes of a path that an event keeps.
pub(crate) const PATH_BYTES_MAX: usize = 2048;

/// LIMIT: how often a segment is decoded over before it is judged.
const DECODE_ROUNDS_MAX: usize = 4;

/// LIMIT: bytes of a member's name that a finding keeps.
const MEMBER_BYTES_MAX: usize = 128;

/// Shorter text holds no secret that is recognized by its form: `a@b.cc` is the shortest e-mail address.
const SECRET_BYTES_MIN: usize = 6;

/// At most `max` bytes of `bytes` as text, cut between characters; invalid UTF-8 becomes U+FFFD.
pub(crate) fn cut(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let mut end = bytes.len().min(max);
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    for _ in 0..3 {
        if is_inside(end) {
            end = end.saturating_sub(1);
        }
    }
    let mut text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    if text.len() > max {
        let boundary = text.floor_char_boundary(max); // U+FFFD is longer than the byte it stands for
        text.to_mut().truncate(boundary);
    }
    text
}

/// The path as an event keeps it.
pub(crate) fn mask_path(path: &[u8]) -> Box<str> {
    // PERF: most paths hold no secret; one that stays as it is is copied once.
    if path.len() <= PATH_BYTES_MAX
        && path.split(|&byte| byte == b'/').all(|segment| secret(segment).is_none())
        && let Ok(text) = std::str::from_utf8(path)
    {
        return text.into();
    }
    let mut kept = String::with_capacity(path.len().min(PATH_BYTES_MAX));
    let mut is_first = true;
    for segment in path.split(|&byte| byte == b'/') {
        if !is_first {
            kept.push('/');
        }
        is_first = false;
        match secret(segment) {
            Some(mask) => kept.push_str(mask),
            None => kept.push_str(&cut(segment, PATH_BYTES_MAX)),
        }
        if kept.len() >= PATH_BYTES_MAX {
            kept.truncate(kept.floor_char_boundary(PATH_BYTES_MAX));
            break;
        }
    }
    kept.into_boxed_str()
}

/// The mask for `text`, when it looks like a secret or like a person's address.
pub(crate) fn secret(text: &[u8]) -> Option<&'static str> {
    if text.len() < SECRET_BYTES_MIN {
        return None;
    }
    let decoded = decode(text);
    if holds_jwt(&decoded) {
        Some("{jwt}")
    } else if holds_email(&decoded) {
        Some("{email}")
    } else if holds_card(&decoded) {
        Some("{card}")
    } else if decoded.split(|byte| !is_token_byte(*byte)).any(is_token) {
        Some("{token}")
    } else {
        None
    }
}

/// A member's name as it may be kept; JSON's prefix says what everybody knows.
pub(crate) fn member(part: Part, member: &[u8]) -> Option<Box<str>> {
    let member = if part == Part::Body { member.strip_prefix(b"json.").unwrap_or(member) } else { member };
    if member.is_empty() {
        return None;
    }
    if let Some(mask) = secret(member) {
        return Some(mask.into());
    }
    let kept = cut(member, MEMBER_BYTES_MAX);
    let is_plain = kept.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.[]$@:".contains(&byte));
    let kept = if is_plain { kept.into_owned() } else { shape(member, MEMBER_BYTES_MAX) };
    Some(if part == Part::Header { kept.to_ascii_lowercase().into() } else { kept.into() })
}

/// LIMIT: characters of one kind in a row that a shape shows.
const RUN_MAX: usize = 8;

/// The shape of `bytes`, at most `max` characters: letters become `a`, digits `0`, what cannot be printed `.`. Marks
/// stay; they are what an attack is known by, and no secret is made of them alone.
pub(crate) fn shape(bytes: &[u8], max: usize) -> String {
    let text = cut(bytes, max.saturating_mul(RUN_MAX));
    let mut shown = String::new();
    let (mut last, mut run, mut count) = (None, 0, 0);
    for letter in text.chars() {
        let kind = match letter {
            _ if letter.is_alphabetic() => 'a',
            _ if letter.is_numeric() => '0',
            '`' => '\'', // evidence stands in backticks
            ' '..='~' => letter,
            _ => '.',
        };
        run = if last == Some(kind) { run + 1 } else { 1 };
        last = Some(kind);
        match run {
            1..=RUN_MAX => shown.push(kind),
            _ if run == RUN_MAX + 1 => shown.push('…'),
            _ => continue,
        }
        count += 1;
        if count >= max {
            break;
        }
    }
    shown
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    let mut decoded = Cow::Borrowed(text);
    for _ in 0..DECODE_ROUNDS_MAX {
        if !decoded.contains(&b'%') {
            break;
        }
        let mut again = Vec::with_capacity(decoded.len());
        decode_onto(&mut again, &decoded, false);
        decoded = Cow::Owned(again);
    }
    decoded
}

/// Decodes `%XX`, and `+` as a space if so wanted, onto `out`; anything else is kept.
pub(crate) fn decode_onto(out: &mut impl Extend<u8>, text: &[u8], is_plus_space: bool) {
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        let (value, after) = match triplet(rest) {
            Some(decoded) => decoded,
            None if is_plus_space && *byte == b'+' => (b' ', tail),
            None => (*byte, tail),
        };
        out.extend([value]);
        rest = after;
    }
}

/// `eyJ…` (the beginning of `{"` in base64url) up to a point: RFC 7519's first part.
fn holds_jwt(text: &[u8]) -> bool {
    // PERF: `J` is rare in paths and names; searching for it beats building a searcher for `eyJ` each time.
    memchr::memchr_iter(b'J', text).any(|at| {
        let is_start = text.get(..at).is_some_and(|before| before.ends_with(b"ey"));
        let rest = text.get(at + 1..).unwrap_or_default();
        let end = rest.iter().position(|&byte| !is_base64url_byte(byte));
        is_start && end.is_some_and(|end| rest.get(end) == Some(&b'.'))
    })
}

const fn is_base64url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=')
}

/// Something, `@`, labels with a point, the last one not a number: `lodash@4.17.21` is a package.
fn holds_email(text: &[u8]) -> bool {
    memchr::memchr_iter(b'@', text).any(|at| {
        let (Some(local), Some(domain)) = (text.get(..at), text.get(at + 1..)) else { return false };
        let end = domain.iter().position(|byte| !is_domain_byte(*byte)).unwrap_or(domain.len());
        let domain = domain.get(..end).unwrap_or_default();
        let domain = domain.strip_suffix(b".").unwrap_or(domain);
        let mut labels = domain.rsplit(|&byte| byte == b'.');
        let last_is_name = labels.next().and_then(<[u8]>::first).is_some_and(|byte| !byte.is_ascii_digit());
        let has_point = labels.next().is_some_and(|label| !label.is_empty());
        let has_local = local.last().is_some_and(|byte| byte.is_ascii_graphic() || !byte.is_ascii());
        has_local && has_point && last_is_name
    })
}

/// A payment card's number, alone between other letters than its own, perhaps in groups.
fn holds_card(text: &[u8]) -> bool {
    // PERF: the shortest number has 13 digits, most segments have fewer bytes.
    text.len() >= 13
        && text.split(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b' ')).any(|piece| {
            let digits: SmallVec<[u8; 19]> = piece.iter().copied().filter(u8::is_ascii_digit).take(20).collect();
            is_card_number(&digits) && !piece.iter().any(u8::is_ascii_alphabetic)
        })
}

const fn is_domain_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') || !byte.is_ascii()
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'=' | b'/')
}

fn is_token(piece: &[u8]) -> bool {
    piece.len() >= 16 && ValueKind::of(piece) == ValueKind::Token
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_in_paths_are_masked() {
        for (path, kept) in [
            ("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "/reset/{jwt}"),
            ("/users/jane@example.com/cards", "/users/{email}/cards"),
            ("/users/jane%40example.com", "/users/{email}"),
            ("/users/jane%2540example.com", "/users/{email}"),
            ("/users/mail=jane@example.com;v=1", "/users/{email}"),
            ("/cards/4111111111111111/limit", "/cards/{card}/limit"),
            ("/cards/4111-1111-1111-1111", "/cards/{card}"),
            ("/cards/5500%200000%200000%200004", "/cards/{card}"),
            ("/pay;card=378282246310005", "/{card}"),
            ("/keys/sk_live_4eC39HqLyjWDarjtT1zdp7dc", "/keys/{token}"),
            ("/a;session=4eC39HqLyjWDarjtT1zdp7dc/b", "/{token}/b"),
        ] {
            assert_eq!(&*mask_path(path.as_bytes()), kept, "{path}");
        }
    }

    #[test]
    fn what_templating_needs_stays() {
        for path in [
            "/",
            "*",
            "/users/42/cards/",
            "/orders/550e8400-e29b-41d4-a716-446655440000",
            "/cards/4111111111111112",
            "/times/1767225600123",
            "/times/20260131123045",
            "/orders/550e8400-e29b-41d4-4111-111111111111",
            "/objects/507f1f77bcf86cd799439011",
            "/days/2026-01-31",
            "/@types/node",
            "/lodash@4.17.21/index.js",
            "/bank.v1.AccountService/ListAccounts",
            "/com.example.v1.UserProfileService/GetProfile",
            "/internationalization-settings",
            "/a%20b//c",
        ] {
            assert_eq!(&*mask_path(path.as_bytes()), path);
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé".as_bytes(), 2), "a");
        assert_eq!(cut("aé".as_bytes(), 3), "aé");
        assert_eq!(cut("😀😀".as_bytes(), 7), "😀");
        assert_eq!(cut(b"\xff\xff", 4), "\u{fffd}");
        assert!(mask_path(&b"/\xe4".repeat(3000)).len() <= PATH_BYTES_MAX);
    }

    #[test]
    fn a_shape_keeps_marks_and_nothing_else() {
        assert_eq!(shape(b"1' OR '1'='1", 40), "0' aa '0'='0");
        assert_eq!(shape(b"<script>alert(`x`)</script>", 40), "<aaaaaa>aaaaa('a')</aaaaaa>");
        assert_eq!(shape("straße\n\u{1f600}".as_bytes(), 40), "aaaaaa..");
        assert_eq!(shape(&[b'x'; 100], 40), "aaaaaaaa…");
        assert_eq!(shape(b"a-b-c-d", 3), "a-a");
    }

    proptest! {
        #[test]
        fn a_shape_never_contains_the_original(original in "[ -~]{0,20}[b-z1-9][ -~]{0,20}", max in 1usize..60) {
            let shown = shape(original.as_bytes(), max);
            prop_assert!(!shown.contains(&original), "{}", shown);
            prop_assert!(shown.chars().count() <= max);
        }

        #[test]
        fn a_masked_path_never_contains_the_address_or_token(
            before in "(/[a-z0-9.@-]{0,8}){0,4}/",
            local in "[a-z0-9._+-]{0,12}[a-z0-9]",
            domain in "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\\.[a-z]{2,6}",
            claims in "[A-Za-z0-9_-]{4,60}",
            signature in "[A-Za-z0-9_-]{0,60}",
            encode in any::<bool>(),
            after in "(/[a-z0-9]{0,8}){0,3}",
        ) {
            let email = format!("{local}@{domain}");
            let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{claims}.{signature}");
            let sent = if encode { email.replace('@', "%40") } else { email.clone() };
            let kept = mask_path(format!("{before}{sent}{after}/{jwt}").as_bytes());
            prop_assert!(!kept.contains(&sent) && !kept.contains(&email), "{}", kept);
            prop_assert!(!kept.contains(&jwt) && !kept.contains("eyJ"), "{}", kept);
        }

        #[test]
        fn any_bytes_are_cut_to_size(bytes in proptest::collection::vec(any::<u8>(), 0..200), max in 0usize..100) {
            prop_assert!(cut(&bytes, max).len() <= max);
            let _ = mask_path(&bytes);
        }
    }
}
