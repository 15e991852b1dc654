//! Where verified callers were seen lately: bounded memory for `continuity` policies.
//!
//! One table for all policies of an installation, in shards. Names of callers are keyed hashes (whoever reads this memory
//! finds nobody's name in it), and the maps have secrets of their own besides. A full shard drops callers who were not
//! seen for their policy's window. Who was is never dropped for another, or a flood of callers would make everybody's
//! whereabouts unknown: a caller for whom there is no room is not watched, which is counted.

mod places;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

pub(crate) use places::{Journey, Places, Proof, Seen, Sighting, Terms};

/// Shards: more than threads that will meet in one. Not a power of two, so that a shard's part of the callers fits the
/// map sizes that there are (14,336 in 16,384 buckets).
const SHARDS: usize = 72;
/// LIMIT: callers of a shard; 1,032,192 in all, in 109 MiB, and 315 MiB when each of them is at eight places.
const CALLERS_MAX: usize = 14_336;

/// Names a caller under one policy: 128 bits of a keyed hash.
pub(crate) type CallerKey = u128;

/// The table.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    shards: [Mutex<Shard>; SHARDS],
    callers_max: usize,
    unwatched: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    callers: HashMap<CallerKey, Caller>,
    /// When it was looked for callers to drop
    swept_secs: u32,
}

#[derive(Debug, Default)]
struct Caller {
    places: Places,
    /// Kept until then, in seconds
    until_secs: u32,
}

impl Default for Whereabouts {
    fn default() -> Self {
        Self::new(CALLERS_MAX)
    }
}

impl Whereabouts {
    /// An empty table with room for so many callers in each shard.
    fn new(callers_max: usize) -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), callers_max, unwatched: AtomicU64::new(0) }
    }

    /// A call of `caller` from `sighting` at `now`; `None` when there is no room to watch it.
    pub(crate) fn see(
        &self,
        caller: CallerKey,
        sighting: Sighting,
        now: u32,
        terms: &Terms,
        proof: Proof,
    ) -> Option<Seen> {
        let shard = self.shards.get((caller % SHARDS as u128) as usize)?;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.callers.len() >= self.callers_max && !shard.callers.contains_key(&caller) {
            if shard.swept_secs != now {
                shard.swept_secs = now;
                shard.callers.retain(|_, caller| caller.until_secs >= now);
            }
            if shard.callers.len() >= self.callers_max {
                self.unwatched.fetch_add(1, Relaxed);
                return None;
            }
        }
        let known = shard.callers.entry(caller).or_default();
        known.until_secs = known.until_secs.max(now.saturating_add(terms.window_secs));
        Some(known.places.see(sighting, now, terms, proof))
    }

    /// Calls that were not watched because there was no room.
    pub(crate) fn unwatched(&self) -> u64 {
        self.unwatched.load(Relaxed)
    }

    /// Callers that are watched.
    pub(crate) fn callers(&self) -> u64 {
        let count = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).callers.len() as u64;
        self.shards.iter().map(count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms = Terms { window_secs: 60, countries_max: Some(1), operators_max: None, speed_max: None };

    fn sighting(code: &[u8; 2]) -> Sighting {
        Sighting { country: Some(*code), operator: None, coordinates: None }
    }

    fn see(table: &Whereabouts, caller: CallerKey, code: &[u8; 2], now: u32) -> Option<Seen> {
        table.see(caller, sighting(code), now, &TERMS, Proof::default())
    }

    #[test]
    fn a_caller_costs_what_is_written_at_its_limit() {
        // A map of 16,384 buckets has a byte of control for each, and 16 more.
        let bucket = size_of::<(CallerKey, Caller)>() + 1;
        let table = SHARDS * 16_384 * bucket;
        assert_eq!((SHARDS * CALLERS_MAX, table >> 20), (1_032_192, 109), "a bucket has {bucket} bytes");
        let mut map: HashMap<CallerKey, Caller> = HashMap::new();
        map.extend((0..CALLERS_MAX as u128).map(|key| (key, Caller::default())));
        assert_eq!(map.capacity(), CALLERS_MAX, "one more would double the map");
    }

    #[test]
    fn a_full_shard_keeps_who_is_there_and_does_not_watch_who_comes() {
        let table = Whereabouts::new(2);
        let name = |number: u128| number * SHARDS as u128; // all in one shard
        for number in 0..2 {
            assert_eq!(see(&table, name(number), b"DE", 0), Some(Seen::Settled));
        }
        assert_eq!(see(&table, name(2), b"DE", 30), None);
        assert!(matches!(see(&table, name(0), b"US", 30), Some(Seen::Contested { .. })), "still known");
        assert_eq!(see(&table, name(2), b"DE", 61), Some(Seen::Settled), "the second was not seen for a window");
        assert_eq!((table.callers(), table.unwatched()), (2, 1));
    }

    proptest! {
        #[test]
        fn no_flood_of_callers_grows_it(calls in proptest::collection::vec((any::<u64>(), 0_u32..500), 1..400)) {
            let table = Whereabouts::new(3);
            let mut now = 0;
            for (caller, wait) in calls {
                now += wait / 100;
                let code = [b'A' + (caller % 26) as u8, b'A'];
                see(&table, u128::from(caller), &code, now);
                prop_assert!(table.callers() <= 3 * SHARDS as u64);
            }
        }
    }
}
