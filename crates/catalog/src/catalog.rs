//! The catalog of one installation: hosts, and the doors to everything else.

use std::collections::BTreeMap;

use bartizan_model::{Endpoint, EndpointId, EndpointRef, Event};

use crate::distinct;
use crate::host::{Arrival, Host, Placed, Standing};
use crate::{CatalogLimits, EndpointRecord};

/// A host with no more events than this makes way when hosts are full and a new one is proven.
const IDLE_REQUESTS: u64 = 16;

/// All endpoints of all hosts.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) limits: CatalogLimits,
    pub(crate) hosts: BTreeMap<Box<str>, Host>,
    pub(crate) revision: u64,
    pub(crate) losses: Losses,
}

/// What was not cataloged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) unplaced: u64,
    pub(crate) over_limit: u64,
    pub(crate) bad_rows: u64,
}

/// One row of the saved catalog; the store keeps it as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRow {
    /// Unique key
    pub key: String,
    /// JSON text
    pub json: String,
}

/// Sizes and losses of a catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatalogStats {
    /// Hosts known
    pub hosts: usize,
    /// Discovered endpoints
    pub endpoints: usize,
    /// Candidates
    pub candidates: usize,
    /// Trie nodes
    pub nodes: usize,
    /// Events of no endpoint since the start: never proven, or over a limit
    pub unplaced: u64,
    /// Those of them that a limit kept out
    pub over_limit: u64,
    /// Rows that could not be read at load
    pub bad_rows: u64,
}

/// Why a merge was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoError {
    /// No endpoint has this id
    UnknownEndpoint,
    /// The segment at this position is not a parameter
    NotAParameter,
    /// Its values are no longer known one by one
    ValuesForgotten,
}

impl std::fmt::Display for UndoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnknownEndpoint => "no endpoint has this id; it may have been merged into another one meanwhile",
            Self::NotAParameter => "this segment of the path is not a parameter",
            Self::ValuesForgotten => "this parameter had too many values to tell them apart again",
        })
    }
}

impl std::error::Error for UndoError {}

impl Catalog {
    /// An empty catalog.
    pub fn new(limits: CatalogLimits) -> Self {
        Self { limits, hosts: BTreeMap::new(), revision: 0, losses: Losses::default() }
    }

    /// Folds one event in and names the endpoint it belongs to; `None` when it proves none.
    pub fn observe(&mut self, event: &Event) -> Option<EndpointRef> {
        let standing = Standing::of(event);
        let actor = distinct::hash(self.limits.hash_key, &event.actor.id);
        if standing != Standing::Nothing && !self.hosts.contains_key(&event.host) {
            self.add_host(&event.host);
        }
        let placed = match self.hosts.get_mut(&event.host) {
            Some(host) => host.observe(Arrival { event, actor, standing, limits: &self.limits }),
            None if standing == Standing::Nothing => Placed::Nowhere,
            None => Placed::OverLimit,
        };
        self.note_change(&event.host);
        match placed {
            Placed::At(reference) => return Some(reference),
            Placed::Nowhere => {}
            Placed::OverLimit => self.losses.over_limit += 1,
        }
        self.losses.unplaced += 1;
        None
    }

    /// Rises whenever [`learned`](Self::learned) changes.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Discovered endpoints, for the next Snapshot, by host, template and method.
    pub fn learned(&self) -> Vec<Endpoint> {
        let mut learned: Vec<_> = self.hosts.values().flat_map(Host::endpoints).collect();
        learned.sort_unstable_by(|a, b| (&a.host, &a.template, &a.method).cmp(&(&b.host, &b.template, &b.method)));
        learned
    }

    /// Everything known of every endpoint and candidate, by host, template and method.
    pub fn endpoints(&self) -> Vec<EndpointRecord> {
        let mut records: Vec<_> = self.hosts.values().flat_map(Host::records).collect();
        records.sort_by(|a, b| (&a.host, &a.template, &a.method).cmp(&(&b.host, &b.template, &b.method)));
        records
    }

    /// The endpoint that a request would belong to; `host` in lower case, `path` without query.
    pub fn resolve(&self, method: &str, host: &str, path: &str) -> Option<EndpointRef> {
        self.hosts.get(host)?.resolve(method, path)
    }

    /// Takes back that the segment at `position` (from 0) of this endpoint's template is a parameter, and pins the
    /// decision: siblings there are never merged again. Returns the endpoints that came back.
    ///
    /// # Errors
    /// The endpoint is not known, the segment is not a parameter, or its values are no longer known one by one.
    pub fn undo_merge(&mut self, id: EndpointId, position: usize) -> Result<Vec<EndpointId>, UndoError> {
        for host in self.hosts.values_mut() {
            let found = host.live().find(|(_, entry)| entry.reference.as_ref().is_some_and(|known| known.id == id));
            if let Some((slot, _)) = found {
                let restored = host.undo(slot, position, &self.limits)?;
                self.revision += u64::from(std::mem::take(&mut host.changed));
                return Ok(restored);
            }
        }
        Err(UndoError::UnknownEndpoint)
    }

    /// Sizes and losses.
    pub fn stats(&self) -> CatalogStats {
        let sum = |size: fn(&Host) -> usize| self.hosts.values().map(size).sum();
        CatalogStats {
            hosts: self.hosts.len(),
            endpoints: sum(|host| host.live().count()),
            candidates: sum(|host| host.candidates.len()),
            nodes: sum(|host| host.trie.len()),
            unplaced: self.losses.unplaced,
            over_limit: self.losses.over_limit,
            bad_rows: self.losses.bad_rows,
        }
    }

    fn note_change(&mut self, host: &str) {
        if let Some(host) = self.hosts.get_mut(host) {
            self.revision += u64::from(std::mem::take(&mut host.changed));
        }
    }

    /// Adds a host if there is room, or if one that hardly anybody asked for can make way.
    fn add_host(&mut self, name: &str) {
        if self.hosts.len() >= self.limits.hosts_max {
            let idle = self.hosts.values().filter(|host| host.requests <= IDLE_REQUESTS);
            let Some(stalest) = idle.min_by_key(|host| (!host.is_empty(), host.last_seen)) else { return };
            let stalest = stalest.name.clone();
            if let Some(gone) = self.hosts.remove(&stalest) {
                self.revision += u64::from(!gone.is_empty());
            }
        }
        self.hosts.insert(name.into(), Host::new(name, &self.limits));
    }
}
