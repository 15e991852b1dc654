//! The console's HTTP/1.1 server: a bounded number of connections, every wait with an end, a graceful stop.
//!
//! Our own accept loop instead of `axum::serve`, which bounds neither connections nor the wait for a request head.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::Parts;
use crate::api::{self, Console};
use crate::security::Ends;

/// LIMIT: connections at once; a browser takes six, a live tail one for as long as it runs.
const CONNECTIONS_MAX: usize = 256;
/// LIMIT: longest wait for a complete request head, idle keep-alive included.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// LIMIT: bytes buffered of a request head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long requests in flight may take after a stop was asked for.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept (no file descriptors left), so that it cannot spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the console on `listener` until `shutdown` completes, then lets requests in flight finish.
///
/// # Errors
/// The listener's own address cannot be read.
pub async fn serve(listener: TcpListener, parts: Parts, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    listener.local_addr()?;
    let (stop, closing) = watch::channel(false);
    let router = api::router(Arc::new(Console::new(parts, closing.clone())));
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                let connection = connection(stream, remote, router.clone(), closing.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the console could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, drained).await.is_err() {
        tracing::warn!("console requests were cut off at shutdown");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    remote: std::net::SocketAddr,
    router: Router,
    mut closing: watch::Receiver<bool>,
) {
    let Ok(local) = stream.local_addr() else { return };
    let ends = Ends { remote, local };
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ends);
        inner.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = closed(&mut closing) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, %remote, "a console connection broke off");
    }
}

/// Waits until the server stops.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
