//! Compaction and retention: many small segments become few sorted ones; old ones go.
//!
//! Compaction takes a run of segments of one hour that follow one another in flush order, sorts their rows by time and
//! writes one segment that covers the run. Crash safety is the naming scheme's: see [`crate::segment`]. Retention goes
//! by when a segment was *written*, not by its events' times: a recording of last year's traffic is kept as long as
//! today's, and an event from the year 9999 is not kept for ever.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use bartizan_model::Timestamp;

use crate::Error;
use crate::log::{Log, time_range};
use crate::parquet_file::{decode_segment, encode_segment};
use crate::schema::WRITTEN;
use crate::segment::{Segment, SegmentDirectory, SegmentName};

/// LIMIT: rows of a compacted segment: all are in memory at once, about 1 KiB each while being sorted.
const ROWS_MAX: u64 = 131_072;
/// Segments of at least this many rows are left alone.
const ROWS_FULL: u64 = 65_536;
/// Segments of at least this many rows wait until their hour is over: under load, rewriting them at once costs too much.
const ROWS_BUSY: u64 = 8_192;
/// So many small segments of one hour are compacted before it is over.
const SMALL_MAX: usize = 48;
/// An hour is over when nothing was written to it for this long.
const QUIET_MICROS: i64 = 120_000_000;

/// How long segments are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) secs: u64,
    pub(crate) bytes_max: u64,
}

/// Does all that is due, as of `now`. Errors are logged: the next round tries again.
pub(crate) fn run(log: &Log, retention: Retention, now: Timestamp) {
    expire(log, retention, now);
    for run in due_runs(&log.segments(), now) {
        if let Err(error) = compact(log, &run) {
            tracing::warn!(%error, hour = run[0].hour(), "segments could not be compacted");
            set_aside_unreadable(log, &run);
        }
    }
}

/// Deletes the oldest segments beyond the limits of age and size.
fn expire(log: &Log, retention: Retention, now: Timestamp) {
    let mut segments = log.segments();
    segments.sort_by_key(|segment| segment.name.last);
    let ages = ages_micros(&segments, now);
    let age_max = i64::try_from(retention.secs).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut expired = Vec::new();
    for (segment, age) in segments.iter().zip(ages) {
        if age > age_max || bytes > retention.bytes_max {
            bytes -= segment.bytes;
            expired.push(Arc::clone(segment));
        }
    }
    drop(segments);
    if expired.is_empty() {
        return;
    }
    tracing::info!(segments = expired.len(), "old events deleted");
    let hours: Vec<String> = expired.iter().map(|segment| segment.hour().to_owned()).collect();
    log.replace(&expired, None);
    drop(expired); // the files go here, unless a query still reads them
    for hour in hours {
        log.directory.remove_empty(&hour);
    }
}

/// How long ago each segment was written, given in flush order. A clock that once ran ahead must not keep its segments
/// for ever: nothing is younger than what was written after it.
fn ages_micros(segments: &[Arc<Segment>], now: Timestamp) -> Vec<i64> {
    let mut latest = now.as_micros();
    let mut ages: Vec<i64> = segments
        .iter()
        .rev()
        .map(|segment| {
            latest = latest.min(segment.name.written);
            now.as_micros().saturating_sub(latest)
        })
        .collect();
    ages.reverse();
    ages
}

/// Runs of segments that should become one, at most one for each hour.
fn due_runs(segments: &[Arc<Segment>], now: Timestamp) -> Vec<Vec<Arc<Segment>>> {
    let mut hours: BTreeMap<&str, Vec<&Arc<Segment>>> = BTreeMap::new();
    for segment in segments {
        hours.entry(segment.hour()).or_default().push(segment);
    }
    hours.into_values().filter_map(|hour| due_run(hour, now)).collect()
}

/// The first run of an hour's segments worth compacting. Only neighbors in flush order: a run must not cover others.
fn due_run(mut hour: Vec<&Arc<Segment>>, now: Timestamp) -> Option<Vec<Arc<Segment>>> {
    hour.sort_by_key(|segment| segment.name.first);
    let written = hour.iter().map(|segment| segment.name.written).max()?;
    let is_quiet = now.as_micros().saturating_sub(written) > QUIET_MICROS;
    let (rows_small, count_min) = if is_quiet { (ROWS_FULL, 2) } else { (ROWS_BUSY, SMALL_MAX) };
    hour.split(|segment| segment.name.rows >= rows_small)
        .map(within_rows_max)
        .find(|run| run.len() >= count_min)
        .map(|run| run.iter().map(|segment| Arc::clone(segment)).collect())
}

/// As many of the run's first segments as fit into one.
fn within_rows_max<'a, 'b>(run: &'b [&'a Arc<Segment>]) -> &'b [&'a Arc<Segment>] {
    let mut rows = 0;
    let fitting = run.iter().take_while(|segment| {
        rows += segment.name.rows;
        rows <= ROWS_MAX
    });
    let count = fitting.count();
    run.get(..count).unwrap_or_default()
}

/// Makes one sorted segment of a run.
fn compact(log: &Log, run: &[Arc<Segment>]) -> Result<(), Error> {
    let mut batches = Vec::new();
    for segment in run {
        batches.extend(decode_segment(&segment.path)?);
    }
    let sorted = sort_by_time(&concat_batches(&WRITTEN, &batches)?)?;
    drop(batches);
    let (min, max, rows) = time_range(std::slice::from_ref(&sorted));
    let number = |of: fn(&SegmentName) -> u64| run.iter().map(move |segment| of(&segment.name));
    let name = SegmentName {
        first: number(|name| name.first).min().unwrap_or_default(),
        last: number(|name| name.last).max().unwrap_or_default(),
        min,
        max,
        written: run.iter().map(|segment| segment.name.written).max().unwrap_or_default(),
        rows,
    };
    let output = log.directory.write(run[0].hour(), name, &encode_segment(&[sorted])?)?;
    log.replace(run, Some(output));
    Ok(())
}

/// By time, then id.
fn sort_by_time(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let column = |at: usize| SortColumn { values: ArrayRef::clone(batch.column(at)), options: None };
    let indices = lexsort_to_indices(&[column(1), column(0)], None)?;
    Ok(take_record_batch(batch, &indices)?)
}

/// After a failure: was it a segment that cannot be read? Then go on without it.
fn set_aside_unreadable(log: &Log, run: &[Arc<Segment>]) {
    for segment in run {
        if let Err(reason) = crate::segment::check_pages(&segment.path) {
            log.quarantine(segment, reason);
        }
    }
}

/// Deletes quarantined files that were written longer ago than events are kept.
pub(crate) fn expire_quarantined(directory: &SegmentDirectory, retention: Retention, now: Timestamp) {
    let Ok(listing) = directory.list() else { return };
    for quarantined in listing.quarantined {
        let path = directory.root.join(&quarantined.name);
        let file_name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = SegmentName::parse(file_name.strip_suffix(crate::segment::QUARANTINED).unwrap_or_default())
        else {
            continue;
        };
        if now.micros_since(Timestamp::from_micros(name.written)) / 1_000_000 > retention.secs {
            let _ = fs::remove_file(&path); // the next round tries again
        }
    }
}
