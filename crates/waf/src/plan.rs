//! The compiled rule set: immutable, shared by every transaction of a Snapshot.
//!
//! Names are resolved at load: chains are one rule with links, markers are positions, default actions are merged,
//! removals and target updates are applied, members of `TX` are numbered, macros are templates.

mod compile;
mod fold;
mod keep;
mod link;
mod names;
mod phase;
mod used;

use std::sync::atomic::{AtomicU64, Ordering};

use bartizan_model::Diagnostic;

pub(crate) use self::keep::{Keep, Keeping};
pub(crate) use self::link::{
    Change, Effect, Link, NamePattern, Outcome, RuleSet, SetVarOp, Source, Subject, Target, Test,
};
pub(crate) use self::names::{Names, Piece, Slot, Template};
pub(crate) use self::phase::{Entry, Phase};
use crate::ast::{Document, EngineMode, Place};
use crate::gate::{self, Gate};
use crate::inputs::Text;
use crate::run::{EffectId, TxValue, plain_number};

/// How rules are selected before they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gates {
    /// Rules that provably cannot match are not asked
    #[default]
    All,
    /// Every rule is asked about every value: what the gates are tested against
    None,
}

/// Whether threads remember what the gates found for values that come again, such as names of header fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// They do
    #[default]
    On,
    /// Every value is looked at anew: what the memory is tested against
    Off,
}

/// How a plan is compiled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which rules are asked
    pub gates: Gates,
    /// What is remembered from one exchange to the next, to ask faster
    pub memory: Memory,
    /// JSON and XML bodies are taken apart by their media type, whether or not a rule says so
    pub detect_bodies: bool,
    /// Values inside of values (JSON, tokens, Base64, GraphQL, percent-encoding in a string) are members of their own
    pub opens_values: bool,
    /// The names of JSON arrays are not among `ARGS_NAMES`, as in libmodsecurity: for a comparison with it. The Core Rule Set
    /// looks for them
    pub hides_arrays: bool,
    /// No response will be shown: what speeds up the phases of responses is not built; they stay right
    pub requests_only: bool,
}

/// A compiled rule set.
#[derive(Debug)]
pub struct Plan {
    pub(crate) heads: Vec<Head>,
    pub(crate) infos: Vec<RuleInfo>,
    /// Heads by phase, as written and folded
    order: [Vec<u32>; 5],
    pub(crate) phases: [Phase; 5],
    pub(crate) names: Names,
    /// What is in `TX` when a transaction begins, and the text of it
    pub(crate) initial: Vec<TxValue>,
    pub(crate) initial_text: Text,
    /// Before the phases of requests, and before those of responses
    pub(crate) gates: [Gate; 2],
    /// What `ctl:ruleRemoveMatched…` take matched values away from, by the number that values are marked with
    pub(crate) value_removals: Vec<RuleSet>,
    /// The variables that some rule names: others need no value
    used: Vec<bool>,
    /// Whether rules read what they captured themselves, and nothing that an earlier rule did
    pub(crate) has_closed_captures: bool,
    keeping: Keeping,
    pub(crate) settings: Settings,
    pub(crate) options: Options,
    /// Tells the plans of a process apart
    pub(crate) serial: u64,
}

/// Of the last plan.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// What a rule says about itself.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    /// `id:`
    pub id: u32,
    /// Phase, 1 to 5
    pub phase: u8,
    /// `msg:` as written; empty without one
    pub message: String,
    /// `severity:` 0 (emergency) to 7 (debug)
    pub severity: Option<u8>,
    /// `tag:`
    pub tags: Vec<String>,
    /// Where it is written
    pub place: Place,
}

/// A rule, or a chain of them.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) links: Vec<Link>,
    pub(crate) outcome: Outcome,
    pub(crate) is_logged: bool,
    pub(crate) skip: Skip,
}

/// Where a phase goes on after a rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// With the next rule
    No,
    /// At this position of the phase
    To(usize),
}

/// What `SecRuleEngine` and its like say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mode: EngineMode,
    pub(crate) is_request_body_read: bool,
    pub(crate) is_response_body_read: bool,
    pub(crate) response_types: Vec<Vec<u8>>,
    pub(crate) json_depth_max: Option<usize>,
    pub(crate) arguments_max: Option<usize>,
    pub(crate) xml: XmlInto,
    /// Between the pairs of queries and forms
    pub(crate) separator: u8,
    pub(crate) components: Vec<String>,
    /// Seconds that a record of a collection is kept after a change
    pub(crate) collection_timeout_s: u32,
}

/// Where XML goes: `SecParseXmlIntoArgs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum XmlInto {
    /// `Off`: to `XML`
    Xml,
    /// `On`: to `XML` and `ARGS`
    Both,
    /// `OnlyArgs`
    Args,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: EngineMode::On,
            is_request_body_read: true,
            is_response_body_read: false,
            response_types: [b"text/plain".to_vec(), b"text/html".to_vec()].to_vec(),
            json_depth_max: None,
            arguments_max: None,
            xml: XmlInto::Xml,
            separator: b'&',
            components: Vec::new(),
            collection_timeout_s: 3600, // as ModSecurity has it
        }
    }
}

impl Plan {
    /// Compiles a document that was parsed without errors.
    ///
    /// # Errors
    /// What only shows when rules are seen together: an operator that does not compile, a marker that is missing.
    pub fn compile(document: &Document, options: &Options) -> Result<Self, Vec<Diagnostic>> {
        let mut plan = compile::run(document, *options)?;
        plan.initial = vec![TxValue::Unset; plan.names.len()];
        plan.serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        if options.gates == Gates::All {
            let known = fold::fold(&mut plan);
            plan.initial = known.iter().map(|known| first_value(known, &mut plan.initial_text)).collect();
        }
        plan.number_members();
        plan.used = used::variables(&plan);
        plan.has_closed_captures = used::has_closed_captures(&plan);
        used::number_captures(&mut plan);
        if options.gates == Gates::All {
            let response: &[usize] = if options.requests_only { &[] } else { &[2, 3] };
            plan.gates = [gate::build(&plan, &[0, 1]), gate::build(&plan, response)];
        }
        plan.keeping = Keeping::of(&plan);
        let phases = [0, 1, 2, 3, 4].map(|phase| {
            let gate = plan.gate(phase).map(|(_, gate)| gate);
            Phase::new(plan.order(phase), gate)
        });
        plan.phases = phases;
        Ok(plan)
    }

    /// Resolves patterns over the names of `TX` to the members that are numbered.
    fn number_members(&mut self) {
        let names = &self.names;
        let links = self.heads.iter_mut().flat_map(|head| &mut head.links);
        for target in links.flat_map(|link| &mut link.targets).filter(|target| target.source == Source::Tx) {
            target.slots = names.slots().filter(|slot| target.subject.is_named(names.text(*slot))).collect();
        }
    }

    /// Every rule in the order of the files, chains as one.
    pub fn rules(&self) -> &[RuleInfo] {
        &self.infos
    }

    /// What `SecComponentSignature` names: the rule sets and their versions, such as `OWASP_CRS/4.28.0`.
    pub fn components(&self) -> &[String] {
        &self.settings.components
    }

    /// What an effect that removes targets removes, and from which rules.
    pub(crate) fn removal(&self, id: EffectId) -> Option<(&RuleSet, &Target)> {
        match self.heads.get(id.0)?.links.get(id.1)?.effects.get(id.2)? {
            Effect::RemoveTarget(rules, target) => Some((rules, target)),
            _ => None,
        }
    }

    /// Whether a value with these marks is taken away from the rule of this index.
    pub(crate) fn is_removed(&self, marks: u64, index: usize) -> bool {
        marks != 0
            && self.value_removals.iter().enumerate().any(|(at, rules)| marks >> at & 1 == 1 && rules.contains(index))
    }

    /// How many rules are left to run in each phase, and how many of them stand behind a gate.
    pub fn summary(&self) -> String {
        let phases = self.order.iter().enumerate().map(|(phase, rules)| {
            let gated = self
                .gate(phase)
                .map_or(0, |(_, gate)| rules.iter().filter(|rule| gate.numbers.contains_key(rule)).count());
            format!("phase {}: {} rules, {gated} gated", phase + 1, rules.len())
        });
        phases.collect::<Vec<_>>().join("; ")
    }

    /// Whether some rule names the variable.
    pub(crate) fn uses(&self, variable: crate::Variable) -> bool {
        self.used.get(variable as usize).copied().unwrap_or(true)
    }

    /// The heads that run, in all phases.
    pub(crate) fn running(&self) -> impl Iterator<Item = u32> {
        self.order.iter().flatten().copied()
    }

    /// The heads of a phase, counted from 0.
    pub(crate) fn order(&self, phase: usize) -> &[u32] {
        self.order.get(phase).map(Vec::as_slice).unwrap_or_default()
    }

    /// The gate before a phase, counted from 0, and which of the two it is.
    pub(crate) fn gate(&self, phase: usize) -> Option<(usize, &Gate)> {
        let number = match (self.options.gates, phase) {
            (Gates::None, _) | (_, 4..) => return None,
            (Gates::All, 0 | 1) => 0,
            (Gates::All, _) => 1,
        };
        Some((number, self.gates.get(number)?))
    }
}

fn first_value(known: &fold::Known, text: &mut Text) -> TxValue {
    let fold::Known::Is(value) = known else { return TxValue::Unset };
    match plain_number(value) {
        Some(number) => TxValue::Number(number),
        None => TxValue::Text(text.push(value)),
    }
}
