//! A sliding log: the time of each admission in the window. Exact, for limits small enough to remember each one.
//!
//! One word holds the oldest time in ticks, then a cell of 32 bits for each admission: its distance from the oldest, plus
//! one. A tick is a microsecond, longer for windows beyond 18 minutes; times are rounded so that an admission is never
//! forgotten early: an entry leaves when a whole window has passed since.

use smallvec::SmallVec;

use super::{CLOCK_STEP_US, cells};

/// LIMIT: admissions that are remembered one by one; at 264 bytes a key, about what the sub-buckets take.
pub(crate) const ENTRIES_MAX: u32 = 64;

/// Ticks that a window is cut into at most: distances fit into 32 bits with room for clocks that disagree.
const TICKS_MAX: u64 = 1 << 30;

const BITS: u32 = 32;

/// A limit and a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    limit: u32,
    tick_us: u64,
    window_ticks: u64,
}

/// Times of admissions in ticks, ascending.
type Entries = SmallVec<[u64; ENTRIES_MAX as usize]>;

impl Log {
    pub(crate) fn new(limit: u32, window_us: u64) -> Self {
        let tick_us = window_us.div_ceil(TICKS_MAX).max(1);
        Self { limit: limit.min(ENTRIES_MAX), tick_us, window_ticks: window_us.div_ceil(tick_us) }
    }

    pub(crate) fn words(&self) -> usize {
        1 + cells::words(BITS, self.limit as usize)
    }

    pub(crate) fn settle(&self, state: &mut [u64], now: u64) {
        let mut entries = self.entries(state);
        let newest = entries.last().copied().unwrap_or_default();
        let back = newest.saturating_sub(now.div_ceil(self.tick_us));
        if back.saturating_mul(self.tick_us) > CLOCK_STEP_US {
            entries.iter_mut().for_each(|entry| *entry = entry.saturating_sub(back));
        }
        let now = now / self.tick_us;
        entries.retain(|entry| now < entry.saturating_add(self.window_ticks));
        self.keep(state, &entries);
    }

    pub(crate) fn remaining(&self, state: &[u64]) -> u64 {
        u64::from(self.limit).saturating_sub(self.entries(state).len() as u64)
    }

    /// Beyond the limit the oldest are forgotten for the newest.
    pub(crate) fn add(&self, state: &mut [u64], now: u64, amount: u64) {
        let mut entries = self.entries(state);
        let time = now.div_ceil(self.tick_us).max(entries.last().copied().unwrap_or_default());
        for _ in 0..amount.min(self.limit.into()) {
            entries.push(time);
        }
        let excess = entries.len().saturating_sub(self.limit as usize);
        entries.drain(..excess);
        self.keep(state, &entries);
    }

    pub(crate) fn give_back(&self, state: &mut [u64], at: u64, amount: u64) {
        let time = at.div_ceil(self.tick_us);
        let mut left = amount;
        let mut entries = self.entries(state);
        entries.retain(|entry| {
            let is_given = *entry == time && left > 0;
            left -= u64::from(is_given);
            !is_given
        });
        self.keep(state, &entries);
    }

    pub(crate) fn wait(&self, state: &[u64], now: u64, amount: u64) -> u64 {
        let entries = self.entries(state);
        let free = u64::from(self.limit).saturating_sub(entries.len() as u64);
        match amount.checked_sub(free) {
            _ if amount > u64::from(self.limit) => u64::MAX,
            None | Some(0) => 0,
            Some(leaving) => {
                let last = usize::try_from(leaving - 1).ok().and_then(|at| entries.get(at)).copied();
                self.leaves(last.unwrap_or_default()).saturating_sub(now)
            }
        }
    }

    pub(crate) fn expires(&self, state: &[u64]) -> u64 {
        self.entries(state).last().map_or(0, |newest| self.leaves(*newest))
    }

    fn leaves(&self, entry: u64) -> u64 {
        entry.saturating_add(self.window_ticks).saturating_mul(self.tick_us)
    }

    fn entries(&self, state: &[u64]) -> Entries {
        let Some((oldest, cells)) = state.split_first() else { return Entries::new() };
        let distances = (0..self.limit as usize).map(|at| cells::read(cells, BITS, at));
        distances.take_while(|distance| *distance > 0).map(|distance| oldest.saturating_add(distance - 1)).collect()
    }

    fn keep(&self, state: &mut [u64], entries: &[u64]) {
        let Some((oldest, cells)) = state.split_first_mut() else { return };
        *oldest = entries.first().copied().unwrap_or_default();
        cells.fill(0);
        for (at, entry) in entries.iter().enumerate() {
            cells::write(cells, BITS, at, entry.saturating_sub(*oldest) + 1);
        }
    }
}
