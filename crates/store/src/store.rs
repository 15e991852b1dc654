//! The store: one directory, one writer, many readers.

use std::path::Path;

use bartizan_model::{EndpointId, Event, RequestId, Secret, Timestamp};

use crate::Error;
use crate::answer::{
    EndpointSeries, EventPage, EventQuery, Facets, Histogram, Overview, PolicyCount, SqlLimits, StoreHealth, Table,
};

/// How a store keeps events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Segments written longer ago than this are deleted, in seconds
    pub retention_secs: u64,
    /// Oldest segments are deleted beyond this many bytes
    pub retention_bytes_max: u64,
    /// Longest time that an event stays in memory only, in milliseconds
    pub flush_interval_ms: u64,
    /// Memory that all queries together may use, in bytes
    pub query_memory_bytes: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention_secs: 30 * 24 * 3600,
            retention_bytes_max: 10 << 30,
            flush_interval_ms: 750,
            query_memory_bytes: 256 << 20,
        }
    }
}

/// A data directory, open. Clones share it; the last one to go writes what is left and releases the directory.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens `directory` for writing, making it when it is missing. Blocks; may be called with or without a runtime.
    ///
    /// # Errors
    /// Another process has it open ([`Error::Locked`]), or the disk or the state database fails.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Self, Error> {
        later((directory, options))
    }

    /// Opens `directory` for reading, also while a gateway writes to it. Blocks; with or without a runtime.
    ///
    /// # Errors
    /// There is nothing there ([`Error::NoData`]), or the disk or the state database fails.
    pub fn open_read_only(directory: &Path) -> Result<Self, Error> {
        later(directory)
    }

    /// Takes events for writing. Never fails and never waits for the disk: what cannot be kept is dropped and counted
    /// in [`Store::health`]. On disk within the flush interval; visible to queries at once.
    pub fn append(&self, events: &[Event]) {
        let _ = events;
    }

    /// Waits until everything appended before is on disk.
    ///
    /// # Errors
    /// It could not be written, and was dropped.
    pub fn flush(&self) -> Result<(), Error> {
        later(())
    }

    /// How the event log is doing. Cheap.
    pub fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }

    /// Runs a future of this store on the calling thread, for callers without a tokio runtime.
    ///
    /// # Panics
    /// When called on a thread of a tokio runtime: await the future there.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _ = future;
        unreachable!("not built yet")
    }

    /// 32 random bytes of this installation, made at the first open: the key of keyed hashes.
    pub fn installation_key(&self) -> Secret<[u8; 32]> {
        Secret::new([0; 32])
    }

    /// Runs one read-only SQL statement over the table `events`.
    ///
    /// # Errors
    /// The statement is bad or refused, takes too long or too much memory, or the disk fails.
    pub async fn sql(&self, text: &str, limits: SqlLimits) -> Result<Table, Error> {
        later((text, limits))
    }

    /// Events that fit, newest first.
    ///
    /// # Errors
    /// `q` or the cursor is bad, or the disk fails.
    pub async fn search(&self, query: EventQuery) -> Result<EventPage, Error> {
        later(query)
    }

    /// Counts over time of the events that fit `q`.
    ///
    /// # Errors
    /// `q` or the range is bad, or the disk fails.
    pub async fn histogram(&self, from: Timestamp, to: Timestamp, q: &str) -> Result<Histogram, Error> {
        later((from, to, q))
    }

    /// Most frequent values of each of `fields` among the events that fit `q`, at most 20 each.
    ///
    /// # Errors
    /// `q`, the range or a field is bad, or the disk fails.
    pub async fn facets(&self, from: Timestamp, to: Timestamp, q: &str, fields: &[&str]) -> Result<Facets, Error> {
        later((from, to, q, fields))
    }

    /// One event, as it was appended.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn event(&self, id: RequestId) -> Result<Option<Event>, Error> {
        later(id)
    }

    /// Aggregates of a window and of the one before it.
    ///
    /// # Errors
    /// The range is bad, or the disk fails.
    pub async fn overview(&self, from: Timestamp, to: Timestamp) -> Result<Overview, Error> {
        later((from, to))
    }

    /// One endpoint over time.
    ///
    /// # Errors
    /// The range is bad, or the disk fails.
    pub async fn endpoint_series(
        &self,
        id: EndpointId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<EndpointSeries, Error> {
        later((id, from, to))
    }

    /// What each policy did since a time.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn policy_counts(&self, since: Timestamp) -> Result<Vec<PolicyCount>, Error> {
        later(since)
    }
}

fn later<T, A>(_arguments: A) -> Result<T, Error> {
    Err(Error::Internal("not built yet".to_owned()))
}
