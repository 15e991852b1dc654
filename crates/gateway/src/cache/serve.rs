//! Looks up, waits, answers, keeps: what the proxy's callbacks do with kept answers.
//!
//! A kept answer takes the same way as the upstream's: its head and body are shown to the inspection, rules may deny it,
//! fields are set and taken out. Nothing of it is sent before all of it was judged.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bartizan_engine::{CacheRequest, Caching, Step};
use bartizan_model::{Mode, ResponseHead};
use bytes::Bytes;
use http::{HeaderName, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::conditional_filter::{not_modified_filter, to_304};
use pingora::proxy::Session;
use pingora::{Error, Result};

use super::entry::{Entry, Freshness};
use super::store::{Place, Store, Turn};
use super::{Counters, Fill};
use crate::exchange::Exchange;
use crate::fields::fields;
use crate::proxy::edit_response;

/// What an exchange that goes on to the upstream has to do with kept answers.
#[derive(Default)]
pub(crate) struct Kept {
    /// The answer may be kept
    pub(crate) fill: Option<Fill>,
    /// An older answer that may be given when the upstream fails
    stale: Option<Arc<Entry>>,
}

/// The answer that is kept for the request, if there is one; the request was found good, and has no body.
pub(crate) async fn look(
    session: &Session,
    exchange: &mut Exchange,
    caching: Caching,
    counters: &Counters,
) -> Option<Arc<Entry>> {
    let request = match caching {
        Caching::Unasked => return None,
        Caching::Bypass(reason) => {
            counters.bypass(reason);
            return None;
        }
        Caching::Keyed(request) => *request,
    };
    let store = exchange.generation.caches.store(&request)?.clone();
    let place = store.place(&request);
    let now = Instant::now();
    let headers = &session.req_header().headers;
    let found = store.find(&place, &request, headers);
    let is_fresh = found.as_ref().is_some_and(|entry| entry.freshness(now) == Freshness::Fresh);
    let is_get = session.req_header().method == Method::GET;
    match (request.mode, found) {
        (Mode::Enforce, Some(entry)) if is_fresh => {
            counters.hits.fetch_add(1, Relaxed);
            Some(entry)
        }
        (Mode::Enforce, found) if is_get => {
            let lookup = Lookup { store, place, request, stale: found, now };
            let (given, kept) = lookup.fetch(session, counters).await;
            exchange.kept = kept.map(Box::new);
            given
        }
        (Mode::Enforce, found) => {
            // The answer to a HEAD has no body to keep.
            counters.misses.fetch_add(1, Relaxed);
            let window = |entry: &Arc<Entry>| entry.is_within(entry.lifetime.stale_if_error, now);
            exchange.kept = Some(Box::new(Kept { fill: None, stale: found.filter(window) }));
            None
        }
        (Mode::Observe | Mode::Off, _) => {
            let counter = if is_fresh { &counters.would_hits } else { &counters.misses };
            counter.fetch_add(1, Relaxed);
            if is_get && !is_fresh {
                let fill = Some(Fill::new(store, request, place, None));
                exchange.kept = Some(Box::new(Kept { fill, stale: None }));
            }
            None
        }
    }
}

/// A request that nothing fresh is kept for.
struct Lookup {
    store: Arc<Store>,
    place: Place,
    request: CacheRequest,
    stale: Option<Arc<Entry>>,
    now: Instant,
}

impl Lookup {
    /// The answer that another request fetches meanwhile, or an old one; else the request goes on to the upstream.
    async fn fetch(self, session: &Session, counters: &Counters) -> (Option<Arc<Entry>>, Option<Kept>) {
        let Self { store, place, request, stale, now } = self;
        let wait = Duration::from_millis(store.rules.wait_ms);
        let is_within = |window: fn(&Entry) -> Duration| {
            stale.as_ref().filter(|entry| entry.is_within(window(entry), now)).cloned()
        };
        let if_error = is_within(|entry| entry.lifetime.stale_if_error);
        let while_revalidating = is_within(|entry| entry.lifetime.stale_while_revalidate);
        // Nobody waits for an answer that is likely not to be kept, but it is looked at again.
        let is_shared = store.is_promising(&place) && (!wait.is_zero() || while_revalidating.is_some());
        let fetching = match is_shared.then(|| store.turn(&place)) {
            None => None,
            Some(Turn::Ours(fetching)) => Some(fetching),
            Some(Turn::Theirs(other)) => {
                if let Some(entry) = while_revalidating {
                    counters.hits.fetch_add(1, Relaxed);
                    counters.stale_hits.fetch_add(1, Relaxed);
                    return (Some(entry), None);
                }
                if let Some(_seat) = store.begin_waiting().filter(|_| !wait.is_zero()) {
                    counters.waits.fetch_add(1, Relaxed);
                    let _ = tokio::time::timeout(wait, other.wait()).await;
                }
                let found = store.find(&place, &request, &session.req_header().headers);
                let found = found.filter(|entry| entry.freshness(Instant::now()) == Freshness::Fresh);
                let counter = if found.is_some() { &counters.hits } else { &counters.misses };
                counter.fetch_add(1, Relaxed);
                return (found, Some(Kept { fill: None, stale: if_error }));
            }
        };
        counters.misses.fetch_add(1, Relaxed);
        let fill = Some(Fill::new(store, request, place, fetching));
        (None, Some(Kept { fill, stale: if_error }))
    }
}

/// Whether a kept answer takes the place of one with this status: the upstream failed.
pub(crate) fn is_better_than(exchange: &Exchange, status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504) && exchange.kept.as_ref().is_some_and(|kept| kept.stale.is_some())
}

/// The old answer that may be given since the upstream failed.
pub(crate) fn take_stale(exchange: &mut Exchange, counters: &Counters) -> Option<Arc<Entry>> {
    let entry = exchange.kept.take()?.stale?;
    counters.hits.fetch_add(1, Relaxed);
    counters.stale_hits.fetch_add(1, Relaxed);
    Some(entry)
}

/// Gives a kept answer; `false` when the inspection decided against it and nothing was sent.
pub(crate) async fn give(session: &mut Session, exchange: &mut Exchange, entry: &Entry) -> Result<bool> {
    exchange.inspection.answered_from_cache();
    let (mut response, body) = answer_of(session.req_header(), entry)?;
    let step = {
        let fields = fields(&response.headers);
        let head = ResponseHead { status: response.status.as_u16(), headers: &fields };
        if let Some(record) = &mut exchange.record {
            record.response_head(&head);
        }
        exchange.inspection.response_head(&head)
    };
    if matches!(step, Step::Stop(_)) {
        return Ok(false);
    }
    let mut body = Some(body.unwrap_or_default());
    let record = exchange.record.as_deref_mut();
    if exchange.response.filter(&mut body, true, &mut exchange.inspection, record) {
        return Ok(false);
    }
    exchange.response.end(&mut exchange.inspection);
    edit_response(&mut response, exchange)?;
    let body = body.filter(|body| !body.is_empty());
    session.write_response_header(Box::new(response), body.is_none()).await.map_err(Error::into_down)?;
    if let Some(body) = body {
        session.write_response_body(Some(body), true).await.map_err(Error::into_down)?;
    }
    Ok(true)
}

/// What this request gets of a kept answer: all of it, its head, or that nothing has changed (RFC 9111 §4.3.2).
fn answer_of(request: &RequestHeader, entry: &Entry) -> Result<(ResponseHeader, Option<Bytes>)> {
    let mut response = entry.head.clone();
    response.insert_header(header::AGE, entry.age_secs(Instant::now()))?;
    if not_modified_filter(request, &response) {
        to_304(&mut response);
        return Ok((response, None));
    }
    if response.status != http::StatusCode::NO_CONTENT {
        response.insert_header(header::CONTENT_LENGTH, entry.body.len())?;
    }
    Ok((response, (request.method != Method::HEAD).then(|| entry.body.clone())))
}

/// Takes out what the key does not hold, of a request whose answer may be kept.
pub(crate) fn withhold(exchange: &Exchange, request: &mut RequestHeader) {
    let Some(fill) = exchange.kept.as_ref().and_then(|kept| kept.fill.as_ref()) else { return };
    let names: Vec<HeaderName> = request.headers.keys().filter(|name| fill.withholds(name.as_str())).cloned().collect();
    for name in names {
        request.remove_header(&name);
    }
}

/// The upstream's head as it came.
pub(crate) fn upstream_head(exchange: &mut Exchange, response: &ResponseHeader) {
    if let Some(fill) = fill_of(exchange) {
        fill.upstream_head(response);
    }
}

/// The upstream's head, before policies change it.
pub(crate) fn response_head(session: &Session, exchange: &mut Exchange, response: &ResponseHeader) {
    let Some(kept) = &mut exchange.kept else { return };
    kept.stale = None; // two answers must not be mixed
    if kept.fill.as_mut().is_some_and(|fill| !fill.head(&session.req_header().headers, response)) {
        kept.fill = None;
    }
}

/// A piece of the upstream's body, before rules judge it.
pub(crate) fn response_body(exchange: &mut Exchange, chunk: Option<&Bytes>) {
    let (Some(kept), Some(chunk)) = (&mut exchange.kept, chunk) else { return };
    if kept.fill.as_mut().is_some_and(|fill| !fill.chunk(chunk)) {
        kept.fill = None;
    }
}

/// The answer is whole, and was judged.
pub(crate) fn response_end(exchange: &mut Exchange, counters: &Counters) {
    let Some(fill) = exchange.kept.as_mut().and_then(|kept| kept.fill.take()) else { return };
    exchange.response.end(&mut exchange.inspection); // rules that hold nothing back look only now
    if !exchange.is_stopped
        && exchange.inspection.may_be_kept()
        && let Some(evicted) = fill.finish()
    {
        counters.stored.fetch_add(1, Relaxed);
        counters.evicted.fetch_add(evicted, Relaxed);
    }
}

/// The exchange is over: the end of a body that was told by its length, or of a head alone, may not have been told apart.
pub(crate) fn exchange_end(exchange: &mut Exchange, counters: &Counters) {
    if fill_of(exchange).is_some_and(|fill| fill.is_whole()) {
        response_end(exchange, counters);
    }
    exchange.kept = None;
}

fn fill_of(exchange: &mut Exchange) -> Option<&mut Fill> {
    exchange.kept.as_mut()?.fill.as_mut()
}
