//! Where the answers of one policy are: in memory, bounded, found by the whole key.
//!
//! A keyed digest finds the place, the key itself is compared: two keys with one digest never share an answer. Which
//! answers go when memory is full, and who fetches while others wait, is pingora-cache's work (`eviction::lru`,
//! `lock::CacheLock`).

use std::collections::HashMap;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bartizan_config::{Cache, Policy};
use bartizan_engine::CacheRequest;
use http::HeaderMap;
use pingora::cache::eviction::EvictionManager;
use pingora::cache::eviction::lru::Manager;
use pingora::cache::key::{CompactCacheKey, HashBinary, hash_key};
use pingora::cache::lock::{CacheKeyLock, CacheLock, LockStatus, Locked, ReadLock, WritePermit};
use pingora::cache::predictor::{CacheablePredictor, Predictor};
use pingora::cache::{CacheEntryId, CacheEntryKey, CacheEntryKeyRef, CacheKey, NoCacheReason};

use super::entry::{Entry, Freshness};

/// Parts of the map, each with a lock of its own.
const SHARDS: usize = 16;

/// LIMIT: answers to one key that differ in what they vary by; beyond it the oldest goes. Clients choose most of it.
const VARIANTS_MAX: usize = 8;

/// LIMIT: requests that wait for others at once; each holds a connection. Those beyond it go to the upstream.
const WAITING_MAX: usize = 4096;

/// LIMIT: keys that are remembered because their answers could not be kept, 40 bytes each.
const UNKEPT_KEYS_MAX: usize = 16 * 1024;

/// The longest that one request is waited for, where none has to wait: locks need a time.
const LOCK_AGE_MIN: Duration = Duration::from_millis(1);

/// Answers of one policy.
pub(crate) struct Store {
    pub(super) policy: Policy,
    pub(super) rules: Cache,
    /// Digests cannot be computed by who does not know it
    pub(super) secret: [u8; 32],
    shards: [Mutex<Shard>; SHARDS],
    eviction: Manager<SHARDS>,
    lock: CacheLock,
    waiting: AtomicUsize,
    /// Bytes of bodies that are being collected
    collecting: AtomicUsize,
    next_id: AtomicU64,
    /// Counts up with each purge: what was fetched before it is not kept after it
    purges: AtomicU64,
    /// Keys whose answers could not be kept: nobody waits for them
    predictor: Predictor<SHARDS>,
}

type Shard = HashMap<HashBinary, Vec<Arc<Entry>>>;

/// Which answers are forgotten; what is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// Of this policy
    pub policy: Option<String>,
    /// Of this API
    pub api: Option<String>,
    /// To requests whose path begins with this
    pub path_prefix: Option<String>,
}

/// Where a request's answer is, or would be.
pub(crate) struct Place {
    key: CacheKey,
    digest: HashBinary,
}

/// Who fetches.
pub(super) enum Turn {
    /// This request; others wait until the guard is gone
    Ours(Fetching),
    /// Another one
    Theirs(ReadLock),
}

/// Others wait while this lives.
pub(crate) struct Fetching {
    store: Arc<Store>,
    key: CacheKey,
    permit: Option<WritePermit>,
    status: LockStatus,
}

/// One of those who wait.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Store {
    pub(super) fn new(policy: &Policy, rules: &Cache) -> Self {
        let mut secret = [0; 32];
        if getrandom::fill(&mut secret).is_err() {
            // The system's generator does not fail on Linux after boot. Keys are compared whole all the same.
            tracing::error!("no random numbers for the cache's digests");
        }
        let wait = Duration::from_millis(rules.wait_ms);
        Self {
            policy: policy.clone(),
            rules: rules.clone(),
            secret,
            shards: std::array::from_fn(|_| Mutex::default()),
            eviction: Manager::with_capacity(usize::try_from(rules.bytes_max).unwrap_or(usize::MAX), 0),
            lock: CacheLock::new(wait.max(LOCK_AGE_MIN)),
            waiting: AtomicUsize::new(0),
            collecting: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            purges: AtomicU64::new(0),
            predictor: Predictor::new(UNKEPT_KEYS_MAX / SHARDS, None),
        }
    }

    /// The place of this request's answer.
    pub(super) fn place(&self, request: &CacheRequest) -> Place {
        let digest = hash_key([&self.secret, &*request.key].concat());
        let mut key = CacheKey::new("", "");
        key.set_primary_bin_override(digest);
        Place { key, digest }
    }

    fn shard(&self, digest: &HashBinary) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(digest[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer that is kept for this request.
    pub(super) fn find(&self, place: &Place, request: &CacheRequest, headers: &HeaderMap) -> Option<Arc<Entry>> {
        let shard = self.shard(&place.digest);
        // The newest first (RFC 9111 §4.1): an older one that varies by other fields may match too.
        let mut entries = shard.get(&place.digest)?.iter().rev();
        let found =
            entries.find(|entry| entry.key == request.key && entry.varies_as(&self.secret, headers)).cloned()?;
        if found.freshness(Instant::now()) == Freshness::Dead {
            drop(shard);
            self.remove(&place.digest, found.id);
            return None;
        }
        // INVARIANT: what is admitted is in the map; so this, too, is under the lock.
        self.eviction.access(&identity(place.digest, found.id), found.weight(), SystemTime::UNIX_EPOCH);
        Some(found)
    }

    /// Keeps `entry` in place of one that varies alike, unless there were other than `purges` purges; returns how many
    /// others went for it, if it was kept.
    pub(super) fn keep(&self, place: &Place, entry: Arc<Entry>, purges: u64) -> Option<u64> {
        let (id, weight) = (entry.id, entry.weight());
        let evicted = {
            let mut shard = self.shard(&place.digest);
            // Under the lock: a purge counts up before it looks here, so either it is seen or it sees the entry.
            if self.purges() != purges {
                return None;
            }
            let entries = shard.entry(place.digest).or_default();
            let is_same = |kept: &Arc<Entry>| kept.key == entry.key && kept.vary == entry.vary;
            let mut replaced: Vec<u64> = entries.iter().filter(|kept| is_same(kept)).map(|kept| kept.id).collect();
            entries.retain(|kept| !is_same(kept));
            if entries.len() >= VARIANTS_MAX {
                replaced.push(entries.remove(0).id);
            }
            entries.push(entry);
            replaced.iter().for_each(|id| self.forget(&place.digest, *id));
            self.eviction.admit(identity(place.digest, id), weight, SystemTime::UNIX_EPOCH)
        };
        for gone in &evicted {
            if let Some(id) = gone.entry_id() {
                self.take(&gone.key().primary, id.get());
            }
        }
        Some(evicted.len() as u64)
    }

    /// A number for a new entry.
    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    /// Forgets the answer of this number.
    pub(super) fn end(&self, place: &Place, id: u64) {
        self.remove(&place.digest, id);
    }

    fn remove(&self, digest: &HashBinary, id: u64) {
        if self.take(digest, id) {
            self.forget(digest, id);
        }
    }

    /// Takes an entry out of the map; whether it was there.
    fn take(&self, digest: &HashBinary, id: u64) -> bool {
        let mut shard = self.shard(digest);
        let Some(entries) = shard.get_mut(digest) else { return false };
        let before = entries.len();
        entries.retain(|entry| entry.id != id);
        let is_taken = entries.len() < before;
        if entries.is_empty() {
            shard.remove(digest);
        }
        is_taken
    }

    /// Its memory counts no more.
    fn forget(&self, digest: &HashBinary, id: u64) {
        let key = compact(*digest);
        self.eviction.remove(CacheEntryKeyRef::Identified { key: &key, id: CacheEntryId::new(id) });
    }

    /// Forgets what `purge` names; returns how many answers. What is being fetched meanwhile is not kept.
    pub(super) fn purge(&self, purge: &Purge) -> usize {
        self.purges.fetch_add(1, SeqCst);
        let is_named = |entry: &Entry| {
            purge.api.as_ref().is_none_or(|api| *entry.api == **api)
                && purge.path_prefix.as_ref().is_none_or(|prefix| entry.path.starts_with(prefix.as_bytes()))
        };
        let mut named = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (digest, entries) in shard.iter() {
                named.extend(entries.iter().filter(|entry| is_named(entry)).map(|entry| (*digest, entry.id)));
            }
        }
        named.iter().for_each(|(digest, id)| self.remove(digest, *id));
        named.len()
    }

    /// Answers, and bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.eviction.total_items() as u64, self.eviction.total_size() as u64)
    }

    /// How often answers were purged.
    pub(super) fn purges(&self) -> u64 {
        self.purges.load(SeqCst)
    }

    /// Whether an answer is likely to be kept once it is there.
    pub(super) fn is_promising(&self, place: &Place) -> bool {
        self.predictor.cacheable_prediction(&place.key)
    }

    /// Remembers whether the answer could be kept.
    pub(super) fn learn(&self, place: &Place, is_kept: bool) {
        if is_kept {
            self.predictor.mark_cacheable(&place.key);
        } else {
            self.predictor.mark_uncacheable(&place.key, NoCacheReason::OriginNotCache);
        }
    }

    /// Who fetches the answer.
    pub(super) fn turn(self: &Arc<Self>, place: &Place) -> Turn {
        match self.lock.lock(&place.key, false) {
            Locked::Read(other) => Turn::Theirs(other),
            Locked::Write(permit) => Turn::Ours(Fetching {
                store: self.clone(),
                key: place.key.clone(),
                permit: Some(permit),
                status: LockStatus::GiveUp,
            }),
        }
    }

    /// A seat among those who wait; `None` when too many do.
    pub(super) fn begin_waiting(&self) -> Option<Waiting<'_>> {
        let seat = Waiting(&self.waiting);
        (self.waiting.fetch_add(1, Relaxed) < WAITING_MAX).then_some(seat)
    }

    /// Counts bytes that are being collected: together they take no more than what is kept may. Whether there was room.
    pub(super) fn collect(&self, bytes: usize) -> bool {
        let all = self.collecting.fetch_add(bytes, Relaxed).saturating_add(bytes);
        all as u64 <= self.rules.bytes_max
    }

    /// Bytes that are collected no more.
    pub(super) fn collected(&self, bytes: usize) {
        self.collecting.fetch_sub(bytes, Relaxed);
    }
}

impl Fetching {
    /// The answer is kept: those who wait look again. Without it they go on their own.
    pub(super) fn is_kept(&mut self) {
        self.status = LockStatus::Done;
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let is_late = permit.lock_status() == LockStatus::AgeTimeout;
        self.store.lock.release(&self.key, permit, self.status);
        // A lock that somebody waited too long for stays in Pingora's table until the key is asked for again, which may be
        // never.
        if is_late && let Locked::Write(permit) = self.store.lock.lock(&self.key, false) {
            self.store.lock.release(&self.key, permit, LockStatus::GiveUp);
        }
    }
}

fn compact(digest: HashBinary) -> CompactCacheKey {
    CompactCacheKey { primary: digest, variance: None, user_tag: "".into() }
}

fn identity(digest: HashBinary, id: u64) -> CacheEntryKey {
    CacheEntryKey::identified(compact(digest), CacheEntryId::new(id))
}
