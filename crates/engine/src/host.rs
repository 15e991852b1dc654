//! The host of a request, normalized: lower case, without trailing dot and without the scheme's default port.
//!
//! Anything that two parsers could read differently is refused rather than repaired: user information, list commas,
//! white space, bytes outside ASCII (RFC 3986 §3.2, RFC 9110 §4.2.4 and §7.2).

use std::net::Ipv6Addr;

use bartizan_model::Scheme;

/// LIMIT: a DNS name has at most 253 bytes; a port adds six.
const HOST_BYTES_MAX: usize = 255;

/// A normalized host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    text: String,
    name_len: usize,
}

impl Host {
    /// `None` when `authority` is empty or can be read in more than one way.
    pub(crate) fn parse(authority: &[u8], scheme: Scheme) -> Option<Self> {
        let (name, port) = split_port(authority)?;
        let name = name.strip_suffix(b".").unwrap_or(name);
        let is_literal = name.first() == Some(&b'[');
        if name.is_empty() || name.len() > HOST_BYTES_MAX || !(is_literal || name.iter().all(is_name_byte)) {
            return None;
        }
        let mut text = String::with_capacity(authority.len());
        text.push_str(std::str::from_utf8(name).ok()?);
        text.make_ascii_lowercase();
        let name_len = text.len();
        if let Some(port) = port.filter(|port| *port != default_port(scheme)) {
            text.push(':');
            push_decimal(&mut text, port);
        }
        (text.len() <= HOST_BYTES_MAX).then_some(Self { text, name_len })
    }

    /// Name and port, the port only when it is not the scheme's own.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The name alone.
    pub(crate) fn name(&self) -> &str {
        self.text.get(..self.name_len).unwrap_or(&self.text)
    }

    /// Name and port, as an event keeps them.
    pub(crate) fn into_text(self) -> Box<str> {
        self.text.into_boxed_str()
    }

    /// Whether `authority` names the same host.
    pub(crate) fn is_same(&self, authority: &[u8], scheme: Scheme) -> bool {
        authority == self.text.as_bytes() || Self::parse(authority, scheme).as_ref() == Some(self)
    }
}

/// The name in an authority, as routes compare it: lower case, without port and trailing dot. `None` when it can be read in
/// more than one way; such a request is refused.
pub fn host_name(authority: &[u8]) -> Option<String> {
    Host::parse(authority, Scheme::Https).map(|host| host.name().to_owned())
}

const fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

/// Name and port; an IPv6 literal keeps its brackets. `None` when the form is broken.
fn split_port(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (name, rest) = if authority.first() == Some(&b'[') {
        let close = authority.iter().position(|&byte| byte == b']')?;
        let (literal, rest) = authority.split_at_checked(close + 1)?;
        let address = literal.get(1..close)?;
        std::str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
        (literal, rest)
    } else {
        let colon = authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len());
        authority.split_at_checked(colon)?
    };
    match rest {
        [] | [b':'] => Some((name, None)),
        [b':', digits @ ..] => Some((name, Some(number(digits)?))),
        _ => None,
    }
}

/// A port.
fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0u16, |number, digit| {
        let digit = digit.is_ascii_digit().then_some(digit & 0x0f)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Letters, digits and what names in the wild also have.
fn is_name_byte(byte: &u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

/// Writes a number.
// PERF: every request needs a port or an address; the formatter takes five times as long for each number.
pub(crate) fn push_decimal(text: &mut String, number: u16) {
    let places = [10_000, 1_000, 100, 10, 1];
    let shown = places.into_iter().filter(|place| *place == 1 || number >= *place);
    text.extend(shown.filter_map(|place| char::from_digit(u32::from(number / place % 10), 10)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(authority: &str) -> Option<String> {
        Host::parse(authority.as_bytes(), Scheme::Http).map(|host| host.as_str().to_owned())
    }

    #[test]
    fn case_default_port_and_trailing_dot_do_not_matter() {
        for (sent, normal) in [
            ("API.Example.com", "api.example.com"),
            ("a.example:80", "a.example"),
            ("a.example.:80", "a.example"),
            ("a.example:", "a.example"),
            ("a.example:0080", "a.example"),
            ("a.example:443", "a.example:443"),
            ("[2001:DB8::1]:8080", "[2001:db8::1]:8080"),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(text(sent).as_deref(), Some(normal), "{sent}");
        }
        assert_eq!(Host::parse(b"a:443", Scheme::Https).unwrap().as_str(), "a");
        assert_eq!(Host::parse(b"a:8080", Scheme::Https).unwrap().name(), "a");
    }

    #[test]
    fn a_number_is_written_as_the_formatter_writes_it() {
        for number in 0..=u16::MAX {
            let mut text = String::new();
            push_decimal(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for sent in [
            "",
            ".",
            ":80",
            "user@a",
            "a,b",
            "a b",
            "a/b",
            "a\\b",
            "a?b",
            "a#b",
            "a:b",
            "a:1:2",
            "a:70000",
            "[::1",
            "[::1]x",
            "[::g]",
            "::1",
            "a%2eb",
            "é.example",
            "\u{0}",
        ] {
            assert_eq!(text(sent), None, "{sent}");
        }
        assert_eq!(text(&"a".repeat(256)), None);
    }
}
