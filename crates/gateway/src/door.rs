//! The stream wrapper between a client connection and Pingora: sees what Pingora does without asking us.
//!
//! Pingora answers some requests itself, before any callback runs: unparsable HTTP/1 gets a bare 400, and a head that
//! never ends is waited for. The door stands in between. It gives Pingora one HTTP/1 message at a time: what a client
//! sent behind it (a pipeline) waits here, so that every head passes the same checks. While a head is read it counts
//! bytes and time against the limits, and a connection that stays silent between requests is closed; whatever is
//! written while no exchange is under way is Pingora's own answer, which is swallowed and replaced by ours, with an
//! event. A request line that Pingora would mend by encoding is refused, and so are lines that end in a bare line feed
//! and bodies whose chunks break the grammar, which Pingora would let pass.
//!
//! On HTTP/2 Pingora and h2 refuse streams, and give up connections, without a callback either. Nothing can be put in
//! the place of their answers: a header block is compressed against a state that h2 keeps (RFC 7541 §2.3.2), so a
//! `HEADERS` frame of ours would garble the next one of its own, and to a stream that is reset nothing can be added. So
//! the door counts: the streams that the client opened and that never became an exchange, and a fault of the whole
//! connection, are told when the connection ends. That is soon: Pingora gives a connection up at 32 refusals of its
//! own, h2 at 1,024 resets. What neither bounds, the door does: streams opened and taken back, frames that ask for
//! nothing (`flood.rs`), a preface or a header block that never ends; then it says GOAWAY and is told at once.
//!
//! Sources: pingora-proxy 0.9.1 `handle_new_request` (the 400s), pingora-core 0.9.1 `apps/mod.rs` (one digest request
//! per HTTP/1 session: that is how the door learns that the next request may begin), `protocols/http/v2/server.rs`
//! (refused streams), RFC 9113 §4.1 (frames).

use std::fmt;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bartizan_config::Limits;
use bartizan_engine::Inspection;
use bartizan_model::{HttpVersion, Outcome};
use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;

use crate::answers;
use crate::deadline::Deadline;
use crate::frames::{Frames, PREFACE, Unfinished};
use crate::ids;
use crate::line::Lines;
use crate::link::{Link, Phase, digest_of};
use crate::message::BodyRest;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::wire;

/// LIMIT: bytes of a head kept to name what is wrong with it.
const HEAD_KEPT_BYTES: usize = 2048;

/// LIMIT: how long the end of a connection may take to be sent; a client that reads byte by byte would hold it for hours.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// LIMIT: events for HTTP/2 streams of one connection that never became an exchange; one more tells of the rest.
const LOST_STREAMS_MAX: u64 = 100;

/// A client connection as Pingora sees it.
pub(crate) struct Door<T: IO + 'static> {
    io: Option<T>,
    link: Arc<Link>,
    shared: Arc<Shared>,
    digest: Option<Arc<ProxyDigest>>,
    limits: Limits,
    offers_h2c: bool,
    /// Read from the connection and not given to Pingora yet. LIMIT: one read of Pingora's, at most 64 KiB
    unread: Bytes,
    head: Vec<u8>,
    head_bytes: u64,
    lines: Lines,
    /// The rest of the body of the exchange under way; HTTP/1 only
    body: Option<BodyRest>,
    deadline: Deadline,
    refusal: Option<Refusal>,
    farewell: Option<Farewell>,
    shutdown: watch::Receiver<bool>,
    frames: Option<Frames>,
    /// HTTP/2: nothing more is read
    is_given_up: bool,
}

/// The answer to a refused request, on its way.
struct Farewell {
    inspection: Box<Inspection>,
    outcome: Outcome,
    bytes: Bytes,
}

impl<T: IO + 'static> fmt::Debug for Door<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("link", &self.link).finish_non_exhaustive()
    }
}

impl<T: IO + 'static> Door<T> {
    /// Stands before `io`. `offers_h2c`: HTTP/2 with prior knowledge is welcome in the clear.
    pub(crate) fn new(
        io: T,
        link: Arc<Link>,
        shared: Arc<Shared>,
        offers_h2c: bool,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        let limits = shared.current.load().limits;
        let is_http2 = matches!(io.selected_alpn_proto(), Some(ALPN::H2));
        if is_http2 {
            link.enter(Phase::Http2);
        }
        Self {
            io: Some(io),
            digest: digest_of(link.clone()),
            link,
            shared,
            limits,
            offers_h2c,
            unread: Bytes::new(),
            head: Vec::new(),
            head_bytes: 0,
            lines: Lines::default(),
            body: None,
            deadline: Deadline::default(),
            refusal: None,
            farewell: None,
            shutdown,
            frames: is_http2.then(Frames::new),
            is_given_up: false,
        }
    }

    fn io(&mut self) -> io::Result<Pin<&mut T>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads from what is unread, else from the connection, as far as `take` wants: it is shown the next bytes and says
    /// how many of them belong to what is read. The rest stays here; while there is such a rest and none of it is
    /// wanted, nothing comes.
    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        take: impl FnOnce(&mut Self, &[u8]) -> usize,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            let before = buf.filled().len();
            ready!(self.io()?.poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            let taken = take(self, read);
            if taken == read.len() {
                return Poll::Ready(Ok(()));
            }
            self.unread = Bytes::copy_from_slice(&read[taken..]);
            buf.set_filled(before + taken);
            // An empty read would mean the connection's end.
            return if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(())) };
        }
        let next = self.unread.slice(..self.unread.len().min(buf.remaining()));
        let taken = take(self, &next);
        if taken == 0 {
            return Poll::Pending;
        }
        buf.put_slice(&next[..taken]);
        self.unread.advance(taken);
        Poll::Ready(Ok(()))
    }

    /// Reads a piece of an HTTP/1 head, within the limits of size and time.
    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.link.phase() == Phase::Fresh {
            self.head.clear();
            self.head_bytes = 0;
            self.lines = Lines::default();
            self.body = None;
            self.deadline.clear();
            self.link.enter(Phase::Head);
        }
        // A complete head would have been parsed and not read on: this one is longer than the limit.
        if self.head_bytes >= self.limits.header_bytes_max {
            return Poll::Ready(self.refuse(Refusal::HeaderTooLarge));
        }
        let before = buf.filled().len();
        if self.poll_part(cx, buf, |door, read| door.read_head(read))?.is_pending() {
            return self.poll_deadline(cx);
        }
        if self.lines.is_refused() || self.lines.has_bare_line_feed() {
            let refusal = match self.lines.is_refused() {
                true => Refusal::RequestLine,
                false => Refusal::of_bare_line_feed(&self.head),
            };
            self.refusal.get_or_insert(refusal);
            // An error here would be taken for a client that went away; what cannot be parsed is answered.
            buf.filled_mut()[before..].fill(0);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads a piece of an HTTP/1 body, as long as its framing is sound.
    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.poll_part(cx, buf, |door, read| {
            let framing = door.link.framing();
            door.body.get_or_insert_with(|| BodyRest::new(framing)).read(read)
        }))?;
        if self.body.as_ref().is_some_and(BodyRest::is_broken) {
            self.link.break_body();
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "refused by the gateway")));
        }
        Poll::Ready(Ok(()))
    }

    /// The next bytes from the client, none at its end. Returns how many belong to the head.
    fn read_head(&mut self, read: &[u8]) -> usize {
        if self.head_bytes == 0 {
            self.deadline.clear(); // the wait for a request is over, the one for its head begins
        } else if read.is_empty() {
            self.refusal.get_or_insert(Refusal::IncompleteHead);
        }
        let taken = self.lines.read(read);
        self.head_bytes += taken as u64;
        let room = HEAD_KEPT_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&read[..taken.min(room)]);
        taken
    }

    /// The clock of a head that is not complete, or that has not begun.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_silent = self.head_bytes == 0;
        let wait = if is_silent { self.limits.keepalive_timeout_ms } else { self.limits.header_timeout_ms };
        ready!(self.deadline.poll(cx, Duration::from_millis(wait)));
        // Nothing was asked, so nothing is answered: it ends as if the client had ended it.
        Poll::Ready(if is_silent { Ok(()) } else { self.refuse(Refusal::HeaderTimeout) })
    }

    /// Pingora writes an answer of its own: ours goes out in its place.
    fn swallow(&mut self) {
        self.refusal.get_or_insert_with(|| Refusal::of_head(&self.head, self.lines.count()));
    }

    /// Reads a piece of an HTTP/2 connection, unless the client floods it or leaves a head unfinished.
    fn poll_frames(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if !self.is_given_up {
            let poll = self.poll_part(cx, buf, |door, read| {
                if let Some(frames) = &mut door.frames {
                    frames.read(read);
                }
                read.len()
            });
            let unfinished = self.frames.as_ref().map_or(Unfinished::Nothing, Frames::unfinished);
            if unfinished == Unfinished::Nothing {
                self.deadline.clear();
            }
            let refusal = match poll {
                Poll::Ready(read) => {
                    read?;
                    let flood = self.frames.as_mut().and_then(|frames| frames.flood(Instant::now()));
                    flood.map(Refusal::Http2Flood)
                }
                Poll::Pending => match unfinished {
                    Unfinished::Nothing => return Poll::Pending,
                    Unfinished::Silence => {
                        ready!(self.deadline.poll(cx, Duration::from_millis(self.limits.keepalive_timeout_ms)));
                        return Poll::Ready(Ok(())); // nothing was asked
                    }
                    Unfinished::Head => {
                        ready!(self.deadline.poll(cx, Duration::from_millis(self.limits.header_timeout_ms)));
                        Some(Refusal::HeaderTimeout)
                    }
                },
            };
            let Some(refusal) = refusal else { return Poll::Ready(Ok(())) };
            self.is_given_up = true;
            self.refusal = Some(refusal);
        }
        buf.set_filled(before);
        ready!(self.poll_farewell(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "given up by the gateway")))
    }

    /// Our side of an HTTP/2 connection went on.
    fn written(&mut self, bytes: &[u8]) {
        if let Some(frames) = &mut self.frames {
            frames.written(bytes);
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> io::Result<()> {
        self.refusal.get_or_insert(refusal);
        Err(io::Error::new(io::ErrorKind::InvalidData, "refused by the gateway"))
    }

    /// Sends the answer that the client is owed, and tells of it.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(refusal) = self.refusal.take() {
            self.link.linger();
            if matches!(refusal, Refusal::Http2Flood(_)) {
                self.shared.counters.http2_floods_total.fetch_add(1, Relaxed);
            }
            let inspection = self.shared.refused(&self.link, refusal);
            let mut outcome = Outcome { ending: refusal.ending(), ..Outcome::default() };
            let mut bytes = self.frames.as_ref().map(Frames::goaway).unwrap_or_default();
            if self.frames.is_none() && refusal.status() != 0 {
                outcome.status = refusal.status();
                (bytes, outcome.response_bytes) = answers::raw(&refusal, inspection.id());
            }
            self.farewell = Some(Farewell { inspection, outcome, bytes: bytes.into() });
        }
        let Some(farewell) = &mut self.farewell else { return Poll::Ready(()) };
        let Some(io) = &mut self.io else { return Poll::Ready(()) };
        let mut io = Pin::new(io);
        while !farewell.bytes.is_empty() {
            match ready!(io.as_mut().poll_write(cx, &farewell.bytes)) {
                Ok(written) if written > 0 => farewell.bytes.advance(written),
                _ => {
                    farewell.outcome.status = 0; // nobody is there
                    break;
                }
            }
        }
        if ready!(io.poll_flush(cx)).is_err() {
            farewell.outcome.status = 0;
        }
        if let Some(Farewell { inspection, outcome, .. }) = self.farewell.take() {
            (self.shared.sinks.events)(inspection.finish(outcome, ids::now()));
        }
        Poll::Ready(())
    }

    /// Reads until it is clear whether the client speaks HTTP/2 with prior knowledge; what was read is read again.
    async fn is_preface(&mut self) -> io::Result<bool> {
        let mut seen = BytesMut::with_capacity(64);
        let [idle, timeout] =
            [self.limits.keepalive_timeout_ms, self.limits.header_timeout_ms].map(Duration::from_millis);
        let mut shutdown = self.shutdown.clone();
        while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
            let is_silent = seen.is_empty();
            let mut io = self.io()?;
            let read = io.read_buf(&mut seen);
            let read = if is_silent {
                // The first byte may take as long as an idle connection may, or until the gateway stops.
                tokio::select! {
                    biased;
                    read = read => read?,
                    () = tokio::time::sleep(idle) => return Err(io::ErrorKind::TimedOut.into()),
                    _ = shutdown.wait_for(|stop| *stop) => return Err(io::ErrorKind::ConnectionAborted.into()),
                }
            } else {
                tokio::time::timeout(timeout, read).await.unwrap_or(Ok(0))?
            };
            if read == 0 {
                break;
            }
        }
        let is_preface = seen.starts_with(PREFACE);
        self.unread = seen.freeze();
        Ok(is_preface)
    }

    /// Tells of what Pingora and h2 refused by themselves on an HTTP/2 connection.
    fn tell_http2(&self, frames: &Frames) {
        let tell = |refusal, times| {
            self.shared.tell_refused(&self.link.connection, HttpVersion::Http2, refusal, times);
        };
        let mut lost = frames.opened().saturating_sub(self.link.begun());
        if let Some(fault) = frames.fault() {
            lost = lost.saturating_sub(1); // the stream in which the fault was found
            if fault == Refusal::Http2Calm {
                self.shared.counters.http2_floods_total.fetch_add(1, Relaxed);
            }
            tell(fault, NonZeroU64::MIN);
        }
        for _ in 0..lost.min(LOST_STREAMS_MAX) {
            tell(Refusal::Http2Stream, NonZeroU64::MIN);
        }
        if let Some(more) = NonZeroU64::new(lost.saturating_sub(LOST_STREAMS_MAX)) {
            tell(Refusal::Http2Stream, more);
        }
    }
}

impl<T: IO + 'static> Drop for Door<T> {
    fn drop(&mut self) {
        // Refused, and the connection was dropped before the answer could be sent.
        if let Some(refusal) = self.refusal.take() {
            let inspection = self.shared.refused(&self.link, refusal);
            let outcome = Outcome { ending: refusal.ending(), ..Outcome::default() };
            self.farewell = Some(Farewell { inspection, outcome, bytes: Bytes::new() });
        }
        if let Some(Farewell { inspection, mut outcome, .. }) = self.farewell.take() {
            (outcome.status, outcome.response_bytes) = (0, 0);
            (self.shared.sinks.events)(inspection.finish(outcome, ids::now()));
        }
        if let Some(frames) = self.frames.take() {
            self.tell_http2(&frames);
        }
        let Some(mut io) = self.io.take() else { return };
        if self.link.lingers()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // It is open for that long, so it counts against the cap.
            let shared = self.shared.clone();
            shared.counters.connections_open.fetch_add(1, Relaxed);
            runtime.spawn(async move {
                wire::linger(io).await;
                shared.counters.connections_open.fetch_sub(1, Relaxed);
            });
        } else {
            // A response that was cut off: what was written of it still goes out.
            let _ = io.flush().now_or_never();
        }
    }
}

impl<T: IO + 'static> AsyncRead for Door<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let door = self.get_mut();
        match door.link.phase() {
            Phase::Fresh | Phase::Head => door.poll_head(cx, buf),
            Phase::Exchange => door.poll_body(cx, buf),
            Phase::Tunnel => door.poll_part(cx, buf, |_, read| read.len()),
            Phase::Http2 => door.poll_frames(cx, buf),
        }
    }
}

impl<T: IO + 'static> AsyncWrite for Door<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let door = self.get_mut();
        match door.link.phase() {
            Phase::Exchange | Phase::Tunnel => door.io()?.poll_write(cx, buf),
            Phase::Http2 => {
                let written = ready!(door.io()?.poll_write(cx, buf))?;
                door.written(&buf[..written]);
                Poll::Ready(Ok(written))
            }
            Phase::Fresh | Phase::Head => {
                door.swallow();
                Poll::Ready(Ok(buf.len()))
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let door = self.get_mut();
        match door.link.phase() {
            Phase::Exchange | Phase::Tunnel => door.io()?.poll_write_vectored(cx, bufs),
            Phase::Http2 => {
                let written = ready!(door.io()?.poll_write_vectored(cx, bufs))?;
                let mut left = written;
                for slice in bufs {
                    let part = left.min(slice.len());
                    door.written(&slice[..part]);
                    left -= part;
                }
                Poll::Ready(Ok(written))
            }
            Phase::Fresh | Phase::Head => {
                door.swallow();
                Poll::Ready(Ok(bufs.iter().map(|slice| slice.len()).sum()))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().io()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let door = self.get_mut();
        ready!(door.poll_farewell(cx));
        door.io()?.poll_shutdown(cx)
    }
}

#[async_trait]
impl<T: IO + 'static> Shutdown for Door<T> {
    /// Sends what is still to be sent, unless the client does not take it: it is gone either way.
    async fn shutdown(&mut self) {
        let wait = Duration::from_millis(self.limits.client_read_timeout_ms).min(SHUTDOWN_MAX);
        if !self.link.is_abandoned() && tokio::time::timeout(wait, AsyncWriteExt::shutdown(self)).await.is_err() {
            self.link.abandon();
        }
    }
}

#[async_trait]
impl<T: IO + 'static> Peek for Door<T> {
    /// Pingora asks for the first 24 bytes to tell HTTP/2 from HTTP/1. A whole HTTP/1 request may be shorter than that,
    /// so the question is answered as soon as it is settled.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        if self.offers_h2c && buf.len() == PREFACE.len() && self.is_preface().await? {
            buf.copy_from_slice(PREFACE);
            self.frames = Some(Frames::new());
            self.link.enter(Phase::Http2);
        }
        Ok(true)
    }
}

impl<T: IO + 'static> UniqueID for Door<T> {
    fn id(&self) -> UniqueIDType {
        self.io.as_ref().map_or(0, UniqueID::id)
    }
}

impl<T: IO + 'static> Ssl for Door<T> {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.io.as_ref()?.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.io.as_ref()?.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.io.as_ref()?.selected_alpn_proto()
    }
}

impl<T: IO + 'static> GetTimingDigest for Door<T> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl<T: IO + 'static> GetProxyDigest for Door<T> {
    /// Asked for once by each new HTTP/1 session: the next request may begin.
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.link.renew();
        self.digest.clone()
    }
}

impl<T: IO + 'static> GetSocketDigest for Door<T> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.io.as_ref()?.get_socket_digest()
    }
}
