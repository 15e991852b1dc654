//! Everything that changes while rules run; taken from a small stock per thread and given back.

use std::cell::RefCell;

use crate::ast::EngineMode;
use crate::gate::Gate;
use crate::inputs::{Inputs, Span};
use crate::operator::Captures;
use crate::plan::{Plan, RuleSet};
use crate::transaction::Match;

use super::effect::{Controls, EffectId};
use super::persistent::Persistent;
use super::sieve::Sieve;
use super::tx::Tx;
use super::values::{Matched, Value};

/// LIMIT: states that a thread keeps for later exchanges; a worker has few exchanges in this stage at a time.
const STOCK_MAX: usize = 16;

/// LIMIT: bytes of text that a kept state may hold; a rare large body does not stay in memory.
const STOCK_BYTES_MAX: usize = 256 << 10;

thread_local! {
    // A state is some kilobytes; boxed, it is not copied in and out.
    static STOCK: RefCell<Vec<Box<State>>> = const { RefCell::new(Vec::new()) };
}

/// The state of one exchange.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) inputs: Inputs,
    pub(crate) tx: Tx,
    pub(crate) persistent: Persistent,
    pub(crate) matches: Vec<Match>,
    pub(crate) mode: EngineMode,
    pub(crate) controls: Controls,
    pub(crate) removed: RuleSet,
    pub(crate) removed_targets: Vec<EffectId>,
    pub(crate) matched: Vec<Matched>,
    /// The link of a chain that is being asked
    pub(crate) link: usize,
    pub(crate) scratch: Scratch,
    pub(crate) sieve: Sieve,
}

/// Buffers that are used again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) values: Vec<Value>,
    pub(crate) now: Vec<u8>,
    pub(crate) next: Vec<u8>,
    pub(crate) captures: Captures,
    /// Texts with their macros expanded
    pub(crate) text: Vec<u8>,
    pub(crate) argument: Vec<u8>,
    pub(crate) seen: Seen,
}

/// The value that was asked about last, with the categories of its bytes: the next rule often asks about the same.
#[derive(Debug, Default)]
pub(crate) struct Seen(Option<(Span, u64)>);

impl Seen {
    /// The categories of a value's bytes.
    #[inline]
    pub(crate) fn categories(&mut self, gate: &Gate, span: Span, value: &[u8]) -> u64 {
        if let Some((known, present)) = self.0
            && known == span
        {
            return present;
        }
        let present = gate.present(value);
        self.0 = Some((span, present));
        present
    }
}

impl State {
    /// A state in which nothing has been seen.
    pub(crate) fn take(plan: &Plan) -> Box<Self> {
        let mut state = STOCK.with_borrow_mut(Vec::pop).unwrap_or_default();
        state.inputs.text.begin_with(&plan.initial_text);
        state.tx.reset(&plan.initial);
        state.mode = plan.settings.mode;
        state.controls = Controls::new(&plan.settings);
        state
    }

    /// Gives a state back.
    pub(crate) fn put_back(mut state: Box<Self>) {
        if state.inputs.text.capacity() > STOCK_BYTES_MAX {
            return;
        }
        state.inputs.clear();
        state.persistent = Persistent::default();
        state.matches.clear();
        state.removed.clear();
        state.removed_targets.clear();
        state.matched.clear();
        state.sieve.clear();
        state.scratch.seen = Seen::default();
        // A thread that ends has no stock any more.
        let _ = STOCK.try_with(|stock| {
            let mut stock = stock.borrow_mut();
            if stock.len() < STOCK_MAX {
                stock.push(state);
            }
        });
    }
}
