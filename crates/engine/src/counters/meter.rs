//! What a limit counts by: a closed set of algorithms over a few words of state a key.
//!
//! | meter | state a key | never more than |
//! |---|---|---|
//! | [`Gcra`] | 8 B | N + burst in any window |
//! | [`Log`] (N ≤ 64) | 16 + 4 N B | N in any window, exact |
//! | [`Buckets`] | 16 B + 61 cells of 2, 4 or 8 B | N in any window; admits at least 98 % of what exact counting would of a steady stream |
//! | [`Calendar`] | 24 B | N in each calendar window |
//! | [`InFlight`] | 8 B | N at once |
//!
//! State that is all zero is that of a key never seen.

use super::buckets::Buckets;
use super::calendar::{Calendar, Period};
use super::gcra::Gcra;
use super::in_flight::InFlight;
use super::log::{ENTRIES_MAX, Log};

/// An algorithm with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meter {
    Gcra(Gcra),
    Log(Log),
    Buckets(Buckets),
    Calendar(Calendar),
    InFlight(InFlight),
}

impl Meter {
    /// At most `burst` at once, and one more each `per_us / requests`.
    pub(crate) fn gcra(requests: u64, per_us: u64, burst: u64) -> Self {
        Self::Gcra(Gcra::new(requests, per_us, burst))
    }

    /// At most `limit` in any window of this length.
    pub(crate) fn window(limit: u64, window_us: u64) -> Self {
        match u32::try_from(limit) {
            Ok(few) if few <= ENTRIES_MAX => Self::Log(Log::new(few, window_us)),
            _ => Self::Buckets(Buckets::new(limit, window_us)),
        }
    }

    /// At most `limit` in any window of this length, of things that come in large amounts.
    pub(crate) fn volume(limit: u64, window_us: u64) -> Self {
        Self::Buckets(Buckets::new(limit, window_us))
    }

    /// At most `limit` in each period.
    pub(crate) fn calendar(limit: u64, period: Period) -> Self {
        Self::Calendar(Calendar::new(limit, period))
    }

    /// At most `limit` at once.
    pub(crate) fn in_flight(limit: u64) -> Self {
        Self::InFlight(InFlight { limit })
    }

    /// Words of state that one key takes.
    pub(crate) fn words(&self) -> usize {
        match self {
            Self::Gcra(_) | Self::InFlight(_) => 1,
            Self::Log(log) => log.words(),
            Self::Buckets(buckets) => buckets.words(),
            Self::Calendar(_) => 3,
        }
    }

    /// Brings a state to `now`; every other question is asked after it.
    pub(crate) fn settle(&self, state: &mut [u64], now: u64) {
        match self {
            Self::Gcra(gcra) => gcra.settle(state, now),
            Self::Log(log) => log.settle(state, now),
            Self::Buckets(buckets) => buckets.settle(state, now),
            Self::Calendar(calendar) => calendar.settle(state, now),
            Self::InFlight(_) => {}
        }
    }

    /// How much would be admitted now.
    pub(crate) fn remaining(&self, state: &[u64], now: u64) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.remaining(state, now),
            Self::Log(log) => log.remaining(state),
            Self::Buckets(buckets) => buckets.remaining(state),
            Self::Calendar(calendar) => calendar.remaining(state),
            Self::InFlight(in_flight) => in_flight.remaining(state),
        }
    }

    /// Counts `amount`, also beyond the limit.
    pub(crate) fn add(&self, state: &mut [u64], now: u64, amount: u64) {
        match self {
            Self::Gcra(gcra) => gcra.add(state, now, amount),
            Self::Log(log) => log.add(state, now, amount),
            Self::Buckets(buckets) => buckets.add(state, amount),
            Self::Calendar(calendar) => calendar.add(state, amount),
            Self::InFlight(in_flight) => in_flight.add(state, amount),
        }
    }

    /// Takes back what was counted at `at`, unless it has left the window since.
    pub(crate) fn give_back(&self, state: &mut [u64], at: u64, amount: u64) {
        match self {
            Self::Gcra(gcra) => gcra.give_back(state, amount),
            Self::Log(log) => log.give_back(state, at, amount),
            Self::Buckets(buckets) => buckets.give_back(state, at, amount),
            Self::Calendar(calendar) => calendar.give_back(state, at, amount),
            Self::InFlight(in_flight) => in_flight.give_back(state, amount),
        }
    }

    /// Microseconds until `amount` would be admitted; `u64::MAX` when that never happens.
    pub(crate) fn wait(&self, state: &[u64], now: u64, amount: u64) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.wait(state, now, amount),
            Self::Log(log) => log.wait(state, now, amount),
            Self::Buckets(buckets) => buckets.wait(state, now, amount),
            Self::Calendar(calendar) => calendar.wait(state, now, amount),
            Self::InFlight(in_flight) => in_flight.wait(amount),
        }
    }

    /// When a state says no more than an empty one, in microseconds since the epoch.
    pub(crate) fn expires(&self, state: &[u64]) -> u64 {
        match self {
            Self::Gcra(gcra) => gcra.expires(state),
            Self::Log(log) => log.expires(state),
            Self::Buckets(buckets) => buckets.expires(state),
            Self::Calendar(calendar) => calendar.expires(state),
            Self::InFlight(in_flight) => in_flight.expires(state),
        }
    }

    /// Whether a new key may begin with the overflow's counts: what it did there is among them. What is in flight there
    /// is released there.
    pub(crate) const fn begins_with_overflow(&self) -> bool {
        match self {
            Self::Gcra(_) | Self::Log(_) | Self::Buckets(_) | Self::Calendar(_) => true,
            Self::InFlight(_) => false,
        }
    }
}
