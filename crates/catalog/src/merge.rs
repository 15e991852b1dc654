//! Merging literal siblings into a parameter, and taking that back.
//!
//! A merge moves the literals' sub-trees onto the parameter's and adds their counters up. What each literal had before is
//! kept with the parameter (bounded), so [`Host::undo`] can subtract it from the sums and put it back where it was. What
//! came in after the merge stays with the parameter if values were seen that are not known one by one; else it goes to the
//! value that was asked for most since. Nothing is lost or counted twice: the sum of all requests stays the same.

use std::sync::Arc;

use bartizan_model::{EndpointId, ValueKind};

use crate::form::{CERTAIN, kind_of};
use crate::host::Host;
use crate::limits::{MERGED_RECORDS_MAX, MERGED_VALUES_MAX};
use crate::templating::{Merge, find_merge};
use crate::trie::{Archived, NodeId, Slot, Value, Variable, Walk};
use crate::{CatalogLimits, UndoError, distinct};

/// LIMIT: merges that one event may cause; each leaves fewer literals, so this is a belt beside the braces.
const MERGES_MAX: usize = 64;

/// Levels above a new node whose children are looked at again.
const LEVELS: usize = 4;

impl Host {
    /// Merges what the newest node made mergeable, from the bottom up.
    pub(crate) fn settle(&mut self, path: &str, limits: &CatalogLimits) {
        for _ in 0..MERGES_MAX {
            let Some(mut walk) = Walk::cut(path) else { return };
            self.trie.walk(&mut walk);
            let above = walk.nodes().iter().rev().skip(1).take(LEVELS);
            let found = above.copied().find_map(|at| Some((at, find_merge(&self.trie, at)?)));
            let Some((at, merge)) = found else { return };
            let target = self.merge(at, &merge, limits);
            self.settle_below(target, limits);
        }
    }

    /// Merges what a merge made mergeable beneath it: there the evidence of all siblings has come together.
    fn settle_below(&mut self, top: NodeId, limits: &CatalogLimits) {
        for _ in 0..MERGES_MAX {
            let below = self.trie.subtree(top);
            let found = below.into_iter().find_map(|at| Some((at, find_merge(&self.trie, at)?)));
            let Some((at, merge)) = found else { return };
            self.merge(at, &merge, limits);
        }
    }

    fn merge(&mut self, at: NodeId, merge: &Merge, limits: &CatalogLimits) -> NodeId {
        let first = merge.children.first().and_then(|child| self.trie.node(*child).segment.as_deref());
        let target = self.trie.ensure_parameter(at, first.map_or(ValueKind::Word, kind_of));
        for child in &merge.children {
            self.merge_child(at, *child, target, limits);
        }
        if let Some(variable) = self.trie.node_mut(target).variable.as_deref_mut() {
            variable.bias = if variable.words == 0 { merge.bias } else { variable.bias.min(merge.bias) };
            variable.words += merge.children.len() as u64;
        }
        self.relabel(target);
        target
    }

    fn merge_child(&mut self, at: NodeId, child: NodeId, target: NodeId, limits: &CatalogLimits) {
        let Some(text) = self.trie.node(child).segment.clone() else { return };
        let position = usize::from(self.trie.node(at).depth);
        let archive = self.archive(child);
        let kind = kind_of(&text);
        for slot in self.slots_below(child) {
            if let Some(tally) = self.tally_mut(slot) {
                tally.count_path_kind(position, kind, tally.requests);
            }
        }
        self.trie.node_mut(at).literals.retain(|(_, known)| *known != child);
        self.graft(child, target, limits);
        let Some(variable) = self.trie.node_mut(target).variable.as_deref_mut() else { return };
        variable.distinct.insert(distinct::hash(limits.hash_key, &text));
        variable.keep(Value { text, requests: 0, archive });
    }

    /// What is beneath a literal, as far as it is kept.
    fn archive(&self, top: NodeId) -> Vec<Archived> {
        let depth = usize::from(self.trie.node(top).depth);
        let mut archive = Vec::new();
        for id in self.trie.subtree(top) {
            for (method, slot) in &self.trie.node(id).methods {
                let Some(entry) = self.entries.get(*slot as usize) else { continue };
                if archive.len() >= MERGED_RECORDS_MAX {
                    return archive;
                }
                let line = self.trie.lineage(id);
                let suffix = line.iter().skip(depth).map(|id| self.trie.node(*id).segment.clone()).collect();
                archive.push(Archived { suffix, method: Arc::clone(method), tally: entry.tally.clone() });
            }
        }
        archive
    }

    pub(crate) fn slots_below(&self, top: NodeId) -> Vec<Slot> {
        let nodes = self.trie.subtree(top);
        nodes.into_iter().flat_map(|id| self.trie.node(id).methods.iter().map(|(_, slot)| *slot)).collect()
    }

    /// Makes the references of everything from `top` downwards anew.
    fn relabel(&mut self, top: NodeId) {
        self.slots_below(top).into_iter().for_each(|slot| self.label(slot));
        self.changed = true;
    }

    /// Moves everything at and beneath `from` onto `to`, adding up where both have it. `from` must have no parent any more.
    fn graft(&mut self, from: NodeId, to: NodeId, limits: &CatalogLimits) {
        let mut stack = vec![(from, to)];
        while let Some((from, to)) = stack.pop() {
            let gone = self.trie.remove(from);
            for (method, slot) in gone.methods {
                self.move_entry(slot, &method, to, limits);
            }
            for (segment, child) in gone.literals {
                match self.trie.literal(to, &segment) {
                    Some(known) => stack.push((child, known)),
                    None => {
                        self.trie.link_literal(to, &segment, child);
                        self.trie.node_mut(child).parent = to;
                    }
                }
            }
            let node = self.trie.node_mut(to);
            node.requests += gone.requests;
            node.actors |= gone.actors;
            node.pinned |= gone.pinned;
            if let (Some(ours), Some(theirs)) = (node.variable.as_deref_mut(), gone.variable) {
                ours.absorb(*theirs);
            }
            match (node.parameter, gone.parameter) {
                (Some(known), Some(child)) => stack.push((child, known)),
                (None, Some(child)) => {
                    node.parameter = Some(child);
                    self.trie.node_mut(child).parent = to;
                }
                (_, None) => {}
            }
        }
    }

    fn move_entry(&mut self, slot: Slot, method: &Arc<str>, to: NodeId, limits: &CatalogLimits) {
        if let Some(known) = self.slot_at(to, method) {
            let gone = self.remove_entry(slot);
            if let Some(tally) = self.tally_mut(known) {
                tally.absorb(&gone.tally, limits);
            }
        } else {
            self.trie.node_mut(to).methods.push((Arc::clone(method), slot));
            if let Some(entry) = self.entries.get_mut(slot as usize) {
                entry.node = to;
            }
        }
    }

    /// Takes back that the segment at `position` of this endpoint is a parameter, and pins the decision. Returns the
    /// endpoints that came back.
    pub(crate) fn undo(
        &mut self,
        slot: Slot,
        position: usize,
        limits: &CatalogLimits,
    ) -> Result<Vec<EndpointId>, UndoError> {
        let node = self.entries.get(slot as usize).ok_or(UndoError::UnknownEndpoint)?.node;
        let target = *self.trie.lineage(node).get(position).ok_or(UndoError::NotAParameter)?;
        let at = self.trie.node(target).parent;
        let Some(variable) = self.trie.node_mut(target).variable.as_deref_mut() else {
            return Err(UndoError::NotAParameter);
        };
        if !variable.is_undoable() {
            return Err(UndoError::ValuesForgotten);
        }
        let values = std::mem::take(&mut variable.values);
        (variable.words, variable.bias) = (0, CERTAIN);
        let (overflow, heir) = (variable.overflow, heir(&values));
        self.trie.node_mut(at).pinned = true;
        let mut restored = Vec::new();
        for value in &values {
            for archived in &value.archive {
                restored.extend(self.restore(target, &value.text, archived, limits));
            }
        }
        self.drop_idle(target);
        if !overflow && self.trie.node(at).parameter == Some(target) {
            restored.extend(self.bequeath(at, target, &heir, limits));
        }
        self.relabel(at);
        let mut ids: Vec<_> = restored
            .iter()
            .filter_map(|slot| self.entries.get(*slot as usize)?.reference.as_ref().map(|reference| reference.id))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Puts one archived endpoint back under its literal and takes its counters out of the parameter's.
    fn restore(
        &mut self,
        target: NodeId,
        text: &Arc<str>,
        archived: &Archived,
        limits: &CatalogLimits,
    ) -> Option<Slot> {
        let at = self.trie.node(target).parent;
        let position = usize::from(self.trie.node(at).depth);
        let (leaf, kinds) = self.follow(target, &archived.suffix)?;
        let summed = self.slot_at(leaf, &archived.method)?;
        let tally = self.tally_mut(summed)?;
        if tally.requests < archived.tally.requests {
            return None; // another undo has taken it out already
        }
        tally.remove(&archived.tally);
        tally.discount_path_kind(position, kind_of(text), archived.tally.requests);
        let mut place = self.ensure_literal(at, text);
        self.trie.node_mut(place).requests += archived.tally.requests;
        for (segment, kind) in archived.suffix.iter().zip(kinds) {
            place = match segment {
                Some(segment) => self.ensure_literal(place, segment),
                None => self.trie.ensure_parameter(place, kind),
            };
        }
        let slot = match self.slot_at(place, &archived.method) {
            Some(slot) => slot,
            None => self.add_entry(place, Arc::clone(&archived.method)),
        };
        self.tally_mut(slot)?.absorb(&archived.tally, limits);
        Some(slot)
    }

    /// Where an archived suffix leads now, and the kinds of its variables.
    fn follow(&self, top: NodeId, suffix: &[Option<Arc<str>>]) -> Option<(NodeId, Vec<ValueKind>)> {
        let (mut at, mut kinds) = (top, Vec::new());
        for segment in suffix {
            let literal = segment.as_ref().and_then(|segment| self.trie.literal(at, segment));
            at = literal.or(self.trie.node(at).parameter)?;
            kinds.push(self.trie.node(at).variable.as_ref().map_or(ValueKind::Word, |variable| variable.kind));
        }
        Some((at, kinds))
    }

    fn ensure_literal(&mut self, at: NodeId, segment: &Arc<str>) -> NodeId {
        match self.trie.literal(at, segment) {
            Some(child) => child,
            None => self.trie.add_literal(at, segment, kind_of(segment)),
        }
    }

    /// Removes endpoints that nothing is left of.
    fn drop_idle(&mut self, top: NodeId) {
        for slot in self.slots_below(top) {
            let Some(entry) = self.entries.get(slot as usize) else { continue };
            if entry.tally.requests == 0 {
                let node = entry.node;
                self.trie.node_mut(node).methods.retain(|(_, known)| *known != slot);
                self.remove_entry(slot);
                self.trie.prune(node);
            }
        }
    }

    /// Gives what is left of a parameter to the literal `heir`.
    fn bequeath(&mut self, at: NodeId, target: NodeId, heir: &Arc<str>, limits: &CatalogLimits) -> Vec<Slot> {
        let position = usize::from(self.trie.node(at).depth);
        for slot in self.slots_below(target) {
            if let Some(tally) = self.tally_mut(slot) {
                tally.forget_path_kinds(position);
            }
        }
        let literal = self.ensure_literal(at, heir);
        self.trie.node_mut(at).parameter = None;
        self.graft(target, literal, limits);
        self.slots_below(literal)
    }
}

/// The value that was asked for most since it became one.
fn heir(values: &[Value]) -> Arc<str> {
    let before = |value: &Value| value.archive.iter().map(|archived| archived.tally.requests).sum::<u64>();
    let most = values.iter().max_by_key(|value| (value.requests, before(value)));
    most.map_or_else(|| "".into(), |value| Arc::clone(&value.text))
}

impl Variable {
    /// Whether some of its values can be told apart from the rest.
    pub(crate) fn is_undoable(&self) -> bool {
        !self.values.is_empty() && (!self.overflow || self.values.iter().any(|value| !value.archive.is_empty()))
    }

    /// Keeps a value, or remembers that there was one more.
    fn keep(&mut self, value: Value) {
        match self.find(&value.text) {
            Ok(at) => {
                if let Some(known) = self.values.get_mut(at) {
                    known.requests += value.requests;
                    known.archive.extend(value.archive);
                    known.archive.truncate(MERGED_RECORDS_MAX);
                }
            }
            Err(at) if self.values.len() < MERGED_VALUES_MAX => self.values.insert(at, value),
            Err(_) => self.overflow = true,
        }
    }

    /// Adds what is known of another variable.
    fn absorb(&mut self, other: Self) {
        self.distinct.absorb(&other.distinct);
        self.bias = match (self.words, other.words) {
            (0, 0) => self.bias,
            (0, _) => other.bias,
            (_, 0) => self.bias,
            _ => self.bias.min(other.bias),
        };
        self.words += other.words;
        self.overflow |= other.overflow;
        // the other's archives sat beneath another parent; their counters are part of this sum, so they stay restorable
        other.values.into_iter().for_each(|value| self.keep(value));
    }
}
