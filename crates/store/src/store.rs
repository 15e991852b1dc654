//! The store: one directory, one writer, many readers.
//!
//! `<dir>/lock` keeps a second writer out, `<dir>/events/` is the log, `<dir>/state.db` the state. Three threads of its
//! own: the writer, maintenance, and one tokio worker for queries, so that nothing here runs on a gateway's threads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bartizan_model::{EndpointId, Event, RequestId, Secret, Timestamp};
use sqlx::SqlitePool;

use crate::Error;
use crate::answer::{
    CredentialCount, EndpointSeries, EventPage, EventQuery, Facets, Histogram, Overview, PolicyCount, Quarantined,
    SqlLimits, StoreHealth, Table,
};
use crate::lock::Lock;
use crate::log::{Log, clock};
use crate::maintenance::{self, Retention};
use crate::query::{Queries, Source};
use crate::reader::Reader;
use crate::segment::SegmentDirectory;
use crate::state::database;
use crate::{aggregate, search};

/// How often maintenance looks for something to do.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);
/// LIMIT: threads that wait for the disk on behalf of queries.
const READING_THREADS_MAX: usize = 4;
/// Stack of the threads for queries. DataFusion recurses over a statement's tree, above all unoptimized; the depth is
/// limited before that (`statement.rs`), so this is a margin, and what is not touched costs no memory.
const QUERY_STACK_BYTES: usize = 64 << 20;
/// Memory of the queries of a read-only store.
const READ_ONLY_MEMORY_BYTES: usize = 1 << 30;

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
            flush_interval_ms: 400, // which leaves encoding and disk 600 ms: a kill loses at most one second
            query_memory_bytes: 256 << 20,
        }
    }
}

/// A data directory, open. Clones share it; the last one to go writes what is left and releases the directory.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones of a store share.
pub(crate) struct Inner {
    pub(crate) queries: Queries,
    pub(crate) pool: SqlitePool,
    key: Secret<[u8; 32]>,
    access: Access,
    pub(crate) is_state_writable: bool,
    runtime: Option<tokio::runtime::Runtime>,
}

/// What this process may do with the directory.
enum Access {
    Write(Writing),
    Read(Arc<Reader>),
}

/// What only the writer of a directory has.
struct Writing {
    log: Arc<Log>,
    retention: Retention,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
    _lock: Lock,
}

/// Tells the maintenance thread to end.
#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Store {
    /// Opens `directory` for writing, making it when it is missing. Blocks; may be called with or without a runtime.
    ///
    /// # Errors
    /// Another process has it open ([`Error::Locked`]), or the disk or the state database fails.
    pub fn open(directory: &Path, options: StoreOptions) -> Result<Self, Error> {
        let events = directory.join("events");
        create_private(directory)?;
        create_private(&events)?;
        let lock = Lock::take(directory)?;
        let segments = SegmentDirectory { root: canonical(&events)? };
        let runtime = runtime()?;
        let (pool, key) = wait_for(&runtime, database::open(directory.join("state.db")))?;
        let log = Arc::new(Log::open(segments.clone(), Duration::from_millis(options.flush_interval_ms))?);
        let source = Source::Log(Arc::clone(&log));
        let queries = Queries::new(source, &segments, options.query_memory_bytes, runtime.handle().clone())?;
        let retention = Retention { secs: options.retention_secs, bytes_max: options.retention_bytes_max };
        let stop = Arc::new(Stop::default());
        let threads = vec![spawn_writer(&log)?, spawn_maintenance(&log, retention, &stop)?];
        let access = Access::Write(Writing { log, retention, stop, threads, _lock: lock });
        let inner = Inner { queries, pool, key, access, is_state_writable: true, runtime: Some(runtime) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens `directory` for reading, also while a gateway writes to it. Blocks; with or without a runtime.
    ///
    /// # Errors
    /// There is nothing there ([`Error::NoData`]), or the disk or the state database fails.
    pub fn open_read_only(directory: &Path) -> Result<Self, Error> {
        let (events, state) = (directory.join("events"), directory.join("state.db"));
        if !events.is_dir() || !state.is_file() {
            return Err(Error::NoData(directory.to_owned()));
        }
        let runtime = runtime()?;
        let opened = wait_for(&runtime, database::open_read_only(state))?;
        Self::beside(&events, runtime, opened, false)
    }

    /// Opens `directory` for changing its state (users, keys …) and reading its events, also while a gateway runs on it:
    /// makes it when it is missing. Blocks; with or without a runtime.
    ///
    /// # Errors
    /// The disk or the state database fails, or a gateway of an older version has it open ([`Error::Locked`]).
    pub fn open_state(directory: &Path) -> Result<Self, Error> {
        let (events, state) = (directory.join("events"), directory.join("state.db"));
        create_private(directory)?;
        create_private(&events)?;
        let runtime = runtime()?;
        // A database that has to be made or brought up to date first belongs to one process for that time.
        let is_current = wait_for(&runtime, database::is_current(state.clone()))?;
        let lock = if is_current { None } else { Some(Lock::take(directory)?) };
        let opened = wait_for(&runtime, database::open(state))?;
        drop(lock);
        Self::beside(&events, runtime, opened, true)
    }

    /// A store that does not own its directory.
    fn beside(
        events: &Path,
        runtime: tokio::runtime::Runtime,
        (pool, key): (SqlitePool, Secret<[u8; 32]>),
        is_state_writable: bool,
    ) -> Result<Self, Error> {
        let segments = SegmentDirectory { root: canonical(events)? };
        let reader = Arc::new(Reader::new(segments.clone()));
        let source = Source::Directory(Arc::clone(&reader));
        let queries = Queries::new(source, &segments, READ_ONLY_MEMORY_BYTES, runtime.handle().clone())?;
        let access = Access::Read(reader);
        let inner = Inner { queries, pool, key, access, is_state_writable, runtime: Some(runtime) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes events for writing. Never fails and never waits for the disk: what cannot be kept is dropped and counted
    /// in [`Store::health`]. On disk within the flush interval; visible to queries at once. A read-only store takes
    /// nothing.
    pub fn append(&self, events: &[Event]) {
        match &self.inner.access {
            Access::Write(writing) => writing.log.append(events),
            Access::Read(_) => debug_assert!(events.is_empty(), "events appended to a read-only store"),
        }
    }

    /// Waits until everything appended before is on disk.
    ///
    /// # Errors
    /// It could not be written, and was dropped.
    pub fn flush(&self) -> Result<(), Error> {
        match &self.inner.access {
            Access::Write(writing) => writing.log.flush(),
            Access::Read(_) => Ok(()),
        }
    }

    /// Compacts and deletes what is due as of `now`. Happens by itself every few seconds; blocks.
    pub fn maintain(&self, now: Timestamp) {
        if let Access::Write(writing) = &self.inner.access {
            maintenance::run(&writing.log, writing.retention, now);
        }
    }

    /// Whether the store takes no events: it was opened with [`Store::open_read_only`] or [`Store::open_state`].
    pub fn is_read_only(&self) -> bool {
        matches!(self.inner.access, Access::Read(_))
    }

    /// How the event log is doing. Cheap for the writer; a read-only store looks at the directory.
    pub fn health(&self) -> StoreHealth {
        match &self.inner.access {
            Access::Write(writing) => writing.log.health(),
            Access::Read(reader) => reader.health(),
        }
    }

    /// Segments that the questions asked of a read-only store so far had to leave out, because they cannot be read. The
    /// writer of a directory puts them aside instead: see [`Store::health`].
    pub fn left_out(&self) -> Vec<Quarantined> {
        match &self.inner.access {
            Access::Write(_) => Vec::new(),
            Access::Read(reader) => reader.left_out(),
        }
    }

    /// Runs a future of this store on the calling thread, for callers without a tokio runtime.
    ///
    /// # Panics
    /// When called on a thread of a tokio runtime: await the future there.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }

    /// 32 random bytes of this installation, made at the first open: the key of keyed hashes.
    pub fn installation_key(&self) -> Secret<[u8; 32]> {
        self.inner.key.clone()
    }

    /// Runs one read-only SQL statement over the table `events`.
    ///
    /// # Errors
    /// The statement is bad or refused, takes too long or too much memory, or the disk fails.
    pub async fn sql(&self, text: &str, limits: SqlLimits) -> Result<Table, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(queries.clone().sql(text.to_owned(), limits)).await
    }

    /// Events that fit, newest first.
    ///
    /// # Errors
    /// `q` or the cursor is bad, or the disk fails.
    pub async fn search(&self, query: EventQuery) -> Result<EventPage, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(search::search(queries.clone(), query)).await
    }

    /// Counts over time of the events that fit `q`.
    ///
    /// # Errors
    /// `q` or the range is bad, or the disk fails.
    pub async fn histogram(&self, from: Timestamp, to: Timestamp, q: &str) -> Result<Histogram, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(aggregate::histogram(queries.clone(), from, to, q.to_owned())).await
    }

    /// Most frequent values of each of `fields` among the events that fit `q`, at most 20 each.
    ///
    /// # Errors
    /// `q`, the range or a field is bad, or the disk fails.
    pub async fn facets(&self, from: Timestamp, to: Timestamp, q: &str, fields: &[&str]) -> Result<Facets, Error> {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        let queries = &self.inner.queries;
        queries.on_runtime(aggregate::facets(queries.clone(), from, to, q.to_owned(), fields)).await
    }

    /// One event, as it was appended.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn event(&self, id: RequestId) -> Result<Option<Event>, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(search::event(queries.clone(), id)).await
    }

    /// Aggregates of a window and of the one before it.
    ///
    /// # Errors
    /// The range is bad, or the disk fails.
    pub async fn overview(&self, from: Timestamp, to: Timestamp) -> Result<Overview, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(aggregate::overview(queries.clone(), from, to)).await
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
        let queries = &self.inner.queries;
        queries.on_runtime(aggregate::endpoint_series(queries.clone(), id, from, to)).await
    }

    /// What each policy did since a time.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn policy_counts(&self, since: Timestamp) -> Result<Vec<PolicyCount>, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(aggregate::policy_counts(queries.clone(), since)).await
    }

    /// What each credential that has an id (an API key) was used for since a time.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn credential_counts(&self, since: Timestamp) -> Result<Vec<CredentialCount>, Error> {
        let queries = &self.inner.queries;
        queries.on_runtime(aggregate::credential_counts(queries.clone(), since)).await
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        // INVARIANT: only `drop` takes it
        self.inner.runtime.as_ref().unwrap_or_else(|| unreachable!("the runtime lives as long as the store"))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Access::Write(writing) = &mut self.access {
            writing.log.close();
            writing.stop.stop();
            for thread in writing.threads.drain(..) {
                if thread.join().is_err() {
                    tracing::error!("a thread of the store panicked");
                }
            }
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // waiting is not allowed here: this may be a runtime's thread
        }
    }
}

impl Stop {
    fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits for the next round; `false` when there is none.
    fn wait(&self) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, MAINTENANCE_INTERVAL, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn spawn_writer(log: &Arc<Log>) -> Result<JoinHandle<()>, Error> {
    let log = Arc::clone(log);
    spawn("store-writer", move || log.write_until_closed())
}

fn spawn_maintenance(log: &Arc<Log>, retention: Retention, stop: &Arc<Stop>) -> Result<JoinHandle<()>, Error> {
    let (log, stop) = (Arc::clone(log), Arc::clone(stop));
    spawn("store-maintenance", move || {
        maintenance::expire_quarantined(&log.directory, retention, clock());
        while stop.wait() {
            maintenance::run(&log, retention, clock());
        }
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| Error::Internal(format!("cannot start thread `{name}`: {error}")))
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(READING_THREADS_MAX)
        .thread_name("store-query")
        .thread_stack_size(QUERY_STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Error::Internal(format!("cannot start the query runtime: {error}")))
}

/// Runs `future` on `runtime` and waits, also when the calling thread belongs to another runtime.
fn wait_for<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    runtime.spawn(async move {
        let _ = sender.send(future.await); // the receiver waits below
    });
    receiver.recv().map_err(|_| Error::Internal("the query runtime ended".to_owned()))?
}

/// Makes a directory that only its owner can enter.
fn create_private(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("cannot create", directory, error)),
        _ => Ok(()),
    }
}

fn canonical(directory: &Path) -> Result<PathBuf, Error> {
    fs::canonicalize(directory).map_err(|error| Error::io("cannot open", directory, error))
}
