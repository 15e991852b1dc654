//! Writes small MaxMind databases (file format 2.0), for tests.

use std::net::{IpAddr, Ipv6Addr};

/// Where a prefix of the tree leads.
#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// One network: first address, length of its prefix, country and operator.
pub type Network<'a> = (&'a str, u32, &'a str, u32);

/// One network with where it is: first address, length of its prefix, country, latitude and longitude.
pub type City<'a> = (&'a str, u32, &'a str, [f64; 2]);

/// A database of these networks, made at `built_secs`.
pub fn database(networks: &[Network<'_>], built_secs: u64) -> Vec<u8> {
    let entry = |(address, length, country, asn): &Network<'_>| {
        let mut data = Vec::new();
        map(&mut data, 2);
        in_country(&mut data, country);
        text(&mut data, "autonomous_system_number");
        number(&mut data, 6, u64::from(*asn), 4);
        (address.parse().unwrap(), *length, data)
    };
    tree(networks.iter().map(entry), built_secs)
}

/// A database of these places, made at `built_secs`.
pub fn city_database(cities: &[City<'_>], built_secs: u64) -> Vec<u8> {
    let entry = |(address, length, country, [latitude, longitude]): &City<'_>| {
        let mut data = Vec::new();
        map(&mut data, 2);
        in_country(&mut data, country);
        text(&mut data, "location");
        map(&mut data, 2);
        text(&mut data, "latitude");
        number(&mut data, 3, latitude.to_bits(), 8);
        text(&mut data, "longitude");
        number(&mut data, 3, longitude.to_bits(), 8);
        (address.parse().unwrap(), *length, data)
    };
    tree(cities.iter().map(entry), built_secs)
}

fn in_country(out: &mut Vec<u8>, country: &str) {
    text(out, "country");
    map(out, 1);
    text(out, "iso_code");
    text(out, country);
}

fn tree(entries: impl Iterator<Item = (IpAddr, u32, Vec<u8>)>, built_secs: u64) -> Vec<u8> {
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data: Vec<u8> = Vec::new();
    for (address, length, entry) in entries {
        let offset = data.len();
        data.extend(entry);
        // IPv4 stands at ::/96.
        let (bits, length) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 96 + length),
            IpAddr::V6(address) => (Ipv6Addr::to_bits(address), length),
        };
        let mut node = 0;
        for at in 0..length {
            let bit = (bits >> (127 - at) & 1) as usize;
            if at + 1 == length {
                nodes[node][bit] = Record::Data(offset);
                break;
            }
            node = match nodes[node][bit] {
                Record::Node(next) => next,
                Record::Nothing | Record::Data(_) => {
                    nodes.push([Record::Nothing; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][bit] = Record::Node(next);
                    next
                }
            };
        }
    }
    let mut bytes = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match record {
            Record::Nothing => nodes.len(),
            Record::Node(node) => *node,
            Record::Data(offset) => nodes.len() + 16 + offset,
        };
        bytes.extend_from_slice(&(value as u32).to_be_bytes()[1..]);
    }
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&data);
    bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut bytes, nodes.len(), built_secs);
    bytes
}

fn metadata(out: &mut Vec<u8>, nodes: usize, built_secs: u64) {
    map(out, 9);
    for (name, kind, value, bytes) in [
        ("binary_format_major_version", 5, 2, 2),
        ("binary_format_minor_version", 5, 0, 2),
        ("build_epoch", 9, built_secs, 8),
        ("ip_version", 5, 6, 2),
        ("node_count", 6, nodes as u64, 4),
        ("record_size", 5, 24, 2),
    ] {
        text(out, name);
        number(out, kind, value, bytes);
    }
    text(out, "database_type");
    text(out, "Test-Country-ASN");
    text(out, "languages");
    out.extend_from_slice(&[0, 11 - 7]); // an array of none
    text(out, "description");
    map(out, 0);
}

fn map(out: &mut Vec<u8>, members: u8) {
    out.push(7 << 5 | members);
}

fn text(out: &mut Vec<u8>, text: &str) {
    let length = text.len() as u8;
    match length {
        0..29 => out.push(2 << 5 | length),
        _ => out.extend_from_slice(&[2 << 5 | 29, length - 29]),
    }
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, kind: u8, value: u64, bytes: u8) {
    match kind {
        0..8 => out.push(kind << 5 | bytes),
        _ => out.extend_from_slice(&[bytes, kind - 7]),
    }
    out.extend_from_slice(&value.to_be_bytes()[usize::from(8 - bytes)..]);
}
