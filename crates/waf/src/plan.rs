//! The compiled rule set: immutable, shared by every transaction of a Snapshot.
//!
//! Names are resolved at load: chains are one rule with links, markers are positions, default actions are merged,
//! removals and target updates are applied, members of `TX` are numbered, macros are templates.

mod compile;
mod link;
mod names;

use bartizan_model::Diagnostic;

pub(crate) use self::link::{Change, Effect, Link, Outcome, RuleSet, SetVarOp, Source, Subject, Target, Test};
pub(crate) use self::names::{Names, Piece, Slot, Template};
use crate::ast::{Document, EngineMode, Place};

/// How rules are selected before they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gates {
    /// Rules that provably cannot match are not asked
    #[default]
    All,
    /// Every rule is asked about every value: what the gates are tested against
    None,
}

/// How a plan is compiled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which rules are asked
    pub gates: Gates,
    /// JSON and XML bodies are taken apart by their media type, whether or not a rule says so
    pub detect_bodies: bool,
}

/// A compiled rule set.
#[derive(Debug)]
pub struct Plan {
    pub(crate) heads: Vec<Head>,
    pub(crate) infos: Vec<RuleInfo>,
    pub(crate) phases: [Vec<u32>; 5],
    pub(crate) names: Names,
    pub(crate) settings: Settings,
    pub(crate) options: Options,
}

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
        }
    }
}

impl Plan {
    /// Compiles a document that was parsed without errors.
    ///
    /// # Errors
    /// What only shows when rules are seen together: an operator that does not compile, a marker that is missing.
    pub fn compile(document: &Document, options: &Options) -> Result<Self, Vec<Diagnostic>> {
        compile::run(document, *options)
    }

    /// Every rule in the order of the files, chains as one.
    pub fn rules(&self) -> &[RuleInfo] {
        &self.infos
    }

    pub(crate) fn head(&self, index: u32) -> Option<&Head> {
        self.heads.get(index as usize)
    }
}
