//! How often each key of each limit came by. Bounded, shared and mutable, as beside it only `state.rs` and
//! `rule_records.rs` are.
//!
//! Each limit of a policy has a [`Table`] of its own, so that nobody can push one limit's keys out by flooding another.
//! A table belongs to a limit, not to a Snapshot: a limit that reads the same after a reload (policy, kind, numbers,
//! key) goes on with its counts. The registry holds tables weakly; one that no Snapshot uses any more is gone.
//!
//! Time comes in. It is never read here, so a recording is counted on its own clock and gives the same counts each time.

mod buckets;
mod calendar;
mod cells;
mod gcra;
mod in_flight;
pub mod lease;
mod log;
mod meter;
#[cfg(test)]
mod properties;
pub mod shared;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bartizan_config::FailureMode;
use bartizan_model::{Secret, Timestamp};

pub(crate) use calendar::Period;
use lease::Terms;
pub(crate) use meter::Meter;
use shared::{Alone, Errands, SharedLimit};
pub use table::{Fingerprint, Load};
pub(crate) use table::{Slot, Table};

/// Digits of a shared limit's name in the store: 128 bits.
const NAME_DIGITS: usize = 32;

/// A clock that steps back by less than this is waited for; further back, counters carry on from where they were.
/// Threads that read the clock before others, and recordings ordered by when exchanges ended, look like small steps.
pub(crate) const CLOCK_STEP_US: u64 = 60_000_000;

/// Tables by the limit they belong to. Give every Snapshot of one host the same `Counters`, and every replay its own.
#[derive(Default)]
pub struct Counters {
    tables: Mutex<BTreeMap<String, Known>>,
    outcomes: Mutex<BTreeMap<Box<str>, Weak<Outcomes>>>,
    sharing: Option<Sharing>,
}

/// What it takes to share counts with other gateways.
struct Sharing {
    /// The gateways' common secret: names and keys are hashed with it before they leave
    key: Secret<[u8; 32]>,
    gateways: u64,
    errands: Arc<Errands>,
    limits: Mutex<BTreeMap<String, Weak<SharedLimit>>>,
}

/// A limit to be shared.
pub(crate) struct SharedTerms {
    pub(crate) limit: u64,
    pub(crate) window: lease::Window,
    pub(crate) is_leased: bool,
    pub(crate) failure: FailureMode,
    pub(crate) keys_max: u32,
    /// What each gateway admits alone at least, where it admits its share
    pub(crate) share_min: u64,
}

/// How often limits of one name admitted, and refused.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    allowed: AtomicU64,
    limited: AtomicU64,
}

impl Outcomes {
    /// PERF: one addition a request and policy.
    pub(crate) fn note(&self, is_admitted: bool) {
        if is_admitted { &self.allowed } else { &self.limited }.fetch_add(1, Relaxed);
    }
}

/// What the limits of one policy, or of what API keys bring along, answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitOutcomes {
    /// The policy, `plan:` and a plan's name, or `key:api-key` for the quotas of keys
    pub policy: Box<str>,
    /// Requests and attempts to log in that it admitted
    pub allowed: u64,
    /// Those that it refused, or would have refused in `enforce`
    pub limited: u64,
}

/// A table, and whose it is.
struct Known {
    policy: Box<str>,
    kind: Box<str>,
    table: Weak<Table>,
}

/// How full one limit's counts are at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitLoad {
    /// The policy
    pub policy: Box<str>,
    /// Which of its limits: `spike_arrest`, `quota`, `concurrency`, `bandwidth`, `logins of an account` or
    /// `logins of a source`
    pub kind: Box<str>,
    /// What is counted
    pub load: Load,
    /// Bytes that the counts take
    pub bytes: u64,
    /// How often a new key found the table full and shared the overflow count
    pub overflowed_total: u64,
}

/// What one limit's table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// The limit: policy, kind and numbers
    pub limit: String,
    /// Keys that have a count of their own, some perhaps expired and not yet swept
    pub keys: u64,
    /// Bytes that the counts take
    pub bytes: u64,
    /// How often a new key found the table full and shared the overflow count
    pub overflowed_total: u64,
}

impl Counters {
    /// Counts that so many gateways share, all of which have this secret, through a host that runs [`Self::errands`] and
    /// answers [`crate::Question::Count`]. `Counters::default()` shares nothing: a replay counts for itself.
    pub fn shared(secret: &[u8], gateways: u64) -> Self {
        let sharing = Sharing {
            key: Secret::new(blake3::derive_key("bartizan 2026-11 gateways that share counts", secret)),
            gateways: gateways.max(1),
            errands: Arc::default(),
            limits: Mutex::default(),
        };
        Self { sharing: Some(sharing), ..Self::default() }
    }

    /// What the limits of this name answered: it goes on as long as some Snapshot has such a name.
    pub(crate) fn outcomes(&self, policy: &str) -> Arc<Outcomes> {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.retain(|_, known| known.strong_count() > 0);
        if let Some(known) = outcomes.get(policy).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::default();
        outcomes.insert(policy.into(), Arc::downgrade(&new));
        new
    }

    /// What each policy's limits, each plan's and the quotas of API keys answered, by name.
    pub fn limit_outcomes(&self) -> Vec<LimitOutcomes> {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let read = outcomes.iter().filter_map(|(policy, known)| {
            let known = known.upgrade()?;
            let (allowed, limited) = (known.allowed.load(Relaxed), known.limited.load(Relaxed));
            Some(LimitOutcomes { policy: policy.clone(), allowed, limited })
        });
        read.collect()
    }

    /// What the host is to do with the store; `None` when nothing is shared.
    pub fn errands(&self) -> Option<Arc<Errands>> {
        self.sharing.as_ref().map(|sharing| Arc::clone(&sharing.errands))
    }

    /// The key that clients are hashed with where counts are shared.
    pub(crate) fn shared_key(&self) -> Option<&Secret<[u8; 32]>> {
        self.sharing.as_ref().map(|sharing| &sharing.key)
    }

    /// The limit that gateways share: the one in use, or a new one. `None` when nothing is shared.
    pub(crate) fn shared_limit(
        &self,
        policy: &str,
        kind: &str,
        key: &str,
        shared: SharedTerms,
    ) -> Option<Arc<SharedLimit>> {
        let sharing = self.sharing.as_ref()?;
        let SharedTerms { limit, window, is_leased, failure, keys_max, share_min } = shared;
        // What gateways must agree on; the rest each can have its own way.
        let common = format!("{policy} {kind} by {key}: {limit} in {window:?}, leased {is_leased}");
        let name = blake3::keyed_hash(sharing.key.expose(), common.as_bytes());
        let name = name.to_hex().get(..NAME_DIGITS).unwrap_or_default().into();
        let reads_like = format!("{common}, {keys_max} keys, else {failure:?}");
        let mut limits = sharing.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.retain(|_, limit| limit.strong_count() > 0);
        if let Some(limit) = limits.get(&reads_like).and_then(Weak::upgrade) {
            return Some(limit);
        }
        let terms = Terms { limit, window, gateways: sharing.gateways };
        let alone = Alone { failure, share: terms.share().max(share_min), keys_max };
        let new = Arc::new(SharedLimit::new(name, terms, is_leased, alone, Arc::clone(&sharing.errands)));
        limits.insert(reads_like, Arc::downgrade(&new));
        Some(new)
    }

    /// Every limit in use that gateways share.
    pub fn shared_limits(&self) -> Vec<Arc<SharedLimit>> {
        let Some(sharing) = &self.sharing else { return Vec::new() };
        let limits = sharing.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.values().filter_map(Weak::upgrade).collect()
    }

    /// The table of this limit: the one in use, or a new one for at most `keys_max` keys.
    pub(crate) fn table(&self, policy: &str, kind: &str, key: &str, meter: Meter, keys_max: u32) -> Arc<Table> {
        let limit = format!("{policy} {kind} by {key}: {meter:?}, {keys_max} keys");
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|_, known| known.table.strong_count() > 0);
        if let Some(table) = tables.get(&limit).and_then(|known| known.table.upgrade()) {
            return table;
        }
        let table = Arc::new(Table::new(meter, keys_max));
        let known = Known { policy: policy.into(), kind: kind.into(), table: Arc::downgrade(&table) };
        tables.insert(limit, known);
        table
    }

    /// How full every limit in use is at `now`. Looks at each key once, a 256th of a limit at a time: requests wait for
    /// such a part at most.
    pub fn loads(&self, now: Timestamp) -> Vec<LimitLoad> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = |known: &Known| Some((known.policy.clone(), known.kind.clone(), known.table.upgrade()?));
        let live: Vec<(Box<str>, Box<str>, Arc<Table>)> = tables.values().filter_map(in_use).collect();
        drop(tables);
        let load = |(policy, kind, table): (Box<str>, Box<str>, Arc<Table>)| LimitLoad {
            policy,
            kind,
            load: table.load(micros(now)),
            bytes: table.size().1,
            overflowed_total: table.overflowed(),
        };
        live.into_iter().map(load).collect()
    }

    /// Every table in use, by limit.
    pub fn stats(&self) -> Vec<TableStats> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let live: Vec<(String, Arc<Table>)> =
            tables.iter().filter_map(|(limit, known)| Some((limit.clone(), known.table.upgrade()?))).collect();
        drop(tables);
        live.into_iter()
            .map(|(limit, table)| {
                let (keys, bytes) = table.size();
                TableStats { limit, keys, bytes, overflowed_total: table.overflowed() }
            })
            .collect()
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}

/// Microseconds since the epoch; a recording's absurd clock before it counts as the epoch.
pub(crate) fn micros(now: Timestamp) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_reads_the_same_keeps_its_table_and_another_does_not() {
        let counters = Counters::default();
        let table =
            |requests, keys_max| counters.table("p", "quota", "address", Meter::window(requests, 1_000_000), keys_max);
        let first = table(10, 100);
        assert!(Arc::ptr_eq(&first, &table(10, 100)));
        assert!(!Arc::ptr_eq(&first, &table(11, 100)));
        assert!(!Arc::ptr_eq(&first, &table(10, 101)));
        assert_eq!(counters.stats().len(), 1, "tables that nobody uses are gone");
    }

    #[test]
    fn gateways_with_one_key_name_a_limit_alike_and_others_do_not() {
        let name = |key, requests, keys_max| {
            let window = lease::Window::Month;
            let failure = FailureMode::Share;
            let shared = SharedTerms { limit: requests, window, is_leased: true, failure, keys_max, share_min: 0 };
            Counters::shared(&[key; 32], 2).shared_limit("p", "quota", "address", shared).unwrap().name().to_owned()
        };
        assert_eq!(name(1, 10, 100), name(1, 10, 200));
        assert_ne!(name(1, 10, 100), name(2, 10, 100));
        assert_ne!(name(1, 10, 100), name(1, 11, 100));
        assert_eq!(name(1, 10, 100).len(), 32);
    }

    #[test]
    fn a_limit_says_how_many_keys_count_are_nearly_used_up_and_are_used_up() {
        let counters = Counters::default();
        let at = Timestamp::from_micros(1_000_000_000);
        for meter in [Meter::gcra(20, 60_000_000, 20), Meter::window(20, 60_000_000), Meter::window(100, 60_000_000)] {
            let limit = table::Load { keys: 3, near: 1, spent: 1 };
            let most = if meter == Meter::window(100, 60_000_000) { 100 } else { 20 };
            let table = counters.table("p", "quota", "address", meter, 100);
            for (key, amount) in [(1, most / 2), (2, most - 1), (3, most)] {
                table.add(Fingerprint::new(key << 64 | key), micros(at), amount);
            }
            let [load] = counters.loads(at).try_into().unwrap();
            assert_eq!((&*load.policy, &*load.kind, load.load), ("p", "quota", limit));
            let later = at.plus_micros(3 * 60_000_000);
            let [load] = counters.loads(later).try_into().unwrap();
            assert_eq!(load.load, table::Load::default(), "what has expired does not count");
        }
    }
}
