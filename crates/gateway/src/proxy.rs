//! The proxy's callbacks: drives one inspection per request and obeys it.
//!
//! Pingora calls, in this order: `request_filter` (head complete; held bodies are read here), `upstream_peer` and
//! `upstream_request_filter` per attempt, `request_body_filter` per chunk, `response_filter`, `response_body_filter`,
//! and at the end `logging`, which sends the event. Errors pass through `fail_to_proxy`, where our answers are written.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use bartizan_config::{HashKey, Limits, UpstreamProtocol};
use bartizan_engine::{Reply, Step, answer_ending};
use bartizan_model::{Ending, HttpVersion, RequestHead, ResponseHead};
use bytes::Bytes;
use http::{HeaderValue, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::authority::{RawTargetAuthority, raw_target_authority};
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};

use crate::answers;
use crate::body::Verdict;
use crate::cache::serve as kept;
use crate::exchange::{Context, Exchange, Totals};
use crate::fields::{HeaderFields, fields};
use crate::form::{self, Form};
use crate::forward::{self, Forwarding, X_REQUEST_ID};
use crate::gateway::{Desk, ask};
use crate::ids;
use crate::link::{Link, link_of};
use crate::message;
use crate::refusal::Refusal;
use crate::response_edits;
use crate::shared::Shared;
use crate::upgrade::peer_for_upgrade;

const STOPPED: ErrorType = ErrorType::Custom("stopped by decision");
const NO_TARGET: ErrorType = ErrorType::Custom("no healthy target");
const KEPT_INSTEAD: ErrorType = ErrorType::Custom("a kept answer takes its place");
const NO_CONTEXT: ErrorType = ErrorType::Custom("callback out of order");

/// Our half of Pingora's proxy.
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// The callbacks over what all connections share.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

fn exchange(ctx: &mut Context) -> Result<&mut Exchange> {
    ctx.exchange.as_deref_mut().ok_or_else(|| Error::new_in(NO_CONTEXT))
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.shared.clone())
    }

    /// None: compression and the like are the upstream's business.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        let link = link_of(session).ok_or_else(|| Error::new_in(NO_CONTEXT))?;
        let exchange = ctx.begin(link, message::framing(&session.req_header().headers));
        let limits = exchange.generation.limits;
        let client_timeout = Duration::from_millis(limits.client_read_timeout_ms);
        session.set_read_timeout(Some(client_timeout));
        session.set_write_timeout(Some(client_timeout));
        if self.shared.is_closing.load(Relaxed) {
            session.set_keepalive(None);
        }

        let refusal = refusal_of(session, &limits).or_else(|| misdirection(session.req_header(), &exchange.link));
        let refusal = refusal.or_else(|| exchange.crowding(&limits));
        if let Some(refusal) = refusal {
            refusal.tell(&mut exchange.inspection, version_of(session), NonZeroU64::MIN);
            exchange.ending = Some(refusal.ending());
            answer(session, exchange, refusal.answer(exchange.inspection.id())).await;
            return Ok(true);
        }
        form::drop_nominated(session.req_header_mut());
        if session.req_header().version == Version::HTTP_10
            && let ServerSession::H1(http1) = session.as_downstream_mut()
        {
            http1.set_ignore_info_resp(true); // RFC 9110 §15.2: 1xx was not yet defined
        }
        let mut step = look_at_head(session, exchange, None);
        while let Step::Ask(question) = step {
            let reply = ask(self.shared.desk.as_ref(), question).await;
            step = look_at_head(session, exchange, Some(reply));
        }
        match step {
            Step::Stop(_) => return stop(session, exchange).await,
            Step::Answer => return answer_preflight(session, exchange).await,
            Step::Continue | Step::Hold | Step::Ask(_) => {}
        }
        let Some(route) = exchange.inspection.route() else {
            exchange.ending = Some(Ending::NoRoute);
            if let Some(no_route) = answer_ending(Ending::NoRoute, exchange.inspection.id()) {
                answer(session, exchange, no_route).await;
            }
            return Ok(true);
        };
        let verdict = if session.is_body_empty() {
            exchange.body.end(&mut exchange.inspection, self.shared.desk.as_ref()).await
        } else if route.streaming {
            exchange.body.stream();
            exchange.inspection.missing_mut().request_body = true;
            Verdict::Pass
        } else {
            exchange.body.expect_within(Duration::from_millis(limits.body_timeout_ms));
            match step {
                Step::Hold => read_held_body(session, exchange, client_timeout, self.shared.desk.as_ref()).await?,
                Step::Continue | Step::Answer | Step::Ask(_) | Step::Stop(_) => Verdict::Pass,
            }
        };
        match verdict {
            Verdict::Pass if exchange.generation.caches.is_empty() => Ok(false),
            Verdict::Pass => answer_from_cache(session, exchange, &self.shared).await,
            Verdict::Stop => stop(session, exchange).await,
            Verdict::TooSlow => Err(too_slow()),
        }
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Context) -> Result<Box<HttpPeer>> {
        let exchange = exchange(ctx)?;
        let route = exchange.inspection.route();
        let pool = route.and_then(|route| exchange.generation.upstreams.pool(&route.upstream));
        let pool = pool.ok_or_else(|| Error::new_up(NO_TARGET))?;
        let member = match pool.hash_key() {
            None => pool.pick(&[], &exchange.tried),
            Some(key) => pool.pick(&hash_key(key, session, exchange), &exchange.tried),
        };
        let member = member.ok_or_else(|| Error::new_up(NO_TARGET))?;
        if !exchange.tried.is_empty() {
            self.shared.counters.upstream_retries_total.fetch_add(1, Relaxed);
        }
        exchange.tried.push(member.address);
        exchange.is_connected = false;
        exchange.body.begin_attempt(session);
        if asks_for_upgrade(session) && pool.config().protocol == UpstreamProtocol::Http1 {
            let (peer, holdback) = peer_for_upgrade(&member.peer);
            exchange.holdback = Some(holdback);
            return Ok(Box::new(peer));
        }
        Ok(Box::new(member.peer.clone()))
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        let exchange = exchange(ctx)?;
        exchange.is_connected = true;
        if let Some(holdback) = &exchange.holdback {
            holdback.hold();
        }
        if !reused {
            self.shared.counters.upstream_connections_total.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream_request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let exchange = exchange(ctx)?;
        forward::make_room(upstream_request)?;
        if let Some(target) = &exchange.origin_form {
            upstream_request.set_raw_path(target)?;
        }
        if exchange.is_continued {
            upstream_request.remove_header(&header::EXPECT);
        }
        forward::edit(upstream_request, exchange.inspection.edits())?;
        kept::withhold(exchange, upstream_request);
        kept::ask_to_confirm(exchange, upstream_request)?;
        if session.is_http2() {
            forward::join_cookies(upstream_request)?;
        }
        let Some(route) = exchange.inspection.route() else { return Err(Error::new_in(NO_CONTEXT)) };
        let trusted = &exchange.generation.trusted_proxies;
        let peer_ip = exchange.link.peer_ip().map(|ip| ip.to_canonical());
        let peer_is_trusted = peer_ip.is_some_and(|ip| trusted.iter().any(|net| net.contains(&ip)));
        let forwarding = Forwarding {
            link: &exchange.link,
            peer_is_trusted,
            authority: &exchange.authority,
            host_header: &route.host_header,
            request_id: &exchange.id_value,
        };
        forward::apply(upstream_request, &forwarding)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        if session.was_upgraded() {
            return Ok(());
        }
        let exchange = exchange(ctx)?;
        if let Some(holdback) = exchange.holdback.as_ref().filter(|_| end_of_stream) {
            holdback.request_ended();
        }
        let record = exchange.record.as_deref_mut();
        let desk = self.shared.desk.as_ref();
        match exchange.body.filter(body, end_of_stream, &mut exchange.inspection, record, desk).await {
            Verdict::Pass => Ok(()),
            Verdict::Stop => {
                exchange.is_stopped = true;
                *body = Some(Bytes::new());
                Err(Error::new_in(STOPPED))
            }
            Verdict::TooSlow => {
                *body = Some(Bytes::new());
                Err(too_slow())
            }
        }
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        kept::upstream_head(exchange(ctx)?, response);
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        let status = response.status.as_u16();
        if (100..200).contains(&status) && status != 101 {
            return Ok(()); // interim: the response is still to come
        }
        let exchange = exchange(ctx)?;
        if status == 101 {
            exchange.link.switch_protocol();
        }
        exchange.upstream_us = Some(ids::now().micros_since(exchange.begun));
        if kept::is_better_than(session, exchange, response) {
            return Err(Error::new_in(KEPT_INSTEAD));
        }
        let step = {
            let fields = fields(&response.headers);
            let head = ResponseHead { status, headers: &fields };
            if let Some(record) = &mut exchange.record {
                record.response_head(&head);
            }
            exchange.inspection.response_head(&head)
        };
        if let Step::Stop(_) = step {
            exchange.is_stopped = true;
            return Err(Error::new_in(STOPPED));
        }
        kept::response_head(session, exchange, response);
        edit_response(response, exchange)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        if session.was_upgraded() {
            return Ok(None);
        }
        let exchange = exchange(ctx)?;
        kept::response_body(exchange, body.as_ref());
        let record = exchange.record.as_deref_mut();
        if exchange.response.filter(body, is_end, &mut exchange.inspection, record) {
            exchange.is_stopped = true;
            exchange.kept = None;
            *body = Some(Bytes::new());
            return Err(Error::new_in(STOPPED));
        }
        if is_end {
            kept::response_end(exchange, &self.shared.cache_counters);
        }
        Ok(None)
    }

    /// Nothing was sent: the next target may be tried, as often as configured.
    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(may_try_again(ctx));
        error
    }

    /// Something may have been sent: only an idempotent request that was not answered, and whose body can be sent
    /// again from its first byte, is tried again.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        let is_repeatable = session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated()
            && session.response_written().is_none_or(|response| response.status.is_informational())
            && ctx.exchange.as_ref().is_some_and(|exchange| exchange.upstream_us.is_none() && !exchange.is_stopped)
            && *error.esource() == ErrorSource::Upstream
            && !matches!(error.etype(), ErrorType::ReadTimedout | ErrorType::WriteTimedout);
        if is_repeatable && may_try_again(ctx) {
            error.retry.decide_reuse(client_reused);
            let is_broken_off = matches!(error.etype(), ErrorType::ConnectionClosed | ErrorType::ReadError);
            if is_broken_off || client_reused {
                error.set_retry(true);
            }
        } else {
            error.set_retry(false);
        }
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Context) -> FailToProxy {
        let Some(exchange) = ctx.exchange.as_deref_mut() else {
            let _ = session.respond_error(500).await;
            return FailToProxy { error_code: 500, can_reuse_downstream: false };
        };
        if !session.is_body_done() {
            exchange.link.linger();
        }
        let ending = ending_of(error, exchange);
        exchange.ending = Some(ending);
        if let Some(status) = stand_in(session, exchange, ending, &self.shared).await {
            return FailToProxy { error_code: status, can_reuse_downstream: false };
        }
        let id = exchange.inspection.id();
        tracing::debug!(%id, ending = ending.as_str(), %error, "exchange failed");
        let has_response = session.response_written().is_some_and(|response| is_final(response.status.as_u16()));
        let ours = match ending {
            _ if has_response => None,
            Ending::Stopped => Some(exchange.inspection.answer()),
            Ending::Malformed => {
                let refusal = match error.etype() {
                    ErrorType::ReadTimedout => Refusal::BodyTimeout,
                    ErrorType::InvalidHTTPHeader => Refusal::HeaderField,
                    _ => Refusal::Body,
                };
                refusal.tell(&mut exchange.inspection, version_of(session), NonZeroU64::MIN);
                Some(refusal.answer(id))
            }
            other => {
                if other == Ending::InternalFault {
                    self.shared.count_internal_fault();
                    tracing::error!(%id, %error, "internal fault");
                }
                answer_ending(other, id)
            }
        };
        let error_code = ours.as_ref().map_or(0, |answer| answer.status);
        if let Some(ours) = ours {
            session.set_keepalive(None);
            answer(session, exchange, ours).await;
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        let Some(exchange) = ctx.exchange.as_deref_mut() else { return };
        if error.is_some_and(is_unread) && !session.is_http2() {
            exchange.link.abandon();
        }
        let ending = match (exchange.ending, error) {
            (Some(ending), _) => ending,
            (None, Some(error)) => ending_of(error, exchange),
            (None, None) => {
                kept::exchange_end(exchange, &self.shared.cache_counters);
                exchange.response.end(&mut exchange.inspection);
                Ending::Answered
            }
        };
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        let totals = Totals {
            status: if is_final(status) { status } else { 0 },
            request_bytes: session.body_bytes_read() as u64,
            response_bytes: session.body_bytes_sent() as u64,
        };
        ctx.finish(ending, totals);
    }

    /// The event says it; a log line per failed request would let clients fill the disk.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Context,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true // counted as retries
    }
}

/// Sends an answer of ours; when the client still sends, reads on for a moment after it.
async fn answer(session: &mut Session, exchange: &Exchange, answer: bartizan_engine::Answer) {
    if !session.is_body_done() {
        exchange.link.linger();
    }
    answers::send(session, answer, &exchange.inspection.response_edits()).await;
}

/// Answers a preflight: the page may call.
async fn answer_preflight(session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
    exchange.ending = Some(Ending::Answered);
    answer(session, exchange, exchange.inspection.answer()).await;
    Ok(true)
}

/// Answers as decided.
async fn stop(session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
    exchange.ending = Some(Ending::Stopped);
    answer(session, exchange, exchange.inspection.answer()).await;
    Ok(true)
}

/// A body that took longer than its size allows.
fn too_slow() -> Box<Error> {
    Error::new_down(ErrorType::ReadTimedout)
}

fn version_of(session: &Session) -> HttpVersion {
    match session.req_header().version {
        Version::HTTP_2 => HttpVersion::Http2,
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Http10,
    }
}

async fn read_held_body(
    session: &mut Session,
    exchange: &mut Exchange,
    timeout: Duration,
    desk: Option<&Desk>,
) -> Result<Verdict> {
    let has_interim = session.req_header().version != Version::HTTP_10;
    if has_interim
        && session
            .get_header(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        session.as_downstream_mut().write_continue_response().await?;
        exchange.is_continued = true;
    }
    let record = exchange.record.as_deref_mut();
    exchange.body.read(session, &mut exchange.inspection, record, timeout, desk).await
}

/// A request that will be a tunnel if the upstream wants, and that ends with its head.
fn asks_for_upgrade(session: &mut Session) -> bool {
    let head = session.req_header();
    head.version == Version::HTTP_11 && head.headers.contains_key(header::UPGRADE) && session.is_body_empty()
}

/// A request for a host whose clients must show other certificates than this connection was opened with.
fn misdirection(header: &RequestHeader, link: &Link) -> Option<Refusal> {
    if !link.has_choice() {
        return None;
    }
    let raw = header.raw_path();
    let named = match raw_target_authority(raw) {
        RawTargetAuthority::Absolute { authority, .. } => Some(authority),
        RawTargetAuthority::None | RawTargetAuthority::AmbiguousAuthority => None,
    };
    link.is_for_other_than(authority_of(header, named)).then_some(Refusal::Misdirected)
}

/// The host that a request is for; `named` is that of an absolute target.
fn authority_of<'a>(header: &'a RequestHeader, named: Option<&'a [u8]>) -> &'a [u8] {
    let uri_authority = header.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = header.headers.get(header::HOST).map(HeaderValue::as_bytes);
    named.or(uri_authority).or(host).unwrap_or_default()
}

/// Heads that are refused for their form alone.
fn refusal_of(session: &Session, limits: &Limits) -> Option<Refusal> {
    let head = session.req_header();
    let raw = session.as_http1().map(|http1| http1.get_headers_raw_bytes());
    // Pingora drops fragments; a client that sends one expects something else (RFC 9112 §3.2).
    let has_fragment = raw
        .as_ref()
        .is_some_and(|raw| raw.trim_ascii_start().iter().take_while(|byte| **byte != b'\n').any(|byte| *byte == b'#'));
    if has_fragment {
        return Some(Refusal::RequestLine);
    }
    let has_two_framings = head.headers.contains_key(header::TRANSFER_ENCODING)
        && raw.as_ref().is_some_and(|raw| form::has_two_framings(raw));
    let bytes = match raw {
        Some(raw) => raw.len(),
        // RFC 7541 §4.1 counts 32 bytes a field beside name and value; they are not sent, so they do not count here.
        None => {
            head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
                + head.raw_path().len()
        }
    };
    let (method, target, headers) = (&head.method, head.raw_path(), &head.headers);
    Form { method, target, headers, bytes, has_two_framings }.fault(limits)
}

/// Makes the changes to an answer's head, the upstream's or a kept one, that go with every answer.
pub(crate) fn edit_response(response: &mut ResponseHeader, exchange: &Exchange) -> Result<()> {
    for (name, value) in exchange.inspection.response_fields() {
        response.insert_header(name, value)?;
    }
    response_edits::apply(response, &exchange.inspection.response_edits())?;
    response.insert_header(X_REQUEST_ID, exchange.id_value.clone())
}

/// Gives the answer that is kept for a request that was found good, if there is one.
async fn answer_from_cache(session: &mut Session, exchange: &mut Exchange, shared: &Shared) -> Result<bool> {
    if !session.is_body_empty() {
        return Ok(false);
    }
    let header = session.req_header();
    let caching = exchange.inspection.caching(&RequestHead {
        method: header.method.as_str().as_bytes(),
        target: exchange.origin_form.as_deref().unwrap_or_else(|| header.raw_path()),
        scheme: exchange.link.connection.scheme(),
        authority: exchange.authority.as_bytes(),
        version: version_of(session),
        headers: &fields(&header.headers),
    });
    let counters = &shared.cache_counters;
    let Some(given) = kept::look(session, exchange, caching, counters).await else { return Ok(false) };
    match kept::give(session, exchange, given, counters).await? {
        true => Ok(true),
        false => stop(session, exchange).await,
    }
}

/// The upstream failed: gives an old answer in its place, if policies allow one. Returns the status that went out.
async fn stand_in(session: &mut Session, exchange: &mut Exchange, ending: Ending, shared: &Shared) -> Option<u16> {
    let is_upstream = match ending {
        Ending::UpstreamUnreachable | Ending::UpstreamTimeout | Ending::UpstreamFailed => true,
        Ending::Answered
        | Ending::Stopped
        | Ending::ClientClosed
        | Ending::Malformed
        | Ending::NoRoute
        | Ending::InternalFault => false,
    };
    if !is_upstream || session.response_written().is_some_and(|response| is_final(response.status.as_u16())) {
        return None;
    }
    let given = kept::take_instead(exchange, &shared.cache_counters)?;
    session.set_keepalive(None);
    exchange.ending = Some(Ending::Answered);
    match kept::give(session, exchange, given, &shared.cache_counters).await {
        Ok(true) => {}
        Ok(false) => _ = stop(session, exchange).await,
        Err(_) => exchange.ending = Some(Ending::ClientClosed),
    }
    Some(session.response_written().map_or(0, |response| response.status.as_u16()))
}

/// Shows the head to the engine, first as it came, then with each reply to what the engine asked.
fn look_at_head(session: &Session, exchange: &mut Exchange, reply: Option<Reply>) -> Step {
    let header = session.req_header();
    let raw = header.raw_path();
    let (target, named) = match raw_target_authority(raw) {
        RawTargetAuthority::Absolute { authority, path_and_query, .. } => {
            let target = origin_form(path_and_query);
            exchange.origin_form = Some(target);
            (exchange.origin_form.as_deref().unwrap_or(b"/"), Some(authority))
        }
        RawTargetAuthority::None | RawTargetAuthority::AmbiguousAuthority => (raw, None),
    };
    let authority = authority_of(header, named);
    exchange.authority = match header.headers.get(header::HOST) {
        Some(host) if host.as_bytes() == authority => host.clone(),
        _ => HeaderValue::from_bytes(authority).unwrap_or_else(|_| HeaderValue::from_static("")),
    };
    let fields: HeaderFields<'_> = fields(&header.headers);
    let head = RequestHead {
        method: header.method.as_str().as_bytes(),
        target,
        scheme: exchange.link.connection.scheme(),
        authority,
        version: version_of(session),
        headers: &fields,
    };
    if let Some(reply) = reply {
        return exchange.inspection.reply(&head, reply);
    }
    if let Some(record) = &mut exchange.record {
        record.request_head(&head);
    }
    exchange.inspection.request_head(&head)
}

/// Path and query of an absolute target, with the `/` that it may lack (RFC 9112 §3.2.1).
fn origin_form(path_and_query: &[u8]) -> Vec<u8> {
    match path_and_query.first() {
        Some(b'/') => path_and_query.to_vec(),
        _ => [b"/", path_and_query].concat(),
    }
}

/// The bytes a consistent hash is taken over.
fn hash_key(key: &HashKey, session: &Session, exchange: &Exchange) -> Vec<u8> {
    let client = || exchange.inspection.client().ip.map(|ip| ip.to_string().into_bytes()).unwrap_or_default();
    match key {
        HashKey::ClientAddress => client(),
        HashKey::Path => {
            let raw = exchange.origin_form.as_deref().unwrap_or_else(|| session.req_header().raw_path());
            raw.split(|byte| *byte == b'?').next().unwrap_or_default().to_vec()
        }
        HashKey::Header(name) => match session.get_header(name.as_str()) {
            Some(value) => value.as_bytes().to_vec(),
            None => client(),
        },
    }
}

fn may_try_again(ctx: &Context) -> bool {
    let Some(exchange) = &ctx.exchange else { return false };
    let pool = exchange.inspection.route().and_then(|route| exchange.generation.upstreams.pool(&route.upstream));
    pool.is_some_and(|pool| exchange.tried.len() <= pool.config().retries_max as usize)
}

/// Whether this status ends the exchange's response: all but the interim ones.
fn is_final(status: u16) -> bool {
    status == 101 || status >= 200
}

fn is_timeout(error: &Error) -> bool {
    matches!(
        error.etype(),
        ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
    )
}

/// Whether the response ended because the client did not take it.
fn is_unread(error: &Error) -> bool {
    matches!(
        (error.esource(), error.etype()),
        (ErrorSource::Downstream, ErrorType::WriteTimedout | ErrorType::WriteError)
    )
}

/// What an error of Pingora's means for the exchange.
fn ending_of(error: &Error, exchange: &Exchange) -> Ending {
    if exchange.is_stopped {
        return Ending::Stopped;
    }
    if *error.etype() == KEPT_INSTEAD {
        return Ending::UpstreamFailed;
    }
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ErrorType::ReadError) if exchange.link.is_body_broken() => Ending::Malformed,
        // Pingora does not limit how long an HTTP/2 body may be silent; the upstream's patience ends first.
        (ErrorSource::Upstream, ErrorType::ReadTimedout) if exchange.body.is_overdue() => Ending::Malformed,
        (ErrorSource::Upstream, _) if is_timeout(error) => Ending::UpstreamTimeout,
        (ErrorSource::Upstream, _) if !exchange.is_connected => Ending::UpstreamUnreachable,
        (ErrorSource::Upstream, _) => Ending::UpstreamFailed,
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Ending::Malformed,
        (
            ErrorSource::Downstream,
            ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::WriteTimedout
            | ErrorType::ConnectionClosed
            | ErrorType::H2Error,
        ) => Ending::ClientClosed,
        (ErrorSource::Downstream, _) => Ending::Malformed,
        (ErrorSource::Internal | ErrorSource::Unset, _) => Ending::InternalFault,
    }
}
