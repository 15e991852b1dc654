//! What the gate has found for the values of an exchange.

use crate::gate::{Bits, Gate, GateScratch, NONE, contains, or};
use crate::inputs::{List, NO_ROW};

use super::state::State;

/// Candidates by value, and of all values together.
#[derive(Debug)]
pub(crate) struct Sieve {
    rows: Vec<Bits>,
    possible: Bits,
    /// Members of each list that were looked at
    sifted: [usize; List::COUNT],
    /// Which of the plan's gates this is of
    gate: usize,
    scratch: GateScratch,
}

impl Default for Sieve {
    fn default() -> Self {
        Self { rows: Vec::new(), possible: NONE, sifted: [0; List::COUNT], gate: 0, scratch: GateScratch::default() }
    }
}

/// What was found for one rule.
#[derive(Clone, Copy)]
pub(crate) struct Sifted<'a> {
    rows: &'a [Bits],
    number: u32,
}

impl Sifted<'_> {
    /// Whether the value of this row may match.
    #[inline]
    pub(crate) fn is_candidate(&self, row: u32) -> bool {
        self.rows.get(row as usize).is_some_and(|row| contains(row, self.number))
    }
}

impl Sieve {
    /// The rules that some value may match.
    pub(crate) fn possible(&self) -> &Bits {
        &self.possible
    }

    /// What was found for the rule of this number.
    pub(crate) fn sifted(&self, number: u32) -> Sifted<'_> {
        Sifted { rows: &self.rows, number }
    }

    /// As new, with the memory kept.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.possible = NONE;
        self.sifted = [0; List::COUNT];
        self.gate = 0;
    }

    /// Looks at one value.
    fn look(&mut self, gate: &Gate, class: usize, value: &[u8]) -> u32 {
        let found = gate.candidates(class, value, &mut self.scratch);
        if found == NONE {
            return NO_ROW;
        }
        or(&mut self.possible, &found);
        self.rows.push(found);
        u32::try_from(self.rows.len() - 1).unwrap_or(NO_ROW)
    }
}

impl State {
    /// Lets the gate look at every value that it has not seen.
    pub(crate) fn sift(&mut self, number: usize, gate: &Gate) {
        if self.sieve.gate != number {
            self.sieve.clear();
            self.sieve.gate = number;
            self.inputs.forget_rows();
        }
        let sieve = &mut self.sieve;
        for list in List::ALL {
            let Some(done) = sieve.sifted.get(list as usize).copied() else { continue };
            let (items, text) = self.inputs.list_mut(list);
            let count = items.len();
            for item in items.iter_mut().skip(done) {
                let name = text.at(item.name);
                if let Some(class) = gate.class_of(list, name, false) {
                    item.rows.0 = sieve.look(gate, class, text.at(item.value));
                }
                if let Some(class) = gate.class_of(list, name, true) {
                    item.rows.1 = sieve.look(gate, class, name);
                }
            }
            if let Some(done) = sieve.sifted.get_mut(list as usize) {
                *done = count;
            }
        }
        for (variable, class) in gate.scalars() {
            if self.inputs.scalar_row(variable) == NO_ROW
                && let Some(value) = self.inputs.scalar(variable)
            {
                let row = self.sieve.look(gate, class, self.inputs.text.at(value));
                self.inputs.set_scalar_row(variable, row);
            }
        }
    }
}
