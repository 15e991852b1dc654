//! The catalog of one installation.

use bartizan_model::{Endpoint, EndpointId, EndpointRef, Event};

use crate::{CatalogLimits, EndpointRecord};

/// All endpoints of all hosts.
#[derive(Debug)]
pub struct Catalog {
    limits: CatalogLimits,
    revision: u64,
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
    /// Events of no endpoint: never answered, or over a limit
    pub unplaced: u64,
    /// Events of the former that a limit kept out
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

impl Catalog {
    /// An empty catalog.
    pub fn new(limits: CatalogLimits) -> Self {
        Self { limits, revision: 0 }
    }

    /// Folds one event in and names the endpoint it belongs to; `None` when it proves none.
    pub fn observe(&mut self, event: &Event) -> Option<EndpointRef> {
        let _ = (event, &self.limits);
        None
    }

    /// Rises whenever [`learned`](Self::learned) changes.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Discovered endpoints, for the next Snapshot, in order.
    pub fn learned(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Everything known of every endpoint and candidate, by host, template and method.
    pub fn endpoints(&self) -> Vec<EndpointRecord> {
        Vec::new()
    }

    /// The endpoint that a request would belong to.
    pub fn resolve(&self, method: &str, host: &str, path: &str) -> Option<EndpointRef> {
        let _ = (method, host, path);
        None
    }

    /// Takes back that the segment at `position` (from 0) of this endpoint's template is a parameter, and remembers the
    /// decision. Returns the endpoints that stand there now.
    ///
    /// # Errors
    /// The endpoint or the parameter is not known, or the values are not.
    pub fn undo_merge(&mut self, id: EndpointId, position: usize) -> Result<Vec<EndpointId>, UndoError> {
        let _ = (id, position);
        Err(UndoError::UnknownEndpoint)
    }

    /// Sizes and losses.
    pub fn stats(&self) -> CatalogStats {
        CatalogStats::default()
    }

    /// Everything, as rows with unique keys in order.
    pub fn save(&self) -> Vec<CatalogRow> {
        Vec::new()
    }

    /// A catalog as it was saved. Rows that cannot be read are counted in [`CatalogStats::bad_rows`] and left out.
    pub fn load(limits: CatalogLimits, rows: impl IntoIterator<Item = CatalogRow>) -> Self {
        let _ = rows.into_iter().count();
        Self::new(limits)
    }
}
