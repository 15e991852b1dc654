//! One automaton over the literals of all rules: reads a value once and says which rules have a literal in it.
//!
//! Case is folded: literals are in lower case and a table takes both cases of a letter to one column. States are
//! numbered breadth first, so that the ones most often visited lie together. A transition's top bit says that the state
//! it leads to ends a literal; only then is anything looked up.

use std::collections::VecDeque;

use super::{Bits, NONE, insert, or};

/// LIMIT: bytes of a literal that are looked for; of longer ones the rarest part. Short literals keep the table small.
pub(crate) const LITERAL_BYTES_MAX: usize = 6;

/// LIMIT: states, so that one and a mark fit in 16 bits. The Core Rule Set at its highest level needs some 17,000; literals
/// that do not fit any more are reported, and their rules always asked.
const STATES_MAX: usize = 1 << 15;

/// Bytes from which on two parts of a value are read at once, and four: below, what is read twice costs more than it saves.
const TWO_LANES_MIN: usize = 20;
const FOUR_LANES_MIN: usize = 48;

/// Columns of the table as a power of two: bytes that no literal has share one.
const SHIFT: u32 = 6;
const COLUMNS: usize = 1 << SHIFT;
const ENDS: u16 = 1 << 15;

/// The automaton.
#[derive(Debug)]
pub(crate) struct Automaton {
    column: Box<[u8; 256]>,
    /// By state and column: the next state, and whether it ends a literal
    // PERF: 16 bits keep the table of the whole rule set in the second-level cache.
    table: Vec<u16>,
    /// By state: its place in `rules`
    outputs: Vec<u16>,
    rules: Vec<Bits>,
}

impl Default for Automaton {
    fn default() -> Self {
        Self { column: Box::new([0; 256]), table: vec![0; COLUMNS], outputs: vec![0], rules: Vec::new() }
    }
}

/// A state while the trie is built.
#[derive(Clone)]
struct Node {
    next: Vec<(u8, u32)>,
    rules: Bits,
    fail: u32,
}

impl Automaton {
    /// Looks for these literals, in lower case, each for a rule. The second value is the rules whose literals found no
    /// room.
    pub(crate) fn new(literals: &[(Vec<u8>, u32)]) -> (Self, Bits) {
        let column = columns(literals);
        let mut nodes = vec![Node { next: Vec::new(), rules: NONE, fail: 0 }];
        let mut homeless = NONE;
        for (literal, rule) in literals {
            if nodes.len() + literal.len() > STATES_MAX {
                insert(&mut homeless, *rule);
                continue;
            }
            let mut at = 0;
            for byte in literal {
                at = step(&mut nodes, at, column.get(usize::from(*byte)).copied().unwrap_or(0));
            }
            if let Some(node) = nodes.get_mut(at as usize) {
                insert(&mut node.rules, *rule);
            }
        }
        (Self::dense(column, nodes), homeless)
    }

    /// Numbers the states breadth first and fills the table.
    fn dense(column: Box<[u8; 256]>, mut nodes: Vec<Node>) -> Self {
        let order = breadth_first(&nodes);
        let mut table = vec![0u16; nodes.len() * COLUMNS];
        let mut number = vec![0u16; nodes.len()];
        for (place, node) in order.iter().enumerate() {
            set(&mut number, *node as usize, u16::try_from(place).unwrap_or(0));
        }
        let mut outputs = vec![0u16; nodes.len()];
        let mut rules: Vec<Bits> = Vec::new();
        for (place, at) in order.iter().enumerate() {
            let Some(node) = nodes.get(*at as usize).cloned() else { continue };
            let fail = usize::from(number.get(node.fail as usize).copied().unwrap_or(0));
            // A state goes where its longest proper suffix goes, unless it has a way of its own.
            if place > 0 {
                table.copy_within(fail * COLUMNS..(fail + 1) * COLUMNS, place * COLUMNS);
            }
            for (column, child) in &node.next {
                let inherited = match place {
                    0 => 0,
                    _ => table.get(place * COLUMNS + usize::from(*column)).copied().unwrap_or(0) & !ENDS,
                };
                let suffix = order.get(usize::from(inherited)).copied().unwrap_or(0);
                let suffix_rules = nodes.get(suffix as usize).map_or(NONE, |node| node.rules);
                if let Some(child) = nodes.get_mut(*child as usize) {
                    child.fail = suffix;
                    or(&mut child.rules, &suffix_rules);
                }
                let target = number.get(*child as usize).copied().unwrap_or(0);
                let ends = nodes.get(*child as usize).is_some_and(|child| child.rules != NONE);
                set(&mut table, place * COLUMNS + usize::from(*column), target | if ends { ENDS } else { 0 });
            }
            if node.rules != NONE {
                set(&mut outputs, place, u16::try_from(rules.len()).unwrap_or(0));
                rules.push(node.rules);
            }
        }
        Self { column, table, outputs, rules }
    }

    /// The rules that have a literal in these bytes.
    ///
    /// Each step waits for the one before it; so a value is read in several places at once. The lanes overlap by as much as a
    /// literal may stand across two of them.
    pub(crate) fn scan(&self, bytes: &[u8]) -> Bits {
        let mut found = NONE;
        match bytes.len() {
            ..TWO_LANES_MIN => self.lanes([bytes], &mut found),
            TWO_LANES_MIN..FOUR_LANES_MIN => self.lanes(lanes::<2>(bytes), &mut found),
            FOUR_LANES_MIN.. => self.lanes(lanes::<4>(bytes), &mut found),
        }
        found
    }

    /// Reads lanes of the same length side by side.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the lanes are equally long")]
    fn lanes<const COUNT: usize>(&self, lanes: [&[u8]; COUNT], found: &mut Bits) {
        let length = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
        let mut states = [0u16; COUNT];
        for at in 0..length {
            let mut ends = 0;
            for (state, lane) in states.iter_mut().zip(&lanes) {
                *state = self.step(*state, lane[at]);
                ends |= *state;
            }
            if ends & ENDS != 0 {
                states.iter().filter(|state| **state & ENDS != 0).for_each(|state| self.add(*state, found));
            }
        }
    }

    /// The state after one more byte.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "the table has a row for every state in it and a column for every byte"
    )]
    fn step(&self, state: u16, byte: u8) -> u16 {
        self.table[(usize::from(state & !ENDS) << SHIFT) + usize::from(self.column[usize::from(byte)])]
    }

    /// Adds the rules of the literals that end at this state.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "every state that ends a literal has an output")]
    fn add(&self, state: u16, found: &mut Bits) {
        let output = self.outputs[usize::from(state & !ENDS)];
        or(found, &self.rules[usize::from(output)]);
    }
}

/// Parts of a value that together hold each of its runs of [`LITERAL_BYTES_MAX`] bytes, as a whole.
fn lanes<const COUNT: usize>(bytes: &[u8]) -> [&[u8]; COUNT] {
    // Each begins where the one before it has this many bytes left; the last a little earlier, where that was rounded up.
    const OVERLAP: usize = LITERAL_BYTES_MAX - 1;
    let length = (bytes.len() + (COUNT - 1) * OVERLAP).div_ceil(COUNT).min(bytes.len());
    std::array::from_fn(|lane| {
        let start = (lane * length.saturating_sub(OVERLAP)).min(bytes.len() - length);
        bytes.get(start..start + length).unwrap_or_default()
    })
}

/// Columns: one each for the most frequent bytes of literals, one for all that no literal has. Should there be more
/// kinds of bytes than columns, the rest share the last: more is found than is there, never less.
#[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
fn columns(literals: &[(Vec<u8>, u32)]) -> Box<[u8; 256]> {
    let mut counts = [0u32; 256];
    for byte in literals.iter().flat_map(|(literal, _)| literal) {
        counts[usize::from(byte.to_ascii_lowercase())] += 1;
    }
    let mut used: Vec<u8> = (0..=u8::MAX).filter(|byte| counts[usize::from(*byte)] > 0).collect();
    used.sort_by_key(|byte| std::cmp::Reverse(counts[usize::from(*byte)]));
    let mut column = Box::new([0u8; 256]);
    for (place, byte) in used.into_iter().enumerate() {
        let place = u8::try_from((place + 1).min(COLUMNS - 1)).unwrap_or(0);
        column[usize::from(byte)] = place;
        column[usize::from(byte.to_ascii_uppercase())] = place;
    }
    column
}

fn step(nodes: &mut Vec<Node>, at: u32, column: u8) -> u32 {
    let known = nodes.get(at as usize).and_then(|node| node.next.iter().find(|(known, _)| *known == column));
    if let Some((_, next)) = known {
        return *next;
    }
    let next = u32::try_from(nodes.len()).unwrap_or(0);
    nodes.push(Node { next: Vec::new(), rules: NONE, fail: 0 });
    if let Some(node) = nodes.get_mut(at as usize) {
        node.next.push((column, next));
    }
    next
}

fn breadth_first(nodes: &[Node]) -> Vec<u32> {
    let mut order = Vec::with_capacity(nodes.len());
    let mut queue = VecDeque::from([0u32]);
    while let Some(at) = queue.pop_front() {
        order.push(at);
        queue.extend(nodes.get(at as usize).iter().flat_map(|node| &node.next).map(|(_, child)| *child));
    }
    order
}

fn set<T>(values: &mut [T], at: usize, value: T) {
    if let Some(slot) = values.get_mut(at) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_literal_is_found_wherever_it_stands(
            literals in proptest::collection::vec("[ab<A]{1,4}", 1..20),
            text in "[abAB<x]{0,40}|[abAB<x]{40,300}|y{0,60}[abAB<]{0,4}y{0,60}",
        ) {
            let numbered: Vec<_> = literals.iter().map(|text| text.to_ascii_lowercase().into_bytes()).zip(0..).collect();
            let (automaton, homeless) = Automaton::new(&numbered);
            prop_assert_eq!(homeless, NONE);
            let mut expected = NONE;
            for (literal, rule) in &numbered {
                let lower = text.to_ascii_lowercase();
                if memchr::memmem::find(lower.as_bytes(), literal).is_some() {
                    insert(&mut expected, *rule);
                }
            }
            prop_assert_eq!(automaton.scan(text.as_bytes()), expected);
        }
    }

    #[test]
    fn literals_of_every_byte_are_found_though_columns_are_few() {
        let numbered: Vec<_> = (0..=u8::MAX).map(|byte| vec![b'q', byte.to_ascii_lowercase(), b'z']).zip(0..).collect();
        let (automaton, _) = Automaton::new(&numbered);
        for (literal, rule) in &numbered {
            assert!(super::super::contains(&automaton.scan(literal), *rule), "{literal:?}");
        }
    }
}
