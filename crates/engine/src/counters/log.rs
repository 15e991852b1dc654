//! A sliding log: the time of each admission in the window. Exact, for limits small enough to remember each one.
//!
//! Words: the oldest time in ticks, then how many entries there are and how far the newest is from the oldest, then a
//! cell of 32 bits for each entry: its distance from the oldest. A tick is a microsecond, longer for windows beyond 18
//! minutes; times are rounded so that an admission is never forgotten early: an entry leaves when a whole window has
//! passed since.

use smallvec::SmallVec;

use super::{CLOCK_STEP_US, cells};

/// LIMIT: admissions that are remembered one by one; at 272 bytes a key, about what the sub-buckets take.
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
        2 + cells::words(BITS, self.limit as usize)
    }

    pub(crate) fn settle(&self, state: &mut [u64], now: u64) {
        let Span { oldest, newest, count } = Span::of(state);
        let is_ahead = newest.saturating_mul(self.tick_us) > now.saturating_add(CLOCK_STEP_US);
        let has_left = now / self.tick_us >= oldest.saturating_add(self.window_ticks);
        // PERF: most of the time nothing has left since.
        if count == 0 || (!is_ahead && !has_left) {
            return;
        }
        let mut entries = Self::entries(state);
        let back = newest.saturating_sub(now.div_ceil(self.tick_us));
        if back.saturating_mul(self.tick_us) > CLOCK_STEP_US {
            entries.iter_mut().for_each(|entry| *entry = entry.saturating_sub(back));
        }
        let now = now / self.tick_us;
        entries.retain(|entry| now < entry.saturating_add(self.window_ticks));
        Self::keep(state, &entries);
    }

    pub(crate) fn remaining(&self, state: &[u64]) -> u64 {
        u64::from(self.limit).saturating_sub(Span::of(state).count as u64)
    }

    /// Beyond the limit the oldest are forgotten for the newest.
    pub(crate) fn add(&self, state: &mut [u64], now: u64, amount: u64) {
        let Span { oldest, newest, count } = Span::of(state);
        let time = now.div_ceil(self.tick_us).max(newest);
        if let [_, span, cells @ ..] = state
            && amount == 1
            && (1..self.limit as usize).contains(&count)
            && time - oldest < cells::max(BITS)
        {
            cells::write(cells, BITS, count, time - oldest);
            *span = ((time - oldest) << BITS) | (count as u64 + 1);
            return;
        }
        let mut entries = Self::entries(state);
        for _ in 0..amount.min(self.limit.into()) {
            entries.push(time);
        }
        let excess = entries.len().saturating_sub(self.limit as usize);
        entries.drain(..excess);
        Self::keep(state, &entries);
    }

    pub(crate) fn give_back(&self, state: &mut [u64], at: u64, amount: u64) {
        let time = at.div_ceil(self.tick_us);
        let mut left = amount;
        let mut entries = Self::entries(state);
        entries.retain(|entry| {
            let is_given = *entry == time && left > 0;
            left -= u64::from(is_given);
            !is_given
        });
        Self::keep(state, &entries);
    }

    pub(crate) fn wait(&self, state: &[u64], now: u64, amount: u64) -> u64 {
        let entries = Self::entries(state);
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
        let Span { newest, count, .. } = Span::of(state);
        if count == 0 { 0 } else { self.leaves(newest) }
    }

    fn leaves(&self, entry: u64) -> u64 {
        entry.saturating_add(self.window_ticks).saturating_mul(self.tick_us)
    }

    fn entries(state: &[u64]) -> Entries {
        let Span { oldest, count, .. } = Span::of(state);
        let [_, _, cells @ ..] = state else { return Entries::new() };
        (0..count).map(|at| oldest.saturating_add(cells::read(cells, BITS, at))).collect()
    }

    fn keep(state: &mut [u64], entries: &[u64]) {
        let [oldest, span, cells @ ..] = state else { return };
        let (first, last) = (entries.first().copied().unwrap_or_default(), entries.last().copied().unwrap_or_default());
        *oldest = first;
        *span = (last.saturating_sub(first).min(cells::max(BITS)) << BITS) | entries.len() as u64;
        for (at, entry) in entries.iter().enumerate() {
            cells::write(cells, BITS, at, entry.saturating_sub(first));
        }
    }
}

/// The ends of a log.
struct Span {
    oldest: u64,
    newest: u64,
    count: usize,
}

impl Span {
    fn of(state: &[u64]) -> Self {
        match state {
            [oldest, span, ..] => Self {
                oldest: *oldest,
                newest: oldest.saturating_add(span >> BITS),
                count: (span & cells::max(BITS)) as usize,
            },
            _ => Self { oldest: 0, newest: 0, count: 0 },
        }
    }
}
