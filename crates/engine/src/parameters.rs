//! The parameters of a request: names and kinds from query, header fields and cookies, never a value.
//!
//! The same pass finds credentials that travel as parameters: API keys in the query and session cookies. Their values
//! are borrowed for the actor's keyed hash and go no further.

use std::borrow::Cow;

use bartizan_model::{Parameter, ParameterPlace, RequestHead, ValueKind};
use smallvec::SmallVec;

use crate::fields::{Fields, Role};
use crate::redact;

/// LIMIT: parameters that an event keeps; what a request has beyond them is not looked at.
const PARAMETERS_MAX: usize = 64;

/// LIMIT: bytes of a parameter's name that an event keeps.
const NAME_BYTES_MAX: usize = 128;

/// LIMIT: decoded bytes of a value that tell its kind; `ValueKind` looks at no more.
const VALUE_BYTES_MAX: usize = 256;

/// LIMIT: how often a parameter's name is decoded over; servers in a row decode once each.
const NAME_ROUNDS_MAX: usize = 3;

/// LIMIT: items of a query or cookie string that are read; real ones have dozens.
const ITEMS_MAX: usize = 512;

/// Bytes from which on it is worth searching many at once.
const SHORT: usize = 32;

/// What the pass finds.
#[derive(Debug, Default)]
pub(crate) struct Parameters<'a> {
    pub(crate) list: Vec<Parameter>,
    /// Value of a query parameter that carries a key
    pub(crate) query_key: Option<&'a [u8]>,
    /// Value of a cookie that looks like a session
    pub(crate) session: Option<&'a [u8]>,
}

impl<'a> Parameters<'a> {
    pub(crate) fn read(head: &RequestHead<'a>, fields: &Fields<'_>) -> Self {
        let mut found = Self::default();
        if let Some(query) = head.query() {
            found.read_query(query);
        }
        if fields.parameters || fields.cookies {
            for (field, role) in head.headers.iter().zip(&fields.roles) {
                match role {
                    Role::Other => found.add_header(field.name, field.value),
                    Role::Cookie => found.read_cookies(field.value),
                    _ => {}
                }
            }
        }
        found
    }

    fn read_query(&mut self, query: &'a [u8]) {
        for (name, value) in query_pairs(query).take(ITEMS_MAX) {
            let name = decode(name);
            let kind = ValueKind::of(&decode(value.get(..VALUE_BYTES_MAX * 3).unwrap_or(value)));
            if self.query_key.is_none() && !value.is_empty() && is_key_name(&name, kind) {
                self.query_key = Some(value);
            }
            self.add(ParameterPlace::Query, &name, kind);
        }
    }

    fn add_header(&mut self, name: &[u8], value: &[u8]) {
        let lower: SmallVec<[u8; 64]> = name.iter().take(NAME_BYTES_MAX).map(u8::to_ascii_lowercase).collect();
        self.add(ParameterPlace::Header, &lower, ValueKind::of(value));
    }

    /// RFC 6265 §4.2: pairs apart by `;`, nothing decoded.
    fn read_cookies(&mut self, cookies: &'a [u8]) {
        for (name, value) in cookie_pairs(cookies).take(ITEMS_MAX) {
            if name.is_empty() {
                continue;
            }
            if self.session.is_none() && !value.is_empty() && is_session_name(name) {
                self.session = Some(value);
            }
            self.add(ParameterPlace::Cookie, name, ValueKind::of(value));
        }
    }

    fn add(&mut self, place: ParameterPlace, name: &[u8], kind: ValueKind) {
        if self.list.len() >= PARAMETERS_MAX {
            return;
        }
        let name = match redact::secret(name) {
            Some(mask) => Cow::Borrowed(mask),
            None => redact::cut(name, NAME_BYTES_MAX),
        };
        if !self.list.iter().any(|known| known.place == place && *known.name == *name) {
            self.list.push(Parameter { place, name: name.into(), kind });
        }
    }
}

/// Names and values of a query string, not decoded.
pub(crate) fn query_pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').filter(|item| !item.is_empty()).map(split_pair)
}

/// Names and values of a Cookie field.
pub(crate) fn cookie_pairs(cookies: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    cookies.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).map(split_pair)
}

/// Name and value at the first `=`; without one, a name alone.
fn split_pair(item: &[u8]) -> (&[u8], &[u8]) {
    let at = memchr::memchr(b'=', item).unwrap_or(item.len());
    (item.get(..at).unwrap_or(item), item.get(at + 1..).unwrap_or_default())
}

/// Percent-decoded, `+` as a space.
pub(crate) fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    // PERF: most are a few bytes long, for which the search that is fastest in long texts only begins.
    let is_written_so = match text.len() {
        ..SHORT => !text.iter().any(|byte| matches!(byte, b'%' | b'+')),
        _ => memchr::memchr2(b'%', b'+', text).is_none(),
    };
    if is_written_so {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    redact::decode_onto(&mut decoded, text, true);
    Cow::Owned(decoded)
}

/// A name in which the two letters beyond ASCII stand as those that they are without case: U+017F is `s`, U+212A is `k`
/// (Unicode's CaseFolding.txt). Go's `encoding/json` takes members so, the last of several.
pub(crate) fn folded(name: &[u8]) -> Cow<'_, [u8]> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let mut folded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let (letter, beyond) = match rest {
            [0xc5, 0xbf, beyond @ ..] => (b's', beyond),
            [0xe2, 0x84, 0xaa, beyond @ ..] => (b'k', beyond),
            _ => (*first, after),
        };
        folded.push(letter);
        rest = beyond;
    }
    Cow::Owned(folded)
}

/// Whether a server may take the parameter `name` for the one that is `plain`.
pub(crate) fn is_named(name: &[u8], plain: &[u8]) -> bool {
    is_spelled(name, |spelled| *plain_name(spelled) == *plain)
}

/// Whether `is_meant` says so of `name`, or of what it is decoded to by servers in a row.
pub(crate) fn is_spelled(name: &[u8], is_meant: impl Fn(&[u8]) -> bool) -> bool {
    let mut name = Cow::Borrowed(name);
    for _ in 0..NAME_ROUNDS_MAX {
        if is_meant(&name) {
            return true;
        }
        let Cow::Owned(decoded) = decode(&name) else { return false };
        if decoded == *name {
            return false;
        }
        name = Cow::Owned(decoded);
    }
    is_meant(&name)
}

/// A parameter's name as the most forgiving servers take it: without case and spaces around, up to a zero byte, with `.`
/// and spaces as `_` (PHP), `a[b]` as `a.b` (Rails, Express), and without the index of a list: `a[]`, `a[0]`.
pub(crate) fn plain_name(name: &[u8]) -> PlainName {
    let name = folded(name.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii());
    let steps: SmallVec<[&[u8]; 4]> =
        name.split(|byte| *byte == b'[').map(|step| step.strip_suffix(b"]").unwrap_or(step)).collect();
    let is_index = |step: &&[u8]| step.iter().all(u8::is_ascii_digit);
    let last = steps.iter().rposition(|step| !is_index(step)).unwrap_or_default();
    let letter = |byte: &u8| match byte {
        b'.' | b' ' => b'_',
        other => other.to_ascii_lowercase(),
    };
    let mut plain = PlainName::new();
    for (number, step) in steps.iter().take(last + 1).enumerate() {
        plain.extend((number > 0).then_some(b'_'));
        plain.extend(step.iter().map(letter));
    }
    plain
}

/// PERF: names are short, and each of a query is looked at.
pub(crate) type PlainName = SmallVec<[u8; 64]>;

/// Whether a form's `items[0][name]` is what a path such as `items.*.name` means.
pub(crate) fn is_dotted(pattern: &[u8], key: &[u8]) -> bool {
    let dotted = key.iter().filter(|byte| **byte != b']').map(|byte| if *byte == b'[' { b'.' } else { *byte });
    let dotted: Vec<u8> = dotted.collect();
    let dotted = dotted.strip_suffix(b".").unwrap_or(&dotted);
    below(pattern, dotted).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
}

/// What of `path` lies below `pattern`, in which `*` stands for one name or index; `None` when it lies elsewhere.
pub(crate) fn below<'p>(pattern: &[u8], path: &'p [u8]) -> Option<&'p [u8]> {
    let mut rest = path;
    for (number, step) in pattern.split(|byte| *byte == b'.').enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let end = rest.iter().position(|byte| *byte == b'.').unwrap_or(rest.len());
        let (first, after) = rest.split_at_checked(end)?;
        if first.is_empty() || step != b"*" && !first.eq_ignore_ascii_case(step) {
            return None;
        }
        rest = after;
    }
    match rest.split_first() {
        None => Some(b""),
        Some((b'.', below)) => Some(below),
        Some(_) => None,
    }
}

/// Names that carry keys; the short, common ones only when the value looks like a key.
fn is_key_name(name: &[u8], kind: ValueKind) -> bool {
    const CERTAIN: [&str; 9] = [
        "api_key",
        "apikey",
        "api-key",
        "access_token",
        "auth_token",
        "subscription-key",
        "x-api-key",
        "app_key",
        "authkey",
    ];
    const LIKELY: [&str; 6] = ["key", "token", "auth", "jwt", "sig", "signature"];
    let is_one_of = |names: &[&str]| names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    let is_keylike = matches!(kind, ValueKind::Token | ValueKind::Jwt | ValueKind::Hex | ValueKind::Uuid);
    matches!(name.len(), 3..=16) && (is_one_of(&CERTAIN) || (is_keylike && is_one_of(&LIKELY)))
}

/// `JSESSIONID`, `PHPSESSID`, `connect.sid`, `session`, `auth_token`; not a CSRF token, which any page hands out.
fn is_session_name(name: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"sess", b"auth", b"token", b"jwt"];
    const NOT: [&[u8]; 2] = [b"csrf", b"xsrf"];
    let lower: SmallVec<[u8; 64]> = name.iter().take(64).map(u8::to_ascii_lowercase).collect();
    let mut found = lower.ends_with(b"sid");
    for at in 0..lower.len() {
        let rest = lower.get(at..).unwrap_or_default();
        if NOT.iter().any(|word| rest.starts_with(word)) {
            return false;
        }
        found |= WORDS.iter().any(|word| rest.starts_with(word));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::{HeaderField, HttpVersion, Scheme};

    fn read<'a>(target: &'a str, headers: &'a [HeaderField<'a>]) -> Parameters<'a> {
        let head = RequestHead {
            method: b"GET",
            target: target.as_bytes(),
            scheme: Scheme::Http,
            authority: b"a",
            version: HttpVersion::Http11,
            headers,
        };
        Parameters::read(&head, &Fields::scan(headers))
    }

    fn names(parameters: &Parameters<'_>) -> Vec<String> {
        parameters.list.iter().map(|one| format!("{}.{}:{}", one.place.as_str(), one.name, one.kind.as_str())).collect()
    }

    #[test]
    fn names_and_kinds_are_kept_and_values_are_not() {
        let headers = [
            HeaderField { name: b"X-Tenant", value: b"42" },
            HeaderField { name: b"Accept", value: b"*/*" },
            HeaderField { name: b"Cookie", value: b"theme=dark; =x; sid=4eC39HqLyjWDarjtT1zdp7dc" },
        ];
        let found = read("/a?id=7&id=8&q=a+b&user%5Bmail%5D=jane%40example.com&flag&&jane@example.com", &headers);
        assert_eq!(
            names(&found),
            [
                "query.id:integer",
                "query.q:text",
                "query.user[mail]:email",
                "query.flag:empty",
                "query.{email}:empty",
                "header.x-tenant:integer",
                "cookie.theme:word",
                "cookie.sid:token",
            ]
        );
        assert_eq!(found.session, Some(&b"4eC39HqLyjWDarjtT1zdp7dc"[..]));
    }

    #[test]
    fn keys_in_the_query_are_told_from_ordinary_words() {
        assert_eq!(read("/?api_key=x", &[]).query_key, Some(&b"x"[..]));
        assert!(read("/?key=4eC39HqLyjWDarjtT1zdp7dc", &[]).query_key.is_some());
        assert_eq!(read("/?key=name&sort=asc", &[]).query_key, None);
    }

    #[test]
    fn a_flood_of_parameters_is_bounded() {
        let target = format!("/?{}", (0..5000).map(|n| format!("{n:0200}=1&")).collect::<String>());
        let found = read(&target, &[]);
        assert_eq!(found.list.len(), 1, "names alike in their first bytes are one");
        let target = format!("/?{}", (0..5000).map(|n| format!("p{n}=1&")).collect::<String>());
        assert_eq!(read(&target, &[]).list.len(), PARAMETERS_MAX);
    }

    #[test]
    fn letters_that_fold_into_ascii_are_those_letters() {
        assert_eq!(&*folded("u\u{17f}er_\u{212a}ey".as_bytes()), b"user_key");
        for same in ["user", "stra\u{df}e", "\u{17e}\u{2129}"] {
            assert_eq!(&*folded(same.as_bytes()), same.as_bytes());
        }
        assert_eq!(&*folded(b"\xc5"), b"\xc5");
    }

    #[test]
    fn a_csrf_cookie_is_no_session() {
        assert!(is_session_name(b"JSESSIONID") && is_session_name(b"connect.sid") && is_session_name(b"auth_token"));
        assert!(!is_session_name(b"csrftoken") && !is_session_name(b"XSRF-TOKEN") && !is_session_name(b"theme"));
    }

    #[test]
    fn a_name_is_one_name_in_every_spelling_that_servers_take_for_it() {
        let plain = plain_name(b"account.id");
        for name in [
            "account.id",
            "Account.ID",
            "account%2Eid",
            "account_id",
            "account+id",
            "account.id[]",
            "account.id[0]",
            "account.id%5B%5D",
            "account[id]",
            "account[id][3]",
            "%20account.id",
            "account.id%00",
            "accoun%2574.id",
        ] {
            assert!(is_named(name.as_bytes(), &plain), "{name}");
        }
        for name in ["account", "id", "accountid", "account.ids", "[account.id]"] {
            assert!(!is_named(name.as_bytes(), &plain), "{name}");
        }
    }
}
