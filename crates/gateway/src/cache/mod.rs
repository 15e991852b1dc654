//! Answers that are kept: one store for each policy, carried over a reload while nothing that they depend on has changed.
//!
//! Pingora's proxy has cache phases of its own; they are not used. They keep a body before our response rules have judged it
//! (`cache_http_task` runs before `response_body_filter`), answer 500 in the place of our refusal when a rule denies an
//! answer that was kept (`proxy_cache_hit`), send `GET` for a `HEAD` and leave out fields that were inspected
//! (`filters::upstream::request_filter`), cut off answers that turn out too large to keep, and renew old answers with
//! requests that no client has sent. So [`serve`] looks up and answers once the request is decided, and keeps once the
//! answer is. What pingora-cache knows of HTTP, of eviction and of waiting for one another is used: see `store.rs`,
//! `fresh.rs`.
//! Sources: RFC 9111; pingora-proxy 0.9.1 `proxy_cache.rs`; docs/decisions/0010-response-caching.md.

mod entry;
mod fill;
mod fresh;
pub(crate) mod serve;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bartizan_config::{Api, Config, Policy, PolicyRule, Upstream};
use bartizan_engine::{CacheBypass, CacheRequest};
use bartizan_model::Mode;
use ipnet::IpNet;
use serde::Serialize;

pub(crate) use fill::Fill;
pub use store::Purge;
pub(crate) use store::Store;

/// The stores of one configuration.
#[derive(Default)]
pub(crate) struct Caches {
    stores: Vec<Arc<Store>>,
    /// What kept answers depend on beside their policy
    basis: Basis,
}

/// What kept answers depend on: where requests go, who is believed, and how callers are known.
#[derive(Clone, Default, PartialEq, Eq)]
struct Basis {
    apis: Vec<Api>,
    upstreams: Vec<Upstream>,
    trusted_proxies: Vec<IpNet>,
    authenticating: Vec<Policy>,
}

impl Caches {
    /// The stores of `config`; those of policies that stayed as they were go on with what they have.
    pub(crate) fn new(config: &Config, before: Option<&Self>) -> Self {
        let mut caches = Self::default();
        for policy in config.policies.iter().filter(|policy| policy.mode != Mode::Off) {
            let PolicyRule::Cache(rules) = &policy.rule else { continue };
            if caches.stores.is_empty() {
                caches.basis = Basis::of(config);
            }
            let same = before.filter(|before| before.basis == caches.basis).and_then(|before| before.same(policy));
            caches.stores.push(same.unwrap_or_else(|| Arc::new(Store::new(policy, rules))));
        }
        caches
    }

    fn same(&self, policy: &Policy) -> Option<Arc<Store>> {
        self.stores.iter().find(|store| store.policy == *policy).cloned()
    }

    /// Whether no policy keeps answers.
    pub(crate) fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// Where the answer to this request is kept.
    pub(crate) fn store(&self, request: &CacheRequest) -> Option<&Arc<Store>> {
        self.stores.iter().find(|store| store.policy.name == *request.policy)
    }

    /// Forgets what `purge` names; returns how many answers.
    pub(crate) fn purge(&self, purge: &Purge) -> usize {
        let named = |store: &&Arc<Store>| purge.policy.as_ref().is_none_or(|name| store.policy.name == *name);
        self.stores.iter().filter(named).map(|store| store.purge(purge)).sum()
    }

    /// What is kept now: answers and bytes.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        self.stores.iter().map(|store| store.size()).fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }
}

impl Basis {
    fn of(config: &Config) -> Self {
        let authenticates = |policy: &&Policy| matches!(policy.rule, PolicyRule::Authenticate(_));
        Self {
            apis: config.apis.clone(),
            upstreams: config.upstreams.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            authenticating: config.policies.iter().filter(authenticates).cloned().collect(),
        }
    }
}

/// What became of requests that a policy keeps answers for.
#[derive(Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    stale_hits: AtomicU64,
    would_hits: AtomicU64,
    misses: AtomicU64,
    revalidated: AtomicU64,
    bypasses: AtomicU64,
    waits: AtomicU64,
    stored: AtomicU64,
    evicted: AtomicU64,
}

/// Counters of kept answers since the start, and what is kept now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Requests answered with what was kept
    pub hits_total: u64,
    /// Those of them whose answer was older than it may be (`stale_…`)
    pub stale_hits_total: u64,
    /// Requests that an observing policy would have answered
    pub would_hits_total: u64,
    /// Requests that went on, nothing being kept for them
    pub misses_total: u64,
    /// Those of them whose older answer the upstream confirmed
    pub revalidated_total: u64,
    /// Requests that passed the cache by: their key could not tell answers apart, or nothing may be kept of them
    pub bypasses_total: u64,
    /// Requests that waited for another one that fetched the same answer
    pub waits_total: u64,
    /// Answers that were kept
    pub stored_total: u64,
    /// Answers that went for others
    pub evicted_total: u64,
    /// Answers kept now
    pub answers: u64,
    /// Bytes that they take
    pub bytes: u64,
}

impl Counters {
    /// A request passed the cache by.
    pub(crate) fn bypass(&self, reason: CacheBypass) {
        tracing::trace!(?reason, "the cache is passed by");
        self.bypasses.fetch_add(1, Relaxed);
    }

    /// All counters now.
    pub(crate) fn read(&self, caches: &Caches) -> CacheStats {
        let (answers, bytes) = caches.sizes();
        CacheStats {
            hits_total: self.hits.load(Relaxed),
            stale_hits_total: self.stale_hits.load(Relaxed),
            would_hits_total: self.would_hits.load(Relaxed),
            misses_total: self.misses.load(Relaxed),
            revalidated_total: self.revalidated.load(Relaxed),
            bypasses_total: self.bypasses.load(Relaxed),
            waits_total: self.waits.load(Relaxed),
            stored_total: self.stored.load(Relaxed),
            evicted_total: self.evicted.load(Relaxed),
            answers,
            bytes,
        }
    }
}
