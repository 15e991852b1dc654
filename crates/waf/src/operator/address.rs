//! Addresses in networks: `ipMatch`, `ipMatchFromFile`.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Fault;

/// IP networks: ranges of addresses, sorted, none touching another.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Addresses and networks apart by commas.
    pub(super) fn of_list(list: &[u8]) -> Result<Self, Fault> {
        Self::of_items(list.split(|&byte| byte == b','))
    }

    /// Addresses and networks on lines of files; `#` begins a comment.
    pub(super) fn of_files(files: &[Arc<[u8]>]) -> Result<Self, Fault> {
        let lines = files.iter().flat_map(|file| file.split(|&byte| byte == b'\n'));
        Self::of_items(lines.filter_map(|line| line.split(|&byte| byte == b'#').next()))
    }

    fn of_items<'a>(items: impl Iterator<Item = &'a [u8]>) -> Result<Self, Fault> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for item in items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty()) {
            match network(item) {
                Some(IpNet::V4(network)) => v4.push(network),
                Some(IpNet::V6(network)) => v6.push(network),
                None => {
                    return Err(Fault {
                        message: format!("`{}` is not an IP address or network", item.escape_ascii()),
                        help: "write addresses as `192.0.2.1` or `2001:db8::1`, networks as `192.0.2.0/24`".to_owned(),
                    });
                }
            }
        }
        if v4.is_empty() && v6.is_empty() {
            return Err(Fault {
                message: "no address to compare with".to_owned(),
                help: "name at least one IP address or network".to_owned(),
            });
        }
        let v4 = Ipv4Net::aggregate(&v4)
            .into_iter()
            .map(|network| (network.network().into(), network.broadcast().into()))
            .collect();
        let v6 = Ipv6Net::aggregate(&v6)
            .into_iter()
            .map(|network| (network.network().into(), network.broadcast().into()))
            .collect();
        Ok(Self { v4: sorted(v4), v6: sorted(v6) })
    }

    /// Whether `input` is an address in one of them; an IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is an IPv4 address.
    pub(super) fn contains(&self, input: &[u8]) -> bool {
        let address = str::from_utf8(input).ok().and_then(|text| text.trim_ascii().parse::<IpAddr>().ok());
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => is_in(&self.v4, address.into()),
            Some(IpAddr::V6(address)) => is_in(&self.v6, address.into()),
            None => false,
        }
    }
}

fn network(item: &[u8]) -> Option<IpNet> {
    let item = str::from_utf8(item).ok()?;
    item.parse::<IpNet>().ok().or_else(|| item.parse::<IpAddr>().ok().map(IpNet::from))
}

fn sorted<T: Ord>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    ranges
}

fn is_in<T: Ord>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|(_, last)| address <= *last)
}
