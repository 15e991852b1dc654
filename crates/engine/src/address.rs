//! A set of IP networks: sorted, merged ranges, looked up by binary search.
//!
//! IPv4-mapped IPv6 addresses (RFC 4291 §2.5.5.2) are IPv4 here, on both sides: a list cannot be slipped past by
//! writing the same address in the other family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::host::push_decimal;

/// A set of IP networks.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddressSet {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl AddressSet {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for network in networks {
            match (network.network(), network.broadcast()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => match (first.to_ipv4_mapped(), last.to_ipv4_mapped()) {
                    (Some(first), Some(last)) => v4.push((first.to_bits(), last.to_bits())),
                    _ => v6.push((first.to_bits(), last.to_bits())),
                },
                _ => debug_assert!(false, "a network has one family"),
            }
        }
        // A network wide enough to hold the mapped block holds all of IPv4.
        let mapped = (Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().to_bits(), Ipv4Addr::BROADCAST.to_ipv6_mapped().to_bits());
        if v6.iter().any(|range| range.0 <= mapped.0 && mapped.1 <= range.1) {
            v4.push((0, u32::MAX));
        }
        Self { v4: merge(v4), v6: merge(v6) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => is_within(&self.v4, address.to_bits()),
            IpAddr::V6(address) => is_within(&self.v6, address.to_bits()),
        }
    }
}

fn merge<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.0 <= last.1 => last.1 = last.1.max(range.1),
            _ => merged.push(range),
        }
    }
    merged.into_boxed_slice()
}

fn is_within<T: Ord>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|range| range.0 <= address);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|range| address <= range.1)
}

/// The network an address is charged to: an IPv4 address, or the /64 of an IPv6 one, which is what one customer gets.
pub(crate) fn network_of(address: IpAddr) -> Box<str> {
    match address.to_canonical() {
        IpAddr::V4(address) => decimal(address),
        IpAddr::V6(address) => {
            let prefix = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("{prefix}/64").into()
        }
    }
}

/// `192.0.2.1`, without the formatter: every request needs it.
fn decimal(address: Ipv4Addr) -> Box<str> {
    let mut text = String::with_capacity(15);
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        push_decimal(&mut text, octet.into());
    }
    text.as_str().into() // PERF: shrinking in place costs more than a new piece of the right size
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(networks: &[&str]) -> AddressSet {
        AddressSet::new(&networks.iter().map(|network| network.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_self() {
        assert!(set(&["192.0.2.0/24"]).contains("::ffff:192.0.2.9".parse().unwrap()));
        assert!(set(&["::ffff:192.0.2.0/120"]).contains("192.0.2.9".parse().unwrap()));
        assert!(set(&["::/0"]).contains("192.0.2.9".parse().unwrap()));
        assert!(!set(&["2000::/3"]).contains("192.0.2.9".parse().unwrap()));
    }

    #[test]
    fn an_ipv6_client_is_charged_as_its_64() {
        assert_eq!(&*network_of("2001:db8:1:2:3:4:5:6".parse().unwrap()), "2001:db8:1:2::/64");
        assert_eq!(&*network_of("::ffff:192.0.2.9".parse().unwrap()), "192.0.2.9");
        for octet in 0..=255 {
            let address = Ipv4Addr::new(octet, 0, 10, 255 - octet);
            assert_eq!(*network_of(address.into()), *address.to_string());
        }
    }

    proptest! {
        #[test]
        fn the_set_equals_a_scan_of_its_networks(
            networks in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..40),
            address in any::<u32>(),
            near in any::<prop::sample::Index>(),
        ) {
            let networks: Vec<IpNet> = networks.iter()
                .map(|&(bits, length)| IpNet::new(IpAddr::V4(bits.into()), length).unwrap().trunc()).collect();
            let mut probes = vec![IpAddr::V4(address.into())];
            if !networks.is_empty() {
                let network = near.get(&networks);
                probes.extend([network.network(), network.broadcast()]);
            }
            let set = AddressSet::new(&networks);
            for probe in probes {
                prop_assert_eq!(set.contains(probe), networks.iter().any(|network| network.contains(&probe)));
            }
        }
    }
}
