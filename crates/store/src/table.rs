//! Table `events` for DataFusion: live segments, pruned by time, and what is still in memory.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, DataFusionError, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use crate::Error;
use crate::log::View;
use crate::schema::READ;
use crate::segment::Segment;

/// Where DataFusion finds segments: the only store that its runtime knows.
pub(crate) const SEGMENTS_URL: &str = "events://log";

/// One view of the log as a table. Holds the view, and thereby its files, as long as the query runs.
#[derive(Debug)]
pub(crate) struct EventsTable {
    segments: Vec<Arc<Segment>>,
    batches: Vec<RecordBatch>,
    url: ObjectStoreUrl,
}

impl EventsTable {
    /// The table of a view.
    pub(crate) fn new(view: &View) -> Result<Self, Error> {
        let batches = view.batches.iter().map(in_read_schema).collect::<Result<_, _>>()?;
        let url = ObjectStoreUrl::parse(SEGMENTS_URL).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self { segments: view.segments.clone(), batches, url })
    }

    /// Segments that may have rows that pass all filters.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<Segment>>, DataFusionError> {
        let Some(filter) = conjunction(filters.to_vec()) else { return Ok(self.segments.clone()) };
        let schema = DFSchema::try_from(Arc::clone(&READ))?;
        let filter = state.create_physical_expr(filter, &schema)?;
        let Some(predicate) = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&READ)).build(filter) else {
            return Ok(self.segments.clone()); // a filter that says nothing about columns with known ranges
        };
        let keep = predicate.prune(&TimeRanges(&self.segments))?;
        Ok(self.segments.iter().zip(keep).filter(|(_, keep)| *keep).map(|(segment, _)| Arc::clone(segment)).collect())
    }

    /// Reads `segments` one after the other.
    fn scan_segments(
        &self,
        segments: &[Arc<Segment>],
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let rows: u64 = segments.iter().map(|segment| segment.name.rows).sum();
        let mut statistics = Statistics::new_unknown(&READ);
        statistics.num_rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
        let files = segments.iter().map(|segment| PartitionedFile::new(&segment.relative, segment.bytes));
        let source = ParquetSource::new(Arc::clone(&READ)).with_pushdown_filters(true);
        let config = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_group(FileGroup::new(files.collect()))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[async_trait]
impl TableProvider for EventsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&READ)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        // segments are left out by time; rows are filtered above, and by Parquet through the physical optimizer
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let limit = limit.filter(|_| filters.is_empty());
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        let segments = self.pruned(state, filters)?;
        if !segments.is_empty() {
            inputs.push(self.scan_segments(&segments, projection, limit)?);
        }
        if !self.batches.is_empty() {
            let partition = std::slice::from_ref(&self.batches);
            inputs.push(MemorySourceConfig::try_new_exec(partition, Arc::clone(&READ), projection.cloned())?);
        }
        match inputs.len() {
            0 => {
                let schema = match projection {
                    Some(indices) => Arc::new(READ.project(indices)?),
                    None => Arc::clone(&READ),
                };
                Ok(Arc::new(EmptyExec::new(schema)))
            }
            1 => Ok(inputs.remove(0)),
            _ => UnionExec::try_new(inputs),
        }
    }
}

/// A batch as it was written, with text as views.
fn in_read_schema(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let columns = READ.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| arrow::compute::cast(column, field.data_type()));
    Ok(RecordBatch::try_new(Arc::clone(&READ), columns.collect::<Result<_, _>>()?)?)
}

/// What the segments' names say of their times.
struct TimeRanges<'a>(&'a [Arc<Segment>]);

impl TimeRanges<'_> {
    fn times(&self, column: &Column, of: fn(&Segment) -> i64) -> Option<ArrayRef> {
        let times = self.0.iter().map(|segment| of(segment));
        (column.name == "time")
            .then(|| Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")) as ArrayRef)
    }
}

impl PruningStatistics for TimeRanges<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |segment| segment.name.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |segment| segment.name.max)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == "time").then(|| Arc::new(UInt64Array::from(vec![0; self.0.len()])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.0.iter().map(|segment| segment.name.rows))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
