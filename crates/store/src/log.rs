//! The event log: what is in memory, what is being written, and what is on disk, as one consistent whole.
//!
//! `append` fills columns, one set for each hour of event time; the writer thread seals them within the flush interval
//! and writes one segment for each hour. Buffers, batches in flight and live segments change under one short lock, so
//! a query's [`View`] holds each event exactly once.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use bartizan_model::{Event, Timestamp};

use crate::Error;
use crate::answer::{HealthState, Quarantined, StoreHealth};
use crate::encode::Columns;
use crate::parquet_file::encode_segment;
use crate::segment::{Segment, SegmentDirectory, SegmentName};

const HOUR_MICROS: i64 = 3_600_000_000;
/// LIMIT: hours that one flush writes segments for; events of any more share the last one's segment.
const HOURS_MAX: usize = 64;
/// LIMIT: rows in memory; beyond them the disk is too slow and events are dropped. About 300 MB.
const ROWS_MAX: usize = 500_000;
/// Rows that are worth a flush before the interval is over.
const ROWS_FLUSH: usize = 64_000;
/// Rows of a batch. PERF: builders of this size stay in the cache: 0.9 µs an event against 1.1 to 1.6 in one piece.
const BATCH_ROWS: usize = 4096;
/// LIMIT: segments put aside that the health names.
const QUARANTINED_MAX: usize = 100;

/// What a query reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Live segments, in flush order; holding them keeps their files
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Events that are not on disk yet
    pub(crate) batches: Vec<RecordBatch>,
}

/// The log, shared by the appending thread, the writer, maintenance and queries.
pub(crate) struct Log {
    pub(crate) directory: SegmentDirectory,
    interval: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    hours: HashMap<i64, Hour>,
    /// Rows in `hours`
    rows: usize,
    /// When the oldest event of `hours` was appended
    oldest: Option<Instant>,
    /// Batches that the writer has taken and not finished
    in_flight: Vec<RecordBatch>,
    segments: Vec<Arc<Segment>>,
    next_flush: u64,
    /// Flushes asked for and done, to wait for one
    asked: u64,
    done: u64,
    closing: bool,
    written: u64,
    dropped: u64,
    fault: Option<String>,
    quarantined: Vec<Quarantined>,
}

/// Events of one hour that are in memory.
#[derive(Default)]
struct Hour {
    columns: Columns,
    sealed: Vec<RecordBatch>,
}

/// What one flush writes.
struct Work {
    /// Flushes asked for that are done with it
    ticket: u64,
    hours: Vec<(i64, Vec<RecordBatch>)>,
}

impl Hour {
    fn seal(&mut self) {
        if self.columns.len() == 0 {
            return;
        }
        match self.columns.finish() {
            Ok(batch) => self.sealed.push(batch),
            Err(error) => {
                debug_assert!(false, "columns disagree: {error}");
                tracing::error!(%error, "events could not be encoded");
            }
        }
    }
}

impl Log {
    /// Opens the log for writing: see [`SegmentDirectory::recover`].
    pub(crate) fn open(directory: SegmentDirectory, interval: Duration) -> Result<Self, Error> {
        let listing = directory.recover()?;
        let state = State {
            segments: listing.live,
            next_flush: listing.last_flush + 1,
            quarantined: listing.quarantined,
            ..State::default()
        };
        Ok(Self { directory, interval, state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // every change under the lock leaves the state whole, so a panic elsewhere does not spoil it
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes events; see [`crate::Store::append`].
    pub(crate) fn append(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut state = self.lock();
        let room = ROWS_MAX.saturating_sub(state.rows + in_flight_rows(&state));
        let (taken, dropped) = events.split_at(events.len().min(room));
        state.take(taken);
        if !dropped.is_empty() {
            state.lose(dropped.len(), "the disk is too slow: events arrive faster than they are written".to_owned());
        }
        let first = state.oldest.is_none();
        state.oldest.get_or_insert_with(Instant::now);
        if first || state.rows >= ROWS_FLUSH {
            self.changed.notify_all();
        }
    }

    /// Waits until everything appended before is on disk.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let mut state = self.lock();
        let dropped = state.dropped;
        state.asked += 1;
        let ticket = state.asked;
        self.changed.notify_all();
        while state.done < ticket && !state.closing {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match &state.fault {
            _ if state.dropped == dropped => Ok(()),
            Some(fault) => Err(Error::Dropped { events: state.dropped - dropped, why: fault.clone() }),
            None => {
                Err(Error::Dropped { events: state.dropped - dropped, why: "the disk failed for a moment".to_owned() })
            }
        }
    }

    /// Writes until the log is closed and nothing is left: the writer thread's whole life.
    pub(crate) fn write_until_closed(&self) {
        while let Some(work) = self.next_work() {
            let Work { ticket, hours } = work;
            let mut faults = Vec::new();
            let is_empty = hours.is_empty();
            for (hour, batches) in hours {
                faults.extend(self.write_hour(hour, &batches).err());
            }
            let mut state = self.lock();
            if faults.is_empty() && !is_empty {
                state.fault = None; // all is well again
            }
            state.in_flight.clear();
            state.done = state.done.max(ticket);
            self.changed.notify_all();
        }
    }

    /// Ends the writer thread once all is written.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Waits for something that is due; `None` when the log is closed and nothing is left.
    fn next_work(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            let wait = match state.oldest {
                Some(oldest) => self.interval.saturating_sub(oldest.elapsed()),
                None => Duration::MAX,
            };
            let asked = state.asked > state.done;
            if wait.is_zero() || state.rows >= ROWS_FLUSH || asked || state.closing {
                if state.rows == 0 && state.closing {
                    return None;
                }
                return Some(Work { ticket: state.asked, hours: state.seal() });
            }
            state = match state.oldest {
                Some(_) => self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Writes one segment, or drops and counts its events.
    fn write_hour(&self, hour: i64, batches: &[RecordBatch]) -> Result<(), Error> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let flush = {
            let mut state = self.lock();
            state.next_flush += 1;
            state.next_flush - 1
        };
        let written = self.write_segment(hour, flush, batches);
        let mut state = self.lock();
        // published and no longer in flight in one step: a query sees these events once
        state.in_flight.retain(|batch| !batches.iter().any(|done| is_same(done, batch)));
        match written {
            Ok(segment) => {
                state.segments.push(segment);
                state.written += rows as u64;
                Ok(())
            }
            Err(error) => {
                state.lose(rows, error.to_string());
                Err(error)
            }
        }
    }

    fn write_segment(&self, hour: i64, flush: u64, batches: &[RecordBatch]) -> Result<Arc<Segment>, Error> {
        let (min, max, rows) = time_range(batches);
        let name = SegmentName { first: flush, last: flush, min, max, written: clock().as_micros(), rows };
        let bytes = encode_segment(batches)?;
        self.directory.write(&SegmentDirectory::hour_of(hour.saturating_mul(HOUR_MICROS)), name, &bytes)
    }

    /// What a query reads: every event once.
    pub(crate) fn view(&self) -> View {
        let mut state = self.lock();
        let mut batches = state.in_flight.clone();
        for hour in state.hours.values_mut() {
            hour.seal();
            batches.extend(hour.sealed.iter().cloned());
        }
        View { segments: state.segments.clone(), batches }
    }

    /// The live segments, in flush order within an hour.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        self.lock().segments.clone()
    }

    /// Puts `output` in the place of `inputs`, whose files go when nobody reads them. Deletes them when there is none.
    pub(crate) fn replace(&self, inputs: &[Arc<Segment>], output: Option<Arc<Segment>>) {
        let mut state = self.lock();
        state.segments.retain(|segment| !inputs.iter().any(|input| Arc::ptr_eq(input, segment)));
        state.segments.extend(output);
        drop(state);
        for input in inputs {
            input.doom();
        }
    }

    /// Takes a segment out that cannot be read, for good.
    pub(crate) fn quarantine(&self, segment: &Arc<Segment>, reason: String) {
        let mut state = self.lock();
        let before = state.segments.len();
        state.segments.retain(|live| !Arc::ptr_eq(live, segment));
        if state.segments.len() < before && state.quarantined.len() < QUARANTINED_MAX {
            let quarantined = crate::segment::quarantine(segment, reason);
            state.quarantined.push(quarantined);
        }
    }

    /// See [`crate::Store::health`].
    pub(crate) fn health(&self) -> StoreHealth {
        let state = self.lock();
        StoreHealth {
            state: if state.fault.is_some() { HealthState::Error } else { HealthState::Ok },
            detail: state.fault.clone().unwrap_or_default(),
            bytes: state.segments.iter().map(|segment| segment.bytes).sum(),
            segments: state.segments.len() as u64,
            quarantined: state.quarantined.clone(),
            written: state.written,
            dropped: state.dropped,
            buffered: (state.rows + in_flight_rows(&state)) as u64,
        }
    }
}

impl State {
    fn take(&mut self, events: &[Event]) {
        for event in events {
            let hour = event.time.as_micros().div_euclid(HOUR_MICROS);
            let hour = if self.hours.len() < HOURS_MAX || self.hours.contains_key(&hour) {
                hour
            } else {
                self.hours.keys().next().copied().unwrap_or(hour)
            };
            let hour = self.hours.entry(hour).or_default();
            hour.columns.push(event);
            if hour.columns.len() >= BATCH_ROWS {
                hour.seal();
            }
        }
        self.rows += events.len();
    }

    fn lose(&mut self, events: usize, why: String) {
        self.dropped += events as u64;
        if self.fault.as_ref() != Some(&why) {
            tracing::error!(events, %why, "events are dropped");
        }
        self.fault = Some(why);
    }

    /// Moves everything in memory to `in_flight`.
    fn seal(&mut self) -> Vec<(i64, Vec<RecordBatch>)> {
        let mut sealed = Vec::with_capacity(self.hours.len());
        for (key, mut hour) in self.hours.drain() {
            hour.seal();
            self.in_flight.extend(hour.sealed.iter().cloned());
            sealed.push((key, hour.sealed));
        }
        self.rows = 0;
        self.oldest = None;
        sealed
    }
}

fn in_flight_rows(state: &State) -> usize {
    state.in_flight.iter().map(RecordBatch::num_rows).sum()
}

/// Whether two batches are clones of one another.
fn is_same(one: &RecordBatch, other: &RecordBatch) -> bool {
    one.columns().first().zip(other.columns().first()).is_some_and(|(one, other)| Arc::ptr_eq(one, other))
}

/// Earliest and latest event time, and rows.
pub(crate) fn time_range(batches: &[RecordBatch]) -> (i64, i64, u64) {
    let times = |batch: &RecordBatch| batch.column(1).as_primitive::<TimestampMicrosecondType>().values().clone();
    let (mut min, mut max, mut rows) = (i64::MAX, i64::MIN, 0);
    for batch in batches {
        for time in times(batch).iter() {
            min = min.min(*time);
            max = max.max(*time);
        }
        rows += batch.num_rows() as u64;
    }
    (min, max.max(min), rows)
}

/// The wall clock, for what is about the files, not the events.
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
