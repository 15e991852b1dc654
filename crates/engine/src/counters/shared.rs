//! Limits that gateways share through a store: this gateway's side, without the network.
//!
//! A leased limit spends what it holds and says when to ask for more; a strict one is counted in the store each time.
//! Either way an inspection that has to wait asks its host ([`crate::Question::Count`]), and what need not be waited for is an
//! [`Errand`]: the host runs it behind. While the store is silent, the limit's failure mode decides here, and what
//! was admitted meanwhile is told to the store when it answers again.
//!
//! The store learns names and keys as keyed hashes only, under a key that the gateways share.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bartizan_config::FailureMode;

use super::lease::{Grant, Lease, Return, Spend, Terms, Window};
use super::meter::Meter;
use super::table::{Fingerprint, Slot, Table};

/// Shards of a table of leases: more than threads that will meet in one.
const SHARDS: usize = 64;

/// LIMIT: errands that wait for the host: some seconds of a host that is late. Beyond it they are dropped and counted;
/// tokens that then do not go back expire with their window.
const ERRANDS_MAX: usize = 65_536;

/// One limit that gateways share.
pub struct SharedLimit {
    /// In the store: hexadecimal digits of a keyed hash of what the limit reads like
    name: Box<str>,
    terms: Terms,
    failure: FailureMode,
    /// None when it is counted in the store each time
    leases: Option<Leases>,
    /// What this gateway admits alone, when the failure mode is `share`
    alone: Option<Table>,
    errands: Arc<Errands>,
}

/// What a gateway does alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone {
    pub(super) failure: FailureMode,
    /// What it admits when the failure mode is `share`
    pub(super) share: u64,
    pub(super) keys_max: u32,
}

/// Leases by key.
struct Leases {
    shards: Box<[Mutex<BTreeMap<Fingerprint, Lease>>]>,
    /// LIMIT: keys of a shard that hold tokens at once; those beyond it ask the store each time
    keys_max: usize,
}

/// How one request was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Whether it fits
    pub is_admitted: bool,
    /// What is left, as far as it is known here
    pub remaining: u64,
    /// Microseconds until it would fit, or one more would; `u64::MAX` for never
    pub wait_us: u64,
    /// Where it was counted
    pub place: CountedAt,
}

/// Where a request was counted: it is taken back there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedAt {
    /// Spent from a lease, by the time of its grant
    Lease(u64),
    /// In the store, at its time
    Store(u64),
    /// Here alone, at the gateway's time
    Here(u64),
}

/// One count that an inspection asks for.
#[derive(Clone, Debug)]
pub struct CountWish {
    /// In which limit
    pub limit: Arc<SharedLimit>,
    /// For whom
    pub key: Fingerprint,
    /// How many
    pub amount: u64,
}

impl PartialEq for CountWish {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.limit, &other.limit) && (self.key, self.amount) == (other.key, other.amount)
    }
}

impl Eq for CountWish {}

/// What a host does with the store when it finds the time.
#[derive(Clone, Debug)]
pub struct Errand {
    /// In which limit
    pub limit: Arc<SharedLimit>,
    /// For whom
    pub key: Fingerprint,
    /// What
    pub kind: ErrandKind,
}

/// Kinds of errands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrandKind {
    /// Ask for the next lease
    Renew,
    /// Give these back
    GiveBack(Return),
    /// So many were admitted while the store was silent
    Report(u64),
}

/// Errands that wait for the host.
#[derive(Default)]
pub struct Errands {
    waiting: Mutex<VecDeque<Errand>>,
    dropped: AtomicU64,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Errands {
    /// `wake` is called when there is something to do; it must not block. The first call counts.
    pub fn on_errand(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.wake.set(Box::new(wake));
    }

    /// All that wait, the oldest first.
    pub fn take(&self) -> VecDeque<Errand> {
        std::mem::take(&mut *locked(&self.waiting))
    }

    /// How many did not fit.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Whether there was room.
    fn push(&self, errand: Errand) -> bool {
        {
            let mut waiting = locked(&self.waiting);
            if waiting.len() >= ERRANDS_MAX {
                self.dropped.fetch_add(1, Relaxed);
                return false;
            }
            waiting.push_back(errand);
        }
        if let Some(wake) = self.wake.get() {
            wake();
        }
        true
    }
}

impl SharedLimit {
    pub(super) fn new(name: Box<str>, terms: Terms, is_leased: bool, alone: Alone, errands: Arc<Errands>) -> Self {
        let Alone { failure, share, keys_max } = alone;
        let shards = || (0..SHARDS).map(|_| Mutex::default()).collect();
        let keys_of_shard = (keys_max as usize).div_ceil(SHARDS);
        let alone = || Table::new(share_meter(&terms, share), keys_max);
        Self {
            name,
            terms,
            failure,
            leases: is_leased.then(|| Leases { shards: shards(), keys_max: keys_of_shard }),
            alone: (failure == FailureMode::Share && share > 0).then(alone),
            errands,
        }
    }

    /// Its name in the store, 32 hexadecimal digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its numbers.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether tokens are leased; otherwise each request is counted in the store.
    pub fn is_leased(&self) -> bool {
        self.leases.is_some()
    }

    /// How many keys hold a lease.
    pub fn leases(&self) -> u64 {
        let Some(leases) = &self.leases else { return 0 };
        leases.shards.iter().map(|shard| locked(shard).len() as u64).sum()
    }

    /// Spends from a lease; `None` when the store has to be asked, and waited for.
    pub fn spend(self: &Arc<Self>, key: Fingerprint, now: u64, amount: u64) -> Option<Counted> {
        let mut shard = self.leases.as_ref()?.shard(key);
        let lease = shard.get_mut(&key)?;
        match lease.spend(now, amount) {
            Spend::Admitted { ask, granted_at, remaining } => {
                drop(shard);
                if ask && !self.errands.push(Errand { limit: Arc::clone(self), key, kind: ErrandKind::Renew }) {
                    self.unanswered(key);
                }
                let place = CountedAt::Lease(granted_at);
                Some(Counted { is_admitted: true, remaining, wait_us: 0, place })
            }
            Spend::Refused { wait_us } => {
                Some(Counted { is_admitted: false, remaining: 0, wait_us, place: CountedAt::Lease(0) })
            }
            Spend::Ask { .. } => {
                lease.unanswered(); // the host keeps account of its questions itself
                None
            }
        }
    }

    /// How many tokens to ask the store for, when `amount` are needed; 0 where none can be held, so that the request is
    /// counted in the store.
    pub fn wish(&self, key: Fingerprint, amount: u64) -> u64 {
        let Some(leases) = &self.leases else { return 0 };
        let shard = leases.shard(key);
        match shard.get(&key) {
            Some(lease) => lease.wish(amount),
            None if shard.len() < leases.keys_max => Lease::default().wish(amount),
            None => 0,
        }
    }

    /// The store answered a question for a lease, asked at `asked_at` on this gateway's clock.
    pub fn granted(self: &Arc<Self>, key: Fingerprint, asked_at: u64, grant: Grant) {
        let Some(leases) = &self.leases else { return };
        let unspent = leases.shard(key).entry(key).or_default().granted(asked_at, grant);
        self.give_back_unspent(key, unspent);
    }

    /// The store did not answer a question for a lease.
    pub fn unanswered(&self, key: Fingerprint) {
        if let Some(leases) = &self.leases
            && let Some(lease) = leases.shard(key).get_mut(&key)
        {
            lease.unanswered();
        }
    }

    /// The time of this grant is over (0: that of a refusal), on a clock that does not step: what is left goes back.
    pub fn lapse(self: &Arc<Self>, key: Fingerprint, granted_at: u64) {
        let Some(leases) = &self.leases else { return };
        let mut shard = leases.shard(key);
        let Some(lease) = shard.get_mut(&key) else { return };
        let is_over = lease.is_of(granted_at);
        let unspent = if is_over { lease.end() } else { None };
        if (is_over || granted_at == 0) && lease.is_idle() {
            shard.remove(&key);
        }
        drop(shard);
        self.give_back_unspent(key, unspent);
    }

    /// Gives everything back that is held: the host stops.
    pub fn end(self: &Arc<Self>) {
        let Some(leases) = &self.leases else { return };
        for shard in &leases.shards {
            let held = std::mem::take(&mut *locked(shard));
            for (key, mut lease) in held {
                self.give_back_unspent(key, lease.end());
            }
        }
    }

    /// Counts without the store, as the failure mode says, and tells it later.
    pub(crate) fn without_store(self: &Arc<Self>, key: Fingerprint, now: u64, amount: u64) -> Counted {
        let counted = self.alone(key, now, amount);
        if counted.is_admitted {
            self.report_alone(key, amount, counted.place);
        }
        counted
    }

    /// As the failure mode says; whether it is to be told to the store turns out later.
    pub(crate) fn alone(&self, key: Fingerprint, now: u64, amount: u64) -> Counted {
        let place = CountedAt::Here(now);
        match (self.failure, &self.alone) {
            (FailureMode::Open, _) => Counted { is_admitted: true, remaining: self.terms.limit, wait_us: 0, place },
            (FailureMode::Share, Some(alone)) => {
                let taken = alone.take(key, now, amount, false);
                let (remaining, wait_us) = (taken.remaining, taken.wait_us);
                Counted { is_admitted: taken.is_admitted, remaining, wait_us, place }
            }
            (FailureMode::Closed, _) | (FailureMode::Share, None) => {
                Counted { is_admitted: false, remaining: 0, wait_us: RETRY_US, place }
            }
        }
    }

    /// Tells the store of what was admitted without it.
    pub(crate) fn report_alone(self: &Arc<Self>, key: Fingerprint, amount: u64, place: CountedAt) {
        match place {
            CountedAt::Here(_) => {
                self.errands.push(Errand { limit: Arc::clone(self), key, kind: ErrandKind::Report(amount) });
            }
            CountedAt::Lease(_) | CountedAt::Store(_) => {}
        }
    }

    /// Takes back what was admitted without the store, and not told to it.
    pub(crate) fn take_back_alone(&self, key: Fingerprint, amount: u64, place: CountedAt) {
        if let (CountedAt::Here(at), Some(alone)) = (place, &self.alone) {
            alone.give_back(key, Slot::Own, at, amount);
        }
    }

    /// Takes back what was counted for a request that goes no further. What was admitted without the store stays counted.
    pub fn take_back(self: &Arc<Self>, key: Fingerprint, amount: u64, place: CountedAt) {
        let granted_at = match place {
            CountedAt::Here(_) => return,
            CountedAt::Store(at) => at,
            CountedAt::Lease(granted_at) => {
                let Some(leases) = &self.leases else { return };
                let mut shard = leases.shard(key);
                if shard.get_mut(&key).is_some_and(|lease| lease.take_back(granted_at, amount)) {
                    return;
                }
                granted_at
            }
        };
        self.give_back_unspent(key, Some(Return { granted_at, tokens: amount }));
    }

    fn give_back_unspent(self: &Arc<Self>, key: Fingerprint, unspent: Option<Return>) {
        if let Some(unspent) = unspent {
            self.errands.push(Errand { limit: Arc::clone(self), key, kind: ErrandKind::GiveBack(unspent) });
        }
    }
}

/// What clients are told to wait when nobody can say how much is left: the store may be back by then.
const RETRY_US: u64 = 1_000_000;

/// This gateway's even share of a limit, in windows of its own.
fn share_meter(terms: &Terms, share: u64) -> Meter {
    match terms.window {
        Window::Rolling { length_us } => Meter::window(share, length_us),
        Window::Calendar { length_us, start_us } => {
            Meter::calendar(share, super::Period::Every { length_us, start_us })
        }
        Window::Month => Meter::calendar(share, super::Period::Month),
        Window::Pace { interval_us, burst } => {
            Meter::gcra(1, interval_us.saturating_mul(terms.gateways), (burst / terms.gateways).max(1))
        }
    }
}

impl Leases {
    fn shard(&self, key: Fingerprint) -> MutexGuard<'_, BTreeMap<Fingerprint, Lease>> {
        #[expect(clippy::indexing_slicing, reason = "a remainder of the number of shards, of which there are some")]
        locked(&self.shards[key.part() % self.shards.len()])
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for SharedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimit")
            .field("terms", &self.terms)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errands")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const NOW: u64 = 1_767_225_600 * SECOND;

    fn limit(failure: FailureMode, is_leased: bool, keys_max: u32) -> (Arc<SharedLimit>, Arc<Errands>) {
        let errands = Arc::new(Errands::default());
        let window = Window::Rolling { length_us: 60 * SECOND };
        let terms = Terms { limit: 100, window, gateways: 4 };
        let alone = Alone { failure, share: terms.share(), keys_max };
        (Arc::new(SharedLimit::new("1".into(), terms, is_leased, alone, Arc::clone(&errands))), errands)
    }

    fn grant(tokens: u64) -> Grant {
        Grant { tokens, granted_at: 7, lease_us: SECOND, wait_us: 0, remaining: 50 }
    }

    fn key(number: u128) -> Fingerprint {
        Fingerprint::new(number << 64 | 1)
    }

    #[test]
    fn what_holds_without_the_store_is_what_the_policy_says() {
        let admitted = |failure| {
            let (limit, errands) = limit(failure, false, 1000);
            let admitted = (0..200).filter(|_| limit.without_store(key(1), NOW, 1).is_admitted).count();
            let reported: u64 = errands
                .take()
                .into_iter()
                .map(|errand| match errand.kind {
                    ErrandKind::Report(amount) => amount,
                    ErrandKind::Renew | ErrandKind::GiveBack(_) => 0,
                })
                .sum();
            assert_eq!(reported, admitted as u64, "the store will be told");
            admitted
        };
        assert_eq!([FailureMode::Open, FailureMode::Closed, FailureMode::Share].map(admitted), [200, 0, 25]);
    }

    #[test]
    fn a_lease_is_spent_renewed_before_it_ends_and_given_back() {
        let (limit, errands) = limit(FailureMode::Closed, true, 1000);
        assert_eq!(limit.spend(key(1), NOW, 1), None, "nothing is held");
        limit.granted(key(1), NOW, grant(4));
        let counted = limit.spend(key(1), NOW, 3).unwrap();
        assert_eq!((counted.is_admitted, counted.remaining, counted.place), (true, 51, CountedAt::Lease(7)));
        assert_eq!(errands.take().pop_front().map(|errand| errand.kind), Some(ErrandKind::Renew));
        limit.take_back(key(1), 2, counted.place);
        limit.unanswered(key(1));
        limit.lapse(key(1), 7);
        let unspent = Return { granted_at: 7, tokens: 3 };
        assert_eq!(errands.take().pop_front().map(|errand| errand.kind), Some(ErrandKind::GiveBack(unspent)));
        assert_eq!(limit.leases(), 0, "an idle key takes no memory");
    }

    #[test]
    fn beyond_so_many_keys_requests_are_counted_in_the_store() {
        let (limit, _) = limit(FailureMode::Closed, true, 64);
        (0..64).for_each(|number| limit.granted(Fingerprint::new(number), NOW, grant(4)));
        assert!(limit.wish(Fingerprint::new(3), 1) > 0);
        assert_eq!(limit.wish(Fingerprint::new(64 + 3), 1), 0);
    }

    #[test]
    fn a_host_is_woken_and_errands_are_bounded() {
        let (limit, errands) = limit(FailureMode::Open, false, 1000);
        let woken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&woken);
        errands.on_errand(move || {
            counter.fetch_add(1, Relaxed);
        });
        (0..ERRANDS_MAX + 5).for_each(|_| _ = limit.without_store(key(1), NOW, 1));
        assert_eq!((errands.take().len(), errands.dropped_total(), woken.load(Relaxed)), (ERRANDS_MAX, 5, 65_536));
    }
}
