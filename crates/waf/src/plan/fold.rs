//! Rules whose outcome is known at load are decided at load: defaults, paranoia levels, thresholds.
//!
//! The Core Rule Set decides at run time what never changes: hundreds of rules compare members of `TX` that only its own
//! set-up writes. Here the rules are walked once in the order in which they run, with what is known of `TX` at each
//! point. A rule that cannot match is left out. One that always matches and only sets members that nothing has read
//! yet becomes part of the values a transaction begins with; one that only jumps takes the rules it jumps over along.
//! Anything that depends on an exchange stays, and what it may write is unknown from there on.
//!
//! INVARIANT: a transaction over the folded plan has the same logged matches, the same interventions and, wherever a
//! rule reads it, the same `TX` as over the plan as written; the regression tests and the property tests compare them.

use crate::Variable;
use crate::gate::need;
use crate::operator::CAPTURES_MAX;
use crate::plan::{Effect, Head, Link, Plan, RuleSet, Skip, Source, Subject, Target, Test};
use crate::run::transformed;

use super::keep::Keep;
use super::link::{Change, Outcome, SetVarOp};
use super::names::{Names, Piece, Template};

/// What is known of a member of `TX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Not there
    Unset,
    /// This value
    Is(Vec<u8>),
    /// Depends on the exchange
    Unknown,
}

struct Folder {
    known: Vec<Known>,
    /// Something that stays has read it: its first value may not change any more
    is_read: Vec<bool>,
    /// What a transaction begins with
    initial: Vec<Known>,
    /// Sets of rules that a `ctl` may switch off
    removals: Vec<RuleSet>,
}

/// What becomes of a rule.
enum Fate {
    /// It is left out
    Out,
    /// It stays as it is
    Stay,
    /// It stays, and always matches
    Always,
}

/// Folds the plan; returns what is in `TX` when a transaction begins.
pub(super) fn fold(plan: &mut Plan) -> Vec<Known> {
    let count = plan.names.len();
    let mut folder = Folder {
        known: vec![Known::Unset; count],
        is_read: vec![false; count],
        initial: vec![Known::Unset; count],
        removals: removals(&plan.heads),
    };
    for phase in 0..plan.order.len() {
        folder.phase(plan, phase);
    }
    folder.initial
}

fn removals(heads: &[Head]) -> Vec<RuleSet> {
    let effects = heads.iter().flat_map(|head| &head.links).flat_map(|link| &link.effects);
    let sets =
        effects.filter_map(|effect| if let Effect::RemoveRules(rules) = effect { Some(rules.clone()) } else { None });
    sets.collect()
}

impl Folder {
    fn phase(&mut self, plan: &mut Plan, phase: usize) {
        let Some(rules) = plan.order.get_mut(phase).map(std::mem::take) else { return };
        let mut kept = Vec::with_capacity(rules.len());
        // Old position → new position, for the jumps.
        let mut moved = Vec::with_capacity(rules.len() + 1);
        let (mut conditional_until, mut skip_until) = (0, 0);
        for (at, index) in rules.iter().enumerate() {
            moved.push(kept.len());
            if at < skip_until {
                continue;
            }
            let Some(head) = plan.heads.get(*index as usize) else { continue };
            let is_conditional = at < conditional_until;
            let fate = self.fate(plan, head, *index as usize, is_conditional);
            if let (Fate::Always, Skip::To(to)) = (&fate, head.skip)
                && !is_conditional
                && self.may_jump(&rules, at, to)
                && is_bare(head)
            {
                skip_until = to;
                continue;
            }
            match fate {
                Fate::Out => continue,
                Fate::Stay => {
                    self.shorten(plan, *index as usize);
                    self.write_out(plan, *index as usize);
                }
                Fate::Always => {}
            }
            let Some(head) = plan.heads.get(*index as usize) else { continue };
            self.note(head, plan);
            if let Skip::To(to) = head.skip {
                conditional_until = conditional_until.max(to);
            }
            kept.push(*index);
            if let (Fate::Always, Some(head)) = (fate, plan.heads.get_mut(*index as usize)) {
                head.links.iter_mut().for_each(|link| link.test = Test::Always);
            }
        }
        moved.push(kept.len());
        for index in &kept {
            if let Some(head) = plan.heads.get_mut(*index as usize)
                && let Skip::To(to) = head.skip
            {
                head.skip = Skip::To(moved.get(to).copied().unwrap_or(kept.len()));
            }
        }
        if let Some(slot) = plan.order.get_mut(phase) {
            *slot = kept;
        }
    }

    fn fate(&mut self, plan: &Plan, head: &Head, index: usize, is_conditional: bool) -> Fate {
        if head.links.is_empty() {
            return Fate::Out;
        }
        match self.verdict(head) {
            Some(false) => Fate::Out,
            None => Fate::Stay,
            Some(true) => {
                let is_silent = !head.is_logged && matches!(head.outcome, Outcome::Pass);
                let is_removable =
                    self.removals.iter().any(|rules| rules.contains(index)) && !self.is_set_up(plan, index);
                if !is_silent {
                    return Fate::Stay;
                }
                let has_effects = head.links.iter().any(|link| !link.effects.is_empty() || !link.keeps.is_empty());
                if has_effects || is_conditional || is_removable || head.skip != Skip::No {
                    return Fate::Always;
                }
                if self.absorb(head) { Fate::Out } else { Fate::Always }
            }
        }
    }

    /// Takes first links that always match, and do nothing else, out of a chain.
    fn shorten(&self, plan: &mut Plan, index: usize) {
        let Some(head) = plan.heads.get_mut(index) else { return };
        while let [first, second, ..] = head.links.as_mut_slice()
            && first.set_vars.is_empty()
            && first.effects.is_empty()
            && first.keeps.is_empty()
            && !first.is_capturing
            && !first.is_multi_match
            && self.link(first) == Some(true)
            && let Some(words) = constant_words(first)
        {
            // What it says is said by the link that now comes first, unless that says something itself.
            let (message, data) = words;
            second.message = second.message.take().or(message);
            second.data = second.data.take().or(data);
            second.severity = second.severity.or(first.severity);
            head.links.remove(0);
        }
    }

    /// Writes out the arguments of operators that are the same for every exchange.
    fn write_out(&self, plan: &mut Plan, index: usize) {
        let Plan { heads, names, .. } = plan;
        let Some(head) = heads.get_mut(index) else { return };
        let mut known = self.known.clone();
        for link in &mut head.links {
            if let Test::Operator { matcher, argument, .. } = &mut link.test
                && let Some(text) = argument.as_ref().and_then(|template| text(&known, template))
                && matcher.write_out(&text)
            {
                *argument = None;
                link.needs = need::of_matcher(matcher, Some(&text));
            }
            // What this link sets, the next one reads.
            if link.is_capturing {
                (0..CAPTURES_MAX).for_each(|slot| set(&mut known, slot, Known::Unknown));
            }
            link.set_vars.iter().for_each(|set| forget_set(set, names, &mut known));
        }
    }

    /// Whether every rule that may be switched off before this one runs does so later: it stands before all of them.
    fn is_set_up(&self, plan: &Plan, index: usize) -> bool {
        let switches = |head: &Head| {
            head.links.iter().flat_map(|link| &link.effects).any(|effect| matches!(effect, Effect::RemoveRules(_)))
        };
        let first_phase = plan.infos.get(index).map_or(2, |info| info.phase) == 1;
        let first_switch = plan.heads.iter().position(switches);
        first_phase && first_switch.is_none_or(|first| index < first)
    }

    /// Whether jumping is the same when a `ctl` switches the jumping rule off: then all it jumps over is off, too.
    fn may_jump(&self, rules: &[u32], at: usize, to: usize) -> bool {
        let Some(jumping) = rules.get(at) else { return false };
        let over = rules.get(at + 1..to.min(rules.len())).unwrap_or_default();
        let mut switching = self.removals.iter().filter(|removed| removed.contains(*jumping as usize));
        switching.all(|removed| over.iter().all(|index| removed.contains(*index as usize)))
    }

    /// Whether the rule matches, when that is known.
    fn verdict(&self, head: &Head) -> Option<bool> {
        let last = head.links.len().checked_sub(1)?;
        let mut verdict = Some(true);
        for (number, link) in head.links.iter().enumerate() {
            let matches = if link.is_multi_match { None } else { self.link(link) };
            if matches == Some(false) {
                return Some(false);
            }
            let acts_early = number < last && !(link.set_vars.is_empty() && link.keeps.is_empty());
            if acts_early || link.is_capturing || link.is_multi_match {
                return None;
            }
            match matches {
                Some(_) => {}
                // One that is known to fail may follow; then this one is not missed, unless it says how bad it is.
                None if link.severity.is_none() => verdict = None,
                None => return None,
            }
        }
        verdict
    }

    fn link(&self, link: &Link) -> Option<bool> {
        let Test::Operator { matcher, is_negated, argument } = &link.test else { return Some(true) };
        let argument = match argument {
            Some(template) => Some(self.text(template)?),
            None => None,
        };
        // What leaves out members of other variables, as an update of a whole range of rules does, leaves none out here.
        let is_meant = |excluded: &Target| link.targets.iter().any(|target| target.variable == excluded.variable);
        if link.excluded.iter().any(is_meant) {
            return None;
        }
        let mut any = false;
        for target in &link.targets {
            let Some(value) = self.value(target)? else { continue };
            let (mut now, mut next) = (Vec::new(), Vec::new());
            let value = transformed(&link.transforms, &value, &mut now, &mut next);
            any |= matcher.is_match(value, argument.as_deref()) != *is_negated;
        }
        Some(any)
    }

    /// The target's one value, when that is known; `Some(None)` when it has none.
    #[expect(clippy::option_option, reason = "not known, known to be none, known")]
    fn value(&self, target: &Target) -> Option<Option<Vec<u8>>> {
        let (Source::Slot(slot), Subject::All) = (target.source, &target.subject) else { return None };
        let value = match self.known.get(slot.0 as usize)? {
            Known::Unknown => return None,
            Known::Unset => None,
            Known::Is(value) => Some(value.clone()),
        };
        Some(if target.is_count { Some(if value.is_some() { b"1".to_vec() } else { b"0".to_vec() }) } else { value })
    }

    fn text(&self, template: &Template) -> Option<Vec<u8>> {
        text(&self.known, template)
    }

    /// Takes what the rule sets into the first values; `false`, and nothing changed, when that cannot be done.
    fn absorb(&mut self, head: &Head) -> bool {
        let mut changes: Vec<(usize, Known)> = Vec::new();
        for set in head.links.iter().flat_map(|link| &link.set_vars) {
            let Some(slot) = set.slot.map(|slot| slot.0 as usize) else { return false };
            let before = changes.iter().rev().find(|(changed, _)| *changed == slot).map(|(_, known)| known);
            let before = before.or_else(|| self.known.get(slot));
            match before.and_then(|before| self.changed(set, before)) {
                Some(after) if !self.is_read.get(slot).copied().unwrap_or(true) => changes.push((slot, after)),
                _ => return false,
            }
        }
        for (slot, known) in changes {
            set(&mut self.initial, slot, known.clone());
            set(&mut self.known, slot, known);
        }
        true
    }

    fn changed(&self, set: &SetVarOp, before: &Known) -> Option<Known> {
        let number = |text: &[u8]| crate::run::leading_number(text);
        let old = || match before {
            Known::Unknown => None,
            Known::Unset => Some(0),
            Known::Is(text) => Some(number(text)),
        };
        Some(match &set.change {
            // What was unknown is known again, but only from here on.
            _ if *before == Known::Unknown => return None,
            Change::Unset => Known::Unset,
            Change::SetNumber(value) => Known::Is(value.to_string().into_bytes()),
            Change::Set(template) => Known::Is(self.text(template)?),
            Change::AddNumber(value) => Known::Is(old()?.saturating_add(*value).to_string().into_bytes()),
            Change::Add(template, sign) => {
                let value = number(&self.text(template)?).saturating_mul(*sign);
                Known::Is(old()?.saturating_add(value).to_string().into_bytes())
            }
        })
    }

    /// A rule stays: what it reads is read, what it may write is unknown.
    fn note(&mut self, head: &Head, plan: &Plan) {
        for link in &head.links {
            let Link { targets, excluded, test, set_vars, message, data, .. } = link;
            for target in targets.iter().chain(excluded) {
                self.read_source(target.source);
            }
            if let Test::Operator { argument: Some(argument), .. } = test {
                self.read(argument);
            }
            let kept = link.keeps.iter().flat_map(Keep::templates);
            message.iter().chain(data).chain(kept).for_each(|template| self.read(template));
            if let Outcome::Redirect(url, _) = &head.outcome {
                self.read(url);
            }
            if link.is_capturing {
                (0..CAPTURES_MAX).for_each(|slot| self.forget(slot));
            }
            for set in set_vars {
                self.note_set(set, plan);
            }
        }
    }

    fn note_set(&mut self, set: &SetVarOp, plan: &Plan) {
        self.read(&set.name);
        match &set.change {
            Change::Set(template) => self.read(template),
            Change::Add(template, _) => {
                self.read(template);
                set.slot.into_iter().for_each(|slot| self.read_source(Source::Slot(slot)));
            }
            Change::AddNumber(_) => set.slot.into_iter().for_each(|slot| self.read_source(Source::Slot(slot))),
            Change::SetNumber(_) | Change::Unset => {}
        }
        forget_set(set, &plan.names, &mut self.known);
    }

    fn forget(&mut self, slot: usize) {
        set(&mut self.known, slot, Known::Unknown);
    }

    fn read(&mut self, template: &Template) {
        for piece in &template.0 {
            match piece {
                Piece::Tx(slot) => self.read_source(Source::Slot(*slot)),
                Piece::Value(source, _) => self.read_source(*source),
                Piece::Literal(_) | Piece::Rule(_) => {}
            }
        }
    }

    fn read_source(&mut self, source: Source) {
        match source {
            Source::Slot(slot) => set(&mut self.is_read, slot.0 as usize, true),
            Source::Tx => self.is_read.fill(true),
            Source::Lists(..)
            | Source::Scalar(_)
            | Source::Matched(_)
            | Source::LastMatched(_)
            | Source::Persistent(_)
            | Source::Nothing => {}
        }
    }
}

/// A template's text, when that is known.
fn text(known: &[Known], template: &Template) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for piece in &template.0 {
        match piece {
            Piece::Literal(bytes) => text.extend_from_slice(bytes),
            Piece::Tx(slot) => match known.get(slot.0 as usize)? {
                Known::Unknown => return None,
                Known::Unset => {}
                Known::Is(value) => text.extend_from_slice(value),
            },
            Piece::Rule(_) | Piece::Value(..) => return None,
        }
    }
    Some(text)
}

/// What is set is unknown from here on.
fn forget_set(change: &SetVarOp, names: &Names, known: &mut [Known]) {
    if let Some(slot) = change.slot {
        return set(known, slot.0 as usize, Known::Unknown);
    }
    if change.collection != Variable::Tx {
        return;
    }
    // Any member whose name begins as this one does may be meant.
    let prefix = match change.name.0.first() {
        Some(Piece::Literal(bytes)) => bytes.to_ascii_lowercase(),
        _ => Vec::new(),
    };
    for (slot, known) in names.slots().zip(known) {
        if names.text(slot).starts_with(&prefix) {
            *known = Known::Unknown;
        }
    }
}

/// What a link says, when it does not depend on what it matched.
fn constant_words(link: &Link) -> Option<(Option<Template>, Option<Template>)> {
    let is_constant = |words: &Option<Template>| words.as_ref().is_none_or(|words| words.literal().is_some());
    (is_constant(&link.message) && is_constant(&link.data)).then(|| (link.message.clone(), link.data.clone()))
}

/// Whether the rule does nothing but jump.
fn is_bare(head: &Head) -> bool {
    head.links.iter().all(|link| link.set_vars.is_empty() && link.effects.is_empty() && link.keeps.is_empty())
}

fn set<T>(values: &mut [T], at: usize, value: T) {
    if let Some(slot) = values.get_mut(at) {
        *slot = value;
    }
}
