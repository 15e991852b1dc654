//! Looks up, waits, answers, keeps: what the proxy's callbacks do with kept answers.
//!
//! A kept answer takes the same way as the upstream's: its head and body are shown to the inspection, rules may deny it,
//! fields are set and taken out. Nothing of it is sent before all of it was judged.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bartizan_engine::{CacheRequest, Caching, Step};
use bartizan_model::{CacheStatus, Mode, ResponseHead};
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
    /// An older answer that the upstream is asked to confirm
    doubted: Option<Arc<Entry>>,
    /// It did: what that answer is now
    confirmed: Option<Entry>,
}

/// A kept answer that is given.
pub(crate) struct Given {
    entry: Arc<Entry>,
    /// The upstream has just confirmed it: it is kept anew in the place of the one of this number
    renewing: Option<(Fill, u64)>,
}

impl Given {
    fn kept(entry: Arc<Entry>) -> Self {
        Self { entry, renewing: None }
    }
}

/// The answer that is kept for the request, if there is one; the request was found good, and has no body.
pub(crate) async fn look(
    session: &Session,
    exchange: &mut Exchange,
    caching: Caching,
    counters: &Counters,
) -> Option<Given> {
    let request = match caching {
        Caching::Unasked => return None,
        Caching::Bypass(reason) => {
            counters.bypass(reason);
            exchange.cache_status = Some(CacheStatus::Bypass);
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
    let missed = if found.is_some() { CacheStatus::Stale } else { CacheStatus::Miss };
    let (status, given) = match (request.mode, found) {
        (Mode::Enforce, Some(entry)) if is_fresh => {
            counters.hits.fetch_add(1, Relaxed);
            (CacheStatus::Hit, Some(entry))
        }
        (Mode::Enforce, found) if is_get => {
            let lookup = Lookup { store, place, request, stale: found, now };
            let (status, given, kept) = lookup.fetch(session, counters).await;
            exchange.kept = kept.map(Box::new);
            (status, given)
        }
        (Mode::Enforce, found) => {
            // The answer to a HEAD has no body to keep.
            counters.misses.fetch_add(1, Relaxed);
            let window = |entry: &Arc<Entry>| entry.is_within(entry.lifetime.stale_if_error, now);
            exchange.kept = Some(Box::new(Kept { stale: found.filter(window), ..Kept::default() }));
            (missed, None)
        }
        (Mode::Observe | Mode::Off, _) => {
            let counter = if is_fresh { &counters.would_hits } else { &counters.misses };
            counter.fetch_add(1, Relaxed);
            if is_get && !is_fresh {
                let fill = Some(Fill::new(store, request, place, None));
                exchange.kept = Some(Box::new(Kept { fill, ..Kept::default() }));
            }
            (if is_fresh { CacheStatus::WouldHit } else { missed }, None)
        }
    };
    exchange.cache_status = Some(status);
    given.map(Given::kept)
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
    async fn fetch(self, session: &Session, counters: &Counters) -> (CacheStatus, Option<Arc<Entry>>, Option<Kept>) {
        let Self { store, place, request, stale, now } = self;
        let missed = if stale.is_some() { CacheStatus::Stale } else { CacheStatus::Miss };
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
                    return (CacheStatus::StaleHit, Some(entry), None);
                }
                if let Some(_seat) = store.begin_waiting().filter(|_| !wait.is_zero()) {
                    counters.waits.fetch_add(1, Relaxed);
                    let _ = tokio::time::timeout(wait, other.wait()).await;
                }
                let found = store.find(&place, &request, &session.req_header().headers);
                let found = found.filter(|entry| entry.freshness(Instant::now()) == Freshness::Fresh);
                let (counter, status) = match found {
                    Some(_) => (&counters.hits, CacheStatus::Hit),
                    None => (&counters.misses, missed),
                };
                counter.fetch_add(1, Relaxed);
                return (status, found, Some(Kept { stale: if_error, ..Kept::default() }));
            }
        };
        counters.misses.fetch_add(1, Relaxed);
        let fill = Some(Fill::new(store, request, place, fetching));
        let doubted = stale.filter(|entry| entry.condition().is_some());
        (missed, None, Some(Kept { fill, stale: if_error, doubted, confirmed: None }))
    }
}

/// Asks the upstream whether an old answer is still its own, in the place of what the client asks of the one that it has:
/// that is answered from what is kept, once it is confirmed.
pub(crate) fn ask_to_confirm(exchange: &Exchange, request: &mut RequestHeader) -> Result<()> {
    let doubted = exchange.kept.as_ref().and_then(|kept| kept.doubted.as_ref());
    let Some((name, value)) = doubted.and_then(|entry| entry.condition()) else { return Ok(()) };
    request.remove_header(&header::IF_NONE_MATCH);
    request.remove_header(&header::IF_MODIFIED_SINCE);
    request.insert_header(name, value)
}

/// Whether a kept answer takes the place of this one: the upstream confirmed it, or failed.
pub(crate) fn is_better_than(session: &Session, exchange: &mut Exchange, response: &ResponseHeader) -> bool {
    let Some(kept) = exchange.kept.as_deref_mut() else { return false };
    match (response.status.as_u16(), &kept.doubted, &mut kept.fill) {
        (304, Some(doubted), Some(fill)) => {
            kept.confirmed = Some(fill.confirmed(&session.req_header().headers, doubted, response));
            true
        }
        (500 | 502 | 503 | 504, ..) => kept.stale.is_some(),
        _ => false,
    }
}

/// The kept answer that takes the place of the upstream's, or of none.
pub(crate) fn take_instead(exchange: &mut Exchange, counters: &Counters) -> Option<Given> {
    let kept = *exchange.kept.take()?;
    if let (Some(entry), Some(old), Some(fill)) = (kept.confirmed, kept.doubted, kept.fill) {
        counters.revalidated.fetch_add(1, Relaxed);
        exchange.cache_status = Some(CacheStatus::Revalidated);
        return Some(Given { entry: Arc::new(entry), renewing: Some((fill, old.id)) });
    }
    let entry = kept.stale?;
    counters.hits.fetch_add(1, Relaxed);
    counters.stale_hits.fetch_add(1, Relaxed);
    exchange.cache_status = Some(CacheStatus::StaleHit);
    Some(Given::kept(entry))
}

/// Gives a kept answer; `false` when the inspection decided against it and nothing was sent.
pub(crate) async fn give(
    session: &mut Session,
    exchange: &mut Exchange,
    given: Given,
    counters: &Counters,
) -> Result<bool> {
    let Given { entry, renewing } = given;
    if renewing.is_none() {
        exchange.inspection.answered_from_cache();
    }
    let (mut response, body) = answer_of(session.req_header(), &entry)?;
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
    if let Some((fill, old)) = renewing
        && let Some(evicted) = fill.renew(&entry, old, exchange.inspection.may_be_kept())
    {
        counters.evicted.fetch_add(evicted, Relaxed);
    }
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
    (kept.stale, kept.doubted) = (None, None); // two answers must not be mixed
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
