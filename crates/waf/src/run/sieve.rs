//! What the gate has found for the values of an exchange.

use crate::gate::{Bits, Gate, GateScratch, NONE, RECURRING_SCALARS, contains, is_none, numbers, or, remove};
use crate::inputs::{Inputs, List, NO_ROW, NOTHING, Standing};
use crate::plan::{Plan, Test};

use super::memo::Memo;
use super::rule::transformed;
use super::state::{Seen, State};

/// Lists whose names, and those whose values come again from one exchange to the next.
const RECURRING_NAMES: &[List] =
    &[List::ArgsGet, List::ArgsPost, List::Cookies, List::RequestHeaders, List::ResponseHeaders];
const RECURRING_VALUES: &[List] = &[List::RequestHeaders, List::ResponseHeaders];

/// Candidates by value, and of all values together.
#[derive(Debug)]
pub(crate) struct Sieve {
    rows: Vec<Bits>,
    possible: Bits,
    /// Of the values and of the names of each list
    possible_in: [(Bits, Bits); List::COUNT],
    /// Members of each list that were looked at
    sifted: [usize; List::COUNT],
    /// Which of the plan's gates this is of
    gate: usize,
    scratch: GateScratch,
}

impl Default for Sieve {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            possible: NONE,
            possible_in: [(NONE, NONE); List::COUNT],
            sifted: [0; List::COUNT],
            gate: 0,
            scratch: GateScratch::default(),
        }
    }
}

/// What was found for one rule.
#[derive(Clone, Copy)]
pub(crate) struct Sifted<'a> {
    sieve: &'a Sieve,
    number: u32,
}

impl Sifted<'_> {
    /// Whether the value of this row may match.
    #[inline]
    pub(crate) fn is_candidate(&self, row: u32) -> bool {
        self.sieve.rows.get(row as usize).is_some_and(|row| contains(row, self.number))
    }

    /// Whether some value, or some name, of this list may match.
    pub(crate) fn is_possible_in(&self, list: List, is_names: bool) -> bool {
        self.sieve
            .possible_in
            .get(list as usize)
            .is_some_and(|(values, names)| contains(if is_names { names } else { values }, self.number))
    }
}

impl Sieve {
    /// The rules that some value may match.
    pub(crate) fn possible(&self) -> &Bits {
        &self.possible
    }

    /// Which of the plan's gates has looked last.
    pub(crate) const fn gate(&self) -> usize {
        self.gate
    }

    /// What was found for the rule of this number.
    pub(crate) fn sifted(&self, number: u32) -> Sifted<'_> {
        Sifted { sieve: self, number }
    }

    /// As new, with the memory kept.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.possible = NONE;
        self.possible_in = [(NONE, NONE); List::COUNT];
        self.sifted = [0; List::COUNT];
        self.gate = 0;
    }
}

/// Looks at values that were not seen before.
struct Sifter<'s> {
    plan: &'s Plan,
    gate: &'s Gate,
    /// Which of the plan's gates this is
    number: usize,
    sieve: &'s mut Sieve,
    memo: Option<Box<Memo>>,
}

impl Sifter<'_> {
    /// Looks at one value, and adds the rules that may match it to those of all; `recurs`: it is likely to come again.
    fn look(&mut self, class: usize, value: &[u8], recurs: bool, all: &mut Bits) -> u32 {
        let Self { plan, gate, number, sieve, memo } = self;
        let scratch = &mut sieve.scratch;
        let mut find = || gate.candidates(class, value, scratch);
        let found = match memo.as_mut().filter(|_| recurs) {
            Some(memo) => memo.recall(class * 2 + *number, value, find, |found| exact(plan, gate, found, value)),
            None => find(),
        };
        if is_none(&found) {
            return NOTHING;
        }
        let found = gate.without_idle(found);
        if is_none(&found) {
            return NOTHING;
        }
        or(all, &found);
        sieve.rows.push(found);
        u32::try_from(sieve.rows.len() - 1).unwrap_or(NOTHING)
    }

    fn list(&mut self, inputs: &mut Inputs, list: List) {
        let Some(done) = self.sieve.sifted.get(list as usize).copied() else { return };
        let (items, text) = inputs.list_mut(list);
        let count = items.len();
        if count == done {
            return;
        }
        let gate = self.gate;
        let recurs = (RECURRING_VALUES.contains(&list), RECURRING_NAMES.contains(&list));
        let names = gate.class_of_names(list);
        let (mut in_values, mut in_names) = (NONE, NONE);
        for item in items.iter_mut().skip(done) {
            let name = text.at(item.name);
            if item.standing != Standing::Name
                && let Some(class) = gate.class_of(list, name)
            {
                item.rows.0 = self.look(class, text.at(item.value), recurs.0, &mut in_values);
            }
            if let Some(class) = names {
                item.rows.1 = self.look(class, name, recurs.1, &mut in_names);
            }
        }
        or(&mut self.sieve.possible, &in_values);
        or(&mut self.sieve.possible, &in_names);
        if let Some(done) = self.sieve.sifted.get_mut(list as usize) {
            *done = count;
        }
        if let Some((values, names)) = self.sieve.possible_in.get_mut(list as usize) {
            or(values, &in_values);
            or(names, &in_names);
        }
    }

    fn scalars(&mut self, inputs: &mut Inputs) {
        for (variable, class) in self.gate.scalars() {
            if inputs.scalar_row(variable) == NO_ROW
                && let Some(value) = inputs.scalar(variable)
            {
                let recurs = RECURRING_SCALARS.contains(&variable);
                let mut rules = NONE;
                let row = self.look(class, inputs.text.at(value), recurs, &mut rules);
                or(&mut self.sieve.possible, &rules);
                inputs.set_scalar_row(variable, row);
            }
        }
    }
}

impl State {
    /// Lets the gate look at every value that it has not seen.
    pub(crate) fn sift(&mut self, plan: &Plan, number: usize, gate: &Gate) {
        if self.sieve.gate != number {
            self.sieve.clear();
            self.sieve.gate = number;
            self.inputs.forget_rows();
            self.scratch.seen = Seen::default();
        }
        let Self { sieve, inputs, .. } = self;
        let mut sifter = Sifter { plan, gate, number, sieve, memo: Memo::take(plan) };
        for list in List::ALL {
            sifter.list(inputs, list);
        }
        sifter.scalars(inputs);
        if let Some(memo) = sifter.memo {
            Memo::put_back(memo);
        }
    }
}

/// Those of the candidates that do match the value, as far as that depends on nothing else.
fn exact(plan: &Plan, gate: &Gate, candidates: Bits, value: &[u8]) -> Bits {
    let (mut now, mut next) = (Vec::new(), Vec::new());
    let mut left = candidates;
    for number in numbers(&candidates) {
        let link =
            gate.link(number).and_then(|(head, place)| plan.heads.get(head as usize)?.links.get(usize::from(place)));
        if let Some(link) = link
            && let Test::Operator { matcher, is_negated, argument: None } = &link.test
            && !link.is_multi_match
            && !link.targets.iter().any(|target| target.is_count)
        {
            let value = transformed(&link.transforms, value, &mut now, &mut next);
            if matcher.is_match(value, None) == *is_negated || !gate.is_of_use(number, value) {
                remove(&mut left, number);
            }
        }
    }
    left
}
