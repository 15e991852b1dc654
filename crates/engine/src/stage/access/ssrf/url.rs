//! Where a URL leads: scheme, host and port, or why two readers could disagree.
//!
//! Libraries read odd URLs differently (user parts, backslashes, percent-encoded and Unicode hosts, missing slashes), and
//! an attacker looks for the pair of checker and fetcher that disagrees. So this is no browser's parser that repairs: what
//! is not plain is refused. Sources: RFC 3986 §3; WHATWG URL §4; O. Tsai, "A New Era of SSRF" (2017).

use std::net::{IpAddr, Ipv6Addr};

use smallvec::SmallVec;

use super::address::{Numeric, numeric};

/// LIMIT: bytes of a URL; servers and browsers take no longer ones for granted.
const URL_BYTES_MAX: usize = 8192;
/// LIMIT: bytes of a DNS name (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;

/// Schemes that mean something to a fetcher also without `//`.
const FETCHED: [&[u8]; 16] = [
    b"http", b"https", b"ftp", b"ftps", b"sftp", b"file", b"gopher", b"dict", b"ldap", b"ldaps", b"tftp", b"jar",
    b"netdoc", b"data", b"php", b"ws",
];

/// LIMIT: bytes in which the scheme of a URL is looked for; the longest of [`FETCHED`] and a colon.
const SCHEME_BYTES_MAX: usize = 16;

/// How a value comes to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// The parameter is for URLs: what has no scheme is read as a host
    Url,
    /// Any value: what does not begin like an absolute URL is none
    Anything,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// No URL, or one that leads nowhere else
    Nothing,
    /// One that leads to each of these, whoever reads it
    Leads(Lead),
    /// Two readers could disagree whether it is one, for this reason
    Ambiguous(&'static str),
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    /// Lower case; `None` when it was not said
    pub(crate) scheme: Option<Box<str>>,
    /// Or why two readers could disagree about it
    pub(crate) host: Result<Target, &'static str>,
    /// Written, not the scheme's own
    pub(crate) port: Option<u16>,
    /// The host that a reader finds who takes the query for a part of the authority
    pub(crate) second: Option<Target>,
}

impl Lead {
    fn hidden(scheme: Option<Box<str>>, reason: &'static str) -> Self {
        Self { scheme, host: Err(reason), port: None, second: None }
    }
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A name, lower case, without its final dot
    Name(Box<str>),
    /// An address in its usual spelling
    Address(IpAddr),
    /// An address in an unusual spelling, and what it may mean
    Odd([Option<IpAddr>; 2]),
}

/// Reads `value`.
pub(crate) fn read(value: &[u8], expectation: Expectation) -> Reading {
    // WHATWG readers drop controls and spaces at both ends, tabs and line ends anywhere.
    let value = unwrapped(trimmed(value));
    if value.is_empty() {
        return Reading::Nothing;
    }
    if value.iter().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r')) {
        let begins = value.iter().filter(|byte| !byte.is_ascii_control()).take(SCHEME_BYTES_MAX);
        let begins: SmallVec<[u8; SCHEME_BYTES_MAX]> = begins.copied().collect();
        let is_fetched = scheme(&begins).is_some_and(|(scheme, _)| is_fetched(scheme));
        return match expectation {
            Expectation::Anything if !is_fetched && !begins.starts_with(b"//") => Reading::Nothing, // text of lines
            Expectation::Anything | Expectation::Url => Reading::Ambiguous("control characters inside"),
        };
    }
    let (scheme, rest) = match scheme(value) {
        Some((scheme, rest)) if is_port(rest) && expectation == Expectation::Url && !is_fetched(scheme) => {
            (None, value)
        }
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, value),
    };
    let begins_with_two_slashes = rest.iter().take(2).filter(|byte| matches!(byte, b'/' | b'\\')).count() == 2;
    match (scheme, expectation) {
        (None, Expectation::Anything) if !begins_with_two_slashes => return Reading::Nothing,
        (Some(scheme), Expectation::Anything) if !begins_with_two_slashes && !is_fetched(scheme) => {
            return Reading::Nothing;
        }
        (None, Expectation::Url)
            if !begins_with_two_slashes && matches!(rest.first(), Some(b'/' | b'?' | b'#' | b'.')) =>
        {
            return if rest.contains(&b'\\') { Reading::Ambiguous("a backslash") } else { Reading::Nothing };
        }
        _ => {}
    }
    if value.len() > URL_BYTES_MAX {
        return Reading::Ambiguous("longer than a URL is");
    }
    if value.iter().any(u8::is_ascii_control) {
        return Reading::Ambiguous("control characters inside"); // some drop them, some end there
    }
    let scheme = scheme.map(|scheme| String::from_utf8_lossy(scheme).to_ascii_lowercase().into());
    let after = match (rest.strip_prefix(b"//"), begins_with_two_slashes, scheme.is_some()) {
        (Some(after), ..) => after,
        (None, true, _) => return Reading::Leads(Lead::hidden(scheme, "a backslash")),
        (None, false, true) => return Reading::Leads(Lead::hidden(scheme, "a scheme without `//`")),
        (None, false, false) => rest,
    };
    match authority(after) {
        Ok((host, port, second)) => Reading::Leads(Lead { scheme, host: Ok(host), port, second }),
        Err(reason) => Reading::Leads(Lead::hidden(scheme, reason)),
    }
}

fn trimmed(value: &[u8]) -> &[u8] {
    let is_kept = |byte: &u8| *byte > b' ';
    let first = value.iter().position(is_kept).unwrap_or(value.len());
    let last = value.iter().rposition(is_kept).map_or(first, |at| at + 1);
    value.get(first..last).unwrap_or_default()
}

/// Without what some readers take off: `<` and `>` around (Python's `urllib`), `url:` before (it, and `java.net.URL`).
fn unwrapped(value: &[u8]) -> &[u8] {
    let mut value = value;
    loop {
        let inner = match value {
            [b'<', inner @ .., b'>'] => inner,
            [b'u' | b'U', b'r' | b'R', b'l' | b'L', b':', inner @ ..] => inner,
            _ => return value,
        };
        value = trimmed(inner);
    }
}

/// Scheme and what follows its colon (RFC 3986 §3.1).
fn scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', value)?;
    let scheme = value.get(..colon)?;
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    is_scheme.then_some((scheme, value.get(colon + 1..)?))
}

fn is_fetched(scheme: &[u8]) -> bool {
    FETCHED.iter().any(|known| known.eq_ignore_ascii_case(scheme))
}

/// Whether what follows a colon is a port, so that what is before it is a host: `localhost:8080/x`.
fn is_port(rest: &[u8]) -> bool {
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    rest.get(..end).is_some_and(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit))
}

/// Host, port, and the second host of [`Lead`].
fn authority(after: &[u8]) -> Result<(Target, Option<u16>, Option<Target>), &'static str> {
    let end = after.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(after.len());
    let (authority, rest) = after.split_at_checked(end).unwrap_or((after, b""));
    if authority.contains(&b'\\') || rest.starts_with(b"/\\") {
        return Err("a backslash");
    }
    if authority.contains(&b'@') {
        return Err("a user before the host");
    }
    let second = match rest.first() {
        Some(b'?' | b'#') => {
            let whole = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
            let behind = whole.iter().rposition(|byte| *byte == b'@').and_then(|at| whole.get(at + 1..));
            // Letters and dots only: what else stands in a query leads no reader to another host.
            behind.and_then(|behind| host_and_port(behind).ok()).map(|(host, _)| host)
        }
        _ => None,
    };
    let (host, port) = host_and_port(authority)?;
    Ok((host, port, second))
}

fn host_and_port(authority: &[u8]) -> Result<(Target, Option<u16>), &'static str> {
    let (host, port) = if authority.first() == Some(&b'[') {
        let close = memchr::memchr(b']', authority).ok_or("a bracket without its other")?;
        authority.split_at_checked(close + 1).unwrap_or((authority, b""))
    } else {
        let colon = memchr::memchr(b':', authority).unwrap_or(authority.len());
        authority.split_at_checked(colon).unwrap_or((authority, b""))
    };
    let port = match port {
        [] | [b':'] => None,
        [b':', digits @ ..] if digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit) => {
            let digits = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            Some(digits.ok_or("a port beyond 65535")?)
        }
        _ => return Err("a port that is none"),
    };
    Ok((target(host)?, port))
}

fn target(host: &[u8]) -> Result<Target, &'static str> {
    let host =
        std::str::from_utf8(host).ok().filter(|host| host.is_ascii()).ok_or("letters beyond ASCII in the host")?;
    if let Some(literal) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().map_err(|_| "an IPv6 address that is none")?;
        return Ok(Target::Address(address.into()));
    }
    if host.contains('%') {
        return Err("percent-encoding in the host");
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_name = name.len() <= NAME_BYTES_MAX
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
    if !is_name {
        return Err("a host that is no name and no address");
    }
    Ok(match numeric(name) {
        None => Target::Name(name.to_ascii_lowercase().into()),
        Some(Numeric::Plain(address)) => Target::Address(address.into()),
        Some(Numeric::Odd(readings)) => Target::Odd(readings.map(|reading| reading.map(IpAddr::from))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lead(value: &str, expectation: Expectation) -> Lead {
        match read(value.as_bytes(), expectation) {
            Reading::Leads(lead) => lead,
            other => panic!("{value}: {other:?}"),
        }
    }

    fn is_hidden(reading: &Reading) -> bool {
        matches!(reading, Reading::Ambiguous(_) | Reading::Leads(Lead { host: Err(_), .. }))
    }

    fn name(value: &str) -> String {
        match lead(value, Expectation::Url).host {
            Ok(Target::Name(name)) => name.into(),
            other => panic!("{value}: {other:?}"),
        }
    }

    #[test]
    fn a_plain_url_leads_to_its_host() {
        let lead = lead("HTTPS://Hooks.Example.:8443/a?b=c#d", Expectation::Anything);
        assert_eq!(lead.scheme.as_deref(), Some("https"));
        assert_eq!(lead.host, Ok(Target::Name("hooks.example".into())));
        assert_eq!((lead.port, lead.second), (Some(8443), None));
        assert_eq!(name("//hooks.example/a"), "hooks.example");
        assert_eq!(name("hooks.example/a:b"), "hooks.example");
        assert_eq!(name("localhost:8080/x"), "localhost");
        assert_eq!(name(" \thttp://hooks.example\n"), "hooks.example");
    }

    #[test]
    fn what_two_readers_could_read_differently_is_told() {
        for value in [
            "http://a.example@127.0.0.1/",
            "http://127.0.0.1:80@a.example/",
            "http://a.example\\@127.0.0.1/",
            "http:\\\\127.0.0.1/",
            "http:/\\127.0.0.1/",
            "http:///127.0.0.1/",
            "http://127.0.0.1%2f@a.example/",
            "http://127%2e0.0.1/",
            "http://①②⑦.⓪.⓪.①/",
            "http://127。0。0。1/",
            "http://a..example/",
            "http://.example/",
            "http://a.example:80:90/",
            "http://a.example:99999/",
            "http://a.example:+80/",
            "http://[::1/",
            "http://[::1]x/",
            "http://[fe80::1%25eth0]/",
            "http://127.0.0.1\t.a.example/",
            "ht\ntp://a.example/\r",
            "http://a example/",
            "http://",
            "/\\127.0.0.1/",
            "/a\\b",
        ] {
            assert!(is_hidden(&read(value.as_bytes(), Expectation::Url)), "{value:?}");
        }
        let long = format!("http://a.example/{}", "a".repeat(URL_BYTES_MAX));
        assert!(is_hidden(&read(long.as_bytes(), Expectation::Anything)));
    }

    #[test]
    fn what_some_readers_take_off_is_taken_off() {
        for value in [
            "url:http://169.254.169.254/",
            "URL: http://169.254.169.254/",
            "<http://169.254.169.254/>",
            " <URL:http://169.254.169.254/> ",
            "url:url:<<http://169.254.169.254/>>",
        ] {
            for expectation in [Expectation::Anything, Expectation::Url] {
                assert_eq!(lead(value, expectation).host, Ok(Target::Address([169, 254, 169, 254].into())), "{value}");
            }
        }
        for value in ["url:", "<>", "<p>see http://a.example</p>", "url:isbn", "<b"] {
            assert_eq!(read(value.as_bytes(), Expectation::Anything), Reading::Nothing, "{value}");
        }
    }

    #[test]
    fn a_query_without_a_path_may_hold_a_second_host() {
        for value in ["http://a.example?@127.0.0.1/", "http://a.example#@127.0.0.1", "http://a.example?x@127.0.0.1:80/"]
        {
            let lead = lead(value, Expectation::Url);
            assert_eq!(lead.second, Some(Target::Address([127, 0, 0, 1].into())), "{value}");
        }
        assert_eq!(lead("http://a.example/?x=@127.0.0.1", Expectation::Url).second, None);
    }

    #[test]
    fn a_scheme_without_slashes_is_one_all_the_same() {
        for value in ["javascript:alert(1)", "file:/etc/passwd", "http:127.0.0.1", "http:8080"] {
            let lead = lead(value, Expectation::Url);
            assert!(lead.scheme.is_some() && lead.host.is_err(), "{value}");
        }
        assert_eq!(read(b"note: buy milk", Expectation::Anything), Reading::Nothing);
        assert!(lead("file:/etc/passwd", Expectation::Anything).scheme.is_some());
    }

    #[test]
    fn what_leads_nowhere_else_is_nothing() {
        assert_eq!(read(b"a list:\nhttp://a.example", Expectation::Anything), Reading::Nothing);
        assert_eq!(read(b"ht\ntp://a.example", Expectation::Anything), Reading::Ambiguous("control characters inside"));
        for value in ["", "  ", "/account", "?a=b", "#top", "./a", "../a"] {
            assert_eq!(read(value.as_bytes(), Expectation::Url), Reading::Nothing, "{value}");
        }
        for value in ["localhost", "12:30", "a/b", "jane@a.example", "key:value", "see http://a.example"] {
            assert_eq!(read(value.as_bytes(), Expectation::Anything), Reading::Nothing, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_a_host_is_always_clean(
            value in proptest::collection::vec(prop::sample::select(b"htps:/\\@?#.[]%0x17aA \t-_~\xc3".to_vec()), 0..40),
        ) {
            for expectation in [Expectation::Url, Expectation::Anything] {
                if let Reading::Leads(Lead { host: Ok(Target::Name(name)), .. }) = read(&value, expectation) {
                    prop_assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')));
                    prop_assert!(!name.is_empty() && !name.starts_with('.') && !name.ends_with('.'));
                }
            }
        }

        #[test]
        fn a_url_of_plain_parts_leads_where_it_says(
            scheme in "https?", host in "[a-z][a-z0-9-]{0,10}(\\.[a-z]{2,6}){1,3}", port in 1u16.., path in "(/[a-z0-9]{0,5}){0,3}",
        ) {
            let lead = lead(&format!("{scheme}://{host}:{port}{path}"), Expectation::Anything);
            prop_assert_eq!(lead.scheme.as_deref(), Some(scheme.as_str()));
            prop_assert_eq!(lead.host, Ok(Target::Name(host.into())));
            prop_assert_eq!(lead.port, Some(port));
        }
    }
}
