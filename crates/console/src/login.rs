//! How often a password may be tried: token buckets per name and per address, in a bounded table.
//!
//! A try costs a token before the password is looked at, so that guessing also cannot burn our CPU; a right password
//! gives the name its tokens back. The address is asked first: who is out of tokens cannot drain a name's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use bartizan_model::Timestamp;

use crate::problem::Problem;

/// LIMIT: buckets of one table. When it is full, the bucket with the most tokens (the least suspect) makes room.
const BUCKETS_MAX: usize = 10_000;
/// Tries for one name: eight at once, then one every 30 seconds.
const PER_NAME: Rate = Rate { burst: 8, refill_us: 30_000_000 };
/// Tries from one address: thirty at once, then one every ten seconds.
const PER_ADDRESS: Rate = Rate { burst: 30, refill_us: 10_000_000 };

#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    refill_us: i64,
}

/// The tries of everybody.
#[derive(Default)]
pub(crate) struct LoginLimits {
    names: Mutex<HashMap<String, Timestamp>>,
    addresses: Mutex<HashMap<IpAddr, Timestamp>>,
}

impl LoginLimits {
    /// Takes one try for `name` from `address`.
    pub(crate) fn take(&self, name: &str, address: IpAddr, now: Timestamp) -> Result<(), Problem> {
        take(&self.addresses, network(address), PER_ADDRESS, now)?;
        take(&self.names, name.to_owned(), PER_NAME, now)
    }

    /// Gives `name` its tries back, after a right password.
    pub(crate) fn forgive(&self, name: &str) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// One IPv6 customer has a /64: that is one address here.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

/// A bucket as the time at which it will be full again (the generic cell rate algorithm).
fn take<K: std::hash::Hash + Eq + Clone>(
    table: &Mutex<HashMap<K, Timestamp>>,
    key: K,
    rate: Rate,
    now: Timestamp,
) -> Result<(), Problem> {
    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
    let full_at = table.get(&key).copied().unwrap_or(now).max(now);
    let full_after = full_at.plus_micros(rate.refill_us);
    let allowance_us = i64::from(rate.burst) * rate.refill_us;
    let missing_us = full_after.micros_since(now).saturating_sub(allowance_us.unsigned_abs());
    if missing_us > 0 {
        let retry_after_s = missing_us.div_ceil(1_000_000);
        return Err(Problem::TooMany { detail: "too many tries to sign in; wait and try again", retry_after_s });
    }
    if table.len() >= BUCKETS_MAX && !table.contains_key(&key) {
        make_room(&mut table, now);
    }
    table.insert(key, full_after);
    Ok(())
}

fn make_room<K: std::hash::Hash + Eq + Clone>(table: &mut HashMap<K, Timestamp>, now: Timestamp) {
    table.retain(|_, full_at| *full_at > now);
    if table.len() >= BUCKETS_MAX
        && let Some(fullest) = table.iter().min_by_key(|(_, full_at)| **full_at).map(|(key, _)| key.clone())
    {
        table.remove(&fullest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn wait_s(result: Result<(), Problem>) -> Option<u64> {
        match result {
            Err(Problem::TooMany { retry_after_s, .. }) => Some(retry_after_s),
            _ => None,
        }
    }

    #[test]
    fn the_ninth_try_for_a_name_waits_from_wherever_it_comes() {
        let limits = LoginLimits::default();
        for try_number in 0..8 {
            limits.take("ann", address(try_number), NOW).unwrap();
        }
        assert_eq!(wait_s(limits.take("ann", address(99), NOW)), Some(30));
        assert_eq!(wait_s(limits.take("ann", address(99), NOW.plus_micros(30_000_000))), None);
        limits.take("bob", address(99), NOW).unwrap();
    }

    #[test]
    fn a_right_password_gives_the_name_its_tries_back() {
        let limits = LoginLimits::default();
        for _ in 0..8 {
            limits.take("ann", address(1), NOW).unwrap();
        }
        limits.forgive("ann");
        limits.take("ann", address(1), NOW).unwrap();
    }

    #[test]
    fn an_address_that_walks_names_waits_too() {
        let limits = LoginLimits::default();
        for name in 0..30 {
            limits.take(&format!("user{name}"), address(1), NOW).unwrap();
        }
        assert_eq!(wait_s(limits.take("user31", address(1), NOW)), Some(10));
    }

    #[test]
    fn a_v6_network_is_one_address() {
        let limits = LoginLimits::default();
        for host in 0..30u16 {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host]);
            limits.take(&format!("user{host}"), address, NOW).unwrap();
        }
        assert!(limits.take("x", IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), NOW).is_err());
        assert!(limits.take("x", IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]), NOW).is_ok());
    }

    #[test]
    fn a_full_table_keeps_the_most_suspect() {
        let table = Mutex::new(HashMap::new());
        for _ in 0..8 {
            take(&table, usize::MAX, PER_NAME, NOW).unwrap();
        }
        for key in 0..BUCKETS_MAX + 200 {
            take(&table, key, PER_NAME, NOW).unwrap();
        }
        assert!(table.lock().unwrap().len() <= BUCKETS_MAX);
        assert!(take(&table, usize::MAX, PER_NAME, NOW).is_err());
    }
}
