//! GCRA: one more each interval, at most `burst` at once. Source: ITU-T I.371 annex A (virtual scheduling).
//!
//! One word: the theoretical arrival time in nanoseconds, the time at which all that was admitted is paid for. It may lie
//! `burst` intervals ahead of the clock. So in any window of length `per` at most `requests + burst` are admitted: what
//! the window pays for, and what was ahead at its beginning.

use super::CLOCK_STEP_US;

/// A pace and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gcra {
    interval_ns: u64,
    burst: u64,
}

impl Gcra {
    /// `requests` each `per_us`, both at least 1. The interval is rounded up: never faster than asked for.
    pub(crate) fn new(requests: u64, per_us: u64, burst: u64) -> Self {
        Self { interval_ns: per_us.saturating_mul(1000).div_ceil(requests.max(1)).max(1), burst }
    }

    /// How far ahead of the clock the arrival time may lie.
    fn depth(&self) -> u64 {
        self.interval_ns.saturating_mul(self.burst)
    }

    /// The clock stepped back: nobody waits longer than from a full burst.
    pub(crate) fn settle(&self, state: &mut [u64], now: u64) {
        let [arrival, ..] = state else { return };
        let fullest = nanos(now).saturating_add(self.depth());
        if *arrival > fullest.saturating_add(CLOCK_STEP_US * 1000) {
            *arrival = fullest;
        }
    }

    pub(crate) fn remaining(&self, state: &[u64], now: u64) -> u64 {
        let fullest = nanos(now).saturating_add(self.depth());
        fullest.saturating_sub(ahead(state, now)) / self.interval_ns
    }

    /// Beyond the limit the arrival time stays a full burst ahead: who goes on trying goes on waiting.
    pub(crate) fn add(&self, state: &mut [u64], now: u64, amount: u64) {
        let fullest = nanos(now).saturating_add(self.depth());
        let from = ahead(state, now);
        let [arrival, ..] = state else { return };
        *arrival = from.saturating_add(self.interval_ns.saturating_mul(amount)).min(fullest.max(from));
    }

    pub(crate) fn give_back(&self, state: &mut [u64], amount: u64) {
        let [arrival, ..] = state else { return };
        *arrival = arrival.saturating_sub(self.interval_ns.saturating_mul(amount));
    }

    pub(crate) fn wait(&self, state: &[u64], now: u64, amount: u64) -> u64 {
        if amount > self.burst {
            return u64::MAX;
        }
        let paid = ahead(state, now).saturating_add(self.interval_ns.saturating_mul(amount));
        paid.saturating_sub(nanos(now).saturating_add(self.depth())).div_ceil(1000)
    }

    pub(crate) fn expires(&self, state: &[u64]) -> u64 {
        state.first().map_or(0, |arrival| arrival.div_ceil(1000))
    }
}

/// The arrival time, or now.
fn ahead(state: &[u64], now: u64) -> u64 {
    state.first().copied().unwrap_or_default().max(nanos(now))
}

/// Until the year 2554.
fn nanos(micros: u64) -> u64 {
    micros.saturating_mul(1000)
}
