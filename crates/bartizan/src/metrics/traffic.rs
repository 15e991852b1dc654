//! What each event adds to the metrics: counters in fixed places, so that an event costs some additions and no lock.
//!
//! Policies and upstreams have theirs by name, for the names of the configuration that runs; a name that is not among
//! them is not counted. Counts of a name go on after a reload that keeps it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use bartizan_config::Config;
use bartizan_model::{Action, Ending, Event};

/// Decisions, as labels.
pub(super) const DECISIONS: [&str; 3] = ["allow", "deny", "would_deny"];
/// Classes of statuses, as labels; the first when nothing was answered.
pub(super) const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Endings, in the order of their counters.
pub(super) const ENDINGS: [Ending; 9] = [
    Ending::Answered,
    Ending::Stopped,
    Ending::ClientClosed,
    Ending::Malformed,
    Ending::NoRoute,
    Ending::UpstreamUnreachable,
    Ending::UpstreamTimeout,
    Ending::UpstreamFailed,
    Ending::InternalFault,
];
/// Errors of upstreams, as labels.
pub(super) const UPSTREAM_ERRORS: [&str; 3] = ["unreachable", "timeout", "failed"];
/// Upper bounds of latencies, in microseconds: 0.5 ms to 30 s.
const BOUNDS_US: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// Times in buckets.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    /// The last is for what is above all bounds
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Latencies {
    fn add(&self, time_us: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < time_us);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum_us.fetch_add(time_us, Relaxed);
    }

    /// Sum in seconds, count, and each bucket by its bound in seconds.
    pub(super) fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let bounds = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (self.sum_us.load(Relaxed) as f64 / 1e6, count, buckets)
    }
}

/// What one policy did: denied, would have denied.
#[derive(Debug, Default)]
pub(super) struct PolicyCounts(pub(super) [AtomicU64; 2]);

/// How one upstream did.
#[derive(Debug, Default)]
pub(super) struct UpstreamCounts {
    pub(super) response: Latencies,
    /// In the order of [`UPSTREAM_ERRORS`]
    pub(super) errors: [AtomicU64; 3],
}

type Named<T> = ArcSwap<BTreeMap<String, Arc<T>>>;

/// Everything that events count.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(super) requests: [[AtomicU64; STATUS_CLASSES.len()]; DECISIONS.len()],
    pub(super) durations: Latencies,
    pub(super) endings: [AtomicU64; ENDINGS.len()],
    pub(super) policies: Named<PolicyCounts>,
    pub(super) upstreams: Named<UpstreamCounts>,
}

impl Traffic {
    /// From now on names are those of this configuration.
    pub(crate) fn know(&self, config: &Config) {
        rename(&self.policies, config.policies.iter().map(|policy| policy.name.as_str()));
        rename(&self.upstreams, config.upstreams.iter().map(|upstream| upstream.name.as_str()));
    }

    /// Counts one event.
    pub(crate) fn count(&self, event: &Event) {
        let decision = decided(event.decision.action, event.decision.applied);
        let class = match event.status / 100 {
            class @ 1..=5 => usize::from(class),
            _ => 0,
        };
        if let Some(count) = self.requests.get(decision).and_then(|classes| classes.get(class)) {
            count.fetch_add(1, Relaxed);
        }
        self.durations.add(event.duration_us);
        let ending = ENDINGS.iter().position(|ending| *ending == event.ending);
        if let Some(count) = ending.and_then(|ending| self.endings.get(ending)) {
            count.fetch_add(1, Relaxed);
        }
        if decision > 0
            && let Some(policy) = &event.decision.policy
            && let Some(counts) = self.policies.load().get(&**policy)
            && let Some(count) = counts.0.get(decision - 1)
        {
            count.fetch_add(1, Relaxed);
        }
        if let Some(upstream) = &event.upstream
            && let Some(counts) = self.upstreams.load().get(&**upstream)
        {
            if let Some(time_us) = event.upstream_us {
                counts.response.add(time_us);
            }
            if let Some(count) = upstream_error(event.ending).and_then(|error| counts.errors.get(error)) {
                count.fetch_add(1, Relaxed);
            }
        }
    }
}

/// The place in [`DECISIONS`].
const fn decided(action: Action, is_applied: bool) -> usize {
    match (action, is_applied) {
        (Action::Allow, _) => 0,
        (Action::Deny, true) => 1,
        (Action::Deny, false) => 2,
    }
}

/// The place in [`UPSTREAM_ERRORS`].
const fn upstream_error(ending: Ending) -> Option<usize> {
    match ending {
        Ending::UpstreamUnreachable => Some(0),
        Ending::UpstreamTimeout => Some(1),
        Ending::UpstreamFailed => Some(2),
        Ending::Answered
        | Ending::Stopped
        | Ending::ClientClosed
        | Ending::Malformed
        | Ending::NoRoute
        | Ending::InternalFault => None,
    }
}

fn rename<'n, T: Default>(named: &Named<T>, names: impl Iterator<Item = &'n str>) {
    let before = named.load_full();
    let counts = |name: &str| before.get(name).cloned().unwrap_or_default();
    named.store(Arc::new(names.map(|name| (name.to_owned(), counts(name))).collect()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_that_bounds_it() {
        let latencies = Latencies::default();
        [0, 500, 501, 30_000_000, 30_000_001].iter().for_each(|time| latencies.add(*time));
        let (sum, count, buckets) = latencies.read();
        assert_eq!((count, sum), (5, 60.001_002));
        let filled: Vec<(f64, u64)> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0005, 2), (0.001, 1), (30.0, 1), (f64::INFINITY, 1)]);
    }

    #[test]
    fn every_decision_has_its_label() {
        let labels = [(Action::Allow, false), (Action::Deny, true), (Action::Deny, false)]
            .map(|(action, applied)| DECISIONS.get(decided(action, applied)).copied());
        assert_eq!(labels, [Some("allow"), Some("deny"), Some("would_deny")]);
    }
}
