//! How often a password may be tried: token buckets per address, per name at an address, and per name, in bounded tables.
//!
//! A try costs a token before the password is looked at, so that guessing also cannot burn our CPU; a right password
//! gives the name its tokens back. The narrow buckets are asked first: who is out of tokens cannot drain a name's wide
//! one, so that one guesser slows down itself only, and it takes many addresses to slow down the name's owner.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use bartizan_model::Timestamp;

use crate::problem::Problem;

/// LIMIT: buckets of one table. When it is full, the bucket with the most tokens (the least suspect) makes room.
const BUCKETS_MAX: usize = 10_000;
/// Tries for one name from one address: eight at once, then one every 30 seconds.
const PER_NAME_AND_ADDRESS: Rate = Rate { burst: 8, refill_us: 30_000_000 };
/// Tries for one name from everywhere: a hundred at once, then one every five seconds. One address cannot use it up.
const PER_NAME: Rate = Rate { burst: 100, refill_us: 5_000_000 };
/// Tries from one address: thirty at once, then one every ten seconds.
const PER_ADDRESS: Rate = Rate { burst: 30, refill_us: 10_000_000 };

#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    refill_us: i64,
}

/// What is tried. The set-up link is none of the names, so that no name can stand for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tried {
    /// The password of the user of this name, in lower case
    Password(String),
    /// The token of the set-up link
    SetUpLink,
}

/// The tries of everybody.
#[derive(Default)]
pub(crate) struct LoginLimits {
    addresses: Mutex<HashMap<IpAddr, Timestamp>>,
    pairs: Mutex<HashMap<(Tried, IpAddr), Timestamp>>,
    names: Mutex<HashMap<Tried, Timestamp>>,
}

impl LoginLimits {
    /// Takes one try of `tried` from `address`.
    pub(crate) fn take(&self, tried: &Tried, address: IpAddr, now: Timestamp) -> Result<(), Problem> {
        let network = network(address);
        take(&self.addresses, network, PER_ADDRESS, now)?;
        take(&self.pairs, (tried.clone(), network), PER_NAME_AND_ADDRESS, now)?;
        match tried {
            Tried::Password(_) => take(&self.names, tried.clone(), PER_NAME, now),
            Tried::SetUpLink => Ok(()), // 256 random bits: strangers' guesses must not keep its owner out
        }
    }

    /// Gives `tried` its tries from `address` back, after a right password from there, and what they cost others.
    pub(crate) fn forgive(&self, tried: &Tried, address: IpAddr) {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner).remove(&(tried.clone(), network(address)));
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(tried);
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

    fn name(name: &str) -> Tried {
        Tried::Password(name.to_owned())
    }

    #[test]
    fn the_ninth_try_for_a_name_from_one_address_waits_and_another_address_does_not() {
        let limits = LoginLimits::default();
        for _ in 0..8 {
            limits.take(&name("ann"), address(1), NOW).unwrap();
        }
        assert_eq!(wait_s(limits.take(&name("ann"), address(1), NOW)), Some(30));
        assert_eq!(wait_s(limits.take(&name("ann"), address(1), NOW.plus_micros(30_000_000))), None);
        limits.take(&name("bob"), address(1), NOW).unwrap();
        limits.take(&name("ann"), address(2), NOW).unwrap();
    }

    #[test]
    fn a_guesser_who_never_stops_does_not_lock_the_owner_out() {
        let limits = LoginLimits::default();
        for second in 0..3600 {
            let _ = limits.take(&name("ann"), address(1), NOW.plus_micros(second * 1_000_000)); // mostly refused
        }
        limits.take(&name("ann"), address(2), NOW.plus_micros(3_600_000_000)).unwrap();
    }

    #[test]
    fn guesses_from_many_addresses_are_slowed_down_by_name() {
        let limits = LoginLimits::default();
        for try_number in 0..100 {
            limits.take(&name("ann"), address(try_number), NOW).unwrap();
        }
        assert_eq!(wait_s(limits.take(&name("ann"), address(200), NOW)), Some(5));
        assert_eq!(wait_s(limits.take(&name("ann"), address(200), NOW.plus_micros(5_000_000))), None);
    }

    #[test]
    fn no_name_stands_for_the_set_up_link_and_no_crowd_uses_it_up() {
        let limits = LoginLimits::default();
        for _ in 0..8 {
            limits.take(&name("set-up link"), address(1), NOW).unwrap();
        }
        limits.take(&Tried::SetUpLink, address(1), NOW).unwrap();
        for last in 0..=250 {
            limits.take(&Tried::SetUpLink, address(last), NOW).unwrap();
        }
        for _ in 0..7 {
            limits.take(&Tried::SetUpLink, address(251), NOW).unwrap();
        }
        limits.take(&Tried::SetUpLink, address(251), NOW).unwrap();
        assert_eq!(wait_s(limits.take(&Tried::SetUpLink, address(251), NOW)), Some(30));
    }

    #[test]
    fn a_right_password_gives_the_name_its_tries_back() {
        let limits = LoginLimits::default();
        for _ in 0..8 {
            limits.take(&name("ann"), address(1), NOW).unwrap();
        }
        limits.forgive(&name("ann"), address(1));
        limits.take(&name("ann"), address(1), NOW).unwrap();
    }

    #[test]
    fn an_address_that_walks_names_waits_too() {
        let limits = LoginLimits::default();
        for number in 0..30 {
            limits.take(&name(&format!("user{number}")), address(1), NOW).unwrap();
        }
        assert_eq!(wait_s(limits.take(&name("user31"), address(1), NOW)), Some(10));
    }

    #[test]
    fn a_v6_network_is_one_address() {
        let limits = LoginLimits::default();
        for host in 0..30u16 {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, host]);
            limits.take(&name(&format!("user{host}")), address, NOW).unwrap();
        }
        assert!(limits.take(&name("x"), IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), NOW).is_err());
        assert!(limits.take(&name("x"), IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]), NOW).is_ok());
    }

    #[test]
    fn a_full_table_keeps_the_most_suspect() {
        let table = Mutex::new(HashMap::new());
        for _ in 0..8 {
            take(&table, usize::MAX, PER_NAME_AND_ADDRESS, NOW).unwrap();
        }
        for key in 0..BUCKETS_MAX + 200 {
            take(&table, key, PER_NAME_AND_ADDRESS, NOW).unwrap();
        }
        assert!(table.lock().unwrap().len() <= BUCKETS_MAX);
        assert!(take(&table, usize::MAX, PER_NAME_AND_ADDRESS, NOW).is_err());
    }
}
