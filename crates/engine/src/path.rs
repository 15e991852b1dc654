//! Paths as servers read them: the raw bytes, and two other readings that policies must not miss.
//!
//! Routing uses the raw bytes, because those go to the upstream. But an upstream decodes, so `/%61dmin` or
//! `/x/../admin` would slip past a policy for `/admin/**` that only looked at raw bytes. Hence three readings:
//! - **raw**: the bytes as sent;
//! - **normal**: RFC 3986 §6.2.2: unreserved characters decoded, dot segments resolved; and duplicate slashes merged;
//! - **lax**: as the most forgiving servers read it: everything decoded, also twice, backslash as slash, `;parameters`
//!   (servlet containers) and fragments dropped, no slash at the end.
//!
//! What restricts (a policy's scope) applies when *any* reading matches; what loosens (a streaming path) applies only
//! when *all* match. Case is kept in all of them.

use std::borrow::Cow;

use bartizan_config::PathPattern;

/// LIMIT: how often a path is decoded over; servers in a row decode once each, more than three are not seen.
const DECODE_ROUNDS_MAX: usize = 3;

/// One path in its three readings.
#[derive(Clone, Debug)]
pub(crate) struct Readings<'a> {
    raw: &'a [u8],
    normal: Cow<'a, [u8]>,
    lax: Cow<'a, [u8]>,
}

impl<'a> Readings<'a> {
    pub(crate) fn of(path: &'a [u8]) -> Self {
        if is_plain(path) {
            let lax = if path.len() > 1 { path.strip_suffix(b"/").unwrap_or(path) } else { path };
            return Self { raw: path, normal: Cow::Borrowed(path), lax: Cow::Borrowed(lax) };
        }
        Self { raw: path, normal: Cow::Owned(normal(path)), lax: Cow::Owned(lax(path)) }
    }

    pub(crate) fn normal(&self) -> &[u8] {
        &self.normal
    }

    pub(crate) fn lax(&self) -> &[u8] {
        &self.lax
    }

    /// Whether some reading differs from the raw bytes by more than a slash at the end.
    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(self.normal, Cow::Owned(_))
    }

    pub(crate) fn any(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        holds(self.raw)
            || (self.is_ambiguous() && holds(&self.normal))
            || (self.lax.len() != self.raw.len() || self.is_ambiguous()) && holds(&self.lax)
    }

    pub(crate) fn all(&self, holds: impl Fn(&[u8]) -> bool) -> bool {
        !self.any(|path| !holds(path))
    }
}

/// Whether every server reads these bytes alike, but for a slash at the end.
fn is_plain(path: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in path {
        match byte {
            b'%' | b'\\' | b';' | b'#' => return false,
            b'/' | b'.' if after_slash => return false,
            _ => after_slash = byte == b'/',
        }
    }
    true
}

fn normal(path: &[u8]) -> Vec<u8> {
    let decoded =
        decode(path, |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'));
    resolve(&decoded, TrailingSlash::Keep)
}

fn lax(path: &[u8]) -> Vec<u8> {
    let mut decoded = path.to_vec();
    for _ in 0..DECODE_ROUNDS_MAX {
        let again = decode(&decoded, |_| true);
        if again.len() == decoded.len() {
            break;
        }
        decoded = again;
    }
    let mut in_parameters = false;
    let mut kept = Vec::with_capacity(decoded.len());
    for byte in decoded {
        match byte {
            b'#' => break,
            b'/' | b'\\' => {
                in_parameters = false;
                kept.push(b'/');
            }
            b';' => in_parameters = true,
            _ if in_parameters => {}
            _ => kept.push(byte),
        }
    }
    resolve(&kept, TrailingSlash::Drop)
}

/// Decodes `%XX` where `wanted` says so; other triplets keep their bytes with upper-case digits.
fn decode(path: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        match triplet(rest) {
            Some((value, after)) if wanted(value) => {
                decoded.push(value);
                rest = after;
            }
            Some((_, after)) => {
                decoded.extend(rest.iter().take(3).map(u8::to_ascii_uppercase));
                rest = after;
            }
            None => {
                decoded.push(*byte);
                rest = tail;
            }
        }
    }
    decoded
}

/// The byte that `%XX` at the beginning of `text` stands for, and what follows it.
pub(crate) fn triplet(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(*high)? * 16 + digit(*low)?;
    Some((u8::try_from(value).ok()?, rest))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TrailingSlash {
    Keep,
    Drop,
}

/// Merges slashes and resolves dot segments (RFC 3986 §5.2.4).
fn resolve(path: &[u8], trailing: TrailingSlash) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(path.len() + 1);
    let mut ends_open = false;
    for segment in path.split(|&byte| byte == b'/') {
        ends_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => resolved.truncate(resolved.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
            _ => {
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
            }
        }
    }
    if resolved.is_empty() || (ends_open && trailing == TrailingSlash::Keep) {
        resolved.push(b'/');
    }
    resolved
}

/// Whether `path` lies under `prefix`, on whole segments. `prefix` has no slash at the end; the empty one holds all.
pub(crate) fn is_under(prefix: &[u8], path: &[u8]) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || matches!(rest.first(), None | Some(b'/')),
        None => false,
    }
}

/// A compiled path pattern: segments, `*` for any one, a final `**` for any rest, also none.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    segments: Box<[PatternSegment]>,
    is_open: bool,
}

#[derive(Clone, Debug)]
enum PatternSegment {
    Literal(Box<[u8]>),
    Any,
}

impl Pattern {
    pub(crate) fn new(pattern: &PathPattern) -> Self {
        let text = pattern.0.strip_prefix('/').unwrap_or(&pattern.0);
        let (text, is_open) = match text.strip_suffix("**") {
            Some("") => (None, true),
            Some(head) if head.ends_with('/') => (head.strip_suffix('/'), true),
            _ => (Some(text), false),
        };
        let compile = |segment: &str| match segment {
            "*" => PatternSegment::Any,
            literal => PatternSegment::Literal(literal.as_bytes().into()),
        };
        Self { segments: text.into_iter().flat_map(|text| text.split('/')).map(compile).collect(), is_open }
    }

    pub(crate) fn is_match(&self, path: &[u8]) -> bool {
        let mut parts = path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/');
        let all = self.segments.iter().all(|segment| match (segment, parts.next()) {
            (PatternSegment::Literal(literal), Some(part)) => **literal == *part,
            (PatternSegment::Any, Some(_)) => true,
            (_, None) => false,
        });
        all && (self.is_open || parts.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_normal_reading_follows_the_rfc() {
        for (sent, normal) in [
            ("/a/b", "/a/b"),
            ("/%61dmin", "/admin"),
            ("/a%2fb", "/a%2Fb"),
            ("/a/./b/../c", "/a/c"),
            ("/../../a", "/a"),
            ("/a//b///", "/a/b/"),
            ("/a/..", "/"),
            ("/a/%2e%2E/b", "/b"),
            ("/100%/x", "/100%/x"),
            ("/A", "/A"),
        ] {
            assert_eq!(text(Readings::of(sent.as_bytes()).normal()), normal, "{sent}");
        }
    }

    #[test]
    fn the_lax_reading_is_that_of_the_most_forgiving_server() {
        for (sent, lax) in [
            ("/x%2Fadmin", "/x/admin"),
            ("/x/..%2fadmin", "/admin"),
            ("/x/..;/admin", "/admin"),
            ("/admin;jsessionid=1/users", "/admin/users"),
            ("\\admin", "/admin"),
            ("/%2561dmin", "/admin"),
            ("/admin/", "/admin"),
            ("/admin#/x", "/admin"),
            ("/", "/"),
        ] {
            assert_eq!(text(Readings::of(sent.as_bytes()).lax()), lax, "{sent}");
        }
    }

    #[test]
    fn a_pattern_stands_on_whole_segments() {
        let check = |pattern: &str, path: &str| Pattern::new(&PathPattern(pattern.into())).is_match(path.as_bytes());
        for (pattern, path) in [
            ("/admin/**", "/admin"),
            ("/admin/**", "/admin/"),
            ("/admin/**", "/admin/a/b"),
            ("/users/*/cards", "/users/7/cards"),
            ("/**", "/"),
            ("/**", "/a"),
            ("/", "/"),
            ("/a*", "/a*"),
        ] {
            assert!(check(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/admin/**", "/administrator"),
            ("/users/*/cards", "/users/7/8/cards"),
            ("/users/*", "/users"),
            ("/a", "/a/"),
            ("/a", "/A"),
        ] {
            assert!(!check(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_prefix_stands_on_whole_segments() {
        assert!(is_under(b"/api", b"/api") && is_under(b"/api", b"/api/x") && is_under(b"", b"*"));
        assert!(!is_under(b"/api", b"/apis") && !is_under(b"/api", b"/ap"));
    }

    proptest! {
        #[test]
        fn reading_a_normal_path_again_changes_nothing(path in "(/[a-c.%;\\\\2eF]{0,6}){0,6}/?") {
            let normal = Readings::of(path.as_bytes()).normal().to_vec();
            let again = Readings::of(&normal).normal().to_vec();
            // decoding `%2%65` yields `%2e`, which RFC 3986 decodes no further in one pass
            prop_assume!(!normal.contains(&b'%'));
            prop_assert_eq!(normal, again);
        }

        #[test]
        fn no_encoding_of_a_path_slips_past_its_pattern(
            segments in proptest::collection::vec("[a-z]{1,6}", 1..4),
            encode in proptest::collection::vec(any::<bool>(), 40),
            noise in prop::sample::select(vec!["", "/.", "/x/..", "/", "/x/%2e%2e", "/x/..;"]),
            at in any::<prop::sample::Index>(),
        ) {
            let place = at.index(segments.len());
            let mut sent = String::new();
            let mut coins = encode.iter().cycle();
            for (number, segment) in segments.iter().enumerate() {
                if number == place { sent.push_str(noise); }
                sent.push('/');
                for letter in segment.bytes() {
                    if *coins.next().unwrap() { sent.push_str(&format!("%{letter:02x}")) } else { sent.push(letter.into()) }
                }
            }
            let pattern = Pattern::new(&PathPattern(format!("/{}/**", segments.join("/"))));
            prop_assert!(Readings::of(sent.as_bytes()).any(|path| pattern.is_match(path)), "{}", sent);
        }

        #[test]
        fn any_bytes_have_readings(path in proptest::collection::vec(any::<u8>(), 0..64)) {
            let readings = Readings::of(&path);
            prop_assert!(readings.normal().starts_with(b"/") || !readings.is_ambiguous());
        }
    }
}
