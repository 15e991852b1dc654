//! One limit's counts by key: a hash table in shards, of fixed-size entries, bounded.
//!
//! An entry is the key's 128-bit fingerprint and the meter's few words, side by side in one allocation a shard; lookups
//! probe linearly. Entries are not deleted one by one: when a shard is four fifths full it is swept, which keeps what is
//! alive and grows the shard when that is still much.
//!
//! What is alive is never evicted: otherwise an attacker who floods a table with keys of his own would reset everybody's
//! counts, or wash off his own. When a shard is at its bound and nothing in it has expired, new keys share one overflow
//! count there, under the same limit, and each such request is counted in the statistics. A key that later gets an entry
//! of its own begins it with the overflow's counts, so it never gets more than its limit by having been there.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::meter::Meter;

/// Shards of a table: enough that threads seldom meet, and that sweeping one takes a fraction of a millisecond.
const SHARDS: usize = 256;

/// Least time between two sweeps of a shard that is at its bound, in microseconds: a flood of new keys must not make
/// every request pay for one.
const SWEEP_PAUSE_US: u64 = 1_000_000;

/// Entries that a shard begins with.
const ENTRIES_MIN: usize = 8;

/// Words of a fingerprint.
const KEY_WORDS: usize = 2;

/// 128 bits that stand for a key: a keyed hash of its material, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    high: u64,
    low: u64,
}

/// Where a key's count is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// In an entry of its own
    Own,
    /// In the count that new keys share when the table is full
    Overflow,
}

/// What came of asking for an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) is_admitted: bool,
    /// What is left after it
    pub(crate) remaining: u64,
    /// Microseconds until there is more: for the amount when it was refused, else for one when nothing is left, else 0
    pub(crate) wait_us: u64,
    pub(crate) slot: Slot,
}

/// How full a limit's counts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Keys of which something is counted
    pub keys: u64,
    /// Those of them that have at most a tenth of the limit left
    pub near: u64,
    /// Those that have nothing left
    pub spent: u64,
}

/// One limit's counts.
pub(crate) struct Table {
    meter: Meter,
    shards: Box<[Mutex<Shard>]>,
    /// LIMIT: entries of a shard, so many that its part of the configured keys fills four fifths of them
    entries_max: usize,
    overflowed: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    /// Entries one after the other; a fingerprint of zero is an empty one
    words: Vec<u64>,
    used: usize,
    /// Empty until it is needed
    overflow: Box<[u64]>,
    swept_at: u64,
}

/// Where a key is, or would be.
enum Probe {
    Found(usize),
    Empty(usize),
    Full,
}

impl Fingerprint {
    pub(crate) fn new(bits: u128) -> Self {
        Self { high: (bits >> 64) as u64, low: (bits as u64).max(1) }
    }

    /// In hexadecimal, 32 digits.
    pub fn digits(self) -> String {
        format!("{:016x}{:016x}", self.high, self.low)
    }

    /// A number that spreads fingerprints over the parts of a table.
    pub(super) const fn part(self) -> usize {
        self.low as usize
    }
}

impl Table {
    /// No counts yet, and room for `keys_max` keys.
    pub(crate) fn new(meter: Meter, keys_max: u32) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect();
        // Hashing spreads keys unevenly: four standard deviations more than a shard's part.
        let part = (keys_max as usize).div_ceil(SHARDS);
        let keys = part + 4 * part.isqrt();
        Self { meter, shards, entries_max: (keys * 5).div_ceil(4) + 1, overflowed: AtomicU64::new(0) }
    }

    /// Counts `amount` when it fits; when it does not, only if `is_always_counted`.
    pub(crate) fn take(&self, key: Fingerprint, now: u64, amount: u64, is_always_counted: bool) -> Taken {
        let meter = &self.meter;
        let mut shard = self.shard(key);
        let (state, slot) = self.state(&mut shard, key, now);
        meter.settle(state, now);
        let before = meter.remaining(state, now);
        let is_admitted = before >= amount;
        if is_admitted || is_always_counted {
            meter.add(state, now, amount);
        }
        let remaining = before.saturating_sub(if is_admitted { amount } else { 0 });
        let wait_us = match (is_admitted, remaining) {
            (false, _) => meter.wait(state, now, amount),
            (true, 0) => meter.wait(state, now, 1),
            (true, _) => 0,
        };
        Taken { is_admitted, remaining, wait_us, slot }
    }

    /// Whether anything is left, counting nothing.
    pub(crate) fn peek(&self, key: Fingerprint, now: u64) -> Taken {
        let mut shard = self.shard(key);
        let (state, slot) = self.state(&mut shard, key, now);
        self.meter.settle(state, now);
        let remaining = self.meter.remaining(state, now);
        let wait_us = if remaining == 0 { self.meter.wait(state, now, 1) } else { 0 };
        Taken { is_admitted: remaining > 0, remaining, wait_us, slot }
    }

    /// Counts `amount`, also beyond the limit.
    pub(crate) fn add(&self, key: Fingerprint, now: u64, amount: u64) {
        let mut shard = self.shard(key);
        let (state, _) = self.state(&mut shard, key, now);
        self.meter.settle(state, now);
        self.meter.add(state, now, amount);
    }

    /// Takes back what was counted at `at`.
    pub(crate) fn give_back(&self, key: Fingerprint, slot: Slot, at: u64, amount: u64) {
        let mut shard = self.shard(key);
        let width = self.width();
        let state = match slot {
            Slot::Overflow => Some(&mut *shard.overflow),
            Slot::Own => match shard.probe(key, width) {
                Probe::Found(entry) => shard.state_at(entry, width),
                Probe::Empty(_) | Probe::Full => None,
            },
        };
        if let Some(state) = state {
            self.meter.give_back(state, at, amount);
        }
    }

    /// Keys with an entry, and bytes of all entries.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(keys, bytes), shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (keys + shard.used as u64, bytes + (shard.words.capacity() + shard.overflow.len()) as u64 * 8)
        })
    }

    /// How full the counts are at `now`. Nothing is counted by it.
    pub(crate) fn load(&self, now: u64) -> Load {
        let mut state = vec![0; self.meter.words()];
        self.meter.settle(&mut state, now);
        let tenth = self.meter.remaining(&state, now).div_ceil(10);
        let mut load = Load::default();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for entry in shard.words.chunks_exact(self.width()) {
                let [high, low, counted @ ..] = entry else { continue };
                if (*high, *low) == (0, 0) {
                    continue;
                }
                state.iter_mut().zip(counted).for_each(|(word, counted)| *word = *counted);
                self.meter.settle(&mut state, now);
                if self.meter.expires(&state) <= now {
                    continue;
                }
                load.keys += 1;
                match self.meter.remaining(&state, now) {
                    0 => load.spent += 1,
                    left if left <= tenth => load.near += 1,
                    _ => {}
                }
            }
        }
        load
    }

    /// How often the overflow was shared.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    fn width(&self) -> usize {
        KEY_WORDS + self.meter.words()
    }

    fn shard(&self, key: Fingerprint) -> MutexGuard<'_, Shard> {
        #[expect(clippy::indexing_slicing, reason = "a remainder of the number of shards, of which there are some")]
        self.shards[key.low as usize % self.shards.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The words of this key: its own, new ones, or the overflow's.
    fn state<'s>(&self, shard: &'s mut Shard, key: Fingerprint, now: u64) -> (&'s mut [u64], Slot) {
        let width = self.width();
        let mut probe = shard.probe(key, width);
        if !matches!(probe, Probe::Found(_)) && shard.is_crowded(width) {
            shard.make_room(&self.meter, width, self.entries_max, now);
            probe = if shard.is_crowded(width) { Probe::Full } else { shard.probe(key, width) };
        }
        let entry = match probe {
            Probe::Found(entry) => Some(entry),
            Probe::Empty(entry) => {
                shard.begin(entry, key, &self.meter, now);
                Some(entry)
            }
            Probe::Full => None,
        };
        if let Some(entry) = entry {
            return (shard.state_at(entry, width).unwrap_or_default(), Slot::Own);
        }
        self.overflowed.fetch_add(1, Relaxed);
        if shard.overflow.is_empty() {
            shard.overflow = vec![0; self.meter.words()].into();
        }
        (&mut shard.overflow, Slot::Overflow)
    }
}

impl Shard {
    /// Looks for `key` from where its hash points, until an empty entry.
    fn probe(&self, key: Fingerprint, width: usize) -> Probe {
        let count = self.words.len() / width;
        let first = ((u128::from(key.high) * count as u128) >> 64) as usize;
        for at in (first..count).chain(0..first) {
            match self.words.get(at * width..) {
                Some([high, low, ..]) if (*high, *low) == (key.high, key.low) => return Probe::Found(at * width),
                Some([0, 0, ..]) => return Probe::Empty(at * width),
                _ => {}
            }
        }
        Probe::Full
    }

    /// Whether one more key would leave too few empty entries to probe well.
    fn is_crowded(&self, width: usize) -> bool {
        (self.used + 1) * 5 > self.words.len() / width * 4
    }

    /// Fills an empty entry.
    fn begin(&mut self, entry: usize, key: Fingerprint, meter: &Meter, now: u64) {
        let is_seeded = meter.begins_with_overflow() && meter.expires(&self.overflow) > now;
        if let Some([high, low, state @ ..]) = self.words.get_mut(entry..) {
            (*high, *low) = (key.high, key.low);
            if is_seeded {
                state.iter_mut().zip(&self.overflow).for_each(|(word, shared)| *word = *shared);
            }
            self.used += 1;
        }
    }

    fn state_at(&mut self, entry: usize, width: usize) -> Option<&mut [u64]> {
        self.words.get_mut(entry + KEY_WORDS..entry + width)
    }

    /// Drops what has expired, and grows when much is alive.
    fn make_room(&mut self, meter: &Meter, width: usize, entries_max: usize, now: u64) {
        let count = self.words.len() / width;
        let pause = now.checked_sub(self.swept_at).is_some_and(|since| since < SWEEP_PAUSE_US);
        if count >= entries_max && pause {
            return;
        }
        self.swept_at = now;
        let is_alive = |entry: &&[u64]| match entry {
            [0, 0, ..] => false,
            [_, _, state @ ..] => meter.expires(state) > now,
            _ => false,
        };
        let alive = self.words.chunks_exact(width).filter(is_alive).count();
        if count >= entries_max && alive == self.used {
            return; // nothing to free
        }
        let grown = if alive * 5 >= count * 3 { count + count / 2 } else { count };
        let entries = grown.clamp(ENTRIES_MIN, entries_max.max(ENTRIES_MIN));
        let old = std::mem::replace(&mut self.words, vec![0; entries * width]);
        self.used = 0;
        for entry in old.chunks_exact(width).filter(is_alive) {
            let [high, low, ..] = entry else { continue };
            let key = Fingerprint { high: *high, low: *low };
            if let Probe::Empty(at) = self.probe(key, width)
                && let Some(place) = self.words.get_mut(at..at + width)
            {
                place.copy_from_slice(entry);
                self.used += 1;
            }
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("meter", &self.meter).finish_non_exhaustive()
    }
}
