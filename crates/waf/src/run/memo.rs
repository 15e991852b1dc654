//! What the gate found for values that come again: names of header fields and arguments, methods, media types, user
//! agents, tokens.
//!
//! Only what is found for a value alone is kept, which is the same for every exchange: a memo makes the gate faster and
//! changes nothing that it says. Slots are found by a hash with a secret key and then compared in full, so no value can
//! be made to pass as another; at worst it takes another's place. A value is kept when it comes for the second time, so
//! values that never do cost a hash. What is kept is exact: rules that the gate let through but that do not match the
//! value are left out.
//!
//! Each thread has its own memos: no exchange waits for another.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};

use smallvec::SmallVec;

use crate::gate::{Bits, NONE, is_none};
use crate::plan::{Memory, Plan};

/// LIMIT: values that one memo holds, a power of two: more than the names and header values of a few services.
const SLOTS: usize = 4096;

/// LIMIT: bytes of a value that is kept; tokens are shorter, longer values seldom come again.
const VALUE_BYTES_MAX: usize = 512;

/// LIMIT: bytes of all values in one memo.
const BYTES_MAX: usize = 512 << 10;

/// LIMIT: plans that a thread has memos for: those in use, and those that exchanges still end with after a reload.
const MEMOS_MAX: usize = 4;

thread_local! {
    #[expect(clippy::vec_box, reason = "boxed, a memo is not copied in and out")]
    static MEMOS: RefCell<Vec<Box<Memo>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes of a value that a slot holds in itself: most names.
// PERF: a slot is as large as a line of the cache.
const INLINE_BYTES: usize = 24;

/// What was found for the values of one plan.
#[derive(Debug)]
pub(crate) struct Memo {
    /// [`Plan::serial`]
    plan: u64,
    /// Of the hash
    secret: [u64; 2],
    slots: Vec<Slot>,
    /// By slot, where something was found
    found: Vec<Bits>,
    /// By slot: a part of the hash of the last value that was not kept
    seen: Vec<u16>,
    /// Of all values in the slots
    bytes: usize,
}

/// A value for which something was found, or nothing.
#[derive(Clone, Debug)]
struct Slot {
    hash: u64,
    class: usize,
    value: SmallVec<[u8; INLINE_BYTES]>,
    is_none: bool,
}

impl Memo {
    /// The thread's memo for this plan, if it may have one.
    pub(crate) fn take(plan: &Plan) -> Option<Box<Self>> {
        if plan.options.memory == Memory::Off {
            return None;
        }
        let known = MEMOS.with_borrow_mut(|memos| {
            memos.iter().position(|memo| memo.plan == plan.serial).map(|place| memos.swap_remove(place))
        });
        Some(known.unwrap_or_else(|| Box::new(Self::new(plan.serial))))
    }

    /// Gives it back.
    pub(crate) fn put_back(memo: Box<Self>) {
        // A thread that ends has no memos any more.
        let _ = MEMOS.try_with(|memos| {
            let mut memos = memos.borrow_mut();
            if memos.len() >= MEMOS_MAX {
                memos.remove(0);
            }
            memos.push(memo);
        });
    }

    fn new(plan: u64) -> Self {
        Self::with_slots(plan, SLOTS)
    }

    /// `slots`: a power of two.
    fn with_slots(plan: u64, slots: usize) -> Self {
        let empty = Slot { hash: 0, class: usize::MAX, value: SmallVec::new(), is_none: true };
        let state = RandomState::new();
        let secret = [state.hash_one(0), state.hash_one(1) | 1];
        Self { plan, secret, slots: vec![empty; slots], found: vec![NONE; slots], seen: vec![0; slots], bytes: 0 }
    }

    /// What was found for this value of this class, or is found now; `refine` makes it exact before it is kept.
    pub(crate) fn recall(
        &mut self,
        class: usize,
        value: &[u8],
        find: impl FnOnce() -> Bits,
        refine: impl FnOnce(Bits) -> Bits,
    ) -> Bits {
        if value.len() > VALUE_BYTES_MAX {
            return find();
        }
        let hash = self.hash(class, value);
        let place = usize::try_from(hash & (self.slots.len() as u64 - 1)).unwrap_or(0);
        let (Some(slot), Some(kept), Some(seen)) =
            (self.slots.get_mut(place), self.found.get_mut(place), self.seen.get_mut(place))
        else {
            return find();
        };
        if slot.hash == hash && slot.class == class && slot.value.as_slice() == value {
            return if slot.is_none { NONE } else { *kept };
        }
        let found = find();
        let mark = (hash >> 48) as u16; // the upper bits are no part of the place
        if *seen != mark {
            *seen = mark;
            return found;
        }
        let bytes = self.bytes - slot.value.len() + value.len();
        if bytes > BYTES_MAX {
            return found;
        }
        self.bytes = bytes;
        slot.value.clear();
        slot.value.extend_from_slice(value);
        *kept = refine(found);
        (slot.hash, slot.class, slot.is_none) = (hash, class, is_none(kept));
        *kept
    }

    /// Eight bytes at a time are multiplied with a secret. Whoever could guess it would find values that take each other's place,
    /// and no more.
    fn hash(&self, class: usize, value: &[u8]) -> u64 {
        let [mut state, key] = self.secret;
        let (chunks, _) = value.as_chunks::<8>();
        for chunk in chunks {
            state = folded_product(state ^ u64::from_le_bytes(*chunk), key);
        }
        // The rest, with some of what was there already.
        let tail = match (value.last_chunk::<8>(), value.first_chunk::<4>(), value.last_chunk::<4>()) {
            (Some(last), ..) => u64::from_le_bytes(*last),
            (None, Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => value.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
        };
        state = folded_product(state ^ tail, key);
        folded_product(state ^ (class as u64) << 32 ^ value.len() as u64, key)
    }
}

/// Both halves of a product, the lower of which alone would not know of upper bits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "each half of 128 bits is 64")]
fn folded_product(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Another answer for each value of each class.
    fn answer(class: usize, value: &[u8]) -> Bits {
        let mut bits = NONE;
        bits[0] = value.iter().fold(class as u64 + 1, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
        bits
    }

    proptest! {
        #[test]
        fn what_is_recalled_is_what_would_be_found(
            values in proptest::collection::vec((0_usize..3, "[a-c]{0,3}"), 1..200),
        ) {
            // So few slots that most values share one.
            let mut memo = Memo::with_slots(0, 8);
            for (class, value) in &values {
                let expected = answer(*class, value.as_bytes());
                prop_assert_eq!(memo.recall(*class, value.as_bytes(), || expected, |found| found), expected);
            }
            let held: usize = memo.slots.iter().map(|slot| slot.value.len()).sum();
            prop_assert_eq!(memo.bytes, held);
        }
    }

    /// How often a value is looked for in `times` times.
    fn looked_for(value: &[u8], times: usize) -> usize {
        let mut memo = Memo::new(0);
        let mut count = 0;
        for _ in 0..times {
            let look = || {
                count += 1;
                answer(1, value)
            };
            memo.recall(1, value, look, |found| found);
        }
        count
    }

    #[test]
    fn a_value_is_kept_when_it_comes_again() {
        assert_eq!(looked_for(b"application/json", 1), 1);
        assert_eq!(looked_for(b"application/json", 10), 2);
        assert_eq!(looked_for(b"", 10), 2);
    }

    #[test]
    fn long_values_are_looked_for_each_time() {
        assert_eq!(looked_for(&[b'a'; VALUE_BYTES_MAX], 10), 2);
        assert_eq!(looked_for(&[b'a'; VALUE_BYTES_MAX + 1], 10), 10);
    }

    #[test]
    fn what_is_kept_is_what_was_left_of_the_candidates() {
        let mut memo = Memo::new(0);
        let all = answer(1, b"x");
        let mut recall = || memo.recall(1, b"x", || all, |_| NONE);
        assert_eq!([recall(), recall(), recall()], [all, NONE, NONE]);
    }

    #[test]
    fn the_bytes_that_are_held_are_bounded() {
        let mut memo = Memo::new(0);
        for number in 0..2 * SLOTS {
            let value = format!("{number:0>500}");
            for _ in 0..2 {
                memo.recall(0, value.as_bytes(), || NONE, |found| found);
            }
        }
        assert!(memo.bytes <= BYTES_MAX && memo.bytes > BYTES_MAX / 2, "{} bytes", memo.bytes);
    }
}
