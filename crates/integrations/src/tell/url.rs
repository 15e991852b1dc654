//! An absolute `http(s)` URL cut into scheme, authority and target, byte for byte.
//!
//! No URL library: they normalize (dot segments, case, percent-encoding), and what was sent must stay what is inspected.
//! RFC 3986 §3: the authority ends at the first `/`, `?` or `#`.

use bartizan_model::Scheme;

/// The three parts of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) authority: &'a [u8],
    /// Everything behind the authority; may be empty or begin with `?` or `#`
    pub(crate) rest: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Cuts `url`; `None` when it is not an absolute `http`, `https`, `ws` or `wss` URL.
    pub(crate) fn of(url: &'a [u8]) -> Option<Self> {
        let colon = memchr::memchr(b':', url.get(..8).unwrap_or(url))?;
        let (scheme, rest) = url.split_at_checked(colon)?;
        let scheme = match scheme {
            name if name.eq_ignore_ascii_case(b"https") || name.eq_ignore_ascii_case(b"wss") => Scheme::Https,
            name if name.eq_ignore_ascii_case(b"http") || name.eq_ignore_ascii_case(b"ws") => Scheme::Http,
            _ => return None,
        };
        let rest = rest.strip_prefix(b"://")?;
        let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        Some(Self { scheme, authority, rest })
    }

    /// The request target: an empty path is `/` (RFC 9112 §3.2.1).
    pub(crate) fn target(&self) -> Vec<u8> {
        let slash: &[u8] = if self.rest.first() == Some(&b'/') { b"" } else { b"/" };
        [slash, self.rest].concat()
    }
}

/// Sorts what stood in the place of a request target: origin form stays; absolute form is cut.
pub(crate) fn split_target(target: &[u8]) -> (Option<(Scheme, Vec<u8>)>, Vec<u8>) {
    if target.first() == Some(&b'/') {
        return (None, target.to_vec());
    }
    match Parts::of(target) {
        Some(parts) => (Some((parts.scheme, parts.authority.to_vec())), parts.target()),
        None => (None, target.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, scheme: Scheme, authority: &str, target: &str) {
        let parts = Parts::of(url.as_bytes()).unwrap();
        assert_eq!((parts.scheme, parts.authority), (scheme, authority.as_bytes()), "{url}");
        assert_eq!(String::from_utf8(parts.target()).unwrap(), target, "{url}");
    }

    #[test]
    fn the_bytes_behind_the_authority_are_kept_as_they_are() {
        check("https://a.example/x%2Fy/../z//?q=a%20b+c#d", Scheme::Https, "a.example", "/x%2Fy/../z//?q=a%20b+c#d");
        check("HTTP://A.example:8080", Scheme::Http, "A.example:8080", "/");
        check("wss://a.example?x=1", Scheme::Https, "a.example", "/?x=1");
        check("http://[2001:db8::1]:80/a", Scheme::Http, "[2001:db8::1]:80", "/a");
        check("http:///a", Scheme::Http, "", "/a");
    }

    #[test]
    fn other_schemes_are_not_traffic() {
        for url in [
            "",
            "/a",
            "data:text/plain,a",
            "blob:https://a.example/1",
            "chrome-extension://a/b",
            "https:/a",
            "a.example",
        ] {
            assert_eq!(Parts::of(url.as_bytes()), None, "{url}");
        }
    }
}
