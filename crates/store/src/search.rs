//! Searching events, newest first, and finding one by its id.
//!
//! A search walks the segments backwards in time, a few at first and twice as many each round, and ends as soon as its
//! page is full and everything left is older. So the first page of a month costs what its last minutes cost.

use std::sync::Arc;

use arrow::array::RecordBatch;
use bartizan_model::{Event, RequestId, Timestamp};
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::prelude::DataFrame;

use crate::Error;
use crate::answer::{EventPage, EventQuery, EventRow};
use crate::decode::{event_rows, events};
use crate::filter::{Filter, field_named, time};
use crate::log::View;
use crate::query::Queries;
use crate::schema::COLUMNS;
use crate::segment::Segment;

/// LIMIT: rows of one page.
const PAGE_ROWS_MAX: usize = 1000;
/// Rows of the segments that a search reads first.
const FIRST_ROUND_ROWS: u64 = 65_536;
/// How far an event's time may lie from the time in its id, in microseconds, for the quick way to it.
const ID_TIME_SLACK: i64 = 60_000_000;

/// Where a page ended: everything after it is older than this event.
#[derive(Clone, Debug)]
struct Cursor {
    time: i64,
    id: String,
}

/// See [`crate::Store::search`].
pub(crate) async fn search(queries: Queries, query: EventQuery) -> Result<EventPage, Error> {
    let limit = query.limit.clamp(1, PAGE_ROWS_MAX);
    let cursor = query.cursor.as_deref().map(Cursor::parse).transpose()?;
    let filter = wanted(&query, cursor.as_ref())?;
    let (queries, filter) = (&queries, &filter);
    let end = query.to.as_micros().min(cursor.map_or(i64::MAX, |cursor| cursor.time.saturating_add(1)));
    let newest = |view| newest_rows(queries, view, (query.from.as_micros(), end), filter, limit + 1);
    let mut rows = queries.with_view(newest).await?;
    let next = if rows.len() > limit { rows.get(limit - 1).map(|row| Cursor::of(row).text()) } else { None };
    rows.truncate(limit);
    Ok(EventPage { items: rows, next })
}

/// The newest rows of a view that pass `filter`.
async fn newest_rows(
    queries: &Queries,
    view: View,
    range: (i64, i64),
    filter: &Expr,
    limit: usize,
) -> Result<Vec<EventRow>, Error> {
    let mut rows: Vec<EventRow> = Vec::new();
    for round in rounds(view, range) {
        if rows.len() >= limit && rows.last().is_some_and(|row| row.time.as_micros() > round.newest) {
            break; // the page is full, and all that is left is older
        }
        let found = queries.collect_in(&round.view, |events| page(events.filter(filter.clone())?, limit)).await?;
        for batch in &found {
            rows.extend(event_rows(batch)?);
        }
        rows.sort_by(|one, other| (other.time, &other.id).cmp(&(one.time, &one.id)));
        rows.truncate(limit);
    }
    Ok(rows)
}

/// The newest rows of a frame, with the columns of [`EventRow`].
fn page(events: DataFrame, limit: usize) -> Result<DataFrame, DataFusionError> {
    let columns: Vec<&str> =
        COLUMNS.iter().map(|column| column.name).filter(|name| field_named(name).is_some()).collect();
    events
        .select_columns(&columns)?
        .sort(vec![col("time").sort(false, false), col("id").sort(false, false)])?
        .limit(0, Some(limit))
}

/// The query as one expression.
fn wanted(query: &EventQuery, cursor: Option<&Cursor>) -> Result<Expr, Error> {
    let mut all = in_range(query.from, query.to);
    if let Some(more) = Filter::parse(&query.q)?.expression() {
        all = all.and(more);
    }
    if let Some(Cursor { time: at, id }) = cursor {
        // the first half is implied by the second; it lets segments be left out
        let older = col("time").lt(time(*at)).or(col("id").lt(lit(id.clone())));
        all = all.and(col("time").lt_eq(time(*at))).and(older);
    }
    Ok(all)
}

/// From `from`, inclusive, to `to`, exclusive.
pub(crate) fn in_range(from: Timestamp, to: Timestamp) -> Expr {
    col("time").gt_eq(time(from.as_micros())).and(col("time").lt(time(to.as_micros())))
}

/// One round of a search.
struct Round {
    /// No event of this round or of a later one is newer
    newest: i64,
    /// The part of the view that it reads
    view: View,
}

/// Cuts a view into rounds, latest first: memory and the latest segments, then twice as many rows each time.
fn rounds(view: View, (from, end): (i64, i64)) -> Vec<Round> {
    let has_any = |segment: &Arc<Segment>| segment.name.max >= from && segment.name.min < end;
    let mut segments: Vec<Arc<Segment>> = view.segments.into_iter().filter(has_any).collect();
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.name.max));
    let mut rounds = vec![Round { newest: i64::MAX, view: View { segments: Vec::new(), batches: view.batches } }];
    let (mut rows, mut rows_wanted) = (0, FIRST_ROUND_ROWS);
    for segment in segments {
        if rows >= rows_wanted {
            rounds.push(Round { newest: segment.name.max, view: View::default() });
            (rows, rows_wanted) = (0, rows_wanted.saturating_mul(2));
        }
        rows += segment.name.rows;
        if let Some(round) = rounds.last_mut() {
            round.view.segments.push(segment);
        }
    }
    rounds
}

impl Cursor {
    fn of(row: &EventRow) -> Self {
        Self { time: row.time.as_micros(), id: row.id.clone() }
    }

    fn text(&self) -> String {
        format!("{}.{}", self.time, self.id)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let parsed = text.split_once('.').and_then(|(time, id)| {
            let id: RequestId = id.parse().ok()?;
            Some(Self { time: time.parse().ok()?, id: id.to_string() })
        });
        parsed.ok_or_else(|| Error::Query("the cursor is none that a search gave; leave it out".to_owned()))
    }
}

/// See [`crate::Store::event`]. The gateway's ids begin with their time; other ids are looked for everywhere.
pub(crate) async fn event(queries: Queries, id: RequestId) -> Result<Option<Event>, Error> {
    let millis = i64::try_from(id.as_bits() >> 80).unwrap_or_default();
    let about = Timestamp::from_millis(millis);
    let near = in_range(about.plus_micros(-ID_TIME_SLACK), about.plus_micros(ID_TIME_SLACK));
    let is_it = || col("id").eq(lit(id.to_string()));
    for filter in [near.and(is_it()), is_it()] {
        let batches = queries.collect(|events| events.filter(filter.clone())?.limit(0, Some(1))).await?;
        if let Some(event) = first_event(&batches)? {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn first_event(batches: &[RecordBatch]) -> Result<Option<Event>, Error> {
    match batches.iter().find(|batch| batch.num_rows() > 0) {
        Some(batch) => Ok(events(&batch.slice(0, 1))?.pop()),
        None => Ok(None),
    }
}
