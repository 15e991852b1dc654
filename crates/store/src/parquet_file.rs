//! How a segment is laid out: one Parquet file, zstd, tuned for the cost of writing it.
//!
//! PERF: the gateway's core pays for every nanosecond here. Only `time` has statistics (it is what queries prune by);
//! columns whose values do not repeat skip the dictionary, which would be built and thrown away.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::Error;
use crate::schema::{COLUMNS, Kind, WRITTEN};

/// LIMIT: rows in a row group, which is what a reader decodes at once.
const ROW_GROUP_ROWS_MAX: usize = 131_072;

static PROPERTIES: LazyLock<WriterProperties> = LazyLock::new(|| {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_created_by("bartizan".to_owned());
    for column in COLUMNS {
        let path = ColumnPath::from(column.name);
        builder = builder.set_column_dictionary_enabled(path.clone(), column.repeats);
        if column.kind == Kind::Time {
            builder = builder
                .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
    }
    builder.build()
});

/// The file of these rows, in order.
pub(crate) fn encode_segment(batches: &[RecordBatch]) -> Result<Vec<u8>, Error> {
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&WRITTEN), Some(PROPERTIES.clone()))?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

/// Every row of a segment, in the schema in which events are written.
pub(crate) fn decode_segment(path: &Path) -> Result<Vec<RecordBatch>, Error> {
    let file = File::open(path).map_err(|error| Error::io("cannot open", path, error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(16_384).build()?;
    reader.map(|batch| in_written_schema(&batch?)).collect()
}

/// Columns of an older segment brought into today's order; those that it lacks are NULL.
fn in_written_schema(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    if batch.schema_ref() == &*WRITTEN {
        return Ok(batch.clone());
    }
    let columns = WRITTEN.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => arrow::compute::cast(column, field.data_type()),
        None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
    });
    Ok(RecordBatch::try_new(Arc::clone(&WRITTEN), columns.collect::<Result<_, _>>()?)?)
}
