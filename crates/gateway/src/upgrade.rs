//! Connections to upstreams for requests that ask to switch protocols (WebSocket): the `101` is held back until Pingora
//! has ended the request.
//!
//! Pingora pipes a request and its response through two halves that run side by side. The half that talks to the
//! upstream waits for two things at once, in random order: the response, and the word that the request has no (more)
//! body. When the `101` is there first (an upstream that answers fast, a machine under load), it already takes the
//! connection for a tunnel when the word comes, and takes the word for the tunnel's end: `send_body_to1` gives
//! "the body is done", `proxy_handle_upstream` ends both directions, and what the client sends from then on is lost.
//! Seen in 2 to 8 of 100 upgrades under load. The word cannot be kept from being sent; so the response is kept from
//! being read. After that word Pingora flushes the connection (`finish_body`), which is how this stream knows.
//!
//! Each such request has a connection of its own, as the tunnel would take it anyway.
//!
//! Sources: pingora-proxy 0.9.1 `proxy_h1.rs` (`proxy_handle_upstream`, `send_body_to1`), pingora-core 0.9.1
//! `protocols/http/v1/client.rs` (`write_request_header` and `finish_body` flush), RFC 9110 §7.8.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::task::AtomicWaker;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes pass as they come: before the request (a TLS handshake), and after its end.
const OPEN: u8 = 0;
/// The request is on its way: nothing is read.
const HELD: u8 = 1;
/// Pingora was told of the request's end, and has not flushed yet.
const ENDING: u8 = 2;

/// Tells the pools' keys of these connections apart: none is used for a second request.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Whether the response may be read; shared by the exchange and its connection.
#[derive(Debug, Default)]
pub(crate) struct Holdback {
    state: AtomicU8,
    reader: AtomicWaker,
}

impl Holdback {
    /// The connection stands, the request is sent next.
    pub(crate) fn hold(&self) {
        self.state.store(HELD, Ordering::Release);
    }

    /// The request has ended; the flush that follows opens the way for the response.
    pub(crate) fn request_ended(&self) {
        let _ = self.state.compare_exchange(HELD, ENDING, Ordering::AcqRel, Ordering::Acquire);
    }

    fn flushed(&self) {
        if self.state.compare_exchange(ENDING, OPEN, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.reader.wake();
        }
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if self.state.load(Ordering::Acquire) == OPEN {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        // It may have been opened between the look and the registration.
        if self.state.load(Ordering::Acquire) == OPEN { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// `peer` for one request that asks to switch protocols.
pub(crate) fn peer_for_upgrade(peer: &HttpPeer) -> (HttpPeer, Arc<Holdback>) {
    let holdback = Arc::new(Holdback::default());
    let mut peer = peer.clone();
    let timeout = peer.options.connection_timeout.unwrap_or(Duration::MAX);
    peer.options.custom_l4 = Some(Arc::new(Connector { holdback: holdback.clone(), timeout }));
    // A connection whose upgrade was refused could be kept; it is not worth the confusion.
    peer.options.idle_timeout = Some(Duration::ZERO);
    peer.group_key = peer.group_key.wrapping_add(CONNECTIONS.fetch_add(1, Ordering::Relaxed)).wrapping_add(1);
    (peer, holdback)
}

#[derive(Debug)]
struct Connector {
    holdback: Arc<Holdback>,
    timeout: Duration,
}

#[async_trait]
impl Connect for Connector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let address = address.as_inet().ok_or_else(|| Error::new_up(ErrorType::SocketError))?;
        let tcp = match tokio::time::timeout(self.timeout, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(Error::because(ErrorType::ConnectRefused, "connecting for an upgrade", error).into_up());
            }
            Ok(Err(error)) => {
                return Err(Error::because(ErrorType::ConnectError, "connecting for an upgrade", error).into_up());
            }
            Err(error) => {
                return Err(Error::because(ErrorType::ConnectTimedout, "connecting for an upgrade", error).into_up());
            }
        };
        let socket = HeldSocket { tcp, holdback: self.holdback.clone() };
        Ok(VirtualSocketStream::new(Box::new(socket)).into())
    }
}

/// A TCP connection that is not read while its request is on its way.
#[derive(Debug)]
struct HeldSocket {
    tcp: TcpStream,
    holdback: Arc<Holdback>,
}

impl VirtualSocket for HeldSocket {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.tcp.set_nodelay(true),
            _ => Ok(()), // the enum is not exhaustive; nothing else is asked for
        }
    }
}

impl AsyncRead for HeldSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.holdback.poll_open(cx));
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for HeldSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.tcp).poll_flush(cx);
        if flushed.is_ready() {
            self.holdback.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
