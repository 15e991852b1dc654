//! Runs one rule: gather values, transform, ask the operator, do what follows from a match.
//!
//! The order of effects is ModSecurity's: a link's `setvar`s run for each value that matches, whether or not the chain
//! goes on to match; its `ctl`s, and the outcome of the head, only when the whole chain has matched.

use crate::cut::Left;
use crate::gate::Gate;
use crate::inputs::{ITEMS_MAX, Inputs, Origin, Span};
use crate::operator::{CAPTURES_MAX, Captures, Matcher};
use crate::plan::{Entry, Head, Link, Piece, Plan, Slot, Source, Target, Template, Test};
use crate::transaction::Match;
use crate::{Transform, Variable};

use super::effect::EffectId;
use super::expand::Expander;
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
    /// Runs the head at this place of its phase; whether it matched.
    pub(crate) fn head(&mut self, index: usize, head: &'r Head, entry: &Entry) -> bool {
        if head.links.is_empty() || self.state.removed.contains(index) {
            return false;
        }
        self.state.matched.clear();
        let mut words = Words::default();
        for (place, link) in head.links.iter().enumerate() {
            self.state.link = place;
            if !self.link(index, link, entry.number(place), &mut words) {
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
                if let Some(template) = &link.message {
                    words.message = self.expanded(index, template);
                }
                if let Some(template) = &link.data {
                    words.data = self.expanded(index, template);
                }
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
        let State { matched, inputs, scratch: Scratch { text, .. }, .. } = &mut *self.state;
        text.clear();
        matched.last().into_iter().for_each(|matched| matched.append_name(&inputs.text, text));
        let variable = text.to_vec();
        let matched = self.matched_part(head);
        self.state.matches.push(Match {
            rule: info.id,
            index,
            message: words.message,
            data: words.data,
            variable,
            matched,
            severity: words.severity.or(info.severity),
        });
    }

    /// What was found in the last value that the client sent: by the first link that looked for something there, so that a
    /// chain shows what it is about and not what its last link makes sure of.
    fn matched_part(&mut self, head: &Head) -> Vec<u8> {
        let State { matched, inputs, scratch, .. } = &mut *self.state;
        let makes = |matched: &Matched| head.links.get(matched.link).is_some_and(Link::makes_members);
        let begin = |bytes: &[u8]| bytes.get(..MATCHED_BYTES_MAX).unwrap_or(bytes).to_vec();
        let shown = |value: Span| begin(inputs.text.at(value));
        let Some(last) = matched.iter().rev().find(|matched| matched.origin != Origin::Made && !makes(matched)) else {
            // Members of `TX` that a link makes of all that was sent stand for it.
            let last = matched.last().filter(|_| matched.iter().any(makes));
            return last.map(|last| shown(last.value)).unwrap_or_default();
        };
        let same = matched.iter().filter(|matched| matched.origin == last.origin);
        for found in same {
            let Some(Test::Operator { matcher, is_negated: false, .. }) =
                head.links.get(found.link).map(|link| &link.test)
            else {
                continue;
            };
            let bytes = inputs.text.at(found.value);
            if let Some(part) = found.part.filter(|_| matcher.tells_part()) {
                return shown(part);
            }
            scratch.captures.clear();
            scratch.captures.ask_for(1);
            let is_found = matcher.tells_part() && matcher.find(bytes, None, &mut scratch.captures);
            return begin(scratch.captures.whole(bytes).filter(|_| is_found).unwrap_or(bytes));
        }
        shown(last.value)
    }

    /// Runs one link; whether it matched.
    fn link(&mut self, index: usize, link: &'r Link, number: Option<u32>, words: &mut Words) -> bool {
        let Test::Operator { matcher, is_negated, argument } = &link.test else {
            self.follow(index, link, words);
            return true;
        };
        if self.is_number_refused(link, matcher, *is_negated, argument.as_ref()) {
            return false;
        }
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
        let mut expanded = std::mem::take(&mut self.state.scratch.argument);
        let argument = match argument {
            Some(template) => {
                self.expand(index, template, &mut expanded);
                Some(expanded.as_slice())
            }
            None => None,
        };
        let gate = number.and_then(|_| self.plan.gates.get(self.state.sieve.gate()));
        let question = Question { matcher, is_negated: *is_negated, argument, link, gate };
        let mut any = false;
        for value in &values {
            any |= self.value(index, &question, *value, words);
        }
        self.state.scratch.argument = expanded;
        self.state.scratch.values = values;
        any
    }

    /// Whether the link compares a numbered member of `TX` with a number, and it does not hold: most rules that are always asked
    /// are about scores and levels.
    // PERF: numbers are compared as numbers; values are written out for those that match.
    fn is_number_refused(&self, link: &Link, matcher: &Matcher, is_negated: bool, argument: Option<&Template>) -> bool {
        let [Target { source: Source::Slot(slot), is_count: false, .. }] = link.targets.as_slice() else {
            return false;
        };
        let number = |value: TxValue| match value {
            TxValue::Number(number) => Some(number),
            TxValue::Unset | TxValue::Text(_) => None,
        };
        let wanted = match argument.map(|template| template.0.as_slice()) {
            None => None,
            Some([Piece::Tx(slot)]) => match number(self.state.tx.slot(*slot)) {
                Some(wanted) => Some(wanted),
                None => return false,
            },
            Some(_) => return false,
        };
        if !link.transforms.is_empty() {
            return false;
        }
        // What leaves the member out would only make the link match less.
        let Some(value) = number(self.state.tx.slot(*slot)) else { return false };
        matcher.compares(value, wanted).is_some_and(|holds| holds == is_negated)
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
        if link.is_multi_match {
            return self.each_step(index, question, value, words);
        }
        let State { scratch: Scratch { now, next, captures, seen, .. }, inputs, .. } = &mut *self.state;
        let source = inputs.text.at(value.value);
        // PERF: without transformations nobody asks what the bytes are.
        let is_changed = match question.gate.filter(|_| !link.transforms.is_empty()) {
            Some(gate) => {
                let present = seen.categories(gate, value.value, source);
                transform(&link.transforms, source, now, next, |transform| gate.is_idle(transform, present))
            }
            None => transform(&link.transforms, source, now, next, |_| false),
        };
        let is_match = question.ask(if is_changed { now } else { source }, captures);
        if is_match {
            let found = if is_changed { inputs.text.push(now) } else { value.value };
            self.matched_value(index, link, value, found, words);
        }
        is_match
    }

    fn each_step(&mut self, index: usize, question: &Question<'_, 'r>, value: Value, words: &mut Words) -> bool {
        let link = question.link;
        let Scratch { now, next, .. } = &mut self.state.scratch;
        let (mut bytes, mut next) = (std::mem::take(now), std::mem::take(next));
        bytes.clear();
        bytes.extend_from_slice(self.state.inputs.text.at(value.value));
        let mut any = false;
        let mut is_changed = false;
        let mut steps = link.transforms.iter();
        loop {
            if question.ask(&bytes, &mut self.state.scratch.captures) {
                any = true;
                let found = if is_changed { self.keep(&bytes) } else { value.value };
                self.matched_value(index, link, value, found, words);
            }
            next.clear();
            let Some(_) = steps.find(|transform| transform.apply(&bytes, &mut next)) else { break };
            std::mem::swap(&mut bytes, &mut next);
            is_changed = true;
        }
        let Scratch { now, next: after, .. } = &mut self.state.scratch;
        (*now, *after) = (bytes, next);
        any
    }

    /// `found`: the value as the operator saw it.
    fn matched_value(&mut self, index: usize, link: &'r Link, value: Value, found: Span, words: &mut Words) {
        let part = if link.is_capturing { self.capture(found) } else { None };
        if self.state.matched.len() < MATCHED_MAX {
            let Value { variable, member, origin, .. } = value;
            self.state.matched.push(Matched { variable, member, value: found, part, origin, link: self.state.link });
        } else {
            self.state.inputs.cut(Left::Matched);
        }
        self.follow(index, link, words);
    }

    /// `capture`: what the operator found becomes `TX:0` to `TX:9`. Gives the first of it.
    fn capture(&mut self, found: Span) -> Option<Span> {
        let State { scratch: Scratch { captures, .. }, inputs: Inputs { text, .. }, tx, .. } = &mut *self.state;
        let mut whole = None;
        for (slot, number) in (0..).map(Slot).zip(0..CAPTURES_MAX) {
            let part = captures.part(number).map(|part| part.keep(found, text));
            tx.set_slot(slot, part.map_or(TxValue::Unset, TxValue::Text));
            whole = whole.or(part.filter(|_| number == 0));
        }
        whole
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
            if self.plan.uses(Variable::HighestSeverity) {
                let highest = self.state.controls.highest_severity;
                self.state.inputs.set_number(Variable::HighestSeverity, highest.into());
            }
        }
    }

    /// Expands a template into a buffer of its own, of just its length.
    pub(crate) fn expanded(&mut self, index: usize, template: &Template) -> Vec<u8> {
        self.with_expanded(index, template, |_, text| text.to_vec())
    }

    /// Expands a template and does something with it.
    pub(crate) fn with_expanded<T>(
        &mut self,
        index: usize,
        template: &Template,
        take: impl FnOnce(&mut Self, &[u8]) -> T,
    ) -> T {
        let mut text = std::mem::take(&mut self.state.scratch.text);
        self.expand(index, template, &mut text);
        let taken = take(self, &text);
        self.state.scratch.text = text;
        taken
    }

    /// Expands a template into a buffer.
    fn expand(&self, index: usize, template: &Template, text: &mut Vec<u8>) {
        text.clear();
        self.expander(index).expand(template, text);
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
    /// The gate that the link stands behind
    gate: Option<&'r Gate>,
}

impl Question<'_, '_> {
    fn ask(&self, bytes: &[u8], captures: &mut Captures) -> bool {
        captures.clear();
        captures.ask_for(self.link.captures);
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
    if transform(chain, source, now, next, |_| false) { now } else { source }
}

/// Transforms into `now`; `false` when the value stays as it is. `is_idle`: a transformation is known to leave `source` as it is.
#[inline]
fn transform(
    chain: &[Transform],
    source: &[u8],
    now: &mut Vec<u8>,
    next: &mut Vec<u8>,
    is_idle: impl Fn(Transform) -> bool,
) -> bool {
    let mut is_changed = false;
    for transform in chain {
        if !is_changed && is_idle(*transform) {
            continue;
        }
        next.clear();
        let input = if is_changed { now.as_slice() } else { source };
        if transform.apply(input, next) {
            std::mem::swap(now, next);
            is_changed = true;
        }
    }
    is_changed
}
