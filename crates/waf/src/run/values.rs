//! From targets to values: which members of which collections a link looks at.

use crate::Variable;
use crate::inputs::{Inputs, List, Origin, Span, Standing, Text};
use crate::open;
use crate::plan::{Link, Plan, Source, Subject, Target};

use super::effect::EffectId;
use super::persistent::Persistent;
use super::sieve::Sifted;
use super::tx::{Tx, TxValue, push_number};

/// A value and what it is the value of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) variable: Variable,
    /// The member's name, for collections
    pub(crate) member: Option<Span>,
    pub(crate) value: Span,
    /// Which value of the exchange it is
    pub(crate) origin: Origin,
}

/// A value that matched. Its name is only written out when a rule or a log asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matched {
    pub(crate) variable: Variable,
    /// The member's name, for collections
    pub(crate) member: Option<Span>,
    /// As the operator saw it
    pub(crate) value: Span,
    /// What the operator found in it, where the link captures
    pub(crate) part: Option<Span>,
    /// Which value of the exchange it is
    pub(crate) origin: Origin,
    /// The link of the chain that matched it
    pub(crate) link: usize,
}

impl Matched {
    /// Appends its name as `MATCHED_VAR_NAME` says it: `ARGS:id`, or the variable alone.
    pub(crate) fn append_name(&self, text: &Text, out: &mut Vec<u8>) {
        out.extend_from_slice(self.variable.name().as_bytes());
        if let Some(member) = self.member {
            out.push(b':');
            out.extend_from_slice(text.at(member));
        }
    }

    /// That name in the buffer.
    fn keep_name(&self, text: &mut Text) -> Span {
        let mut name = Vec::new();
        self.append_name(text, &mut name);
        text.push(&name)
    }
}

/// What values are taken from.
pub(crate) struct Sources<'a> {
    pub(crate) inputs: &'a mut Inputs,
    pub(crate) tx: &'a Tx,
    pub(crate) matched: &'a [Matched],
    pub(crate) persistent: &'a Persistent,
    pub(crate) removed_targets: &'a [EffectId],
    pub(crate) plan: &'a Plan,
    /// The head that runs
    pub(crate) index: usize,
    /// What the gate says of it: only these values are looked at
    pub(crate) sifted: Option<Sifted<'a>>,
}

impl Sources<'_> {
    /// Whether the gate let the rule look at a value.
    fn is_candidate(&self, row: u32) -> bool {
        self.sifted.as_ref().is_none_or(|sifted| sifted.is_candidate(row))
    }

    /// Whether the gate let the rule look at any of a list's values, or names.
    fn is_possible_in(&self, list: List, is_names: bool) -> bool {
        self.sifted.as_ref().is_none_or(|sifted| sifted.is_possible_in(list, is_names))
    }

    /// Every value that the link looks at, in the order of its targets.
    pub(crate) fn gather(&mut self, link: &Link, out: &mut Vec<Value>) {
        for target in &link.targets {
            if target.is_count {
                let count = self.count(target, link);
                let value = push_number(&mut self.inputs.text, i64::try_from(count).unwrap_or(i64::MAX));
                out.push(Value { variable: target.variable, member: None, value, origin: Origin::Made });
            } else {
                self.members(target, link, out);
            }
        }
    }

    fn count(&mut self, target: &Target, link: &Link) -> usize {
        if let Source::Lists(lists, is_names) = target.source {
            let items = lists.iter().flat_map(|list| self.inputs.list(*list));
            let is_left = |removals: (u64, u64)| {
                !self.plan.is_removed(if is_names { removals.1 } else { removals.0 }, self.index)
            };
            return items
                .filter(|item| {
                    item.standing == Standing::Sent
                        && is_left(item.removals)
                        && self.is_meant(target, link, Some(item.name))
                })
                .count();
        }
        let mut members = Vec::new();
        self.members(target, link, &mut members);
        members.len()
    }

    fn members(&mut self, target: &Target, link: &Link, out: &mut Vec<Value>) {
        let variable = target.variable;
        match target.source {
            Source::Lists(lists, is_names) => {
                for list in lists.iter().filter(|list| self.is_possible_in(**list, is_names)) {
                    for (at, item) in (0..).zip(self.inputs.list(*list)) {
                        let value = if is_names { item.name } else { item.value };
                        let row = if is_names { item.rows.1 } else { item.rows.0 };
                        let removals = if is_names { item.removals.1 } else { item.removals.0 };
                        let is_there = is_names || item.standing != Standing::Name;
                        if !is_there || !self.is_candidate(row) || self.plan.is_removed(removals, self.index) {
                            continue;
                        }
                        let origin = Origin::Member(*list, at, is_names);
                        let found = Value { variable, member: Some(item.name), value, origin };
                        if self.is_meant(target, link, Some(item.name)) {
                            out.push(found);
                        }
                    }
                }
            }
            Source::Scalar(scalar) => {
                if let Some(value) = self.inputs.scalar(scalar)
                    && self.is_candidate(self.inputs.scalar_row(scalar))
                    && !self.plan.is_removed(self.inputs.scalar_removals(scalar), self.index)
                    && self.is_meant(target, link, None)
                {
                    out.push(Value { variable, member: None, value, origin: Origin::Scalar(scalar) });
                }
            }
            Source::Slot(slot) => {
                if let Some(value) = self.tx.slot(slot).span(&mut self.inputs.text) {
                    let member = self.inputs.text.push(self.plan.names.text(slot));
                    if self.is_meant(target, link, Some(member)) {
                        out.push(Value { variable, member: Some(member), value, origin: Origin::Made });
                    }
                }
            }
            Source::Tx => self.tx_members(target, link, out),
            Source::Matched(is_names) => {
                out.extend(self.matched.iter().map(|matched| {
                    let name = matched.keep_name(&mut self.inputs.text);
                    let value = if is_names { name } else { matched.value };
                    Value { variable, member: Some(name), value, origin: matched.origin }
                }));
            }
            Source::LastMatched(is_name) => {
                out.extend(self.matched.last().map(|matched| {
                    let value = if is_name { matched.keep_name(&mut self.inputs.text) } else { matched.value };
                    Value { variable, member: None, value, origin: matched.origin }
                }));
            }
            Source::Persistent(collection) => self.persistent_members(collection, target, link, out),
            Source::Nothing => {}
        }
    }

    fn tx_members(&mut self, target: &Target, link: &Link, out: &mut Vec<Value>) {
        for slot in &target.slots {
            let value = self.tx.slot(*slot);
            self.tx_member(target, link, self.plan.names.text(*slot), value, out);
        }
        for (name, value) in self.tx.made() {
            self.tx_member(target, link, name, value, out);
        }
    }

    fn tx_member(&mut self, target: &Target, link: &Link, name: &[u8], value: TxValue, out: &mut Vec<Value>) {
        let Some(value) = value.span(&mut self.inputs.text) else { return };
        let member = self.inputs.text.push(name);
        if self.is_meant(target, link, Some(member)) {
            out.push(Value { variable: target.variable, member: Some(member), value, origin: Origin::Made });
        }
    }

    fn persistent_members(&mut self, collection: Variable, target: &Target, link: &Link, out: &mut Vec<Value>) {
        let name = match &target.subject {
            Subject::Named(name) => Some(&**name),
            Subject::All | Subject::Matching(_) => None,
        };
        let mut found: Vec<(Span, Span)> = Vec::new();
        let text = &mut self.inputs.text;
        self.persistent.each(collection, name, &mut |name, value| {
            let member = text.push(name);
            found.push((member, text.write(|buffer| value.append_to(buffer), value.written_bytes_max())));
        });
        for (member, value) in found {
            if self.is_meant(target, link, Some(member)) {
                out.push(Value { variable: target.variable, member: Some(member), value, origin: Origin::Made });
            }
        }
    }

    /// Whether the target means this member, and nothing leaves it out.
    fn is_meant(&self, target: &Target, link: &Link, member: Option<Span>) -> bool {
        let name = member.map(|member| self.inputs.text.at(member)).unwrap_or_default();
        target.subject.is_named(name)
            && !link.excluded.iter().any(|excluded| covers(excluded, target, name))
            && !self
                .removed_targets
                .iter()
                .filter_map(|id| self.plan.removal(*id))
                .any(|(rules, removed)| rules.contains(self.index) && covers(removed, target, name))
    }
}

/// Whether an exclusion means this member of a target.
fn covers(excluded: &Target, target: &Target, name: &[u8]) -> bool {
    if excluded.variable != target.variable {
        return false;
    }
    match (excluded.source, target.source) {
        (Source::Slot(mine), Source::Slot(theirs)) => mine == theirs,
        (Source::Slot(_), _) => false,
        (mine @ Source::Lists(..), theirs @ Source::Lists(..)) if mine != theirs => false,
        _ => excluded.subject.is_named(name) || open::holders(name).any(|holder| excluded.subject.is_named(holder)),
    }
}
