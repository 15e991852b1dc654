//! How much of the gateway each client address holds: its open connections, and its requests under way over all of them.
//!
//! An entry lives as long as the address has a connection, so there are never more entries than connections. The table
//! is cut into shards by a keyed hash and touched twice in a connection's life; a request only moves a counter that its
//! connection holds. An IPv6 client is its /64, which is what a network gives one subscriber (RFC 6177, RIPE-690).
//!
//! Refused connections are told as they come at first, then in batches that double: a client that knocks a million times
//! causes some twenty events, which together say so.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks, so that workers rarely meet at one.
const SHARDS: usize = 64;

/// Low bits of an IPv6 address that a subscriber chooses.
const INTERFACE_BITS: u32 = 64;

/// An address, or an IPv6 network, as a number.
type Key = u128;

/// What one client holds.
#[derive(Debug, Default)]
struct Tally {
    connections: u32,
    refused: u64,
    refused_told: u64,
    requests: Arc<AtomicU32>,
}

/// What every client holds.
#[derive(Debug)]
pub(crate) struct Clients {
    shards: Vec<Mutex<HashMap<Key, Tally>>>,
    hasher: RandomState,
}

/// A client's connection; it is counted while this lives.
#[derive(Debug)]
pub(crate) struct Seat {
    clients: Arc<Clients>,
    key: Key,
    requests: Arc<AtomicU32>,
    has_left: AtomicBool,
}

/// A client's request; it is counted while this lives.
#[derive(Debug)]
pub(crate) struct Turn(Arc<AtomicU32>);

/// A connection that its client may not have. `told`: how many such refusals are due to be told of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) told: Option<NonZeroU64>,
}

impl Clients {
    /// Nobody is here.
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new() }
    }

    /// One more connection of this client, unless it has `connections_max` already.
    pub(crate) fn admit(self: &Arc<Self>, client: IpAddr, connections_max: u32) -> Result<Seat, Full> {
        let key = key(client);
        let mut shard = self.shard(key);
        let tally = shard.entry(key).or_default();
        if tally.connections < connections_max {
            tally.connections += 1;
            let requests = tally.requests.clone();
            return Ok(Seat { clients: self.clone(), key, requests, has_left: AtomicBool::new(false) });
        }
        tally.refused += 1;
        let is_due = tally.refused.is_power_of_two();
        Err(Full { told: if is_due { tally.owed() } else { None } })
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, HashMap<Key, Tally>> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Refusals that nobody was told of yet.
    fn owed(&mut self) -> Option<NonZeroU64> {
        let owed = NonZeroU64::new(self.refused - self.refused_told);
        self.refused_told = self.refused;
        owed
    }
}

impl Seat {
    /// One more request of this client, unless it has `requests_max` under way.
    pub(crate) fn begin_request(&self, requests_max: u32) -> Option<Turn> {
        let before = self.requests.fetch_add(1, Relaxed);
        let turn = Turn(self.requests.clone());
        (before < requests_max).then_some(turn)
    }

    /// The connection ends. Returns refusals that are due to be told of, when it was the client's last.
    pub(crate) fn leave(&self) -> Option<NonZeroU64> {
        if self.has_left.swap(true, Relaxed) {
            return None;
        }
        let mut shard = self.clients.shard(self.key);
        let tally = shard.get_mut(&self.key)?;
        tally.connections -= 1;
        if tally.connections > 0 {
            return None;
        }
        shard.remove(&self.key).as_mut().and_then(Tally::owed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = self.leave(); // nobody is left to tell it to
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn key(client: IpAddr) -> Key {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> INTERFACE_BITS << INTERFACE_BITS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_as_many_connections_as_it_may_and_another_has_its_own() {
        let clients = Arc::new(Clients::new());
        let first = clients.admit(client("192.0.2.1"), 2).unwrap();
        let _second = clients.admit(client("::ffff:192.0.2.1"), 2).unwrap();
        assert!(clients.admit(client("192.0.2.1"), 2).is_err());
        let _other = clients.admit(client("192.0.2.2"), 2).unwrap();
        drop(first);
        assert!(clients.admit(client("192.0.2.1"), 2).is_ok());
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let clients = Arc::new(Clients::new());
        let _first = clients.admit(client("2001:db8::1"), 1).unwrap();
        assert!(clients.admit(client("2001:db8::ffff:1"), 1).is_err());
        assert!(clients.admit(client("2001:db8:0:1::1"), 1).is_ok());
    }

    #[test]
    fn nothing_is_kept_of_a_client_that_left() {
        let clients = Arc::new(Clients::new());
        let seats: Vec<Seat> = (0..9).filter_map(|_| clients.admit(client("192.0.2.1"), 5).ok()).collect();
        assert_eq!(seats.len(), 5);
        drop(seats);
        assert!(clients.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn every_refusal_is_told_in_few_batches() {
        let clients = Arc::new(Clients::new());
        let seat = clients.admit(client("192.0.2.1"), 1).unwrap();
        let refused = (0..1000).filter_map(|_| clients.admit(client("192.0.2.1"), 1).unwrap_err().told);
        let mut batches: Vec<u64> = refused.map(NonZeroU64::get).collect();
        assert_eq!(batches, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256]);
        batches.extend(seat.leave().map(NonZeroU64::get));
        assert_eq!(batches.iter().sum::<u64>(), 1000);
    }

    #[test]
    fn requests_are_counted_over_all_connections_of_a_client() {
        let clients = Arc::new(Clients::new());
        let [one, two] = [(); 2].map(|()| clients.admit(client("192.0.2.1"), 9).unwrap());
        let first = one.begin_request(2);
        assert!(first.is_some());
        let _second = two.begin_request(2).unwrap();
        assert!(one.begin_request(2).is_none() && two.begin_request(2).is_none());
        drop(first);
        assert!(two.begin_request(2).is_some());
    }
}
