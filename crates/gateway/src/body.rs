//! Request bodies: inspected as they pass, or held back until they are decided.
//!
//! A held body is read before any upstream is chosen, so that a denied one opens no connection. Pingora replays at most
//! 64 KiB of a body that was read early, and drops the rest; so it is given only the *end* of the body to replay (read
//! buffering is switched on when at most 64 KiB are left), and [`Body::filter`] puts the whole body, which we kept, in
//! the replay's place. That needs the length beforehand. A body of unknown length that does not end within 64 KiB is
//! held in the filter instead: the upstream has its head, and gets no byte of the body until the decision; on a denial
//! the connection is dropped.
//!
//! INVARIANT: what an attempt sends is the whole body or a prefix that ends with an error. In the filter `Some(empty)`
//! means "nothing yet", `None` means the end.
//! Sources: pingora-proxy 0.9.1 `proxy_h1.rs` (`send_body_to_pipe`), `proxy_h2.rs` (`send_body_to2`), pingora-core
//! 0.9.1 `body_buffer.rs`, `v1/body.rs` (a chunked body is not done before its last chunk was read).

use std::time::{Duration, Instant};

use bartizan_engine::{Inspection, Step};
use bytes::{Bytes, BytesMut};
use http::header;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use crate::gateway::{Desk, ask};
use crate::record::Record;

/// Pingora's limit for replaying.
const REPLAY_BYTES_MAX: u64 = 64 * 1024;

/// LIMIT: largest HTTP/2 DATA frame that we let clients send (the protocol's default).
pub(crate) const FRAME_BYTES_MAX: u32 = 16 * 1024;

/// LIMIT: a body of which less than this arrives in a second, over its whole length, is too slow; a phone on the edge
/// of its cell sends more. It bounds what a client can hold with a body that trickles (CWE-400, "slow post").
const BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// The body of one request.
#[derive(Default)]
pub(crate) struct Body {
    mode: Mode,
    /// Bytes that the engine has seen
    seen: u64,
    /// Where the current attempt stands
    position: u64,
    /// The engine knows that it is complete
    is_ended: bool,
    /// When it began, and the time that it has beside what its size gives it; `None` for one that may take for ever
    clock: Option<(Instant, Duration)>,
}

#[derive(Default)]
enum Mode {
    /// Inspected chunk by chunk, passed on at once
    #[default]
    Passing,
    /// Passed on uninspected
    Streaming,
    /// Inspected chunk by chunk, kept until decided
    Holding(BytesMut),
    /// Decided: this goes to the upstream, as often as it is tried
    Decided(Bytes),
}

/// What is done with an exchange whose body was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// On it goes
    Pass,
    /// The engine decided against it
    Stop,
    /// It takes too long
    TooSlow,
}

impl Body {
    /// The body is not looked at.
    pub(crate) fn stream(&mut self) {
        self.mode = Mode::Streaming;
    }

    /// It must be complete within `timeout`, and one second more for each [`BYTES_PER_SECOND_MIN`].
    pub(crate) fn expect_within(&mut self, timeout: Duration) {
        self.clock = Some((Instant::now(), timeout));
    }

    /// Whether it is not complete and has no time left.
    pub(crate) fn is_overdue(&self) -> bool {
        !self.is_ended && self.time_left().is_some_and(|left| left.is_zero())
    }

    fn time_left(&self) -> Option<Duration> {
        let (begun, timeout) = self.clock?;
        let earned = Duration::from_millis(self.seen.saturating_mul(1000) / BYTES_PER_SECOND_MIN);
        Some((timeout + earned).saturating_sub(begun.elapsed()))
    }

    /// Tells the engine, once, that the request is complete; `desk` answers what it asks then.
    pub(crate) async fn end(&mut self, inspection: &mut Inspection, desk: Option<&Desk>) -> Verdict {
        if self.is_ended {
            return Verdict::Pass;
        }
        self.is_ended = true;
        let mut step = inspection.request_end();
        if let Step::Ask(question) = step {
            step = inspection.reply_at_end(ask(desk, question).await);
        }
        verdict(&step)
    }

    /// Reads a held body before an upstream is chosen: whole, or as far as Pingora allows.
    pub(crate) async fn read(
        &mut self,
        session: &mut Session,
        inspection: &mut Inspection,
        mut record: Option<&mut Record>,
        timeout: Duration,
        desk: Option<&Desk>,
    ) -> Result<Verdict> {
        let length = content_length(session);
        let is_http2 = session.is_http2();
        let mut kept = BytesMut::with_capacity(usize::try_from(length.unwrap_or(0).min(1 << 20)).unwrap_or(0));
        loop {
            let left = length.map_or(0, |length| length.saturating_sub(self.seen));
            if left <= REPLAY_BYTES_MAX {
                session.as_mut().enable_retry_buffering();
            }
            // Pingora has no timeout of its own for reading an HTTP/2 body.
            let timeout = self.time_left().map_or(timeout, |left| left.min(timeout));
            let chunk = match tokio::time::timeout(timeout, session.as_downstream_mut().read_request_body()).await {
                Ok(read) => read,
                Err(_) => Error::e_explain(ErrorType::ReadTimedout, "reading body"),
            };
            let Some(chunk) = chunk.map_err(|error| error.into_down())? else { break };
            if self.look(&chunk, inspection, &mut record) == Verdict::Stop {
                return Ok(Verdict::Stop);
            }
            kept.extend_from_slice(&chunk);
            if session.is_body_done() {
                break;
            }
            if length.is_none() && self.is_beyond_replay(is_http2) {
                self.mode = Mode::Holding(kept);
                return Ok(Verdict::Pass);
            }
        }
        let verdict = self.end(inspection, desk).await;
        self.mode = Mode::Decided(kept.freeze());
        Ok(verdict)
    }

    /// Whether a body of unknown length must be left for the filter: HTTP/1 reports a chunked body's end only after
    /// its last byte, HTTP/2 may report it together with the next frame, which must still fit the replay.
    fn is_beyond_replay(&self, is_http2: bool) -> bool {
        match is_http2 {
            false => self.seen > REPLAY_BYTES_MAX,
            true => self.seen + u64::from(FRAME_BYTES_MAX) > REPLAY_BYTES_MAX,
        }
    }

    /// An attempt begins; Pingora replays what was read so far, unless it was too much.
    pub(crate) fn begin_attempt(&mut self, session: &Session) {
        self.position = if session.as_ref().retry_buffer_truncated() { self.seen } else { 0 };
    }

    /// Pingora is about to send `chunk`; puts in its place what may be sent now.
    pub(crate) async fn filter(
        &mut self,
        chunk: &mut Option<Bytes>,
        is_end: bool,
        inspection: &mut Inspection,
        mut record: Option<&mut Record>,
        desk: Option<&Desk>,
    ) -> Verdict {
        match &self.mode {
            Mode::Decided(whole) => {
                *chunk = if is_end { Some(whole.clone()) } else { Some(Bytes::new()) };
                return Verdict::Pass;
            }
            Mode::Streaming => {
                if let (Some(record), Some(chunk)) = (&mut record, chunk.as_ref()) {
                    record.request_body(chunk);
                }
                return Verdict::Pass;
            }
            Mode::Passing | Mode::Holding(_) => {}
        }
        if !is_end && self.is_overdue() {
            return Verdict::TooSlow;
        }
        let fresh = self.fresh(chunk.as_ref());
        if !fresh.is_empty() && self.look(&fresh, inspection, &mut record) == Verdict::Stop {
            return Verdict::Stop;
        }
        if is_end && self.end(inspection, desk).await == Verdict::Stop {
            return Verdict::Stop;
        }
        if let Mode::Holding(kept) = &mut self.mode {
            kept.extend_from_slice(&fresh);
            let whole = is_end.then(|| kept.split().freeze());
            *chunk = Some(whole.clone().unwrap_or_default());
            if let Some(whole) = whole {
                self.mode = Mode::Decided(whole);
            }
        }
        Verdict::Pass
    }

    /// The part of a chunk that the engine has not seen: a retry brings earlier bytes again.
    fn fresh(&mut self, chunk: Option<&Bytes>) -> Bytes {
        let Some(chunk) = chunk else { return Bytes::new() };
        let known = usize::try_from(self.seen.saturating_sub(self.position)).unwrap_or(usize::MAX).min(chunk.len());
        self.position += chunk.len() as u64;
        chunk.slice(known..)
    }

    fn look(&mut self, chunk: &[u8], inspection: &mut Inspection, record: &mut Option<&mut Record>) -> Verdict {
        self.seen += chunk.len() as u64;
        if let Some(record) = record {
            record.request_body(chunk);
        }
        let step = inspection.request_body(chunk);
        if step == Step::Hold && matches!(self.mode, Mode::Passing) && self.position > 0 {
            self.mode = Mode::Holding(BytesMut::new()); // from here on
        }
        verdict(&step)
    }
}

fn verdict(step: &Step) -> Verdict {
    match step {
        Step::Continue | Step::Hold | Step::Answer | Step::Ask(_) => Verdict::Pass, // what was asked is answered above
        Step::Stop(_) => Verdict::Stop,
    }
}

fn content_length(session: &Session) -> Option<u64> {
    if session.req_header().headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    session.get_header(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
