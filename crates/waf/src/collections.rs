//! Collections that outlive an exchange (`ip`, `global`, `session`, `user`, `resource`): bounded counters in memory.
//!
//! A record is what rules keep for one key of one collection. It is found by a keyed 128-bit hash of scope, collection
//! and key: keys of any length cost the same, no address or session id stays in memory, and nobody outside can aim at a
//! shard. Each shard has a lock that is held for one look or one change, so that concurrent exchanges lose no update.
//!
//! Everything is bounded. A record that is full keeps what it has; a store that is full lets go of the record that was
//! used longest ago, expired ones first. Neither fails a request; both are counted. Time is an argument.
//!
//! Source: ModSecurity Reference Manual (v2.x), "Persistent Storage" and the actions named there.

mod record;

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bartizan_model::Timestamp;
use lru::LruCache;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::Variable;
pub(crate) use record::{Kept, Record, Refused};

/// LIMIT: records of one store: the clients that a busy gateway sees within an hour, the usual timeout.
const RECORDS_MAX: usize = 1 << 17;
/// LIMIT: bytes of one store, estimated; records of a few counters need some 400 each.
const BYTES_MAX: usize = 64 << 20;
/// LIMIT: shards; some times as many as there are workers, so that they seldom wait for each other.
const SHARDS: usize = 16;
/// LIMIT: records at the end of the queue that are asked whether they have expired, when one has to go.
const EXPIRED_SCAN_MAX: usize = 8;
/// Bytes that a record needs before it has members: key, times, links of the queue, place in the table.
const RECORD_BYTES: usize = 256;

/// How much a store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionLimits {
    /// Records of all collections together
    pub records: usize,
    /// Bytes of memory, estimated
    pub bytes: usize,
}

impl Default for CollectionLimits {
    fn default() -> Self {
        Self { records: RECORDS_MAX, bytes: BYTES_MAX }
    }
}

/// What a store holds, and what it could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectionCounts {
    /// Records, expired ones that nobody has asked for among them
    pub records: u64,
    /// Bytes of memory, estimated
    pub bytes: u64,
    /// Records that had to go before they expired
    pub evicted_total: u64,
    /// Changes that did not fit into their record
    pub refused_total: u64,
}

/// The collections of one engine.
#[derive(Debug)]
pub struct Collections {
    key: [u64; 2],
    limits: CollectionLimits,
    shards: [Mutex<Shard>; SHARDS],
    evicted: AtomicU64,
    refused: AtomicU64,
}

/// Names a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RecordId(u128);

/// A part of the records, in the order of their use.
#[derive(Debug)]
struct Shard {
    records: LruCache<RecordId, Record>,
    bytes: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self { records: LruCache::unbounded(), bytes: 0 } // a bounded one takes its memory at once
    }
}

impl Collections {
    /// An empty store; it takes memory as it fills. `key` must not be known outside.
    pub fn new(key: [u8; 16], limits: CollectionLimits) -> Self {
        let (low, high) = key.split_at(8);
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word: u64, byte| (word << 8) | u64::from(*byte));
        Self {
            key: [word(low), word(high)],
            limits,
            shards: Default::default(),
            evicted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// What it holds now, shard by shard.
    pub fn counts(&self) -> CollectionCounts {
        let mut counts = CollectionCounts {
            evicted_total: self.evicted.load(Ordering::Relaxed),
            refused_total: self.refused.load(Ordering::Relaxed),
            ..CollectionCounts::default()
        };
        for shard in &self.shards {
            let shard = lock(shard);
            counts.records += shard.records.len() as u64;
            counts.bytes += shard.bytes as u64;
        }
        counts
    }

    /// The record of this key. Each part is hashed with its length: no two lists of parts run together.
    pub(crate) fn id(&self, scope: &[u8], collection: Variable, key: &[u8]) -> RecordId {
        let [low, high] = self.key;
        let mut hasher = SipHasher13::new_with_keys(low, high);
        for part in [scope, collection.name().as_bytes(), key] {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        RecordId(hasher.finish128().as_u128())
    }

    /// Looks at a record; `None` when there is none, or it has expired.
    pub(crate) fn look<T>(&self, id: RecordId, now: Timestamp, look: impl FnOnce(&Record) -> T) -> Option<T> {
        let mut shard = self.shard(id)?;
        shard.records.get(&id).filter(|record| !record.is_expired(now)).map(look)
    }

    /// Changes a record. When there is none, `new` is put in its place, if it is given.
    pub(crate) fn change(
        &self,
        id: RecordId,
        now: Timestamp,
        new: Option<Record>,
        change: impl FnOnce(&mut Record) -> Result<(), Refused>,
    ) {
        let Some(mut shard) = self.shard(id) else { return };
        if shard.records.peek(&id).is_some_and(|record| record.is_expired(now)) {
            shard.remove(id);
        }
        if let Some(new) = new.filter(|_| !shard.records.contains(&id)) {
            shard.bytes += RECORD_BYTES + new.bytes();
            shard.records.put(id, new);
        }
        let Some(record) = shard.records.get_mut(&id) else { return };
        let before = record.bytes();
        record.forget_expired(now);
        let result = change(record);
        let (after, is_ended) = (record.bytes(), record.is_expired(now));
        shard.bytes = (shard.bytes + after).saturating_sub(before);
        if is_ended {
            shard.remove(id);
        }
        let evicted = shard.make_room(self.limits, now);
        drop(shard);
        self.evicted.fetch_add(evicted, Ordering::Relaxed);
        self.refused.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
    }

    /// Counts a change that is not made.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn shard(&self, id: RecordId) -> Option<MutexGuard<'_, Shard>> {
        let number = usize::try_from(id.0 % SHARDS as u128).ok()?;
        self.shards.get(number).map(lock)
    }
}

/// A thread that panicked in between has left a record that is whole, or none.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    fn remove(&mut self, id: RecordId) {
        if let Some(record) = self.records.pop(&id) {
            self.bytes = self.bytes.saturating_sub(RECORD_BYTES + record.bytes());
        }
    }

    /// Lets records go until the shard's share of the limits holds; how many of them had not expired.
    fn make_room(&mut self, limits: CollectionLimits, now: Timestamp) -> u64 {
        let (records_max, bytes_max) = ((limits.records / SHARDS).max(1), limits.bytes / SHARDS);
        let mut evicted = 0;
        // What has expired at the end of the queue goes anyway: a store that was full once does not stay so.
        while let Some((id, _)) = self.records.peek_lru().filter(|(_, record)| record.is_expired(now)) {
            let id = *id;
            self.remove(id);
        }
        while self.records.len() > records_max || self.bytes > bytes_max && self.records.len() > 1 {
            let oldest = || self.records.iter().rev().take(EXPIRED_SCAN_MAX);
            let expired = oldest().find(|(_, record)| record.is_expired(now));
            let Some((id, record)) = expired.or_else(|| oldest().next()) else { break };
            evicted += u64::from(!record.is_expired(now));
            let id = *id;
            self.remove(id);
        }
        evicted
    }
}
