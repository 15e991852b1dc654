//! The rules of a phase in their order, and which of them is the next that may match.

use smallvec::SmallVec;

use crate::gate::{self, Bits, Gate};

/// The rules of a phase in their order.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    pub(crate) entries: Vec<Entry>,
    /// Places of the rules that are always asked, as bits
    always: Vec<u64>,
    /// By place: the first number of the gated rules from there on
    lower: Vec<u32>,
    /// Places of the gated rules, by their first number counted from that of the first
    places: Vec<usize>,
}

/// A rule's place in a phase.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) head: u32,
    /// Its links behind the gate, by place, with their numbers
    links: SmallVec<[(u8, u32); 2]>,
}

impl Entry {
    /// The number of a link behind the gate.
    pub(crate) fn number(&self, place: usize) -> Option<u32> {
        self.links.iter().find(|(gated, _)| usize::from(*gated) == place).map(|(_, number)| *number)
    }

    /// Whether none of its links is one that cannot match.
    pub(crate) fn is_possible(&self, possible: &Bits) -> bool {
        self.links.iter().all(|(_, number)| gate::contains(possible, *number))
    }
}

impl Phase {
    pub(super) fn new(heads: &[u32], gate: Option<&Gate>) -> Self {
        let mut phase = Self::default();
        let links = |head: &u32| gate.and_then(|gate| gate.numbers.get(head)).cloned().unwrap_or_default();
        let mut lower = heads.iter().flat_map(|head| links(head).into_iter().take(1)).map(|(_, number)| number).min();
        phase.always = vec![0u64; heads.len().div_ceil(64)];
        for (place, head) in heads.iter().enumerate() {
            phase.lower.push(lower.unwrap_or(u32::MAX));
            let links = SmallVec::from_vec(links(head));
            match links.first() {
                // INVARIANT: the first numbers of a phase's rules follow each other, see `gate::build`.
                Some((_, number)) => {
                    lower = Some(number + 1);
                    phase.places.push(place);
                }
                None => {
                    if let Some(word) = phase.always.get_mut(place / 64) {
                        *word |= 1 << (place % 64);
                    }
                }
            }
            phase.entries.push(Entry { head: *head, links });
        }
        phase
    }

    /// The first place from `at` on whose rule is always asked, or may match.
    pub(crate) fn next(&self, at: usize, possible: &Bits) -> Option<usize> {
        let always = next_bit(&self.always, at);
        let gated = self.next_gated(at, possible);
        match (always, gated) {
            (Some(always), Some(gated)) => Some(always.min(gated)),
            (always, gated) => always.or(gated),
        }
    }

    fn next_gated(&self, at: usize, possible: &Bits) -> Option<usize> {
        let base = *self.lower.first()?;
        let number = next_bit(possible, *self.lower.get(at)? as usize)?;
        self.places.get(number.checked_sub(base as usize)?).copied()
    }
}

/// The first bit that is set from `at` on.
fn next_bit(words: &[u64], at: usize) -> Option<usize> {
    let first = words.get(at / 64)? & (u64::MAX << (at % 64));
    let words = words.iter().enumerate().skip(at / 64 + 1).map(|(word, bits)| (word, *bits));
    let mut words = std::iter::once((at / 64, first)).chain(words);
    words.find(|(_, bits)| *bits != 0).map(|(word, bits)| word * 64 + bits.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_rule_is_the_one_that_reading_them_in_order_finds(
            gated in proptest::collection::vec(any::<bool>(), 0..150),
            base in 0_u32..100,
            possible: [u64; gate::WORDS],
            at in 0_usize..160,
        ) {
            let heads: Vec<u32> = (0..).take(gated.len()).collect();
            let mut gate = Gate::default();
            let mut numbers = base..;
            for head in heads.iter().filter(|head| gated[**head as usize]) {
                gate.numbers.insert(*head, vec![(0, numbers.next().unwrap())]);
            }
            let phase = Phase::new(&heads, Some(&gate));
            let expected = (at..heads.len()).find(|place| phase.entries[*place].is_possible(&possible));
            prop_assert_eq!(phase.next(at, &possible), expected);
        }
    }
}
