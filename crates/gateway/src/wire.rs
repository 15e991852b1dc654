//! The TCP stream under everything: writes gathered in a small buffer, bytes put back are read first.
//!
//! Pingora writes head and body of a response separately and flushes when it must; gathering them saves a system call
//! per exchange. Bytes put back are what came behind a PROXY header.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::net::TcpStream;

/// LIMIT: bytes gathered before a write; a small response with its head fits.
const WRITE_BUFFER_BYTES: usize = 4096;

/// LIMIT: how long the client's remaining bytes are read after our answer was sent and our side was closed.
const LINGER: Duration = Duration::from_secs(2);

/// The TCP stream of a client.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: BufWriter<TcpStream>,
    put_back: Bytes,
    /// What is unsent when the connection ends shall not be kept for a client that does not read
    is_abandoned: Arc<AtomicBool>,
    digest: Arc<SocketDigest>,
}

impl Wire {
    /// Takes over an accepted stream; `put_back` is read before anything else.
    pub(crate) fn new(tcp: TcpStream, peer: SocketAddr, put_back: Bytes, is_abandoned: Arc<AtomicBool>) -> Self {
        let digest = SocketDigest::from_raw_fd(tcp.as_raw_fd());
        let _ = digest.peer_addr.set(Some(peer.into()));
        let tcp = BufWriter::with_capacity(WRITE_BUFFER_BYTES, tcp);
        Self { tcp, put_back, is_abandoned, digest: Arc::new(digest) }
    }
}

impl Drop for Wire {
    /// The kernel would keep megabytes for minutes, for a client that reads byte by byte; a reset drops them.
    fn drop(&mut self) {
        if self.is_abandoned.load(Relaxed) {
            let _ = self.tcp.get_ref().set_zero_linger(); // else it takes longer
        }
    }
}

/// Ends our side and reads the client's remaining bytes for a moment, so that the last answer arrives.
pub(crate) async fn linger<T: AsyncRead + AsyncWrite + Unpin>(mut io: T) {
    let drain = async {
        let _ = io.shutdown().await;
        let mut sink = [0; 4096];
        while let Ok(read) = io.read(&mut sink).await {
            if read == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.put_back.is_empty() {
            return Pin::new(&mut self.tcp).poll_read(cx, buf);
        }
        let take = self.put_back.len().min(buf.remaining());
        buf.put_slice(&self.put_back[..take]);
        self.put_back.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(&mut self.tcp).await;
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        self.tcp.get_ref().as_raw_fd()
    }
}

impl Ssl for Wire {}

impl Peek for Wire {}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}
