//! The endpoints of one host: trie, counters and candidates.
//!
//! An event walks the trie. Where it ends at a known endpoint it is counted, whatever became of it. A new path becomes an
//! endpoint only when the upstream stood by it ([`Standing`]): 404s, 400s, 405s, refusals and failures prove nothing, and
//! a 401 or a 429 may come from a gate in front of paths that do not exist, so such a path waits among the candidates
//! until several actors asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bartizan_model::{Ending, EndpointRef, Event, PathTemplate, Source, Timestamp, ValueKind};
use serde::{Deserialize, Serialize};

use crate::CatalogLimits;
use crate::distinct;
use crate::form::{Form, kind_of};
use crate::limits::{MERGED_VALUES_MAX, METHODS_MAX};
use crate::naming::{self, Part};
use crate::tally::Tally;
use crate::trie::{NodeId, ROOT, Slot, Trie, Value, Walk};

/// How far an event proves that its path exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The upstream answered below 400
    Proof,
    /// It answered, but perhaps before it looked at the path: 401, 403, 429, 500 and the like
    Hint,
    /// Not found, malformed, stopped by us, or never answered
    Nothing,
}

/// One endpoint and its counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) node: NodeId,
    pub(crate) method: Arc<str>,
    pub(crate) tally: Tally,
    /// Made from the node's place; `None` in a free slot
    #[serde(skip)]
    pub(crate) reference: Option<EndpointRef>,
}

/// A path that nothing is proven of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) method: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) tally: Tally,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It belongs to this endpoint
    At(EndpointRef),
    /// It belongs to none
    Nowhere,
    /// It would, but a limit is reached
    OverLimit,
}

/// One event on its way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) event: &'a Event,
    pub(crate) actor: u64,
    pub(crate) standing: Standing,
    pub(crate) limits: &'a CatalogLimits,
}

/// The endpoints of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: Box<str>,
    pub(crate) trie: Trie,
    pub(crate) entries: Vec<Entry>,
    pub(crate) free: BTreeSet<Slot>,
    pub(crate) candidates: BTreeMap<Box<str>, Candidate>,
    pub(crate) last_seen: Timestamp,
    pub(crate) requests: u64,
    /// Whether the set of templates changed since it was last asked
    pub(crate) changed: bool,
    key: String,
}

impl Standing {
    /// Judges an event.
    pub(crate) fn of(event: &Event) -> Self {
        match event.ending {
            Ending::Answered | Ending::ClientClosed => {}
            Ending::Malformed
            | Ending::Stopped
            | Ending::NoRoute
            | Ending::UpstreamUnreachable
            | Ending::UpstreamTimeout
            | Ending::UpstreamFailed
            | Ending::InternalFault => return Self::Nothing,
        }
        match event.status {
            100..=399 => Self::Proof,
            // a recording without responses was chosen by a person; its bounds are those of any other source
            0 if event.missing.response && matches!(event.source, Source::Exchanges | Source::Har) => Self::Proof,
            400 | 404 | 405 | 410 | 414 | 431 | 501 => Self::Nothing,
            401..=599 => Self::Hint,
            _ => Self::Nothing,
        }
    }
}

impl Host {
    pub(crate) fn new(name: &str, limits: &CatalogLimits) -> Self {
        Self {
            name: name.into(),
            trie: Trie::new(limits.literals_max),
            entries: Vec::new(),
            free: BTreeSet::new(),
            candidates: BTreeMap::new(),
            last_seen: Timestamp::default(),
            requests: 0,
            changed: false,
            key: String::new(),
        }
    }

    /// Folds one event in.
    pub(crate) fn observe(&mut self, arrival: Arrival<'_>) -> Placed {
        let event = arrival.event;
        self.requests += 1;
        self.last_seen = self.last_seen.max(event.time);
        let Some(mut walk) = Walk::cut(&event.path) else { return Placed::Nowhere };
        self.trie.walk(&mut walk);
        if let Some(slot) = self.slot(&walk, &event.method) {
            self.count(slot, &walk, arrival);
            return self.reference(slot);
        }
        match arrival.standing {
            Standing::Proof => self.discover(walk, arrival, None),
            Standing::Hint => self.suspect(walk, arrival),
            Standing::Nothing => Placed::Nowhere,
        }
    }

    /// The endpoint a request would be counted for.
    pub(crate) fn resolve(&self, method: &str, path: &str) -> Option<EndpointRef> {
        let mut walk = Walk::cut(path)?;
        self.trie.walk(&mut walk);
        self.entries.get(self.slot(&walk, method)? as usize)?.reference.clone()
    }

    /// Entries in use, by slot.
    pub(crate) fn live(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        (0..).zip(&self.entries).filter(|(_, entry)| entry.reference.is_some())
    }

    fn slot(&self, walk: &Walk<'_>, method: &str) -> Option<Slot> {
        if !walk.is_complete() {
            return None;
        }
        self.slot_at(walk.last(), method)
    }

    pub(crate) fn slot_at(&self, node: NodeId, method: &str) -> Option<Slot> {
        self.trie.node(node).methods.iter().find(|(known, _)| &**known == method).map(|(_, slot)| *slot)
    }

    fn reference(&self, slot: Slot) -> Placed {
        let reference = self.entries.get(slot as usize).and_then(|entry| entry.reference.clone());
        reference.map_or(Placed::Nowhere, Placed::At)
    }

    pub(crate) fn tally_mut(&mut self, slot: Slot) -> Option<&mut Tally> {
        self.entries.get_mut(slot as usize).map(|entry| &mut entry.tally)
    }

    fn count(&mut self, slot: Slot, walk: &Walk<'_>, arrival: Arrival<'_>) {
        let learn = arrival.standing == Standing::Proof;
        if learn {
            self.note_nodes(walk, arrival);
        }
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        entry.tally.observe(arrival.event, arrival.actor, learn, arrival.limits);
        if learn {
            let nodes = walk.nodes().iter().skip(1).zip(walk.segments()).enumerate();
            for (position, (node, (_, kind))) in nodes {
                if self.trie.node(*node).variable.is_some() {
                    entry.tally.count_path_kind(position, kind, 1);
                }
            }
        }
    }

    /// Adds to the evidence of the nodes on the way.
    fn note_nodes(&mut self, walk: &Walk<'_>, arrival: Arrival<'_>) {
        let group = 1 << (arrival.actor % 64);
        for (id, (segment, _)) in walk.nodes().iter().skip(1).zip(walk.segments()) {
            let node = self.trie.node_mut(*id);
            node.requests += 1;
            node.actors |= group;
            let Some(variable) = node.variable.as_deref_mut() else { continue };
            variable.distinct.insert(distinct::hash(arrival.limits.hash_key, segment));
            if variable.overflow && variable.words == 0 {
                continue; // none of its values can be split off
            }
            match variable.find(segment) {
                Ok(at) => {
                    if let Some(value) = variable.values.get_mut(at) {
                        value.requests += 1;
                    }
                }
                Err(at) if variable.values.len() < MERGED_VALUES_MAX => {
                    variable.values.insert(at, Value { text: segment.into(), requests: 1, archive: Vec::new() });
                }
                Err(_) => variable.overflow = true,
            }
        }
    }

    /// Makes a new endpoint of a path that is proven; `counted` is what was counted of it before, this event included.
    fn discover(&mut self, mut walk: Walk<'_>, arrival: Arrival<'_>, counted: Option<Tally>) -> Placed {
        let limits = arrival.limits;
        let (live, missing) = (self.entries.len() - self.free.len(), walk.missing());
        if live >= limits.endpoints_max
            || self.trie.len() + missing > limits.nodes_max
            || (walk.is_complete() && self.trie.node(walk.last()).methods.len() >= METHODS_MAX)
        {
            return Placed::OverLimit;
        }
        self.grow(&mut walk);
        let slot = self.add_entry(walk.last(), arrival.event.method.as_ref().into());
        if let Some(before) = counted {
            self.note_nodes(&walk, arrival);
            if let Some(tally) = self.tally_mut(slot) {
                tally.absorb(&before, limits);
            }
        } else {
            self.write_key(&walk, &arrival.event.method);
            let waiting = self.candidates.remove(self.key.as_str());
            self.count(slot, &walk, arrival);
            if let (Some(candidate), Some(tally)) = (waiting, self.tally_mut(slot)) {
                tally.absorb(&candidate.tally, limits);
            }
        }
        self.changed = true;
        self.settle(&arrival.event.path, limits);
        let mut walk = walk;
        walk.restart();
        self.trie.walk(&mut walk);
        self.slot(&walk, &arrival.event.method).map_or(Placed::Nowhere, |slot| self.reference(slot))
    }

    /// Adds the nodes that the walk lacks.
    fn grow(&mut self, walk: &mut Walk<'_>) {
        while let Some(segment) = walk.next_segment() {
            let (at, kind) = (walk.last(), kind_of(segment));
            if self.trie.is_value(at, segment, kind) {
                walk.push(self.trie.ensure_parameter(at, kind), Some(kind));
            } else {
                walk.push(self.trie.add_literal(at, &segment.into(), kind), None);
            }
        }
    }

    /// A new entry at a node, with its reference.
    pub(crate) fn add_entry(&mut self, node: NodeId, method: Arc<str>) -> Slot {
        let entry = Entry { node, method: Arc::clone(&method), ..Entry::default() };
        let slot = match self.free.pop_first() {
            Some(slot) => slot,
            None => {
                self.entries.push(Entry::default());
                Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX) // LIMIT: endpoints_max keeps far below
            }
        };
        if let Some(place) = self.entries.get_mut(slot as usize) {
            *place = entry;
        }
        self.trie.node_mut(node).methods.push((method, slot));
        self.label(slot);
        slot
    }

    /// Empties a slot; the node must have let go of it.
    pub(crate) fn remove_entry(&mut self, slot: Slot) -> Entry {
        self.free.insert(slot);
        self.entries.get_mut(slot as usize).map(std::mem::take).unwrap_or_default()
    }

    /// Makes the slot's reference from its place.
    pub(crate) fn label(&mut self, slot: Slot) {
        let Some(entry) = self.entries.get(slot as usize) else { return };
        let Some(template) = self.template(entry.node) else { return };
        let id = bartizan_model::EndpointId::of(&entry.method, &self.name, &template);
        let reference = Some(EndpointRef { id, template: template.to_string().into() });
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            entry.reference = reference;
        }
    }

    /// The template of a node's place.
    pub(crate) fn template(&self, node: NodeId) -> Option<PathTemplate> {
        let line = self.trie.lineage(node);
        let parts: Vec<_> = line
            .iter()
            .map(|id| match (&self.trie.node(*id).segment, &self.trie.node(*id).variable) {
                (Some(segment), _) => Part::Literal(segment),
                (None, variable) => Part::Variable(variable.as_ref().map_or(ValueKind::Word, |variable| variable.kind)),
            })
            .collect();
        naming::template(&parts)
    }

    /// Counts an event for a candidate, and makes it an endpoint when enough actors have asked for it.
    fn suspect(&mut self, walk: Walk<'_>, arrival: Arrival<'_>) -> Placed {
        let event = arrival.event;
        self.write_key(&walk, &event.method);
        if !self.candidates.contains_key(self.key.as_str()) {
            self.make_room(arrival.limits.candidates_max);
            let (method, path) = (event.method.clone(), event.path.clone());
            let candidate = Candidate { method, path, tally: Tally::default() };
            self.candidates.insert(self.key.as_str().into(), candidate);
        }
        let Some(candidate) = self.candidates.get_mut(self.key.as_str()) else { return Placed::Nowhere };
        candidate.tally.observe(event, arrival.actor, false, arrival.limits);
        if candidate.tally.callers_distinct.count() < arrival.limits.promoting_actors as u64 {
            return Placed::Nowhere;
        }
        match self.candidates.remove(self.key.as_str()) {
            Some(candidate) => self.discover(walk, arrival, Some(candidate.tally)),
            None => Placed::Nowhere,
        }
    }

    /// Drops the stalest quarter of the candidates when they are full: at once, so that a flood pays for it rarely.
    fn make_room(&mut self, candidates_max: usize) {
        if self.candidates.len() < candidates_max.max(1) {
            return;
        }
        let mut times: Vec<_> = self.candidates.values().map(|candidate| candidate.tally.last_seen).collect();
        times.sort_unstable();
        let Some(limit) = times.get(times.len() / 4).copied() else { return };
        let mut surplus = times.len() / 4 + 1;
        self.candidates.retain(|_, candidate| {
            let goes = candidate.tally.last_seen <= limit && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// The candidate's key: method and path, with what is certainly a value replaced.
    fn write_key(&mut self, walk: &Walk<'_>, method: &str) {
        self.key.clear();
        self.key.push_str(method);
        self.key.push(' ');
        for (position, (segment, _)) in walk.segments().enumerate() {
            let is_value = Form::of(segment, kind_of(segment), position) == Form::Value;
            self.key.push('/');
            self.key.push_str(if is_value { "{}" } else { segment });
        }
    }

    /// Whether no endpoint is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.trie.node(ROOT).literals.is_empty() && self.trie.node(ROOT).parameter.is_none()
    }
}
