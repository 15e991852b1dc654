//! A window in sub-buckets, the oldest counted whole: never more than the limit in any window.
//!
//! The window is cut into [`COUNT`] buckets on a fixed grid, and one more is kept: of the oldest, only a part is still in
//! the window, but nothing says which, so all of it counts. A two-window estimate, as many gateways use, admits twice the
//! limit to who times it well; this admits up to 1/60 less than exact counting does.
//!
//! Words: number of the newest bucket, sum of all, then the cells in a ring. A cell is as wide as the limit needs.

use super::{CLOCK_STEP_US, cells};

/// Buckets that make up a window.
const COUNT: u64 = 60;

/// The ring: the window's buckets and the one that is leaving it.
const RING: u64 = COUNT + 1;

/// A limit and a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    limit: u64,
    bucket_us: u64,
    bits: u32,
}

impl Buckets {
    pub(crate) fn new(limit: u64, window_us: u64) -> Self {
        let bits = match limit {
            0..=0xffff => 16,
            0x1_0000..=0xffff_ffff => 32,
            _ => 64,
        };
        Self { limit, bucket_us: window_us.div_ceil(COUNT).max(1), bits }
    }

    pub(crate) fn words(&self) -> usize {
        2 + cells::words(self.bits, RING as usize)
    }

    pub(crate) fn settle(&self, state: &mut [u64], now: u64) {
        let [newest, sum, ring @ ..] = state else { return };
        let current = now / self.bucket_us;
        if current.saturating_sub(*newest) >= RING {
            ring.fill(0);
            (*newest, *sum) = (current, 0);
        } else if current > *newest {
            for bucket in *newest + 1..=current {
                *sum = sum.saturating_sub(self.cell(ring, bucket));
                self.put(ring, bucket, 0);
            }
            *newest = current;
        } else if newest.saturating_mul(self.bucket_us) > now.saturating_add(CLOCK_STEP_US) {
            // The clock stepped back: all that is counted counts as of now.
            ring.fill(0);
            self.put(ring, current, *sum);
            (*newest, *sum) = (current, self.cell(ring, current));
        }
    }

    pub(crate) fn remaining(&self, state: &[u64]) -> u64 {
        let sum = state.get(1).copied().unwrap_or_default();
        self.limit.saturating_sub(sum)
    }

    pub(crate) fn add(&self, state: &mut [u64], amount: u64) {
        let [newest, sum, ring @ ..] = state else { return };
        let before = self.cell(ring, *newest);
        self.put(ring, *newest, before.saturating_add(amount));
        *sum = sum.saturating_add(self.cell(ring, *newest).saturating_sub(before));
    }

    pub(crate) fn give_back(&self, state: &mut [u64], at: u64, amount: u64) {
        let [newest, sum, ring @ ..] = state else { return };
        let bucket = at / self.bucket_us;
        if newest.checked_sub(bucket).is_none_or(|age| age >= RING) {
            return;
        }
        let before = self.cell(ring, bucket);
        self.put(ring, bucket, before.saturating_sub(amount));
        *sum = sum.saturating_sub(before.min(amount));
    }

    pub(crate) fn wait(&self, state: &[u64], now: u64, amount: u64) -> u64 {
        let [newest, sum, ring @ ..] = state else { return 0 };
        if amount > self.limit {
            return u64::MAX;
        }
        let mut excess = sum.saturating_add(amount).saturating_sub(self.limit);
        for bucket in newest.saturating_sub(COUNT)..=*newest {
            if excess == 0 {
                return 0;
            }
            excess = excess.saturating_sub(self.cell(ring, bucket));
            if excess == 0 {
                return self.leaves(bucket).saturating_sub(now);
            }
        }
        self.leaves(*newest).saturating_sub(now)
    }

    pub(crate) fn expires(&self, state: &[u64]) -> u64 {
        match state {
            [newest, sum, ..] if *sum > 0 => self.leaves(*newest),
            _ => 0,
        }
    }

    /// When no window that ends then holds any of this bucket.
    fn leaves(&self, bucket: u64) -> u64 {
        bucket.saturating_add(RING).saturating_mul(self.bucket_us)
    }

    fn cell(&self, ring: &[u64], bucket: u64) -> u64 {
        cells::read(ring, self.bits, (bucket % RING) as usize)
    }

    fn put(&self, ring: &mut [u64], bucket: u64, value: u64) {
        cells::write(ring, self.bits, (bucket % RING) as usize, value);
    }
}
