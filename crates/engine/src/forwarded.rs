//! The client's address behind trusted proxies, from `X-Forwarded-For` or `Forwarded` (RFC 7239).
//!
//! Each proxy appends whom it spoke to, so a list is read from its right end: as long as the speaker is trusted, its
//! entry is believed; the first address that is not trusted is the client. Everything to the left of it was written by
//! that client and is not even parsed. An entry that names no address (`unknown`, `_hidden`, garbage) ends the walk:
//! the client is then the last address that was vouched for.

use std::net::IpAddr;

use bartizan_model::HeaderField;

use crate::address::AddressSet;

/// LIMIT: trusted proxies in a row; real chains have fewer than ten.
const HOPS_MAX: usize = 32;

/// Which list is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    XForwardedFor,
    Forwarded,
}

/// The nearest address that is not a trusted proxy, as `peer`, a trusted proxy, and those behind it tell.
pub(crate) fn nearest_untrusted(headers: &[HeaderField<'_>], list: List, trusted: &AddressSet, peer: IpAddr) -> IpAddr {
    let mut nearest = peer;
    for entry in entries(headers, list).take(HOPS_MAX) {
        let Some(address) = address_of(entry, list) else { break };
        nearest = address;
        if !trusted.contains(address) {
            break;
        }
    }
    nearest
}

/// The list's entries from right to left, over all its fields, empty ones left out (RFC 9110 §5.6.1).
fn entries<'a>(headers: &[HeaderField<'a>], list: List) -> impl Iterator<Item = &'a [u8]> {
    let name: &[u8] = match list {
        List::XForwardedFor => b"x-forwarded-for",
        List::Forwarded => b"forwarded",
    };
    let fields = headers.iter().rev().filter(move |field| field.name.eq_ignore_ascii_case(name));
    fields
        .flat_map(|field| FromRight { rest: Some(field.value) })
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
}

/// Splits at commas outside quotes, from the right: a stray quote that the client wrote on the left cannot swallow
/// what a proxy appended.
struct FromRight<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for FromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut is_quoted = false;
        let comma = rest.iter().rposition(|byte| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        });
        let Some(comma) = comma else { return Some(rest) };
        self.rest = rest.get(..comma);
        rest.get(comma + 1..)
    }
}

fn address_of(entry: &[u8], list: List) -> Option<IpAddr> {
    match list {
        List::XForwardedFor => node_address(entry),
        List::Forwarded => node_address(forwarded_for(entry)?),
    }
}

/// The value of the one `for` parameter of a `Forwarded` entry, without quotes.
fn forwarded_for(entry: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    for pair in entry.split(|&byte| byte == b';') {
        let (name, value) = pair.split_at_checked(pair.iter().position(|&byte| byte == b'=')?)?;
        if !name.trim_ascii().eq_ignore_ascii_case(b"for") {
            continue;
        }
        let value = value.strip_prefix(b"=")?.trim_ascii();
        let value = match value.strip_prefix(b"\"") {
            Some(quoted) => quoted.strip_suffix(b"\"")?,
            None => value,
        };
        if found.replace(value).is_some() {
            return None;
        }
    }
    found
}

/// RFC 7239 §6's node, and what proxies write in `X-Forwarded-For`: an address, perhaps in brackets, perhaps with a
/// port. IPv4-mapped IPv6 becomes IPv4.
pub(crate) fn node_address(node: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(node).ok()?;
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.contains(':').then_some(())?;
            (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((address, port)) if !port.contains(':') => (address, Some(port)),
            _ => (text, None),
        },
    };
    port.is_none_or(is_port).then_some(())?;
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Digits, or an obfuscated port (RFC 7239 §6.2).
fn is_port(port: &str) -> bool {
    match port.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty(),
        None => port.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(list: List, values: &[&str]) -> String {
        let name: &[u8] = match list {
            List::XForwardedFor => b"X-Forwarded-For",
            List::Forwarded => b"forwarded",
        };
        let headers: Vec<_> = values.iter().map(|value| HeaderField { name, value: value.as_bytes() }).collect();
        let trusted = AddressSet::new(&["10.0.0.0/8".parse().unwrap(), "2001:db8:f::/48".parse().unwrap()]);
        nearest_untrusted(&headers, list, &trusted, "10.0.0.1".parse().unwrap()).to_string()
    }

    #[test]
    fn the_walk_goes_from_right_to_left_up_to_the_first_untrusted() {
        for (values, expected) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["198.51.100.1, 192.0.2.7, 10.1.1.1"], "192.0.2.7"),
            (&["198.51.100.1", "192.0.2.7,10.1.1.1"], "192.0.2.7"),
            (&["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
            (&["192.0.2.7:4711"], "192.0.2.7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            (&["192.0.2.7, ,"], "192.0.2.7"),
            (&["192.0.2.7, unknown, 10.1.1.1"], "10.1.1.1"),
            (&["192.0.2.7, 999.1.1.1"], "10.0.0.1"),
            (&["\"192.0.2.7, 192.0.2.8"], "192.0.2.8"),
            (&[""], "10.0.0.1"),
        ] {
            assert_eq!(client(List::XForwardedFor, values), expected, "{values:?}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        for (value, expected) in [
            ("for=192.0.2.7;proto=http;by=10.0.0.1", "192.0.2.7"),
            ("For=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=198.51.100.1, for=192.0.2.7, for=\"[2001:db8:f::1]\"", "192.0.2.7"),
            ("for=192.0.2.7, for=_gateway, for=10.1.1.1", "10.1.1.1"),
            ("for=\"192.0.2.7:_port\"", "192.0.2.7"),
            ("for=\"evil, for=192.0.2.7", "192.0.2.7"),
            ("for=192.0.2.7;for=192.0.2.8", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
            ("for=\"192.0.2.7", "10.0.0.1"),
            ("192.0.2.7", "10.0.0.1"),
        ] {
            assert_eq!(client(List::Forwarded, &[value]), expected, "{value}");
        }
    }

    #[test]
    fn half_addresses_are_none() {
        for node in
            ["", "[192.0.2.7]", "[::1", "::1]", "[::1]x", "192.0.2.7:", "192.0.2.7:70000", "fe80::1%eth0", "1.2.3"]
        {
            assert_eq!(node_address(node.as_bytes()), None, "{node}");
        }
    }
}
