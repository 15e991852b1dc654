//! Web origins: what a request says of the page that made it, and which pages a policy means.
//!
//! Browsers write an origin in one way only: lower case, without the scheme's own port (HTML, "serialization of an
//! origin"). So origins are compared byte by byte, and one in another spelling is nobody's.
//! Sources: Fetch standard §3.2 (`Origin` header); RFC 6454 §7.

use bartizan_config::OriginPattern;
use bartizan_model::{HeaderField, Scheme};

use crate::host::Host;

/// LIMIT: bytes of an origin: a scheme, a DNS name of 253 bytes and a port.
const ORIGIN_BYTES_MAX: usize = 300;

/// What a request's `Origin` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// There is none
    Nothing,
    /// `null`: a page without an origin, or one that does not tell
    Null,
    /// One origin, as it was sent
    Origin(&'a [u8]),
    /// Several, or something that is no origin
    Malformed,
}

impl<'a> Said<'a> {
    pub(crate) fn of(headers: &[HeaderField<'a>]) -> Self {
        let mut fields = headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"origin"));
        match (fields.next(), fields.next()) {
            (None, _) => Self::Nothing,
            (Some(field), None) => Self::from_value(field.value),
            (Some(_), Some(_)) => Self::Malformed,
        }
    }

    fn from_value(value: &'a [u8]) -> Self {
        if value == b"null" {
            return Self::Null;
        }
        let host_bytes = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]+".contains(byte);
        match split_scheme(value) {
            Some((scheme, rest))
                if value.len() <= ORIGIN_BYTES_MAX
                    && !scheme.is_empty()
                    && !rest.is_empty()
                    && scheme.iter().all(host_bytes)
                    && rest.iter().all(host_bytes) =>
            {
                Self::Origin(value)
            }
            _ => Self::Malformed,
        }
    }
}

/// What a browser says of where a request comes from: `Sec-Fetch-Site`, which no page can write (Fetch Metadata §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// Nothing
    Unsaid,
    /// From the same origin, or from nobody's page: typed, bookmarked
    Own,
    /// From another host of the same site
    Same,
    /// From elsewhere
    Cross,
    /// What no browser says
    Malformed,
}

impl Site {
    pub(crate) fn of(headers: &[HeaderField<'_>]) -> Self {
        let mut fields = headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"sec-fetch-site"));
        match (fields.next().map(|field| field.value), fields.next()) {
            (None, _) => Self::Unsaid,
            (Some(b"same-origin" | b"none"), None) => Self::Own,
            (Some(b"same-site"), None) => Self::Same,
            (Some(b"cross-site"), None) => Self::Cross,
            (Some(_), _) => Self::Malformed,
        }
    }
}

/// The origin of an absolute URL, as far as it is written plainly: scheme and authority.
pub(crate) fn of_url(url: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = split_scheme(url)?;
    let end = rest.iter().position(|byte| b"/?#\\".contains(byte)).unwrap_or(rest.len());
    let origin = url.get(..scheme.len() + 3 + end)?;
    matches!(Said::from_value(origin), Said::Origin(_)).then_some(origin)
}

/// Whether `origin` is that of the request itself. A connection in the clear may have been TLS up to a proxy before us;
/// over TLS a page in clear text is another origin, and could be anybody's on the way.
pub(crate) fn is_same(origin: &[u8], host: Option<&Host>, scheme: Scheme) -> bool {
    let (Some((said, authority)), Some(host)) = (split_scheme(origin), host) else { return false };
    match (said, scheme) {
        (b"https", Scheme::Http | Scheme::Https) => is_host(authority, host, [scheme, Scheme::Https]),
        (b"http", Scheme::Http) => is_host(authority, host, [scheme, Scheme::Http]),
        _ => false,
    }
}

fn is_host(authority: &[u8], host: &Host, schemes: [Scheme; 2]) -> bool {
    let [arrived, said] = schemes;
    let parsed = Host::parse(authority, said);
    parsed.is_some_and(|parsed| parsed == *host || (arrived != said && parsed.as_str() == host.as_str()))
}

fn split_scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memmem::find(text, b"://")?;
    Some((text.get(..at)?, text.get(at + 3..)?))
}

/// Origins of a policy.
#[derive(Debug, Default)]
pub(crate) struct OriginSet {
    exact: Box<[Box<[u8]>]>,
    below: Box<[Below]>,
}

#[derive(Debug)]
struct Below {
    scheme: Box<[u8]>,
    suffix: Box<[u8]>,
}

impl OriginSet {
    pub(crate) fn new(patterns: &[OriginPattern]) -> Self {
        let mut exact: Vec<Box<[u8]>> = Vec::new();
        let mut below = Vec::new();
        for pattern in patterns {
            match pattern {
                OriginPattern::Exact(origin) => exact.push(origin.as_bytes().into()),
                OriginPattern::Below { scheme, suffix } => {
                    below.push(Below { scheme: scheme.as_bytes().into(), suffix: suffix.as_bytes().into() });
                }
            }
        }
        Self { exact: exact.into(), below: below.into() }
    }

    pub(crate) fn contains(&self, origin: &[u8]) -> bool {
        self.exact.iter().any(|known| **known == *origin) || self.below.iter().any(|below| below.contains(origin))
    }
}

impl Below {
    /// What stands for the star must be labels and nothing else: no port, no user, no second scheme.
    fn contains(&self, origin: &[u8]) -> bool {
        let labels = origin.strip_prefix(&*self.scheme).and_then(|rest| rest.strip_suffix(&*self.suffix));
        labels.is_some_and(|labels| {
            labels.split(|byte| *byte == b'.').all(|label| {
                let is_letter = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
                !label.is_empty() && label.iter().all(is_letter)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_scheme_and_one_host() {
        let said = |value: &'static str| Said::of(&[HeaderField { name: b"Origin", value: value.as_bytes() }]);
        assert_eq!(said("https://a.example"), Said::Origin(b"https://a.example"));
        assert_eq!(said("null"), Said::Null);
        for value in [
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://u@a.example",
            "https://a, https://b",
            "https://a\u{e9}",
        ] {
            assert_eq!(said(value), Said::Malformed, "{value}");
        }
        let field = HeaderField { name: b"origin", value: b"https://a.example" };
        assert_eq!(Said::of(&[field, field]), Said::Malformed);
        assert_eq!(Said::of(&[]), Said::Nothing);
    }

    #[test]
    fn a_star_stands_for_labels_alone() {
        let set = OriginSet::new(&[
            OriginPattern::Below { scheme: "https://".to_owned(), suffix: ".shop.example".to_owned() },
            OriginPattern::Exact("https://a.example:8443".to_owned()),
        ]);
        for (origin, is_in) in [
            ("https://www.shop.example", true),
            ("https://a.b.shop.example", true),
            ("https://shop.example", false),
            ("https://.shop.example", false),
            ("https://evilshop.example", false),
            ("http://www.shop.example", false),
            ("https://www.shop.example:8443", false),
            ("https://evil.example:1.shop.example", false),
            ("https://evil.example/.shop.example", false),
            ("https://www.shop.example.evil.example", false),
            ("https://a.example:8443", true),
            ("https://a.example", false),
            ("https://A.example:8443", false),
        ] {
            assert_eq!(set.contains(origin.as_bytes()), is_in, "{origin}");
        }
    }

    #[test]
    fn a_page_is_of_the_same_origin_behind_a_proxy_with_tls_too() {
        let is = |origin: &str, authority: &str, scheme| {
            is_same(origin.as_bytes(), Host::parse(authority.as_bytes(), scheme).as_ref(), scheme)
        };
        assert!(is("https://a.example", "a.example", Scheme::Https));
        assert!(is("https://a.example", "A.example:443", Scheme::Https));
        assert!(is("https://a.example", "a.example", Scheme::Http), "TLS may end before us");
        assert!(is("http://a.example:8080", "a.example:8080", Scheme::Http));
        assert!(!is("http://a.example", "a.example", Scheme::Https), "clear text is another origin");
        assert!(!is("https://a.example:8443", "a.example", Scheme::Https));
        assert!(!is("https://b.example", "a.example", Scheme::Https));
        assert!(!is("capacitor://a.example", "a.example", Scheme::Https));
    }

    #[test]
    fn the_origin_of_a_url_ends_before_its_path() {
        assert_eq!(of_url(b"https://a.example/x?y#z"), Some(&b"https://a.example"[..]));
        assert_eq!(of_url(b"https://a.example:8443"), Some(&b"https://a.example:8443"[..]));
        assert_eq!(of_url(b"https://user@a.example/"), None);
        assert_eq!(of_url(b"/x"), None);
    }
}
