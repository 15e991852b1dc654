//! Memory that requests share and cannot grow: a cache of what was verified, and a register of what was used up.
//!
//! Both are cut into shards, each behind a lock that is held for a lookup and no longer. Names are digests, so nothing
//! that was sent stays in memory, and maps are keyed by a hasher with a secret of its own besides.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::state::sha256;

/// The name of an entry: SHA-256 over what it stands for.
pub(crate) type Digest = [u8; 32];

/// What a name is made of, piece by piece; each with its length before it, so that no two lists of pieces run together.
#[derive(Debug, Default)]
pub(crate) struct Pieces(SmallVec<[u8; 512]>);

impl Pieces {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// As many as there are, and each.
    pub(crate) fn list<'p>(&mut self, items: impl Iterator<Item = &'p [u8]>) {
        let at = self.0.len();
        self.number(0);
        let mut count = 0_u64;
        items.for_each(|item| {
            self.bytes(item);
            count += 1;
        });
        if let Some(place) = self.0.get_mut(at..at + size_of::<u64>()) {
            place.copy_from_slice(&count.to_be_bytes());
        }
    }

    pub(crate) fn finish(self) -> Digest {
        sha256(&[&self.0])
    }
}

/// Half of it: 128 bits still tell everything apart that one installation sees.
type HalfDigest = [u8; 16];

/// Shards of each: more than cores that will meet in one.
const SHARDS: usize = 16;
/// LIMIT: entries that are passed over, because they were used since the last round, before one is replaced anyway.
const SECOND_CHANCES_MAX: usize = 8;

/// A map of bounded size. When it is full, an entry that was not used lately makes room (the clock algorithm).
#[derive(Debug)]
pub(crate) struct Cache<V> {
    shards: [Mutex<CacheShard<V>>; SHARDS],
    entries_max: usize,
}

#[derive(Debug)]
struct CacheShard<V> {
    slots: Vec<Slot<V>>,
    places: HashMap<Digest, usize>,
    hand: usize,
}

#[derive(Debug)]
struct Slot<V> {
    name: Digest,
    value: V,
    was_used: bool,
}

impl<V: Clone> Cache<V> {
    /// An empty cache for about `entries_max` entries.
    pub(crate) fn new(entries_max: usize) -> Self {
        let shard = || CacheShard { slots: Vec::new(), places: HashMap::new(), hand: 0 };
        Self { shards: std::array::from_fn(|_| Mutex::new(shard())), entries_max: entries_max.div_ceil(SHARDS) }
    }

    /// What is kept under `name`.
    pub(crate) fn find(&self, name: &Digest) -> Option<V> {
        let mut shard = locked(shard_of(&self.shards, name)?);
        let place = *shard.places.get(name)?;
        let slot = shard.slots.get_mut(place)?;
        slot.was_used = true;
        Some(slot.value.clone())
    }

    /// Keeps `value` under `name`.
    pub(crate) fn insert(&self, name: Digest, value: V) {
        let Some(shard) = shard_of(&self.shards, &name) else { return };
        let mut shard = locked(shard);
        let shard = &mut *shard;
        if let Some(slot) = shard.places.get(&name).and_then(|place| shard.slots.get_mut(*place)) {
            slot.value = value;
            return;
        }
        let slot = Slot { name, value, was_used: false };
        if shard.slots.len() < self.entries_max {
            shard.places.insert(name, shard.slots.len());
            shard.slots.push(slot);
        } else {
            shard.replace(slot);
        }
    }
}

impl<V> CacheShard<V> {
    fn replace(&mut self, new: Slot<V>) {
        for passed in 0..=SECOND_CHANCES_MAX {
            let place = self.hand;
            self.hand = if place + 1 < self.slots.len() { place + 1 } else { 0 };
            let Some(slot) = self.slots.get_mut(place) else { return };
            if slot.was_used && passed < SECOND_CHANCES_MAX {
                slot.was_used = false;
                continue;
            }
            self.places.remove(&slot.name);
            self.places.insert(new.name, place);
            *slot = new;
            return;
        }
    }
}

/// What may be used once within a time: ids of proofs, nonces of signatures.
#[derive(Debug)]
pub(crate) struct Register {
    shards: [Mutex<RegisterShard>; SHARDS],
    entries_max: usize,
}

/// Two sets that take turns: what was registered in the last turn is still known, what is older is not.
#[derive(Debug, Default)]
struct RegisterShard {
    current: HashSet<HalfDigest>,
    previous: HashSet<HalfDigest>,
    turned_secs: i64,
    /// Length of a turn: the longest that a caller asked for
    seconds: i64,
}

/// What became of registering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It was not used before
    First,
    /// It was
    Again,
    /// It cannot be known: there is no room for another
    Full,
}

impl Register {
    /// An empty register for about `entries_max` names in one turn.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(RegisterShard::default())),
            entries_max: entries_max.div_ceil(SHARDS),
        }
    }

    /// Registers `name` at `now`; it stays known for at least `seconds`.
    pub(crate) fn register(&self, name: Digest, now_secs: i64, seconds: i64) -> Registered {
        let Some(shard) = shard_of(&self.shards, &name) else { return Registered::Full };
        let Some(name) = name.first_chunk::<16>().copied() else { return Registered::Full };
        let mut shard = locked(shard);
        shard.seconds = shard.seconds.max(seconds);
        let seconds = shard.seconds;
        let age = now_secs.saturating_sub(shard.turned_secs);
        if age >= seconds.saturating_mul(2) {
            shard.current.clear();
            shard.previous.clear();
            shard.turned_secs = now_secs;
        } else if age >= seconds {
            shard.previous = std::mem::take(&mut shard.current);
            shard.turned_secs = now_secs;
        }
        if shard.previous.contains(&name) || shard.current.contains(&name) {
            Registered::Again
        } else if shard.current.len() >= self.entries_max {
            Registered::Full
        } else {
            shard.current.insert(name);
            Registered::First
        }
    }
}

/// A digest's bytes are as good as random, so the first says the shard.
fn shard_of<'s, T>(shards: &'s [T; SHARDS], name: &Digest) -> Option<&'s T> {
    let [first, ..] = name;
    shards.get(usize::from(*first) % SHARDS)
}

/// A lock that another thread panicked under guards plain data that is whole between statements.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> Digest {
        let mut name = [0; 32];
        name[1..5].copy_from_slice(&number.to_be_bytes()); // all in one shard
        name
    }

    #[test]
    fn a_full_cache_keeps_what_is_used() {
        let cache = Cache::new(16 * 4);
        for number in 0..100 {
            cache.insert(name(number), number);
            assert_eq!(cache.find(&name(0)), Some(0), "the favorite stays");
        }
        let kept = (0..100).filter(|number| cache.find(&name(*number)).is_some()).count();
        assert_eq!(kept, 4);
    }

    #[test]
    fn a_name_is_kept_once() {
        let cache = Cache::new(1000);
        cache.insert(name(1), "a");
        cache.insert(name(1), "b");
        assert_eq!(cache.find(&name(1)), Some("b"));
        assert_eq!(cache.find(&name(2)), None);
    }

    #[test]
    fn what_was_used_stays_used_for_its_time_and_not_for_ever() {
        let register = Register::new(1000);
        for start in [0_i64, 1_700_000_000] {
            for offset in 0..60 {
                let used = name(u32::try_from(offset).unwrap());
                assert_eq!(register.register(used, start + offset, 60), Registered::First);
                for later in [0, 1, 30, 59] {
                    assert_eq!(
                        register.register(used, start + offset + later, 60),
                        Registered::Again,
                        "{offset} {later}"
                    );
                }
                // Going back in time to the next offset is what happens between threads.
            }
            assert_eq!(register.register(name(0), start + 500, 60), Registered::First);
        }
    }

    #[test]
    fn a_full_register_says_so_instead_of_forgetting() {
        let register = Register::new(16 * 2);
        let all: Vec<_> = (0..4).map(|number| register.register(name(number), 0, 60)).collect();
        assert_eq!(all, [Registered::First, Registered::First, Registered::Full, Registered::Full]);
        assert_eq!(register.register(name(0), 10, 60), Registered::Again);
    }
}
