//! Request ids and cheap random numbers.
//!
//! An id is 48 bits of milliseconds and 80 bits from a per-thread generator that the system seeds: sortable by time,
//! not to be guessed from another id without knowing the generator's state. Ids name exchanges; they are no secret and
//! protect nothing, so xoshiro256++ (Blackman and Vigna, 2018) is enough and costs a nanosecond.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use bartizan_model::{RequestId, Timestamp};

thread_local! {
    static GENERATOR: Cell<[u64; 4]> = Cell::new(seed());
}

fn seed() -> [u64; 4] {
    let mut state = [0; 4];
    for word in &mut state {
        // The system's generator does not fail on Linux after boot; the clock still separates threads and processes.
        *word = getrandom::u64().unwrap_or_else(|_| now().as_micros().unsigned_abs() | 1);
    }
    state
}

/// The clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// 64 random bits; not for secrets.
pub(crate) fn random() -> u64 {
    GENERATOR.with(|cell| {
        let mut s = cell.get();
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        cell.set(s);
        result
    })
}

/// A new request id.
pub(crate) fn request_id(now: Timestamp) -> RequestId {
    let millis = u128::from(now.as_micros().max(0).unsigned_abs() / 1000) & 0xffff_ffff_ffff;
    let low = (u128::from(random()) << 64 | u128::from(random())) & ((1 << 80) - 1);
    RequestId::from_bits(millis << 80 | low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_sort_by_time() {
        let early = request_id(Timestamp::from_millis(1000));
        let late = request_id(Timestamp::from_millis(1001));
        assert!(early < late);
        let mut ids: Vec<_> = (0..10_000).map(|_| request_id(Timestamp::from_millis(5))).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 10_000);
    }
}
