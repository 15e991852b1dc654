//! Questions to the events: one DataFusion runtime of the store's own, so that a heavy query never takes a gateway's
//! threads, with bounded memory and time, that can reach nothing but segments.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::catalog::{CatalogProviderList, SchemaProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::{DataFrame, SessionConfig};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;
use futures::StreamExt;

use crate::Error;
use crate::answer::{Column, SqlLimits, Table};
use crate::functions::{GrowingOperators, restrict};
use crate::json::{kind_name, row_values};
use crate::log::{Log, View};
use crate::reader::Reader;
use crate::segment::{SegmentDirectory, check_pages};
use crate::statement::{read_only_statement, unreadable};
use crate::table::{EventsTable, SEGMENTS_URL};

/// LIMIT: attempts at a query whose segments another process deletes, or that turn out unreadable. Each costs a
/// compaction or an unreadable segment to fail, so a writer that compacts every few seconds is beaten by the second.
const ATTEMPTS_MAX: usize = 100;
/// LIMIT: rows of one result, whatever is asked for: they are all in memory.
const SQL_ROWS_MAX: usize = 1_000_000;
/// LIMIT: run time of the store's own queries.
const OWN_QUERY_MS_MAX: u64 = 60_000;

/// Where events are read from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The log that this process writes
    Log(Arc<Log>),
    /// A directory that another process may be writing to
    Directory(Arc<Reader>),
}

impl Source {
    /// Every event once, as of now.
    pub(crate) fn view(&self) -> Result<View, Error> {
        match self {
            Self::Log(log) => Ok(log.view()),
            Self::Directory(reader) => reader.view(),
        }
    }

    /// After a failure to read `view`: whether another attempt has a chance, because what could not be read is gone.
    fn has_moved_on(&self, view: &View) -> bool {
        match self {
            Self::Directory(reader) => reader.has_moved_on(view),
            Self::Log(log) => {
                let mut found = false;
                for segment in view.segments.iter().rev() {
                    if let Err(reason) = check_pages(&segment.path) {
                        log.quarantine(segment, reason);
                        found = true;
                    }
                }
                found
            }
        }
    }
}

/// The query engine. Clones share it.
#[derive(Clone)]
pub(crate) struct Queries {
    pub(crate) source: Source,
    context: SessionContext,
    runtime: tokio::runtime::Handle,
}

impl Queries {
    /// An engine over `source`, whose segments lie in `directory`, that runs on `runtime`.
    pub(crate) fn new(
        source: Source,
        directory: &SegmentDirectory,
        memory_bytes: usize,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, Error> {
        let failed = |error: DataFusionError| Error::Internal(error.to_string());
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory_bytes)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(failed)?;
        // the segments' directory instead of the file system: no SQL can name any other file
        let files = ObjectStoreUrl::local_filesystem();
        environment.deregister_object_store(files.as_ref()).map_err(failed)?;
        let segments = LocalFileSystem::new_with_prefix(&directory.root)
            .map_err(|error| Error::io("cannot open", &directory.root, std::io::Error::other(error)))?;
        let url = ObjectStoreUrl::parse(SEGMENTS_URL).map_err(failed)?;
        environment.register_object_store(url.as_ref(), Arc::new(segments));
        let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(true);
        config.options_mut().execution.parquet.pushdown_filters = true;
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(environment).with_default_features();
        let mut state = state.build();
        let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(GrowingOperators)];
        planners.extend(state.expr_planners().iter().cloned());
        state = SessionStateBuilder::new_from_existing(state).with_expr_planners(planners).build();
        let context = SessionContext::new_with_state(state);
        restrict(&context);
        Ok(Self { source, context, runtime })
    }

    /// Runs a future on the store's own runtime; dropping what this returns ends it.
    pub(crate) async fn on_runtime<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let limited = tokio::time::timeout(Duration::from_millis(OWN_QUERY_MS_MAX), future);
        let mut task =
            AbortOnDrop(self.runtime.spawn(async { limited.await.map_err(|_| timed_out(OWN_QUERY_MS_MAX)) }));
        (&mut task.0).await.map_err(|error| Error::Internal(error.to_string()))??
    }

    /// Does `work` on a view, and again on a newer one if segments vanish or turn out unreadable.
    pub(crate) async fn with_view<T, F: Future<Output = Result<T, Error>>>(
        &self,
        work: impl Fn(View) -> F,
    ) -> Result<T, Error> {
        let mut attempt = 1;
        loop {
            let view = self.source.view()?;
            match work(view.clone()).await {
                Err(Error::Encoding(_)) if attempt < ATTEMPTS_MAX && self.source.has_moved_on(&view) => attempt += 1,
                done => return done,
            }
        }
    }

    /// Collects what `build` makes of the events of `view`.
    pub(crate) async fn collect_in(
        &self,
        view: &View,
        build: impl FnOnce(DataFrame) -> Result<DataFrame, DataFusionError>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let table = Arc::new(EventsTable::new(view)?);
        let frame = self.context.read_table(table).and_then(build).map_err(error_of)?;
        frame.collect().await.map_err(error_of)
    }

    /// Collects what `build` makes of the events as of now.
    pub(crate) async fn collect(
        &self,
        build: impl Fn(DataFrame) -> Result<DataFrame, DataFusionError>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let build = &build;
        self.with_view(|view| async move { self.collect_in(&view, build).await }).await
    }

    /// See [`crate::Store::sql`].
    pub(crate) async fn sql(self, text: String, limits: SqlLimits) -> Result<Table, Error> {
        let started = Instant::now();
        let statement = read_only_statement(&text)?;
        let rows_max = limits.rows_max.min(SQL_ROWS_MAX);
        let run = |view: View| {
            let statement = statement.clone();
            let queries = &self;
            async move { queries.run(statement, &view, rows_max, started).await.map_err(error_of) }
        };
        let limited = tokio::time::timeout(Duration::from_millis(limits.timeout_ms), self.with_view(run));
        limited.await.map_err(|_| timed_out(limits.timeout_ms))?
    }

    async fn run(
        &self,
        statement: DfStatement,
        view: &View,
        rows_max: usize,
        started: Instant,
    ) -> Result<Table, DataFusionError> {
        let context = self.context_with_events(view)?;
        let is_query = matches!(&statement, DfStatement::Statement(inner) if matches!(**inner, Statement::Query(_)));
        let plan = context.state().statement_to_plan(statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        let mut frame = DataFrame::new(context.state(), plan);
        if is_query {
            frame = frame.limit(0, Some(rows_max.saturating_add(1)))?;
        }
        let mut stream = frame.execute_stream().await?;
        let schema = stream.schema();
        let columns = schema.fields().iter();
        let columns = columns.map(|field| Column { name: field.name().clone(), kind: kind_name(field.data_type()) });
        let mut table = Table { columns: columns.collect(), rows: Vec::new(), elapsed_ms: 0, truncated: false };
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                if table.rows.len() == rows_max {
                    table.truncated = true;
                    break;
                }
                table.rows.push(row_values(&batch, row)?);
            }
            if table.truncated {
                break;
            }
        }
        table.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(table)
    }

    /// A context of its own, in which `events` is the only table.
    fn context_with_events(&self, view: &View) -> Result<SessionContext, DataFusionError> {
        let table = EventsTable::new(view).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let schema = MemorySchemaProvider::new();
        schema.register_table("events".to_owned(), Arc::new(table))?;
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema("public", Arc::new(schema))?;
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog("datafusion".to_owned(), Arc::new(catalog));
        let state = SessionStateBuilder::new_from_existing(self.context.state()).with_catalog_list(Arc::new(catalogs));
        Ok(SessionContext::new_with_state(state.build()))
    }
}

/// Ends a task when nobody waits for it any more.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether a file could not be read, as opposed to a question that cannot be answered.
fn is_read_fault(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => true,
        DataFusionError::ArrowError(error, _) => {
            matches!(**error, ArrowError::ParquetError(_) | ArrowError::IoError(..) | ArrowError::ExternalError(_))
        }
        _ => false, // the other kinds are about plans, types and limits
    }
}

fn timed_out(limit_ms: u64) -> Error {
    Error::TimedOut { seconds: limit_ms.div_ceil(1000) }
}

/// DataFusion's errors in our words.
fn error_of(error: DataFusionError) -> Error {
    if is_read_fault(&error) {
        return Error::Encoding(error.strip_backtrace());
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::OutOfMemory,
        DataFusionError::Internal(_) => Error::Internal(error.strip_backtrace()),
        DataFusionError::SQL(error, _) => unreadable(error),
        // what `functions.rs` refuses
        DataFusionError::External(inner) => match inner.downcast_ref() {
            Some(Error::Refused(text)) => Error::Refused(text.clone()),
            Some(Error::Query(text)) => Error::Query(text.clone()),
            _ => Error::Internal(error.strip_backtrace()),
        },
        root => Error::Query(root.strip_backtrace()),
    }
}
