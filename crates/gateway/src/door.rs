//! The stream wrapper between a client connection and Pingora: sees what Pingora does without asking us.
//!
//! Pingora answers some requests itself, before any callback runs: unparsable HTTP/1 gets a bare 400, and a head that
//! never ends is waited for. The door stands in between. While an HTTP/1 head is read it counts bytes and time against
//! the limits; whatever is written while no exchange is under way is Pingora's own answer, which is swallowed and
//! replaced by ours, with an event. A request line that Pingora would mend by encoding is refused. On HTTP/2 it counts the streams that the client opened, so that those which never
//! became an exchange are known when the connection ends.
//!
//! Sources: pingora-proxy 0.9.1 `handle_new_request` (the 400s), pingora-core 0.9.1 `apps/mod.rs` (one digest request
//! per HTTP/1 session: that is how the door learns that the next request may begin), RFC 9113 §4.1 (frames).

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bartizan_config::Limits;
use bartizan_engine::Inspection;
use bartizan_model::{Ending, Outcome};
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
use tokio::time::Sleep;

use crate::answers;
use crate::frames::StreamCounter;
use crate::ids;
use crate::line::Lines;
use crate::link::{Link, Phase, digest_of};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::wire;

/// RFC 9113 §3.4
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// LIMIT: bytes of a head kept to name what is wrong with it.
const HEAD_KEPT_BYTES: usize = 2048;

/// LIMIT: how long a connection may wait before its first byte; the same as Pingora's between HTTP/1 requests.
const IDLE: Duration = Duration::from_secs(60);

/// LIMIT: events for HTTP/2 streams of one connection that never became an exchange.
const LOST_STREAMS_MAX: u64 = 100;

/// A client connection as Pingora sees it.
pub(crate) struct Door<T: IO + 'static> {
    io: Option<T>,
    link: Arc<Link>,
    shared: Arc<Shared>,
    digest: Option<Arc<ProxyDigest>>,
    limits: Limits,
    offers_h2c: bool,
    peeked: Bytes,
    head: Vec<u8>,
    head_bytes: u64,
    lines: Lines,
    deadline: Option<Pin<Box<Sleep>>>,
    refusal: Option<Refusal>,
    farewell: Option<Farewell>,
    shutdown: watch::Receiver<bool>,
    streams: Option<StreamCounter>,
}

/// The answer to a refused request, on its way.
struct Farewell {
    inspection: Inspection,
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
            peeked: Bytes::new(),
            head: Vec::new(),
            head_bytes: 0,
            lines: Lines::default(),
            deadline: None,
            refusal: None,
            farewell: None,
            shutdown,
            streams: is_http2.then(StreamCounter::new),
        }
    }

    fn io(&mut self) -> io::Result<Pin<&mut T>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads from what was peeked at, else from the connection.
    fn poll_inner(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.peeked.is_empty() {
            return self.io()?.poll_read(cx, buf);
        }
        let take = self.peeked.len().min(buf.remaining());
        buf.put_slice(&self.peeked[..take]);
        self.peeked.advance(take);
        Poll::Ready(Ok(()))
    }

    /// Reads a piece of an HTTP/1 head, within the limits of size and time.
    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.link.phase() == Phase::Fresh {
            self.head.clear();
            self.head_bytes = 0;
            self.lines = Lines::default();
            self.deadline = None;
            self.link.enter(Phase::Head);
        }
        // A complete head would have been parsed and not read on: this one is longer than the limit.
        if self.head_bytes >= self.limits.header_bytes_max {
            return Poll::Ready(self.refuse(Refusal::HeaderTooLarge));
        }
        let before = buf.filled().len();
        match self.poll_inner(cx, buf) {
            Poll::Ready(Ok(())) => {
                let read = &buf.filled()[before..];
                if read.is_empty() && self.head_bytes > 0 {
                    self.refusal.get_or_insert(Refusal::IncompleteHead);
                }
                self.head_bytes += read.len() as u64;
                let room = HEAD_KEPT_BYTES.saturating_sub(self.head.len());
                self.head.extend_from_slice(&read[..read.len().min(room)]);
                if !self.lines.read(read) {
                    self.refusal.get_or_insert(Refusal::RequestLine);
                    // An error here would be taken for a client that went away; what cannot be parsed is answered.
                    buf.filled_mut()[before..].fill(0);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if self.head_bytes > 0 => self.poll_deadline(cx),
            other => other,
        }
    }

    /// The clock of a head that has begun and is not complete.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let timeout = Duration::from_millis(self.limits.header_timeout_ms);
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(self.refuse(Refusal::HeaderTimeout)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Pingora writes an answer of its own: ours goes out in its place.
    fn swallow(&mut self) {
        let refusal = match self.link.phase() {
            Phase::Fresh => Refusal::Pipelined,
            Phase::Head | Phase::Exchange | Phase::Http2 => Refusal::of_head(&self.head, self.lines.count()),
        };
        self.refusal.get_or_insert(refusal);
    }

    fn refuse(&mut self, refusal: Refusal) -> io::Result<()> {
        self.refusal.get_or_insert(refusal);
        Err(io::Error::new(io::ErrorKind::InvalidData, "refused by the gateway"))
    }

    /// Sends the answer that the client is owed, and tells of it.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(refusal) = self.refusal.take() {
            self.link.linger();
            let mut outcome = Outcome { ending: Ending::Malformed, status: refusal.status(), ..Outcome::default() };
            let inspection = self.shared.malformed(&self.link.connection, refusal.reason());
            let mut bytes = Vec::new();
            if outcome.status != 0 {
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
        let timeout = Duration::from_millis(self.limits.header_timeout_ms);
        let mut shutdown = self.shutdown.clone();
        while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
            let is_idle = seen.is_empty();
            let mut io = self.io()?;
            let read = io.read_buf(&mut seen);
            let read = if is_idle {
                // The first byte may take as long as an idle connection may, or until the gateway stops.
                tokio::select! {
                    biased;
                    read = read => read?,
                    () = tokio::time::sleep(IDLE) => 0,
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
        self.peeked = seen.freeze();
        Ok(is_preface)
    }
}

impl<T: IO + 'static> Drop for Door<T> {
    fn drop(&mut self) {
        // Refused, and the connection was dropped before the answer could be sent.
        if let Some(refusal) = self.refusal.take() {
            let inspection = self.shared.malformed(&self.link.connection, refusal.reason());
            let outcome = Outcome { ending: Ending::Malformed, ..Outcome::default() };
            self.farewell = Some(Farewell { inspection, outcome, bytes: Bytes::new() });
        }
        if let Some(Farewell { inspection, mut outcome, .. }) = self.farewell.take() {
            (outcome.status, outcome.response_bytes) = (0, 0);
            (self.shared.sinks.events)(inspection.finish(outcome, ids::now()));
        }
        if let Some(streams) = &self.streams {
            let lost = streams.opened().saturating_sub(self.link.begun()).min(LOST_STREAMS_MAX);
            for _ in 0..lost {
                let inspection = self.shared.malformed(&self.link.connection, Refusal::Http2Stream.reason());
                let outcome = Outcome { ending: Ending::Malformed, ..Outcome::default() };
                (self.shared.sinks.events)(inspection.finish(outcome, ids::now()));
            }
        }
        let Some(mut io) = self.io.take() else { return };
        if self.link.lingers()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(wire::linger(io));
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
            Phase::Exchange => door.io()?.poll_read(cx, buf),
            Phase::Fresh | Phase::Head => door.poll_head(cx, buf),
            Phase::Http2 => {
                let before = buf.filled().len();
                let polled = door.poll_inner(cx, buf);
                if let Some(streams) = &mut door.streams {
                    streams.read(&buf.filled()[before..]);
                }
                polled
            }
        }
    }
}

impl<T: IO + 'static> AsyncWrite for Door<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let door = self.get_mut();
        match door.link.phase() {
            Phase::Exchange | Phase::Http2 => door.io()?.poll_write(cx, buf),
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
            Phase::Exchange | Phase::Http2 => door.io()?.poll_write_vectored(cx, bufs),
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
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await; // it is gone either way
    }
}

#[async_trait]
impl<T: IO + 'static> Peek for Door<T> {
    /// Pingora asks for the first 24 bytes to tell HTTP/2 from HTTP/1. A whole HTTP/1 request may be shorter than that,
    /// so the question is answered as soon as it is settled.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        if self.offers_h2c && buf.len() == PREFACE.len() && self.is_preface().await? {
            buf.copy_from_slice(PREFACE);
            self.streams = Some(StreamCounter::new());
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
