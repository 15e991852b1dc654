//! How many are under way at once. One word: their number. Who counts in must count out, on every path.

/// How long to wait when too many are under way: nothing says when one ends.
const WAIT_US: u64 = 1_000_000;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) limit: u64,
}

impl InFlight {
    pub(crate) fn remaining(&self, state: &[u64]) -> u64 {
        self.limit.saturating_sub(state.first().copied().unwrap_or_default())
    }

    pub(crate) fn add(&self, state: &mut [u64], amount: u64) {
        if let [count, ..] = state {
            *count = count.saturating_add(amount);
        }
    }

    pub(crate) fn give_back(&self, state: &mut [u64], amount: u64) {
        if let [count, ..] = state {
            *count = count.saturating_sub(amount);
        }
    }

    pub(crate) fn wait(&self, amount: u64) -> u64 {
        if amount > self.limit { u64::MAX } else { WAIT_US }
    }

    pub(crate) fn expires(&self, state: &[u64]) -> u64 {
        match state.first() {
            None | Some(0) => 0,
            Some(_) => u64::MAX,
        }
    }
}
