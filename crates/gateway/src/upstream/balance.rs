//! Which member of a pool gets a request: weighted round robin, weighted random, consistent hash.
//!
//! Round robin and random share one schedule, in which every member stands as often as its weight says, spread evenly
//! (smooth weighted round robin, as in nginx). The consistent hash is Ketama, by Pingora.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pingora::lb::Backend;
use pingora::lb::selection::consistent::KetamaHashing;
use pingora::lb::selection::{BackendIter, BackendSelection};

use crate::ids;

/// LIMIT: slots of a schedule; finer weights than that are rounded.
const SLOTS_MAX: u64 = 1024;

/// LIMIT: points of a hash ring that are tried before giving up on finding a healthy member.
const RING_STEPS_MAX: usize = 2048;

/// LIMIT: largest weight on a hash ring; a ring has 160 points per unit of weight.
const RING_WEIGHT_MAX: u64 = 16;

/// How the next member is found.
pub(super) enum Balancer {
    /// In turn
    RoundRobin {
        /// Members by slot
        schedule: Box<[u16]>,
        /// Next slot
        next: AtomicUsize,
    },
    /// At random
    Random {
        /// Members by slot
        schedule: Box<[u16]>,
    },
    /// By hash of a key
    Hash {
        /// Points of all members
        ring: Arc<KetamaHashing>,
        /// Members by address
        by_address: HashMap<SocketAddr, u16>,
    },
}

impl Balancer {
    /// In turn, by weight.
    pub(super) fn round_robin(weights: &[u64]) -> Self {
        Self::RoundRobin { schedule: schedule(weights), next: AtomicUsize::new(0) }
    }

    /// At random, by weight.
    pub(super) fn random(weights: &[u64]) -> Self {
        Self::Random { schedule: schedule(weights) }
    }

    /// By hash of a key, shares by weight.
    pub(super) fn hash(addresses: &[SocketAddr], weights: &[u64]) -> Self {
        let shares = scaled(weights, RING_WEIGHT_MAX);
        let backends: BTreeSet<_> = addresses
            .iter()
            .zip(shares)
            .map(|(address, weight)| Backend {
                addr: (*address).into(),
                weight: usize::try_from(weight).unwrap_or(1),
                ext: http::Extensions::new(),
            })
            .collect();
        let by_address = addresses.iter().zip(0..).map(|(address, index)| (*address, index)).collect();
        Self::Hash { ring: Arc::new(KetamaHashing::build(&backends)), by_address }
    }

    /// The next member that `accepts`. A further attempt of the same request takes no turn.
    pub(super) fn pick(&self, key: &[u8], is_first: bool, accepts: impl Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::RoundRobin { schedule, next } => {
                let slot = if is_first { next.fetch_add(1, Relaxed) } else { next.load(Relaxed) };
                from_slot(schedule, slot, accepts)
            }
            Self::Random { schedule } => from_slot(schedule, ids::random() as usize, accepts),
            Self::Hash { ring, by_address } => {
                let mut points = ring.iter(key);
                for _ in 0..RING_STEPS_MAX {
                    let index = usize::from(*by_address.get(points.next()?.addr.as_inet()?)?);
                    if accepts(index) {
                        return Some(index);
                    }
                }
                None
            }
        }
    }
}

fn from_slot(schedule: &[u16], slot: usize, accepts: impl Fn(usize) -> bool) -> Option<usize> {
    let start = slot.checked_rem(schedule.len())?;
    let (behind, ahead) = schedule.split_at(start);
    ahead.iter().chain(behind).map(|index| usize::from(*index)).find(|index| accepts(*index))
}

/// Weights reduced by their common divisor, and rounded when they still need more than `max` together.
fn scaled(weights: &[u64], max: u64) -> Vec<u64> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let reduced: Vec<u64> = weights.iter().map(|weight| weight / divisor).collect();
    let total: u64 = reduced.iter().sum();
    if total <= max {
        return reduced;
    }
    reduced.iter().map(|weight| (weight.saturating_mul(max) / total).max(1)).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Smooth weighted round robin: in each step the member with the most credit is next, and pays the total.
fn schedule(weights: &[u64]) -> Box<[u16]> {
    let weights = scaled(weights, SLOTS_MAX);
    let total: i64 = weights.iter().sum::<u64>().cast_signed();
    let mut credits = vec![0_i64; weights.len()];
    let slots = (0..total).filter_map(|_| {
        credits.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight.cast_signed());
        let richest = (0..credits.len()).rev().max_by_key(|index| credits[*index])?;
        credits[richest] -= total;
        u16::try_from(richest).ok()
    });
    slots.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_and_spread_evenly() {
        assert_eq!(*schedule(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*schedule(&[1000, 1000]), [0, 1]);
        assert!(schedule(&[1_000_000, 1]).len() <= 1025);
        assert!(schedule(&[]).is_empty());
    }

    #[test]
    fn members_that_are_not_accepted_are_skipped() {
        let balancer = Balancer::round_robin(&[1, 1, 1]);
        let picks: Vec<_> = (0..4).filter_map(|_| balancer.pick(b"", true, |index| index != 1)).collect();
        assert_eq!(picks, [0, 2, 2, 0]);
        assert_eq!(balancer.pick(b"", true, |_| false), None);
    }

    #[test]
    fn the_same_key_goes_to_the_same_member_and_only_a_lost_members_keys_move() {
        let addresses: Vec<SocketAddr> = (1..=4).map(|n| ([127, 0, 0, n], 80).into()).collect();
        let balancer = Balancer::hash(&addresses, &[1, 1, 1, 1]);
        let keys: Vec<String> = (0..1000).map(|n| format!("key-{n}")).collect();
        let mut moved = 0;
        for key in &keys {
            let home = balancer.pick(key.as_bytes(), true, |_| true).unwrap();
            assert_eq!(balancer.pick(key.as_bytes(), true, |_| true), Some(home));
            let refuge = balancer.pick(key.as_bytes(), true, |index| index != 2).unwrap();
            if home == 2 { moved += 1 } else { assert_eq!(refuge, home) }
        }
        assert!((100..400).contains(&moved), "{moved} keys of one member in four");
    }
}
