//! Runs one rule: gather values, transform, ask the operator, do what follows from a match.
//!
//! The order of effects is ModSecurity's: a link's `setvar`s run for each value that matches, whether or not the chain
//! goes on to match; its `ctl`s, and the outcome of the head, only when the whole chain has matched.

use crate::cut::Left;
use crate::inputs::{ITEMS_MAX, Origin, Span};
use crate::operator::{CAPTURES_MAX, Captures, Matcher};
use crate::plan::{Head, Link, Plan, Slot, Template, Test};
use crate::transaction::Match;
use crate::{Transform, Variable};

use super::effect::EffectId;
use super::expand::{Expander, full_name};
use super::state::{Scratch, State};
use super::tx::TxValue;
use super::values::{Matched, Sources, Value};

/// LIMIT: matched values that a chain keeps for `MATCHED_VARS`: as many as a collection has members, so that nobody hides
/// a value behind many others. The transaction says when there were more.
const MATCHED_MAX: usize = ITEMS_MAX;

/// LIMIT: matches that a transaction keeps, after which rules still act but leave no trace.
const MATCHES_MAX: usize = 1024;

/// LIMIT: bytes of [`Match::matched`]; who shows it shows less.
const MATCHED_BYTES_MAX: usize = 256;

/// A plan over the state of one exchange.
pub(crate) struct Runner<'r> {
    pub(crate) plan: &'r Plan,
    pub(crate) state: &'r mut State,
}

/// What the links of a chain have to say; the last word counts.
#[derive(Default)]
struct Words {
    message: Vec<u8>,
    data: Vec<u8>,
    severity: Option<u8>,
}

impl<'r> Runner<'r> {
    /// Runs the head of this index, which has this number behind the gate; whether it matched.
    pub(crate) fn head(&mut self, index: usize, head: &'r Head, number: Option<u32>) -> bool {
        if head.links.is_empty() || self.state.removed.contains(index) {
            return false;
        }
        self.state.matched.clear();
        let mut words = Words::default();
        for (place, link) in head.links.iter().enumerate() {
            let number = number.filter(|_| place == 0);
            self.state.link = place;
            if !self.link(index, link, number, &mut words) {
                return false;
            }
        }
        for (number, link) in head.links.iter().enumerate().rev() {
            for (at, effect) in link.effects.iter().enumerate() {
                self.effect(effect, EffectId(index, number, at));
            }
        }
        if head.is_logged {
            // What a chain says is said when it has matched, with what its last link has captured.
            for link in &head.links {
                words.message = link.message.as_ref().map_or(words.message, |template| self.expanded(index, template));
                words.data = link.data.as_ref().map_or(words.data, |template| self.expanded(index, template));
            }
            self.note(index, head, words);
        }
        true
    }

    fn note(&mut self, index: usize, head: &Head, words: Words) {
        let Some(info) = self.plan.infos.get(index) else { return };
        if self.state.matches.len() >= MATCHES_MAX {
            return;
        }
        let name = self.state.matched.last().map(|matched| self.state.inputs.text.at(matched.name).to_vec());
        let matched = self.matched_part(head);
        self.state.matches.push(Match {
            rule: info.id,
            index,
            message: words.message,
            data: words.data,
            variable: name.unwrap_or_default(),
            matched,
            severity: words.severity.or(info.severity),
        });
    }

    /// What was found in the last value that the client sent: by the first link that looked for something there, so that a
    /// chain shows what it is about and not what its last link makes sure of.
    fn matched_part(&mut self, head: &Head) -> Vec<u8> {
        let State { matched, inputs, scratch, .. } = &mut *self.state;
        let Some(last) = matched.iter().rev().find(|matched| matched.origin != Origin::Made) else { return Vec::new() };
        let same = matched.iter().filter(|matched| matched.origin == last.origin);
        for found in same {
            let Some(Test::Operator { matcher, is_negated: false, argument: None }) =
                head.links.get(found.link).map(|link| &link.test)
            else {
                continue;
            };
            let bytes = inputs.text.at(found.value);
            scratch.captures.clear();
            let is_found = matcher.tells_part() && matcher.find(bytes, None, &mut scratch.captures);
            let part = scratch.captures.iter(bytes).next().map(|(_, part)| part).filter(|_| is_found);
            return part.unwrap_or(bytes).iter().take(MATCHED_BYTES_MAX).copied().collect();
        }
        inputs.text.at(last.value).iter().take(MATCHED_BYTES_MAX).copied().collect()
    }

    /// Runs one link; whether it matched.
    fn link(&mut self, index: usize, link: &'r Link, number: Option<u32>, words: &mut Words) -> bool {
        let Test::Operator { matcher, is_negated, argument } = &link.test else {
            self.follow(index, link, words);
            return true;
        };
        let mut values = std::mem::take(&mut self.state.scratch.values);
        values.clear();
        let mut sources = Sources {
            inputs: &mut self.state.inputs,
            tx: &self.state.tx,
            persistent: &self.state.persistent,
            plan: self.plan,
            matched: &self.state.matched,
            removed_targets: &self.state.removed_targets,
            index,
            sifted: number.map(|number| self.state.sieve.sifted(number)),
        };
        sources.gather(link, &mut values);
        let argument = argument.as_ref().map(|template| self.expanded(index, template));
        let question = Question { matcher, is_negated: *is_negated, argument: argument.as_deref(), link };
        let mut any = false;
        for value in &values {
            any |= self.value(index, &question, *value, words);
        }
        self.state.scratch.values = values;
        any
    }

    fn expander(&self, index: usize) -> Expander<'_> {
        Expander {
            inputs: &self.state.inputs,
            tx: &self.state.tx,
            persistent: &self.state.persistent,
            matched: &self.state.matched,
            info: self.plan.infos.get(index),
        }
    }

    /// Asks about one value, after all transformations, or after each when the rule says `multiMatch`.
    fn value(&mut self, index: usize, question: &Question<'_, 'r>, value: Value, words: &mut Words) -> bool {
        let link = question.link;
        let Scratch { now, next, captures, .. } = &mut self.state.scratch;
        let source = self.state.inputs.text.at(value.value);
        if link.is_multi_match {
            let source = source.to_vec();
            return self.each_step(index, question, value, source, words);
        }
        let bytes = transformed(&link.transforms, source, now, next);
        let is_match = question.ask(bytes, captures);
        if is_match {
            let bytes = bytes.to_vec();
            self.matched_value(index, link, value, &bytes, words);
        }
        is_match
    }

    fn each_step(
        &mut self,
        index: usize,
        question: &Question<'_, 'r>,
        value: Value,
        mut bytes: Vec<u8>,
        words: &mut Words,
    ) -> bool {
        let link = question.link;
        let mut any = false;
        let mut steps = link.transforms.iter();
        loop {
            if question.ask(&bytes, &mut self.state.scratch.captures) {
                any = true;
                self.matched_value(index, link, value, &bytes, words);
            }
            let mut next = Vec::new();
            let Some(_) = steps.find(|transform| transform.apply(&bytes, &mut next)) else { return any };
            bytes = next;
        }
    }

    fn matched_value(&mut self, index: usize, link: &'r Link, value: Value, bytes: &[u8], words: &mut Words) {
        let name = full_name(&mut self.state.inputs, value.variable, value.member);
        let span = self.state.inputs.text.push(bytes);
        if self.state.matched.len() < MATCHED_MAX {
            self.state.matched.push(Matched { name, value: span, origin: value.origin, link: self.state.link });
        } else {
            self.state.inputs.cut(Left::Matched);
        }
        if link.is_capturing {
            self.capture(bytes);
        }
        self.follow(index, link, words);
    }

    /// `capture`: what the operator found becomes `TX:0` to `TX:9`.
    fn capture(&mut self, bytes: &[u8]) {
        let mut parts = [TxValue::Unset; CAPTURES_MAX];
        for (number, part) in self.state.scratch.captures.iter(bytes) {
            if let Some(slot) = parts.get_mut(number) {
                *slot = TxValue::Text(self.state.inputs.text.push(part));
            }
        }
        for (number, value) in (0..).zip(parts) {
            self.state.tx.set_slot(Slot(number), value);
        }
    }

    /// What a link does for each value that matches.
    fn follow(&mut self, index: usize, link: &'r Link, words: &mut Words) {
        self.open_collections(index, link);
        for set_var in &link.set_vars {
            self.set_var(index, set_var);
        }
        self.age_members(index, link);
        if let Some(severity) = link.severity {
            words.severity = Some(severity);
            self.state.controls.highest_severity = self.state.controls.highest_severity.min(severity);
            self.state.inputs.set_number(Variable::HighestSeverity, self.state.controls.highest_severity.into());
        }
    }

    /// Expands a template into a buffer of its own.
    pub(crate) fn expanded(&self, index: usize, template: &Template) -> Vec<u8> {
        let mut text = Vec::new();
        self.expander(index).expand(template, &mut text);
        text
    }

    /// Puts text in the buffer.
    pub(crate) fn keep(&mut self, text: &[u8]) -> Span {
        self.state.inputs.text.push(text)
    }
}

/// An operator and how it is asked.
struct Question<'q, 'r> {
    matcher: &'q Matcher,
    is_negated: bool,
    argument: Option<&'q [u8]>,
    link: &'r Link,
}

impl Question<'_, '_> {
    fn ask(&self, bytes: &[u8], captures: &mut Captures) -> bool {
        captures.clear();
        let is_match = match self.link.is_capturing && !self.is_negated {
            true => self.matcher.find(bytes, self.argument, captures),
            false => self.matcher.is_match(bytes, self.argument),
        };
        is_match != self.is_negated
    }
}

/// The value after these transformations; borrowed from `source` when none changes it.
pub(crate) fn transformed<'a>(
    chain: &[Transform],
    source: &'a [u8],
    now: &'a mut Vec<u8>,
    next: &'a mut Vec<u8>,
) -> &'a [u8] {
    let mut is_changed = false;
    now.clear();
    for transform in chain {
        next.clear();
        let input = if is_changed { now.as_slice() } else { source };
        if transform.apply(input, next) {
            std::mem::swap(now, next);
            is_changed = true;
        }
    }
    if is_changed { now } else { source }
}
