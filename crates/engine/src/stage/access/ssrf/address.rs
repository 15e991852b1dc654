//! Addresses that are not the Internet's, in every spelling that some resolver understands.
//!
//! Sources: IANA special-purpose address registries (RFC 6890); RFC 4291 §2.5.5, RFC 6052, RFC 3056, RFC 4380 and RFC 5214
//! for IPv4 inside of IPv6; `inet_aton(3)` and the WHATWG URL standard §3.5 for numbers that are IPv4 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks that no public service is in: first address and length of the prefix.
const INTERNAL: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32), // Azure's host services: a public address that only its machines reach
    ([169, 254, 0, 0], 16),   // with the metadata services of most clouds
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3), // multicast, reserved, broadcast
];

/// Whether an address leads anywhere but to the public Internet.
pub(crate) fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => is_internal_v6(address),
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    INTERNAL.iter().any(|(first, length)| {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or_default();
        address.to_bits() & mask == Ipv4Addr::from(*first).to_bits()
    })
}

/// Only 2000::/3 is the Internet's, and what is translated to it; an IPv4 address inside must be public too.
fn is_internal_v6(address: Ipv6Addr) -> bool {
    let low = |bits: u128| Ipv4Addr::from_bits((bits & u128::from(u32::MAX)) as u32);
    let bits = address.to_bits();
    match address.segments() {
        // IPv4-compatible, -mapped and -translated; well-known NAT64 prefix
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            is_internal_v4(low(bits))
        }
        // Teredo: a server, and a client with its bits turned
        [0x2001, 0, ..] => is_internal_v4(low(bits >> 64)) || is_internal_v4(low(!bits)),
        [0x2002, ..] => is_internal_v4(low(bits >> 80)), // 6to4
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => true, // IETF protocols, documentation
        [0x3fff, second, ..] if second < 0x1000 => true, // documentation
        // ISATAP
        [0x2000..0x4000, _, _, _, 0 | 0x200, 0x5efe, ..] => is_internal_v4(low(bits)),
        [0x2000..0x4000, ..] => false,
        _ => true,
    }
}

/// What resolvers make of a host that ends in a number; [`None`] when it does not end in one, and is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numeric {
    /// The one usual spelling
    Plain(Ipv4Addr),
    /// Some resolver reads it as one of these
    Odd([Option<Ipv4Addr>; 2]),
}

/// Reads a host of letters, digits, `-`, `_` and single dots.
pub(crate) fn numeric(host: &str) -> Option<Numeric> {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hex = last
        .strip_prefix("0x")
        .or(last.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_number = is_hex || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_number {
        return None;
    }
    Some(match host.parse::<Ipv4Addr>() {
        Ok(address) => Numeric::Plain(address),
        Err(_) => Numeric::Odd([by_parts(host, part), by_parts(host, decimal)]),
    })
}

/// One to four numbers, the last of which fills what is left (`inet_aton`).
fn by_parts(host: &str, read: fn(&str) -> Option<u64>) -> Option<Ipv4Addr> {
    let mut address = 0u64;
    let count = host.split('.').count();
    if count > 4 {
        return None;
    }
    for (at, text) in host.split('.').enumerate() {
        let number = read(text)?;
        let is_last = at + 1 == count;
        let room = if is_last { 8 * (5 - count) } else { 8 };
        if number >= 1 << room {
            return None;
        }
        address = address << room | number;
    }
    u32::try_from(address).ok().map(Ipv4Addr::from_bits)
}

/// A number in C's spelling: `0x7f`, `0177`, `127`.
fn part(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        return if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 16).ok() };
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u64::from_str_radix(digits, 8).ok(),
        _ => decimal(text),
    }
}

/// A number in tens, whatever zeros are before it: for resolvers that know no other.
fn decimal(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

/// Whether a name spells an internal address in its labels: `169.254.169.254.a.example`, `10-0-0-1.a.example`.
pub(crate) fn spells_internal(name: &str) -> bool {
    holds_internal(name.split('.')) || name.split('.').any(|label| holds_internal(label.split('-')))
}

fn holds_internal<'n>(pieces: impl Iterator<Item = &'n str>) -> bool {
    let mut last = [None; 4];
    for piece in pieces {
        last.rotate_left(1);
        if let Some(place) = last.last_mut() {
            *place = decimal(piece).and_then(|number| u8::try_from(number).ok()).filter(|_| piece.len() <= 3);
        }
        if let [Some(a), Some(b), Some(c), Some(d)] = last
            && is_internal_v4(Ipv4Addr::new(a, b, c, d))
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_the_internets_is_internal() {
        for (address, is) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.15.255.255", false),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("169.254.169.254", true),
            ("100.100.100.200", true),
            ("168.63.129.16", true),
            ("168.63.129.17", false),
            ("192.0.0.192", true),
            ("0.0.0.0", true),
            ("255.255.255.255", true),
            ("8.8.8.8", false),
            ("223.255.255.255", false),
            ("::1", true),
            ("::", true),
            ("::ffff:127.0.0.1", true),
            ("::ffff:8.8.8.8", false),
            ("::127.0.0.1", true),
            ("::ffff:0:10.0.0.1", true),
            ("64:ff9b::a9fe:a9fe", true),
            ("64:ff9b::808:808", false),
            ("64:ff9b:1::808:808", true),
            ("2002:7f00:1::1", true),
            ("2002:808:808::1", false),
            ("2001:0:808:808:0:0:f5ff:fffe", true), // Teredo client 10.0.0.1
            ("2001:0:a00:1:0:0:f7f7:f7f7", true),   // Teredo server 10.0.0.1
            ("2606:4700::1:5efe:a00:1", false),
            ("2606:4700:0:0:0:5efe:a00:1", true),
            ("fd00:ec2::254", true),
            ("fe80::1", true),
            ("fec0::1", true),
            ("ff02::1", true),
            ("2001:db8::1", true),
            ("2606:4700:4700::1111", false),
            ("100::1", true),
        ] {
            assert_eq!(is_internal(address.parse().unwrap()), is, "{address}");
        }
    }

    #[test]
    fn numbers_are_read_as_resolvers_read_them() {
        let v4 = |text: &str| text.parse::<Ipv4Addr>().ok();
        for (host, readings) in [
            ("2130706433", [v4("127.0.0.1"), v4("127.0.0.1")]),
            ("0x7f000001", [v4("127.0.0.1"), None]),
            ("0X7F.1", [v4("127.0.0.1"), None]),
            ("0177.0.0.1", [v4("127.0.0.1"), v4("177.0.0.1")]),
            ("010.0.0.1", [v4("8.0.0.1"), v4("10.0.0.1")]),
            ("127.1", [v4("127.0.0.1"), v4("127.0.0.1")]),
            ("10.65535", [v4("10.0.255.255"), v4("10.0.255.255")]),
            ("0", [v4("0.0.0.0"), v4("0.0.0.0")]),
            ("1.2.3.4.5", [None, None]),
            ("256.0.0.1", [None, None]),
            ("a.1", [None, None]),
            ("4294967296", [None, None]),
        ] {
            assert_eq!(numeric(host), Some(Numeric::Odd(readings)), "{host}");
        }
        assert_eq!(numeric("10.0.0.1"), Some(Numeric::Plain(Ipv4Addr::new(10, 0, 0, 1))));
        for name in ["a.example", "1.example", "0x7f.a", "1e1", ""] {
            assert_eq!(numeric(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_that_spells_an_internal_address_is_seen_through() {
        for name in ["169.254.169.254.a.example", "10-0-0-1.a.example", "ip-192-168-1-1.a.example", "x-127-0-0-1-y.b"] {
            assert!(spells_internal(name), "{name}");
        }
        for name in
            ["8.8.8.8.a.example", "ec2-3-120-4-5.a.example", "10-0-0.a.example", "v10.0.0.1a.example", "a.b.c.d"]
        {
            assert!(!spells_internal(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn an_internal_address_is_found_in_every_spelling(
            index in 0..INTERNAL.len(),
            offset in any::<u32>(),
            shape in 1usize..=4,
            bases in prop::array::uniform4(0u8..3),
            zeros in 0usize..3,
        ) {
            let (first, length) = INTERNAL[index];
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or_default();
            let address = Ipv4Addr::from_bits(Ipv4Addr::from(first).to_bits() | (offset & !mask));
            let octets = address.octets().map(u64::from);
            let mut numbers: Vec<u64> = octets[..shape - 1].to_vec();
            numbers.push(octets[shape - 1..].iter().fold(0, |number, octet| number << 8 | octet));
            let text: Vec<String> = numbers.iter().zip(bases).map(|(number, base)| match base {
                0 => number.to_string(),
                1 => format!("0x{}{number:x}", "0".repeat(zeros)),
                _ => format!("0{}{number:o}", "0".repeat(zeros)),
            }).collect();
            let host = text.join(".");
            let found = match numeric(&host) {
                Some(Numeric::Plain(address)) => is_internal_v4(address),
                Some(Numeric::Odd(readings)) => readings.into_iter().flatten().any(is_internal_v4),
                None => false,
            };
            prop_assert!(found, "{host} is {address}");
        }

        #[test]
        fn an_internal_address_is_found_inside_of_ipv6(index in 0..INTERNAL.len(), offset in any::<u32>(), way in 0..6) {
            let (first, length) = INTERNAL[index];
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or_default();
            let bits = u128::from(Ipv4Addr::from(first).to_bits() | (offset & !mask));
            let address = match way {
                0 => 0xffff_0000_0000 | bits,
                1 => bits,
                2 => 0xffff_0000_0000_0000 | bits,
                3 => 0x64_ff9b << 96 | bits,
                4 => 0x2002 << 112 | bits << 80 | 1,
                _ => 0x2001_0000_0808_0808 << 64 | (!bits & u128::from(u32::MAX)),
            };
            prop_assert!(is_internal(Ipv6Addr::from_bits(address).into()));
        }
    }
}
