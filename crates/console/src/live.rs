//! The live tail: every new event that fits a query, as server-sent events.
//!
//! One task a subscriber reads the broadcast channel and fills a short queue; who reads slowly misses events and is
//! told how many. The session is looked at again with every tick, so that a tail ends when its session does.
//! Source: WHATWG HTML, server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use bartizan_model::Event;
use bartizan_store::{EventRow, Filter};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::api::Console;
use crate::events::FilterParams;
use crate::problem::{Problem, ProblemBody};
use crate::request::Query;
use crate::serve::closed;
use crate::{schema, security};

/// LIMIT: tails at once; each looks at every event.
pub(crate) const SUBSCRIBERS_MAX: usize = 32;
/// LIMIT: rows that wait for a slow reader; the rest is missed and counted.
const QUEUE_MAX: usize = 64;
/// How often the session is looked at again.
const TICK: Duration = Duration::from_secs(15);
/// How often a comment keeps proxies from closing a quiet tail.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// New events that fit, as they happen: `event: exchange` with an event row, `event: lagged` with `{"missed":n}`.
#[utoipa::path(get, path = "/events/live", tag = "events", params(FilterParams), responses(
    (status = 200, description = "a stream of server-sent events", content_type = "text/event-stream",
        body = schema::EventRow),
    (status = 400, description = "a bad term; the detail names it", body = ProblemBody),
    (status = 429, description = "too many live tails", body = ProblemBody),
))]
pub(crate) async fn tail(
    State(console): State<Arc<Console>>,
    Query(filter): Query<FilterParams>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let filter = Filter::parse(&filter.q)?;
    let Ok(slot) = Arc::clone(&console.tails).try_acquire_owned() else {
        return Err(Problem::TooMany { detail: "too many live tails are open; close one", retry_after_s: 10 });
    };
    let events = console.parts.live.subscribe();
    let (rows, stream) = mpsc::channel(QUEUE_MAX);
    tokio::spawn(forward(Tail { console, headers, filter, events, rows, _slot: slot }));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("still here");
    Ok(Sse::new(ReceiverStream::new(stream)).keep_alive(keep_alive))
}

struct Tail {
    console: Arc<Console>,
    headers: HeaderMap,
    filter: Filter,
    events: broadcast::Receiver<Arc<Event>>,
    rows: mpsc::Sender<Result<SseEvent, Infallible>>,
    _slot: OwnedSemaphorePermit,
}

async fn forward(mut tail: Tail) {
    let mut closing = tail.console.closing.clone();
    let mut tick = tokio::time::interval(TICK);
    tick.tick().await; // the first one is at once
    loop {
        let message = tokio::select! {
            received = tail.events.recv() => match received {
                Ok(event) => match exchange(&tail.filter, &event) {
                    Some(message) => message,
                    None => continue,
                },
                Err(RecvError::Lagged(missed)) => SseEvent::default().event("lagged").data(format!(r#"{{"missed":{missed}}}"#)),
                Err(RecvError::Closed) => return,
            },
            _ = tick.tick() => {
                if security::caller(&tail.console, &tail.headers).await.is_err() {
                    return;
                }
                continue;
            }
            () = tail.rows.closed() => return,
            () = closed(&mut closing) => return,
        };
        let sent = tokio::select! {
            sent = tail.rows.send(Ok(message)) => sent,
            () = closed(&mut closing) => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

fn exchange(filter: &Filter, event: &Event) -> Option<SseEvent> {
    let row = EventRow::of(event);
    if !filter.is_match(&row) {
        return None;
    }
    SseEvent::default().event("exchange").json_data(row).ok()
}
