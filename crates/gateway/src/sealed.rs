//! A client's connection under TLS: the handshake on the terms of the name that was asked for, and the stream after it.
//!
//! Pingora's own acceptor takes one configuration for all names and tells of a failure in words alone; here the
//! configuration is chosen after the client's greeting, and the fault keeps its type.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bartizan_model::TlsInfo;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::client_trust::CertificateFault;
use crate::tls::Offer;
use crate::wire::Wire;

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct Sealed {
    stream: TlsStream<Wire>,
}

/// What a handshake came to.
pub(crate) struct Accepted {
    pub(crate) stream: Sealed,
    pub(crate) info: TlsInfo,
    /// Index of the terms that held, among those of the offer
    pub(crate) terms: usize,
}

/// A handshake that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: io::Error,
    /// It was the client's certificate
    pub(crate) certificate: Option<CertificateFault>,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        Self { certificate: tls.and_then(CertificateFault::of), error }
    }
}

/// Shakes hands with a client on the terms of the name that it asks for.
pub(crate) async fn accept(wire: Wire, offer: &Offer) -> Result<Accepted, Failed> {
    let greeted = LazyConfigAcceptor::new(Acceptor::default(), wire).await?;
    let terms = offer.terms_for(greeted.client_hello().server_name());
    let config = offer.config(terms).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let stream = greeted.into_stream(config.clone()).await?;
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or_default();
    let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    let shown = session.peer_certificates().unwrap_or_default();
    let info = TlsInfo {
        version: version.replace('_', "."), // rustls says TLSv1_3
        cipher: cipher.replacen("TLS13_", "TLS_", 1),
        server_name: session.server_name().map(str::to_owned),
        client_certificate: !shown.is_empty(),
        client_chain: match offer.trust(terms) {
            Some(trust) if !shown.is_empty() => trust.whole_chain(shown),
            Some(_) | None => Vec::new(),
        },
    };
    Ok(Accepted { stream: Sealed { stream }, info, terms })
}

impl AsyncRead for Sealed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Sealed {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(&mut self.stream).await;
    }
}

impl UniqueID for Sealed {
    fn id(&self) -> UniqueIDType {
        self.stream.get_ref().0.id()
    }
}

impl Ssl for Sealed {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match self.stream.get_ref().1.alpn_protocol()? {
            b"h2" => Some(ALPN::H2),
            _ => Some(ALPN::H1), // nothing else is offered
        }
    }
}

impl Peek for Sealed {}

impl GetTimingDigest for Sealed {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Sealed {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Sealed {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_ref().0.get_socket_digest()
    }
}
