//! What rules change: members of collections, and how the rest of the rules run.

use crate::Variable;
use crate::ast::{AllowScope, BodyProcessor, EngineMode};
use crate::cut::Left;
use crate::plan::{Effect, Piece, SetVarOp, Settings, Template};

use super::rule::Runner;
use super::tx::{TxValue, leading_number};
use crate::plan::Change;

/// An effect of a plan: head, link, and its place in the link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectId(pub(crate) usize, pub(crate) usize, pub(crate) usize);

/// What `ctl` and `allow` have set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Controls {
    pub(crate) processor: Option<BodyProcessor>,
    pub(crate) is_body_forced: bool,
    pub(crate) is_request_body_read: bool,
    pub(crate) is_response_body_read: bool,
    pub(crate) allowed: Option<AllowScope>,
    /// The lowest number seen, 255 before any
    pub(crate) highest_severity: u8,
}

impl Controls {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            processor: None,
            is_body_forced: false,
            is_request_body_read: settings.is_request_body_read,
            is_response_body_read: settings.is_response_body_read,
            allowed: None,
            highest_severity: u8::MAX,
        }
    }
}

impl Runner<'_> {
    /// Runs a `ctl`.
    pub(crate) fn effect(&mut self, effect: &Effect, id: EffectId) {
        match effect {
            Effect::Mode(mode) => {
                // DetectionOnly for all cannot be lifted for one: whoever observes must be able to rely on it.
                if self.plan.settings.mode != EngineMode::DetectionOnly || *mode == EngineMode::Off {
                    self.state.mode = *mode;
                }
            }
            Effect::Processor(processor) => {
                self.state.controls.processor = Some(*processor);
                let name = processor_name(*processor);
                self.state.inputs.set_text(Variable::ReqbodyProcessor, name);
            }
            Effect::ForceRequestBody(on) => self.state.controls.is_body_forced = *on,
            Effect::RequestBodyAccess(on) => self.state.controls.is_request_body_read = *on,
            Effect::ResponseBodyAccess(on) => self.state.controls.is_response_body_read = *on,
            Effect::RemoveRules(rules) => self.state.removed.extend(rules),
            Effect::RemoveMatched(removal) => {
                let matched = self.state.matched.iter().filter(|matched| matched.link == id.1);
                for matched in matched {
                    self.state.inputs.mark(matched.origin, *removal);
                }
            }
            Effect::RemoveTarget(..) => self.state.removed_targets.push(id),
        }
    }

    /// The number that a template gives.
    pub(super) fn number(&mut self, index: usize, template: &Template) -> i64 {
        match template.0.as_slice() {
            // As it would be read from its text.
            [Piece::Tx(slot)] => self.state.tx.slot(*slot).number(&self.state.inputs.text).max(-i64::MAX),
            _ => self.with_expanded(index, template, |_, text| leading_number(text)),
        }
    }

    /// Runs a `setvar`.
    pub(crate) fn set_var(&mut self, index: usize, set: &SetVarOp) {
        if set.collection != Variable::Tx {
            return self.set_member(index, set);
        }
        let (old, name) = match set.slot {
            Some(slot) => (self.state.tx.slot(slot), None),
            None => {
                let mut name = self.expanded(index, &set.name);
                name.make_ascii_lowercase();
                (self.state.tx.named(&self.plan.names, &name), Some(name))
            }
        };
        let sum = |runner: &Self, number: i64| old.number(&runner.state.inputs.text).saturating_add(number);
        let new = match &set.change {
            Change::Unset => TxValue::Unset,
            Change::SetNumber(number) => TxValue::Number(*number),
            Change::AddNumber(number) => TxValue::Number(sum(self, *number)),
            Change::Add(template, sign) => {
                let number = self.number(index, template);
                TxValue::Number(sum(self, number.saturating_mul(*sign)))
            }
            Change::Set(template) => {
                TxValue::Text(self.with_expanded(index, template, |runner, text| runner.keep(text)))
            }
        };
        match (set.slot, name) {
            (Some(slot), _) => self.state.tx.set_slot(slot, new),
            (None, Some(name)) => {
                if !self.state.tx.set_named(&self.plan.names, &name, new) {
                    self.state.inputs.cut(Left::Variables);
                }
            }
            (None, None) => {}
        }
    }
}

/// `REQBODY_PROCESSOR`'s word.
pub(crate) const fn processor_name(processor: BodyProcessor) -> &'static [u8] {
    match processor {
        BodyProcessor::UrlEncoded => b"URLENCODED",
        BodyProcessor::Multipart => b"MULTIPART",
        BodyProcessor::Json => b"JSON",
        BodyProcessor::Xml => b"XML",
    }
}
